//! `bytes` fields as text: written in the standard alphabet with padding, read in both alphabets (RFC 4648, sections
//! 4 and 5), with or without padding, as ProtoJSON asks.

use base64_simd::{AsOut, STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Appends the base64 of `bytes`.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    STANDARD.encode_append(bytes, out);
}

/// Appends the bytes that `text` stands for; `None` if it is not base64. Left-over bits in the last character are
/// ignored, as other implementations do.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let unpadded = match text {
        [rest @ .., b'=', b'='] | [rest @ .., b'='] if text.len().is_multiple_of(4) => rest,
        _ => text,
    };
    let (groups, tail) = unpadded.split_at(unpadded.len() - unpadded.len() % 4);
    let url_safe = memchr::memchr2(b'-', b'_', unpadded).is_some();
    let alphabet = if url_safe { URL_SAFE_NO_PAD } else { STANDARD_NO_PAD };

    let start = out.len();
    out.resize(start + groups.len() / 4 * 3, 0);
    alphabet.decode(groups, out.get_mut(start..)?.as_out()).ok()?;
    let mut bits = 0u32;
    for &character in tail {
        bits = bits << 6 | u32::from(sextet(character, url_safe)?);
    }
    match tail.len() {
        0 => {}
        2 => out.push((bits >> 4) as u8),
        3 => out.extend_from_slice(&[(bits >> 10) as u8, (bits >> 2) as u8]),
        _ => return None,
    }
    Some(())
}

fn sextet(character: u8, url_safe: bool) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' if !url_safe => 62,
        b'/' if !url_safe => 63,
        b'-' if url_safe => 62,
        b'_' if url_safe => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        decode(text.as_bytes(), &mut out)?;
        Some(out.split_off(6))
    }

    #[test]
    fn spellings() {
        let table: &[(&str, Option<&[u8]>)] = &[
            ("", Some(b"")),
            ("AQID", Some(&[1, 2, 3])),
            ("AQI=", Some(&[1, 2])),
            ("AQI", Some(&[1, 2])),
            ("AQ==", Some(&[1])),
            ("AQ", Some(&[1])),
            ("-_", Some(&[0xfb])),
            ("+/+/", Some(&[0xfb, 0xff, 0xbf])),
            ("-_-_", Some(&[0xfb, 0xff, 0xbf])),
            ("+_+_", None),
            ("-_-_+", None),
            ("AQ=", None),
            ("A", None),
            ("AQIDB", None),
            ("=", None),
            ("====", None),
            ("AQ===", None),
            ("A=ID", None),
            ("AQ D", None),
            ("AQI\n", None),
        ];
        for (text, expected) in table {
            assert_eq!(decoded(text).as_deref(), *expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn comes_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut text = Vec::new();
            encode(&bytes, &mut text);
            let text = String::from_utf8(text).unwrap();
            let url = text.replace('+', "-").replace('/', "_");
            for form in [&text, &url, text.trim_end_matches('='), url.trim_end_matches('=')] {
                prop_assert_eq!(decoded(form), Some(bytes.clone()));
            }
        }
    }
}
