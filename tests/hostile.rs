//! Requests made of random pieces: whatever a client sends, it is answered as its own mistake or as a call, never as a
//! failure of the gateway, and what reaches a backend can be read there.

mod support;

use proptest::collection::vec;
use proptest::sample::select;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use support::{Http1, Site, request};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

enum Color { NONE = 0; RED = 1; }

message M {
  string a = 1;
  int32 n = 2;
  M sub = 3;
  repeated M subs = 4;
  map<string, M> by_name = 5;
  map<bool, double> flags = 6;
  bytes raw = 7;
  Color color = 8;
  oneof pick { string left = 9; M right = 10; google.protobuf.NullValue nil = 11; }
  google.protobuf.Any any = 12;
  google.protobuf.Duration span = 13;
  google.protobuf.FieldMask mask = 14;
  google.protobuf.Struct object = 15;
  google.protobuf.Value value = 16;
  google.protobuf.Timestamp at = 17;
  google.protobuf.UInt64Value wrapped = 18;
  repeated sint64 numbers = 19;
  optional bool yes = 20;
}

service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/v1/{a}/{sub.a}" }; }
  rpc Rest(M) returns (M) { option (google.api.http) = { get: "/v1/{a=**}" }; }
  rpc Touch(M) returns (M) { option (google.api.http) = { post: "/v1/{a=x/**}/{sub.n}:touch" body: "*" }; }
  rpc Whole(M) returns (M) { option (google.api.http) = { post: "/v1/{sub.a}" body: "*" }; }
  rpc Field(M) returns (M) { option (google.api.http) = { put: "/v1/{sub.sub.a}" body: "sub" }; }
  rpc Value(M) returns (M) { option (google.api.http) = { patch: "/v1/{a}" body: "value" }; }
}
"#;

const PATHS: &[&str] = &[
    "/", "/", "/", "x", "y", "v1", "/v1", "/v1", "%2F", "%2f", "%", "%0", "%00", "%FF", "%C3%A9", ":",
    ":touch", "*", "**", "..", ".", "+", "7", "{a}", "//", "~", "%25", "@", "=", ";", ",",
];

const QUERIES: &[&str] = &[
    "&",
    "&",
    "=",
    "a",
    "n",
    "sub",
    ".",
    "sub.a",
    "sub.n",
    "sub.sub.n",
    "subs",
    "by_name",
    "byName",
    "flags",
    "raw",
    "color",
    "left",
    "right.a",
    "right",
    "nil",
    "any",
    "span",
    "mask",
    "object",
    "value",
    "at",
    "wrapped",
    "numbers",
    "yes",
    "yes=true",
    "7",
    "-1",
    "1e9",
    "RED",
    "%00",
    "%FF",
    "%",
    "+",
    "1s",
    "a_b,c",
    "[",
    "]",
    "AQI",
    "numbers=7",
    "2026-01-02T03:04:05Z",
    "null",
    "NULL_VALUE",
    "18446744073709551616",
    "$alt",
    "??",
    "#",
    ";",
];

const BODIES: &[&str] = &[
    "{",
    "{",
    "}",
    "}",
    "[",
    "]",
    ":",
    ",",
    ",",
    "\"a\"",
    "\"n\":7",
    "\"sub\":{",
    "\"subs\":[{",
    "}]",
    "\"byName\":{",
    "\"by_name\"",
    "\"flags\":{\"true\":1}",
    "\"raw\":\"AQI=\"",
    "\"color\":\"RED\"",
    "\"left\":\"x\"",
    "\"right\":{",
    "\"nil\":null",
    "\"any\":{\"@type\":\"type.googleapis.com/t.M\"",
    "\"any\":{}",
    "\"@type\"",
    "\"value\":",
    "\"span\":\"1s\"",
    "\"mask\":\"a,b\"",
    "\"object\":{",
    "\"at\":\"2026-01-02T03:04:05Z\"",
    "\"wrapped\":\"7\"",
    "\"numbers\":[1,-2]",
    "\"yes\":true",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1e400",
    "1.5",
    "18446744073709551616",
    "\"\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\u{e9}",
    " ",
    "\n",
    "\"",
    "\\",
    "\0",
    "/*",
    "NaN",
    "{\"a\":\"x\"}",
    "[[[[[[[[",
    "{\"sub\":{\"sub\":{",
];

fn pieces(of: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    vec(select(of), 0..most).prop_map(|pieces| pieces.concat())
}

/// Balances what is open, so that more than a few bodies are JSON.
fn closed(mut body: String) -> String {
    let mut open = Vec::new();
    for byte in body.bytes() {
        match byte {
            b'{' => open.push('}'),
            b'[' => open.push(']'),
            b'}' | b']' => drop(open.pop()),
            _ => {}
        }
    }
    body.extend(open.into_iter().rev());
    body
}

#[test]
fn whatever_is_sent_is_understood_or_refused() {
    let site = Site::with(PROTO, "request: { unknown_parameters: ignore, unknown_members: ignore }");
    let body = (pieces(BODIES, 12), proptest::bool::ANY);
    let body = body.prop_map(|(body, close)| if close { closed(format!("{{{body}")) } else { body });
    let parts =
        (select(&["GET", "POST", "PUT", "PATCH", "HEAD"][..]), pieces(PATHS, 8), pieces(QUERIES, 8), body);
    let config = Config { failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&parts, |(method, path, query, body)| {
        let query = query.replace('#', "");
        let mut client = Http1::connect(site.address());
        client.send(request(method, &format!("/v1/{path}?{query}"), &[], body.as_bytes()));
        let reply = client.read(method == "HEAD").ok_or_else(|| TestCaseError::fail("no answer"))?;
        match reply.status {
            200 => drop(site.backend.only().decode()),
            400 | 404 | 405 => {
                if method != "HEAD" {
                    reply.reason();
                }
            }
            other => {
                return Err(TestCaseError::fail(format!(
                    "{other}: {}",
                    String::from_utf8_lossy(&reply.body)
                )));
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
