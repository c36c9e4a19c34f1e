//! gRPC-Web, in bytes and in base64, over HTTP/1.1 and HTTP/2: the frames pass, and the trailers are a last frame.

mod support;

use http::HeaderMap;
use support::{
    Came, Choices, Gateway, Http1, Http2, Reply, Schema, Scripted, Stage, Step, call, frame, header_map,
    request,
};

const PROTO: &str = r#"
syntax = "proto3";
package t;
message M { string a = 1; }
service S {
  rpc Get(M) returns (M);
  rpc Down(M) returns (stream M);
}
"#;

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";

fn encode(form: &str, bytes: &[u8]) -> Vec<u8> {
    if form == TEXT { base64_simd::STANDARD.encode_to_string(bytes).into_bytes() } else { bytes.to_vec() }
}

/// The frames of an answer: messages, and what the trailers say, by name.
fn frames(form: &str, body: &[u8]) -> (Vec<Vec<u8>>, Vec<(String, String)>) {
    // Each piece may have padding of its own.
    let mut bytes = Vec::new();
    if form == TEXT {
        for group in body.chunks(4) {
            bytes.extend(base64_simd::STANDARD.decode_to_vec(group).expect("groups of base64"));
        }
    } else {
        bytes.extend_from_slice(body);
    }
    let (mut messages, mut rest) = (Vec::new(), &bytes[..]);
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[1..5].try_into().expect("a head")) as usize;
        let (frame, behind) = rest.split_at(5 + length);
        if frame[0] & 0x80 != 0 {
            assert!(behind.is_empty(), "trailers are the last frame");
            let lines = std::str::from_utf8(&frame[5..]).expect("lines of text");
            let pair = |line: &str| {
                let (name, value) = line.split_once(':').expect("a name and a value");
                (name.to_owned(), value.trim().to_owned())
            };
            return (messages, lines.split_terminator("\r\n").map(pair).collect());
        }
        messages.push(frame[5..].to_vec());
        rest = behind;
    }
    (messages, Vec::new())
}

fn find<'a>(trailers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    trailers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
}

#[test]
fn calls_pass_in_both_forms_over_both_versions() {
    let schema = Schema::new(PROTO);
    let script = vec![
        Step::Head(
            200,
            &[("content-type", "application/grpc+proto"), ("x-own", "1"), ("server", "s")],
            false,
        ),
        Step::Echo,
        Step::Data(frame(b"")),
        Step::Trailers(&[("grpc-status", "0"), ("x-late-bin", "AA")]),
    ];
    let backend = Scripted::start(vec![script], None);
    let gateway = Gateway::start(&Choices::default().yaml(&schema, backend.address), schema.folder());
    let mut http2 = Http2::connect(gateway.address);
    for form in [BINARY, TEXT] {
        for version in [1, 2] {
            let headers = [("content-type", form), ("x-grpc-web", "1"), ("accept", form)];
            let body = encode(form, &frame(b"\x0a\x01x"));
            let reply = if version == 1 {
                call(gateway.address, "POST", "/t.S/Down", &headers, &body)
            } else {
                http2.call("POST", "/t.S/Down", &headers, &body)
            };
            let (messages, trailers) = frames(form, &reply.body);
            assert_eq!((reply.status, reply.header("content-type")), (200, Some(form)), "{version}");
            assert_eq!((reply.header("x-own"), reply.header("server")), (Some("1"), None));
            assert_eq!(messages, [b"\x0a\x01x".to_vec(), Vec::new()], "{form} {version}");
            assert_eq!(
                (find(&trailers, "grpc-status"), find(&trailers, "x-late-bin")),
                (Some("0"), Some("AA"))
            );
            assert!(reply.trailers.is_empty());
        }
    }
}

#[test]
fn the_backend_sees_a_native_call() {
    let stage = Stage::led(PROTO, "");
    let headers = [("content-type", TEXT), ("accept", BINARY), ("x-tenant", "a"), ("grpc-timeout", "5S")];
    let mut client = Http1::connect(stage.address());
    // In pieces that end within a group, and with padding in the middle.
    let text = [encode(TEXT, &frame(b"\x0a\x01x")[..4]), encode(TEXT, &frame(b"\x0a\x01x")[4..])].concat();
    client.send(request("POST", "/t.S/Get", &headers, &text));
    let mut led = stage.backend.call();
    assert_eq!(led.message(), &b"\x0a\x01x"[..]);
    assert_eq!(led.came(), Came::End);
    assert_eq!((&led.metadata["x-tenant"], led.metadata.get("accept")), (&"a".parse().unwrap(), None));
    assert!(led.metadata.contains_key("grpc-timeout"));
    led.head(header_map(&[("x-initial", "1")])).send(&b"\x0a\x01y"[..]).end();
    let reply = client.reply();
    assert_eq!(reply.header("content-type"), Some("application/grpc-web+proto"));
    let (messages, trailers) = frames(BINARY, &reply.body);
    assert_eq!((messages, find(&trailers, "grpc-status")), (vec![b"\x0a\x01y".to_vec()], Some("0")));
}

#[test]
fn messages_arrive_as_the_backend_sends_them() {
    let stage = Stage::led(PROTO, "");
    for form in [BINARY, TEXT] {
        let mut client = Http1::connect(stage.address());
        client.send(request("POST", "/t.S/Down", &[("content-type", form)], &encode(form, &frame(b""))));
        let mut led = stage.backend.call();
        led.head(HeaderMap::new());
        assert_eq!(client.head().status, 200);
        for text in [&b"\x0a\x01a"[..], b"\x0a\x02bc"] {
            led.send(text.to_vec());
            assert_eq!(client.chunk().expect("a message"), encode(form, &frame(text)));
        }
        led.fail(5, "gone");
        let (last, whole) = client.chunks();
        let (_, trailers) = frames(form, &last);
        assert!(whole);
        assert_eq!(
            (find(&trailers, "grpc-status"), find(&trailers, "grpc-message")),
            (Some("5"), Some("gone"))
        );
    }
}

fn fault(form: &str, reply: &Reply) -> (String, String) {
    assert_eq!((reply.status, reply.header("content-type")), (200, Some(form)));
    let (messages, trailers) = frames(form, &reply.body);
    assert!(messages.is_empty());
    let details = find(&trailers, "grpc-status-details-bin").expect("details").as_bytes();
    let details = base64_simd::STANDARD_NO_PAD.decode_to_vec(details).expect("base64");
    let status = find(&trailers, "grpc-status").expect("a status").to_owned();
    (status, String::from_utf8_lossy(&details).into_owned())
}

#[test]
fn failures_are_trailers() {
    let schema = Schema::new(PROTO);
    let script = vec![Step::Head(
        200,
        &[("content-type", "application/grpc"), ("grpc-status", "7"), ("x-own", "1")],
        true,
    )];
    let backend = Scripted::start(vec![script], None);
    let gateway = Gateway::start(&Choices::default().yaml(&schema, backend.address), schema.folder());
    for form in [BINARY, TEXT] {
        let send =
            |path: &str, body: &[u8]| call(gateway.address, "POST", path, &[("content-type", form)], body);
        let reply = send("/t.S/Get", &encode(form, &frame(b"")));
        let (messages, trailers) = frames(form, &reply.body);
        assert_eq!(
            (messages.len(), find(&trailers, "grpc-status"), find(&trailers, "x-own")),
            (0, Some("7"), Some("1"))
        );
        for (path, body, status, reason) in [
            ("/t.S/None", encode(form, &frame(b"")), "12", "NO_ROUTE"),
            ("/t.S/Get", encode(form, b"\0\0\0\0\x05a"), "3", "INCOMPLETE_MESSAGE"),
            ("/t.S/Get", encode(form, b"\x80\0\0\0\0"), "3", "BAD_FRAME"),
        ] {
            let (found, details) = fault(form, &send(path, &body));
            assert_eq!(found, status, "{details}");
            assert!(details.contains(reason), "{details}");
        }
    }
    let text = |body: &[u8]| {
        fault(TEXT, &call(gateway.address, "POST", "/t.S/Get", &[("content-type", TEXT)], body))
    };
    assert!(text(b"AAAA*AAA").1.contains("BAD_BASE64"));
    assert!(text(b"AAAAAAA").1.contains("INCOMPLETE_BODY"));
}
