//! A fault as gRPC tells it: `grpc-status`, `grpc-message`, `grpc-status-details-bin` (PROTOCOL-HTTP2, "Responses").

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost::Message;

use crate::fault::{Fault, Kind, RpcStatus};
use crate::policy::Codec;
use crate::protocol::body::ReplyBody;
use crate::protocol::metadata;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// `Percent-Byte-Unencoded` is printable ASCII without the percent sign; the encoder takes care of all beyond ASCII.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// A call that failed before it had an answer: a reply without trailers, unless the backend has sent initial metadata apart
/// from its status.
#[must_use]
pub fn render(codec: Codec, fault: &mut Fault, request_id: Option<&str>) -> Response<ReplyBody> {
    let initial = initial_of(fault);
    let trailers = trailers_of(fault, request_id);
    let (mut headers, body) = if initial.is_empty() {
        (trailers, ReplyBody::empty())
    } else {
        (initial, ReplyBody::with_trailers(Bytes::new(), trailers))
    };
    headers.insert(header::CONTENT_TYPE, content_type(codec));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = headers;
    response
}

/// The initial metadata of a call that its backend failed later.
pub(in crate::protocol) fn initial_of(fault: &mut Fault) -> HeaderMap {
    if fault.kind() != Kind::Backend {
        return HeaderMap::new();
    }
    let (initial, trailing) = fault.take_metadata();
    let mut initial = metadata::into_grpc_response(initial);
    // That of messages which don't come.
    initial.remove(header::CONTENT_TYPE);
    fault.put_trailers(trailing);
    initial
}

/// The content type of an answer whose messages don't pass as they are.
pub(super) fn content_type(codec: Codec) -> HeaderValue {
    HeaderValue::from_static(match codec {
        Codec::Proto | Codec::Other => "application/grpc",
        Codec::Json => "application/grpc+json",
    })
}

/// What the trailers of a failed call say, in the backend's own words where it is the backend's failure.
pub(in crate::protocol) fn trailers_of(fault: &mut Fault, request_id: Option<&str>) -> HeaderMap {
    let mut headers = metadata::into_grpc_response(fault.take_headers());
    headers.extend(metadata::into_grpc_response(fault.take_trailers()));
    if fault.kind() != Kind::Backend || !headers.contains_key(GRPC_STATUS) {
        put_status(fault, request_id, &mut headers);
    }
    headers
}

fn put_status(fault: &Fault, request_id: Option<&str>, headers: &mut HeaderMap) {
    let code = fault.rpc_code().number();
    headers.insert(GRPC_STATUS, HeaderValue::from(code));
    let message = utf8_percent_encode(fault.message(), MESSAGE).to_string();
    // It is ASCII without controls by now.
    if let Ok(value) = HeaderValue::from_str(&message) {
        headers.insert(GRPC_MESSAGE, value);
    }
    let details = fault.details(request_id);
    if !details.is_empty() {
        let code = i32::try_from(code).unwrap_or(i32::MAX);
        let status = RpcStatus { code, message: fault.message().to_owned(), details };
        let text = base64_simd::STANDARD_NO_PAD.encode_to_string(status.encode_to_vec());
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(GRPC_DETAILS, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Code, Detail, ErrorInfo};

    #[test]
    fn an_own_fault_says_all_three() {
        let mut fault = Fault::new(Kind::NoRoute, "NO_ROUTE", "nichts für 100 %\n");
        let response = render(Codec::Proto, &mut fault, Some("r"));
        let headers = response.headers();
        assert_eq!(response.status(), 200);
        assert_eq!(headers["grpc-status"], "12");
        assert_eq!(headers["grpc-message"], "nichts f%C3%BCr 100 %25%0A");
        let bytes = base64_simd::STANDARD_NO_PAD.decode_to_vec(headers["grpc-status-details-bin"].as_bytes());
        let status = RpcStatus::decode(bytes.unwrap().as_slice()).unwrap();
        assert_eq!((status.code, status.message.as_str()), (12, "nichts für 100 %\n"));
        assert_eq!(ErrorInfo::unpack(&status.details[0]).unwrap().reason, "NO_ROUTE");
    }

    #[test]
    fn a_backends_words_stay() {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_STATUS, HeaderValue::from_static("99"));
        headers.insert("x-own", HeaderValue::from_static("1"));
        let mut fault = Fault::from_backend(Code::Unknown, "", Vec::new()).with_headers(headers);
        let response = render(Codec::Json, &mut fault, None);
        assert_eq!(response.headers()["grpc-status"], "99");
        assert_eq!(response.headers()["x-own"], "1");
    }
}
