//! Base64 that arrives in pieces. Senders may encode each piece by itself, so padding can stand anywhere between groups.

/// Decodes a body in base64, cut anywhere.
#[derive(Debug, Default)]
pub(super) struct TextDecoder {
    /// The beginning of a group of four.
    carry: Vec<u8>,
}

/// Something that is no base64.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoBase64;

/// Characters of a group.
const GROUP: usize = 4;

impl TextDecoder {
    /// What these characters make whole.
    pub(super) fn push(&mut self, text: &[u8]) -> Result<Vec<u8>, NoBase64> {
        let mut out = Vec::with_capacity((self.carry.len() + text.len()) / GROUP * 3);
        let missing = if self.carry.is_empty() { 0 } else { GROUP - self.carry.len() };
        let (first, rest) = text.split_at_checked(missing).unwrap_or((text, &[]));
        self.carry.extend_from_slice(first);
        if self.carry.len() == GROUP {
            decode(&self.carry, &mut out)?;
            self.carry.clear();
        }
        if self.carry.is_empty() {
            let (groups, part) = rest.split_at(rest.len() - rest.len() % GROUP);
            decode_all(groups, &mut out)?;
            self.carry.extend_from_slice(part);
        }
        Ok(out)
    }

    /// Whether all that came belonged to whole groups.
    pub(super) fn is_between(&self) -> bool {
        self.carry.is_empty()
    }
}

/// Whole groups, any of which may end with padding.
fn decode_all(mut groups: &[u8], out: &mut Vec<u8>) -> Result<(), NoBase64> {
    while let Some(padding) = memchr::memchr(b'=', groups) {
        let end = (padding / GROUP + 1) * GROUP;
        let (first, rest) = groups.split_at_checked(end).ok_or(NoBase64)?;
        decode(first, out)?;
        groups = rest;
    }
    decode(groups, out)
}

fn decode(groups: &[u8], out: &mut Vec<u8>) -> Result<(), NoBase64> {
    let decoded = base64_simd::STANDARD.decode_to_vec(groups).map_err(|_| NoBase64)?;
    out.extend_from_slice(&decoded);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]]) -> Result<Vec<u8>, NoBase64> {
        let mut decoder = TextDecoder::default();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(decoder.push(piece)?);
        }
        if decoder.is_between() { Ok(out) } else { Err(NoBase64) }
    }

    #[test]
    fn pieces_are_joined_wherever_they_are_cut() {
        let want = b"hello, a, bc, def!";
        let text: String = [&want[..7], &want[7..8], &want[8..], b""]
            .iter()
            .map(|part| base64_simd::STANDARD.encode_to_string(part))
            .collect();
        let text = text.as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(all(&pieces).unwrap(), want, "cuts {first}, {second}");
            }
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["a", "ab", "abc", "ab==c", "a===", "====", "ab=c", "ab cd", "-_-_", "abcd="] {
            assert!(all(&[text.as_bytes()]).is_err(), "{text}");
        }
    }
}
