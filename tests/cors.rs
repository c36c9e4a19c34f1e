//! Cross-origin requests of browsers: preflights are answered from the route table, and every answer says who may read it.

mod support;

use support::{Choices, Reply, Schema, Site, call, problems_of};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g/{a}" additional_bindings { put: "/g/{a}" body: "*" } }; }
  rpc Any(M) returns (M) { option (google.api.http) = { custom: { kind: "*" path: "/any" } }; }
}
"#;

const ORIGIN: (&str, &str) = ("origin", "https://app.example");

fn preflight(site: &Site, path: &str, headers: &[(&str, &str)]) -> Reply {
    let headers = [headers, &[("access-control-request-method", "PUT")]].concat();
    call(site.address(), "OPTIONS", path, &headers, b"")
}

#[test]
fn preflights_tell_the_methods_of_the_path() {
    let site = Site::with(PROTO, "cors: { origins: [https://app.example], max_age: 60s, headers: [x-own] }");
    for (path, methods) in [
        ("/g/1", "GET, HEAD, PUT, OPTIONS"),
        ("/t.S/Get", "POST, OPTIONS"),
        ("/any", "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS"),
    ] {
        let reply = preflight(&site, path, &[ORIGIN, ("access-control-request-headers", "x-own")]);
        assert_eq!(
            (reply.status, reply.header("access-control-allow-methods")),
            (204, Some(methods)),
            "{path}"
        );
        assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example"));
        assert_eq!(reply.header("access-control-max-age"), Some("60"));
        let headers = reply.header("access-control-allow-headers").expect("headers");
        assert!(headers.contains("content-type") && headers.ends_with(", x-own"), "{headers}");
        assert_eq!(reply.header("vary"), Some("origin"));
    }
    assert_eq!(site.backend.count(), 0);
    let missing = preflight(&site, "/nowhere", &[ORIGIN]);
    assert_eq!(
        (missing.status, missing.header("access-control-allow-origin")),
        (404, Some("https://app.example"))
    );
    let stranger = preflight(&site, "/g/1", &[("origin", "https://evil.example")]);
    assert_eq!(stranger.header("access-control-allow-origin"), None);
    assert_eq!(stranger.header("access-control-allow-methods"), None);
}

#[test]
fn answers_and_faults_say_who_may_read_them() {
    let site =
        Site::with(PROTO, "cors: { origins: [https://app.example], expose: [x-mine], credentials: true }");
    for (path, status) in [("/g/1", 200), ("/g/1?nothing=1", 400), ("/nowhere", 404)] {
        let reply = call(site.address(), "GET", path, &[ORIGIN], b"");
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example"), "{path}");
        assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
        assert!(reply.header("access-control-expose-headers").expect("headers").ends_with(", x-mine"));
        let stranger = call(site.address(), "GET", path, &[("origin", "https://evil.example")], b"");
        assert_eq!((stranger.status, stranger.header("access-control-allow-origin")), (status, None));
        let none = call(site.address(), "GET", path, &[], b"");
        assert_eq!((none.header("access-control-allow-origin"), none.header("vary")), (None, Some("origin")));
    }
}

#[test]
fn any_origin_needs_no_vary() {
    let site = Site::with(PROTO, "cors: { origins: '*', headers: '*' }");
    let reply = call(site.address(), "GET", "/g/1", &[ORIGIN], b"");
    assert_eq!((reply.header("access-control-allow-origin"), reply.header("vary")), (Some("*"), None));
    let asked = preflight(&site, "/g/1", &[ORIGIN, ("access-control-request-headers", "x-a, x-b")]);
    assert_eq!(asked.header("access-control-allow-headers"), Some("x-a, x-b"));
}

#[test]
fn without_a_choice_nothing_is_said() {
    let site = Site::plain(PROTO);
    let reply = call(site.address(), "GET", "/g/1", &[ORIGIN], b"");
    assert_eq!((reply.header("access-control-allow-origin"), reply.header("vary")), (None, None));
    // OPTIONS is the backend's own affair where it is bound.
    assert_eq!(preflight(&site, "/any", &[ORIGIN]).status, 200);
}

#[test]
fn bad_choices_are_refused() {
    let schema = Schema::new(PROTO);
    for (cors, problem) in [
        ("cors: { }", "origins"),
        ("cors: { origins: 'https://a/' }", "no path"),
        ("cors: { origins: '*', credentials: true }", "every page of the web"),
        ("cors: { origins: '*', expose: ['a b'] }", "no name of a header"),
        ("cors: { origins: '*', nothing: 1 }", "nothing"),
    ] {
        let problems = problems_of(&schema, Choices { listener: cors, ..Choices::default() });
        assert!(problems.contains(problem), "{cors}: {problems}");
    }
}

const ADMIN: (&str, &str) = ("origin", "https://admin.example");

/// One RPC has choices of its own, one none at all, and the listener's hold for the third.
fn by_rule(listener: &str) -> Site {
    let more = "rules:\n  t.S/Own: { cors: { origins: [https://admin.example], credentials: true } }\n  \
                t.S/Off: { cors: 'off' }";
    Site::new(BY_RULE, Choices { listener, more, ..Choices::default() })
}

const BY_RULE: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Own(M) returns (M) { option (google.api.http) = { put: "/x" body: "*" }; }
  rpc Off(M) returns (M) { option (google.api.http) = { delete: "/x" }; }
  rpc Plain(M) returns (M) { option (google.api.http) = { get: "/x" }; }
}
"#;

#[test]
fn rules_have_choices_of_their_own() {
    let site = by_rule("cors: { origins: [https://app.example] }");
    let reads = |method: &str, path: &str, origin: (&str, &str)| {
        let reply =
            call(site.address(), method, path, &[origin, ("content-type", "application/json")], b"{}");
        assert_eq!(reply.status, 200, "{method} {path}");
        reply.header("access-control-allow-origin").is_some()
    };
    for (method, path, by_app, by_admin) in [
        ("PUT", "/x", false, true),
        ("POST", "/t.S/Own", false, true),
        ("POST", "/t.S/Off", false, false),
        ("POST", "/t.S/Plain", true, false),
    ] {
        assert_eq!((reads(method, path, ORIGIN), reads(method, path, ADMIN)), (by_app, by_admin), "{path}");
    }
}

#[test]
fn preflights_are_answered_for_the_rpc_that_would_be_called() {
    let asks = |site: &Site, wanted: &str, origin: (&str, &str)| {
        let headers = [origin, ("access-control-request-method", wanted)];
        call(site.address(), "OPTIONS", "/x", &headers, b"")
    };
    let told = |reply: &Reply| {
        let said = |name| reply.header(name).map(str::to_owned);
        (said("access-control-allow-origin"), said("access-control-allow-methods"))
    };
    let some = |origin: &str, methods: &str| (Some(origin.to_owned()), Some(methods.to_owned()));
    let site = by_rule("cors: { origins: [https://app.example] }");
    // What a browser remembers must not open other methods of the path.
    assert_eq!(told(&asks(&site, "PUT", ADMIN)), some("https://admin.example", "PUT, OPTIONS"));
    assert_eq!(told(&asks(&site, "GET", ORIGIN)), some("https://app.example", "GET, HEAD, OPTIONS"));
    assert_eq!(told(&asks(&site, "PUT", ORIGIN)), (None, None));
    assert_eq!(told(&asks(&site, "DELETE", ORIGIN)), (None, None));
    assert_eq!(told(&asks(&site, "DELETE", ADMIN)), (None, None));
    // Without choices of the listener the rules' hold all the same.
    let site = by_rule("");
    assert_eq!(told(&asks(&site, "PUT", ADMIN)), some("https://admin.example", "PUT, OPTIONS"));
    assert_eq!(told(&asks(&site, "GET", ADMIN)), (None, None));
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn websockets_are_opened_by_pages_that_the_rule_allows() {
    let site = by_rule("cors: { origins: [https://app.example] }");
    let opens = |path: &str, origin: (&str, &str)| {
        let headers = [
            origin,
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ];
        call(site.address(), "GET", path, &headers, b"").status
    };
    for (path, by_app, by_admin) in [("/t.S/Own", 403, 101), ("/t.S/Off", 403, 403), ("/t.S/Plain", 101, 403)]
    {
        assert_eq!((opens(path, ORIGIN), opens(path, ADMIN)), (by_app, by_admin), "{path}");
    }
}
