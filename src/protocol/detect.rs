//! Which protocol a request speaks. Its head alone tells, before anything is looked up, so that every failure from here
//! on has a form that its client understands.

use http::request::Parts;
use http::{Method, header};

use super::connect::asks_by_query;
use super::websocket;
use crate::policy::{Codec, Connect, ConnectForm, Protocol, WebForm};

/// The protocol by the content type; whatever is nothing else is REST.
#[must_use]
pub fn detect(head: &Parts) -> Protocol {
    if websocket::is_handshake(head) {
        return Protocol::WebSocket;
    }
    let media = Media::of(head);
    let codec = || media.codec.map_or(Codec::Proto, codec_of);
    match (media.name, media.codec) {
        (Name::Grpc, _) => Protocol::Grpc(codec()),
        (Name::GrpcWeb, _) => Protocol::GrpcWeb(WebForm::Binary, codec()),
        (Name::GrpcWebText, _) => Protocol::GrpcWeb(WebForm::Text, codec()),
        (Name::Connect, Some(_)) => Protocol::Connect(Connect { form: ConnectForm::Stream, codec: codec() }),
        (Name::Proto, None) => Protocol::Connect(Connect { form: ConnectForm::Unary, codec: Codec::Proto }),
        (Name::Json, None) if head.headers.contains_key("connect-protocol-version") => {
            Protocol::Connect(Connect { form: ConnectForm::Unary, codec: Codec::Json })
        }
        (Name::Connect | Name::Proto | Name::Json | Name::Other, _) => {
            by_query(head, true).map_or(Protocol::Rest, Protocol::Connect)
        }
    }
}

/// How a request speaks Connect that says nothing of it, at a path that is an RPC's own and nothing else.
#[must_use]
pub fn unsaid_connect(head: &Parts) -> Option<Connect> {
    let media = Media::of(head);
    if head.method != Method::POST {
        return by_query(head, false);
    }
    let codec = match (media.name, media.codec) {
        (Name::Json, None) => Codec::Json,
        // It is told which ones there are.
        _ => Codec::Other,
    };
    Some(Connect { form: ConnectForm::Unary, codec })
}

fn by_query(head: &Parts, needs_version: bool) -> Option<Connect> {
    if head.method != Method::GET {
        return None;
    }
    let codec = asks_by_query(head.uri.query()?, needs_version)?;
    Some(Connect { form: ConnectForm::Get, codec })
}

fn codec_of(name: &[u8]) -> Codec {
    if name.eq_ignore_ascii_case(b"proto") {
        Codec::Proto
    } else if name.eq_ignore_ascii_case(b"json") {
        Codec::Json
    } else {
        Codec::Other
    }
}

/// A content type, as far as it matters here: `application/name+codec`, with parameters that don't.
struct Media<'h> {
    name: Name,
    codec: Option<&'h [u8]>,
}

enum Name {
    Grpc,
    GrpcWeb,
    GrpcWebText,
    Connect,
    Proto,
    Json,
    Other,
}

impl<'h> Media<'h> {
    fn of(head: &'h Parts) -> Self {
        let value = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let whole = value.split(|byte| matches!(byte, b';' | b' ')).next().unwrap_or_default();
        let (start, sub) = whole.split_at_checked(b"application/".len()).unwrap_or_default();
        if !start.eq_ignore_ascii_case(b"application/") {
            return Self { name: Name::Other, codec: None };
        }
        let mut parts = sub.splitn(2, |byte| *byte == b'+');
        let (name, codec) = (parts.next().unwrap_or_default(), parts.next());
        let known: [(&[u8], Name); 6] = [
            (b"json", Name::Json),
            (b"grpc", Name::Grpc),
            (b"grpc-web", Name::GrpcWeb),
            (b"grpc-web-text", Name::GrpcWebText),
            (b"connect", Name::Connect),
            (b"proto", Name::Proto),
        ];
        let found = known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        Self { name: found.map_or(Name::Other, |(_, name)| name), codec }
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

    fn connect(form: ConnectForm, codec: Codec) -> Protocol {
        Protocol::Connect(Connect { form, codec })
    }

    #[test]
    fn content_types_tell() {
        let cases = [
            ("application/grpc", Protocol::Grpc(Codec::Proto)),
            ("application/grpc+proto", Protocol::Grpc(Codec::Proto)),
            ("application/grpc+JSON", Protocol::Grpc(Codec::Json)),
            ("Application/GRPC; charset=utf-8", Protocol::Grpc(Codec::Proto)),
            ("application/grpc+thrift", Protocol::Grpc(Codec::Other)),
            ("application/grpcx", Protocol::Rest),
            ("application/grpc-web", Protocol::GrpcWeb(WebForm::Binary, Codec::Proto)),
            ("application/grpc-web+proto", Protocol::GrpcWeb(WebForm::Binary, Codec::Proto)),
            ("application/grpc-web+json", Protocol::GrpcWeb(WebForm::Binary, Codec::Json)),
            ("application/grpc-web-text", Protocol::GrpcWeb(WebForm::Text, Codec::Proto)),
            ("application/grpc-web-text+proto", Protocol::GrpcWeb(WebForm::Text, Codec::Proto)),
            ("application/grpc-webs", Protocol::Rest),
            ("application/connect+proto", connect(ConnectForm::Stream, Codec::Proto)),
            ("application/connect+json; charset=utf-8", connect(ConnectForm::Stream, Codec::Json)),
            ("application/connect+thrift", connect(ConnectForm::Stream, Codec::Other)),
            ("application/connect", Protocol::Rest),
            ("application/proto", connect(ConnectForm::Unary, Codec::Proto)),
            ("application/proto+json", Protocol::Rest),
            ("application/json", Protocol::Rest),
            ("text/json", Protocol::Rest),
            ("", Protocol::Rest),
        ];
        for (content_type, protocol) in cases {
            let request = Request::builder().header("content-type", content_type).body(()).unwrap();
            assert_eq!(detect(&request.into_parts().0), protocol, "{content_type}");
        }
        assert_eq!(detect(&Request::new(()).into_parts().0), Protocol::Rest);
    }

    #[test]
    fn json_is_connect_where_it_says_so_or_nothing_else_is_there() {
        let post = |content_type: &str, version: bool| {
            let request = Request::post("/a.B/C").header("content-type", content_type);
            let request = if version { request.header("connect-protocol-version", "1") } else { request };
            request.body(()).unwrap().into_parts().0
        };
        let json = Connect { form: ConnectForm::Unary, codec: Codec::Json };
        for content_type in ["application/json", "Application/JSON;charset=utf-8"] {
            assert_eq!(detect(&post(content_type, true)), Protocol::Connect(json));
            assert_eq!(detect(&post(content_type, false)), Protocol::Rest);
            assert_eq!(unsaid_connect(&post(content_type, false)), Some(json));
        }
        assert_eq!(detect(&post("application/json+x", true)), Protocol::Rest);
        let other = Connect { form: ConnectForm::Unary, codec: Codec::Other };
        assert_eq!(unsaid_connect(&post("text/plain", true)), Some(other));
    }

    #[test]
    fn queries_tell() {
        let get = |method: &str, query: &str| {
            let uri = format!("/a.B/C?{query}");
            Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0
        };
        let json = Connect { form: ConnectForm::Get, codec: Codec::Json };
        assert_eq!(detect(&get("GET", "connect=v1&encoding=json&message={}")), Protocol::Connect(json));
        assert_eq!(detect(&get("GET", "encoding=json&message={}")), Protocol::Rest);
        assert_eq!(unsaid_connect(&get("GET", "encoding=json&message={}")), Some(json));
        assert_eq!(detect(&get("DELETE", "connect=v1&encoding=json")), Protocol::Rest);
        assert_eq!(unsaid_connect(&get("GET", "a=b")), None);
    }
}
