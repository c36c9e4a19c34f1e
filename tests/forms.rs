//! Forms as bodies, maps in queries and forms, and lists in paths.

mod support;

use serde_json::{Value, json};
use support::{Choices, Site};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";

enum Color { NONE = 0; RED = 1; GREEN = 2; }

message M {
  string name = 1;
  int32 count = 2;
  M sub = 3;
  repeated string tags = 4;
  repeated int32 ids = 5;
  repeated Color colors = 6;
  map<string, string> labels = 7;
  map<int32, Color> by_number = 8;
  map<bool, google.protobuf.Timestamp> times = 9;
  map<string, M> by_name = 10;
  google.protobuf.Timestamp at = 11;
  google.protobuf.Int64Value big = 12;
  Color color = 13;
  oneof pick { string left = 14; int32 right = 15; }
  google.protobuf.Struct free = 16;
}

service S {
  rpc Get(M) returns (M) {
    option (google.api.http) = { get: "/g" additional_bindings { get: "/g/{name}" } };
  }
  rpc Whole(M) returns (M) {
    option (google.api.http) = {
      post: "/w" body: "*"
      additional_bindings { post: "/w/{name}" body: "*" }
      additional_bindings { post: "/left/{left}" body: "*" }
    };
  }
  rpc Field(M) returns (M) {
    option (google.api.http) = {
      post: "/f" body: "sub"
      additional_bindings { post: "/f/{sub.name}" body: "sub" }
    };
  }
  rpc Odd(M) returns (M) {
    option (google.api.http) = {
      post: "/text" body: "name"
      additional_bindings { post: "/list" body: "tags" }
      additional_bindings { post: "/map" body: "labels" }
      additional_bindings { post: "/at" body: "at" }
    };
  }
  rpc None(M) returns (M) { option (google.api.http) = { post: "/none" }; }
  rpc Lists(M) returns (M) {
    option (google.api.http) = {
      get: "/ids/{ids}"
      additional_bindings { get: "/tags/{tags}/{ids}" }
      additional_bindings { get: "/colors/{sub.colors}" }
      additional_bindings { get: "/deep/{tags=**}" }
      additional_bindings { post: "/ids/{ids}" body: "*" }
    };
  }
}
"#;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A case: the target, the form, and the message or the reason and the field of the fault.
type Case = (&'static str, &'static str, Result<Value, (&'static str, &'static str)>);

fn check(site: &Site, cases: &[Case]) {
    for (target, form, want) in cases {
        let reply = site.call("POST", target, &[FORM], form.as_bytes());
        match want {
            Ok(message) => {
                reply.assert_ok();
                assert_eq!(site.backend.only().json(), *message, "{target} {form}");
            }
            Err((reason, field)) => {
                reply.assert_fault(400, reason, Some(*field).filter(|field| !field.is_empty()));
                assert_eq!(site.backend.count(), 0, "{target} {form}");
            }
        }
    }
}

#[test]
fn forms_are_parameters_of_the_body() {
    check(
        &Site::plain(PROTO),
        &[
            ("/w", "name=a&count=3", Ok(json!({ "name": "a", "count": 3 }))),
            ("/w", "&&name=a&", Ok(json!({ "name": "a" }))),
            ("/w", "name", Ok(json!({}))),
            (
                "/w",
                "name=a+b%2Bc%20d&tags=x&tags=y+z",
                Ok(json!({ "name": "a b+c d", "tags": ["x", "y z"] })),
            ),
            (
                "/w",
                "sub.sub.name=a&sub.count=1",
                Ok(json!({ "sub": { "sub": { "name": "a" }, "count": 1 } })),
            ),
            (
                "/w",
                "color=RED&colors=1&colors=GREEN",
                Ok(json!({ "color": "RED", "colors": ["RED", "GREEN"] })),
            ),
            ("/w", "at=2001-02-03T04:05:06Z&big=7", Ok(json!({ "at": "2001-02-03T04:05:06Z", "big": "7" }))),
            ("/w", "labels%5Ben%5D=x&labels[a.b]=y", Ok(json!({ "labels": { "en": "x", "a.b": "y" } }))),
            // relative to the body's message
            ("/f", "name=a&sub.count=2", Ok(json!({ "sub": { "name": "a", "sub": { "count": 2 } } }))),
            ("/f", "labels[k]=v", Ok(json!({ "sub": { "labels": { "k": "v" } } }))),
            ("/f", "", Ok(json!({}))),
            ("/f", "nobody=1", Err(("UNKNOWN_PARAMETER", "nobody"))),
            // what can't be
            ("/w", "count=x", Err(("INVALID_NUMBER", "count"))),
            ("/w", "count=1&count=1", Err(("PARAMETER_TWICE", "count"))),
            ("/w", "left=a&right=1", Err(("ONEOF_CONFLICT", "right"))),
            ("/w", "sub=x", Err(("NOT_A_SCALAR", "sub"))),
            ("/w", "labels=x", Err(("NOT_A_SCALAR", "labels"))),
            ("/w", "name=%ff", Err(("BAD_ENCODING", "name"))),
            ("/w", "name=%00", Err(("BAD_ENCODING", "name"))),
            ("/w", "name=%4", Err(("BAD_ENCODING", "name"))),
            ("/w", "$alt=json", Err(("UNKNOWN_PARAMETER", "$alt"))),
            ("/w", "fields=name", Err(("UNKNOWN_PARAMETER", "fields"))),
            ("/w", " {}", Err(("JSON_SENT_AS_FORM", "content-type"))),
        ],
    );
}

/// Path, then form, then query.
#[test]
fn a_form_is_the_body() {
    check(
        &Site::plain(PROTO),
        &[
            ("/w/p", "name=f&count=1", Ok(json!({ "name": "p", "count": 1 }))),
            ("/w?count=2&color=RED", "count=1", Ok(json!({ "count": 1, "color": "RED" }))),
            ("/w?tags=q", "tags=a&tags=b", Ok(json!({ "tags": ["a", "b", "q"] }))),
            ("/w?labels[a]=q&labels[b]=q", "labels[a]=f", Ok(json!({ "labels": { "a": "f", "b": "q" } }))),
            ("/w?left=q", "right=1", Ok(json!({ "right": 1 }))),
            ("/left/p", "right=1", Ok(json!({ "left": "p" }))),
            ("/f/p", "name=f&count=1", Ok(json!({ "sub": { "name": "p", "count": 1 } }))),
            (
                "/f?name=q&sub.count=2&sub.name=q",
                "name=f",
                Ok(json!({ "name": "q", "sub": { "name": "f", "count": 2 } })),
            ),
            ("/ids/1,2?ids=4", "ids=3", Ok(json!({ "ids": [1, 2, 4] }))),
            // What is weaker is read all the same.
            ("/w?count=x", "count=1", Err(("INVALID_NUMBER", "count"))),
            ("/w/p", "name=%ff", Err(("BAD_ENCODING", "name"))),
        ],
    );
}

#[test]
fn values_that_differ_are_refused_by_choice() {
    check(
        &Site::with(PROTO, "request: { conflicts: reject }"),
        &[
            ("/w/p", "name=p", Ok(json!({ "name": "p" }))),
            ("/w/p", "name=f", Err(("OVERRIDE_DIFFERS", "name"))),
            ("/w?count=1", "count=1", Ok(json!({ "count": 1 }))),
            ("/w?count=1", "count=2", Err(("OVERRIDE_DIFFERS", "count"))),
            ("/w?labels[a]=1", "labels[a]=1", Ok(json!({ "labels": { "a": "1" } }))),
            ("/w?labels[a]=1", "labels[a]=2", Err(("OVERRIDE_DIFFERS", "labels[a]"))),
            ("/w?left=q", "right=1", Err(("OVERRIDE_DIFFERS", "left"))),
            ("/left/p", "right=1", Err(("OVERRIDE_DIFFERS", "right"))),
            ("/ids/1,2", "ids=1&ids=2", Ok(json!({ "ids": [1, 2] }))),
            ("/ids/1,2", "ids=2&ids=1", Err(("OVERRIDE_DIFFERS", "ids"))),
            ("/ids/1,2", "ids=1", Err(("OVERRIDE_DIFFERS", "ids"))),
        ],
    );
}

const DAY: &str = "2026-01-02T00:00:00Z";

#[test]
fn a_message_is_set_as_a_whole_or_in_part() {
    let day = || Ok(json!({ "at": DAY }));
    let parts = || Ok(json!({ "at": "1970-01-01T00:00:05.000000001Z" }));
    let fifth = || Ok(json!({ "at": "1970-01-01T00:00:05Z" }));
    // Twice by one source is once too often; of two, the stronger stands.
    let cases: &[Case] = &[
        ("/w", "at=2026-01-02T00:00:00Z&at.seconds=5", Err(("PARAMETER_TWICE", "at.seconds"))),
        ("/w", "at.seconds=5&at.nanos=1&at=2026-01-02T00:00:00Z", Err(("PARAMETER_TWICE", "at"))),
        ("/w?at.seconds=5&at=2026-01-02T00:00:00Z", "", Err(("PARAMETER_TWICE", "at"))),
        ("/w?sub.big=1&sub.big.value=1", "", Err(("PARAMETER_TWICE", "sub.big.value"))),
        ("/w?at.nanos=1", "at.seconds=5", parts()),
        (
            "/w?sub.at=2026-01-02T00:00:00Z",
            "at=2026-01-02T00:00:00Z",
            Ok(json!({ "at": DAY, "sub": { "at": DAY } })),
        ),
    ];
    let different: &[Case] = &[
        ("/w?at.seconds=5", "at=2026-01-02T00:00:00Z", day()),
        ("/w?at=2026-01-02T00:00:00Z", "at.seconds=5", fifth()),
        ("/w?big.value=1", "big=2", Ok(json!({ "big": "2" }))),
        ("/f?sub.at.nanos=1", "at=2026-01-02T00:00:00Z", Ok(json!({ "sub": { "at": DAY } }))),
    ];
    let site = Site::plain(PROTO);
    check(&site, cases);
    check(&site, different);
    let strict = Site::with(PROTO, "request: { conflicts: reject }");
    check(&strict, cases);
    let refused = ["at.seconds", "at", "big.value", "sub.at.nanos"];
    for ((target, form, _), field) in different.iter().zip(refused) {
        check(&strict, &[(target, form, Err(("OVERRIDE_DIFFERS", field)))]);
    }
}

#[test]
fn a_form_for_what_has_no_fields_is_refused() {
    let site = Site::plain(PROTO);
    for target in ["/text", "/list", "/map", "/at"] {
        let reply = site.call("POST", target, &[FORM], b"a=b");
        reply.assert_fault(415, "NOT_FOR_A_FORM", Some("content-type"));
        site.seen("POST", target, &[FORM], b"");
    }
    // Nobody reads it.
    assert_eq!(site.seen("POST", "/none", &[FORM], b"name=a").json(), json!({}));
    let reply = site.call("POST", "/w", &[FORM], b"name=\xff");
    reply.assert_fault(400, "BAD_ENCODING", None);
    let latin = ("content-type", "application/x-www-form-urlencoded; charset=iso-8859-1");
    site.call("POST", "/w", &[latin], b"name=a").assert_fault(
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        Some("content-type"),
    );
    let utf8 = ("content-type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8");
    assert_eq!(site.seen("POST", "/w", &[utf8], "name=é".as_bytes()).json(), json!({ "name": "é" }));
}

#[test]
fn choices_and_limits_hold_for_forms() {
    let site = Site::with(
        PROTO,
        "request: { unknown_parameters: [known], max_parameters: 3, max_parameter_depth: 2, query_into_body: reject }",
    );
    check(
        &site,
        &[
            ("/w", "known=1&name=a", Ok(json!({ "name": "a" }))),
            ("/w", "unknown=1", Err(("UNKNOWN_PARAMETER", "unknown"))),
            ("/w", "tags=1&tags=2&tags=3", Ok(json!({ "tags": ["1", "2", "3"] }))),
            ("/w", "tags=1&tags=2&tags=3&tags=4", Err(("TOO_MANY_PARAMETERS", ""))),
            ("/w", "sub.sub.name=1", Err(("PARAMETER_TOO_DEEP", "sub.sub.name"))),
            ("/f", "sub.name=1", Ok(json!({ "sub": { "sub": { "name": "1" } } }))),
            ("/f?sub.name=1", "name=1", Err(("QUERY_INTO_BODY", "sub.name"))),
        ],
    );
    let strict = Site::with(PROTO, "request: { unexpected_body: reject }");
    strict.call("POST", "/none", &[FORM], b"name=a").assert_fault(400, "UNEXPECTED_BODY", None);
    let small = Site::with(PROTO, "limits: { body: 8 }");
    assert_eq!(small.call("POST", "/w", &[FORM], b"name=12345").status, 413);
}

/// A target of GET, and the message or the reason and the field of the fault.
type GetCase = (&'static str, Result<Value, (&'static str, &'static str)>);

fn check_get(site: &Site, cases: &[GetCase]) {
    for (target, want) in cases {
        let reply = site.get(target);
        match want {
            Ok(message) => {
                reply.assert_ok();
                assert_eq!(site.backend.only().json(), *message, "{target}");
            }
            Err((reason, field)) => {
                reply.assert_fault(400, reason, Some(*field));
                assert_eq!(site.backend.count(), 0, "{target}");
            }
        }
    }
}

#[test]
fn maps_in_queries() {
    check_get(
        &Site::plain(PROTO),
        &[
            ("/g?labels[a]=1&labels[b]=2", Ok(json!({ "labels": { "a": "1", "b": "2" } }))),
            ("/g?labels%5Ba%5D=1", Ok(json!({ "labels": { "a": "1" } }))),
            ("/g?labels[%5Ba%5D]=1", Ok(json!({ "labels": { "[a]": "1" } }))),
            ("/g?labels[%C3%A9+%2F]=1+2", Ok(json!({ "labels": { "é+/": "1+2" } }))),
            ("/g?labels[]=1", Ok(json!({ "labels": { "": "1" } }))),
            ("/g?labels[a]", Ok(json!({ "labels": { "a": "" } }))),
            ("/g?sub.sub.labels[a.b]=1", Ok(json!({ "sub": { "sub": { "labels": { "a.b": "1" } } } }))),
            ("/g?byNumber[1]=RED&by_number[-2]=2", Ok(json!({ "byNumber": { "1": "RED", "-2": "GREEN" } }))),
            (
                "/g?times[true]=1970-01-01T00:00:01Z",
                Ok(json!({ "times": { "true": "1970-01-01T00:00:01Z" } })),
            ),
            ("/g?labels[a]=1&labels[a]=1", Err(("PARAMETER_TWICE", "labels[a]"))),
            ("/g?labels[a]=1&labels%5Ba%5D=2", Err(("PARAMETER_TWICE", "labels[a]"))),
            ("/g?byNumber[0]=1&byNumber[-0]=1", Err(("PARAMETER_TWICE", "byNumber[-0]"))),
            ("/g?byNumber[x]=1", Err(("INVALID_NUMBER", "byNumber[x]"))),
            ("/g?byNumber[]=1", Err(("INVALID_NUMBER", "byNumber[]"))),
            ("/g?byNumber[1]=BLUE", Err(("INVALID_ENUM_VALUE", "byNumber[1]"))),
            ("/g?times[1]=1970-01-01T00:00:01Z", Err(("INVALID_BOOL", "times[1]"))),
            ("/g?byName[a]=1", Err(("NOT_A_SCALAR", "byName[a]"))),
            ("/g?byName[a].name=1", Err(("MALFORMED_BRACKETS", "byName[a].name"))),
            ("/g?byName.a.name=1", Err(("PARAMETER_INTO_REPEATED", "byName.a.name"))),
            ("/g?labels=1", Err(("NOT_A_SCALAR", "labels"))),
            ("/g?labels.a=1", Err(("PARAMETER_INTO_REPEATED", "labels.a"))),
            ("/g?labels[a=1", Err(("MALFORMED_BRACKETS", "labels[a"))),
            ("/g?labels]=1", Err(("MALFORMED_BRACKETS", "labels]"))),
            ("/g?labels[a]b=1", Err(("MALFORMED_BRACKETS", "labels[a]b"))),
            ("/g?labels[a][b]=1", Err(("MALFORMED_BRACKETS", "labels[a][b]"))),
            ("/g?labels[[a]]=1", Err(("MALFORMED_BRACKETS", "labels[[a]]"))),
            ("/g?name[=1", Err(("MALFORMED_BRACKETS", "name["))),
            ("/g?name[a]=1", Err(("NOT_A_MAP", "name[a]"))),
            ("/g?tags[]=1", Err(("NOT_A_MAP", "tags[]"))),
            ("/g?free[a]=1", Err(("NOT_A_MAP", "free[a]"))),
            ("/g?nobody[a]=1", Err(("UNKNOWN_PARAMETER", "nobody[a]"))),
            ("/g?nobody[=1", Err(("UNKNOWN_PARAMETER", "nobody["))),
            ("/g?labels[%ff]=1", Err(("BAD_ENCODING", "labels[%ff]"))),
        ],
    );
    let ignoring = Site::with(PROTO, "request: { unknown_parameters: ignore }");
    check_get(&ignoring, &[("/g?nobody[a=1&[x]=2&labels[a]=1", Ok(json!({ "labels": { "a": "1" } })))]);
}

#[test]
fn a_json_bodys_entries_stand() {
    let site = Site::plain(PROTO);
    let json = ("content-type", "application/json");
    let body = br#"{"labels":{"a":"body"}}"#;
    let seen = site.seen("POST", "/w?labels[a]=q&labels[b]=q", &[json], body);
    assert_eq!(seen.json(), serde_json::json!({ "labels": { "a": "body", "b": "q" } }));
    let strict = Site::with(PROTO, "request: { conflicts: reject }");
    let reply = strict.call("POST", "/w?labels[a]=q", &[json], body);
    assert_eq!(reply.status, 400, "{}", reply.text());
    strict.seen("POST", "/w?labels[a]=body", &[json], body);
}

#[test]
fn lists_in_paths() {
    check_get(
        &Site::plain(PROTO),
        &[
            ("/ids/1", Ok(json!({ "ids": [1] }))),
            ("/ids/1,2,3", Ok(json!({ "ids": [1, 2, 3] }))),
            ("/ids/1,2?ids=3", Ok(json!({ "ids": [1, 2, 3] }))),
            ("/tags/a,b%2Cc,d%20e,/7", Ok(json!({ "tags": ["a", "b,c", "d e", ""], "ids": [7] }))),
            ("/tags/,/7", Ok(json!({ "tags": ["", ""], "ids": [7] }))),
            ("/colors/RED,2", Ok(json!({ "sub": { "colors": ["RED", "GREEN"] } }))),
            ("/deep/a,b/c,d", Ok(json!({ "tags": ["a", "b/c", "d"] }))),
            ("/ids/1,x", Err(("INVALID_NUMBER", "ids"))),
            ("/ids/1,,2", Err(("INVALID_NUMBER", "ids"))),
            ("/ids/1%2C2", Err(("INVALID_NUMBER", "ids"))),
            ("/tags/a,%ff/1", Err(("BAD_ENCODING", "tags"))),
            // One that is no list keeps its commas.
            ("/g/a,b", Ok(json!({ "name": "a,b" }))),
        ],
    );
    let site = Site::plain(PROTO);
    let seen = site.seen("POST", "/ids/1,2", &[("content-type", "application/json")], br#"{"ids":[3]}"#);
    assert_eq!(seen.json(), json!({ "ids": [1, 2] }));
}

#[test]
fn a_list_of_messages_is_no_path_variable() {
    let schema = support::Schema::new(
        &PROTO
            .replace("get: \"/g/{name}\"", "get: \"/g/{sub.subs}\"")
            .replace("repeated string tags = 4;", "repeated string tags = 4; repeated M subs = 17;"),
    );
    let problems = support::problems_of(&schema, Choices::default());
    assert!(problems.contains("`subs` is a list of messages"), "{problems}");
}
