//! Endpoints and the connections to them: sockets of the file system, weights, connections that come on demand, make
//! room, go away, or lead nowhere any more.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use support::{Answer, Backend, Gateway, Hole, Http1, Http2, Plain, Schema, Ways, get, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
}
"#;

fn start(schema: &Schema, upstream: &str) -> Gateway {
    let descriptors = schema.descriptors();
    let yaml = format!(
        "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nschema: {{ descriptors: '{}' }}\n\
         upstreams: {{ main: {{ {upstream} }} }}\nadmin: {{ address: '127.0.0.1:0' }}\naccess_log: off\n\
         workers: 1\ndrain: 0s\n",
        descriptors.display()
    );
    Gateway::start(&yaml, schema.folder())
}

fn to(address: SocketAddr, more: &str) -> String {
    format!("endpoints: 'http://{address}', {more}")
}

/// Calls that the backend holds, each on a connection of its own to the gateway.
fn hold(gateway: &Gateway, count: usize) -> Vec<Http1> {
    let begin = |_| {
        let mut client = Http1::connect(gateway.address);
        client.send(request("GET", "/g?a=held", &[], b""));
        client
    };
    (0..count).map(begin).collect()
}

#[test]
fn sockets_of_the_file_system() {
    let schema = Schema::new(PROTO);
    let path = schema.folder().join("books.sock");
    let backend = Plain::unix(&path, Ways::default());
    let gateway = start(&schema, &format!("endpoints: 'unix://{}'", path.display()));
    for _ in 0..3 {
        get(gateway.address, "/g?a=x").assert_ok();
    }
    assert_eq!((backend.calls(), backend.connections()), (3, 1));
    // It comes back under the same name.
    drop(backend);
    std::fs::remove_file(&path).expect("it is there");
    until("it is noticed", || get(gateway.address, "/g?a=x").status == 503);
    let backend = Plain::unix(&path, Ways::default());
    until("it works again", || get(gateway.address, "/g?a=x").status == 200);
    assert!(backend.calls() > 0);
}

#[test]
fn weights_are_parts_of_the_turns() {
    let schema = Schema::new(PROTO);
    let backends = [0, 1, 2].map(|_| Backend::start(&schema, Answer::Echo));
    let [first, second, third] = backends.each_ref().map(|backend| backend.address);
    let gateway = start(
        &schema,
        &format!(
            "endpoints: ['http://{first}', {{ url: 'http://{second}', weight: 3 }}, \
             {{ url: 'http://{third}', weight: 2 }}], balance: round_robin"
        ),
    );
    until("all are connected", || {
        get(gateway.address, "/g").assert_ok();
        backends.iter().all(|backend| backend.count() > 0)
    });
    backends.iter().for_each(|backend| drop(backend.take()));
    for _ in 0..60 {
        get(gateway.address, "/g").assert_ok();
    }
    assert_eq!(backends.each_ref().map(Backend::count), [10, 30, 20]);
}

#[test]
fn further_connections_are_opened_when_those_there_are_full() {
    let schema = Schema::new(PROTO);
    for (most, want) in [("", 3), ("max_connections: 2", 2), ("max_connections: 1", 1)] {
        let (address, backend) = Plain::tcp(Ways { streams: Some(2), ..Ways::default() });
        let gateway = start(&schema, &to(address, most));
        get(gateway.address, "/g").assert_ok();
        assert_eq!(backend.connections(), 1, "{most}");
        let mut held = Vec::new();
        for number in 1..=5_usize {
            held.extend(hold(&gateway, 1));
            // Two a connection; what is above waits for a place within the connection.
            until("it arrives", || backend.calls() > number.min(2 * want));
            let connections = (number + 1).div_ceil(2).min(want);
            until("it is as many connections as it takes", || backend.connections() >= connections);
        }
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(backend.connections(), want, "{most}");
        for client in &mut held {
            // Again and again: those that had to wait are held in their turn.
            let replied = std::thread::scope(|scope| {
                let reply = scope.spawn(|| client.reply());
                until("it is answered", || {
                    backend.release();
                    reply.is_finished()
                });
                reply.join().expect("a reply")
            });
            replied.assert_ok();
        }
    }
}

#[test]
fn backends_that_go_away_again_and_again_lose_no_call() {
    let schema = Schema::new(PROTO);
    let ways = Ways { goes_away_after: Some(20), ..Ways::default() };
    let backends = [0, 1].map(|_| Plain::tcp(ways));
    let [one, other] = backends.each_ref().map(|(address, _)| *address);
    for upstream in [to(one, ""), format!("endpoints: ['http://{one}', 'http://{other}']")] {
        let gateway = start(&schema, &upstream);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut client = Http2::connect(gateway.address);
                    for number in 0..100 {
                        client.call("GET", &format!("/g?a=n{number}"), &[], b"").assert_ok();
                    }
                });
            }
        });
    }
    let (_, backend) = &backends[0];
    assert!(backend.connections() > 20, "{}", backend.connections());
}

#[test]
fn connections_make_room_at_their_age_without_losing_a_call() {
    let schema = Schema::new(PROTO);
    let (address, backend) = Plain::tcp(Ways::default());
    let gateway = start(&schema, &to(address, "max_connection_age: 100ms"));
    get(gateway.address, "/g").assert_ok();
    let mut held = hold(&gateway, 1);
    until("it arrives", || backend.calls() == 2);
    until("several were replaced", || {
        get(gateway.address, "/g").assert_ok();
        backend.connections() > 4
    });
    // The one with the call on it, the newest, and one in change at most.
    until("the others are closed", || backend.open() <= 3);
    backend.release();
    held[0].reply().assert_ok();
    until("so is the oldest", || backend.open() <= 2);
}

#[test]
fn pings_find_out_that_a_connection_leads_nowhere() {
    let schema = Schema::new(PROTO);
    let (address, backend) = Plain::tcp(Ways::default());
    let hole = Hole::before(address);
    let keepalive = "keepalive: { every: 1s, timeout: 500ms }";
    let gateway = start(&schema, &to(hole.address, keepalive));
    get(gateway.address, "/g").assert_ok();
    let mut lost = hold(&gateway, 1);
    until("it arrives", || backend.calls() == 2);
    hole.swallow();
    // It has no deadline of its own that is near.
    lost[0].reply().assert_fault(503, "CONNECTION_LOST", None);
    until("it works again", || get(gateway.address, "/g").status == 200);
    // Where there are no calls, only who says so is pinged.
    let connections = hole.accepted();
    hole.swallow();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(hole.accepted(), connections);
    let idle = "keepalive: { every: 1s, timeout: 500ms, idle: true }";
    let other = Hole::before(address);
    let gateway = start(&schema, &to(other.address, idle));
    get(gateway.address, "/g").assert_ok();
    other.swallow();
    until("another connection is there", || other.accepted() == 2);
}

#[test]
fn a_call_that_waits_in_vain_casts_doubt_on_a_silent_connection() {
    let schema = Schema::new(PROTO);
    let (address, _backend) = Plain::tcp(Ways::default());
    let hole = Hole::before(address);
    let gateway = start(&schema, &to(hole.address, ""));
    get(gateway.address, "/g").assert_ok();
    hole.swallow();
    let reply = support::call(gateway.address, "GET", "/g", &[("x-server-timeout", "0.2")], b"");
    assert_eq!(reply.status, 504);
    // No interval is set; the ping that is sent for it is not answered.
    until("another connection is there", || hole.accepted() == 2);
    get(gateway.address, "/g").assert_ok();
}
