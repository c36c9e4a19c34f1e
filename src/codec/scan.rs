//! Finds the end of plain text eight bytes at a time, for both directions: a JSON string ends at, and text for JSON
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

const fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// How many bytes come before the first quote, backslash or control character.
#[inline]
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    run_len(bytes, specials, is_special)
}

/// As `plain_len`, but stops at the first byte that is not ASCII, too.
#[inline]
pub(crate) fn plain_ascii_len(bytes: &[u8]) -> usize {
    run_len(bytes, |word| specials(word) | word & HIGHS, |byte| is_special(byte) || byte >= 0x80)
}

#[inline(always)]
fn run_len(bytes: &[u8], marks: impl Fn(u64) -> u64, stops: impl Fn(u8) -> bool) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut len = 0;
    for word in words {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return len + (marks.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    len + tail.iter().position(|&byte| stops(byte)).unwrap_or(tail.len())
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
                out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    HEX[usize::from(byte >> 4)],
                    HEX[usize::from(byte & 15)],
                ]);
            }
        }
        rest = after;
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
        fn strings_come_back(text in any::<String>()) {
            let mut out = Vec::new();
            push_json_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
