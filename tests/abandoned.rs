//! Clients that vanish, read slowly or write slowly: what they began is given up, and nobody else notices.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use support::{
    Behaviour, Came, Choices, Http1, Http2, Led, Stage, call, get, post, request, text_message, until,
};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/p" body: "*" }; }
  rpc Held(M) returns (M) { option (google.api.http) = { get: "/held" }; }
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/down" }; }
  rpc Endless(M) returns (stream M) { option (google.api.http) = { get: "/endless" }; }
  rpc Up(stream M) returns (M) { option (google.api.http) = { post: "/up" body: "*" }; }
  rpc Both(stream M) returns (stream M) { option (google.api.http) = { post: "/both" body: "*" }; }
  rpc Mirror(stream M) returns (stream M) { option (google.api.http) = { post: "/mirror" body: "*" }; }
}
"#;

const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");

fn stage() -> Stage {
    let behaviour = |method: &str| match method {
        "Get" | "Post" | "Mirror" => Behaviour::Echo,
        "Endless" => Behaviour::Endless(4 << 10),
        _ => Behaviour::Led,
    };
    Stage::new(PROTO, behaviour, Choices::default())
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// Nothing is under way at the backend, and everything works, over the connections that were there before.
#[track_caller]
fn all_is_well(stage: &Stage, connections: usize) {
    until("nothing is left behind", || stage.backend.in_flight() == 0);
    assert_eq!(get(stage.address(), "/g?a=x").assert_ok().json(), json!({ "a": "x" }));
    assert_eq!(call(stage.address(), "POST", "/mirror", &[], b"{}{}").assert_ok().json(), json!([{}, {}]));
    until("nothing is left behind", || stage.backend.in_flight() == 0);
    assert_eq!(stage.backend.connections(), connections);
}

/// Opens both connections to the backend.
fn warm(stage: &Stage) -> usize {
    get(stage.address(), "/g").assert_ok();
    call(stage.address(), "POST", "/mirror", &[], b"{}").assert_ok();
    until("they have ended", || stage.backend.in_flight() == 0);
    stage.backend.connections()
}

#[test]
fn a_client_may_vanish_at_any_moment() {
    let stage = stage();
    let connections = warm(&stage);
    let calls = stage.backend.calls();
    // Before there is a call.
    for start in [
        "",
        "GET",
        "GET /down HTTP/1.1\r\nhost: x\r\n",
        "POST /p HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
    ] {
        let mut client = Http1::connect(stage.address());
        client.send(start);
        drop(client);
    }
    let mut client = Http2::connect(stage.address());
    let (_response, mut sending) = client.begin("POST", "/p", &[], false);
    assert!(client.send(&mut sending, b"{", false));
    drop(client);
    assert_eq!(stage.backend.calls(), calls);
    // Once there is one: while it waits, in the middle of the answer, in the middle of the request, in both.
    type Until = fn(&mut Led);
    let wait: Until = |_| {};
    let answer: Until = |call| _ = call.send(text_message(b"x"));
    let read: Until = |call| _ = call.message();
    let both: Until = |call| {
        let message = call.message();
        call.send(message);
    };
    for (method, target, body, lead) in [
        ("GET", "/held", "", wait),
        ("GET", "/down", "", wait),
        ("GET", "/down", "", answer),
        ("POST", "/up", "{", wait),
        ("POST", "/up", "{}", read),
        ("POST", "/both", "{}", both),
    ] {
        let what = format!("{method} {target} {body}");
        let (mut one, mut two) = (Http1::connect(stage.address()), Http2::connect(stage.address()));
        let headers = [CHUNKED];
        one.send(request(method, target, &headers[..usize::from(!body.is_empty())], b""));
        if !body.is_empty() {
            one.send(chunk(body));
        }
        let mut first = stage.backend.call();
        let (response, mut sending) = two.begin(method, target, &[], body.is_empty());
        if !body.is_empty() {
            assert!(two.send(&mut sending, body.as_bytes(), false));
        }
        let mut second = stage.backend.call();
        // One call of the same connection is reset, and one stays; then the connection goes.
        let (staying, _) = two.begin("GET", "/held", &[], true);
        let mut third = stage.backend.call();
        for call in [&mut first, &mut second] {
            lead(call);
        }
        if target == "/down" && !first.is_gone() && std::ptr::fn_addr_eq(lead, answer) {
            one.head().assert_ok();
        }
        drop(one);
        first.wait_gone();
        sending.send_reset(h2::Reason::CANCEL);
        drop(response);
        second.wait_gone();
        for call in [&mut first, &mut second] {
            if !body.is_empty() {
                let mut came = call.came();
                while matches!(came, Came::Message(_)) {
                    came = call.came();
                }
                assert_eq!(came, Came::Broken, "{what}");
            }
        }
        third.send(text_message(b"y")).end();
        assert_eq!(two.end(staying).expect("an answer").assert_ok().json(), json!({ "a": "y" }), "{what}");
        let (_response, _) = two.begin("GET", "/down", &[], true);
        let last = stage.backend.call();
        drop(two);
        last.wait_gone();
        all_is_well(&stage, connections);
    }
}

#[test]
fn a_thousand_clients_may_vanish_at_once() {
    const CLIENTS: usize = 1000;
    let stage = stage();
    let connections = warm(&stage);
    let address = stage.address();
    let (over, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // Meanwhile others go on, unary and streaming, on both versions of HTTP.
        let _over = Over(&over);
        scope.spawn(|| {
            let _over = Over(&over);
            let mut client = Http2::connect(address);
            while !over.load(Ordering::SeqCst) {
                let reply = client.call("GET", "/g?a=x", &[], b"");
                assert_eq!(reply.assert_ok().json(), json!({ "a": "x" }));
                let reply = client.call("POST", "/mirror", &[], b"{}{}");
                assert_eq!(reply.assert_ok().json(), json!([{}, {}]));
                assert_eq!(post(address, "/p", r#"{"a":"y"}"#).assert_ok().json(), json!({ "a": "y" }));
                made.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut held = Http1::connect(address);
        held.send(request("GET", "/down?a=stays", &[], b""));
        let mut staying = stage.backend.call();
        let going_on = || {
            let so_far = made.load(Ordering::SeqCst);
            until("the others go on", || {
                over.load(Ordering::SeqCst) || made.load(Ordering::SeqCst) > so_far + 2
            });
            assert!(!over.load(Ordering::SeqCst), "the others have failed");
        };
        for (target, is_answered) in [("/down", false), ("/held", false), ("/down", true)] {
            let clients: Vec<Http1> = (0..CLIENTS)
                .map(|_| {
                    let mut client = Http1::connect(address);
                    client.send(request("GET", target, &[], b""));
                    client
                })
                .collect();
            let mut calls: Vec<Led> = (0..CLIENTS).map(|_| stage.backend.call()).collect();
            if is_answered {
                calls.iter_mut().for_each(|call| _ = call.send(text_message(b"x")));
            }
            drop(clients);
            until("the first are given up", || calls.iter().filter(|call| call.is_gone()).count() >= 10);
            going_on();
            // The others are given up bit by bit, unless they end by themselves.
            calls.iter_mut().for_each(|call| call.send(text_message(b"y")).end());
            // What stays and what the other client has under way.
            until("nothing is left behind", || stage.backend.in_flight() <= 2);
            going_on();
        }
        staying.send(text_message(b"still here")).end();
        assert_eq!(held.reply().assert_ok().json(), json!([{ "a": "still here" }]));
    });
    all_is_well(&stage, connections);
}

/// Tells the other side of a test that this one has ended, whether well or not.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn endless_streams_whose_clients_vanish_end() {
    let stage = stage();
    let connections = warm(&stage);
    let clients: Vec<Http1> = (0..40)
        .map(|_| {
            let mut client = Http1::connect(stage.address());
            client.send(request("GET", "/endless", &[], b""));
            client.head().assert_ok();
            client
        })
        .collect();
    drop(clients);
    // More than may be reset at once.
    for _ in 0..5 {
        get(stage.address(), "/g").assert_ok();
        call(stage.address(), "POST", "/mirror", &[], b"{}").assert_ok();
    }
    all_is_well(&stage, connections);
}

/// Waits until a counter stands still, and gives what it says.
fn settle(mut count: impl FnMut() -> usize) -> usize {
    let (mut last, mut still) = (usize::MAX, 0);
    until("it stands still", || {
        let now = count();
        still = if now == last { still + 1 } else { 0 };
        last = now;
        still > 40
    });
    last
}

#[test]
fn slow_readers_hold_up_their_backend_and_nobody_else() {
    let stage = stage();
    let connections = warm(&stage);
    let mut client = Http1::connect(stage.address());
    client.send(request("GET", "/endless", &[], b""));
    until("it flows", || stage.backend.sent() > 100_000);
    let one = settle(|| stage.backend.sent());
    assert!(one < 32 << 20, "{one}");
    let mut others: Vec<Http1> = (0..20).map(|_| Http1::connect(stage.address())).collect();
    for client in &mut others {
        client.send(request("GET", "/endless", &[("accept", "text/event-stream")], b""));
    }
    until("all are there", || stage.backend.in_flight() == 21);
    let all = settle(|| stage.backend.sent());
    assert!(all < 22 * (32 << 20), "{all}");
    // Over the same connections to the backend.
    for number in 0..20 {
        let (target, want) = (format!("/g?a=n{number}"), json!({ "a": format!("n{number}") }));
        assert_eq!(get(stage.address(), &target).assert_ok().json(), want);
        let body = format!("{want}{want}");
        let reply = call(stage.address(), "POST", "/mirror", &[], body.as_bytes());
        assert_eq!(reply.assert_ok().json(), json!([want, want]));
    }
    // A large stream too, which needs the window of the connection.
    let text = "z".repeat(1 << 20);
    let body = json!({ "a": text }).to_string().repeat(8);
    let reply = call(stage.address(), "POST", "/mirror", &[], body.as_bytes());
    assert_eq!(reply.assert_ok().json().as_array().map(Vec::len), Some(8));
    assert!(stage.backend.sent() - all < 32 << 20, "they are still held");
    // One that reads on gets on.
    client.head().assert_ok();
    let before = stage.backend.sent();
    until("it flows again", || {
        client.chunk().expect("more");
        stage.backend.sent() > before + (8 << 20)
    });
    drop((client, others));
    all_is_well(&stage, connections);
}

#[test]
fn a_deadline_passes_for_readers_that_do_not_read() {
    let stage = stage();
    let connections = warm(&stage);
    let headers = [("grpc-timeout", "1S")];
    let mut one = Http1::connect(stage.address());
    one.send(request("GET", "/endless", &headers, b""));
    let mut two = Http2::connect(stage.address());
    let (response, _) = two.begin("GET", "/endless", &headers, true);
    until("both are there", || stage.backend.in_flight() == 2);
    until("it flows", || stage.backend.sent() > 100_000);
    // Nobody reads, but the backend learns of it.
    until("both are given up", || stage.backend.in_flight() == 0);
    // Those who read in the end are told.
    let reply = one.reply();
    assert!(reply.text().contains("DEADLINE_EXCEEDED"));
    let reply = two.end(response).expect("an answer");
    assert!(reply.text().contains("DEADLINE_EXCEEDED"));
    all_is_well(&stage, connections);
}

#[test]
fn a_slow_writer_is_waited_for() {
    let stage = stage();
    let connections = warm(&stage);
    let mut client = Http1::connect(stage.address());
    client.send(request("POST", "/up", &[CHUNKED], b""));
    let mut led = stage.backend.call();
    for number in 0..5 {
        let text = format!("{{\"a\":\"n{number}\"}}");
        for byte in text.chars() {
            assert!(!led.has_more());
            client.send(chunk(&byte.to_string()));
        }
        assert_eq!(led.message(), text_message(format!("n{number}").as_bytes()));
        get(stage.address(), "/g").assert_ok();
    }
    client.send("0\r\n\r\n");
    assert_eq!(led.came(), Came::End);
    led.send(text_message(b"x")).end();
    client.reply().assert_ok();
    all_is_well(&stage, connections);
}

#[test]
fn a_backend_that_reads_slowly_holds_up_its_client_and_nobody_else() {
    const PIECE: usize = 64 << 10;
    let stage = stage();
    let connections = warm(&stage);
    let mut client = Http1::connect(stage.address());
    let mut writer = client.writer();
    client.send(request("POST", "/up", &[CHUNKED], b""));
    let piece = chunk(&json!({ "a": "x".repeat(PIECE) }).to_string());
    let sent = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..800 {
                writer.send(&piece);
                sent.fetch_add(PIECE, Ordering::SeqCst);
            }
            writer.send("0\r\n\r\n");
        });
        let mut led = stage.backend.call();
        until("it flows", || sent.load(Ordering::SeqCst) > 0);
        let settled = settle(|| sent.load(Ordering::SeqCst));
        assert!(settled < 40 << 20, "{settled}");
        get(stage.address(), "/g").assert_ok();
        // The backend's window for the whole connection is its own affair; a call without a body needs none.
        let (mut other, target) = (Http1::connect(stage.address()), "/down");
        other.send(request("GET", target, &[], b""));
        let mut down = stage.backend.call();
        down.send(text_message(b"x")).end();
        other.reply().assert_ok();
        let mut count = 0;
        while let Came::Message(message) = led.came() {
            assert!(message.len() > PIECE);
            count += 1;
        }
        assert_eq!(count, 800);
        led.send(text_message(b"x")).end();
        client.reply().assert_ok();
    });
    all_is_well(&stage, connections);
}
