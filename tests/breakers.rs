//! Circuit breakers: what has failed too often is not called, and clients are told so at once.

mod support;

use std::net::SocketAddr;

use support::{Answer, Backend, Behaviour, Choices, Gateway, Http2, Live, Schema, frame, get, reason, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = { get: "/g" };
  }
}
"#;

const ADMIN: &str = "admin: { address: '127.0.0.1:0' }";

fn gateway(schema: &Schema, backends: &[SocketAddr], upstream: &str, more: &str) -> Gateway {
    let more = format!("{ADMIN}\n{more}");
    let choices = Choices { upstream, more: &more, ..Choices::default() };
    Gateway::start(&choices.yaml_to(schema, backends), schema.folder())
}

fn state(gateway: &Gateway, endpoint: &str) -> u64 {
    gateway.metric(&format!("transom_upstream_breaker_state{{upstream=\"main\",endpoint=\"{endpoint}\"}}"))
}

#[test]
fn an_open_breaker_answers_at_once_and_says_when_to_come_back() {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::status(14, "no"));
    let gateway =
        gateway(&schema, &[backend.address], "breaker: { consecutive: 3, open: 90s, max_open: 90s }", "");
    for _ in 0..3 {
        assert_eq!(get(gateway.address, "/g").status, 503);
    }
    assert_eq!((backend.count(), state(&gateway, "")), (3, 2));
    let reply = get(gateway.address, "/g");
    reply.assert_fault(503, "CIRCUIT_OPEN", None);
    let seconds: u64 = reply.header("retry-after").expect("when").parse().expect("seconds");
    assert!((1..=90).contains(&seconds), "{seconds}");
    let mut client = Http2::connect(gateway.address);
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let reply = client.call("POST", "/t.S/Get", &headers, &frame(b""));
    assert_eq!(reply.headers.get("grpc-status").or(reply.trailers.get("grpc-status")).unwrap(), "14");
    assert_eq!(reason(&reply).as_deref(), Some("CIRCUIT_OPEN"));
    assert_eq!(backend.count(), 3, "nobody called it");
}

#[test]
fn probes_close_it_again() {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::status(14, "no"));
    let gateway =
        gateway(&schema, &[backend.address], "breaker: { consecutive: 2, open: 200ms, probes: 2 }", "");
    until("it is open", || get(gateway.address, "/g").json()["error"]["message"] != "no");
    let before = backend.count();
    until("a probe has failed", || {
        get(gateway.address, "/g");
        backend.count() > before
    });
    assert_eq!(backend.count(), before + 1, "one that fails is enough");
    backend.answer(Answer::Echo);
    until("it is closed", || get(gateway.address, "/g").status == 200 && state(&gateway, "") == 0);
    for _ in 0..20 {
        get(gateway.address, "/g").assert_ok();
    }
}

#[test]
fn an_endpoint_of_its_own_is_left_to_the_others() {
    let schema = Schema::new(PROTO);
    let bad = Backend::start(&schema, Answer::status(14, "no"));
    let fine = Backend::start(&schema, Answer::Echo);
    let upstream =
        "balance: round_robin, ejection: off, endpoint_breaker: { consecutive: 2, open: 1h, max_open: 1h }";
    let gateway = gateway(&schema, &[bad.address, fine.address], upstream, "");
    for _ in 0..30 {
        get(gateway.address, "/g");
    }
    assert_eq!((bad.count(), fine.count()), (2, 28));
    assert_eq!(state(&gateway, &bad.address.to_string()), 2);
    fine.answer(Answer::status(13, "no"));
    for _ in 0..5 {
        get(gateway.address, "/g");
    }
    get(gateway.address, "/g").assert_fault(503, "CIRCUIT_OPEN", None);
    assert_eq!(fine.count(), 30);
}

#[test]
fn what_is_refused_is_not_tried_again() {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::status(14, "no"));
    let more = "rules: { '*': { retries: { attempts: 5, backoff: { base: 1ms } } } }";
    let upstream = "breaker: { consecutive: 2, open: 1h, max_open: 1h }";
    let gateway = gateway(&schema, &[backend.address], upstream, more);
    // The second try opens it, and there is no third.
    get(gateway.address, "/g").assert_fault(503, "CIRCUIT_OPEN", None);
    assert_eq!(backend.count(), 2);
}

#[test]
fn an_endpoint_gets_no_more_calls_at_once_than_it_may() {
    let schema = Schema::new(PROTO);
    let backend = Live::start(|_| Behaviour::Led);
    let gateway = gateway(&schema, &[backend.address], "limits: { max_requests: 2 }", "");
    let mut client = Http2::connect(gateway.address);
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let mut led = Vec::new();
    for _ in 0..2 {
        let (response, mut stream) = client.begin("POST", "/t.S/Get", &headers, false);
        assert!(client.send(&mut stream, &frame(b""), true));
        client.settle();
        led.push((response, backend.call()));
    }
    get(gateway.address, "/g").assert_fault(503, "OVERLOADED", None);
    for (response, mut led) in led {
        led.send(Vec::new());
        led.end();
        client.end(response).expect("an answer");
    }
    let address = gateway.address;
    let next = std::thread::spawn(move || get(address, "/g").status);
    let mut led = backend.call();
    led.send(Vec::new());
    led.end();
    assert_eq!(next.join().unwrap(), 200);
}
