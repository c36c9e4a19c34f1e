//! Connections of clients: how long they may do nothing, how large heads and URLs may be, and how many there may be.

mod support;

use std::time::Duration;

use serde_json::json;
use support::{Answer, Backend, Choices, Gateway, Http1, Schema, Site, get, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/p" body: "*" }; }
}
"#;

#[test]
fn a_head_that_does_not_come_is_cut_off() {
    let site = Site::with(PROTO, "timeouts: { head: 100ms }");
    for start in ["", "G", "GET /g HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut client = Http1::connect(site.address());
        client.send(start);
        assert!(client.is_closed(), "{start:?}");
    }
    // The next head on a connection that has served before.
    let mut client = Http1::connect(site.address());
    client.send(request("GET", "/g", &[], b""));
    client.reply().assert_ok();
    client.send("GET /g HTTP/1.1\r\n");
    assert!(client.is_closed());
    // Byte by byte is not in time either.
    let mut client = Http1::connect(site.address());
    until("it is cut off", || !client.try_send("x"));
    assert_eq!(site.backend.count(), 1);
}

#[test]
fn a_call_under_way_is_not_cut_off() {
    let site = Site::with(PROTO, "timeouts: { head: 50ms, idle: 50ms, body: 5s }");
    site.backend.answer(Answer::Held);
    let mut client = Http1::connect(site.address());
    client.send(request("GET", "/g", &[], b""));
    until("the call arrives", || site.backend.count() == 1);
    // Several times what a connection without a call may wait.
    std::thread::sleep(Duration::from_millis(400));
    site.backend.release();
    client.reply().assert_ok();
    // Nor is a body that takes longer than a head may.
    site.backend.answer(Answer::Echo);
    let mut client = Http1::connect(site.address());
    client.send(request("POST", "/p", &[("content-length", "2")], b""));
    std::thread::sleep(Duration::from_millis(400));
    client.send("{}");
    client.reply().assert_ok();
}

#[test]
fn an_idle_connection_is_closed() {
    let site = Site::with(PROTO, "timeouts: { idle: 100ms }");
    let mut client = Http1::connect(site.address());
    client.send(request("GET", "/g", &[], b""));
    client.reply().assert_ok();
    assert!(client.is_closed());
    let mut client = site.http2();
    client.call("GET", "/g", &[], b"").assert_ok();
    until("it is closed", || {
        client.settle();
        client.is_closed()
    });
}

#[test]
fn heads_over_their_limit_are_refused() {
    let site = Site::with(PROTO, "limits: { head: 8KiB }");
    let pad = |size: usize| "x".repeat(size);
    let mut client = Http1::connect(site.address());
    client.send(request("GET", "/g", &[("x-pad", &pad(7_000))], b""));
    client.reply().assert_ok();
    let mut client = Http1::connect(site.address());
    client.send(request("GET", "/g", &[("x-pad", &pad(9_000))], b""));
    let reply = client.reply();
    assert_eq!((reply.status, reply.body.len()), (431, 0));
    assert!(client.is_closed());
    // Many small ones are one large one.
    let names: Vec<String> = (0..90).map(|number| format!("x-{number}")).collect();
    let value = pad(100);
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
    let mut client = Http1::connect(site.address());
    client.send(request("GET", "/g", &headers, b""));
    assert_eq!(client.reply().status, 431);
    let mut client = site.http2();
    client.call("GET", "/g", &[("x-pad", &pad(7_000))], b"").assert_ok();
    client.settle();
    let (refused, _) = client.begin("GET", "/g", &[("x-pad", &pad(9_000))], true);
    // As a status or as a reset; never as a call.
    if let Ok(reply) = client.end(refused) {
        assert_eq!(reply.status, 431);
    }
    client.call("GET", "/g", &[], b"").assert_ok();
    assert_eq!(site.backend.count(), 3);
}

#[test]
fn urls_over_their_limit_are_refused() {
    for (choice, limit) in [("limits: { url: 100 }", 100), ("", 16 << 10)] {
        let site = Site::with(PROTO, choice);
        let target = |size: usize| format!("/g?a={}", "x".repeat(size - "/g?a=".len()));
        site.get(&target(limit)).assert_ok();
        site.get(&target(limit + 1)).assert_fault(414, "URL_TOO_LONG", None);
        // Whether or not there is a route.
        let nowhere = format!("/{}", "x".repeat(limit));
        site.get(&nowhere).assert_fault(414, "URL_TOO_LONG", None);
        site.http2().call("GET", &target(limit), &[], b"").assert_ok();
        site.http2().call("GET", &target(limit + 1), &[], b"").assert_fault(414, "URL_TOO_LONG", None);
        assert_eq!(site.backend.count(), 2);
    }
}

#[test]
fn connections_over_their_limit_wait() {
    let site = Site::with(PROTO, "limits: { connections: 2 }");
    let mut first = Http1::connect(site.address());
    let mut second = Http1::connect(site.address());
    for client in [&mut first, &mut second] {
        client.send(request("GET", "/g", &[], b""));
        client.reply().assert_ok();
    }
    let mut third = Http1::connect(site.address());
    third.send(request("GET", "/g?a=third", &[], b""));
    // Those that have a place go on.
    for client in [&mut first, &mut second] {
        client.send(request("GET", "/g", &[], b""));
        client.reply().assert_ok();
    }
    assert_eq!(site.backend.take().len(), 4, "the third has no place yet");
    drop(first);
    third.reply().assert_ok();
    assert_eq!(site.backend.only().json(), json!({ "a": "third" }));
}

#[test]
fn streams_are_limited_in_number() {
    for (choice, want) in [("limits: { streams: 7 }", 7), ("", 256)] {
        let site = Site::with(PROTO, choice);
        let mut client = site.http2();
        client.call("GET", "/g", &[], b"").assert_ok();
        assert_eq!(client.max_streams(), want, "{choice}");
    }
}

#[test]
fn workers_share_the_clients() {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::Echo);
    let yaml = Choices::default().yaml(&schema, backend.address).replace("workers: 1", "workers: 3");
    let gateway = Gateway::start(&yaml, schema.folder());
    // Each has connections of its own to the backend.
    until("all are connected", || backend.connections() == 3);
    let mut clients: Vec<_> = (0..30).map(|_| Http1::connect(gateway.address)).collect();
    for number in 0..90 {
        let client = &mut clients[number % 30];
        client.send(request("GET", &format!("/g?a=n{number}"), &[], b""));
        assert_eq!(client.reply().assert_ok().json(), json!({ "a": format!("n{number}") }));
    }
    assert_eq!((backend.count(), backend.connections()), (90, 3));
}

#[test]
fn listeners_have_their_own_choices() {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::status(5, "no"));
    let yaml = Choices::default().yaml(&schema, backend.address);
    let yaml = yaml.replacen("public: {", "inner: { address: '127.0.0.1:0', errors: status }, public: {", 1);
    let gateway = Gateway::start(&yaml, schema.folder());
    let listeners = gateway.running().listeners();
    let address = |wanted: &str| listeners.iter().find(|(name, _)| name == wanted).expect("its listener").1;
    assert_eq!(get(address("inner"), "/g").json()["code"], 5);
    assert_eq!(get(address("public"), "/g").json()["error"]["code"], 404);
}

#[test]
fn a_client_is_told_where_its_connection_ends_with_the_answer() {
    let site = Site::with(PROTO, "limits: { body: 10B }");
    let json = [("content-type", "application/json")];
    // The body was read, or there was none.
    let mut client = Http1::connect(site.address());
    for bytes in [request("POST", "/p", &json, b"{}"), request("GET", "/none", &[], b"")] {
        client.send(bytes);
        assert_eq!(client.reply().header("connection"), None);
    }
    // It was refused unread, and is still to come.
    for path in ["/none", "/p"] {
        let mut client = Http1::connect(site.address());
        client.send(format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n"));
        assert_eq!(client.reply().header("connection"), Some("close"), "{path}");
        assert!(client.is_closed(), "{path}");
    }
}

/// A client that is still sending when it is answered must not lose the answer, as it would where the connection is reset.
#[test]
fn what_an_answered_client_still_sends_is_thrown_away() {
    let choices = Choices {
        listener: "limits: { body: 10B, head: 8KiB }",
        more: "admin: { address: '127.0.0.1:0' }",
        ..Choices::default()
    };
    let site = Site::new(PROTO, choices);
    let long = format!("x-long: {}", "x".repeat(9000));
    let chunk = "b\r\n01234567890\r\n";
    for head in [
        format!("POST /none HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n{chunk}"),
        format!("POST /p HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunk}"),
        // Refused by hyper itself, before there is a request.
        format!("POST /p HTTP/1.1\r\nhost: x\r\n{long}"),
        "What is that?\r\n\r\n".to_owned(),
    ] {
        let mut client = Http1::connect(site.address());
        client.send(&head);
        assert!(client.reply().status >= 400, "{head}");
        assert!(client.is_closed(), "{head}: the gateway says no more");
        for _ in 0..20 {
            client.send([b'x'; 1000]);
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(client);
        until("nothing is left of it", || site.gateway.gauges().connections == 0);
    }
}
