//! Replies: the JSON, the status and headers that a backend wishes for, trailers, and the two versions of HTTP.

mod support;

use http::HeaderMap;
use serde_json::{Value, json};
use support::{Answer, Http1, Site, request};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

enum Color { NONE = 0; RED = 1; }

message M {
  string snake_case = 1;
  int64 big = 2;
  Color color = 3;
  repeated string tags = 4;
  M sub = 5;
  optional string maybe = 6;
  double ratio = 7;
  bytes raw = 8;
  uint64 huge = 9;
  map<string, int64> counts = 10;
  google.protobuf.Int64Value wrapped = 11;
  repeated Color colors = 12;
  google.protobuf.Timestamp time = 13;
}

service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/p" body: "*" }; }
  rpc Tags(M) returns (M) { option (google.api.http) = { post: "/tags" body: "*" response_body: "tags" }; }
  rpc Sub(M) returns (M) { option (google.api.http) = { post: "/sub" body: "*" response_body: "sub" }; }
  rpc Big(M) returns (M) { option (google.api.http) = { post: "/big" body: "*" response_body: "big" }; }
}
"#;

/// An empty message with this metadata before and behind it.
fn answer(headers: &[(&'static str, &str)], trailers: &[(&'static str, &str)]) -> Answer {
    let map = |pairs: &[(&'static str, &str)]| {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("a value"));
        }
        map
    };
    Answer::Message { message: Default::default(), headers: map(headers), trailers: map(trailers) }
}

#[test]
fn json_is_printed_by_choice() {
    let body = r#"{"snakeCase":"x","big":"9007199254740993","color":"RED","colors":[1,7],"sub":{},"counts":{"k":"-1"},"wrapped":"5","huge":"18446744073709551615"}"#;
    let plain = json!({
        "snakeCase": "x", "big": "9007199254740993", "color": "RED", "colors": ["RED", 7], "sub": {},
        "counts": { "k": "-1" }, "wrapped": "5", "huge": "18446744073709551615",
    });
    let with = |changes: &[(&str, Value)]| {
        let mut json = plain.clone();
        for (name, value) in changes {
            json[*name] = value.clone();
        }
        json
    };
    let renamed = {
        let mut json = plain.clone();
        let value = json.as_object_mut().and_then(|map| map.remove("snakeCase")).expect("it is there");
        json["snake_case"] = value;
        json
    };
    let empty_sub = json!({
        "snakeCase": "", "big": "0", "color": "NONE", "tags": [], "ratio": 0.0, "raw": "", "huge": "0",
        "counts": {}, "colors": [],
    });
    let printed = with(&[("tags", json!([])), ("ratio", json!(0.0)), ("raw", json!("")), ("sub", empty_sub)]);
    for (choice, want) in [
        ("", plain.clone()),
        ("json: { defaults: omit, names: json, enums: names, int64: strings }", plain.clone()),
        ("json: { names: proto }", renamed),
        ("json: { enums: numbers }", with(&[("color", json!(1)), ("colors", json!([1, 7]))])),
        (
            "json: { int64: numbers }",
            with(&[
                ("big", json!(9_007_199_254_740_993_i64)),
                ("counts", json!({ "k": -1 })),
                ("wrapped", json!(5)),
                ("huge", json!(18_446_744_073_709_551_615_u64)),
            ]),
        ),
        ("json: { defaults: print }", printed),
    ] {
        let reply = Site::with(PROTO, choice).post("/p", body);
        assert_eq!(reply.assert_ok().header("content-type"), Some("application/json"));
        assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
        let found = reply.json();
        assert_eq!(plus_floats(found), plus_floats(want), "{choice}");
    }
}

/// `0` and `0.0` are one number in JSON.
fn plus_floats(mut json: Value) -> Value {
    for place in ["/ratio", "/sub/ratio"] {
        if let Some(ratio) = json.pointer_mut(place) {
            *ratio = ratio.as_f64().into();
        }
    }
    json
}

#[test]
fn one_field_can_be_the_whole_answer() {
    let site = Site::plain(PROTO);
    for (target, body, want) in [
        ("/tags", r#"{"tags":["a","b"],"big":1}"#, json!(["a", "b"])),
        ("/tags", "{}", json!([])),
        ("/sub", r#"{"sub":{"big":"1"},"big":2}"#, json!({ "big": "1" })),
        ("/sub", r#"{"sub":{}}"#, json!({})),
        ("/big", r#"{"big":"5"}"#, json!("5")),
        ("/big", "{}", json!("0")),
    ] {
        assert_eq!(site.post(target, body).assert_ok().json(), want, "{target} {body}");
    }
}

#[test]
fn a_backend_wishes_for_a_status_of_success_or_redirection() {
    let site = Site::plain(PROTO);
    for (code, want) in [
        ("200", 200),
        ("201", 201),
        ("202", 202),
        ("204", 204),
        ("304", 304),
        ("303", 303),
        ("404", 200),
        ("500", 200),
        ("100", 200),
        ("101", 200),
        ("99", 200),
        ("2000", 200),
        ("-1", 200),
        ("abc", 200),
        ("", 200),
        ("201, 202", 200),
    ] {
        site.backend.answer(answer(&[("x-http-code", code), ("location", "/v1/x"), ("etag", "\"1\"")], &[]));
        // On one connection, so that a body where none may be would show.
        let mut client = Http1::connect(site.address());
        for _ in 0..2 {
            client.send(request("POST", "/p", &[], b""));
            let reply = client.reply();
            assert_eq!(reply.status, want, "{code}");
            assert_eq!(reply.header("x-http-code"), None, "{code}");
            assert_eq!(reply.header("location"), Some("/v1/x"), "{code}");
            assert_eq!(reply.header("etag"), Some("\"1\""), "{code}");
            let body = if matches!(want, 204 | 304) { "" } else { "{}" };
            assert_eq!(reply.text(), body, "{code}");
            if want == 204 {
                assert_eq!(reply.header("content-length"), None, "RFC 9110, section 8.6");
            }
        }
        let reply = site.http2().call("POST", "/p", &[], b"");
        assert_eq!(reply.status, want, "{code}");
    }
}

#[test]
fn metadata_passes_but_for_what_is_the_gateways_own() {
    let site = Site::plain(PROTO);
    let passing = [
        ("etag", "\"7\""),
        ("location", "/v1/7"),
        ("cache-control", "no-store"),
        ("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT"),
        ("vary", "accept"),
        ("x-mine", "a, b"),
        ("x-mine-bin", "AQI="),
        ("content-language", "de"),
        ("content-disposition", "inline"),
        ("set-cookie", "a=b"),
    ];
    let staying = [
        ("server", "secret/1.0"),
        ("grpc-encoding", "identity"),
        ("grpc-accept-encoding", "gzip"),
        ("grpc-server-stats-bin", "AQI="),
        ("content-encoding", "identity"),
        ("proxy-authenticate", "Basic"),
    ];
    let sent: Vec<_> = passing.iter().chain(&staying).copied().collect();
    site.backend.answer(answer(&sent, &[]));
    let mut http2 = site.http2();
    for reply in [site.get("/g"), http2.call("GET", "/g", &[], b"")] {
        reply.assert_ok();
        for (name, value) in passing {
            assert_eq!(reply.header(name), Some(value), "{name}");
        }
        for (name, _) in staying {
            assert_eq!(reply.header(name), None, "{name}");
        }
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("grpc-status"), None);
    }
    // Several values stay several, in their order.
    site.backend.answer(answer(&[("set-cookie", "a=1"), ("set-cookie", "b=2")], &[]));
    let cookies: Vec<_> = site.get("/g").headers.get_all("set-cookie").iter().cloned().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

#[test]
fn trailers_come_where_the_client_asks_for_them() {
    let site = Site::plain(PROTO);
    site.backend.answer(answer(&[("x-early", "1")], &[("x-late", "2"), ("x-late-bin", "AQI=")]));
    for (te, asked) in
        [(None, false), (Some("gzip"), false), (Some("trailers"), true), (Some("gzip, Trailers"), true)]
    {
        let headers: Vec<_> = te.iter().map(|te| ("te", *te)).collect();
        let mut replies = vec![site.call("GET", "/g", &headers, b"")];
        // HTTP/2 knows no other value of it (RFC 9113, section 8.2.2).
        if te.is_none_or(|te| te == "trailers") {
            replies.push(site.http2().call("GET", "/g", &headers, b""));
        }
        for reply in replies {
            reply.assert_ok();
            assert_eq!(reply.text(), "{}");
            assert_eq!(reply.header("x-early"), Some("1"));
            assert_eq!(reply.header("x-late"), None, "a trailer is no header");
            let late = reply.trailers.get("x-late").map(|value| value.to_str().expect("ASCII"));
            assert_eq!(late, asked.then_some("2"), "{te:?}");
            assert!(!reply.trailers.contains_key("grpc-status"));
            assert!(!reply.trailers.contains_key("grpc-message"));
        }
    }
    // Without trailers of the backend's there is nothing to wait for.
    site.backend.answer(Answer::Echo);
    let reply = site.call("GET", "/g", &[("te", "trailers")], b"");
    assert_eq!(reply.header("content-length"), Some("2"));
}

#[test]
fn connections_are_kept_for_further_requests() {
    let site = Site::plain(PROTO);
    let mut client = Http1::connect(site.address());
    for number in 1..=5 {
        client.send(request("POST", "/p", &[], format!(r#"{{"big":{number}}}"#).as_bytes()));
        assert_eq!(client.reply().json(), json!({ "big": number.to_string() }));
        // An error doesn't end the connection either.
        client.send(request("GET", "/nothing", &[], b""));
        assert_eq!(client.reply().status, 404);
    }
    client.send(request("GET", "/g", &[("connection", "close")], b""));
    assert_eq!(client.reply().status, 200);
    assert!(client.is_closed());
}

#[test]
fn http_1_0_is_served_and_then_closed() {
    let site = Site::plain(PROTO);
    for (headers, trailers) in [("", &[][..]), ("te: trailers\r\n", &[("x-late", "1")])] {
        site.backend.answer(answer(&[], trailers));
        let mut client = Http1::connect(site.address());
        client.send(format!("GET /g HTTP/1.0\r\n{headers}\r\n"));
        let reply = client.reply();
        // There is no chunked coding in it, so trailers have no place.
        assert_eq!((reply.status, reply.text(), reply.header("transfer-encoding")), (200, "{}", None));
        assert!(client.is_closed());
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let site = Site::plain(PROTO);
    let mut client = Http1::connect(site.address());
    let requests: Vec<u8> = (1..=20)
        .flat_map(|number| match number % 4 {
            0 => request("GET", "/nothing", &[], b""),
            1 => request("GET", &format!("/g?big={number}"), &[], b""),
            _ => request("POST", "/p", &[], format!(r#"{{"big":{number}}}"#).as_bytes()),
        })
        .collect();
    client.send(requests);
    for number in 1..=20 {
        let reply = client.reply();
        if number % 4 == 0 {
            assert_eq!(reply.status, 404);
        } else {
            assert_eq!(reply.assert_ok().json(), json!({ "big": number.to_string() }));
        }
    }
}

#[test]
fn http2_is_spoken_by_prior_knowledge() {
    let site = Site::plain(PROTO);
    let mut client = site.http2();
    // Many streams at once.
    let calls: Vec<_> =
        (0..50).map(|number| client.begin("GET", &format!("/g?big={number}"), &[], true).0).collect();
    for (number, call) in calls.into_iter().enumerate() {
        let want = if number == 0 { json!({}) } else { json!({ "big": number.to_string() }) };
        assert_eq!(client.end(call).expect("an answer").assert_ok().json(), want);
    }
    let reply = client.call("POST", "/p", &[("content-type", "application/json")], br#"{"big":"1"}"#);
    assert_eq!(reply.json(), json!({ "big": "1" }));
    assert_eq!(client.call("GET", "/nothing", &[], b"").reason(), "NO_ROUTE");
    let head = client.call("HEAD", "/g?big=1", &[], b"");
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, Some("11")));
}

#[test]
fn large_replies_come_whole() {
    let site = Site::plain(PROTO);
    let text = "é\"\n😀x".repeat(700_000);
    let message = site.schema.encode("t.M", &json!({ "snakeCase": text }));
    assert!(message.len() > 5 << 20);
    site.backend.answer(Answer::message(message));
    let mut http2 = site.http2();
    for reply in [site.get("/g"), http2.call("GET", "/g", &[], b"")] {
        reply.assert_ok();
        assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
        assert!(reply.json() == json!({ "snakeCase": text }), "the text is another one");
    }
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let site = Site::plain(PROTO);
    site.backend.answer(answer(&[("etag", "\"1\"")], &[("x-late", "1")]));
    let mut client = Http1::connect(site.address());
    for _ in 0..2 {
        client.send(request("HEAD", "/g", &[("te", "trailers")], b""));
        let head = client.reply_to_head();
        assert_eq!(
            (head.status, head.header("content-length"), head.header("etag")),
            (200, Some("2"), Some("\"1\""))
        );
        assert_eq!(head.header("content-type"), Some("application/json"));
        client.send(request("HEAD", "/nothing", &[], b""));
        assert_eq!(client.reply_to_head().status, 404);
    }
}

#[test]
fn messages_that_encoders_rarely_make_are_read_as_specified() {
    let site = Site::plain(PROTO);
    // Field 5 (sub) split in two, field 2 given twice, field 12 packed and unpacked, a map entry without key and value,
    // an unknown field, fields out of order.
    let cases: &[(&[u8], Value)] = &[
        (&[0x2a, 2, 0x10, 1, 0x2a, 3, 0x0a, 1, b'x'], json!({ "sub": { "big": "1", "snakeCase": "x" } })),
        (&[0x10, 1, 0x10, 2], json!({ "big": "2" })),
        (&[0x62, 2, 1, 0, 0x60, 1], json!({ "colors": ["RED", "NONE", "RED"] })),
        (&[0x52, 0], json!({ "counts": { "": "0" } })),
        (&[0x52, 3, 0x0a, 1, b'k', 0x52, 2, 0x10, 5], json!({ "counts": { "k": "0", "": "5" } })),
        (&[0xa0, 0x06, 1, 0x10, 3], json!({ "big": "3" })),
        (&[0x22, 1, b'a', 0x10, 1, 0x22, 1, b'b'], json!({ "big": "1", "tags": ["a", "b"] })),
        (&[0x80, 0x00], Value::Null),
    ];
    for (message, want) in cases {
        site.backend.answer(Answer::message(message.to_vec()));
        let reply = site.get("/g");
        if want.is_null() {
            reply.assert_fault(500, "UNREADABLE_REPLY", None);
        } else {
            assert_eq!(&reply.assert_ok().json(), want, "{message:?}");
        }
    }
    for unreadable in [&[0x0a_u8, 5, b'x'][..], &[0x10], &[0x0a, 1, 0xff], &[0xff], &[0x0f]] {
        site.backend.answer(Answer::message(unreadable.to_vec()));
        site.get("/g").assert_fault(500, "UNREADABLE_REPLY", None);
    }
    // The year 10000: a Timestamp like any other on the wire, but none in JSON.
    site.backend.answer(Answer::message(vec![0x6a, 7, 0x08, 0x80, 0x83, 0xd1, 0xff, 0xaf, 0x07]));
    site.get("/g").assert_fault(500, "REPLY_WITHOUT_JSON", None);
}
