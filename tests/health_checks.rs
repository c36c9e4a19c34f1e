//! Endpoints are asked how they do, and calls go to those that say they do well.

mod support;

use std::net::{SocketAddr, TcpListener};

use serde_json::Value;
use support::{Choices, Gateway, Health, Healthy, Schema, get, http1, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; } }
"#;

const QUICK: &str = "health: { interval: 20ms, timeout: 200ms, healthy: 2, unhealthy: 2 }";

fn gateway(schema: &Schema, backends: &[SocketAddr], upstream: &str) -> Gateway {
    let upstream = format!("balance: round_robin, {upstream}");
    let more = "admin: { address: '127.0.0.1:0' }";
    let choices = Choices { upstream: &upstream, more, ..Choices::default() };
    Gateway::start(&choices.yaml_to(schema, backends), schema.folder())
}

fn is_healthy(gateway: &Gateway, endpoint: SocketAddr) -> bool {
    let labels = format!("{{upstream=\"main\",endpoint=\"{endpoint}\"}}");
    gateway.metric(&format!("transom_upstream_endpoint_healthy{labels}")) == 1
}

fn admin(gateway: &Gateway, path: &str) -> support::Reply {
    http1::get(gateway.running().admin().expect("an admin address"), path)
}

fn report(gateway: &Gateway) -> Value {
    admin(gateway, "/upstreams").assert_ok().json()
}

#[test]
fn calls_leave_an_endpoint_that_does_not_serve_and_come_back() {
    for sick in [Health::NotServing, Health::Silent] {
        let schema = Schema::new(PROTO);
        let (one, other) = (Healthy::start(Health::Serving), Healthy::start(Health::Serving));
        let gateway = gateway(&schema, &[one.address, other.address], QUICK);
        one.is(sick);
        until("it is found unhealthy", || !is_healthy(&gateway, one.address));
        let before = one.calls();
        for _ in 0..20 {
            get(gateway.address, "/g").assert_ok();
        }
        assert_eq!(one.calls(), before, "{sick:?}");
        one.is(Health::Serving);
        until("it is found healthy", || is_healthy(&gateway, one.address));
        for _ in 0..4 {
            get(gateway.address, "/g").assert_ok();
        }
        assert!(one.calls() > before, "{sick:?}");
    }
}

#[test]
fn without_a_health_service_whoever_answers_is_well() {
    let schema = Schema::new(PROTO);
    let backend = Healthy::start(Health::Unimplemented);
    let gateway = gateway(&schema, &[backend.address], QUICK);
    until("it is asked again and again", || backend.asked().len() > 4);
    assert!(is_healthy(&gateway, backend.address));
    get(gateway.address, "/g").assert_ok();
}

#[test]
fn the_service_that_is_asked_for_is_that_of_the_settings() {
    let schema = Schema::new(PROTO);
    let backend = Healthy::start(Health::Serving);
    let _gateway = gateway(&schema, &[backend.address], "health: { interval: 20ms, service: t.S }");
    until("it is asked", || !backend.asked().is_empty());
    assert_eq!(&backend.asked()[0][..], b"\x0a\x03t.S");
    let plain = Healthy::start(Health::Serving);
    let _other = self::gateway(&schema, &[plain.address], QUICK);
    until("it is asked", || !plain.asked().is_empty());
    assert!(plain.asked()[0].is_empty());
}

#[test]
fn readiness_follows_and_so_does_the_gateways_own_health() {
    let schema = Schema::new(PROTO);
    let backend = Healthy::start(Health::Serving);
    let gateway = gateway(&schema, &[backend.address], QUICK);
    let check = |want: &str| {
        let mut client = support::Http2::connect(gateway.address);
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        let asked =
            client.call("POST", "/grpc.health.v1.Health/Check", &headers, &support::frame(b"\x0a\x03t.S"));
        let want: &[u8] = if want == "SERVING" { &[8, 1] } else { &[8, 2] };
        asked.body == support::frame(want)
    };
    until("it is ready", || admin(&gateway, "/readyz").status == 200);
    until("it serves", || check("SERVING"));
    backend.is(Health::NotServing);
    until("it is not ready", || admin(&gateway, "/readyz").status == 503);
    assert!(check("NOT_SERVING"));
    // Where nobody is well, everybody is called.
    get(gateway.address, "/g").assert_ok();
    assert_eq!(report(&gateway)[0]["panic"], true);
    backend.is(Health::Serving);
    until("it is ready again", || admin(&gateway, "/readyz").status == 200);
}

#[test]
fn without_panic_nobody_is_called_who_is_not_well() {
    let schema = Schema::new(PROTO);
    let backend = Healthy::start(Health::NotServing);
    let gateway = gateway(&schema, &[backend.address], &format!("{QUICK}, panic: off"));
    until("it is found unhealthy", || !is_healthy(&gateway, backend.address));
    get(gateway.address, "/g").assert_fault(503, "NO_HEALTHY_ENDPOINT", None);
    assert_eq!(backend.calls(), 0);
}

#[test]
fn an_endpoint_that_can_not_be_reached_is_unhealthy() {
    let schema = Schema::new(PROTO);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fine = Healthy::start(Health::Serving);
    let gateway = gateway(&schema, &[closed, fine.address], QUICK);
    until("it is found unhealthy", || !is_healthy(&gateway, closed));
    assert!(is_healthy(&gateway, fine.address));
    let checks = gateway.metric(&format!(
        "transom_upstream_health_checks_total{{upstream=\"main\",endpoint=\"{closed}\",result=\"failed\"}}"
    ));
    assert!(checks > 0);
}

#[test]
fn the_admin_address_tells_how_everything_stands() {
    let schema = Schema::new(PROTO);
    let (one, other) = (Healthy::start(Health::Serving), Healthy::start(Health::NotServing));
    let upstream = format!("{QUICK}, breaker: {{}}, endpoint_breaker: {{}}");
    let gateway = gateway(&schema, &[one.address, other.address], &upstream);
    until("both are checked", || is_healthy(&gateway, one.address) && !is_healthy(&gateway, other.address));
    until("it is reached", || report(&gateway)[0]["reachable"] == true);
    let report = report(&gateway);
    let endpoint = |address: SocketAddr, healthy: bool| {
        serde_json::json!({
            "endpoint": address.to_string(), "weight": 1, "takes_calls": healthy, "healthy": healthy,
            "ejected": false, "breaker": "closed", "in_flight": 0,
        })
    };
    let want = serde_json::json!([{
        "name": "main", "reachable": true, "panic": false, "breaker": "closed", "retry_budget": 100, "pending": 0,
        "endpoints": [endpoint(one.address, true), endpoint(other.address, false)],
    }]);
    assert_eq!(report, want);
}
