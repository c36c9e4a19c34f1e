//! Calls of one method that several upstreams share: by a header, by chance, and the same for all calls of a caller.

mod support;

use std::collections::HashMap;

use support::{Answer, Backend, Gateway, Http2, Schema, Transom, get, request, until};

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

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];
const CONNECT: [(&str, &str); 2] = [("content-type", "application/json"), ("connect-protocol-version", "1")];

type Headers = [(&'static str, &'static str)];

/// Two backends that say who they are.
struct Shop {
    schema: Schema,
    stable: Backend,
    canary: Backend,
}

impl Shop {
    fn new() -> Self {
        let schema = Schema::new(PROTO);
        let [stable, canary] = [&b"\x0a\x06stable"[..], b"\x0a\x06canary"]
            .map(|said| Backend::start(&schema, Answer::message(said)));
        Self { schema, stable, canary }
    }

    /// `orders` and `canary` share all methods by this rule.
    fn yaml(&self, upstream: &str, canary: &str, more: &str) -> String {
        let (descriptors, stable, address) =
            (self.schema.descriptors(), self.stable.address, self.canary.address);
        format!(
            "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nadmin: {{ address: '127.0.0.1:0' }}\n\
             schema: {{ descriptors: '{}' }}\nworkers: 1\ndrain: 0s\nupstreams:\n\
             \x20 orders: {{ endpoints: 'http://{stable}' }}\n\
             \x20 canary: {{ endpoints: 'http://{address}', {canary} }}\n\
             rules: {{ '*': {{ upstream: {upstream} }} }}\n{more}\n",
            descriptors.display()
        )
    }

    fn gateway(&self, upstream: &str, canary: &str) -> Gateway {
        Gateway::start(&self.yaml(upstream, canary, "access_log: off"), self.schema.folder())
    }
}

const HALF: &str = "{ split: [{ to: orders, weight: 50 }, { to: canary, weight: 50 }] }";
const BY_HEADER: &str =
    "{ split: [{ to: orders, weight: 1 }], when: [{ header: x-canary, equals: '1', to: canary }] }";

/// Who answers a call by each protocol.
fn answers(http2: &mut Http2, headers: &[(&str, &str)]) -> Vec<&'static str> {
    let with = |base: &Headers| -> Vec<(String, String)> {
        base.iter().chain(headers).map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    let calls: [(&str, &str, &Headers, &[u8]); 5] = [
        ("GET", "/g", &[], b""),
        ("GET", "/d", &[], b""),
        ("POST", "/t.S/Get", &GRPC, &[0; 5]),
        ("POST", "/t.S/Down", &GRPC, &[0; 5]),
        ("POST", "/t.S/Get", &CONNECT, b"{}"),
    ];
    calls
        .into_iter()
        .map(|(method, path, base, body)| {
            let headers = with(base);
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            let reply = http2.call(method, path, &headers, body);
            let said = String::from_utf8_lossy(&reply.body);
            match (said.contains("stable"), said.contains("canary")) {
                (true, false) => "stable",
                (false, true) => "canary",
                _ => panic!("{path}: {} {said}", reply.status),
            }
        })
        .collect()
}

#[test]
fn a_header_decides_in_every_protocol() {
    let shop = Shop::new();
    let gateway = shop.gateway(BY_HEADER, "");
    let mut http2 = Http2::connect(gateway.address);
    for (headers, want) in [
        (&[][..], "stable"),
        (&[("x-canary", "1")], "canary"),
        (&[("x-canary", "2")], "stable"),
        (&[("x-canary", "2"), ("x-canary", "1")], "canary"),
    ] {
        assert_eq!(answers(&mut http2, headers), [want; 5], "{headers:?}");
    }
    let count = |rpc, upstream| {
        gateway.metric(&format!(
            "transom_split_calls_total{{rpc=\"t.S/{rpc}\",upstream=\"{upstream}\",code=\"OK\"}}"
        ))
    };
    until("calls are counted", || count("Get", "canary") == 6 && count("Get", "orders") == 6);
    until("streams are counted", || count("Down", "canary") == 4 && count("Down", "orders") == 4);
}

#[test]
fn chance_keeps_to_the_weights() {
    let shop = Shop::new();
    let gateway = shop.gateway("{ split: [{ to: orders, weight: 80 }, { to: canary, weight: 20 }] }", "");
    let mut http2 = Http2::connect(gateway.address);
    let mut said: HashMap<&str, usize> = HashMap::new();
    for _ in 0..100 {
        for who in answers(&mut http2, &[]) {
            *said.entry(who).or_default() += 1;
        }
    }
    // 500 calls, of which 100 are expected there; less than 40 or more than 180 never come by chance.
    assert!((40..180).contains(&said["canary"]), "{said:?}");
}

#[test]
fn callers_stay_where_they_are() {
    let shop = Shop::new();
    let half = |sticky| HALF.replace("] }", &format!("], sticky: {sticky} }}"));
    let gateway = shop.gateway(&half("'header:x-user'"), "");
    let mut http2 = Http2::connect(gateway.address);
    let mut said: HashMap<&str, usize> = HashMap::new();
    for user in 0..40 {
        let user = user.to_string();
        let first = answers(&mut http2, &[("x-user", &user)]);
        assert_eq!(first, [first[0]; 5], "{user}");
        *said.entry(first[0]).or_default() += 1;
    }
    assert!(said.len() == 2, "{said:?}");
    // All come from one address.
    let gateway = shop.gateway(&half("address"), "");
    let mut http2 = Http2::connect(gateway.address);
    let all: Vec<&str> = (0..10).flat_map(|_| answers(&mut http2, &[])).collect();
    assert!(all.iter().all(|who| who == &all[0]), "{all:?}");
}

#[test]
fn the_gate_is_that_of_the_chosen_one() {
    let shop = Shop::new();
    let gateway = shop.gateway(BY_HEADER, "concurrency: { calls: 1 }");
    shop.canary.answer(Answer::Held);
    let mut held = support::Http1::connect(gateway.address);
    let canary = [("x-canary", "1")];
    held.send(request("GET", "/g", &canary, b""));
    until("it is under way", || shop.canary.count() == 1);
    let full = support::call(gateway.address, "GET", "/g", &canary, b"");
    full.assert_fault(503, "OVERLOADED", None);
    get(gateway.address, "/g").assert_ok();
    shop.canary.release();
    held.reply().assert_ok();
}

#[test]
fn one_that_is_down_leaves_the_gateway_ready_and_is_named_in_the_log() {
    let mut shop = Shop::new();
    let file = shop.schema.write("transom.yaml", &shop.yaml(BY_HEADER, "", ""));
    // The one that the configuration names is gone.
    shop.canary = Backend::start(&shop.schema, Answer::Echo);
    let transom = Transom::spawn(["serve".as_ref(), "--config".as_ref(), file.as_os_str()]);
    until("it is ready", || get(transom.admin(), "/readyz").status == 200);
    get(transom.address(), "/g").assert_ok();
    let down = support::call(transom.address(), "GET", "/g", &[("x-canary", "1")], b"");
    down.assert_fault(503, "UPSTREAM_UNREACHABLE", None);
    assert_eq!(get(transom.admin(), "/readyz").status, 200);
    let ended = transom.stop();
    let log = format!("{}{}", ended.out, ended.err);
    assert!(log.contains("upstream=orders") && log.contains("upstream=canary"), "{log}");
}

#[test]
fn what_tells_nobody_apart_is_an_error() {
    let shop = Shop::new();
    let yaml = shop.yaml(&HALF.replace("] }", "], sticky: principal }"), "", "access_log: off");
    match Gateway::try_start(&yaml, shop.schema.folder()) {
        Ok(_) => panic!("it starts"),
        Err(problems) => {
            let text = problems.to_string();
            assert!(
                text.contains("`upstream.sticky` of the rule `*`") && text.contains("auth: required"),
                "{text}"
            );
        }
    }
}
