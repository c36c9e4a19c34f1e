//! One call in each of the clients' protocols, with a message of the test's choice, and what was decided about it.

use std::net::{SocketAddr, TcpStream};

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, HandshakeError, Message, client};

use crate::support::{Http2, PATIENCE, Reply, Schema, call, frame, reason};

pub const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message Inner { string text = 1; int32 number = 2; }
message M { string a = 1; Inner inner = 2; bool flag = 3; oneof choice { string one = 4; Inner other = 5; } }
service S {
  rpc Do(M) returns (M) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = { post: "/do" body: "*" };
  }
  rpc Open(M) returns (M) { option (google.api.http) = { post: "/open" body: "*" }; }
  rpc Name(M) returns (M) { option (google.api.http) = { get: "/names/{a=tenants/*/x}" }; }
  rpc Down(M) returns (stream M) { option (google.api.http) = { post: "/down" body: "*" }; }
  rpc Up(stream M) returns (M) { option (google.api.http) = { post: "/up" body: "*" }; }
}
"#;

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Rest,
    /// `POST /pkg.Service/Method` with JSON, and nothing that says what it is.
    Unsaid,
    Grpc,
    GrpcPacked,
    GrpcJson,
    GrpcWeb,
    GrpcWebText,
    GrpcWebPacked,
    GrpcWebJson,
    Connect,
    ConnectProto,
    ConnectPacked,
    ConnectGet,
    WebSocket,
    /// At the path of a binding.
    WebSocketRest,
}

impl Speaks {
    pub const ALL: [Self; 13] = [
        Self::Rest,
        Self::Unsaid,
        Self::Grpc,
        Self::GrpcJson,
        Self::GrpcWeb,
        Self::GrpcWebText,
        Self::GrpcWebJson,
        Self::Connect,
        Self::ConnectProto,
        Self::ConnectPacked,
        Self::ConnectGet,
        Self::WebSocket,
        Self::WebSocketRest,
    ];

    /// Those that pack a message by itself. The backend can't unpack it, so it has to be what the gateway reads.
    pub const PACKED: [Self; 2] = [Self::GrpcPacked, Self::GrpcWebPacked];

    /// Those that send the message in its wire form, which they may choose.
    pub const WIRE: [Self; 8] = [
        Self::Grpc,
        Self::GrpcPacked,
        Self::GrpcWeb,
        Self::GrpcWebText,
        Self::GrpcWebPacked,
        Self::ConnectProto,
        Self::ConnectPacked,
        Self::ConnectGet,
    ];

    const fn is_json(self) -> bool {
        match self {
            Self::Rest
            | Self::Unsaid
            | Self::GrpcJson
            | Self::GrpcWebJson
            | Self::Connect
            | Self::WebSocket
            | Self::WebSocketRest => true,
            Self::Grpc
            | Self::GrpcPacked
            | Self::GrpcWeb
            | Self::GrpcWebText
            | Self::GrpcWebPacked
            | Self::ConnectProto
            | Self::ConnectPacked
            | Self::ConnectGet => false,
        }
    }
}

pub type Headers<'h> = [(&'h str, &'h str)];

/// Calls `t.S/{method}`, whose binding is POST `/{method}` in small letters, and gives `OK` or the reason of the refusal.
/// `query` is what stands behind the `?` of the target.
pub fn ask(
    schema: &Schema,
    address: SocketAddr,
    speaks: Speaks,
    method: &str,
    headers: &Headers<'_>,
    query: &str,
    message: &Value,
) -> String {
    let bytes =
        if speaks.is_json() { message.to_string().into_bytes() } else { schema.encode("t.M", message) };
    ask_bytes(address, speaks, method, headers, query, &bytes)
}

/// [`ask`] with a message in the encoding that the client has.
pub fn ask_bytes(
    address: SocketAddr,
    speaks: Speaks,
    method: &str,
    headers: &Headers<'_>,
    query: &str,
    message: &[u8],
) -> String {
    let target = |path: String| if query.is_empty() { path } else { format!("{path}?{query}") };
    let rpc = target(format!("/t.S/{method}"));
    let rest = target(format!("/{}", method.to_lowercase()));
    let with = |own: &[(&'static str, &'static str)]| -> Vec<(&str, &str)> {
        own.iter().copied().chain(headers.iter().copied()).collect()
    };
    let post = |path: &str, own: &[(&'static str, &'static str)], body: &[u8]| {
        verdict(&call(address, "POST", path, &with(own), body))
    };
    let grpc = |own: &[(&'static str, &'static str)], body: &[u8]| {
        let headers = with(own);
        verdict(&Http2::connect(address).call("POST", &rpc, &headers, body))
    };
    const TE: (&str, &str) = ("te", "trailers");
    match speaks {
        Speaks::Rest => post(&rest, &[("content-type", "application/json")], message),
        Speaks::Unsaid => post(&rpc, &[("content-type", "application/json")], message),
        Speaks::Grpc => grpc(&[("content-type", "application/grpc"), TE], &frame(message)),
        Speaks::GrpcPacked => grpc(
            &[("content-type", "application/grpc+proto"), ("grpc-encoding", "gzip"), TE],
            &packed_frame(message),
        ),
        Speaks::GrpcJson => grpc(&[("content-type", "application/grpc+json"), TE], &frame(message)),
        Speaks::GrpcWeb => post(&rpc, &[("content-type", "application/grpc-web+proto")], &frame(message)),
        Speaks::GrpcWebText => {
            let body = STANDARD.encode_to_string(frame(message));
            post(&rpc, &[("content-type", "application/grpc-web-text+proto")], body.as_bytes())
        }
        Speaks::GrpcWebPacked => post(
            &rpc,
            &[("content-type", "application/grpc-web+proto"), ("grpc-encoding", "gzip")],
            &packed_frame(message),
        ),
        Speaks::GrpcWebJson => post(&rpc, &[("content-type", "application/grpc-web+json")], &frame(message)),
        Speaks::Connect => {
            post(&rpc, &[("content-type", "application/json"), ("connect-protocol-version", "1")], message)
        }
        Speaks::ConnectProto => post(&rpc, &[("content-type", "application/proto")], message),
        Speaks::ConnectPacked => {
            post(&rpc, &[("content-type", "application/proto"), ("content-encoding", "gzip")], &gzip(message))
        }
        Speaks::ConnectGet => {
            let message = URL_SAFE_NO_PAD.encode_to_string(message);
            let more = format!("connect=v1&encoding=proto&base64=1&message={message}");
            let joint = if query.is_empty() { "?" } else { "&" };
            verdict(&call(address, "GET", &format!("{rpc}{joint}{more}"), headers, b""))
        }
        Speaks::WebSocket => talk(address, &rpc, headers, message),
        Speaks::WebSocketRest => talk(address, &rest, headers, message),
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn packed_frame(message: &[u8]) -> Vec<u8> {
    let mut frame = frame(&gzip(message)).to_vec();
    frame[0] = 1;
    frame
}

/// `OK`, or the reason of a refusal.
pub fn verdict(reply: &Reply) -> String {
    if let Some(reason) = reason(reply) {
        return reason;
    }
    let status = reply.trailers.get("grpc-status").or(reply.headers.get("grpc-status"));
    let is_ok = reply.status == 200 && status.is_none_or(|status| status == "0");
    assert!(is_ok, "neither OK nor a reason: {reply:?}");
    "OK".to_owned()
}

/// One message on a WebSocket.
pub fn talk(address: SocketAddr, path: &str, headers: &Headers<'_>, message: &[u8]) -> String {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("an open socket");
    let mut request = format!("ws://transom.test{path}").into_client_request().expect("a request");
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).expect("a name");
        request.headers_mut().append(name, HeaderValue::try_from(*value).expect("a value"));
    }
    let mut socket = match client(request, stream) {
        Ok((socket, _)) => socket,
        Err(HandshakeError::Failure(Error::Http(answer))) => {
            let (head, body) = answer.into_parts();
            return verdict(&Reply {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.unwrap_or_default(),
                trailers: http::HeaderMap::new(),
            });
        }
        Err(other) => panic!("{other}"),
    };
    socket.send(Message::text(String::from_utf8(message.to_vec()).expect("JSON"))).expect("an open socket");
    loop {
        let text = match socket.read().expect("a frame") {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => continue,
            other => panic!("{other:?}"),
        };
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let status = &value["@status"];
        if status.is_null() {
            continue;
        }
        if status["code"] == json!(0) {
            return "OK".to_owned();
        }
        return status["details"][0]["reason"].as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    }
}
