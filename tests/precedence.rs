//! Path, body and query into one message: who wins, what is refused, and how often a message is written.

mod support;

use serde_json::{Value, json};
use support::Site;

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

enum Color { NONE = 0; RED = 1; BLUE = 2; }

message Item {
  string id = 1;
  string title = 2;
  int32 n = 3;
  repeated string tags = 4;
  Item inner = 5;
  optional string note = 6;
}

message M {
  string id = 1;
  Item item = 2;
  int32 n = 3;
  repeated string tags = 4;
  repeated int32 nums = 5;
  oneof pick { string left = 6; int32 right = 7; Item both = 8; }
  google.protobuf.Timestamp at = 9;
  google.protobuf.Duration span = 10;
  google.protobuf.FieldMask mask = 11;
  google.protobuf.StringValue word = 12;
  google.protobuf.Int64Value count = 13;
  Color color = 14;
  repeated Color colors = 15;
  bytes raw = 16;
  double ratio = 17;
  bool yes = 18;
  map<string, string> labels = 19;
  int64 big = 20;
  uint32 small = 21;
  string snake_case = 22;
  optional int32 maybe = 23;
  repeated Item items = 24;
  google.protobuf.Struct any_json = 25;
  repeated google.protobuf.Duration spans = 26;
  string camel = 27 [json_name = "Other"];
}

service S {
  rpc Query(M) returns (M) { option (google.api.http) = { get: "/q" }; }
  rpc Path(M) returns (M) { option (google.api.http) = { get: "/p/{id}/{item.id}" }; }
  rpc Field(M) returns (M) { option (google.api.http) = { post: "/f/{id}/{item.id}" body: "item" }; }
  rpc Whole(M) returns (M) { option (google.api.http) = { post: "/w/{id}/{item.id}" body: "*" }; }
  rpc All(M) returns (M) { option (google.api.http) = { post: "/a" body: "*" }; }
  rpc Left(M) returns (M) { option (google.api.http) = { post: "/l/{left}" body: "*" }; }
  rpc Many(M) returns (M) { option (google.api.http) = { post: "/m" body: "items" }; }
}
"#;

/// How a request ends: with this message at the backend, or with 400, this reason and this field.
type Want = Result<Value, (&'static str, &'static str)>;

#[track_caller]
fn check(site: &Site, method: &str, target: &str, body: &str, want: &Want) {
    let reply = site.call(method, target, &[("content-type", "application/json")], body.as_bytes());
    match want {
        Ok(message) => {
            assert_eq!(reply.status, 200, "{target} {body}: {}", String::from_utf8_lossy(&reply.body));
            assert_eq!(&site.backend.only().json(), message, "{target} {body}");
        }
        Err((reason, field)) => {
            assert_eq!(reply.status, 400, "{target} {body}");
            let found = (reply.reason(), reply.field().unwrap_or_default());
            assert_eq!((&*found.0, &*found.1), (*reason, *field), "{target} {body}: {}", reply.text());
            assert_eq!(site.backend.count(), 0, "{target} {body}");
        }
    }
}

#[test]
fn parameters_are_read_by_the_type_of_their_field() {
    let site = Site::plain(PROTO);
    let cases: &[(&str, Want)] = &[
        ("", Ok(json!({}))),
        ("&&", Ok(json!({}))),
        ("id=x", Ok(json!({ "id": "x" }))),
        ("id=", Ok(json!({}))),
        ("id", Ok(json!({}))),
        ("id=a=b", Ok(json!({ "id": "a=b" }))),
        ("id=a%26b%3D%C3%A9", Ok(json!({ "id": "a&b=é" }))),
        ("id=a/b?c", Ok(json!({ "id": "a/b?c" }))),
        ("n=-7", Ok(json!({ "n": -7 }))),
        ("n=0", Ok(json!({}))),
        ("maybe=0", Ok(json!({ "maybe": 0 }))),
        ("n=7.0", Err(("INVALID_NUMBER", "n"))),
        ("n=7e2", Err(("INVALID_NUMBER", "n"))),
        ("n=%207", Err(("INVALID_NUMBER", "n"))),
        ("n=7.5", Err(("INVALID_NUMBER", "n"))),
        ("n=x", Err(("INVALID_NUMBER", "n"))),
        ("n=", Err(("INVALID_NUMBER", "n"))),
        ("n=2147483648", Err(("OUT_OF_RANGE", "n"))),
        ("small=-1", Err(("OUT_OF_RANGE", "small"))),
        ("big=9223372036854775807", Ok(json!({ "big": "9223372036854775807" }))),
        ("big=9223372036854775808", Err(("OUT_OF_RANGE", "big"))),
        ("ratio=1.5", Ok(json!({ "ratio": 1.5 }))),
        ("ratio=NaN", Ok(json!({ "ratio": "NaN" }))),
        ("ratio=-Infinity", Ok(json!({ "ratio": "-Infinity" }))),
        ("yes=true", Ok(json!({ "yes": true }))),
        ("yes=1", Err(("INVALID_BOOL", "yes"))),
        ("yes=True", Err(("INVALID_BOOL", "yes"))),
        ("color=RED", Ok(json!({ "color": "RED" }))),
        ("color=2", Ok(json!({ "color": "BLUE" }))),
        ("color=red", Err(("INVALID_ENUM_VALUE", "color"))),
        ("colors=RED&colors=2", Ok(json!({ "colors": ["RED", "BLUE"] }))),
        ("raw=AQI%3D", Ok(json!({ "raw": "AQI=" }))),
        ("raw=AQI", Ok(json!({ "raw": "AQI=" }))),
        ("raw=-_8", Ok(json!({ "raw": "+/8=" }))),
        ("raw=*", Err(("INVALID_BASE64", "raw"))),
        ("tags=a&id=x&tags=b", Ok(json!({ "id": "x", "tags": ["a", "b"] }))),
        ("nums=1&nums=2", Ok(json!({ "nums": [1, 2] }))),
        ("nums=1,2", Err(("INVALID_NUMBER", "nums"))),
        ("tags=a,b", Ok(json!({ "tags": ["a,b"] }))),
        ("snake_case=x", Ok(json!({ "snakeCase": "x" }))),
        ("snakeCase=x", Ok(json!({ "snakeCase": "x" }))),
        ("Other=x", Ok(json!({ "Other": "x" }))),
        ("camel=x", Ok(json!({ "Other": "x" }))),
        ("word=x", Ok(json!({ "word": "x" }))),
        ("word=", Ok(json!({ "word": "" }))),
        ("count=5", Ok(json!({ "count": "5" }))),
        ("count=x", Err(("INVALID_NUMBER", "count"))),
        ("at=2026-01-02T03:04:05Z", Ok(json!({ "at": "2026-01-02T03:04:05Z" }))),
        ("at=2026-01-02T03:04:05.5%2B01:00", Ok(json!({ "at": "2026-01-02T02:04:05.500Z" }))),
        ("at=yesterday", Err(("INVALID_TIMESTAMP", "at"))),
        ("span=1.5s", Ok(json!({ "span": "1.500s" }))),
        ("span=1.5", Err(("INVALID_DURATION", "span"))),
        ("spans=1s&spans=2s", Ok(json!({ "spans": ["1s", "2s"] }))),
        ("mask=a_b,c.d_e", Ok(json!({ "mask": "aB,c.dE" }))),
        ("mask=aB,c.dE", Ok(json!({ "mask": "aB,c.dE" }))),
        ("item.id=x&item.inner.title=y", Ok(json!({ "item": { "id": "x", "inner": { "title": "y" } } }))),
        ("item=x", Err(("NOT_A_SCALAR", "item"))),
        ("items.id=x", Err(("PARAMETER_INTO_REPEATED", "items.id"))),
        ("any_json.x=1", Err(("UNKNOWN_PARAMETER", "any_json.x"))),
        ("n=1&n=1", Err(("PARAMETER_TWICE", "n"))),
        ("snake_case=x&snakeCase=x", Err(("PARAMETER_TWICE", "snakeCase"))),
        ("item.id=x&item.id=y", Err(("PARAMETER_TWICE", "item.id"))),
        ("word=x&word=x", Err(("PARAMETER_TWICE", "word"))),
        ("left=x", Ok(json!({ "left": "x" }))),
        ("right=0", Ok(json!({ "right": 0 }))),
        ("left=x&right=1", Err(("ONEOF_CONFLICT", "right"))),
        ("both.id=x&both.n=1", Ok(json!({ "both": { "id": "x", "n": 1 } }))),
        ("left=x&both.id=y", Err(("ONEOF_CONFLICT", "both.id"))),
        ("nobody=x", Err(("UNKNOWN_PARAMETER", "nobody"))),
        ("item.nobody=x", Err(("UNKNOWN_PARAMETER", "item.nobody"))),
        ("id.x=1", Err(("UNKNOWN_PARAMETER", "id.x"))),
        ("ID=x", Err(("UNKNOWN_PARAMETER", "ID"))),
        ("item..id=x", Err(("UNKNOWN_PARAMETER", "item..id"))),
        (".id=x", Err(("UNKNOWN_PARAMETER", ".id"))),
        ("=x", Err(("UNKNOWN_PARAMETER", ""))),
        ("id=%FF", Err(("BAD_ENCODING", "id"))),
        ("id=%00", Err(("BAD_ENCODING", "id"))),
        ("id=%4", Err(("BAD_ENCODING", "id"))),
        ("id=%zz", Err(("BAD_ENCODING", "id"))),
    ];
    for (query, want) in cases {
        check(&site, "GET", &format!("/q?{query}"), "", want);
    }
}

/// Target, body, and what comes of it: where the stronger stands, and where differences are refused.
type Conflict = (&'static str, &'static str, Value, Option<(&'static str, &'static str)>);

#[test]
fn path_goes_before_body_and_body_before_query() {
    let different = |field| Some(("CONFLICTING_VALUES", field));
    let cases: &[Conflict] = &[
        (
            "/w/P/Q",
            r#"{"id":"B","item":{"title":"T"}}"#,
            json!({ "id": "P", "item": { "id": "Q", "title": "T" } }),
            different("id"),
        ),
        (
            "/w/P/Q",
            r#"{"item":{"title":"T","id":"B"}}"#,
            json!({ "id": "P", "item": { "id": "Q", "title": "T" } }),
            different("item.id"),
        ),
        (
            "/w/P/Q",
            r#"{"id":"P","item":{"id":"Q"},"n":1}"#,
            json!({ "id": "P", "item": { "id": "Q" }, "n": 1 }),
            None,
        ),
        ("/w/P/Q?n=1", r#"{"n":2}"#, json!({ "id": "P", "item": { "id": "Q" }, "n": 2 }), different("n")),
        ("/w/P/Q?n=2", r#"{"n":2}"#, json!({ "id": "P", "item": { "id": "Q" }, "n": 2 }), None),
        ("/w/P/Q?n=1", r#"{"n":0}"#, json!({ "id": "P", "item": { "id": "Q" } }), different("n")),
        ("/w/P/Q?n=1", r#"{"n":null}"#, json!({ "id": "P", "item": { "id": "Q" } }), different("n")),
        (
            "/w/P/Q?n=1",
            r#"{"tags":["a"]}"#,
            json!({ "id": "P", "item": { "id": "Q" }, "n": 1, "tags": ["a"] }),
            None,
        ),
        (
            "/w/P/Q?item.n=1",
            r#"{"item":{"n":0}}"#,
            json!({ "id": "P", "item": { "id": "Q" } }),
            different("item.n"),
        ),
        (
            "/w/P/Q?item.n=1",
            r#"{"item":{"title":"T"}}"#,
            json!({ "id": "P", "item": { "id": "Q", "title": "T", "n": 1 } }),
            None,
        ),
        ("/w/P/Q?item.n=1", "{}", json!({ "id": "P", "item": { "id": "Q", "n": 1 } }), None),
        ("/w/P/Q?item.n=1", "", json!({ "id": "P", "item": { "id": "Q", "n": 1 } }), None),
        (
            "/w/P/Q?maybe=1",
            r#"{"maybe":0}"#,
            json!({ "id": "P", "item": { "id": "Q" }, "maybe": 0 }),
            different("maybe"),
        ),
        (
            "/w/P/Q?word=q",
            r#"{"word":""}"#,
            json!({ "id": "P", "item": { "id": "Q" }, "word": "" }),
            different("word"),
        ),
        (
            "/w/P/Q?at=2026-01-01T00:00:00Z",
            r#"{"at":"2025-01-01T00:00:00Z"}"#,
            json!({ "id": "P", "item": { "id": "Q" }, "at": "2025-01-01T00:00:00Z" }),
            different("at"),
        ),
        (
            "/w/P/Q?tags=q",
            r#"{"tags":["b"]}"#,
            json!({ "id": "P", "item": { "id": "Q" }, "tags": ["b", "q"] }),
            None,
        ),
        (
            "/w/P/Q?item.tags=q&item.tags=r",
            r#"{"item":{"tags":["b"]}}"#,
            json!({ "id": "P", "item": { "id": "Q", "tags": ["b", "q", "r"] } }),
            None,
        ),
        (
            "/w/P/Q?nums=3",
            r#"{"nums":[1,2]}"#,
            json!({ "id": "P", "item": { "id": "Q" }, "nums": [1, 2, 3] }),
            None,
        ),
        ("/w/P/Q?id=X", "{}", json!({ "id": "P", "item": { "id": "Q" } }), Some(("OVERRIDE_DIFFERS", "id"))),
        ("/w/P/Q?id=P", "{}", json!({ "id": "P", "item": { "id": "Q" } }), None),
        (
            "/f/P/Q",
            r#"{"id":"B","title":"T"}"#,
            json!({ "id": "P", "item": { "id": "Q", "title": "T" } }),
            different("item.id"),
        ),
        (
            "/f/P/Q?item.title=X&n=3",
            r#"{"title":"T"}"#,
            json!({ "id": "P", "item": { "id": "Q", "title": "T" }, "n": 3 }),
            different("item.title"),
        ),
        (
            "/f/P/Q?item.title=X&n=3",
            r#"{"n":4}"#,
            json!({ "id": "P", "item": { "id": "Q", "title": "X", "n": 4 }, "n": 3 }),
            None,
        ),
        (
            "/f/P/Q?item.inner.title=X",
            r#"{"inner":{"id":"I"}}"#,
            json!({ "id": "P", "item": { "id": "Q", "inner": { "id": "I", "title": "X" } } }),
            None,
        ),
        ("/l/P", r#"{"left":"B"}"#, json!({ "left": "P" }), different("left")),
        ("/l/P", r#"{"right":1}"#, json!({ "left": "P" }), different("right")),
        ("/a?right=1", r#"{"left":"B"}"#, json!({ "left": "B" }), different("right")),
        ("/a?both.id=x", r#"{"both":{"n":1}}"#, json!({ "both": { "id": "x", "n": 1 } }), None),
    ];
    for conflicts in ["", "request: { conflicts: stronger }", "request: { conflicts: reject }"] {
        let site = Site::with(PROTO, conflicts);
        for (target, body, stronger, refused) in cases {
            let want = match refused {
                Some(fault) if conflicts.contains("reject") => Err(*fault),
                Some(_) | None => Ok(stronger.clone()),
            };
            check(&site, "POST", target, body, &want);
        }
        let want = if conflicts.contains("reject") {
            Err(("OVERRIDE_DIFFERS", "item.id"))
        } else {
            Ok(json!({ "id": "P", "item": { "id": "Q" } }))
        };
        check(&site, "GET", "/p/P/Q?item.id=X", "", &want);
    }
}

#[test]
fn the_query_reaches_into_the_body_by_choice() {
    for choice in ["", "request: { query_into_body: allow }"] {
        let site = Site::with(PROTO, choice);
        check(
            &site,
            "POST",
            "/f/P/Q?item.n=1",
            "{}",
            &Ok(json!({ "id": "P", "item": { "id": "Q", "n": 1 } })),
        );
        check(&site, "POST", "/a?n=1", "{}", &Ok(json!({ "n": 1 })));
    }
    let site = Site::with(PROTO, "request: { query_into_body: reject }");
    check(&site, "POST", "/f/P/Q?item.n=1", "{}", &Err(("QUERY_INTO_BODY", "item.n")));
    check(&site, "POST", "/f/P/Q?n=1", "{}", &Ok(json!({ "id": "P", "item": { "id": "Q" }, "n": 1 })));
    check(&site, "POST", "/a?n=1", "{}", &Err(("QUERY_INTO_BODY", "n")));
    check(&site, "GET", "/q?item.n=1", "", &Ok(json!({ "item": { "n": 1 } })));
}

#[test]
fn unknown_parameters_are_refused_or_ignored_by_choice() {
    for (choice, known, unknown) in [
        ("", false, false),
        ("request: { unknown_parameters: reject }", false, false),
        ("request: { unknown_parameters: [api_key, item.x] }", true, false),
        ("request: { unknown_parameters: ignore }", true, true),
    ] {
        let site = Site::with(PROTO, choice);
        let want =
            |ignored, field| if ignored { Ok(json!({ "n": 1 })) } else { Err(("UNKNOWN_PARAMETER", field)) };
        check(&site, "GET", "/q?n=1&api_key=s", "", &want(known, "api_key"));
        check(&site, "GET", "/q?item.x=s&n=1", "", &want(known, "item.x"));
        check(&site, "GET", "/q?n=1&other=s", "", &want(unknown, "other"));
        // A known parameter with a bad value is wrong in any case.
        check(&site, "GET", "/q?n=x", "", &Err(("INVALID_NUMBER", "n")));
    }
}

#[test]
fn unknown_members_are_refused_or_ignored_by_choice() {
    for (choice, known, unknown) in [
        ("", false, false),
        ("request: { unknown_members: reject }", false, false),
        ("request: { unknown_members: [extra] }", true, false),
        ("request: { unknown_members: ignore }", true, true),
    ] {
        let site = Site::with(PROTO, choice);
        let want =
            |ignored, field| if ignored { Ok(json!({ "n": 1 })) } else { Err(("UNKNOWN_FIELD", field)) };
        check(&site, "POST", "/a", r#"{"extra":{"a":[1,"x"]},"n":1}"#, &want(known, "extra"));
        check(&site, "POST", "/a", r#"{"n":1,"other":null}"#, &want(unknown, "other"));
        let nested = r#"{"n":1,"items":[{"other":1}]}"#;
        let want = if unknown {
            Ok(json!({ "n": 1, "items": [{}] }))
        } else {
            Err(("UNKNOWN_FIELD", "items[0].other"))
        };
        check(&site, "POST", "/a", nested, &want);
    }
}

#[test]
fn plus_is_itself_or_a_space_by_choice() {
    for (choice, want) in
        [("", "a+b c+"), ("request: { plus: literal }", "a+b c+"), ("request: { plus: space }", "a b c+")]
    {
        let site = Site::with(PROTO, choice);
        check(&site, "GET", "/q?id=a+b%20c%2B", "", &Ok(json!({ "id": want })));
    }
}

#[test]
fn parameters_are_limited_in_number_and_depth() {
    let site = Site::with(PROTO, "request: { max_parameters: 3, max_parameter_depth: 2 }");
    check(&site, "GET", "/q?tags=a&tags=b&tags=c", "", &Ok(json!({ "tags": ["a", "b", "c"] })));
    check(&site, "GET", "/q?tags=a&tags=b&tags=c&tags=d", "", &Err(("TOO_MANY_PARAMETERS", "")));
    check(&site, "GET", "/q?item.id=x", "", &Ok(json!({ "item": { "id": "x" } })));
    check(&site, "GET", "/q?item.inner.id=x", "", &Err(("PARAMETER_TOO_DEEP", "item.inner.id")));
    // By default there is room, and an end of it.
    let site = Site::plain(PROTO);
    let many = |count: usize| format!("/q?{}", vec!["nums=1"; count].join("&"));
    site.seen("GET", &many(256), &[], b"");
    check(&site, "GET", &many(257), "", &Err(("TOO_MANY_PARAMETERS", "")));
    let deep = |count: usize| format!("/q?item.{}id=x", "inner.".repeat(count - 2));
    site.seen("GET", &deep(16), &[], b"");
    assert_eq!(site.get(&deep(17)).reason(), "PARAMETER_TOO_DEEP");
}

#[test]
fn one_field_that_is_a_list_can_be_the_body() {
    let site = Site::plain(PROTO);
    check(
        &site,
        "POST",
        "/m?n=1",
        r#"[{"id":"a"},{"id":"b"}]"#,
        &Ok(json!({ "n": 1, "items": [{ "id": "a" }, { "id": "b" }] })),
    );
    check(&site, "POST", "/m?n=1", "", &Ok(json!({ "n": 1 })));
    check(&site, "POST", "/m?n=1", r#"[{"id":"a"},{"no":1}]"#, &Err(("UNKNOWN_FIELD", "items[1].no")));
    check(&site, "POST", "/m", r#"{"id":"a"}"#, &Err(("WRONG_TYPE", "items")));
}

/// The fields of a message as they stand on the wire: numbers, and the bytes of those with a length.
fn wire(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = bytes.split_first().expect("a whole varint");
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        panic!("a varint has ten bytes at most");
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let length = match tag & 7 {
            0 => {
                varint(&mut bytes);
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)).expect("a length"),
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (value, rest) = bytes.split_at(length);
        fields.push((tag >> 3, value));
        bytes = rest;
    }
    fields
}

#[test]
fn each_message_is_written_once() {
    let site = Site::plain(PROTO);
    let number_of =
        |fields: &[(u64, &[u8])], number: u64| fields.iter().filter(|field| field.0 == number).count();
    for (target, body) in [
        (
            "/w/P/Q?item.n=1&item.inner.title=t&n=5&item.inner.inner.id=z",
            r#"{"item":{"title":"T","inner":{"id":"I"}}}"#,
        ),
        (
            "/w/P/Q?item.n=1&item.inner.title=t&n=5&item.inner.inner.id=z",
            r#"{"item":{"inner":{"inner":{"n":1},"id":"I"},"title":"T"},"n":1}"#,
        ),
        ("/w/P/Q?item.n=1&item.inner.title=t&n=5&item.inner.inner.id=z", "{}"),
        ("/w/P/Q?item.n=1&item.inner.title=t&n=5&item.inner.inner.id=z", ""),
        ("/f/P/Q?item.n=1&item.inner.title=t&n=5&item.inner.inner.id=z", r#"{"inner":{},"title":"T"}"#),
        ("/f/P/Q?n=5&item.inner.title=t&tags=x&item.n=1&tags=y&item.inner.inner.id=z", "{}"),
    ] {
        let reply = site.post(target, body);
        reply.assert_ok();
        let seen = site.backend.only();
        let fields = wire(&seen.message);
        for number in [1, 2, 3] {
            assert_eq!(number_of(&fields, number), 1, "field {number} of {target} {body}");
        }
        let item = wire(fields.iter().find(|field| field.0 == 2).expect("the item").1);
        for number in [1, 3, 5] {
            assert_eq!(number_of(&item, number), 1, "field item.{number} of {target} {body}");
        }
        let inner = wire(item.iter().find(|field| field.0 == 5).expect("the inner item").1);
        for number in [2, 5] {
            assert_eq!(number_of(&inner, number), 1, "field item.inner.{number} of {target} {body}");
        }
    }
}

/// A required field may come from anywhere, and is missed only when all have spoken.
#[test]
fn required_fields_come_from_path_body_and_query() {
    let site = Site::plain(
        r#"
syntax = "proto2";
package t;
import "google/api/annotations.proto";
import "google/protobuf/empty.proto";
message Part { required int32 n = 1; optional string note = 2; }
message Whole { required string id = 1; required Part part = 2; repeated Part parts = 3; }
service S {
  rpc Put(Whole) returns (google.protobuf.Empty) { option (google.api.http) = { put: "/put/{id}" body: "part" }; }
  rpc Get(Whole) returns (google.protobuf.Empty) { option (google.api.http) = { get: "/get" }; }
  rpc Post(Whole) returns (google.protobuf.Empty) { option (google.api.http) = { post: "/post" body: "*" }; }
}
"#,
    );
    let cases: &[(&str, &str, &str, Want)] = &[
        ("PUT", "/put/a", r#"{"n":1}"#, Ok(json!({ "id": "a", "part": { "n": 1 } }))),
        (
            "PUT",
            "/put/a?part.n=2",
            r#"{"note":"x"}"#,
            Ok(json!({ "id": "a", "part": { "n": 2, "note": "x" } })),
        ),
        ("PUT", "/put/a", r#"{"note":"x"}"#, Err(("MISSING_REQUIRED_FIELD", "part.n"))),
        ("PUT", "/put/a", "null", Err(("MISSING_REQUIRED_FIELD", "part"))),
        ("GET", "/get?id=a&part.n=0", "", Ok(json!({ "id": "a", "part": { "n": 0 } }))),
        ("GET", "/get?id=a&part.note=x", "", Err(("MISSING_REQUIRED_FIELD", "part.n"))),
        ("GET", "/get", "", Err(("MISSING_REQUIRED_FIELD", "id"))),
        (
            "POST",
            "/post",
            r#"{"id":"a","part":{"n":1},"parts":[{"n":1},{}]}"#,
            Err(("MISSING_REQUIRED_FIELD", "parts[1].n")),
        ),
    ];
    for (method, target, body, want) in cases {
        check(&site, method, target, body, want);
    }
}
