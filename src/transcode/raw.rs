//! google.api.HttpBody: bodies that are no JSON, in and out.

use bytes::{Bytes, BytesMut};
use prost::Message;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, key_len, skip_field,
};

use crate::codec::{FieldId, Plan};
use crate::fault::{Code, Fault};

/// The full name of the message that stands for a raw body.
const HTTP_BODY: &str = "google.api.HttpBody";

/// google/api/httpbody.proto. What it carries besides is nobody's on this way.
#[derive(Clone, PartialEq, Message)]
pub struct HttpBody {
    /// The value of `Content-Type`.
    #[prost(string, tag = "1")]
    pub content_type: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub data: Bytes,
}

/// Whether messages of this type are raw bodies.
#[must_use]
pub fn is_raw(plan: &Plan) -> bool {
    plan.full_name() == HTTP_BODY
}

/// The raw body that a reply is, or that stands in one of its fields. Its data is a slice of the message.
///
/// # Errors
/// A message that can't be read is the backend's fault (INTERNAL).
pub fn raw_reply(plan: &Plan, field: Option<FieldId>, message: Bytes) -> Result<HttpBody, Fault> {
    let body = match field {
        None => Some(message),
        Some(field) => field_bytes(message, plan.field(field).number()),
    };
    body.and_then(|body| HttpBody::decode(body).ok()).ok_or_else(|| {
        Fault::broken_backend(
            Code::Internal,
            "UNREADABLE_REPLY",
            "the backend's reply does not fit its schema",
        )
        .because(format!("{}: no HttpBody", plan.full_name()))
    })
}

/// The bytes of a message field: those of all its occurrences, which the wire format merges by their concatenation.
fn field_bytes(message: Bytes, number: u32) -> Option<Bytes> {
    let mut rest = message;
    let mut found = Bytes::new();
    // Where there are several, which encoders hardly make.
    let mut merged = BytesMut::new();
    while !rest.is_empty() {
        let (tag, wire_type) = decode_key(&mut rest).ok()?;
        let mut value = rest.clone();
        skip_field(wire_type, tag, &mut rest, DecodeContext::default()).ok()?;
        value.truncate(value.len() - rest.len());
        match wire_type {
            WireType::LengthDelimited if tag == number => {
                // Its length was good enough to be skipped.
                decode_varint(&mut value).ok()?;
            }
            // All that was taken but for the end tag.
            WireType::StartGroup if tag == number => value.truncate(value.len().checked_sub(key_len(tag))?),
            _ => continue,
        }
        if found.is_empty() && merged.is_empty() {
            found = value;
            continue;
        }
        merged.extend_from_slice(&std::mem::take(&mut found));
        merged.extend_from_slice(&value);
    }
    Some(if merged.is_empty() { found } else { merged.freeze() })
}

/// Where a raw body stands in a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The number of the field.
    pub number: u32,
    /// Whether it stands between tags, not behind its length.
    pub delimited: bool,
}

/// Writes a raw body as this field, or, without one, as the message itself.
pub(super) fn write_raw(field: Option<Place>, body: &HttpBody, out: &mut Vec<u8>) {
    match field {
        None => {}
        Some(Place { number, delimited: true }) => encode_key(number, WireType::StartGroup, out),
        Some(Place { number, delimited: false }) => {
            encode_key(number, WireType::LengthDelimited, out);
            encode_varint(body.encoded_len() as u64, out);
        }
    }
    out.reserve(body.encoded_len());
    // It fails only for buffers that are full, which a vector never is.
    let _ = body.encode(out);
    if let Some(Place { number, delimited: true }) = field {
        encode_key(number, WireType::EndGroup, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(data: &'static [u8]) -> HttpBody {
        HttpBody { content_type: "text/plain".into(), data: Bytes::from_static(data) }
    }

    #[test]
    fn a_field_is_written_and_found_again() {
        for delimited in [false, true] {
            for number in [7, 70_000] {
                let mut message = vec![0x08, 0x01];
                write_raw(Some(Place { number, delimited }), &body(b"hello"), &mut message);
                message.extend_from_slice(&[0x10, 0x02]);
                let found = field_bytes(message.into(), number).unwrap();
                assert_eq!(HttpBody::decode(found).unwrap(), body(b"hello"));
            }
        }
    }

    #[test]
    fn split_fields_are_merged() {
        let mut message = Vec::new();
        let field = Some(Place { number: 7, delimited: false });
        write_raw(field, &HttpBody { content_type: "a/b".into(), data: Bytes::new() }, &mut message);
        write_raw(
            field,
            &HttpBody { content_type: String::new(), data: Bytes::from_static(b"x") },
            &mut message,
        );
        let found = HttpBody::decode(field_bytes(message.into(), 7).unwrap()).unwrap();
        assert_eq!((found.content_type.as_str(), found.data.as_ref()), ("a/b", &b"x"[..]));
    }

    #[test]
    fn damaged_messages_are_no_bodies() {
        for damaged in [&[0x3a, 0x05, 0x01][..], &[0x3a], &[0xff, 0xff], &[0x3b, 0x08, 0x01]] {
            assert_eq!(field_bytes(Bytes::copy_from_slice(damaged), 7), None);
        }
    }
}
