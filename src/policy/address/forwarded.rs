//! What proxies write of a request's way: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! Both are read from their end, element by element. What stands left of the element that is wanted was written by
//! somebody else, perhaps the client itself, and is not looked at: it can spoil nothing.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// The address of a node in `X-Forwarded-For`: with or without a port, IPv6 with or without brackets.
pub(super) fn listed_node(bytes: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.parse().ok().or_else(|| node(text)).map(|address: IpAddr| address.to_canonical())
}

/// The address of a node as RFC 7239, section 6 writes it: IPv6 in brackets, ports after a colon. None for `unknown` and
/// for identifiers that hide it.
fn node(text: &str) -> Option<IpAddr> {
    if text.contains('%') {
        // Zones mean nothing on another machine.
        return None;
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
    };
    let known_port = match port.strip_prefix(':') {
        // A hidden port hides no address.
        Some(port) => is_hidden(port) || (port.len() <= 5 && text_is_number(port)),
        None => port.is_empty(),
    };
    let address: IpAddr =
        if text.starts_with('[') { IpAddr::V6(host.parse().ok()?) } else { IpAddr::V4(host.parse().ok()?) };
    known_port.then_some(address)
}

fn text_is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `_` and what follows it (RFC 7239, section 6.3).
fn is_hidden(text: &str) -> bool {
    text.strip_prefix('_').is_some_and(|rest| {
        !rest.is_empty()
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    })
}

/// The last element of a list in which no element can hold a comma, and what stands before it.
pub(super) fn last_listed(list: &[u8]) -> (&[u8], &[u8]) {
    split_before(list, list.iter().rposition(|byte| *byte == b','))
}

/// The last element of a list whose elements may have quoted strings, and what stands before it. Whatever stands before
/// an element that is whole does not change where it begins.
pub(super) fn last_quoted(list: &[u8]) -> (&[u8], &[u8]) {
    let mut is_quoted = false;
    let mut end = list;
    while let Some((byte, before)) = end.split_last() {
        match byte {
            b',' if !is_quoted => return split_before(list, Some(before.len())),
            b'"' if !is_quoted => is_quoted = true,
            // The quote that begins the string is the one that nothing escapes.
            b'"' => {
                let escapes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
                if escapes % 2 == 0 {
                    is_quoted = false;
                }
            }
            _ => {}
        }
        end = before;
    }
    split_before(list, None)
}

fn split_before(list: &[u8], comma: Option<usize>) -> (&[u8], &[u8]) {
    match comma {
        Some(at) => (list.get(..at).unwrap_or_default(), list.get(at + 1..).unwrap_or_default().trim_ascii()),
        None => (&[], list.trim_ascii()),
    }
}

/// One element of `Forwarded`: what a proxy says of whom it was called by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub address: IpAddr,
    /// As it stands, unchecked.
    pub host: Option<String>,
    pub proto: Option<String>,
}

impl Element {
    /// None where it is malformed, or tells no address.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = std::str::from_utf8(bytes).ok()?;
        let (mut by, mut from, mut host, mut proto) = (None, None, None, None);
        loop {
            // An element may have empty pairs.
            if !rest.is_empty() && !rest.starts_with(';') {
                let (name, after) = rest.split_once('=')?;
                if name.is_empty() || !name.bytes().all(is_token) {
                    return None;
                }
                let (value, after) = self::value(after)?;
                rest = after;
                let slot = [("by", &mut by), ("for", &mut from), ("host", &mut host), ("proto", &mut proto)]
                    .into_iter()
                    .find_map(|(known, slot)| name.eq_ignore_ascii_case(known).then_some(slot));
                if let Some(slot) = slot
                    && slot.replace(value).is_some()
                {
                    return None;
                }
            }
            match rest.strip_prefix(';') {
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return None,
            }
        }
        Some(Self {
            address: node(&from?)?.to_canonical(),
            host: host.map(Cow::into_owned),
            proto: proto.map(Cow::into_owned),
        })
    }
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.bytes().position(|byte| !is_token(byte)).unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return (!token.is_empty()).then_some((Cow::Borrowed(token), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((Cow::Owned(value), quoted.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(char),
        }
    }
    None
}

/// A character of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The node as `Forwarded` has it.
pub(super) fn write_node(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    }
}

/// The canonical address of a socket.
pub(super) fn canonical(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_x_forwarded_for() {
        for (text, want) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:4711", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("[::ffff:192.0.2.1]:80", Some("192.0.2.1")),
            ("", None),
            ("unknown", None),
            ("_hidden", None),
            ("192.0.2.256", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:x", None),
            ("192.0.2.1:123456", None),
            ("192.0.2.1 ", None),
            ("192.0.2.01", None),
            ("[192.0.2.1]", None),
            ("[2001:db8::1", None),
            ("2001:db8::1]", None),
            ("[2001:db8::1]80", None),
            ("fe80::1%eth0", None),
            ("[fe80::1%1]:80", None),
            ("example.com", None),
            ("\u{1F600}", None),
        ] {
            let want: Option<IpAddr> = want.map(|want| want.parse().unwrap());
            assert_eq!(listed_node(text.as_bytes()), want, "{text}");
        }
        assert_eq!(listed_node(b"\xff"), None);
    }

    #[test]
    fn elements_of_forwarded() {
        let element = |address: &str, host: Option<&str>, proto: Option<&str>| {
            Some(Element {
                address: address.parse().unwrap(),
                host: host.map(str::to_owned),
                proto: proto.map(str::to_owned),
            })
        };
        for (text, want) in [
            ("for=192.0.2.1", element("192.0.2.1", None, None)),
            ("For=192.0.2.1", element("192.0.2.1", None, None)),
            ("for=\"192.0.2.1:80\"", element("192.0.2.1", None, None)),
            ("for=\"192.0.2.1:_p\"", element("192.0.2.1", None, None)),
            ("for=\"[2001:db8::1]\"", element("2001:db8::1", None, None)),
            ("for=\"[2001:db8::1]:80\"", element("2001:db8::1", None, None)),
            ("for=\"\\1\\92.0.2.1\"", element("192.0.2.1", None, None)),
            (
                "for=192.0.2.1;by=_x;host=\"a.example:8443\";proto=https;ext=\"a, b;c\\\"\"",
                element("192.0.2.1", Some("a.example:8443"), Some("https")),
            ),
            (";for=192.0.2.1;;", element("192.0.2.1", None, None)),
            ("for=2001:db8::1", None),
            ("for=\"2001:db8::1\"", None),
            ("for=unknown", None),
            ("for=_hidden", None),
            ("for=", None),
            ("for", None),
            ("proto=https", None),
            ("", None),
            ("for=192.0.2.1;for=192.0.2.2", None),
            ("for=192.0.2.1; proto=https", None),
            ("for =192.0.2.1", None),
            ("for=\"192.0.2.1", None),
            ("for=\"192.0.2.1\\", None),
            ("for=\"192.0.2.1\"x", None),
            ("for=192.0.2.1\"", None),
            ("for=192.0.2.1;proto=http;proto=https", None),
        ] {
            assert_eq!(Element::parse(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn the_last_element_is_whole_whatever_stands_before_it() {
        const LAST: &str = "for=192.0.2.9;x=\"a, \\\" \\\\\";host=\"b\"";
        for before in
            ["", "for=1.1.1.1", "for=\"", "\"", "\\", "\\\"", "a\"b\"", "for=\"a\\", ",,", "\"\\\\\\"]
        {
            let list = format!("{before}, {LAST}");
            let (rest, last) = last_quoted(list.as_bytes());
            assert_eq!((rest, last), (before.as_bytes(), LAST.as_bytes()), "{before}");
        }
        assert_eq!(last_quoted(LAST.as_bytes()), (&b""[..], LAST.as_bytes()));
        assert_eq!(last_listed(b"a , b ,c "), (&b"a , b "[..], &b"c"[..]));
        assert_eq!(last_listed(b" a"), (&b""[..], &b"a"[..]));
    }
}
