//! How a call ended: grpc-status and its company, and what everything that is no grpc-status means.

use std::borrow::Cow;

use base64_simd::forgiving_decode_to_vec;
use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, StatusCode, header};
use prost::Message;

use super::frame::broken;
use super::member::Outcome;
use crate::fault::{Any, Code, Fault, Kind, RpcStatus};

/// What the headers or trailers of a reply say.
pub(super) enum Ending {
    Ok,
    Failed(Fault),
    /// There is no grpc-status among them.
    Unsaid,
}

/// Reads `grpc-status`, `grpc-message` and `grpc-status-details-bin`.
pub(super) fn ending(headers: &HeaderMap) -> Ending {
    let Some(status) = headers.get("grpc-status") else { return Ending::Unsaid };
    if status == "0" {
        return Ending::Ok;
    }
    let number = status.to_str().ok().and_then(|status| status.parse::<u32>().ok());
    // `00` and the like are OK to those that parse numbers.
    if number == Some(0) {
        return Ending::Ok;
    }
    let code = number.and_then(Code::from_number).unwrap_or(Code::Unknown);
    Ending::Failed(Fault::from_backend(code, message(headers), details(headers)))
}

/// `grpc-message` is percent-encoded; what is not rightly so is taken as it stands.
fn message(headers: &HeaderMap) -> String {
    let Some(message) = headers.get("grpc-message") else { return String::new() };
    match percent_encoding::percent_decode(message.as_bytes()).decode_utf8_lossy() {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

fn details(headers: &HeaderMap) -> Vec<Any> {
    let Some(value) = headers.get("grpc-status-details-bin") else { return Vec::new() };
    forgiving_decode_to_vec(value.as_bytes())
        .ok()
        .and_then(|bytes| RpcStatus::decode(Bytes::from(bytes)).ok())
        .map_or_else(Vec::new, |status| status.details)
}

/// A reply whose headers show that no gRPC server wrote it; `None` where they are in order.
pub(super) fn foreign(status: StatusCode, headers: &HeaderMap) -> Option<Fault> {
    if status != StatusCode::OK {
        let message = "the backend answered with an HTTP error";
        return Some(
            Fault::broken_backend(Code::from_http_status(status), "BACKEND_HTTP_STATUS", message)
                .because(format!("HTTP status {status}")),
        );
    }
    let grpc = headers.get(header::CONTENT_TYPE).is_some_and(|value| is_grpc(value.as_bytes()));
    if !grpc {
        let message = "the backend answered with something that is not gRPC";
        return Some(
            Fault::broken_backend(Code::Unknown, "BACKEND_NOT_GRPC", message)
                .because(format!("content type {:?}", headers.get(header::CONTENT_TYPE))),
        );
    }
    None
}

/// `application/grpc`, alone or with a `+codec` or a parameter.
fn is_grpc(content_type: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    match content_type.split_at_checked(GRPC.len()) {
        Some((start, rest)) => {
            start.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';'))
        }
        None => false,
    }
}

/// A call whose trailers are gone or say nothing.
pub(super) fn unsaid() -> Fault {
    Fault::broken_backend(Code::Unknown, "NO_STATUS", "the backend ended the call without a status")
}

/// What an HTTP/2 error says of whom the call was to.
pub(super) fn outcome(error: &h2::Error) -> Outcome {
    match error.reason() {
        // Our own side refuses replies that break the rules of HTTP/2, and heads over their limit.
        _ if error.is_reset() && !error.is_remote() => Outcome::NotGrpc,
        Some(reason) if error.is_reset() => Outcome::Reset(reason),
        // It is told to streams behind the last one that the backend has begun with, and to no others.
        _ if error.is_go_away() && error.is_remote() => Outcome::TakenBack,
        _ => Outcome::Lost,
    }
}

/// What an HTTP/2 error means (gRPC over HTTP/2, "Errors").
pub(super) fn from_h2(error: &h2::Error) -> Fault {
    match outcome(error) {
        Outcome::NotGrpc => broken("a reply that HTTP/2 does not allow, or a head over its limit"),
        Outcome::Reset(reason) => {
            Fault::broken_backend(from_reason(reason), "BACKEND_RESET", "the backend reset the call")
                .because(error.to_string())
        }
        Outcome::Lost
        | Outcome::Ok
        | Outcome::Status(_)
        | Outcome::TakenBack
        | Outcome::Unreachable
        | Outcome::TimedOut
        | Outcome::TryTimedOut
        | Outcome::Abandoned => {
            Fault::new(Kind::Lost, "CONNECTION_LOST", "the connection to the backend was lost")
                .because(error.to_string())
        }
    }
}

fn from_reason(reason: Reason) -> Code {
    match reason {
        Reason::REFUSED_STREAM => Code::Unavailable,
        Reason::CANCEL => Code::Cancelled,
        Reason::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        Reason::INADEQUATE_SECURITY => Code::PermissionDenied,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn fault(ending: Ending) -> Fault {
        match ending {
            Ending::Failed(fault) => fault,
            Ending::Ok => panic!("OK"),
            Ending::Unsaid => panic!("no status"),
        }
    }

    #[test]
    fn statuses() {
        assert!(matches!(ending(&headers(&[("grpc-status", "0")])), Ending::Ok));
        assert!(matches!(ending(&headers(&[])), Ending::Unsaid));
        for (status, code) in
            [("5", Code::NotFound), ("99", Code::Unknown), ("x", Code::Unknown), ("-1", Code::Unknown)]
        {
            assert_eq!(fault(ending(&headers(&[("grpc-status", status)]))).code(), code, "{status}");
        }
    }

    #[test]
    fn messages_are_decoded_leniently() {
        for (given, want) in
            [("no%20such", "no such"), ("100%", "100%"), ("%zz", "%zz"), ("caf%C3%A9", "café")]
        {
            let fault = fault(ending(&headers(&[("grpc-status", "5"), ("grpc-message", given)])));
            assert_eq!(fault.message(), want);
        }
    }

    #[test]
    fn details_with_and_without_padding_and_broken_ones() {
        let any = Any { type_url: "t/x.Y".into(), value: Bytes::from_static(b"v") };
        let status = RpcStatus { code: 5, message: "m".into(), details: vec![any.clone()] };
        let encoded = base64_simd::STANDARD.encode_to_string(status.encode_to_vec());
        for (text, want) in [
            (encoded.as_str(), vec![any.clone()]),
            (encoded.trim_end_matches('='), vec![any]),
            ("%%%", vec![]),
        ] {
            let fault = fault(ending(&headers(&[("grpc-status", "5"), ("grpc-status-details-bin", text)])));
            assert_eq!(fault.details(None), want, "{text}");
        }
    }

    #[test]
    fn content_types() {
        for (given, want) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=1", true),
            ("application/grpcx", false),
            ("text/html", false),
        ] {
            assert_eq!(is_grpc(given.as_bytes()), want, "{given}");
        }
    }
}
