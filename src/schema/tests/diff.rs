//! What a new schema breaks: an old source, a new one, and what is found.

use super::*;
use crate::schema::diff::{Change, Finding, Impact, diff};

/// What stands around the declarations of a case.
const AROUND: &str = r#"
package t;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
"#;

fn schema_of(declarations: &str) -> Schema {
    let (syntax, rest) = match declarations.trim_start().split_once(';') {
        Some((syntax, rest)) if syntax.starts_with("syntax") => (syntax, rest),
        _ => ("syntax = \"proto3\"", declarations),
    };
    let inputs = Inputs::new(&[("t.proto", &format!("{syntax};{AROUND}{rest}"))]);
    loaded(&inputs.sources()).0
}

fn told(finding: &Finding) -> String {
    format!("{} {} {}", finding.impact.as_str(), finding.change.code(), finding.place)
}

/// What is around fields of `Q`, which is asked with, `R`, which is answered with, and `B`, which is in both.
fn messages(q: &str, r: &str, b: &str) -> String {
    format!(
        "message Q {{ {q} B b = 100; }} message R {{ {r} B b = 100; }} message B {{ {b} }} message Other {{ string x = 1; }} \
         service S {{ rpc M(Q) returns (R); }}"
    )
}

/// One field that differs, in a message of this use.
struct Case {
    /// Which message: `Q`, `R` or `B`.
    message: char,
    old: &'static str,
    new: &'static str,
    want: &'static [&'static str],
}

const fn case(message: char, old: &'static str, new: &'static str, want: &'static [&'static str]) -> Case {
    Case { message, old, new, want }
}

const FIELDS: &[Case] = &[
    case('B', "string a = 1;", "string a = 1; string c = 2;", &[]),
    case('B', "string a = 1;", "reserved 1; reserved \"a\";", &["breaking FIELD_REMOVED t.B.a"]),
    case('B', "string a = 1; string c = 2;", "string c = 2; string a = 1;", &[]),
    // Names.
    case('B', "string a = 1;", "string d = 1;", &["breaking FIELD_RENAMED t.B.a"]),
    case('B', "string a = 1;", "string d = 1 [json_name = \"a\"];", &["dangerous FIELD_RENAMED t.B.a"]),
    case(
        'Q',
        "string a = 1;",
        "string a = 1 [json_name = \"z\"];",
        &["notice FIELD_JSON_NAME_CHANGED t.Q.a"],
    ),
    case(
        'R',
        "string a = 1;",
        "string a = 1 [json_name = \"z\"];",
        &["breaking FIELD_JSON_NAME_CHANGED t.R.a"],
    ),
    case(
        'Q',
        "string a_b = 1;",
        "string a_b = 1 [json_name = \"z\"];",
        &["breaking FIELD_JSON_NAME_CHANGED t.Q.a_b"],
    ),
    // Numbers.
    case('B', "string a = 1;", "string a = 2;", &["breaking FIELD_RENUMBERED t.B.a"]),
    case(
        'B',
        "string a = 1; string c = 2;",
        "string a = 2; string c = 1;",
        &["breaking FIELD_NUMBER_REUSED t.B.a", "breaking FIELD_NUMBER_REUSED t.B.c"],
    ),
    case(
        'B',
        "string a = 1; string c = 2;",
        "string c = 1;",
        &[
            "breaking FIELD_NUMBER_REUSED t.B.a",
            "breaking FIELD_REMOVED t.B.a",
            "breaking FIELD_RENUMBERED t.B.c",
        ],
    ),
    case('B', "reserved 3;", "string a = 3;", &["dangerous FIELD_NUMBER_REUSED t.B.a"]),
    case('B', "reserved \"a\";", "string a = 3;", &["dangerous FIELD_NUMBER_REUSED t.B.a"]),
    // Types.
    case('Q', "int32 a = 1;", "int64 a = 1;", &["dangerous FIELD_TYPE_CHANGED t.Q.a"]),
    case('R', "int32 a = 1;", "int64 a = 1;", &["breaking FIELD_TYPE_CHANGED t.R.a"]),
    case('Q', "int32 a = 1;", "uint32 a = 1;", &["dangerous FIELD_TYPE_CHANGED t.Q.a"]),
    case('Q', "int32 a = 1;", "sint32 a = 1;", &["breaking FIELD_TYPE_CHANGED t.Q.a"]),
    case('Q', "string a = 1;", "bytes a = 1;", &["breaking FIELD_TYPE_CHANGED t.Q.a"]),
    case('Q', "string a = 1;", "google.protobuf.Timestamp a = 1;", &["breaking FIELD_TYPE_CHANGED t.Q.a"]),
    case('Q', "Other a = 1;", "google.protobuf.Timestamp a = 1;", &["breaking FIELD_TYPE_CHANGED t.Q.a"]),
    case('Q', "float a = 1;", "double a = 1;", &["breaking FIELD_TYPE_CHANGED t.Q.a"]),
    case('Q', "fixed32 a = 1;", "sfixed32 a = 1;", &["dangerous FIELD_TYPE_CHANGED t.Q.a"]),
    case(
        'Q',
        "message N { string x = 1; } N a = 1;",
        "message N { int32 y = 2; } Other a = 1;",
        &["notice FIELD_TYPE_RENAMED t.Q.a"],
    ),
    case(
        'Q',
        "message N { string y = 2; } N a = 1;",
        "Other a = 1;",
        &["breaking FIELD_REMOVED t.Q.N.y", "notice FIELD_TYPE_RENAMED t.Q.a"],
    ),
    // How many.
    case('B', "string a = 1;", "repeated string a = 1;", &["breaking FIELD_CARDINALITY_CHANGED t.B.a"]),
    case(
        'B',
        "map<string, int32> a = 1;",
        "map<string, string> a = 1;",
        &["breaking FIELD_TYPE_CHANGED t.B.AEntry.value"],
    ),
    case(
        'B',
        "repeated Other a = 1;",
        "map<string, string> a = 1;",
        &[
            "breaking FIELD_CARDINALITY_CHANGED t.B.a",
            "breaking FIELD_RENAMED t.Other.x",
            "notice FIELD_TYPE_RENAMED t.B.a",
        ],
    ),
    // Presence.
    case('B', "string a = 1;", "optional string a = 1;", &["notice FIELD_PRESENCE_CHANGED t.B.a"]),
    case('B', "optional string a = 1;", "string a = 1;", &["dangerous FIELD_PRESENCE_CHANGED t.B.a"]),
    // Oneofs.
    case(
        'B',
        "string a = 1; string c = 2;",
        "oneof o { string a = 1; string c = 2; }",
        &[
            "breaking FIELD_ONEOF_CHANGED t.B.a",
            "breaking FIELD_ONEOF_CHANGED t.B.c",
            "notice FIELD_PRESENCE_CHANGED t.B.a",
            "notice FIELD_PRESENCE_CHANGED t.B.c",
        ],
    ),
    case(
        'B',
        "oneof o { string a = 1; string c = 2; }",
        "optional string a = 1; optional string c = 2;",
        &["dangerous FIELD_ONEOF_CHANGED t.B.a", "dangerous FIELD_ONEOF_CHANGED t.B.c"],
    ),
    case('B', "optional string a = 1;", "oneof o { string a = 1; string new = 2; }", &[]),
    case('B', "oneof o { string a = 1; }", "oneof p { string a = 1; }", &[]),
    // Enums.
    case(
        'Q',
        "enum E { Z = 0; A = 1; } E a = 1;",
        "enum E { Z = 0; } E a = 1;",
        &["breaking ENUM_VALUE_REMOVED t.Q.E.A"],
    ),
    case(
        'Q',
        "enum E { Z = 0; A = 1; } E a = 1;",
        "enum E { Z = 0; C = 1; } E a = 1;",
        &["breaking ENUM_VALUE_RENAMED t.Q.E.A"],
    ),
    case(
        'Q',
        "enum E { Z = 0; A = 1; } E a = 1;",
        "enum E { option allow_alias = true; Z = 0; C = 1; A = 1; } E a = 1;",
        &[],
    ),
    case(
        'Q',
        "enum E { Z = 0; A = 1; } E a = 1;",
        "enum E { Z = 0; A = 2; } E a = 1;",
        &["breaking ENUM_VALUE_RENUMBERED t.Q.E.A"],
    ),
    case('Q', "enum E { Z = 0; } E a = 1;", "enum E { Z = 0; A = 1; } E a = 1;", &[]),
    case(
        'R',
        "enum E { Z = 0; } E a = 1;",
        "enum E { Z = 0; A = 1; } E a = 1;",
        &["notice ENUM_VALUE_ADDED t.R.E.A"],
    ),
    case(
        'Q',
        "enum E { Z = 0; } E a = 1;",
        "enum E { Z = 0; } int32 a = 1;",
        &["breaking FIELD_TYPE_CHANGED t.Q.a"],
    ),
];

#[test]
fn fields() {
    for Case { message, old, new, want } in FIELDS {
        let source = |field: &str| match message {
            'Q' => messages(field, "", ""),
            'R' => messages("", field, ""),
            _ => messages("", "", field),
        };
        assert_found(&source(old), &source(new), want);
    }
}

#[track_caller]
fn assert_found(old: &str, new: &str, want: &[&str]) {
    let findings = diff(&schema_of(old), &schema_of(new));
    let found: Vec<String> = findings.iter().map(told).collect();
    assert_eq!(found, want, "\n{old}\n{new}\n{findings:#?}");
    for finding in &findings {
        assert!(!finding.effects.is_empty(), "nobody is told what it means: {finding:?}");
        assert!(finding.effects.iter().all(|(_, text)| !text.is_empty()), "{finding:?}");
        assert!(finding.file.as_deref() == Some("t.proto"), "{finding:?}");
    }
}

/// Old and new declarations, and what is found.
const WHOLE: &[(&str, &str, &[&str])] = &[
    // Methods.
    (
        "message Q {} service S { rpc M(Q) returns (Q); rpc N(Q) returns (Q); } service T { rpc M(Q) returns (Q); rpc N(Q) returns (Q); }",
        "message Q {} service S { rpc N(Q) returns (Q); }",
        &["breaking METHOD_REMOVED t.S/M", "breaking SERVICE_REMOVED t.T"],
    ),
    (
        "message Q {} service S { rpc M(Q) returns (Q); rpc N(stream Q) returns (Q); }",
        "message Q {} service S { rpc M(Q) returns (stream Q); rpc N(Q) returns (Q); }",
        &["breaking STREAMING_CHANGED t.S/M", "breaking STREAMING_CHANGED t.S/N"],
    ),
    (
        "message Q { string a = 1; } service S { rpc M(Q) returns (Q); }",
        "message Q { string a = 1; } message P { string a = 1; } service S { rpc M(P) returns (Q); }",
        &["notice METHOD_TYPE_RENAMED t.S/M"],
    ),
    (
        "message Q {} service S { rpc M(Q) returns (Q) { option idempotency_level = NO_SIDE_EFFECTS; } \
         rpc N(Q) returns (Q) { option idempotency_level = IDEMPOTENT; } rpc O(Q) returns (Q); }",
        "message Q {} service S { rpc M(Q) returns (Q); rpc N(Q) returns (Q); \
         rpc O(Q) returns (Q) { option idempotency_level = IDEMPOTENT; } }",
        &[
            "breaking IDEMPOTENCY_CHANGED t.S/M",
            "dangerous IDEMPOTENCY_CHANGED t.S/N",
            "notice IDEMPOTENCY_CHANGED t.S/O",
        ],
    ),
    // What no method reaches is nobody's matter.
    (
        "message Q {} message Unused { string a = 1; } service S { rpc M(Q) returns (Q); }",
        "message Q {} message Unused { int32 z = 1; } service S { rpc M(Q) returns (Q); }",
        &[],
    ),
    // Messages that hold themselves.
    (
        "message Q { Q q = 1; string a = 2; } service S { rpc M(Q) returns (Q); }",
        "message Q { Q q = 1; } service S { rpc M(Q) returns (Q); }",
        &["breaking FIELD_REMOVED t.Q.a"],
    ),
    // Required fields and defaults are of proto2.
    (
        "syntax = \"proto2\"; message Q { optional string a = 1; required string r = 2; } service S { rpc M(Q) returns (Q); }",
        "syntax = \"proto2\"; message Q { required string a = 1; optional string r = 2; required string n = 3; } service S { rpc M(Q) returns (Q); }",
        &[
            "breaking FIELD_REQUIRED t.Q.a",
            "breaking FIELD_REQUIRED t.Q.n",
            "dangerous FIELD_PRESENCE_CHANGED t.Q.r",
        ],
    ),
    (
        "syntax = \"proto2\"; message Q { optional int32 a = 1 [default = 3]; } service S { rpc M(Q) returns (Q); }",
        "syntax = \"proto2\"; message Q { optional int32 a = 1 [default = 4]; } service S { rpc M(Q) returns (Q); }",
        &["dangerous FIELD_DEFAULT_CHANGED t.Q.a"],
    ),
    // A group, and a message behind its length.
    (
        "syntax = \"proto2\"; message Q { message A { optional string x = 1; } optional A a = 1; } service S { rpc M(Q) returns (Q); }",
        "syntax = \"proto2\"; message Q { optional group A = 1 { optional string x = 1; } } service S { rpc M(Q) returns (Q); }",
        &["breaking FIELD_TYPE_CHANGED t.Q.a"],
    ),
    // Enums of proto2 are closed.
    (
        "syntax = \"proto3\"; message Q { optional E e = 1; } enum E { Z = 0; } service S { rpc M(Q) returns (Q); }",
        "syntax = \"proto2\"; message Q { optional E e = 1; } enum E { Z = 0; A = 1; } service S { rpc M(Q) returns (Q); }",
        &["dangerous ENUM_CLOSED t.E", "notice ENUM_VALUE_ADDED t.E.A"],
    ),
    (
        "syntax = \"proto2\"; message Q { optional E e = 1; } enum E { Z = 0; } service S { rpc M(Q) returns (Q); }",
        "syntax = \"proto2\"; message Q { optional E e = 1; } enum E { Z = 0; A = 1; } service S { rpc M(Q) returns (Q); }",
        &["dangerous ENUM_VALUE_ADDED t.E.A"],
    ),
];

#[test]
fn schemas() {
    for (old, new, want) in WHOLE {
        assert_found(old, new, want);
    }
}

/// Old and new methods of a service with `google.api.http` options in short, and what is found.
const ROUTES: &[(&str, &str, &[&str])] = &[
    ("M get /v1/a", "M get /v1/a", &[]),
    ("M get /v1/a", "M get /v1/a | get /v1/b", &[]),
    ("M get /v1/a", "M get /v2/a", &["breaking ROUTE_REMOVED GET /v1/a"]),
    ("M get /v1/a", "M post /v1/a", &["breaking ROUTE_REMOVED GET /v1/a"]),
    // The method says it all.
    ("M get /v1/a; N get /v1/b", "N get /v1/b", &["breaking METHOD_REMOVED t.S/M"]),
    // What a variable is called doesn't matter, what it sets does.
    ("M get /v1/{id}", "M get /v1/{id=*}", &[]),
    ("M get /v1/{id}", "M get /v1/{other}", &["dangerous BINDING_VARIABLES_CHANGED GET /v1/{id}"]),
    ("M get /v1/{id}", "M get /v1/*", &["dangerous BINDING_VARIABLES_CHANGED GET /v1/{id}"]),
    ("M get /v1/{id}", "M get /v1/{id=**}", &["notice ROUTE_REPLACED GET /v1/{id}"]),
    ("M get /v1/{id=**}", "M get /v1/{id}", &["breaking ROUTE_REMOVED GET /v1/{id=**}"]),
    // Bodies.
    ("M post /v1/a", "M post /v1/a body *", &["breaking BINDING_BODY_CHANGED POST /v1/a"]),
    ("M post /v1/a body *", "M post /v1/a body n", &["breaking BINDING_BODY_CHANGED POST /v1/a"]),
    ("M post /v1/a body n", "M post /v1/a body n", &[]),
    ("M get /v1/a", "M get /v1/a response n", &["breaking BINDING_RESPONSE_BODY_CHANGED GET /v1/a"]),
    // Others take it.
    (
        "M get /v1/a; N get /v1/b",
        "M get /v1/b; N get /v1/a",
        &["breaking ROUTE_RETARGETED GET /v1/a", "breaking ROUTE_RETARGETED GET /v1/b"],
    ),
    (
        "M get /v1/a",
        "N get /v1/a",
        &["breaking METHOD_REMOVED t.S/M", "dangerous ROUTE_RETARGETED GET /v1/a"],
    ),
    ("M get /v1/a; N get /v1/{id}", "M get /v2/a; N get /v1/{id}", &["breaking ROUTE_RETARGETED GET /v1/a"]),
    ("M get /v1/{id}", "M get /v1/{id}; N get /v1/new", &["dangerous ROUTE_SHADOWED GET /v1/{id}"]),
    (
        "M get /v1/{id=**}",
        "M get /v1/{id=**}; N get /v1/{id}/x",
        &["dangerous ROUTE_SHADOWED GET /v1/{id=**}"],
    ),
    ("M get /v1/{id}", "M get /v1/{id}; N post /v1/new", &[]),
    ("M get /v1/{id}", "M get /v1/{id}; N get /v1/{id}:do", &["dangerous ROUTE_SHADOWED GET /v1/{id}"]),
    ("M get /v1/{id}", "M get /v1/{id} | get /v1/new", &["dangerous ROUTE_SHADOWED GET /v1/{id}"]),
    // A literal with what has to be escaped, and one that looks like a sample.
    ("M get /v1/a%20b", "M get /v1/a%20b", &[]),
    ("M get /v1/any; N get /v1/{id}", "M get /v1/any; N get /v1/{id}", &[]),
    ("M get /v1/{id}", "M get /v1/{id}; N get /v1/any", &["dangerous ROUTE_SHADOWED GET /v1/{id}"]),
];

/// `M get /a body * | post /b; N get /c` as a source.
fn routes_of(text: &str) -> String {
    let methods: String = text
        .split("; ")
        .map(|method| {
            let (name, bindings) = method.split_once(' ').unwrap();
            let bindings: Vec<String> = bindings
                .split(" | ")
                .map(|binding| {
                    let words: Vec<&str> = binding.split(' ').collect();
                    let mut rule = format!("{}: \"{}\"", words[0], words[1]);
                    for pair in words[2..].chunks(2) {
                        let key = if pair[0] == "response" { "response_body" } else { pair[0] };
                        rule += &format!(" {key}: \"{}\"", pair[1]);
                    }
                    rule
                })
                .collect();
            let more: String =
                bindings[1..].iter().map(|more| format!(" additional_bindings {{ {more} }}")).collect();
            format!(
                "rpc {name}(Q) returns (Q) {{ option (google.api.http) = {{ {}{more} }}; }}\n",
                bindings[0]
            )
        })
        .collect();
    format!(
        "message Q {{ string id = 1; string other = 2; N n = 3; }} message N {{ string x = 1; }} service S {{ {methods} }}"
    )
}

#[test]
fn routes() {
    for (old, new, want) in ROUTES {
        assert_found(&routes_of(old), &routes_of(new), want);
    }
}

#[test]
fn a_schema_breaks_nothing_of_itself() {
    for (old, ..) in WHOLE {
        assert_eq!(diff(&schema_of(old), &schema_of(old)), []);
    }
}

#[test]
fn codes_are_unique_and_in_the_documentation() {
    let codes: std::collections::BTreeSet<&str> = Change::ALL.iter().map(|change| change.code()).collect();
    assert_eq!(codes.len(), Change::ALL.len());
    let text = include_str!("../../../docs/rollout.md");
    for code in codes {
        assert!(text.contains(&format!("`{code}`")), "{code} is not in docs/rollout.md");
    }
    assert!(Impact::Notice < Impact::Dangerous && Impact::Dangerous < Impact::Breaking);
}
