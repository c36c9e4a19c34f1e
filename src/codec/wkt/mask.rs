//! FieldMask as text: paths in lowerCamelCase, joined by commas. `google/protobuf/field_mask.proto`, "JSON Encoding of
//! Field Masks": what does not survive the way there and back is an error.

use super::super::wire::Open;

/// The tag of `FieldMask.paths`.
const PATHS: u8 = 0x0a;

/// Appends the contents of a FieldMask given in lowerCamelCase, as JSON has it; `None` for anything else.
pub(crate) fn mask_from_json(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    push_paths(text, out, |byte| byte != b'_')
}

/// As above, from a query parameter: paths in snake_case are taken, too.
pub(crate) fn mask_from_text(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    push_paths(text, out, |_| true)
}

fn push_paths(text: &[u8], out: &mut Vec<u8>, allowed: impl Fn(u8) -> bool) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    for path in text.split(|&byte| byte == b',') {
        if path.is_empty() || !path.iter().all(|&byte| allowed(byte) && !is_strange(byte)) {
            return None;
        }
        out.push(PATHS);
        let open = Open::begin(out);
        for &byte in path {
            if byte.is_ascii_uppercase() {
                out.push(b'_');
            }
            out.push(byte.to_ascii_lowercase());
        }
        open.end(out);
    }
    Some(())
}

/// What could not be told from the end of a path or of the string.
const fn is_strange(byte: u8) -> bool {
    matches!(byte, b',' | b'"' | b'\\' | 0..0x20)
}

/// Appends one path in lowerCamelCase; `None` if it would not come back the same.
pub(crate) fn push_json_path(path: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if path.is_empty() {
        return None;
    }
    let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'.');
    let (plain, rest) = path.split_at(path.iter().position(|byte| !plain(byte)).unwrap_or(path.len()));
    out.extend_from_slice(plain);
    let mut raise = false;
    for &byte in rest {
        match byte {
            b'_' if raise => return None,
            b'_' => raise = true,
            b'a'..=b'z' if raise => {
                out.push(byte.to_ascii_uppercase());
                raise = false;
            }
            _ if raise || byte.is_ascii_uppercase() => return None,
            _ if is_strange(byte) => return None,
            _ => out.push(byte),
        }
    }
    (!raise).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str, read: fn(&[u8], &mut Vec<u8>) -> Option<()>) -> Option<String> {
        let mut out = Vec::new();
        read(text.as_bytes(), &mut out)?;
        let mut wire = super::super::super::wire::Wire::new(&out);
        let mut paths = Vec::new();
        while !wire.is_empty() {
            assert_eq!(wire.tag().unwrap(), (1, 2));
            paths.push(String::from_utf8(wire.bytes().unwrap().to_vec()).unwrap());
        }
        Some(paths.join("|"))
    }

    #[test]
    fn reads() {
        let table = [
            ("", Some(""), Some("")),
            ("fooBar", Some("foo_bar"), Some("foo_bar")),
            ("a.bC,d", Some("a.b_c|d"), Some("a.b_c|d")),
            ("*", Some("*"), Some("*")),
            ("foo_bar", None, Some("foo_bar")),
            ("a,,b", None, None),
            ("a,", None, None),
            ("a\\b", None, None),
            ("a\"b", None, None),
            ("a\nb", None, None),
        ];
        for (text, json, query) in table {
            assert_eq!(paths(text, mask_from_json).as_deref(), json, "{text}");
            assert_eq!(paths(text, mask_from_text).as_deref(), query, "{text}");
        }
    }

    #[test]
    fn writes_only_what_comes_back() {
        let table = [
            ("foo_bar", Some("fooBar")),
            ("a.b_c", Some("a.bC")),
            ("*", Some("*")),
            ("foo__bar", None),
            ("foo_", None),
            ("fooBar", None),
            ("foo_3", None),
            ("a,b", None),
            ("a\"b", None),
            ("a\\b", None),
            ("", None),
        ];
        for (path, expected) in table {
            let mut out = Vec::new();
            let written = push_json_path(path.as_bytes(), &mut out).map(|()| String::from_utf8(out).unwrap());
            assert_eq!(written.as_deref(), expected, "{path}");
        }
    }
}
