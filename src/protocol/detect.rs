//! Which protocol a request speaks. Its head alone tells, before anything is looked up, so that every failure from here
//! on has a form that its client understands.

use http::header;
use http::request::Parts;

use super::websocket;
use crate::policy::{Protocol, WebForm};

/// The protocol by the content type; whatever is nothing else is REST.
#[must_use]
pub fn detect(head: &Parts) -> Protocol {
    let content_type = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if websocket::is_handshake(head) {
        Protocol::WebSocket
    } else if is_type(content_type, b"application/grpc") {
        Protocol::Grpc
    } else if is_type(content_type, b"application/grpc-web") {
        Protocol::GrpcWeb(WebForm::Binary)
    } else if is_type(content_type, b"application/grpc-web-text") {
        Protocol::GrpcWeb(WebForm::Text)
    } else {
        Protocol::Rest
    }
}

/// Whether a content type is `name`, alone, with a `+codec`, or with parameters.
pub(crate) fn is_type(content_type: &[u8], name: &[u8]) -> bool {
    match content_type.split_at_checked(name.len()) {
        Some((start, rest)) => {
            start.eq_ignore_ascii_case(name) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn content_types_tell() {
        let cases = [
            ("application/grpc", Protocol::Grpc),
            ("application/grpc+proto", Protocol::Grpc),
            ("Application/GRPC; charset=utf-8", Protocol::Grpc),
            ("application/grpc+thrift", Protocol::Grpc),
            ("application/grpcx", Protocol::Rest),
            ("application/grpc-web", Protocol::GrpcWeb(WebForm::Binary)),
            ("application/grpc-web+proto", Protocol::GrpcWeb(WebForm::Binary)),
            ("application/grpc-web-text", Protocol::GrpcWeb(WebForm::Text)),
            ("application/grpc-web-text+proto", Protocol::GrpcWeb(WebForm::Text)),
            ("application/grpc-webs", Protocol::Rest),
            ("application/json", Protocol::Rest),
            ("", Protocol::Rest),
        ];
        for (content_type, protocol) in cases {
            let request = Request::builder().header("content-type", content_type).body(()).unwrap();
            assert_eq!(detect(&request.into_parts().0), protocol, "{content_type}");
        }
        assert_eq!(detect(&Request::new(()).into_parts().0), Protocol::Rest);
    }
}
