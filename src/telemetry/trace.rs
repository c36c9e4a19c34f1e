//! Request ids and W3C trace context: what comes in is passed on, what is missing is made.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The request's id, in the request, in the answer and in logs.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C Trace Context, section 3.2.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// W3C Trace Context, section 3.3.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A longer id than this is replaced, since it is copied into every log.
const LONGEST_ID: usize = 128;

/// The request's own id, if it has a usable one; otherwise a new one, set in `headers`.
pub fn request_id(headers: &mut HeaderMap) -> HeaderValue {
    if let Some(id) = headers.get(&REQUEST_ID) {
        let usable = |id: &[u8]| (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
        if usable(id.as_bytes()) {
            return id.clone();
        }
    }
    let id = once(&hex::<32>(fastrand::u128(..)));
    headers.insert(REQUEST_ID, id.clone());
    id
}

/// Makes sure that there is a valid `traceparent`. One that is made says "not sampled", since nothing is known of the
/// sampling that is wanted; a `tracestate` without a valid parent goes.
pub fn traceparent(headers: &mut HeaderMap) {
    if headers.get(&TRACEPARENT).is_some_and(|parent| is_traceparent(parent.as_bytes())) {
        return;
    }
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    // All zero is invalid; one in 2^128 would be.
    text[3..35].copy_from_slice(&hex::<32>(fastrand::u128(1..)));
    text[36..52].copy_from_slice(&hex::<16>(fastrand::u64(1..).into()));
    headers.insert(TRACEPARENT, once(&text));
    headers.remove(&TRACESTATE);
}

/// A value that is never seen again: it must not push useful entries out of HPACK's table (RFC 7541, section 7.1.3).
fn once(text: &[u8]) -> HeaderValue {
    let mut value = HeaderValue::from_bytes(text).unwrap_or_else(|_| HeaderValue::from_static("0"));
    value.set_sensitive(true);
    value
}

/// The lowest `N` hexadecimal digits of `number`.
fn hex<const N: usize>(mut number: u128) -> [u8; N] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(number & 0xf) as usize];
        number >>= 4;
    }
    text
}

fn is_traceparent(text: &[u8]) -> bool {
    let lower_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let Some(text) = text.get(..55).filter(|start| {
        // A later version may have more behind a dash; version 00 has not.
        text.len() == 55 || (start[..2] != *b"00" && text[55] == b'-')
    }) else {
        return false;
    };
    let (version, trace, parent, flags) = (&text[..2], &text[3..35], &text[36..52], &text[53..]);
    text[2] == b'-'
        && text[35] == b'-'
        && text[52] == b'-'
        && [version, trace, parent, flags].into_iter().all(lower_hex)
        && version != b"ff"
        && !zero(trace)
        && !zero(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_parents() {
        for (text, want) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", false),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", true),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736", false),
            ("", false),
        ] {
            assert_eq!(is_traceparent(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn a_made_parent_is_valid_and_takes_the_state_away() {
        let mut headers = HeaderMap::new();
        headers.insert(TRACESTATE, HeaderValue::from_static("a=b"));
        traceparent(&mut headers);
        assert!(is_traceparent(headers[TRACEPARENT].as_bytes()));
        assert!(!headers.contains_key(TRACESTATE));
    }

    #[test]
    fn ids_are_kept_or_made() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("mine"));
        assert_eq!(request_id(&mut headers), "mine");
        for bad in ["", "a b"] {
            headers.insert(REQUEST_ID, HeaderValue::from_static(bad));
            assert_eq!(request_id(&mut headers).len(), 32);
            assert_eq!(headers[REQUEST_ID].len(), 32);
        }
    }
}
