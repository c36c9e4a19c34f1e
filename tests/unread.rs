//! Clients that take nothing of their answers are cut off in the end; those that take little, or wait for a backend, are not.

mod support;

use std::time::Duration;

use support::{Behaviour, Choices, Http1, Http2, Stage, request, text_message, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { bytes a = 1; }
service S {
  rpc Endless(M) returns (stream M) { option (google.api.http) = { get: "/endless" }; }
  rpc Led(M) returns (stream M) { option (google.api.http) = { get: "/led" }; }
  rpc One(M) returns (M) { option (google.api.http) = { get: "/one" }; }
}
"#;

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

fn stage(write: &str) -> Stage {
    let behaviour = |method: &str| match method {
        "Endless" => Behaviour::Endless(10_000),
        _ => Behaviour::Led,
    };
    let listener = format!("timeouts: {{ write: {write} }}");
    let more = "admin: { address: '127.0.0.1:0' }";
    Stage::new(PROTO, behaviour, Choices { listener: &listener, more, ..Choices::default() })
}

#[test]
fn a_connection_that_takes_nothing_is_closed() {
    let stage = stage("200ms");
    let mut client = Http1::connect(stage.address());
    client.send(request("GET", "/endless", &[], b""));
    until("the call is made", || stage.backend.calls() == 1);
    until("the call is given up", || stage.backend.in_flight() == 0);
    // What is on its way still comes, and then the end in the middle.
    client.head();
    assert!(!client.chunks().1, "the answer is cut off");
}

#[test]
fn a_stream_that_takes_nothing_is_reset_and_the_others_go_on() {
    let stage = stage("200ms");
    let mut client = Http2::connect(stage.address());
    let (silent, _silent) = client.begin("GET", "/led", &[], true);
    let mut led = stage.backend.call();
    led.send(text_message(b"1"));
    let (_, mut quiet) = client.head(silent).expect("a head");
    let quiet_first = client.data(&mut quiet).expect("no reset").expect("a message");
    assert!(!quiet_first.is_empty());
    for (path, method, headers, body) in
        [("/endless", "GET", &[][..], &b""[..]), ("/t.S/Endless", "POST", &GRPC[..], b"\0\0\0\0\0")]
    {
        let (unread, mut stream) = client.begin(method, path, headers, body.is_empty());
        if !body.is_empty() {
            assert!(client.send(&mut stream, body, true));
        }
        let (_, mut body) = client.head(unread).expect("a head");
        until("only the quiet one is left", || stage.backend.in_flight() == 1);
        let error = client.rest(&mut body).expect_err("it is reset");
        assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{path}");
    }
    // It was silent for longer than that, because its backend was.
    led.send(text_message(b"2")).end();
    assert!(client.rest(&mut quiet).expect("an end in order").ends_with(b"]\n"));
}

#[test]
fn one_large_message_is_taken_piece_by_piece() {
    let stage = stage("1s");
    let mut client = Http2::connect(stage.address());
    let message = text_message(&vec![b'x'; 4 << 20]);
    let call = |client: &mut Http2| {
        let (response, mut stream) = client.begin("POST", "/t.S/One", &GRPC, false);
        assert!(client.send(&mut stream, b"\0\0\0\0\0", true));
        let mut led = stage.backend.call();
        led.message();
        led.send(message.clone()).end();
        client.head(response).expect("a head").1
    };
    let mut body = call(&mut client);
    let mut length = 0;
    // Slow, but never still: all of it takes longer than the time-out.
    while let Some(data) = client.data(&mut body).expect("no reset") {
        length += data.len();
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(length, message.len() + 5);
    let mut body = call(&mut client);
    until("the stream is given up", || stage.gateway.gauges().requests == 0);
    client.settle();
    assert_eq!(client.rest(&mut body).expect_err("it is reset").reason(), Some(h2::Reason::CANCEL));
}

#[test]
fn off_is_for_ever() {
    let stage = stage("off");
    let mut client = Http2::connect(stage.address());
    let (response, _stream) = client.begin("GET", "/endless", &[], true);
    let (_, mut body) = client.head(response).expect("a head");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(stage.backend.in_flight(), 1);
    for _ in 0..100 {
        assert!(client.data(&mut body).expect("no reset").is_some());
    }
}
