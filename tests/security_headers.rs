//! What browsers are told not to do with answers: on every answer but gRPC's, and by whose word.

mod support;

use http::{HeaderMap, HeaderValue};
use support::{Answer, Choices, Reply, Schema, Site, call, frame, problems_of, text_message};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; } }
"#;

const NAMES: [&str; 6] = [
    "x-content-type-options",
    "content-security-policy",
    "x-frame-options",
    "referrer-policy",
    "strict-transport-security",
    "cache-control",
];

/// Those of the six that an answer has.
fn has(reply: &Reply) -> Vec<&'static str> {
    NAMES.into_iter().filter(|name| reply.header(name).is_some()).collect()
}

#[test]
fn the_preset_is_on_every_answer_but_those_of_grpc() {
    let site = Site::with(PROTO, "security_headers: safe");
    let get = site.get("/g");
    // Only TLS has that of transport security, only an error that of caches.
    assert_eq!(has(&get), NAMES[..4], "{get:?}");
    assert_eq!(get.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
    let missing = site.get("/nowhere");
    assert_eq!(missing.status, 404);
    assert_eq!(missing.header("cache-control"), Some("no-store"));
    assert_eq!(missing.header("x-content-type-options"), Some("nosniff"));
    let web = call(
        site.address(),
        "POST",
        "/t.S/Get",
        &[("content-type", "application/grpc-web+proto")],
        &frame(b""),
    );
    assert_eq!(has(&web), NAMES[..4]);
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    assert_eq!(has(&site.http2().call("POST", "/t.S/Get", &grpc, &frame(b""))), [""; 0]);
    assert_eq!(has(&Site::plain(PROTO).get("/nowhere")), [""; 0]);
}

#[test]
fn each_can_be_set_or_left_out() {
    let site = Site::with(
        PROTO,
        "security_headers: { set: { referrer-policy: same-origin, x-own: 'a b' }, leave_out: [x-frame-options] }",
    );
    let reply = site.get("/g");
    assert_eq!((reply.header("referrer-policy"), reply.header("x-own")), (Some("same-origin"), Some("a b")));
    assert_eq!((reply.header("x-frame-options"), has(&reply).len()), (None, 3));
    let site = Site::with(PROTO, "security_headers: { preset: none, set: { x-own: a } }");
    let reply = site.get("/g");
    assert_eq!((reply.header("x-own"), has(&reply)), (Some("a"), vec![]));
}

#[test]
fn the_backend_wins_unless_the_gateway_shall() {
    for (wins, want) in [("backend", "origin"), ("gateway", "no-referrer")] {
        let site = Site::with(PROTO, &format!("security_headers: {{ wins: {wins} }}"));
        let mut headers = HeaderMap::new();
        headers.insert("referrer-policy", HeaderValue::from_static("origin"));
        let message = text_message(b"x").into();
        site.backend.answer(Answer::Message { message, headers, trailers: HeaderMap::new() });
        let reply = site.get("/g");
        reply.assert_ok();
        let values: Vec<_> = reply.headers.get_all("referrer-policy").iter().collect();
        assert_eq!(values, [want], "{wins}");
    }
}

#[test]
fn bad_choices_are_refused() {
    let schema = Schema::new(PROTO);
    for (choice, problem) in [
        ("safest", "is none of"),
        ("{ set: { 'a b': c } }", "is no name of a header"),
        ("{ set: { content-type: text/html } }", "is the gateway's own to say"),
        ("{ leave_out: [grpc-status] }", "is the gateway's own to say"),
        ("{ wins: both }", "is none of"),
        ("{ hsts: 'on' }", "unknown key `hsts`"),
    ] {
        let listener = format!("security_headers: {choice}");
        let problems = problems_of(&schema, Choices { listener: &listener, ..Choices::default() });
        assert!(problems.contains(problem), "{choice}: {problems}");
    }
}
