//! `transom check --against`: what it finds between schemas and configurations, how it says so, and its exit status.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const OLD: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
message Book { string name = 1; string title = 2; }
service Books {
  rpc Get(Book) returns (Book) { option (google.api.http) = { get: "/v1/{name=books/*}" }; }
  rpc Put(Book) returns (Book) { option (google.api.http) = { put: "/v1/{name=books/*}" body: "*" }; }
}
"#;

const LISTENERS: &str = "listeners: { public: { address: '127.0.0.1:8080' } }\n";

/// A configuration with these rules.
fn config(proto: &str, rules: &str) -> String {
    format!(
        "{LISTENERS}schema: {{ protos: {proto} }}\nupstreams: {{ books: {{ endpoints: http://127.0.0.1:50051 }}, \
         other: {{ endpoints: http://127.0.0.1:50052 }} }}\nidentity: {{ issuers: {{ main: {{ issuer: https://id.test, audiences: any, jwks: https://id.test/keys }} }} }}\nrules:\n{rules}\n"
    )
}

struct Run {
    out: String,
    err: String,
    status: Option<i32>,
}

fn run(folder: &Path, line: &str) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transom"));
    let output = command.current_dir(folder).args(line.split_ascii_whitespace()).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is UTF-8");
    Run { out: text(output.stdout), err: text(output.stderr), status: output.status.code() }
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    folder
}

/// `impact CODE place`, in order.
fn found(text: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(text).expect("JSON");
    let findings = value["findings"].as_array().expect("a list");
    let text = |finding: &Value, key: &str| finding[key].as_str().expect("a text").to_owned();
    findings
        .iter()
        .map(|finding| ["impact", "code", "place"].map(|key| text(finding, key)).join(" "))
        .collect()
}

/// Words for the new source, what is found in it, and the exit status.
const SCHEMAS: &[(&str, &str, &[&str], i32)] = &[
    ("title = 2", "title = 2", &[], 0),
    ("title = 2;", "title = 2; string more = 3;", &[], 0),
    (
        "string title = 2;",
        "optional string title = 2;",
        &["notice FIELD_PRESENCE_CHANGED shop.v1.Book.title"],
        0,
    ),
    (
        "string title = 2;",
        "string heading = 2 [json_name = \"title\"];",
        &["dangerous FIELD_RENAMED shop.v1.Book.title"],
        3,
    ),
    ("string title = 2;", "", &["breaking FIELD_REMOVED shop.v1.Book.title"], 4),
    (
        "get: \"/v1/{name=books/*}\"",
        "get: \"/v2/{name=books/*}\"",
        &["breaking ROUTE_REMOVED GET /v1/{name=books/*}"],
        4,
    ),
];

#[test]
fn old_schemas_of_every_kind_say_the_same() {
    for (was, is, want, status) in SCHEMAS {
        let new = OLD.replace(was, is);
        let folder = folder(&[
            ("old/shop.proto", OLD),
            ("new/shop.proto", &new),
            (
                "old.yaml",
                &format!(
                    "{LISTENERS}schema: {{ protos: old }}\nupstreams: {{ default: {{ endpoints: 'http://h:1' }} }}\n"
                ),
            ),
        ]);
        let root = folder.path();
        let mut compiler =
            protox::Compiler::new([root.join("old"), Path::new(env!("CARGO_MANIFEST_DIR")).join("proto")])
                .expect("the folders exist");
        compiler.include_imports(true).open_file("shop.proto").expect("it compiles");
        std::fs::write(root.join("old.binpb"), compiler.encode_file_descriptor_set()).expect("written");
        for old in ["old", "old/shop.proto", "old.binpb", "old.yaml"] {
            let line = format!(
                "check --proto new --upstream http://h:1 --listen 127.0.0.1:8080 --against {old} --json"
            );
            let run = run(root, &line);
            let names = found(&run.out);
            // Between configurations the name of the listener counts too.
            let names: Vec<&String> = names.iter().filter(|name| !name.contains("LISTENER")).collect();
            assert_eq!(names, *want, "{old}: {was} -> {is}\n{}", run.err);
            assert_eq!(run.status, Some(*status), "{old}: {was} -> {is}\n{}", run.err);
        }
    }
}

/// Old rules, new rules, what is found, and the exit status.
const RULES: &[(&str, &str, &[&str], i32)] = &[
    (
        "  '*': { upstream: books }",
        "  '*': { upstream: books, max_reply: 20MiB }",
        &["dangerous LIMIT_CHANGED *"],
        3,
    ),
    ("  '*': { upstream: books }", "  shop.v1.*: { upstream: books }", &[], 0),
    ("  '*': { upstream: books }", "  '*': { upstream: other }", &["notice UPSTREAM_CHANGED *"], 0),
    ("  '*': { upstream: books, auth: none }", "  '*': { upstream: books }", &["breaking AUTH_CHANGED *"], 4),
    (
        "  '*': { upstream: books }",
        "  '*': { upstream: books }\n  shop.v1.Books/Get: { auth: none }",
        &["dangerous AUTH_CHANGED shop.v1.Books/Get"],
        3,
    ),
    (
        "  '*': { upstream: books }",
        "  '*': { upstream: books }\n  shop.v1.Books/Put: { scopes: { all: [w] } }",
        &["breaking GUARD_CHANGED shop.v1.Books/Put"],
        4,
    ),
    (
        "  '*': { upstream: books, scopes: { all: [w] } }",
        "  '*': { upstream: books }",
        &["dangerous GUARD_CHANGED *"],
        3,
    ),
    (
        "  '*': { upstream: books, timeout: 10s }",
        "  '*': { upstream: books, timeout: 2s }",
        &["dangerous TIMEOUT_CHANGED *"],
        3,
    ),
    (
        "  '*': { upstream: books, timeout: 10s }",
        "  '*': { upstream: books, timeout: 20s }",
        &["notice TIMEOUT_CHANGED *"],
        0,
    ),
    (
        "  '*': { upstream: books, limits: [{ rate: 9/s, key: principal }] }",
        "  '*': { upstream: books, limits: [{ rate: 5/s, key: principal }] }",
        &["dangerous LIMIT_CHANGED *"],
        3,
    ),
];

#[test]
fn rules_are_compared_by_what_they_say_of_methods() {
    for (was, is, want, status) in RULES {
        let folder = folder(&[
            ("shop.proto", OLD),
            ("old.yaml", &config("shop.proto", was)),
            ("new.yaml", &config("shop.proto", is)),
        ]);
        let run = run(folder.path(), "check --config new.yaml --against old.yaml --json");
        assert!(!run.out.is_empty(), "{was} -> {is}\n{}", run.err);
        assert_eq!(
            (found(&run.out), run.status),
            (want.iter().map(|text| (*text).to_owned()).collect(), Some(*status)),
            "{was} -> {is}"
        );
    }
}

#[test]
fn rules_that_lose_their_target_or_gain_one_are_shown_where_they_stand() {
    let rules = "  '*': { upstream: books }\n  shop.v1.Books/Put: { scopes: { all: [w] } }\n  shop.v1.*: { auth: none }\n";
    let folder = folder(&[
        ("old.proto", OLD),
        ("new.proto", &OLD.replace("rpc Put(", "rpc Write(")),
        ("new.yaml", &config("new.proto", rules)),
    ]);
    let shown = run(folder.path(), "check --config new.yaml --against old.proto");
    assert_eq!(shown.status, Some(4), "{}{}", shown.out, shown.err);
    for want in [
        "breaking: the method `shop.v1.Books/Put` is gone [METHOD_REMOVED]",
        "dangerous: the route `PUT /v1/{name=books/*}` of `shop.v1.Books/Put` leads to `shop.v1.Books/Write` now",
        "dangerous: the rule `shop.v1.Books/Put` lost its target: it matched `shop.v1.Books/Put` [RULE_LOST_TARGET]",
        "new.yaml:7:3",
        "dangerous: the rule `shop.v1.*` matches what was not there before: `shop.v1.Books/Write` [RULE_MATCHES_MORE]",
        "= gRPC: it is answered with UNIMPLEMENTED",
        "= help: write a rule for the new methods",
        "1 breaking, 3 dangerous",
    ] {
        assert!(shown.out.contains(want), "{want}\nis missing in\n{}", shown.out);
    }
    let json = run(folder.path(), "check --config new.yaml --against old.proto --json");
    let value: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(value["counts"], serde_json::json!({ "breaking": 1, "dangerous": 3, "notice": 0 }));
    let lost = &value["findings"].as_array().expect("a list")[2];
    assert_eq!((&lost["file"], &lost["line"]), (&"new.yaml".into(), &7.into()), "{lost}");
    assert!(lost["clients"]["all"].is_string(), "{lost}");
}

#[test]
fn listeners_are_compared_by_their_names() {
    let text = |listener: &str| {
        format!(
            "listeners: {{ {listener} }}\nschema: {{ protos: shop.proto }}\nupstreams: {{ default: {{ endpoints: 'http://h:1' }} }}\n"
        )
    };
    for (was, is, want, status) in [
        (
            "a: { address: '127.0.0.1:1' }",
            "b: { address: '127.0.0.1:1' }",
            vec!["notice LISTENER_REMOVED a"],
            0,
        ),
        (
            "a: { address: '127.0.0.1:1' }",
            "b: { address: '127.0.0.1:2' }",
            vec!["breaking LISTENER_REMOVED a"],
            4,
        ),
        (
            "a: { address: '127.0.0.1:1' }",
            "a: { address: '127.0.0.1:2' }",
            vec!["breaking LISTENER_ADDRESS_CHANGED a"],
            4,
        ),
        (
            "a: { address: '127.0.0.1:1' }",
            "a: { address: '127.0.0.1:1', json: { names: proto }, errors: status, websocket: off }",
            vec!["breaking LISTENER_FORM_CHANGED a"; 3],
            4,
        ),
    ] {
        let folder = folder(&[("shop.proto", OLD), ("old.yaml", &text(was)), ("new.yaml", &text(is))]);
        let run = run(folder.path(), "check --config new.yaml --against old.yaml --json");
        assert_eq!(
            (found(&run.out), run.status),
            (want.iter().map(|text| (*text).to_owned()).collect(), Some(status)),
            "{is}\n{}",
            run.err
        );
    }
}

#[test]
fn an_old_one_that_is_wrong_is_told_and_compares_nothing() {
    let folder = folder(&[
        ("shop.proto", OLD),
        ("bad.proto", "syntax = \"proto3\"; message {"),
        ("bad.yaml", "listners: {}\n"),
        ("bad.binpb", "no set"),
    ]);
    for (old, want) in [
        ("bad.proto", "bad.proto"),
        ("bad.yaml", "unknown key `listners`"),
        ("bad.binpb", "`bad.binpb` is not a descriptor set"),
        ("gone.binpb", "gone.binpb"),
    ] {
        let run =
            run(folder.path(), &format!("check --proto shop.proto --upstream http://h:1 --against {old}"));
        assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{old}");
        assert!(run.err.contains(want), "{old}: {}", run.err);
    }
    let same = run(folder.path(), "check --proto shop.proto --upstream http://h:1 --against shop.proto");
    assert_eq!(
        (same.status, same.out.as_str()),
        (Some(0), "ok: clients find nothing changed\n"),
        "{}",
        same.err
    );
}
