//! Endpoints whose calls fail are left out for a while, wherever the failure shows.

mod support;

use std::net::SocketAddr;

use support::{Answer, Backend, Choices, Gateway, Http2, Schema, Scripted, Step, call, frame, get, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/d" }; }
}
"#;

const ADMIN: &str = "admin: { address: '127.0.0.1:0' }";

fn gateway(schema: &Schema, backends: &[SocketAddr], upstream: &str) -> Gateway {
    let upstream = format!("balance: round_robin, {upstream}");
    let choices = Choices { upstream: &upstream, more: ADMIN, ..Choices::default() };
    Gateway::start(&choices.yaml_to(schema, backends), schema.folder())
}

/// Ends with this status behind a message.
fn late(status: &'static [(&'static str, &'static str)]) -> Vec<Step> {
    let head = Step::Head(200, &[("content-type", "application/grpc")], false);
    vec![head, Step::Data(frame(b"\x0a\x01y")), Step::Trailers(status)]
}

/// Whether an endpoint that plays this is ejected from among two when it is called by `ask` again and again.
fn is_ejected(script: Vec<Step>, ask: impl Fn(SocketAddr)) -> bool {
    let schema = Schema::new(PROTO);
    let bad = Scripted::start(vec![script], None);
    let fine = Scripted::start(vec![late(&[("grpc-status", "0")])], None);
    let gateway =
        gateway(&schema, &[bad.address, fine.address], "ejection: { consecutive: 3, base: 1h, max: 1h }");
    for _ in 0..40 {
        ask(gateway.address);
    }
    let ejected = gateway.metric(&format!(
        "transom_upstream_endpoint_ejected{{upstream=\"main\",endpoint=\"{}\"}}",
        bad.address
    ));
    assert_eq!(bad.calls() == 3, ejected == 1, "{} calls", bad.calls());
    ejected == 1
}

fn native(address: SocketAddr, path: &str) {
    let mut client = Http2::connect(address);
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    client.call("POST", path, &headers, &frame(b""));
}

#[test]
fn failures_count_wherever_they_show() {
    let by_rest = |address| drop(get(address, "/g"));
    let by_grpc = |address| native(address, "/t.S/Get");
    let streams = |address| drop(get(address, "/d"));
    let native_streams = |address| native(address, "/t.S/Down");
    let only = |status| vec![Step::Head(200, status, true)];
    for status in ["2", "13", "14", "15"] {
        let trailers: &'static [(&str, &str)] = match status {
            "2" => &[("grpc-status", "2")],
            "13" => &[("grpc-status", "13")],
            "14" => &[("grpc-status", "14")],
            _ => &[("grpc-status", "15")],
        };
        assert!(is_ejected(only(trailers), by_rest), "{status}");
        assert!(is_ejected(late(trailers), by_grpc), "{status}");
        assert!(is_ejected(late(trailers), streams), "{status}");
        assert!(is_ejected(late(trailers), native_streams), "{status}");
    }
    let mut broken = late(&[]);
    broken.pop();
    broken.push(Step::Reset(h2::Reason::INTERNAL_ERROR));
    assert!(is_ejected(broken.clone(), streams));
    assert!(is_ejected(broken, native_streams));
    assert!(is_ejected(vec![Step::Head(502, &[("content-type", "text/html")], true)], by_rest));
}

#[test]
fn what_callers_do_wrong_never_counts() {
    for trailers in [
        &[("grpc-status", "3")][..],
        &[("grpc-status", "5")],
        &[("grpc-status", "7")],
        &[("grpc-status", "8")],
        &[("grpc-status", "12")],
        &[("grpc-status", "16")],
    ] {
        assert!(!is_ejected(vec![Step::Head(200, trailers, true)], |address| drop(get(address, "/g"))));
        assert!(!is_ejected(late(trailers), |address| native(address, "/t.S/Get")));
    }
}

#[test]
fn a_client_that_gives_no_time_ejects_nobody() {
    let hurried = |address| {
        drop(call(address, "GET", "/g", &[("x-server-timeout", "0.01")], b""));
    };
    let schema = Schema::new(PROTO);
    let slow = Scripted::start(vec![vec![Step::Hang]], None);
    let other = Scripted::start(vec![vec![Step::Hang]], None);
    let gateway = gateway(&schema, &[slow.address, other.address], "ejection: { consecutive: 2 }");
    for _ in 0..20 {
        hurried(gateway.address);
    }
    assert!(gateway.metrics().lines().all(|line| !line.starts_with("transom_upstream_ejections_total{")));
}

#[test]
fn an_only_endpoint_stays() {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::status(14, "no"));
    let gateway = gateway(&schema, &[backend.address], "ejection: { consecutive: 1 }");
    for _ in 0..10 {
        assert_eq!(get(gateway.address, "/g").status, 503);
    }
    assert_eq!(backend.count(), 10);
}

#[test]
fn no_more_are_out_than_may_be() {
    let schema = Schema::new(PROTO);
    let backends: Vec<Backend> = (0..4).map(|_| Backend::start(&schema, Answer::status(14, "no"))).collect();
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    let gateway =
        gateway(&schema, &addresses, "ejection: { consecutive: 1, max_ejected: 50%, base: 1h, max: 1h }");
    for _ in 0..40 {
        get(gateway.address, "/g");
    }
    let out: usize = support::metric(&gateway.metrics(), "transom_upstream_endpoint_ejected");
    assert_eq!(out, 2);
    // The others take all calls, however they fare.
    let counts: Vec<usize> = backends.iter().map(Backend::count).collect();
    assert_eq!(counts.iter().sum::<usize>(), 40);
    assert_eq!(counts.iter().filter(|count| **count == 1).count(), 2, "{counts:?}");
}

#[test]
fn one_that_is_well_again_is_called_again() {
    let schema = Schema::new(PROTO);
    let sick = Backend::start(&schema, Answer::status(14, "no"));
    let fine = Backend::start(&schema, Answer::Echo);
    let gateway =
        gateway(&schema, &[sick.address, fine.address], "ejection: { consecutive: 1, base: 300ms }");
    until("it is ejected", || get(gateway.address, "/g").status == 503);
    sick.take();
    sick.answer(Answer::Echo);
    until("it is called again", || {
        assert_eq!(get(gateway.address, "/g").status, 200);
        sick.count() > 0
    });
}
