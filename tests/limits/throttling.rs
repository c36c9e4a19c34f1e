//! How many calls may be under way at once: places, queues, and who gives them back.

use std::net::SocketAddr;
use std::thread;

use crate::support::{
    Answer, Behaviour, Choices, Http1, Http2, Site, Stage, frame, request, text_message, until,
};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/down" }; }
}
"#;

const ADMIN: &str = "admin: { address: '127.0.0.1:0' }\n";
const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc"), ("te", "trailers")];

/// A request that is sent, and whose answer is not waited for.
fn ask(address: SocketAddr, target: &str) -> Http1 {
    let mut client = Http1::connect(address);
    client.send(request("GET", target, &[], b""));
    client
}

fn waiting(site: &Site, gate: &str) -> u64 {
    site.gateway.metric(&format!("transom_calls_waiting{{rule=\"{gate}\"}}"))
}

fn held(site: &Site, gate: &str) -> u64 {
    site.gateway.metric(&format!("transom_calls_held{{rule=\"{gate}\"}}"))
}

#[test]
fn an_upstream_takes_so_many_and_lets_so_many_wait() {
    let choices = Choices {
        upstream: "concurrency: { calls: 3, queue: 2, wait: 60s }",
        more: ADMIN,
        ..Choices::default()
    };
    let site = Site::new(PROTO, choices);
    site.backend.answer(Answer::Held);
    let mut first: Vec<Http1> = (0..3).map(|_| ask(site.address(), "/g")).collect();
    until("three are at the backend", || site.backend.count() == 3);
    let mut queued: Vec<Http1> = (0..2).map(|_| ask(site.address(), "/g")).collect();
    until("two wait", || waiting(&site, "upstream main") == 2);
    // However many come, none of them stays.
    for _ in 0..200 {
        site.get("/g").assert_fault(503, "OVERLOADED", None);
    }
    let grpc = Http2::connect(site.address()).call("POST", "/t.S/Get", GRPC, &frame(b""));
    assert_eq!(grpc.headers["grpc-status"], "14");
    assert_eq!((site.backend.count(), held(&site, "upstream main")), (3, 3));
    assert_eq!(site.gateway.metric("transom_calls_shed_total{rule=\"upstream main\"}"), 201);

    // A client that leaves the queue leaves its place to another.
    drop(queued.pop());
    until("one waits", || waiting(&site, "upstream main") == 1);
    queued.push(ask(site.address(), "/g"));
    until("two wait again", || waiting(&site, "upstream main") == 2);
    for _ in 0..5 {
        site.backend.release();
        until("it is taken", || {
            site.backend.release();
            held(&site, "upstream main") == 0 || waiting(&site, "upstream main") < 2
        });
    }
    for client in first.iter_mut().chain(&mut queued) {
        until("all are answered", || {
            site.backend.release();
            held(&site, "upstream main") == 0
        });
        assert_eq!(client.reply().status, 200);
    }
}

#[test]
fn who_waits_too_long_is_told_so_and_who_leaves_gives_back() {
    let choices = Choices {
        upstream: "concurrency: { calls: 1, queue: 1, wait: 50ms }",
        more: ADMIN,
        ..Choices::default()
    };
    let site = Site::new(PROTO, choices);
    site.backend.answer(Answer::Held);
    let first = ask(site.address(), "/g");
    until("one is at the backend", || site.backend.count() == 1);
    site.get("/g").assert_fault(503, "OVERLOADED", None);
    drop(first);
    until("its place is free", || held(&site, "upstream main") == 0);
    site.backend.answer(Answer::Echo);
    assert_eq!(site.get("/g").status, 200);
}

#[test]
fn a_deadline_holds_in_the_queue() {
    let choices = Choices {
        upstream: "concurrency: { calls: 1, queue: 1, wait: 60s }",
        more: ADMIN,
        ..Choices::default()
    };
    let site = Site::new(PROTO, choices);
    site.backend.answer(Answer::Held);
    let _first = ask(site.address(), "/g");
    until("one is at the backend", || site.backend.count() == 1);
    let late = site.call("GET", "/g", &[("x-server-timeout", "0.05")], b"");
    late.assert_fault(504, "DEADLINE_EXCEEDED", None);
    assert_eq!(site.backend.count(), 1);
}

#[test]
fn callers_have_places_of_their_own() {
    let more = format!("{ADMIN}rules:\n  t.S/*: {{ concurrency: {{ calls: 1, key: 'header:x-tenant' }} }}\n");
    let site = Site::new(PROTO, Choices { more: &more, ..Choices::default() });
    site.backend.answer(Answer::Held);
    let mut held: Vec<Http1> = ["a", "b"]
        .map(|tenant| {
            let mut client = Http1::connect(site.address());
            client.send(request("GET", "/g", &[("x-tenant", tenant)], b""));
            client
        })
        .into();
    until("both are at the backend", || site.backend.count() == 2);
    for tenant in ["a", "b"] {
        site.call("GET", "/g", &[("x-tenant", tenant)], b"").assert_fault(503, "OVERLOADED", None);
    }
    until("both are answered", || {
        site.backend.release();
        self::held(&site, "t.S/* concurrency") == 0
    });
    held.iter_mut().for_each(|client| assert_eq!(client.reply().status, 200));
    site.backend.answer(Answer::Echo);
    assert_eq!(site.call("GET", "/g", &[("x-tenant", "a")], b"").status, 200);
}

#[test]
fn a_stream_holds_its_place_to_its_end() {
    let choices = Choices { upstream: "concurrency: { calls: 1 }", more: ADMIN, ..Choices::default() };
    let stage = Stage::new(PROTO, |_| Behaviour::Led, choices);
    for ends_well in [true, false] {
        let mut client = Http1::connect(stage.address());
        client.send(request("GET", "/down", &[("accept", "application/x-ndjson")], b""));
        let mut led = stage.backend.call();
        led.head(http::HeaderMap::new());
        led.send(text_message(b"x"));
        assert_eq!(client.head().status, 200);
        assert!(client.chunk().is_some());
        crate::support::get(stage.address(), "/g").assert_fault(503, "OVERLOADED", None);
        if ends_well {
            led.end();
            while client.chunk().is_some() {}
        } else {
            drop(client);
        }
        let held = || stage.gateway.metric("transom_calls_held{rule=\"upstream main\"}");
        until("its place is free", || held() == 0);
    }
}

#[test]
fn a_listener_holds_no_more_requests_than_it_may() {
    let choices = Choices { listener: "limits: { requests: 20 }", more: ADMIN, ..Choices::default() };
    let site = Site::new(PROTO, choices);
    site.backend.answer(Answer::Held);
    let held: Vec<Http1> = (0..20).map(|_| ask(site.address(), "/g")).collect();
    until("twenty are at the backend", || site.backend.count() == 20);
    let address = site.address();
    let refused: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                (0..50).filter(|_| crate::support::get(address, "/g").status == 503).count()
            })
        })
        .collect();
    let refused: usize = refused.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!((refused, site.backend.count()), (200, 20));
    drop(held);
    until("there is room again", || site.gateway.gauges().requests == 0);
    site.backend.answer(Answer::Echo);
    assert_eq!(site.get("/g").status, 200);
}
