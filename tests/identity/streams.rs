//! Streams whose token expires while they go on.

use std::net::TcpStream;

use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, client};

use crate::ask::{PROTO, reason};
use crate::mint::{Mint, claims, now};
use crate::place::Wants;
use crate::support::{
    Behaviour, Gateway, Http1, Http2, Led, Live, PATIENCE, Reply, Schema, frame, header_map, until,
};

struct Stage {
    gateway: Gateway,
    backend: Live,
    mint: Mint,
    _schema: Schema,
}

fn stage(identity: &str) -> Stage {
    let (schema, mint, backend) = (Schema::new(PROTO), Mint::new(), Live::start(|_| Behaviour::Led));
    let wants = Wants { issuer: "leeway: 0s", identity, ..Wants::default() };
    let yaml = wants.yaml(&schema, &mint, backend.address);
    Stage { gateway: Gateway::start(&yaml, schema.folder()), backend, mint, _schema: schema }
}

impl Stage {
    /// `Bearer` and a token that is good for a second, more or less.
    fn short(&self) -> String {
        format!("Bearer {}", self.mint.token("ES256", &claims(json!({ "exp": now() + 2 }))))
    }
}

/// A call that has begun to answer.
fn begun(stage: &Stage) -> Led {
    let mut led = stage.backend.call();
    led.send(b"\x0a\x01x".to_vec());
    led
}

#[track_caller]
fn assert_expired(what: &str, reply: &Reply) {
    let text = String::from_utf8_lossy(&reply.body);
    let is_told = reason(reply).as_deref() == Some("TOKEN_EXPIRED") || text.contains("\"TOKEN_EXPIRED\"");
    assert!(is_told, "{what}: {reply:?}");
    assert!(text.contains('x'), "{what}: what came before stays");
}

#[test]
fn a_stream_ends_with_its_token_in_every_protocol() {
    let stage = stage("");
    let (address, bearer) = (stage.gateway.address, stage.short());
    let token = ("authorization", bearer.as_str());

    let mut rest = Http1::connect(address);
    rest.send(format!("GET /down HTTP/1.1\r\nhost: t\r\nauthorization: {bearer}\r\n\r\n"));
    let mut calls = vec![begun(&stage)];

    let mut http2 = Http2::connect(address);
    let mut waiting = Vec::new();
    for kind in ["application/grpc", "application/grpc-web+proto", "application/connect+json"] {
        let headers = [("content-type", kind), ("te", "trailers"), token];
        let (response, mut stream) = http2.begin("POST", "/t.S/Down", &headers, false);
        let message: &[u8] = if kind.ends_with("json") { b"{}" } else { b"" };
        assert!(http2.send(&mut stream, &frame(message), true));
        waiting.push((kind, response));
        calls.push(begun(&stage));
    }
    // A client that has more to say is not asked for it.
    let headers = [("content-type", "application/grpc"), ("te", "trailers"), token];
    let (response, open) = http2.begin("POST", "/t.S/Both", &headers, false);
    waiting.push(("both ways", response));
    calls.push(begun(&stage));

    let socket = TcpStream::connect(address).expect("somebody listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("an open socket");
    let mut request = "ws://transom.test/t.S/Both".into_client_request().expect("a request");
    request.headers_mut().extend(header_map(&[token]));
    let mut socket = client(request, socket).expect("a handshake").0;
    calls.push(begun(&stage));

    assert_expired("rest", &rest.reply());
    for (kind, response) in waiting {
        assert_expired(kind, &http2.end(response).expect("an answer"));
    }
    drop(open);
    let mut texts = Vec::new();
    let code = loop {
        match socket.read().expect("a frame") {
            Message::Text(text) => texts.push(text.to_string()),
            Message::Close(Some(close)) => break u16::from(close.code),
            _ => {}
        }
    };
    assert_eq!(code, 4016);
    assert!(texts.last().is_some_and(|last| last.contains("TOKEN_EXPIRED")), "{texts:?}");
    for call in &calls {
        call.wait_gone();
    }
}

#[test]
fn a_stream_goes_on_where_that_is_chosen() {
    let stage = stage("tokens: { expired_streams: keep }");
    let bearer = stage.short();
    let headers =
        [("content-type", "application/grpc"), ("te", "trailers"), ("authorization", bearer.as_str())];
    let mut client = Http2::connect(stage.gateway.address);
    let (response, mut stream) = client.begin("POST", "/t.S/Down", &headers, false);
    assert!(client.send(&mut stream, &frame(b""), true));
    let mut led = begun(&stage);
    until("the token expires", || {
        let unary = client.call("POST", "/t.S/Down", &headers[..2], b"");
        assert_eq!(reason(&unary).as_deref(), Some("TOKEN_MISSING"));
        let reply = client.call("GET", "/nothing", &[("authorization", &bearer)], b"");
        reply.status == 401 && reply.reason() == "TOKEN_EXPIRED"
    });
    led.send(b"\x0a\x01y".to_vec());
    led.end();
    let reply = client.end(response).expect("an answer");
    assert_eq!(reply.trailers["grpc-status"], "0");
    assert_eq!(reply.body, [frame(b"\x0a\x01x"), frame(b"\x0a\x01y")].concat());
}
