//! Percent-decoding, strict: of path captures, of literal segments, and of query components.
//!
//! Runs after the match, because a path is split on raw `/` and only then decoded. A malformed
//! escape, a NUL and text that is not UTF-8 are errors, for no two readers of a path agree on them.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// How a capture of several segments is decoded. A capture of one segment is always decoded
/// wholly ([`Decoding::All`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Decoding {
    /// Escapes of RFC 6570's reserved characters ``:/?#[]@!$&'()*+,;=`` stay as they were
    /// written, everything else is decoded.
    #[default]
    KeepReserved,
    /// Only `%2F` (and `%2f`) stays.
    KeepSlash,
    /// Everything is decoded, so `%2F` can no longer be told from `/`.
    All,
}

impl Decoding {
    fn keeps(self, byte: u8) -> bool {
        match self {
            Decoding::KeepReserved => is_reserved(byte),
            Decoding::KeepSlash => byte == b'/',
            Decoding::All => false,
        }
    }
}

/// What `+` means in a query component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Plus {
    /// Itself, as RFC 3986 has it.
    #[default]
    Literal,
    /// A space, as HTML forms have it.
    Space,
}

/// Why a raw text has no decoded form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The byte offset in the raw text at which the trouble starts.
    pub at: usize,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
}

/// The ways in which a raw text can fail to decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeErrorKind {
    /// A `%` that two hexadecimal digits do not follow.
    Escape,
    /// A NUL, escaped or not.
    Nul,
    /// Escapes whose bytes are no UTF-8.
    Utf8,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DecodeErrorKind::Escape => "a `%` without two hexadecimal digits",
            DecodeErrorKind::Nul => "a NUL character",
            DecodeErrorKind::Utf8 => "escapes that are not UTF-8",
        };
        write!(f, "{what} at byte {}", self.at)
    }
}

impl Error for DecodeError {}

/// Decodes a capture. Borrows when there is nothing to decode.
///
/// # Errors
/// A malformed escape, a NUL, or bytes that are not UTF-8.
pub fn decode(raw: &str, decoding: Decoding) -> Result<Cow<'_, str>, DecodeError> {
    let Some(first) = memchr::memchr2(b'%', 0, raw.as_bytes()) else {
        return Ok(Cow::Borrowed(raw));
    };
    unescape(raw, first, |byte| decoding.keeps(byte), Plus::Literal).map(Cow::Owned)
}

/// Decodes the name or the value of a query parameter. Borrows when there is nothing to decode.
///
/// # Errors
/// As [`decode`].
pub fn decode_query(raw: &str, plus: Plus) -> Result<Cow<'_, str>, DecodeError> {
    let bytes = raw.as_bytes();
    let first = match plus {
        Plus::Literal => memchr::memchr2(b'%', 0, bytes),
        Plus::Space => memchr::memchr3(b'%', 0, b'+', bytes),
    };
    match first {
        Some(first) => unescape(raw, first, |_| false, plus).map(Cow::Owned),
        None => Ok(Cow::Borrowed(raw)),
    }
}

/// Decodes into bytes, for comparing with a literal; `false` if an escape is malformed.
pub(super) fn unescape_into(raw: &[u8], out: &mut impl Extend<u8>) -> bool {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (plain, escape) = rest.split_at(at);
        let Some(byte) = escaped_byte(escape) else {
            return false;
        };
        out.extend(plain.iter().copied());
        out.extend([byte]);
        rest = escape.get(3..).unwrap_or_default();
    }
    out.extend(rest.iter().copied());
    true
}

/// The byte that the escape at the start of `bytes` stands for.
pub(super) fn escaped_byte(bytes: &[u8]) -> Option<u8> {
    match *bytes {
        [b'%', high, low, ..] => Some(hex(high)? << 4 | hex(low)?),
        _ => None,
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// RFC 6570's `reserved`, which is RFC 3986's.
fn is_reserved(byte: u8) -> bool {
    matches!(
        byte,
        b':' | b'/'
            | b'?'
            | b'#'
            | b'['
            | b']'
            | b'@'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
    )
}

/// Decodes from `first` on, what stands before it being plain.
fn unescape(raw: &str, first: usize, keeps: impl Fn(u8) -> bool, plus: Plus) -> Result<String, DecodeError> {
    let bytes = raw.as_bytes();
    let error = |at, kind| DecodeError { at, kind };
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = first;
    out.extend_from_slice(bytes.get(..first).unwrap_or_default());
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        let width = match byte {
            b'%' => {
                let decoded = escaped_byte(rest).ok_or_else(|| error(at, DecodeErrorKind::Escape))?;
                match decoded {
                    0 => return Err(error(at, DecodeErrorKind::Nul)),
                    kept if keeps(kept) => out.extend_from_slice(rest.get(..3).unwrap_or_default()),
                    decoded => out.push(decoded),
                }
                3
            }
            0 => return Err(error(at, DecodeErrorKind::Nul)),
            b'+' if plus == Plus::Space => {
                out.push(b' ');
                1
            }
            plain => {
                out.push(plain);
                1
            }
        };
        at += width;
    }
    String::from_utf8(out)
        .map_err(|bad| error(raw_offset(bytes, bad.utf8_error().valid_up_to(), keeps), DecodeErrorKind::Utf8))
}

/// Where in the raw text the decoded byte at `decoded` comes from.
fn raw_offset(raw: &[u8], decoded: usize, keeps: impl Fn(u8) -> bool) -> usize {
    let (mut at, mut produced) = (0, 0);
    while produced < decoded && at < raw.len() {
        // A kept escape is three bytes on both sides, any other is one.
        match escaped_byte(raw.get(at..).unwrap_or_default()) {
            Some(byte) if !keeps(byte) => at += 3,
            _ => at += 1,
        }
        produced += 1;
    }
    at
}

#[cfg(test)]
mod tests;
