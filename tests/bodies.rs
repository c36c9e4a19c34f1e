//! Request bodies: which are taken, which are refused and how, and that no half of one reaches a backend.

mod support;

use bytes::Bytes;
use serde_json::{Value, json};
use support::{Choices, Http1, Site, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";

enum Color { NONE = 0; RED = 1; }

message M {
  string a = 1;
  int32 n = 2;
  M sub = 3;
  repeated M subs = 4;
  map<string, M> by_name = 5;
  bytes raw = 6;
  double ratio = 7;
  uint64 big = 8;
  Color color = 9;
  bool yes = 10;
  oneof pick { string left = 11; int32 right = 12; }
}

service S {
  rpc Get(M) returns (M) {
    option (google.api.http) = { get: "/g" additional_bindings { post: "/none" } };
  }
  rpc Whole(M) returns (M) { option (google.api.http) = { post: "/w" body: "*" }; }
  rpc Field(M) returns (M) { option (google.api.http) = { post: "/f" body: "sub" }; }
  rpc Text(M) returns (M) { option (google.api.http) = { post: "/t" body: "a" }; }
  rpc Small(M) returns (M) { option (google.api.http) = { post: "/small" body: "*" }; }
  rpc Large(M) returns (M) { option (google.api.http) = { post: "/large" body: "*" }; }
}
"#;

const JSON: (&str, &str) = ("content-type", "application/json");

/// A JSON body of exactly so many bytes.
fn of_size(size: usize) -> String {
    let frame = r#"{"a":""}"#.len();
    format!(r#"{{"a":"{}"}}"#, "x".repeat(size - frame))
}

#[test]
fn content_types() {
    let site = Site::plain(PROTO);
    let refused = Some((415, "UNSUPPORTED_MEDIA_TYPE"));
    type Case = (Option<&'static str>, &'static str, Option<(u16, &'static str)>);
    let cases: &[Case] = &[
        (None, r#"{"a":"x"}"#, None),
        (Some("application/json"), r#"{"a":"x"}"#, None),
        (Some("application/json; charset=utf-8"), r#"{"a":"x"}"#, None),
        (Some("APPLICATION/JSON"), r#"{"a":"x"}"#, None),
        (Some("application/merge-patch+json"), r#"{"a":"x"}"#, None),
        (Some("application/json; charset=utf-16"), r#"{"a":"x"}"#, refused),
        (Some("text/plain"), r#"{"a":"x"}"#, refused),
        (Some("text/json"), r#"{"a":"x"}"#, refused),
        (Some("application/xml"), "<a/>", refused),
        (Some("application/octet-stream"), r#"{"a":"x"}"#, refused),
        (Some("multipart/form-data; boundary=x"), "--x--", refused),
        (Some(""), r#"{"a":"x"}"#, refused),
        // What `curl -d '{…}'` says.
        (Some("application/x-www-form-urlencoded"), r#"{"a":"x"}"#, Some((400, "JSON_SENT_AS_FORM"))),
        (Some("application/x-www-form-urlencoded"), " \n[{}]", Some((400, "JSON_SENT_AS_FORM"))),
    ];
    for (content_type, body, want) in cases {
        let headers: Vec<_> = content_type.iter().map(|value| ("content-type", *value)).collect();
        let reply = site.call("POST", "/w", &headers, body.as_bytes());
        match want {
            None => {
                reply.assert_ok();
                assert_eq!(site.backend.only().json(), json!({ "a": "x" }), "{content_type:?}");
            }
            Some((status, reason)) => {
                assert_eq!((reply.status, &*reply.reason()), (*status, *reason), "{content_type:?}");
                assert_eq!(site.backend.count(), 0, "{content_type:?}");
            }
        }
    }
    let hint = site.call("POST", "/w", &[("content-type", "application/x-www-form-urlencoded")], b"{}");
    assert!(hint.text().contains("-H 'content-type: application/json'"), "{}", hint.text());
}

#[test]
fn an_empty_body_is_an_empty_message() {
    let site = Site::plain(PROTO);
    for target in ["/w", "/f"] {
        for body in ["", " ", "\r\n\t", "{}"] {
            let seen = site.seen("POST", target, &[JSON], body.as_bytes());
            let want = if body == "{}" && target == "/f" { json!({ "sub": {} }) } else { json!({}) };
            assert_eq!(seen.json(), want, "{target} {body:?}");
        }
        // Whatever its content type.
        site.seen("POST", target, &[("content-type", "text/plain")], b"");
        site.seen("POST", target, &[("content-length", "0")], b"");
    }
}

#[test]
fn a_body_that_nobody_takes_is_ignored_or_refused_by_choice() {
    for (choice, refused) in [
        ("", false),
        ("request: { unexpected_body: ignore }", false),
        ("request: { unexpected_body: reject }", true),
    ] {
        let site = Site::with(PROTO, choice);
        for (method, target) in [("GET", "/g?n=1"), ("POST", "/none?n=1")] {
            for body in [r#"{"a":"x"}"#, "no JSON"] {
                let reply = site.call(method, target, &[("content-type", "text/plain")], body.as_bytes());
                if refused {
                    reply.assert_fault(400, "UNEXPECTED_BODY", None);
                } else {
                    reply.assert_ok();
                    assert_eq!(site.backend.only().json(), json!({ "n": 1 }));
                }
            }
            assert_eq!(site.seen(method, target, &[], b"").json(), json!({ "n": 1 }));
        }
    }
}

#[test]
fn an_ignored_body_does_not_spoil_the_connection() {
    let site = Site::plain(PROTO);
    let mut client = Http1::connect(site.address());
    for number in [1, 2, 3] {
        client.send(request("GET", &format!("/g?n={number}"), &[], b"GET / HTTP/1.1\r\n\r\n"));
        assert_eq!(client.reply().json(), json!({ "n": number }));
    }
}

#[test]
fn bodies_over_their_limit_are_refused() {
    let rules = "rules: { t.S/Small: { max_body: 100 }, t.S/Large: { max_body: 3000 } }";
    let site =
        Site::new(PROTO, Choices { listener: "limits: { body: 1000 }", more: rules, ..Choices::default() });
    for (target, limit) in [("/w", 1000), ("/small", 100), ("/large", 3000)] {
        let fits = of_size(limit);
        let over = of_size(limit + 1);
        site.post(target, &fits).assert_ok();
        site.post(target, &over).assert_fault(413, "BODY_TOO_LARGE", None);
        for (body, good) in [(&fits, true), (&over, false)] {
            // In chunks, the length is only known at the end.
            let mut client = Http1::connect(site.address());
            client.send(request("POST", target, &[JSON, ("transfer-encoding", "chunked")], b""));
            let mut taken = true;
            for part in body.as_bytes().chunks(64) {
                let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
                taken = taken && client.try_send(chunk);
            }
            if taken {
                client.try_send("0\r\n\r\n");
            }
            let reply = client.reply();
            if good {
                reply.assert_ok();
            } else {
                reply.assert_fault(413, "BODY_TOO_LARGE", None);
            }
            let mut client = site.http2();
            let (response, mut stream) = client.begin("POST", target, &[JSON], false);
            for part in body.as_bytes().chunks(64) {
                // The gateway may close the stream before all is sent.
                let _ = stream.send_data(Bytes::copy_from_slice(part), false);
            }
            let _ = stream.send_data(Bytes::new(), true);
            let reply = client.end(response).expect("an answer");
            assert_eq!(reply.status, if good { 200 } else { 413 }, "{target}");
        }
    }
    assert_eq!(site.backend.count(), 9);
}

#[test]
fn a_body_that_announces_too_much_is_refused_before_it_is_sent() {
    let site = Site::with(PROTO, "limits: { body: 1000 }");
    let mut client = Http1::connect(site.address());
    client.send(request("POST", "/w", &[JSON, ("content-length", "1001"), ("expect", "100-continue")], b""));
    client.reply().assert_fault(413, "BODY_TOO_LARGE", None);
    assert!(client.is_closed());
}

#[test]
fn a_client_that_waits_for_a_word_gets_it() {
    let site = Site::plain(PROTO);
    let mut client = Http1::connect(site.address());
    client.send(request("POST", "/w", &[JSON, ("content-length", "7"), ("expect", "100-continue")], b""));
    assert_eq!(client.reply().status, 100);
    client.send(r#"{"n":1}"#);
    assert_eq!(client.reply().assert_ok().json(), json!({ "n": 1 }));
}

#[test]
fn incomplete_bodies_never_reach_a_backend() {
    let site = Site::plain(PROTO);
    let parts: &[(&[(&str, &str)], &str)] = &[
        // Whole JSON, of which more was announced.
        (&[JSON, ("content-length", "100")], r#"{"n":1}"#),
        (&[JSON, ("content-length", "100")], ""),
        (&[JSON, ("transfer-encoding", "chunked")], "7\r\n{\"n\":1}\r\n"),
        (&[JSON, ("transfer-encoding", "chunked")], "7\r\n{\"n\":1}\r\n0\r\n"),
        (&[JSON, ("transfer-encoding", "chunked")], "20\r\n{\"n\":1}"),
        (&[JSON, ("transfer-encoding", "chunked")], ""),
        (&[JSON, ("transfer-encoding", "chunked")], "7\r\n{\"n\":1}\r\nxyz\r\n"),
    ];
    for (headers, body) in parts {
        let mut closing = Http1::connect(site.address());
        closing.send(request("POST", "/w", headers, b""));
        closing.send(body);
        drop(closing);
        let mut half = Http1::connect(site.address());
        half.send(request("POST", "/w", headers, b""));
        half.send(body);
        half.end_sending();
        // Whether an answer still gets through is up to timing; a good one never does.
        if let Some(reply) = half.read(false) {
            assert_eq!(reply.status, 400, "{headers:?} {body:?}");
        }
    }
    let mut client = site.http2();
    for body in ["", r#"{"n":1}"#] {
        let (response, mut stream) = client.begin("POST", "/w", &[JSON], false);
        stream.send_data(body.into(), false).expect("an open stream");
        client.settle();
        stream.send_reset(h2::Reason::CANCEL);
        assert!(client.end(response).is_err());
    }
    // A length that is not met ends the stream.
    let (response, mut stream) = client.begin("POST", "/w", &[JSON, ("content-length", "100")], false);
    let _ = stream.send_data(r#"{"n":1}"#.into(), true);
    if let Ok(reply) = client.end(response) {
        assert_eq!(reply.status, 400);
    }
    site.post("/w", r#"{"n":7}"#).assert_ok();
    assert_eq!(site.backend.only().json(), json!({ "n": 7 }), "of all these only the whole one arrives");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let site = Site::with(PROTO, "timeouts: { body: 100ms }");
    for start in ["", r#"{"n":"#] {
        let mut client = Http1::connect(site.address());
        client.send(request("POST", "/w", &[JSON, ("content-length", "100")], b""));
        client.send(start);
        client.reply().assert_fault(408, "BODY_TIMEOUT", None);
        assert!(client.is_closed());
    }
    let mut client = site.http2();
    let (response, mut stream) = client.begin("POST", "/w", &[JSON], false);
    stream.send_data(r#"{"n":"#.into(), false).expect("an open stream");
    client.end(response).expect("an answer").assert_fault(408, "BODY_TIMEOUT", None);
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn the_deadline_holds_while_a_body_trickles_in() {
    let site = Site::plain(PROTO);
    let mut client = Http1::connect(site.address());
    client.send(request("POST", "/w", &[JSON, ("content-length", "100"), ("grpc-timeout", "50m")], b""));
    client.reply().assert_fault(504, "DEADLINE_EXCEEDED", None);
    assert_eq!(site.backend.count(), 0);
}

/// Deeper than any limit that can be chosen, and all of it in one word.
fn nested(depth: usize, open: &str, close: &str) -> String {
    format!("{}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn depth_is_limited() {
    // `{"sub":` opens one object a level; the innermost is the value of the last.
    let subs = |depth: usize| format!("{}{{}}{}", r#"{"sub":"#.repeat(depth - 1), "}".repeat(depth - 1));
    for (choice, limit) in [("", 100), ("request: { json_depth: 5 }", 5)] {
        let site = Site::with(PROTO, choice);
        site.post("/w", &subs(limit)).assert_ok();
        let reply = site.post("/w", &subs(limit + 1));
        assert_eq!((reply.status, &*reply.reason()), (400, "JSON_DEPTH"), "{choice}");
        // In what is ignored, too.
        let site = Site::with(PROTO, &format!("request: {{ unknown_members: ignore, json_depth: {limit} }}"));
        for (open, close) in [("[", "]"), (r#"{"x":"#, "}")] {
            let deep = |depth| format!(r#"{{"other":{}}}"#, nested(depth, open, close).replace(":}", ":1}"));
            site.post("/w", &deep(limit - 1)).assert_ok();
            assert_eq!(site.post("/w", &deep(limit)).reason(), "JSON_DEPTH", "{choice} {open}");
            assert_eq!(site.post("/w", &deep(100_000)).reason(), "JSON_DEPTH", "{choice} {open}");
        }
    }
}

#[test]
fn errors_name_the_reason_and_the_field() {
    let site = Site::plain(PROTO);
    let cases: &[(&str, &[u8], &str, Option<&str>)] = &[
        ("/w", b"{", "JSON_SYNTAX", None),
        ("/w", b"{\"a\"}", "JSON_SYNTAX", None),
        ("/w", b"{\"a\":\"x\",}", "JSON_SYNTAX", None),
        ("/w", b"{'a':'x'}", "JSON_SYNTAX", None),
        ("/w", b"{\"a\":\"x\n\"}", "JSON_SYNTAX", Some("a")),
        ("/w", b"{\"n\":01}", "JSON_SYNTAX", None),
        ("/w", b"{\"n\":+1}", "JSON_SYNTAX", Some("n")),
        ("/w", b"{\"ratio\":NaN}", "JSON_SYNTAX", Some("ratio")),
        ("/w", b"\xef\xbb\xbf{}", "JSON_SYNTAX", None),
        ("/w", b"{}{}", "JSON_TRAILING_DATA", None),
        ("/w", b"{} x", "JSON_TRAILING_DATA", None),
        ("/f", b"{} x", "JSON_TRAILING_DATA", None),
        ("/w", b"{\"a\":\"\xff\"}", "JSON_UTF8", None),
        ("/w", b"{\"a\":\"\xed\xa0\x80\"}", "JSON_UTF8", None),
        ("/w", b"{\"a\":\"\\ud800\"}", "JSON_UTF8", Some("a")),
        ("/w", b"{\"\xff\":1}", "JSON_UTF8", None),
        ("/w", b"[]", "WRONG_TYPE", None),
        ("/w", b"\"x\"", "WRONG_TYPE", None),
        ("/w", b"{\"a\":1}", "WRONG_TYPE", Some("a")),
        ("/w", b"{\"sub\":[]}", "WRONG_TYPE", Some("sub")),
        ("/f", b"[]", "WRONG_TYPE", Some("sub")),
        ("/f", b"{\"sub\":{\"a\":1}}", "WRONG_TYPE", Some("sub.sub.a")),
        ("/t", b"1", "WRONG_TYPE", Some("a")),
        ("/w", b"{\"subs\":[{},{\"sub\":{\"n\":\"x\"}}]}", "INVALID_NUMBER", Some("subs[1].sub.n")),
        ("/w", b"{\"byName\":{\"k\":{\"n\":1.5}}}", "INVALID_NUMBER", Some("byName[\"k\"].n")),
        ("/w", b"{\"n\":2147483648}", "OUT_OF_RANGE", Some("n")),
        ("/w", b"{\"n\":1e400}", "OUT_OF_RANGE", Some("n")),
        ("/w", b"{\"n\":1e99999999999999999999}", "OUT_OF_RANGE", Some("n")),
        ("/w", b"{\"ratio\":1e400}", "OUT_OF_RANGE", Some("ratio")),
        ("/w", b"{\"big\":-1}", "OUT_OF_RANGE", Some("big")),
        ("/w", b"{\"big\":18446744073709551616}", "OUT_OF_RANGE", Some("big")),
        ("/w", b"{\"raw\":\"*\"}", "INVALID_BASE64", Some("raw")),
        ("/w", b"{\"color\":\"GREEN\"}", "INVALID_ENUM_VALUE", Some("color")),
        ("/w", b"{\"yes\":\"true\"}", "WRONG_TYPE", Some("yes")),
        ("/w", b"{\"subs\":[null]}", "NULL_IN_LIST", Some("subs[0]")),
        ("/w", b"{\"byName\":{\"k\":null}}", "NULL_IN_MAP", Some("byName[\"k\"]")),
        ("/w", b"{\"n\":1,\"n\":1}", "DUPLICATE_FIELD", Some("n")),
        ("/w", b"{\"byName\":{},\"by_name\":{}}", "DUPLICATE_FIELD", Some("byName")),
        ("/w", b"{\"left\":\"x\",\"right\":1}", "ONEOF_CONFLICT", Some("right")),
        ("/w", b"{\"sub\":{\"nobody\":1}}", "UNKNOWN_FIELD", Some("sub.nobody")),
        ("/f", b"{\"nobody\":1}", "UNKNOWN_FIELD", Some("sub.nobody")),
    ];
    for (target, body, reason, field) in cases {
        let reply = site.call("POST", target, &[JSON], body);
        let shown = String::from_utf8_lossy(body);
        assert_eq!(reply.status, 400, "{target} {shown}");
        let found = (reply.reason(), reply.field());
        assert_eq!((&*found.0, found.1.as_deref()), (*reason, *field), "{target} {shown}: {}", reply.text());
    }
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn bodies_are_messages_fields_or_scalars() {
    let site = Site::plain(PROTO);
    let cases: &[(&str, &str, Value)] = &[
        ("/w", r#"{"n":"7"}"#, json!({ "n": 7 })),
        ("/w", r#"{"n":7.0,"ratio":"NaN"}"#, json!({ "n": 7, "ratio": "NaN" })),
        ("/w", r#"{"n":70e-1}"#, json!({ "n": 7 })),
        ("/w", r#"{"big":"18446744073709551615"}"#, json!({ "big": "18446744073709551615" })),
        ("/w", r#"{"a":"\ud83d\ude00\u0000\/"}"#, json!({ "a": "😀\0/" })),
        ("/w", r#"{"a":null,"sub":null,"subs":null,"byName":null}"#, json!({})),
        ("/w", r#"{"by_name":{"":{"n":1}}}"#, json!({ "byName": { "": { "n": 1 } } })),
        ("/w", r#"{"color":1,"raw":"_-8"}"#, json!({ "color": "RED", "raw": "/+8=" })),
        ("/w", " {\n\t\"n\" : 1 }\r\n", json!({ "n": 1 })),
        ("/f", r#"{"n":1}"#, json!({ "sub": { "n": 1 } })),
        ("/t", r#""x""#, json!({ "a": "x" })),
        ("/t", "null", json!({})),
    ];
    for (target, body, want) in cases {
        assert_eq!(&site.seen("POST", target, &[JSON], body.as_bytes()).json(), want, "{target} {body}");
    }
}

#[test]
fn the_end_of_a_body_is_never_in_doubt() {
    let site = Site::plain(PROTO);
    let chunked = "7\r\n{\"n\":1}\r\n0\r\n\r\n";
    let smuggled = "GET /g HTTP/1.1\r\nhost: x\r\n\r\n";
    for head in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: +5\r\n",
        "content-length: 5,5\r\n",
        "content-length : 5\r\n",
        "transfer-encoding: chunked\r\n folded: x\r\n",
    ] {
        let mut client = Http1::connect(site.address());
        client.send(format!("POST /w HTTP/1.1\r\nhost: x\r\n{head}\r\n{chunked}{smuggled}"));
        let reply = client.reply();
        if reply.status == 200 {
            // Chunks count, and nothing is read on this connection as a request that was hidden in a body.
            assert_eq!(reply.json(), json!({ "n": 1 }), "{head}");
            assert_eq!(
                site.backend.take().iter().filter(|seen| seen.method() == "Whole").count(),
                1,
                "{head}"
            );
        } else {
            assert_eq!(reply.status, 400, "{head}");
            assert!(client.is_closed(), "{head}");
            assert_eq!(site.backend.count(), 0, "{head}");
        }
    }
}

#[test]
fn an_abandoned_upload_is_forgotten() {
    let site = Site::plain(PROTO);
    for _ in 0..20 {
        let mut client = Http1::connect(site.address());
        client.send(request("POST", "/w", &[JSON, ("content-length", "1000000")], b""));
        client.send(vec![b' '; 1000]);
    }
    until("it still serves", || site.post("/w", "{}").status == 200);
}
