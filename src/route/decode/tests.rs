use DecodeErrorKind as Kind;
use proptest::prelude::*;

use super::*;

/// Raw, then decoded with reserved kept, with slashes kept, wholly.
const CAPTURES: &[(&str, &str, &str, &str)] = &[
    ("", "", "", ""),
    ("plain", "plain", "plain", "plain"),
    ("a/b", "a/b", "a/b", "a/b"),
    ("a%20b", "a b", "a b", "a b"),
    ("a%2Fb", "a%2Fb", "a%2Fb", "a/b"),
    ("a%2fb", "a%2fb", "a%2fb", "a/b"),
    ("a+b", "a+b", "a+b", "a+b"),
    ("%C3%A9%e2%82%ac", "é€", "é€", "é€"),
    ("é%20", "é ", "é ", "é "),
    ("%25", "%", "%", "%"),
    ("%252F", "%2F", "%2F", "%2F"),
    ("%41%5a%30", "AZ0", "AZ0", "AZ0"),
    ("%3A%2F%3F%23", "%3A%2F%3F%23", ":%2F?#", ":/?#"),
    ("%5B%5D%40", "%5B%5D%40", "[]@", "[]@"),
    ("%21%24%26%27%28%29", "%21%24%26%27%28%29", "!$&'()", "!$&'()"),
    ("%2A%2B%2C%3B%3D", "%2A%2B%2C%3B%3D", "*+,;=", "*+,;="),
    ("%2D%2E%5F%7E%22%3C", "-._~\"<", "-._~\"<", "-._~\"<"),
];

#[test]
fn captures() {
    for &(raw, reserved, slash, all) in CAPTURES {
        assert_eq!(decode(raw, Decoding::KeepReserved).as_deref(), Ok(reserved), "{raw}");
        assert_eq!(decode(raw, Decoding::KeepSlash).as_deref(), Ok(slash), "{raw}");
        assert_eq!(decode(raw, Decoding::All).as_deref(), Ok(all), "{raw}");
    }
}

/// Raw, with `+` as itself, with `+` as a space.
const QUERY: &[(&str, &str, &str)] = &[
    ("", "", ""),
    ("a+b", "a+b", "a b"),
    ("a%2Bb", "a+b", "a+b"),
    ("a%20+b", "a +b", "a  b"),
    ("+", "+", " "),
    ("%2F%3d", "/=", "/="),
    ("%C3%A9+", "é+", "é "),
];

#[test]
fn query_components() {
    for &(raw, literal, space) in QUERY {
        assert_eq!(decode_query(raw, Plus::Literal).as_deref(), Ok(literal), "{raw}");
        assert_eq!(decode_query(raw, Plus::Space).as_deref(), Ok(space), "{raw}");
    }
}

/// Raw, where the trouble starts, what it is.
const BAD: &[(&str, usize, Kind)] = &[
    ("%", 0, Kind::Escape),
    ("a%2", 1, Kind::Escape),
    ("%zz", 0, Kind::Escape),
    ("%20%4g", 3, Kind::Escape),
    ("%+1", 0, Kind::Escape),
    ("%é", 0, Kind::Escape),
    ("ab%00", 2, Kind::Nul),
    ("a\0", 1, Kind::Nul),
    ("%20\0", 3, Kind::Nul),
    ("%ff", 0, Kind::Utf8),
    ("a%20%C3", 4, Kind::Utf8),
    ("%C3%28", 0, Kind::Utf8),
    ("%2F%ff", 3, Kind::Utf8),
    ("%c0%80", 0, Kind::Utf8),
    ("%ed%a0%80", 0, Kind::Utf8),
    ("é%41%e2%82x", 5, Kind::Utf8),
];

#[test]
fn errors() {
    for &(raw, at, kind) in BAD {
        for decoding in [Decoding::KeepReserved, Decoding::KeepSlash, Decoding::All] {
            assert_eq!(decode(raw, decoding), Err(DecodeError { at, kind }), "{raw} {decoding:?}");
        }
        for plus in [Plus::Literal, Plus::Space] {
            assert_eq!(decode_query(raw, plus), Err(DecodeError { at, kind }), "{raw} {plus:?}");
        }
    }
    let error = decode("ab%zz", Decoding::All).expect_err("malformed");
    assert_eq!(error.to_string(), "a `%` without two hexadecimal digits at byte 2");
}

#[test]
fn borrows_what_needs_no_decoding() {
    assert!(matches!(decode("a/b+c", Decoding::All), Ok(Cow::Borrowed("a/b+c"))));
    assert!(matches!(decode_query("a+b", Plus::Literal), Ok(Cow::Borrowed("a+b"))));
}

/// Escapes every byte that `plain` does not name.
fn escape(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            plain_byte if plain(byte) => escaped.push(char::from(plain_byte)),
            other => escaped.push_str(&format!("%{other:02x}")),
        }
    }
    escaped
}

proptest! {
    /// Any text without NUL comes back, however much of it is escaped.
    #[test]
    fn escaped_text_comes_back(text in "[^\0]{0,20}", mask in any::<u128>()) {
        let raw = escape(&text, |byte| byte.is_ascii() && byte != b'%' && mask >> byte & 1 == 1);
        prop_assert_eq!(decode(&raw, Decoding::All).unwrap(), text.as_str());
        let form = escape(&text, |byte| byte.is_ascii_alphanumeric()).replace("%20", "+");
        prop_assert_eq!(decode_query(&form, Plus::Space).unwrap(), text.as_str());
    }

    /// What is kept is exactly the escapes of reserved characters, so that decoding those
    /// afterwards gives what decoding wholly gives.
    #[test]
    fn kept_escapes_are_the_reserved_ones(text in "[a-z:/?#@!$&'()*+,;=é\\[\\] ]{0,20}") {
        let raw = escape(&text, |_| false);
        let reserved = ":/?#[]@!$&'()*+,;=";
        let once = decode(&raw, Decoding::KeepReserved).unwrap();
        let kept = text.chars().filter(|&c| reserved.contains(c)).count();
        prop_assert_eq!(once.matches('%').count(), kept);
        prop_assert_eq!(decode(&once, Decoding::All).unwrap(), text.as_str());
        let slashes = decode(&raw, Decoding::KeepSlash).unwrap();
        prop_assert_eq!(slashes.into_owned(), text.replace('/', "%2f"));
    }

    /// Bytes that are not text never come out as text, and the offset is an escape's start.
    #[test]
    fn other_bytes_are_errors(bytes in proptest::collection::vec(1_u8.., 0..12)) {
        let raw: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
        match std::str::from_utf8(&bytes) {
            Ok(text) => prop_assert_eq!(decode(&raw, Decoding::All).unwrap(), text),
            Err(bad) => prop_assert_eq!(
                decode(&raw, Decoding::All),
                Err(DecodeError { at: bad.valid_up_to() * 3, kind: Kind::Utf8 })
            ),
        }
    }
}
