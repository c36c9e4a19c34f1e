//! Upstreams whose endpoints DNS tells: they come, go and stay, and what DNS can't tell changes nothing.

mod support;

use std::net::TcpListener;

use serde_json::json;
use support::{Answer, Backend, Dns, Gateway, Http1, Said, Schema, get, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
}
"#;

const NAME: &str = "orders.test";

/// Backends at one port of 127.0.0.1, 127.0.0.2 and so on.
fn backends<const COUNT: usize>(schema: &Schema) -> (u16, [Backend; COUNT]) {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = first.local_addr().expect("it is bound").port();
        let more = (2..=COUNT).map(|last| TcpListener::bind(format!("127.0.0.{last}:{port}")));
        let Ok(more) = more.collect::<Result<Vec<_>, _>>() else { continue };
        let mut listeners = std::iter::once(first).chain(more);
        let backend = |_| Backend::start_on(listeners.next().expect("enough"), schema, Answer::Echo);
        return (port, std::array::from_fn(backend));
    }
}

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

fn by_dns(dns: &Dns, port: u16, more: &str) -> String {
    format!("dns: {{ name: '{NAME}:{port}', server: '{}', {more} }}", dns.address)
}

/// How many calls each backend gets of `calls`, all of which succeed.
#[track_caller]
fn counts<const COUNT: usize>(
    gateway: &Gateway,
    backends: &[Backend; COUNT],
    calls: usize,
) -> [usize; COUNT] {
    backends.iter().for_each(|backend| drop(backend.take()));
    for _ in 0..calls {
        get(gateway.address, "/g").assert_ok();
    }
    backends.each_ref().map(Backend::count)
}

const OFTEN: &str = "min_ttl: 100ms";

#[test]
fn endpoints_come_go_and_stay() {
    let (schema, dns) = (Schema::new(PROTO), Dns::start());
    let (port, backends) = backends::<3>(&schema);
    dns.say_loopback(NAME, &[1], 0);
    let gateway = start(&schema, &format!("{}, balance: round_robin", by_dns(&dns, port, OFTEN)));
    backends[0].answer(Answer::Held);
    let mut client = Http1::connect(gateway.address);
    client.send(request("GET", "/g?a=held", &[], b""));
    until("it arrives", || backends[0].count() == 1);
    backends[0].answer(Answer::Echo);
    dns.say_loopback(NAME, &[1, 2], 0);
    until("the second has come", || counts(&gateway, &backends, 10) == [5, 5, 0]);
    let of_the_second = backends[1].connections();
    dns.say_loopback(NAME, &[2, 3], 0);
    until("the first has gone and the third has come", || counts(&gateway, &backends, 10) == [0, 5, 5]);
    // One that has left finishes what it has begun.
    backends[0].release();
    assert_eq!(client.reply().assert_ok().json(), json!({ "a": "held" }));
    assert_eq!(backends[1].connections(), of_the_second, "who stays keeps its connection");
}

#[test]
fn what_dns_can_not_tell_changes_nothing() {
    let (schema, dns) = (Schema::new(PROTO), Dns::start());
    let (port, backends) = backends::<2>(&schema);
    dns.say_loopback(NAME, &[1], 0);
    let gateway = start(&schema, &by_dns(&dns, port, OFTEN));
    get(gateway.address, "/g").assert_ok();
    for said in [Said::ServerFailure, Said::NoSuchName, Said::Empty] {
        dns.say(NAME, said.clone());
        let asked = dns.asked(NAME);
        until("it is asked", || dns.asked(NAME) > asked + 1);
        assert_eq!(counts(&gateway, &backends, 5), [5, 0], "{said:?}");
    }
    dns.say_loopback(NAME, &[2], 0);
    until("the new one is found", || counts(&gateway, &backends, 5) == [0, 5]);
    assert_eq!(backends[0].connections(), 1);
}

#[test]
fn a_name_that_nobody_knows_is_unavailable_until_somebody_does() {
    let (schema, dns) = (Schema::new(PROTO), Dns::start());
    let (port, backends) = backends::<1>(&schema);
    let gateway = start(&schema, &by_dns(&dns, port, OFTEN));
    get(gateway.address, "/g").assert_fault(503, "UPSTREAM_UNREACHABLE", None);
    dns.say_loopback(NAME, &[1], 60);
    until("it is found", || get(gateway.address, "/g").status == 200);
    assert_eq!(backends[0].count(), 1);
}

#[test]
fn calls_wait_for_the_first_answer() {
    let (schema, dns) = (Schema::new(PROTO), Dns::start());
    let (port, _backends) = backends::<1>(&schema);
    dns.say(NAME, Said::Silence);
    let gateway = start(&schema, &by_dns(&dns, port, OFTEN));
    let mut client = Http1::connect(gateway.address);
    client.send(request("GET", "/g", &[], b""));
    until("the name is looked up", || dns.asked(NAME) > 0);
    dns.say_loopback(NAME, &[1], 60);
    // The query is sent again when nothing came.
    client.reply().assert_ok();
}

#[test]
fn both_families_are_asked_and_one_is_enough() {
    let (schema, dns) = (Schema::new(PROTO), Dns::start());
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        assert!(std::env::var_os("CI").is_none(), "there is no IPv6 here");
        eprintln!("skipped: there is no IPv6 here");
        return;
    };
    let port = listener.local_addr().expect("it is bound").port();
    let backend = Backend::start_on(listener, &schema, Answer::Echo);
    dns.say(NAME, Said::Addresses(vec!["::1".parse().expect("an address")], 60));
    let gateway = start(&schema, &by_dns(&dns, port, ""));
    get(gateway.address, "/g").assert_ok();
    let seen = backend.only();
    assert_eq!(seen.path, "/t.S/Get");
}

#[test]
fn answers_are_relied_on_for_as_long_as_they_say() {
    let (schema, dns) = (Schema::new(PROTO), Dns::start());
    let (port, _backends) = backends::<1>(&schema);
    // The floor, the answer itself, the ceiling.
    for (ttl, more, again) in [
        (0, "min_ttl: 1h, max_ttl: 1h", false),
        (3600, OFTEN, false),
        (3600, "min_ttl: 100ms, max_ttl: 200ms", true),
    ] {
        dns.say_loopback(NAME, &[1], ttl);
        let before = dns.asked(NAME);
        let gateway = start(&schema, &by_dns(&dns, port, more));
        get(gateway.address, "/g").assert_ok();
        if again {
            until("it is asked again", || dns.asked(NAME) >= before + 8);
        } else {
            std::thread::sleep(std::time::Duration::from_millis(500));
            // Once for each family.
            assert_eq!(dns.asked(NAME), before + 2, "{more}");
        }
    }
}

#[test]
fn an_endpoint_that_is_gone_is_a_reason_to_ask_again() {
    let (schema, dns) = (Schema::new(PROTO), Dns::start());
    let (port, [first, second]) = backends::<2>(&schema);
    dns.say_loopback(NAME, &[1], 3600);
    let gateway = start(&schema, &by_dns(&dns, port, OFTEN));
    get(gateway.address, "/g").assert_ok();
    dns.say_loopback(NAME, &[2], 3600);
    drop(first);
    until("the other one is found", || get(gateway.address, "/g").status == 200);
    assert!(second.count() > 0);
}

const SERVICE: &str = "_grpc._tcp.orders.test";

#[test]
fn services_have_priorities_and_weights() {
    let (schema, dns) = (Schema::new(PROTO), Dns::start());
    let backends = [0, 1, 2].map(|_| Backend::start(&schema, Answer::Echo));
    let [first, second, last] = backends.each_ref().map(|backend| backend.address.port());
    dns.say_loopback("a.orders.test", &[1], 3600);
    let services = |last_priority| {
        let target = "a.orders.test.";
        Said::Services(
            vec![(1, 30, first, target), (1, 10, second, target), (last_priority, 10, last, target)],
            0,
        )
    };
    dns.say(SERVICE, services(2));
    let upstream =
        format!("srv: {{ name: {SERVICE}, server: '{}', {OFTEN} }}, balance: round_robin", dns.address);
    let gateway = start(&schema, &upstream);
    until("both are connected", || {
        let counts = counts(&gateway, &backends, 8);
        counts[0] > 0 && counts[1] > 0
    });
    assert_eq!(counts(&gateway, &backends, 40), [30, 10, 0]);
    let [first, second, last] = backends;
    drop((first, second));
    until("the next priority takes calls", || get(gateway.address, "/g").status == 200);
    assert!(last.count() > 0);
}

#[test]
fn a_service_whose_targets_can_not_be_looked_up_keeps_its_members() {
    let (schema, dns) = (Schema::new(PROTO), Dns::start());
    let backends = [0].map(|_| Backend::start(&schema, Answer::Echo));
    let port = backends[0].address.port();
    dns.say_loopback("a.orders.test", &[1], 3600);
    dns.say(SERVICE, Said::Services(vec![(1, 1, port, "a.orders.test.")], 0));
    let gateway = start(&schema, &format!("srv: {{ name: {SERVICE}, server: '{}', {OFTEN} }}", dns.address));
    get(gateway.address, "/g").assert_ok();
    for services in [vec![(1, 1, port, "none.orders.test.")], vec![(0, 0, 0, ".")]] {
        dns.say(SERVICE, Said::Services(services, 0));
        let asked = dns.asked(SERVICE);
        until("it is asked", || dns.asked(SERVICE) > asked + 2);
        assert_eq!(counts(&gateway, &backends, 3), [3]);
    }
}

#[test]
fn readiness_follows_the_name() {
    let (schema, dns) = (Schema::new(PROTO), Dns::start());
    let (port, _backends) = backends::<1>(&schema);
    let gateway = start(&schema, &by_dns(&dns, port, OFTEN));
    let admin = gateway.running().admin().expect("an admin address");
    assert_eq!(get(admin, "/readyz").status, 503);
    dns.say_loopback(NAME, &[1], 3600);
    // Nobody has called.
    until("it is ready", || get(admin, "/readyz").status == 200);
}
