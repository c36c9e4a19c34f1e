//! Streams on which no message goes for too long: each protocol tells of their end in its own terms. Signs of life are no
//! messages.

mod support;

use std::net::TcpStream;

use support::{Behaviour, Choices, Http1, Http2, PATIENCE, Stage, frame, problems_of, reason, request};
use tokio_tungstenite::tungstenite::{Message, client};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/down" }; }
  rpc Both(stream M) returns (stream M);
  rpc Up(stream M) returns (M);
  rpc Free(M) returns (stream M);
  rpc Get(M) returns (M);
}
"#;

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

fn stage() -> Stage {
    let choices = Choices {
        listener: "streams: { heartbeat: 20ms, first_message: 1ms }, websocket: { ping: 40ms }",
        more: "rules: { '*': { idle_timeout: 400ms }, t.S/Free: { idle_timeout: off } }",
        ..Choices::default()
    };
    Stage::new(PROTO, |_| Behaviour::Led, choices)
}

#[test]
fn heartbeats_are_no_messages() {
    let stage = stage();
    let mut client = Http1::connect(stage.address());
    client.send(request("GET", "/down", &[("accept", "text/event-stream")], b""));
    let mut led = stage.backend.call();
    led.send(b"\x0a\x01x".to_vec());
    let head = client.head();
    assert_eq!(head.status, 200);
    let body = String::from_utf8(client.chunks().0).expect("UTF-8");
    assert!(body.contains("\"x\"") && body.contains(": \n\n"), "{body}");
    assert!(body.contains("IDLE_TIMEOUT") && body.contains("DEADLINE_EXCEEDED"), "{body}");
    led.wait_gone();
}

#[test]
fn grpc_tells_by_its_status() {
    let stage = stage();
    let mut http2 = Http2::connect(stage.address());
    let (free, mut stream) = http2.begin("POST", "/t.S/Free", &GRPC, false);
    assert!(http2.send(&mut stream, &frame(b""), true));
    let mut goes_on = stage.backend.call();
    // One that answers and one that never says anything.
    for says in [true, false] {
        let (response, mut stream) = http2.begin("POST", "/t.S/Both", &GRPC, false);
        assert!(http2.send(&mut stream, &frame(b"\x0a\x01y"), false));
        let mut led = stage.backend.call();
        if says {
            led.send(b"\x0a\x01x".to_vec());
        }
        let reply = http2.end(response).expect("it ends in good order");
        let trailers = if says { &reply.trailers } else { &reply.headers };
        assert_eq!(trailers["grpc-status"], "4", "{says}");
        assert_eq!(reason(&reply).as_deref(), Some("IDLE_TIMEOUT"), "{says}");
        led.wait_gone();
    }
    assert!(!goes_on.is_gone(), "this one may be silent");
    goes_on.end();
    assert_eq!(http2.end(free).expect("it ends").trailers["grpc-status"], "0");
}

#[test]
fn messages_of_either_side_keep_it_open() {
    let stage = stage();
    let mut http2 = Http2::connect(stage.address());
    let (response, mut stream) = http2.begin("POST", "/t.S/Both", &GRPC, false);
    let mut led = stage.backend.call();
    // Together longer than it may be silent, by far.
    for number in 0..40 {
        std::thread::sleep(std::time::Duration::from_millis(40));
        if number % 2 == 0 {
            assert!(http2.send(&mut stream, &frame(b"\x0a\x01y"), false), "{number}");
        } else {
            led.send(b"\x0a\x01x".to_vec());
        }
    }
    led.end();
    assert_eq!(http2.end(response).expect("it ends").trailers["grpc-status"], "0");
}

#[test]
fn connect_tells_in_its_last_frame() {
    let stage = stage();
    let mut http2 = Http2::connect(stage.address());
    for (path, says) in [("/t.S/Down", true), ("/t.S/Up", false)] {
        let headers = [("content-type", "application/connect+json")];
        let (response, mut stream) = http2.begin("POST", path, &headers, false);
        assert!(http2.send(&mut stream, &frame(b"{}"), path == "/t.S/Down"));
        let mut led = stage.backend.call();
        if says {
            led.send(b"\x0a\x01x".to_vec());
        }
        let reply = http2.end(response).expect("it ends in good order");
        let said = String::from_utf8_lossy(&reply.body);
        assert!(said.contains("IDLE_TIMEOUT") && said.contains("deadline_exceeded"), "{path}: {said}");
        led.wait_gone();
    }
}

#[test]
fn pings_are_no_messages() {
    let stage = stage();
    let stream = TcpStream::connect(stage.address()).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("an open socket");
    let mut socket = client("ws://transom.test/t.S/Both", stream).expect("a handshake").0;
    let mut led = stage.backend.call();
    led.send(b"\x0a\x01x".to_vec());
    let mut texts = Vec::new();
    loop {
        // Pings are answered while it reads.
        match socket.read() {
            Ok(Message::Text(text)) => texts.push(text.to_string()),
            Ok(Message::Close(_)) | Err(_) => break,
            Ok(_) => {}
        }
    }
    assert!(texts.last().is_some_and(|last| last.contains("IDLE_TIMEOUT")), "{texts:?}");
    led.wait_gone();
}

#[test]
fn what_does_nothing_is_an_error() {
    let schema = support::Schema::new(PROTO);
    let more = "rules: { t.S/Get: { idle_timeout: 1s } }";
    let problems = problems_of(&schema, Choices { more, ..Choices::default() });
    assert!(problems.contains("`idle_timeout` of the rule `t.S/Get` does nothing"), "{problems}");
    assert!(problems.contains("test.yaml:"), "{problems}");
}
