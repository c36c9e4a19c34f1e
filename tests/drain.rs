//! The end of the program: who sends it traffic is told first, what waits at its sockets is served, what is under way is
//! finished, and what takes too long is cut off.

mod support;

use std::net::TcpStream;

use serde_json::json;
use support::{Answer, Backend, Http1, Http2, Schema, Transom, call, get, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
}
"#;

fn backend() -> (Schema, Backend) {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::Echo);
    (schema, backend)
}

/// Longer than any test waits.
const LONG: &str =
    "access_log: off\nadmin: { address: '127.0.0.1:0' }\ndrain: { delay: 300s, timeout: 300s }";

/// `grpc.health.v1.Health/Check` of the gateway itself, as JSON by Connect.
fn health(transom: &Transom) -> String {
    let headers = [("content-type", "application/json"), ("connect-protocol-version", "1")];
    call(transom.address(), "POST", "/grpc.health.v1.Health/Check", &headers, b"{}").text().to_owned()
}

#[test]
fn readiness_goes_before_the_listeners_do() {
    let (schema, backend) = backend();
    let transom = Transom::configured(&schema, &backend, LONG);
    let (address, admin) = (transom.address(), transom.admin());
    until("it is ready", || get(admin, "/readyz").status == 200);
    assert!(health(&transom).contains("\"SERVING\""), "{}", health(&transom));
    let mut kept = Http1::connect(address);
    kept.send(request("GET", "/g?a=x", &[], b""));
    assert_eq!(kept.reply().assert_ok().header("connection"), None);
    let mut http2 = Http2::connect(address);
    http2.call("GET", "/g?a=x", &[], b"").assert_ok();

    transom.signal("TERM");
    until("it says that it stops", || get(admin, "/readyz").status == 503);
    assert_eq!(get(admin, "/readyz").text(), "stopping\ngeneration 1\n");
    // It is still there for those who don't know yet, and says so on the way.
    for _ in 0..3 {
        let reply = get(address, "/g?a=x");
        assert_eq!(reply.assert_ok().header("connection"), Some("close"));
    }
    assert!(health(&transom).contains("\"NOT_SERVING\""), "{}", health(&transom));
    kept.send(request("GET", "/g?a=x", &[], b""));
    assert_eq!(kept.reply().assert_ok().header("connection"), Some("close"));
    assert!(kept.is_closed());
    assert_eq!(http2.call("GET", "/g?a=x", &[], b"").assert_ok().header("connection"), None);
    // Whoever is in a hurry says it twice.
    transom.signal("TERM");
    let ended = transom.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
}

#[test]
fn a_second_signal_cuts_off_what_is_under_way() {
    for signal in ["TERM", "INT"] {
        let (schema, backend) = backend();
        backend.answer(Answer::Held);
        let transom = Transom::configured(&schema, &backend, "access_log: off\ndrain: { timeout: 300s }");
        let mut client = Http1::connect(transom.address());
        client.send(request("GET", "/g", &[], b""));
        until("the call arrives", || backend.count() == 1);
        let address = transom.address();
        transom.signal(signal);
        until("nobody else is let in", || TcpStream::connect(address).is_err());
        transom.signal(signal);
        let ended = transom.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
        assert!(ended.err.contains("what is under way is cut off"), "{}", ended.err);
        assert!(client.read(false).is_none());
        until("the backend is told", || backend.cancelled() == 1);
    }
}

#[test]
fn what_waits_at_a_socket_is_served_before_it_is_closed() {
    let (schema, backend) = backend();
    let transom = Transom::configured(&schema, &backend, "access_log: off");
    let address = transom.address();
    get(address, "/g").assert_ok();
    for round in 0..5 {
        // While the process sleeps, connections queue up. It finds them, and the signal, when it wakes.
        transom.signal("STOP");
        let mut clients: Vec<Http1> = (0..40).map(|_| Http1::connect(address)).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            // Some say nothing before the end has begun.
            if number % 4 != 0 {
                client.send(request("GET", "/g?a=x", &[], b""));
            }
        }
        if round == 4 {
            transom.signal("TERM");
        }
        transom.signal("CONT");
        for (number, mut client) in clients.into_iter().enumerate() {
            if number % 4 == 0 {
                client.send(request("GET", "/g?a=x", &[], b""));
            }
            assert_eq!(client.reply().assert_ok().json(), json!({ "a": "x" }), "{round}: {number}");
        }
    }
    let ended = transom.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
}

#[test]
fn http2_is_told_to_go_and_finishes_its_calls() {
    let (schema, backend) = backend();
    let transom = Transom::configured(&schema, &backend, "access_log: off");
    let address = transom.address();
    let mut client = Http2::connect(address);
    client.call("GET", "/g?a=x", &[], b"").assert_ok();
    backend.answer(Answer::Held);
    let (call, _) = client.begin("GET", "/g?a=y", &[], true);
    until("the call arrives", || backend.count() == 2);
    transom.signal("TERM");
    until("nobody else is let in", || TcpStream::connect(address).is_err());
    backend.release();
    let reply = client.end(call).expect("an answer");
    assert_eq!(reply.assert_ok().json(), json!({ "a": "y" }));
    until("the connection is closed", || client.is_closed());
    let ended = transom.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
}
