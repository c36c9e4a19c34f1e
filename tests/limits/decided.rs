//! The same decision in every protocol, and what answers say of it.

use prost::Message;
use serde_json::Value;
use transom::fault::{Any, Detail, ErrorInfo, QuotaFailure, RetryInfo, RpcStatus};

use crate::support::{Choices, Http1, Http2, Reply, Site, call, frame, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; N n = 2; }
message N { int32 b = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g/{a}" }; }
  rpc Set(M) returns (M) { option (google.api.http) = { post: "/s" body: "*" }; }
  rpc Dear(M) returns (M) { option (google.api.http) = { get: "/dear" }; }
  rpc Free(M) returns (M) { option (google.api.http) = { get: "/free" }; }
}
"#;

/// A rate that lets through so many and then none for as long as a test lasts.
fn site(rules: &str) -> Site {
    Site::new(PROTO, Choices { more: &format!("rules:\n{rules}"), ..Choices::default() })
}

const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc"), ("te", "trailers")];
const WEB: &[(&str, &str)] = &[("content-type", "application/grpc-web+proto")];
const CONNECT: &[(&str, &str)] = &[("content-type", "application/json"), ("connect-protocol-version", "1")];

/// What a call came to: passed, or the reason of the refusal.
#[derive(Debug, PartialEq)]
enum Outcome {
    Passed,
    Refused(String),
}

fn refused(reason: &str) -> Outcome {
    Outcome::Refused(reason.to_owned())
}

fn status(headers: &http::HeaderMap) -> RpcStatus {
    let details = headers.get("grpc-status-details-bin").expect("details").as_bytes();
    let bytes = base64_simd::STANDARD_NO_PAD.decode_to_vec(details).expect("base64");
    RpcStatus::decode(bytes.as_slice()).expect("a status")
}

fn info(details: &[Any]) -> ErrorInfo {
    details.iter().find_map(ErrorInfo::unpack).expect("an ErrorInfo")
}

/// A call of `/t.S/Get` by each protocol, in turn.
fn by_protocol(site: &Site, number: usize) -> (Outcome, Reply) {
    let address = site.address();
    let passed_or = |reply: &Reply, reason: &dyn Fn(&Reply) -> String| {
        if reply.status == 200 { Outcome::Passed } else { Outcome::Refused(reason(reply)) }
    };
    match number % 6 {
        0 => {
            let reply = site.get("/g/x");
            (passed_or(&reply, &Reply::reason), reply)
        }
        1 => {
            let reply = Http2::connect(address).call("POST", "/t.S/Get", GRPC, &frame(b""));
            let outcome = match reply.headers.get("grpc-status") {
                Some(_) => Outcome::Refused(info(&status(&reply.headers).details).reason),
                None => Outcome::Passed,
            };
            (outcome, reply)
        }
        2 => {
            let reply = call(address, "POST", "/t.S/Get", WEB, &frame(b""));
            // The only frame has the trailers.
            let outcome = if reply.body.first() == Some(&0x80) {
                let lines = String::from_utf8_lossy(&reply.body[5..]).into_owned();
                let details = lines.lines().find_map(|line| line.strip_prefix("grpc-status-details-bin: "));
                let mut headers = http::HeaderMap::new();
                headers
                    .insert("grpc-status-details-bin", details.expect("details").parse().expect("a header"));
                Outcome::Refused(info(&status(&headers).details).reason)
            } else {
                Outcome::Passed
            };
            (outcome, reply)
        }
        3 => {
            let reply = call(address, "POST", "/t.S/Get", CONNECT, b"{}");
            let reason = |reply: &Reply| {
                let details: Value = reply.json();
                details["details"][0]["debug"]["reason"].as_str().expect("a reason").to_owned()
            };
            (passed_or(&reply, &reason), reply)
        }
        4 => {
            let reply = Http2::connect(address).call("GET", "/g/%78", &[], b"");
            (passed_or(&reply, &Reply::reason), reply)
        }
        _ => {
            let handshake = [
                ("connection", "Upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ];
            let mut client = Http1::connect(address);
            client.send(request("GET", "/g/x", &handshake, b""));
            let reply = client.reply();
            let outcome =
                if reply.status == 101 { Outcome::Passed } else { Outcome::Refused(reply.reason()) };
            (outcome, reply)
        }
    }
}

#[test]
fn one_limit_holds_for_all_protocols_together() {
    let site = site("  t.S/*: { limits: [{ rate: 12/59m, key: global }] }\n");
    for number in 0..12 {
        let (outcome, _) = by_protocol(&site, number);
        assert_eq!(outcome, Outcome::Passed, "{number}");
    }
    for number in 0..12 {
        let (outcome, reply) = by_protocol(&site, number);
        assert_eq!(outcome, refused("RATE_LIMITED"), "{number} {reply:?}");
    }
    assert_eq!(site.get("/free").status, 429, "one rule, one count");
}

#[test]
fn answers_tell_how_limits_stand() {
    let site = site(
        "  t.S/*: { limits: [{ rate: 1/59m, burst: 7, key: global }, { quota: 100/day, key: global }] }\n",
    );
    let (policy, mut left) = ("\"1/59m\";q=7;w=24780, \"100/day\";q=100;w=86400", 6);
    for number in [0, 2, 3, 4] {
        let (_, reply) = by_protocol(&site, number);
        assert_eq!(reply.header("ratelimit-policy"), Some(policy), "{number}");
        let told = reply.header("ratelimit").expect("a field").to_owned();
        let start = format!("\"1/59m\";r={left};t=");
        assert!(told.starts_with(&start), "{told} {start}");
        assert!(told.contains(&format!("\"100/day\";r={}", 93 + left)), "{told}");
        left -= 1;
    }
    // Neither is what clients of gRPC look at.
    let (_, reply) = by_protocol(&site, 1);
    assert_eq!(reply.header("ratelimit"), None);
    // A backend's failure says it as well.
    site.backend.answer(crate::support::Answer::status(5, "none"));
    let reply = site.get("/g/x");
    assert_eq!((reply.status, reply.headers.contains_key("ratelimit")), (404, true));
    site.backend.answer(crate::support::Answer::Echo);
    assert_eq!(site.get("/g/x").status, 200);

    let reply = site.get("/g/x");
    reply.assert_fault(429, "RATE_LIMITED", None);
    assert_eq!(reply.header("ratelimit-policy"), Some(policy));
    let retry: u64 = reply.header("retry-after").expect("when").parse().unwrap();
    assert!((3000..=3540).contains(&retry), "{retry}");
    assert!(reply.header("ratelimit").unwrap().starts_with("\"1/59m\";r=0;t="), "{reply:?}");
    assert!(!reply.text().contains("t.S/"), "which rule decided is nobody's business: {}", reply.text());

    let (_, reply) = by_protocol(&site, 1);
    assert_eq!(reply.headers["grpc-status"], "8");
    let details = status(&reply.headers).details;
    let delay = details.iter().find_map(RetryInfo::delay_in).expect("a RetryInfo");
    assert!((3000..=3540).contains(&delay.as_secs()), "{delay:?}");
    let quota = details.iter().find_map(QuotaFailure::unpack).expect("a QuotaFailure");
    assert_eq!(quota.violations[0].subject, "1/59m");
}

#[test]
fn what_one_limit_refuses_costs_no_other() {
    let site = site("  t.S/*: { limits: [{ rate: 10/59m, key: global }, { quota: 2/day, key: global }] }\n");
    for _ in 0..2 {
        assert_eq!(site.get("/free").status, 200);
    }
    for _ in 0..20 {
        site.get("/free").assert_fault(429, "QUOTA_EXCEEDED", None);
    }
    assert!(site.get("/free").header("ratelimit").unwrap().starts_with("\"10/59m\";r=8;"));
}

#[test]
fn loading_again_leaves_counts_as_they_are() {
    let more =
        "admin: { address: '127.0.0.1:0' }\nrules:\n  t.S/*: { limits: [{ rate: 2/59m, key: global }] }\n";
    let site = Site::new(PROTO, Choices { more, ..Choices::default() });
    assert_eq!(site.get("/free").status, 200);
    site.gateway.running().reload();
    until("the schema is loaded again", || site.gateway.metric("transom_generation") == 2);
    assert_eq!((site.get("/free").status, site.get("/free").status), (200, 429));
}

#[test]
fn costs_keys_and_rules_by_method() {
    let site = site(
        "  t.S/*: { limits: [{ rate: 10/59m, key: [method, 'header:x-tenant'] }] }\n  t.S/Dear: { cost: 5 }\n  t.S/Free: { limits: off }\n",
    );
    let get = |path: &str, tenant: &str| site.call("GET", path, &[("x-tenant", tenant)], b"").status;
    let many = |path: &str, tenant: &str| (0..20).filter(|_| get(path, tenant) == 200).count();
    assert_eq!((many("/g/x", "a"), many("/g/x", "b")), (10, 10), "each tenant");
    assert_eq!(many("/dear", "a"), 2, "each method, at its cost");
    assert_eq!(many("/free", "a"), 20);
    assert_eq!(site.get("/g/x").status, 200, "those without the header are one");
}

#[test]
fn addresses_are_limited_before_a_route_is_looked_for() {
    let listener = "address_limits: [{ rate: 3/59m }]";
    let site = Site::new(PROTO, Choices { listener, ..Choices::default() });
    for _ in 0..3 {
        assert_eq!(site.get("/nowhere").status, 404);
    }
    let reply = site.get("/nowhere");
    reply.assert_fault(429, "RATE_LIMITED", None);
    assert_eq!(reply.header("ratelimit-policy"), Some("\"3/59m\";q=3;w=3540"));
    assert_eq!(by_protocol(&site, 1).0, refused("RATE_LIMITED"));
}

#[test]
fn the_message_can_be_the_key() {
    let site = site("  t.S/Set: { limits: [{ rate: 2/59m, key: 'field:n.b' }] }\n");
    let schema = &site.schema;
    let set = |number: i32| {
        let body = format!("{{\"n\":{{\"b\":{number}}}}}");
        let rest = site.post("/s", &body);
        let message = schema.encode("t.M", &serde_json::json!({ "n": { "b": number } }));
        let grpc = Http2::connect(site.address()).call("POST", "/t.S/Set", GRPC, &frame(&message));
        let connect = call(site.address(), "POST", "/t.S/Set", CONNECT, body.as_bytes());
        let grpc_passed = !grpc.headers.contains_key("grpc-status");
        [rest.status == 200, grpc_passed, connect.status == 200]
    };
    assert_eq!(set(1), [true, true, false]);
    assert_eq!(set(2), [true, true, false]);
    assert_eq!(set(0), [true, true, false]);
    let reply = site.post("/s", "{}");
    reply.assert_fault(429, "RATE_LIMITED", None);
    assert!(reply.header("ratelimit").is_some());
    assert!(site.post("/s", "{\"n\":{\"b\":3}}").header("ratelimit").is_some());
}

#[test]
fn the_rule_that_decided_is_in_log_and_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let more = "admin: { address: '127.0.0.1:0' }\nrules:\n  t.S/*: { limits: [{ rate: 1/59m, key: global, name: few }] }\n";
    let schema = crate::support::Schema::new(PROTO);
    let backend = crate::support::Backend::start(&schema, crate::support::Answer::Echo);
    let yaml = Choices { more, ..Choices::default() }
        .yaml(&schema, backend.address)
        .replace("access_log: off", &format!("access_log: {{ to: '{}' }}", log.display()));
    let gateway = crate::support::Gateway::start(&yaml, schema.folder());
    for _ in 0..3 {
        crate::support::get(gateway.address, "/free");
    }
    for (result, count) in [("passed", 1), ("refused", 2)] {
        let name = format!("transom_limit_decisions_total{{rule=\"t.S/* few\",result=\"{result}\"}}");
        assert_eq!(gateway.metric(&name), count, "{result}");
    }
    drop(gateway);
    let lines = std::fs::read_to_string(log).unwrap();
    assert_eq!(lines.matches("reason=RATE_LIMITED origin=client rule=\"t.S/* few\"").count(), 2, "{lines}");
}
