//! Calls that are tried again: those that no backend has begun with always, others as a rule says.

mod support;

use std::net::{SocketAddr, TcpListener};

use h2::Reason;
use http::HeaderMap;
use serde_json::json;
use support::{
    Answer, Backend, Choices, Crude, Fate, Gateway, Http2, Reply, Schema, Scripted, Step, call, frame, get,
    header_map, problems_of, until,
};

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
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/p" body: "*" }; }
  rpc Down(M) returns (stream M) {
    option idempotency_level = IDEMPOTENT;
    option (google.api.http) = { get: "/d" };
  }
  rpc Up(stream M) returns (M) { option (google.api.http) = { post: "/u" body: "*" }; }
}
"#;

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];
const RETRIES: &str = "rules: { 't.S/*': { retries: { backoff: { base: 1ms } } } }";

type Pairs = &'static [(&'static str, &'static str)];

fn head() -> Step {
    Step::Head(200, &[("content-type", "application/grpc")], false)
}

fn good() -> Vec<Step> {
    vec![head(), Step::Echo, Step::Trailers(&[("grpc-status", "0")])]
}

fn fails(trailers: Pairs) -> Vec<Step> {
    vec![Step::Head(200, trailers, true)]
}

fn unavailable() -> Vec<Step> {
    fails(&[("grpc-status", "14"), ("content-type", "application/grpc")])
}

/// A gateway before endpoints whose connections are all up; not more of the first one's calls are made than asked for.
fn gateway(schema: &Schema, backends: &[SocketAddr], choices: Choices<'_>) -> Gateway {
    Gateway::start(&choices.yaml_to(schema, backends), schema.folder())
}

/// One backend that plays these scripts, a call each, behind a gateway with these rules.
fn scripted(scripts: Vec<Vec<Step>>, more: &str) -> (Gateway, Scripted) {
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(scripts, None);
    let choices = Choices { more, ..Choices::default() };
    (gateway(&schema, &[backend.address], choices), backend)
}

/// A call in native gRPC of one message.
fn native(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut client = Http2::connect(gateway.address);
    let headers: Vec<_> = GRPC.iter().chain(headers).copied().collect();
    let (response, mut stream) = client.begin("POST", path, &headers, false);
    assert!(client.send(&mut stream, &frame(b"\x0a\x01x"), true));
    client.end(response).expect("it is answered")
}

#[track_caller]
fn failed(reply: &Reply, status: u16, code: &str) {
    assert_eq!(
        (reply.status, reply.json()["error"]["status"].as_str()),
        (status, Some(code)),
        "{}",
        reply.text()
    );
}

fn status(reply: &Reply) -> &str {
    let status = reply.trailers.get("grpc-status").or(reply.headers.get("grpc-status"));
    status.map_or("", |status| status.to_str().expect("a status in ASCII"))
}

#[test]
fn what_may_be_called_twice_is_in_every_protocol() {
    let scripts = || vec![unavailable(), unavailable(), good()];
    let (site, backend) = scripted(scripts(), RETRIES);
    assert_eq!(get(site.address, "/g?a=x").assert_ok().json(), json!({ "a": "x" }));
    assert_eq!(backend.calls(), 3);

    let (site, backend) = scripted(scripts(), RETRIES);
    assert_eq!(get(site.address, "/d?a=x").assert_ok().json(), json!([{ "a": "x" }]));
    assert_eq!(backend.calls(), 3);

    for path in ["/t.S/Get", "/t.S/Down"] {
        let (site, backend) = scripted(scripts(), RETRIES);
        let reply = native(&site, path, &[]);
        assert_eq!((status(&reply), &*reply.body), ("0", &*frame(b"\x0a\x01x")), "{path}");
        assert_eq!(backend.calls(), 3, "{path}");
    }

    let connect = [("content-type", "application/json"), ("connect-protocol-version", "1")];
    let json = [("content-type", "application/grpc-web+json")];
    for (headers, body) in [(&connect[..], br#"{"a":"x"}"#.to_vec()), (&json[..], frame(br#"{"a":"x"}"#))] {
        let (site, backend) = scripted(scripts(), RETRIES);
        call(site.address, "POST", "/t.S/Get", headers, &body).assert_ok();
        assert_eq!(backend.calls(), 3, "{headers:?}");
    }
}

#[test]
fn attempts_and_codes_are_those_of_the_rule() {
    let (site, backend) = scripted(vec![unavailable()], RETRIES);
    failed(&get(site.address, "/g"), 503, "UNAVAILABLE");
    assert_eq!(backend.calls(), 3);
    let (site, backend) = scripted(vec![fails(&[("grpc-status", "13")]), good()], RETRIES);
    failed(&get(site.address, "/g"), 500, "INTERNAL");
    assert_eq!(backend.calls(), 1);
    let rules = "rules: { 't.S/*': { retries: { attempts: 2, codes: [INTERNAL] } } }";
    let (site, backend) = scripted(vec![fails(&[("grpc-status", "13")]), good()], rules);
    get(site.address, "/g").assert_ok();
    assert_eq!(backend.calls(), 2);
}

#[test]
fn a_call_that_may_not_be_made_twice_is_made_once() {
    let without = "rules: { 't.S/*': { retries: off } }";
    for (rules, method, target) in [("", "GET", "/g"), (without, "GET", "/g"), (RETRIES, "POST", "/p")] {
        let (site, backend) = scripted(vec![unavailable(), good()], rules);
        failed(&call(site.address, method, target, &[], b"{}"), 503, "UNAVAILABLE");
        assert_eq!(backend.calls(), 1, "{rules} {target}");
    }
    let (site, backend) = scripted(vec![unavailable(), good()], RETRIES);
    failed(&call(site.address, "POST", "/u", &[], b"[{}]"), 503, "UNAVAILABLE");
    assert_eq!(backend.calls(), 1);
}

#[test]
fn a_rule_or_a_key_make_it_one_that_may() {
    let idempotent = "rules: { t.S/Post: { retries: { idempotent: true } } }";
    let (site, backend) = scripted(vec![unavailable(), good()], idempotent);
    call(site.address, "POST", "/p", &[], b"{}").assert_ok();
    assert_eq!(backend.calls(), 2);
    let by_key = "rules: { t.S/Post: { retries: { idempotency_key: true } } }";
    for (headers, want) in [(&[("Idempotency-Key", "k-1")][..], 200), (&[], 503)] {
        let (site, _backend) = scripted(vec![unavailable(), good()], by_key);
        assert_eq!(call(site.address, "POST", "/p", headers, b"{}").status, want, "{headers:?}");
    }
}

#[test]
fn rules_to_no_effect_are_errors() {
    let schema = Schema::new(PROTO);
    for (rules, inert) in [
        ("t.S/Post: { retries: {} }", true),
        ("t.S/Up: { retries: { idempotent: true } }", true),
        ("t.S/Post: { retries: off }", false),
    ] {
        let more = format!("rules: {{ {rules} }}");
        let choices = Choices { more: &more, ..Choices::default() };
        if inert {
            let problems = problems_of(&schema, choices);
            assert!(problems.contains("none of its methods may be called twice"), "{problems}");
            assert!(problems.contains("test.yaml:"), "{problems}");
        } else {
            gateway(&schema, &[SocketAddr::from(([127, 0, 0, 1], 1))], choices);
        }
    }
}

#[test]
fn an_answer_that_has_begun_is_not_begun_again() {
    // A unary answer in pieces goes to nobody before it is whole, so it may be asked for again.
    let broken = || vec![head(), Step::Data(frame(b"\x0a\x01y")), Step::Trailers(&[("grpc-status", "14")])];
    let (site, backend) = scripted(vec![broken(), good()], RETRIES);
    assert_eq!(get(site.address, "/g?a=x").assert_ok().json(), json!({ "a": "x" }));
    assert_eq!(native(&site, "/t.S/Get", &[]).body, frame(b"\x0a\x01x"));
    assert_eq!(backend.calls(), 3);
    // What a stream has said is said.
    let (site, backend) = scripted(vec![broken(), good()], RETRIES);
    let reply = native(&site, "/t.S/Down", &[]);
    assert_eq!((status(&reply), &*reply.body), ("14", &*frame(b"\x0a\x01y")));
    assert_eq!(backend.calls(), 1);
    let (site, backend) = scripted(vec![broken(), good()], RETRIES);
    let reply = get(site.address, "/d");
    assert!(reply.text().contains("UNAVAILABLE"), "{}", reply.text());
    assert_eq!(backend.calls(), 1);
}

#[test]
fn a_backend_says_when_it_wants_a_call_back() {
    for (trailers, calls) in [
        (&[("grpc-status", "14"), ("grpc-retry-pushback-ms", "10")][..], 2),
        (&[("grpc-status", "14"), ("grpc-retry-pushback-ms", "-1")], 1),
        (&[("grpc-status", "14"), ("grpc-retry-pushback-ms", "x")], 1),
    ] {
        for script in [fails(trailers), vec![head(), Step::Trailers(trailers)]] {
            let (site, backend) = scripted(vec![script.clone(), good()], RETRIES);
            get(site.address, "/g");
            assert_eq!(backend.calls(), calls, "{trailers:?}");
            let (site, backend) = scripted(vec![script, good()], RETRIES);
            native(&site, "/t.S/Get", &[]);
            assert_eq!(backend.calls(), calls, "{trailers:?}");
        }
    }
}

#[test]
fn refused_streams_are_tried_again_without_a_rule() {
    let refused = || vec![Step::Reset(Reason::REFUSED_STREAM)];
    let (site, backend) = scripted(vec![refused(), good()], "");
    call(site.address, "POST", "/p", &[], b"{}").assert_ok();
    assert_eq!(backend.calls(), 2);
    let (site, backend) = scripted(vec![refused(), good()], "");
    assert_eq!(status(&native(&site, "/t.S/Post", &[])), "0");
    assert_eq!(backend.calls(), 2);
    // Other resets tell of a call that somebody has begun with.
    let (site, backend) = scripted(vec![vec![Step::Reset(Reason::INTERNAL_ERROR)], good()], "");
    call(site.address, "POST", "/p", &[], b"{}").assert_fault(500, "BACKEND_RESET", None);
    assert_eq!(backend.calls(), 1);
    // And there is an end.
    let (site, backend) = scripted(vec![refused()], "");
    call(site.address, "POST", "/p", &[], b"{}").assert_fault(503, "BACKEND_RESET", None);
    assert_eq!(backend.calls(), 4);
}

/// Calls that may be made once alone, to a backend that is in order and one that is as `fate` says.
fn beside(fate: Fate, calls: usize) -> (usize, usize, Crude) {
    let schema = Schema::new(PROTO);
    let crude = Crude::start(fate);
    let fine = Backend::start(&schema, Answer::Echo);
    let choices = Choices { upstream: "balance: round_robin, ejection: off", ..Choices::default() };
    let site = gateway(&schema, &[crude.address, fine.address], choices);
    let mut good = 0;
    for _ in 0..calls {
        good += usize::from(call(site.address, "POST", "/p", &[], b"{}").status == 200);
    }
    until("the other one was called", || {
        call(site.address, "POST", "/p", &[], b"{}");
        crude.calls() > 0
    });
    (good, fine.count(), crude)
}

#[test]
fn a_connection_that_goes_away_takes_no_call_with_it() {
    let (good, _, _crude) = beside(Fate::Away, 40);
    assert_eq!(good, 40);
}

#[test]
fn a_call_that_somebody_may_have_begun_with_is_lost_with_its_connection() {
    let schema = Schema::new(PROTO);
    let crude = Crude::start(Fate::Vanish);
    let site = gateway(&schema, &[crude.address], Choices::default());
    call(site.address, "POST", "/p", &[], b"{}").assert_fault(503, "CONNECTION_LOST", None);
    assert_eq!(crude.calls(), 1);
}

#[test]
fn where_nobody_listens_the_call_goes_to_another_one() {
    let schema = Schema::new(PROTO);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fine = Backend::start(&schema, Answer::Echo);
    let site = gateway(&schema, &[closed, fine.address], Choices::default());
    for _ in 0..50 {
        call(site.address, "POST", "/p", &[], b"{}").assert_ok();
        call(site.address, "POST", "/u", &[], b"[]");
    }
    assert!(fine.count() >= 50);
}

#[test]
fn each_try_goes_to_another_endpoint_and_says_what_was_before() {
    let schema = Schema::new(PROTO);
    let bad = Backend::start(&schema, Answer::status(14, "not now"));
    let worse = Backend::start(&schema, Answer::status(14, "not now"));
    let fine = Backend::start(&schema, Answer::Echo);
    let choices = Choices { upstream: "ejection: off", more: RETRIES, ..Choices::default() };
    let site = gateway(&schema, &[bad.address, worse.address, fine.address], choices);
    for _ in 0..30 {
        get(site.address, "/g?a=x").assert_ok();
    }
    assert_eq!(fine.count(), 30, "one of three tries is always there");
    let before = |backend: &Backend| {
        let seen = backend.take();
        seen.iter().filter_map(|seen| seen.header("grpc-previous-rpc-attempts")?.parse::<u32>().ok()).max()
    };
    let most = [&bad, &worse, &fine].into_iter().filter_map(before).max();
    assert!(matches!(most, Some(1 | 2)), "{most:?}");
}

#[test]
fn a_try_has_its_own_time() {
    let rules = "rules: { 't.S/*': { retries: { per_try_timeout: 200ms, backoff: { base: 1ms } } } }";
    for target in ["/g?a=x", "/d?a=x"] {
        let (site, backend) = scripted(vec![vec![Step::Hang], good()], rules);
        get(site.address, target).assert_ok();
        assert_eq!(backend.calls(), 2, "{target}");
    }
    for path in ["/t.S/Get", "/t.S/Down"] {
        let (site, backend) = scripted(vec![vec![Step::Hang], good()], rules);
        assert_eq!(status(&native(&site, path, &[])), "0", "{path}");
        assert_eq!(backend.calls(), 2, "{path}");
    }
    let (site, backend) = scripted(vec![vec![head(), Step::Hang], good()], rules);
    assert_eq!(status(&native(&site, "/t.S/Get", &[])), "0");
    assert_eq!(backend.calls(), 2);
    let (site, backend) = scripted(vec![vec![Step::Hang]], rules);
    get(site.address, "/g").assert_fault(504, "TRY_TIMED_OUT", None);
    assert_eq!(backend.calls(), 3);
}

#[test]
fn no_try_is_made_behind_the_deadline() {
    let rules = "rules: { 't.S/*': { retries: { backoff: { base: 10s } } } }";
    let (site, backend) = scripted(vec![unavailable()], rules);
    // The pause is anything up to ten seconds; none of them is short enough to matter, or the call ends in time anyway.
    let reply = call(site.address, "GET", "/g", &[("x-server-timeout", "0.05")], b"");
    assert!(matches!(reply.status, 503 | 504), "{}", reply.status);
    assert!(backend.calls() <= 3);
}

#[test]
fn a_budget_keeps_a_failing_backend_from_more_than_its_calls() {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::status(14, "not now"));
    let choices = Choices {
        upstream: "retry_budget: { share: 0%, min_per_second: 0 }",
        more: "rules: { 't.S/*': { retries: { attempts: 2, backoff: { base: 1ms } } } }\nadmin: { address: '127.0.0.1:0' }",
        ..Choices::default()
    };
    let site = gateway(&schema, &[backend.address], choices);
    for _ in 0..30 {
        failed(&get(site.address, "/g"), 503, "UNAVAILABLE");
    }
    // The bucket begins with ten.
    assert_eq!(backend.count(), 40);
    let retries = |result: &str| {
        site.metric(&format!("transom_upstream_retries_total{{upstream=\"main\",result=\"{result}\"}}"))
    };
    assert_eq!((retries("tried"), retries("no_budget"), retries("exhausted")), (10, 20, 10));
}

#[test]
fn a_request_is_kept_up_to_a_size() {
    let rules = "rules: { 't.S/*': { retries: { idempotent: true, backoff: { base: 1ms } } } }";
    for (size, calls) in [(60 << 10, 2), (70 << 10, 1)] {
        let body = json!({ "a": "x".repeat(size) }).to_string();
        let (site, backend) = scripted(vec![unavailable(), good()], rules);
        call(site.address, "POST", "/p", &[], body.as_bytes());
        assert_eq!(backend.calls(), calls, "{size}");
        // A client of gRPC sends it in many pieces.
        let mut message = vec![0x0a];
        prost::encoding::encode_varint(size as u64, &mut message);
        message.resize(message.len() + size, b'x');
        let (site, backend) = scripted(vec![unavailable(), good()], rules);
        let mut client = Http2::connect(site.address);
        let (response, mut stream) = client.begin("POST", "/t.S/Post", &GRPC, false);
        assert!(client.send(&mut stream, &frame(&message), true));
        let reply = client.end(response).expect("it is answered");
        assert_eq!(backend.calls(), calls, "{size}");
        if calls == 2 {
            assert_eq!(status(&reply), "0");
            assert_eq!(reply.body, frame(&message), "all of it was sent again");
        }
    }
}

#[test]
fn the_access_log_tells_how_often() {
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(vec![unavailable(), good()], None);
    let log = schema.folder().join("access.log");
    let more = format!("{RETRIES}\n");
    let choices = Choices { more: &more, ..Choices::default() };
    let yaml = choices
        .yaml(&schema, backend.address)
        .replace("access_log: off", &format!("access_log: {{ to: '{}' }}", log.display()));
    let site = Gateway::start(&yaml, schema.folder());
    get(site.address, "/g").assert_ok();
    get(site.address, "/g").assert_ok();
    drop(site);
    let log = std::fs::read_to_string(log).expect("a log");
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].contains(" attempts=2 ") && !lines[1].contains("attempts="), "{log}");
}

#[test]
fn headers_of_a_failed_try_do_not_show() {
    let failing = vec![
        Step::Head(200, &[("content-type", "application/grpc"), ("x-from", "first")], false),
        Step::Trailers(&[("grpc-status", "14"), ("x-late", "first")]),
    ];
    let (site, _backend) = scripted(vec![failing, good()], RETRIES);
    let reply = native(&site, "/t.S/Get", &[]);
    let none = HeaderMap::new();
    assert_eq!(status(&reply), "0");
    assert_eq!(reply.headers.get("x-from"), none.get("x-from"));
    assert_eq!(reply.trailers, header_map(&[("grpc-status", "0")]));
}
