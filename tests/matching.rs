//! Which request reaches which RPC, and with which captures.

mod support;

use serde_json::{Value, json};
use support::{Choices, Gateway, Schema, Site, problems_of};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";

message M { string a = 1; string b = 2; string name = 3; int32 n = 4; M sub = 5; }

service S {
  rpc First(M) returns (M) { option (google.api.http) = { get: "/v1/things/first" }; }
  rpc One(M) returns (M) {
    option (google.api.http) = {
      get: "/v1/things/{a}"
      additional_bindings { get: "/v1/alias/{sub.a}" }
      additional_bindings { put: "/v1/alias/{b}" body: "*" }
    };
  }
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/v1/things/{b}" body: "*" }; }
  rpc Touch(M) returns (M) { option (google.api.http) = { post: "/v1/things/{a}:touch" body: "*" }; }
  rpc Purge(M) returns (M) {
    option (google.api.http) = { custom { kind: "PURGE" path: "/v1/things/{a}" } };
  }
  rpc Any(M) returns (M) { option (google.api.http) = { custom { kind: "*" path: "/v1/any/{a}" } }; }
  rpc AnyGet(M) returns (M) { option (google.api.http) = { get: "/v1/any/{b}" }; }

  rpc NewBooks(M) returns (M) { option (google.api.http) = { get: "/v1/shelves/new/books" }; }
  rpc Pair(M) returns (M) { option (google.api.http) = { get: "/v1/shelves/{a}/{b}" }; }
  rpc Part(M) returns (M) { option (google.api.http) = { get: "/v1/{name=things/*/parts/*}" }; }

  rpc Files(M) returns (M) { option (google.api.http) = { get: "/v1/files/{name=**}" }; }
  rpc File(M) returns (M) { option (google.api.http) = { get: "/v1/files/{a}/{b}" }; }
  rpc Blob(M) returns (M) { option (google.api.http) = { get: "/v1/repos/{name=**}/blob/{a}" }; }
  rpc Repo(M) returns (M) { option (google.api.http) = { get: "/v1/repos/{name=**}" }; }
  rpc Archive(M) returns (M) { option (google.api.http) = { get: "/v1/repos/{name=**}:archive" }; }
  rpc Slash(M) returns (M) { option (google.api.http) = { get: "/v1/slash/" }; }
  rpc Head(M) returns (M) { option (google.api.http) = { custom { kind: "HEAD" path: "/v1/heads/{a}" } }; }
  rpc Number(M) returns (M) { option (google.api.http) = { get: "/v1/numbers/{n}" }; }
  rpc Bare(M) returns (M);
}
"#;

/// What a request leads to.
enum Want {
    /// This method with this message.
    Call(&'static str, Value),
    /// No route, or one for other methods alone.
    Status(u16),
    /// A request that can't be understood, by the field at fault.
    Bad(&'static str),
}
use Want::{Bad, Call, Status};

#[track_caller]
fn check(site: &Site, cases: &[(&str, &str, Want)]) {
    for (method, target, want) in cases {
        let reply = site.call(method, target, &[], b"");
        match want {
            Call(rpc, message) => {
                assert_eq!(reply.status, 200, "{method} {target}: {}", String::from_utf8_lossy(&reply.body));
                let seen = site.backend.only();
                assert_eq!((seen.method(), &seen.json()), (*rpc, message), "{method} {target}");
            }
            Status(status) => {
                assert_eq!(reply.status, *status, "{method} {target}");
                assert_eq!(site.backend.count(), 0, "{method} {target}");
            }
            Bad(field) => {
                assert_eq!(reply.status, 400, "{method} {target}");
                assert_eq!(reply.field().as_deref(), Some(*field), "{method} {target}");
                assert_eq!(site.backend.count(), 0, "{method} {target}");
            }
        }
    }
}

#[test]
fn the_most_specific_template_wins() {
    check(
        &Site::plain(PROTO),
        &[
            ("GET", "/v1/things/first", Call("First", json!({}))),
            ("GET", "/v1/things/second", Call("One", json!({ "a": "second" }))),
            ("GET", "/v1/shelves/new/books", Call("NewBooks", json!({}))),
            // Back from the literal `new`, which leads nowhere else.
            ("GET", "/v1/shelves/new/maps", Call("Pair", json!({ "a": "new", "b": "maps" }))),
            // Back until the HTTP method fits.
            ("POST", "/v1/things/first", Call("Post", json!({ "b": "first" }))),
            ("PURGE", "/v1/things/first", Call("Purge", json!({ "a": "first" }))),
            ("GET", "/v1/files/x/y", Call("File", json!({ "a": "x", "b": "y" }))),
            ("GET", "/v1/files/x/y/z", Call("Files", json!({ "name": "x/y/z" }))),
            ("GET", "/v1/files/x", Call("Files", json!({ "name": "x" }))),
            ("GET", "/v1/things/x/parts/y", Call("Part", json!({ "name": "things/x/parts/y" }))),
            ("GET", "/v1/things/x/parts", Status(404)),
        ],
    );
}

#[test]
fn additional_and_custom_bindings() {
    check(
        &Site::plain(PROTO),
        &[
            ("GET", "/v1/alias/x", Call("One", json!({ "sub": { "a": "x" } }))),
            ("PUT", "/v1/alias/x", Call("One", json!({ "b": "x" }))),
            ("PURGE", "/v1/things/x", Call("Purge", json!({ "a": "x" }))),
            ("REPORT", "/v1/any/x", Call("Any", json!({ "a": "x" }))),
            ("GET", "/v1/any/x", Call("AnyGet", json!({ "b": "x" }))),
        ],
    );
}

#[test]
fn double_stars_stand_anywhere() {
    check(
        &Site::plain(PROTO),
        &[
            ("GET", "/v1/repos/x/blob/y", Call("Blob", json!({ "name": "x", "a": "y" }))),
            ("GET", "/v1/repos/x/y/blob/z", Call("Blob", json!({ "name": "x/y", "a": "z" }))),
            ("GET", "/v1/repos/blob/x/blob/z", Call("Blob", json!({ "name": "blob/x", "a": "z" }))),
            ("GET", "/v1/repos/x/blob", Call("Repo", json!({ "name": "x/blob" }))),
            ("GET", "/v1/repos/x/y:archive", Call("Archive", json!({ "name": "x/y" }))),
            ("GET", "/v1/repos/x/y:zip", Call("Repo", json!({ "name": "x/y:zip" }))),
            ("GET", "/v1/files", Call("Files", json!({}))),
        ],
    );
}

#[test]
fn verbs_split_only_where_they_are_registered() {
    check(
        &Site::plain(PROTO),
        &[
            ("POST", "/v1/things/x:touch", Call("Touch", json!({ "a": "x" }))),
            ("POST", "/v1/things/x:y:touch", Call("Touch", json!({ "a": "x:y" }))),
            ("POST", "/v1/things/x:other", Call("Post", json!({ "b": "x:other" }))),
            ("POST", "/v1/things/x%3Atouch", Call("Post", json!({ "b": "x:touch" }))),
            ("GET", "/v1/things/x:touch", Call("One", json!({ "a": "x:touch" }))),
            ("GET", "/v1/things/first:touch", Call("One", json!({ "a": "first:touch" }))),
        ],
    );
}

#[test]
fn empty_and_trailing_segments_match_nothing_but_themselves() {
    check(
        &Site::plain(PROTO),
        &[
            ("GET", "/", Status(404)),
            ("GET", "/v1/things", Status(404)),
            ("GET", "/v1/things/", Status(404)),
            ("GET", "/v1/things/x/", Status(404)),
            ("GET", "//v1/things/x", Status(404)),
            ("GET", "/v1//things/x", Status(404)),
            ("GET", "/v1/shelves//x", Status(404)),
            ("GET", "/v1/files/", Status(404)),
            ("GET", "/v1/files/x//y/z", Status(404)),
            ("GET", "/v1/files/x/y/z/", Status(404)),
            ("GET", "/v1/slash/", Call("Slash", json!({}))),
            ("GET", "/v1/slash", Status(404)),
            ("GET", "/v1/slash//", Status(404)),
            // No verb behind an empty segment: a segment that is not empty.
            ("POST", "/v1/things/:touch", Call("Post", json!({ "b": ":touch" }))),
        ],
    );
}

#[test]
fn paths_are_split_before_they_are_decoded() {
    check(
        &Site::plain(PROTO),
        &[
            ("GET", "/v1/things/x%2Fy", Call("One", json!({ "a": "x/y" }))),
            ("GET", "/v1/things/%2e%2e", Call("One", json!({ "a": ".." }))),
            ("GET", "/v1/things/../x", Status(404)),
            ("GET", "/v1/things%2Fx", Status(404)),
            ("GET", "/v1/th%69ngs/x", Call("One", json!({ "a": "x" }))),
            ("GET", "/v1/things/%66irst", Call("First", json!({}))),
            ("GET", "/v1/things/x%20%C3%A9%26", Call("One", json!({ "a": "x é&" }))),
            ("GET", "/v1/things/x+y", Call("One", json!({ "a": "x+y" }))),
            ("GET", "/v1/things/%2541", Call("One", json!({ "a": "%41" }))),
            ("GET", "/v1/numbers/-12", Call("Number", json!({ "n": -12 }))),
        ],
    );
}

#[test]
fn what_can_not_be_decoded_is_refused_by_name() {
    check(
        &Site::plain(PROTO),
        &[
            ("GET", "/v1/things/%FF", Bad("a")),
            ("GET", "/v1/things/%C3", Bad("a")),
            ("GET", "/v1/things/%ED%A0%80", Bad("a")),
            ("GET", "/v1/things/x%00", Bad("a")),
            ("GET", "/v1/things/%", Bad("a")),
            ("GET", "/v1/things/%4", Bad("a")),
            ("GET", "/v1/things/%zz", Bad("a")),
            ("GET", "/v1/alias/%zz", Bad("sub.a")),
            ("GET", "/v1/files/x/%00/z", Bad("name")),
            ("GET", "/v1/files/x/y/%FF", Bad("name")),
            ("GET", "/v1/th%zzings/x", Status(404)),
            ("GET", "/v1/numbers/many", Bad("n")),
            ("GET", "/v1/numbers/2147483648", Bad("n")),
            ("GET", "/v1/numbers/%20", Bad("n")),
        ],
    );
}

#[test]
fn captures_of_many_segments_are_decoded_by_choice() {
    let path = "/v1/files/x%2fy/%41%20%3F/z%2541";
    for (choice, want) in [
        ("", "x%2fy/A %3F/z%41"),
        ("request: { path_decoding: keep_reserved }", "x%2fy/A %3F/z%41"),
        ("request: { path_decoding: keep_slash }", "x%2fy/A ?/z%41"),
        ("request: { path_decoding: all }", "x/y/A ?/z%41"),
    ] {
        let site = Site::with(PROTO, choice);
        let name = site.seen("GET", path, &[], b"").json()["name"].clone();
        assert_eq!(name, want, "{choice}");
        // A capture of one segment is decoded wholly in any case.
        check(&site, &[("GET", "/v1/things/x%2Fy%3F", Call("One", json!({ "a": "x/y?" })))]);
        let part = site.seen("GET", "/v1/things/x%2Fy/parts/z", &[], b"").json();
        let all = choice.contains("all");
        assert_eq!(part["name"], if all { "things/x/y/parts/z" } else { "things/x%2Fy/parts/z" }, "{choice}");
    }
}

#[test]
fn a_wrong_method_is_told_which_are_right() {
    let site = Site::plain(PROTO);
    for (target, allow) in [
        ("/v1/things/first", "GET, HEAD, POST, PURGE"),
        ("/v1/things/x", "GET, HEAD, POST, PURGE"),
        ("/v1/shelves/x/y", "GET, HEAD"),
        ("/v1/alias/x", "GET, HEAD, PUT"),
        ("/v1/heads/x", "HEAD"),
    ] {
        let reply = site.call("DELETE", target, &[], b"");
        reply.assert_fault(405, "WRONG_METHOD", None);
        assert_eq!(reply.header("allow"), Some(allow), "{target}");
        let reply = site.call("OPTIONS", target, &[], b"");
        assert_eq!((reply.status, reply.body.len()), (204, 0), "{target}");
        assert_eq!(reply.header("allow"), Some(format!("{allow}, OPTIONS").as_str()), "{target}");
        assert_eq!(reply.header("content-length"), None, "{target}");
    }
    site.call("OPTIONS", "/v1/nothing", &[], b"").assert_fault(404, "NO_ROUTE", None);
    site.call("DELETE", "/v1/nothing", &[], b"").assert_fault(404, "NO_ROUTE", None);
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn head_is_served_by_get() {
    let site = Site::plain(PROTO);
    let get = site.get("/v1/things/x");
    let head = site.call("HEAD", "/v1/things/x", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), get.header("content-length"));
    assert_eq!(head.header("content-type"), get.header("content-type"));
    let calls: Vec<String> = site.backend.take().iter().map(|seen| seen.method().to_owned()).collect();
    assert_eq!(calls, ["One", "One"]);
    // Its own route goes before.
    site.call("HEAD", "/v1/heads/x", &[], b"").assert_ok();
    assert_eq!(site.backend.only().method(), "Head");
    let head = site.call("HEAD", "/v1/nothing", &[], b"");
    assert_eq!((head.status, head.body.len()), (404, 0));
    let get = site.get("/v1/nothing");
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

#[test]
fn targets_of_other_forms_are_understood_or_refused() {
    let site = Site::plain(PROTO);
    check(
        &site,
        &[
            ("GET", "http://elsewhere.test/v1/things/x", Call("One", json!({ "a": "x" }))),
            ("GET", "/v1/things/x#part", Call("One", json!({ "a": "x" }))),
            ("GET", "/v1/things/x?", Call("One", json!({ "a": "x" }))),
            ("OPTIONS", "*", Status(404)),
            ("CONNECT", "elsewhere.test:80", Status(404)),
        ],
    );
}

#[test]
fn methods_without_a_rule_have_a_route_by_choice() {
    // Without a route it is Connect's, which needs a content type.
    for (keys, want) in [
        ("", Status(415)),
        ("default_bindings: false", Status(415)),
        ("default_bindings: true", Call("Bare", json!({}))),
    ] {
        let site = Site::new(PROTO, Choices { schema: keys, ..Choices::default() });
        check(&site, &[("POST", "/t.S/Bare", want)]);
        // One with a rule keeps to it.
        check(&site, &[("POST", "/t.S/One", Status(415))]);
    }
}

const TWINS: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; string b = 2; }
service S {
  rpc Left(M) returns (M) { option (google.api.http) = { get: "/v1/{a}" }; }
  rpc Right(M) returns (M) { option (google.api.http) = { get: "/v1/{b}" }; }
}
"#;

#[test]
fn two_methods_with_one_template_are_refused_or_the_first_wins() {
    let schema = Schema::new(TWINS);
    for keys in ["", "same_template: refuse"] {
        let problems = problems_of(&schema, Choices { schema: keys, ..Choices::default() });
        assert!(problems.contains("Left") && problems.contains("Right"), "{problems}");
    }
    let choices = Choices { schema: "same_template: first", ..Choices::default() };
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let started = Gateway::try_start(&choices.yaml(&schema, nobody), schema.folder());
    let (_gateway, warnings) = started.unwrap_or_else(|problems| panic!("{problems}"));
    let warnings = warnings.to_string();
    assert!(warnings.contains("Left") && warnings.contains("Right"), "{warnings}");
    check(&Site::new(TWINS, choices), &[("GET", "/v1/x", Call("Left", json!({ "a": "x" })))]);
}

#[test]
fn service_configurations_override_annotations_and_the_last_rule_stands() {
    let schema = Schema::new(PROTO);
    let rules = schema.write(
        "service.yaml",
        "type: google.api.Service\nconfig_version: 3\nhttp:\n  rules:\n\
         \x20   - { selector: t.S.One, get: '/v2/lost/{a}' }\n\
         \x20   - { selector: t.S.One, get: '/v2/found/{a}' }\n\
         \x20   - { selector: t.S.Bare, post: '/v2/bare', body: '*' }\n",
    );
    let keys = format!("http_rules: '{}'", rules.display());
    check(
        &Site::new(PROTO, Choices { schema: &keys, ..Choices::default() }),
        &[
            ("GET", "/v2/found/x", Call("One", json!({ "a": "x" }))),
            ("GET", "/v2/lost/x", Status(404)),
            ("GET", "/v1/alias/x", Status(404)),
            ("POST", "/v2/bare", Call("Bare", json!({}))),
            ("POST", "/v1/things/x", Call("Post", json!({ "b": "x" }))),
        ],
    );
}

#[test]
fn a_service_configuration_can_ask_for_full_decoding() {
    // What comes of several segments, and of one, whose slash stays as it is.
    for (reserved, choice, several, one) in [
        ("", "", "x%2Fy/%3F/z", "x%2Fy%3F"),
        ("  fully_decode_reserved_expansion: false\n", "", "x%2Fy/%3F/z", "x%2Fy%3F"),
        ("  fully_decode_reserved_expansion: true\n", "", "x/y/?/z", "x%2Fy?"),
        (
            "  fully_decode_reserved_expansion: true\n",
            "request: { path_decoding: keep_reserved }",
            "x/y/?/z",
            "x%2Fy?",
        ),
    ] {
        let schema = Schema::new(PROTO);
        let rules = schema.write(
            "service.yaml",
            &format!("type: google.api.Service\nconfig_version: 3\nhttp:\n{reserved}  rules:\n    - {{ selector: t.S.Bare, get: /bare }}\n"),
        );
        let keys = format!("http_rules: '{}'", rules.display());
        let site = Site::new(PROTO, Choices { schema: &keys, listener: choice, ..Choices::default() });
        for (target, want) in [("/v1/files/x%2Fy/%3F/z", several), ("/v1/files/x%2Fy%3F", one)] {
            assert_eq!(site.seen("GET", target, &[], b"").json()["name"], want, "{reserved} {choice}");
        }
    }
}

#[test]
fn only_chosen_methods_are_served() {
    let site = Site::new(PROTO, Choices { schema: "services: [t.S/One, t.S/Post]", ..Choices::default() });
    check(
        &site,
        &[
            ("GET", "/v1/things/first", Call("One", json!({ "a": "first" }))),
            ("POST", "/v1/things/x", Call("Post", json!({ "b": "x" }))),
            ("GET", "/v1/files/x", Status(404)),
        ],
    );
}
