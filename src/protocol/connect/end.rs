//! The last frame of a stream: how it ended, and trailing metadata ("Error and EndStreamResponse").

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use serde::Serialize;

use super::error::Described;
use crate::protocol::metadata;
use crate::upstream::FRAME_HEAD;

/// The flag of the last frame.
const END: u8 = 2;

#[derive(Serialize)]
struct End<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'e Described<'e>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<&'e str, Vec<Cow<'e, str>>>,
}

/// The frame behind all messages.
pub(super) fn frame(error: Option<&Described<'_>>, trailers: HeaderMap) -> Bytes {
    let trailers = metadata::into_response(trailers);
    let mut metadata: BTreeMap<&str, Vec<Cow<'_, str>>> = BTreeMap::new();
    for (name, value) in &trailers {
        metadata.entry(name.as_str()).or_default().push(String::from_utf8_lossy(value.as_bytes()));
    }
    // Texts and ready JSON can always be written.
    let json = serde_json::to_vec(&End { error, metadata }).unwrap_or_default();
    let mut frame = BytesMut::with_capacity(FRAME_HEAD + json.len());
    frame.put_u8(END);
    // Heads are limited to far less than 4 GiB.
    frame.put_u32(u32::try_from(json.len()).unwrap_or(u32::MAX));
    frame.put_slice(&json);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn an_end_may_say_nothing() {
        assert_eq!(frame(None, HeaderMap::new()), &b"\x02\0\0\0\x02{}"[..]);
    }

    #[test]
    fn trailing_metadata_is_lists() {
        let mut trailers = HeaderMap::new();
        for (name, value) in [("x-a", "1"), ("grpc-status", "0"), ("x-a", "2"), ("b-bin", "AA")] {
            trailers.append(name, HeaderValue::from_static(value));
        }
        let frame = frame(None, trailers);
        assert_eq!(frame.get(5..), Some(&br#"{"metadata":{"b-bin":["AA"],"x-a":["1","2"]}}"#[..]));
    }
}
