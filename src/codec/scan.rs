//! Finds the end of plain text, many bytes at a time, for both directions: a JSON string ends at, and text for JSON
//! must be escaped at, the same characters (RFC 8259, section 7).

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks the high bit of the first byte that is a quote, a backslash or a control character; higher marks may be wrong.
#[inline]
const fn specials(word: u64) -> u64 {
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let quotes = zeros(word ^ (ONES * b'"' as u64));
    let backslashes = zeros(word ^ (ONES * b'\\' as u64));
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls) & HIGHS
}

/// Without a branch, so that the compiler makes vector instructions of a loop over it.
#[inline(always)]
const fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// How many bytes come before the first quote, backslash or control character.
#[inline]
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    run_len(bytes, specials, is_special)
}

/// As `plain_len`, but stops at the first byte that is not ASCII, too.
#[inline]
pub(crate) fn plain_ascii_len(bytes: &[u8]) -> usize {
    run_len(bytes, |word| specials(word) | word & HIGHS, |byte| is_special(byte) | (byte >= 0x80))
}

/// Whether the first `len` bytes of the window are plain ASCII.
#[inline(always)]
pub(crate) fn is_plain_ascii(window: &[u8; 32], len: usize) -> bool {
    let (words, _) = window.as_chunks::<8>();
    let mut marks = 0;
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Wrong marks come behind a right one only, so those behind `len` tell nothing of what is before.
        marks |= (specials(word) | word & HIGHS) & WITHIN[len.min(32)][index];
    }
    marks == 0
}

/// By length and word: all bytes of a window that are within the length.
const WITHIN: [[u64; 4]; 33] = {
    let mut table = [[0; 4]; 33];
    let mut len = 0;
    while len <= 32 {
        let mut byte = 0;
        while byte < len {
            table[len][byte / 8] |= 0xff << (8 * (byte % 8));
            byte += 1;
        }
        len += 1;
    }
    table
};

/// Whether a block has a byte that JSON can't hold as it is, or that is not ASCII.
#[inline(always)]
fn needs_care<const N: usize>(block: &[u8; N]) -> bool {
    block.iter().fold(0, |found, &byte| found | u8::from(is_special(byte) | (byte >= 0x80))) != 0
}

/// Appends text that is plain ASCII; appends nothing and says false if it isn't.
#[inline]
pub(crate) fn push_plain_ascii(out: &mut Vec<u8>, text: &[u8]) -> bool {
    match text.len() {
        0 => true,
        1..=3 => {
            let is_plain = !text.iter().any(|&byte| is_special(byte) | (byte >= 0x80));
            if is_plain {
                out.extend_from_slice(text);
            }
            is_plain
        }
        4..=7 => push_ends::<4>(out, text),
        8..=15 => push_ends::<8>(out, text),
        16..=31 => push_ends::<16>(out, text),
        _ => {
            let is_plain = !text.as_chunks::<32>().0.iter().any(needs_care)
                && !text.last_chunk::<32>().is_some_and(needs_care);
            if is_plain {
                out.extend_from_slice(text);
            }
            is_plain
        }
    }
}

/// The same for text of `N` to `2 * N` bytes, as its first and last `N`, which may overlap.
#[inline(always)]
fn push_ends<const N: usize>(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let (Some(first), Some(last)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) else { return false };
    if needs_care(first) | needs_care(last) {
        return false;
    }
    let second = out.len() + text.len() - N;
    out.extend_from_slice(first);
    out.truncate(second);
    out.extend_from_slice(last);
    true
}

/// How many bytes of a text are looked at word by word, before it is taken for a long one.
const SHORT: usize = 24;

#[inline(always)]
fn run_len(bytes: &[u8], marks: impl Fn(u64) -> u64, stops: impl Fn(u8) -> bool) -> usize {
    let words = |from: usize, bytes: &[u8]| {
        for (index, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
            let marks = marks(u64::from_le_bytes(*word));
            if marks != 0 {
                return Some(from + 8 * index + (marks.trailing_zeros() / 8) as usize);
            }
        }
        None
    };
    let (short, long) = bytes.split_at(bytes.len().min(SHORT));
    if let Some(len) = words(0, short) {
        return len;
    }
    let (blocks, _) = long.as_chunks::<32>();
    let is_plain =
        |block: &&[u8; 32]| block.iter().fold(0, |found, &byte| found | u8::from(stops(byte))) == 0;
    let len = short.len() / 8 * 8 + 32 * blocks.iter().take_while(is_plain).count();
    let rest = bytes.get(len..).unwrap_or_default();
    words(len, rest).unwrap_or_else(|| {
        let tail = rest.as_chunks::<8>().1;
        bytes.len() - tail.len() + tail.iter().position(|&byte| stops(byte)).unwrap_or(tail.len())
    })
}

/// Appends `text` as a JSON string with its quotes.
pub(crate) fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text.as_bytes());
    out.push(b'"');
}

/// Appends UTF-8 text with what JSON cannot hold escaped, without quotes.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_len(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else {
            return;
        };
        push_escape(out, byte);
        rest = after;
    }
}

/// As `push_escaped`, but only up to the first byte that is not ASCII: what is left.
pub(crate) fn push_escaped_ascii<'a>(out: &mut Vec<u8>, text: &'a [u8]) -> &'a [u8] {
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_ascii_len(rest));
        out.extend_from_slice(plain);
        match special.split_first() {
            Some((&byte, after)) if byte < 0x80 => {
                push_escape(out, byte);
                rest = after;
            }
            Some(_) | None => return special,
        }
    }
}

/// A character that JSON cannot hold as it is.
fn push_escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digits[0], digits[1]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_byte_loop(bytes in prop::collection::vec(prop_oneof![1 => any::<u8>(), 60 => Just(b'a')], 0..200)) {
            let plain = bytes.iter().position(|&b| is_special(b)).unwrap_or(bytes.len());
            let ascii = bytes.iter().position(|&b| is_special(b) || b >= 0x80).unwrap_or(bytes.len());
            prop_assert_eq!(plain_len(&bytes), plain);
            prop_assert_eq!(plain_ascii_len(&bytes), ascii);
        }

        #[test]
        fn windows_of_any_length(bytes in prop::array::uniform32(prop_oneof![1 => any::<u8>(), 30 => Just(b'a')])) {
            for len in 0..=32 {
                prop_assert_eq!(is_plain_ascii(&bytes, len), plain_ascii_len(&bytes[..len]) == len);
            }
        }

        #[test]
        fn strings_come_back(text in any::<String>()) {
            let mut out = Vec::new();
            push_json_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn plain_text_of_any_length(bytes in prop::collection::vec(prop_oneof![1 => any::<u8>(), 200 => 0x20..0x7fu8], 0..100)) {
            let is_plain = plain_ascii_len(&bytes) == bytes.len();
            let mut out = b"x".to_vec();
            prop_assert_eq!(push_plain_ascii(&mut out, &bytes), is_plain);
            prop_assert_eq!(&out[..1], b"x");
            prop_assert_eq!(&out[1..], if is_plain { &bytes[..] } else { b"" });
        }

        #[test]
        fn ascii_up_to_what_is_none(text in "[a\"\\\\\n]{0,40}", more in "(é.*)?") {
            let whole = format!("{text}{more}");
            let (mut out, mut want) = (Vec::new(), Vec::new());
            prop_assert_eq!(push_escaped_ascii(&mut out, whole.as_bytes()), more.as_bytes());
            push_escaped(&mut want, text.as_bytes());
            prop_assert_eq!(out, want);
        }
    }
}
