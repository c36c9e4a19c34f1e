//! Streams of backends that misbehave: what each kind of trouble becomes before the first message and behind it.

mod support;

use h2::Reason;
use serde_json::{Value, json};
use support::{Choices, Gateway, Http1, Http2, Schema, Scripted, Step, call, frame, get, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/down" }; }
  rpc Up(stream M) returns (M) { option (google.api.http) = { post: "/up" body: "*" }; }
}
"#;

type Pairs = &'static [(&'static str, &'static str)];

const GRPC: Pairs = &[("content-type", "application/grpc")];
const OK: Pairs = &[("grpc-status", "0")];

fn head() -> Step {
    Step::Head(200, GRPC, false)
}

/// A whole message whose field `a` is `x`, in its frame.
fn message() -> Vec<u8> {
    frame(&[0x0a, 1, b'x'])
}

/// What it becomes: HTTP status where it is the first thing, code, and the reason of the gateway's own faults.
type Want = (u16, &'static str, Option<&'static str>);

const BROKEN: Want = (500, "INTERNAL", Some("BAD_REPLY"));
const LOST: Want = (503, "UNAVAILABLE", Some("CONNECTION_LOST"));
const SILENT: Want = (500, "UNKNOWN", Some("NO_STATUS"));

fn reset(status: u16, code: &'static str) -> Want {
    (status, code, Some("BACKEND_RESET"))
}

struct Site {
    gateway: Gateway,
    backend: Scripted,
    _schema: Schema,
}

fn site(listener: &str) -> Site {
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(vec![], None);
    let choices = Choices { listener, ..Choices::default() };
    let gateway = Gateway::start(&choices.yaml(&schema, backend.address), schema.folder());
    Site { gateway, backend, _schema: schema }
}

fn check_error(name: &str, error: &Value, (status, code, reason): Want) {
    let error = &error["error"];
    assert_eq!((&error["code"], &error["status"]), (&json!(status), &json!(code)), "{name}: {error}");
    match reason {
        Some(reason) => assert_eq!(error["details"][0]["reason"], reason, "{name}: {error}"),
        None => assert_eq!(error["details"], json!([]), "{name}: {error}"),
    }
}

/// Plays each trouble right after the head and after one and two messages; a good stream must do after each.
#[track_caller]
fn check(cases: Vec<(&str, Vec<Step>, Want)>) {
    let site = site("limits: { message: 1000 }");
    let good = vec![head(), Step::Data(message()), Step::Trailers(OK)];
    let address = site.gateway.address;
    for (name, trouble, want) in cases {
        for messages in [0, 1, 2] {
            let before = (0..messages).map(|_| Step::Data(message()));
            let script: Vec<Step> =
                [head()].into_iter().chain(before).chain(trouble.iter().cloned()).collect();
            site.backend.play(script);
            let reply = get(address, "/down");
            let name = format!("{name} after {messages}");
            if messages == 0 {
                assert_eq!(reply.status, want.0, "{name}: {}", reply.text());
                check_error(&name, &reply.json(), want);
            } else {
                let mut elements = match reply.assert_ok().json() {
                    Value::Array(elements) => elements,
                    other => panic!("{name}: {other}"),
                };
                check_error(&name, &elements.pop().unwrap_or_default(), want);
                assert_eq!(elements, vec![json!({ "a": "x" }); messages], "{name}");
            }
            site.backend.play(good.clone());
            until("it works again", || {
                let reply = get(address, "/down");
                reply.status == 200 && reply.text() == "[{\"a\":\"x\"}]\n"
            });
        }
    }
}

#[test]
fn resets_have_the_codes_of_their_reasons() {
    let mut cases = Vec::new();
    for (name, reason, want) in [
        ("NO_ERROR", Reason::NO_ERROR, reset(500, "INTERNAL")),
        ("PROTOCOL_ERROR", Reason::PROTOCOL_ERROR, reset(500, "INTERNAL")),
        ("INTERNAL_ERROR", Reason::INTERNAL_ERROR, reset(500, "INTERNAL")),
        ("FLOW_CONTROL_ERROR", Reason::FLOW_CONTROL_ERROR, reset(500, "INTERNAL")),
        ("REFUSED_STREAM", Reason::REFUSED_STREAM, reset(503, "UNAVAILABLE")),
        ("CANCEL", Reason::CANCEL, reset(499, "CANCELLED")),
        ("ENHANCE_YOUR_CALM", Reason::ENHANCE_YOUR_CALM, reset(429, "RESOURCE_EXHAUSTED")),
        ("INADEQUATE_SECURITY", Reason::INADEQUATE_SECURITY, reset(403, "PERMISSION_DENIED")),
    ] {
        cases.push((name, vec![Step::Reset(reason)], want));
        cases.push((name, vec![Step::Data(vec![0, 0, 0, 0, 9, 1]), Step::Reset(reason)], want));
    }
    check(cases);
}

#[test]
fn what_is_no_whole_message_is_an_error() {
    let too_large: Want = (502, "RESOURCE_EXHAUSTED", Some("REPLY_TOO_LARGE"));
    let ends = |data: Vec<u8>| vec![Step::Data(data), Step::Trailers(OK)];
    check(vec![
        ("part of a head", ends(vec![0, 0]), BROKEN),
        ("truncated", ends(vec![0, 0, 0, 0, 9, 0x0a, 1, b'x']), BROKEN),
        ("truncated without a status", vec![Step::Data(vec![0, 0, 0, 0, 9, 1]), Step::End], SILENT),
        ("compressed", ends(vec![1, 0, 0, 0, 3, 0x0a, 1, b'x']), BROKEN),
        ("compressed and held", vec![Step::Data(vec![1, 0, 0, 0, 3]), Step::Hang], BROKEN),
        ("no valid flag", ends(vec![2, 0, 0, 0, 0]), BROKEN),
        ("over the limit", ends(frame(&[0; 1001])), too_large),
        (
            "over the limit by announcement",
            vec![Step::Data(vec![0, 0xff, 0xff, 0xff, 0xff]), Step::Hang],
            too_large,
        ),
    ]);
}

#[test]
fn endings_without_a_status_are_unknown() {
    let gone: Want = (404, "NOT_FOUND", None);
    let unknown: Want = (500, "UNKNOWN", None);
    check(vec![
        ("no trailers", vec![Step::End], SILENT),
        ("trailers without a status", vec![Step::Trailers(&[("x-end", "1")])], SILENT),
        ("no known number", vec![Step::Trailers(&[("grpc-status", "99")])], unknown),
        ("no number", vec![Step::Trailers(&[("grpc-status", "x")])], unknown),
        ("a status", vec![Step::Trailers(&[("grpc-status", "5")])], gone),
        (
            "a status after half a message",
            vec![Step::Data(vec![0, 0, 0]), Step::Trailers(&[("grpc-status", "5")])],
            gone,
        ),
    ]);
}

#[test]
fn lost_connections_are_unavailable() {
    check(vec![
        ("cut", vec![Step::Cut], LOST),
        ("cut in a message", vec![Step::Data(vec![0, 0, 0, 0, 9, 1]), Step::Cut], LOST),
        ("failed", vec![Step::Abort(Reason::ENHANCE_YOUR_CALM)], LOST),
        ("failed otherwise", vec![Step::Abort(Reason::INTERNAL_ERROR)], LOST),
    ]);
}

#[test]
fn streams_go_on_over_a_goaway() {
    let site = site("");
    let script = vec![
        head(),
        Step::Data(message()),
        Step::GoAway,
        Step::Data(message()),
        Step::Data(message()),
        Step::Trailers(OK),
    ];
    site.backend.play(script);
    for _ in 0..5 {
        let reply = get(site.gateway.address, "/down");
        assert_eq!(reply.assert_ok().json(), json!([{ "a": "x" }, { "a": "x" }, { "a": "x" }]));
    }
    assert!(site.backend.connections() > 2);
}

#[test]
fn a_head_that_is_no_stream_has_its_status() {
    let site = site("");
    let address = site.gateway.address;
    let html = |status| {
        vec![
            Step::Head(status, &[("content-type", "text/html")], false),
            Step::Data(b"<html>no</html>".to_vec()),
            Step::End,
        ]
    };
    let only = |headers: Pairs| vec![Step::Head(200, headers, true)];
    for (name, script, want) in [
        ("HTML with 503", html(503), (503, "UNAVAILABLE", Some("BACKEND_HTTP_STATUS"))),
        ("HTML with 404", html(404), (501, "UNIMPLEMENTED", Some("BACKEND_HTTP_STATUS"))),
        ("HTML with 200", html(200), (500, "UNKNOWN", Some("BACKEND_NOT_GRPC"))),
        (
            "trailers-only",
            only(&[("content-type", "application/grpc"), ("grpc-status", "7")]),
            (403, "PERMISSION_DENIED", None),
        ),
        ("trailers-only of no known number", only(&[("grpc-status", "99")]), (500, "UNKNOWN", None)),
        ("a head alone", only(GRPC), SILENT),
        ("a reset at once", vec![Step::Reset(Reason::REFUSED_STREAM)], reset(503, "UNAVAILABLE")),
        ("cut at once", vec![Step::Cut], LOST),
    ] {
        site.backend.play(script);
        for target in ["/down", "/up"] {
            let reply = if target == "/up" {
                call(address, "POST", target, &[], b"{}{}")
            } else {
                get(address, target)
            };
            assert_eq!(reply.status, want.0, "{name} {target}: {}", reply.text());
            assert!(!reply.text().contains("html"), "{name} {target}");
            check_error(name, &reply.json(), want);
        }
    }
    // OK among the headers is an empty stream, and no answer of a method that has one.
    site.backend.play(only(&[("content-type", "application/grpc"), ("grpc-status", "0")]));
    assert_eq!(get(address, "/down").assert_ok().text(), "[]\n");
    call(address, "POST", "/up", &[], b"{}").assert_fault(500, "BAD_REPLY", None);
}

#[test]
fn a_head_over_its_limit_is_refused_and_trailers_over_it_are_left_out() {
    // For the lifetime of the tests.
    let huge: &'static str = "y".repeat(300 << 10).leak();
    let in_head: Pairs = vec![("content-type", "application/grpc"), ("x-huge", huge)].leak();
    let behind: Pairs = vec![("grpc-status", "5"), ("x-huge", huge)].leak();
    let before: Pairs = vec![("x-huge", huge), ("grpc-status", "0")].leak();
    // A status that stands before them counts; one that can't be seen is none.
    check(vec![
        ("behind a status", vec![Step::Trailers(behind)], (404, "NOT_FOUND", None)),
        ("before a status", vec![Step::Trailers(before)], SILENT),
    ]);
    let site = site("");
    site.backend.play(vec![Step::Head(200, in_head, false), Step::Data(message()), Step::Trailers(OK)]);
    let reply = get(site.gateway.address, "/down");
    check_error("huge head", &reply.json(), BROKEN);
    site.backend.play(vec![head(), Step::Trailers(OK)]);
    assert_eq!(get(site.gateway.address, "/down").assert_ok().text(), "[]\n");
    assert_eq!(site.backend.connections(), 2, "one for unary calls, one for streams: none was lost");
}

#[test]
fn silence_ends_with_the_deadline() {
    let site = site("");
    let address = site.gateway.address;
    let want: Want = (504, "DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED"));
    site.backend.play(vec![head(), Step::Data(message()), Step::Trailers(OK)]);
    until("it is connected", || get(address, "/down").status == 200);
    let deadline = [("grpc-timeout", "500m")];
    for script in [
        vec![Step::Hang],
        vec![head(), Step::Hang],
        vec![head(), Step::Data(vec![0, 0, 0, 0, 9]), Step::Hang],
    ] {
        site.backend.play(script);
        let reply = call(address, "GET", "/down", &deadline, b"");
        assert_eq!(reply.status, 504);
        check_error("silence", &reply.json(), want);
    }
    for rest in [vec![Step::Hang], vec![Step::Data(vec![0, 0, 0, 0, 9]), Step::Hang]] {
        site.backend.play([vec![head(), Step::Data(message())], rest].concat());
        for version in [1, 2] {
            let reply = if version == 1 {
                call(address, "GET", "/down", &deadline, b"")
            } else {
                Http2::connect(address).call("GET", "/down", &deadline, b"")
            };
            let elements = reply.assert_ok().json();
            assert_eq!(elements[0], json!({ "a": "x" }));
            check_error("silence behind a message", &elements[1], want);
        }
    }
}

#[test]
fn streams_beside_one_that_fails_go_on() {
    let site = site("");
    let mut held = Http1::connect(site.gateway.address);
    site.backend.play(vec![head(), Step::Data(message()), Step::Hang]);
    held.send(request("GET", "/down", &[], b""));
    held.head().assert_ok();
    assert_eq!(held.chunk().as_deref(), Some(&b"[{\"a\":\"x\"}"[..]));
    for trouble in [
        vec![Step::Reset(Reason::INTERNAL_ERROR)],
        vec![Step::Data(vec![1, 0, 0, 0, 0]), Step::Hang],
        vec![Step::End],
    ] {
        site.backend.play([vec![head()], trouble].concat());
        assert_eq!(get(site.gateway.address, "/down").status, 500);
    }
    site.backend.play(vec![head(), Step::Trailers(OK)]);
    assert_eq!(get(site.gateway.address, "/down").assert_ok().text(), "[]\n");
    // One connection for all of them, and the first is still there: it ends with its connection, in its framing.
    assert_eq!(site.backend.connections(), 2, "one for unary calls, one for streams");
    site.backend.play(vec![head(), Step::Cut]);
    assert_eq!(get(site.gateway.address, "/down").status, 503);
    let (rest, whole) = held.chunks();
    assert!(whole && String::from_utf8_lossy(&rest).contains("CONNECTION_LOST"), "{rest:?}");
}
