//! Failures as clients see them: status, envelope in three forms, details, headers, and what never shows.

mod support;

use http::HeaderMap;
use prost::Message;
use serde_json::{Value, json};
use support::{Answer, Choices, Gateway, Schema, Scripted, Site, Step, call, get};
use transom::fault::{Any, BadRequest, Detail, ErrorInfo, FieldViolation, RetryInfo, RpcStatus};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
message Quota { string who = 1; int64 left = 2; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" additional_bindings { post: "/p" body: "*" } }; }
  rpc Watch(M) returns (stream M) { option (google.api.http) = { get: "/watch" }; }
}
"#;

const CODES: [(i32, &str, u16); 16] = [
    (1, "CANCELLED", 499),
    (2, "UNKNOWN", 500),
    (3, "INVALID_ARGUMENT", 400),
    (4, "DEADLINE_EXCEEDED", 504),
    (5, "NOT_FOUND", 404),
    (6, "ALREADY_EXISTS", 409),
    (7, "PERMISSION_DENIED", 403),
    (8, "RESOURCE_EXHAUSTED", 429),
    (9, "FAILED_PRECONDITION", 400),
    (10, "ABORTED", 409),
    (11, "OUT_OF_RANGE", 400),
    (12, "UNIMPLEMENTED", 501),
    (13, "INTERNAL", 500),
    (14, "UNAVAILABLE", 503),
    (15, "DATA_LOSS", 500),
    (16, "UNAUTHENTICATED", 401),
];

#[test]
fn every_code_has_its_status_in_every_form() {
    for form in ["", "errors: google", "errors: status", "errors: problem"] {
        let site = Site::with(PROTO, form);
        for (code, name, status) in CODES {
            site.backend.answer(Answer::status(code, "what happened: é, 100%"));
            let reply = site.get("/g");
            assert_eq!(reply.status, status, "{form} {name}");
            let message = "what happened: é, 100%";
            let content_type = reply.header("content-type");
            match form {
                "errors: status" => {
                    assert_eq!(content_type, Some("application/json"));
                    assert_eq!(reply.json(), json!({ "code": code, "message": message, "details": [] }));
                }
                "errors: problem" => {
                    assert_eq!(content_type, Some("application/problem+json"));
                    let json = reply.json();
                    assert_eq!(json["type"], "about:blank");
                    assert_eq!(json["status"], status);
                    assert_eq!(json["detail"], message);
                    assert_eq!(json["code"], name);
                    assert_eq!(json["details"], json!([]));
                    assert!(json["title"].as_str().is_some_and(|title| !title.is_empty()), "{json}");
                }
                _ => {
                    assert_eq!(content_type, Some("application/json"));
                    let error = json!({ "code": status, "message": message, "status": name, "details": [] });
                    assert_eq!(reply.json(), json!({ "error": error }));
                }
            }
            assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
        }
    }
}

#[test]
fn own_faults_name_their_reason_their_domain_and_the_request() {
    for (form, details) in [
        ("errors: google", "/error/details"),
        ("errors: status", "/details"),
        ("errors: problem", "/details"),
    ] {
        let site = Site::with(PROTO, form);
        for (target, status, reason) in [("/nothing", 404, "NO_ROUTE"), ("/g?x=1", 400, "UNKNOWN_PARAMETER")]
        {
            let reply = site.call("GET", target, &[("x-request-id", "my-id")], b"");
            assert_eq!(reply.status, status);
            let json = reply.json();
            let details = json.pointer(details).and_then(Value::as_array).expect("details");
            let info = json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason, "domain": "transom", "metadata": { "requestId": "my-id" },
            });
            assert!(details.contains(&info), "{json}");
            let names_field = details.iter().any(|detail| detail["fieldViolations"][0]["field"] == "x");
            assert_eq!(names_field, status == 400, "{json}");
        }
    }
}

fn any(name: &str, value: &[u8]) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: value.to_vec().into() }
}

/// A status with these details.
fn failed(code: i32, details: Vec<Any>, metadata: &[(&'static str, &'static str)]) -> Answer {
    let details = RpcStatus { code, message: "no".into(), details }.encode_to_vec();
    let mut map = HeaderMap::new();
    for (name, value) in metadata {
        map.append(*name, http::HeaderValue::from_static(value));
    }
    Answer::Status { code, message: "no".into(), details, metadata: map }
}

#[test]
fn details_print_whatever_their_type() {
    let site = Site::plain(PROTO);
    let violation = FieldViolation { field: "a.b".into(), description: "bad".into(), reason: String::new() };
    let info = ErrorInfo {
        reason: "STOCK_LOW".into(),
        domain: "shop.example".into(),
        metadata: [("left".to_owned(), "0".to_owned())].into(),
    };
    let quota = site.schema.encode("t.Quota", &json!({ "who": "x", "left": "7" }));
    let cases: Vec<(Any, Value)> = vec![
        (
            info.pack(),
            json!({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "STOCK_LOW", "domain": "shop.example", "metadata": { "left": "0" } }),
        ),
        (
            BadRequest { field_violations: vec![violation] }.pack(),
            json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{ "field": "a.b", "description": "bad" }] }),
        ),
        // google.rpc.Help { links { description, url } }, which the schema doesn't have.
        (
            any("google.rpc.Help", &[0x0a, 6, 0x0a, 1, b'd', 0x12, 1, b'u']),
            json!({ "@type": "type.googleapis.com/google.rpc.Help", "links": [{ "description": "d", "url": "u" }] }),
        ),
        (any("t.Quota", &quota), json!({ "@type": "type.googleapis.com/t.Quota", "who": "x", "left": "7" })),
        (
            any("other.Unknown", &[1, 2]),
            json!({ "@type": "type.googleapis.com/other.Unknown", "value": "AQI=" }),
        ),
        // A known type with bytes that are none of its.
        (any("t.Quota", &[0xff]), json!({ "@type": "type.googleapis.com/t.Quota", "value": "/w==" })),
        (
            any("google.protobuf.Duration", &[0x08, 5]),
            json!({ "@type": "type.googleapis.com/google.protobuf.Duration", "value": "5s" }),
        ),
    ];
    let (details, want): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    site.backend.answer(failed(9, details, &[]));
    let reply = site.get("/g");
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["details"], Value::from(want));
}

#[test]
fn large_details_come_whole() {
    let site = Site::plain(PROTO);
    let info = ErrorInfo { reason: "R".repeat(60_000), domain: "d".into(), metadata: Default::default() };
    site.backend.answer(failed(9, vec![info.pack()], &[]));
    let reply = site.get("/g");
    assert_eq!(reply.json()["error"]["details"][0]["reason"].as_str().map(str::len), Some(60_000));
}

#[test]
fn a_401_has_a_challenge() {
    let site = Site::plain(PROTO);
    site.backend.answer(Answer::status(16, "who are you?"));
    assert_eq!(site.get("/g").header("www-authenticate"), Some("Bearer"));
    site.backend.answer(failed(16, vec![], &[("www-authenticate", "Bearer realm=\"shop\"")]));
    assert_eq!(site.get("/g").header("www-authenticate"), Some("Bearer realm=\"shop\""));
    site.backend.answer(Answer::status(7, "no"));
    assert_eq!(site.get("/g").header("www-authenticate"), None);
}

#[test]
fn retry_after_comes_from_retry_info_alone() {
    let site = Site::plain(PROTO);
    let delay =
        |seconds, nanos| RetryInfo { retry_delay: Some(prost_types::Duration { seconds, nanos }) }.pack();
    for (code, details, want) in [
        (14, vec![], None),
        (8, vec![], None),
        (14, vec![delay(3, 0)], Some("3")),
        (8, vec![delay(1, 500_000_000)], Some("2")),
        (9, vec![any("other.Unknown", &[1]), delay(7, 0)], Some("7")),
        (14, vec![delay(-1, 0)], None),
        (14, vec![RetryInfo { retry_delay: None }.pack()], None),
    ] {
        site.backend.answer(failed(code, details.clone(), &[]));
        let reply = site.get("/g");
        assert_eq!(reply.header("retry-after"), want, "{code} {details:?}");
    }
}

#[test]
fn metadata_of_a_failure_passes() {
    let site = Site::plain(PROTO);
    let metadata = [
        ("x-mine", "1"),
        ("etag", "\"2\""),
        ("server", "secret"),
        ("x-http-code", "201"),
        ("grpc-extra", "x"),
    ];
    site.backend.answer(failed(5, vec![], &metadata));
    let reply = site.get("/g");
    assert_eq!(reply.status, 404, "an error doesn't become a success");
    assert_eq!((reply.header("x-mine"), reply.header("etag")), (Some("1"), Some("\"2\"")));
    for absent in
        ["server", "x-http-code", "grpc-extra", "grpc-status", "grpc-message", "grpc-status-details-bin"]
    {
        assert_eq!(reply.header(absent), None, "{absent}");
    }
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[test]
fn metadata_before_a_failure_passes_too() {
    const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc"), ("x-early", "1")];
    const LATE: &[(&str, &str)] = &[("grpc-status", "10"), ("grpc-message", "no"), ("x-late", "2")];
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(vec![vec![Step::Head(200, GRPC, false), Step::Trailers(LATE)]], None);
    let gateway = Gateway::start(&Choices::default().yaml(&schema, backend.address), schema.folder());
    let reply = get(gateway.address, "/g");
    assert_eq!((reply.status, reply.header("x-early")), (409, Some("1")));
    assert_eq!(reply.header("x-late"), None, "a trailer is no header");
}

#[test]
fn grpc_messages_are_percent_decoded_leniently() {
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(vec![], None);
    let gateway = Gateway::start(&Choices::default().yaml(&schema, backend.address), schema.folder());
    macro_rules! script {
        ($message:expr) => {
            vec![Step::Head(
                200,
                &[("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", $message)],
                true,
            )]
        };
    }
    for (script, want) in [
        (script!("plain"), "plain"),
        (script!("a%20b%C3%A9"), "a bé"),
        (script!("100%"), "100%"),
        (script!("%zz%4"), "%zz%4"),
        (script!("%25zz"), "%zz"),
        (script!("a%FFb"), "a\u{fffd}b"),
        (script!("line%0Abreak"), "line\nbreak"),
        (script!(""), ""),
        (script!("<b>\"x\"</b>"), "<b>\"x\"</b>"),
    ] {
        backend.play(script);
        let reply = get(gateway.address, "/g");
        assert_eq!((reply.status, reply.json()["error"]["message"].as_str()), (404, Some(want)));
    }
}

#[test]
fn internals_never_show() {
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(vec![], None);
    let gateway = Gateway::start(&Choices::default().yaml(&schema, backend.address), schema.folder());
    let html: &[(&str, &str)] = &[("content-type", "text/html"), ("x-powered-by", "secret")];
    let grpc: &[(&str, &str)] = &[("content-type", "application/grpc")];
    let port = backend.address.port().to_string();
    let scripts = [
        vec![Step::Head(503, html, false), Step::Data(b"<html>secret</html>".to_vec()), Step::End],
        vec![Step::Head(200, html, false), Step::Data(b"<html>secret</html>".to_vec()), Step::End],
        vec![Step::Head(200, grpc, false), Step::Data(b"secret".to_vec()), Step::End],
        vec![
            Step::Head(200, grpc, false),
            Step::Data(vec![0, 0, 0, 0, 1, 0xff]),
            Step::Trailers(&[("grpc-status", "0")]),
        ],
        vec![Step::Reset(h2::Reason::INTERNAL_ERROR)],
        vec![Step::Cut],
    ];
    let mut bodies = Vec::new();
    for script in scripts {
        backend.play(script);
        let reply = get(gateway.address, "/g");
        assert!(reply.status >= 500, "{}", reply.status);
        assert_eq!(reply.header("x-powered-by"), None);
        bodies.push(reply.text().to_owned());
    }
    drop(backend);
    let reply = call(gateway.address, "GET", "/g", &[], b"");
    assert_eq!(reply.status, 503);
    bodies.push(reply.text().to_owned());
    for body in bodies {
        for internal in ["secret", "127.0.0.1", &port, "t.M", "os error", "h2", "stream", "refused"] {
            assert!(!body.contains(internal), "{internal} in {body}");
        }
    }
}

#[test]
fn failures_have_no_body_for_head_and_the_same_headers() {
    let site = Site::plain(PROTO);
    site.backend.answer(Answer::status(5, "no"));
    let get = site.get("/g");
    for head in [site.call("HEAD", "/g", &[], b""), site.http2().call("HEAD", "/g", &[], b"")] {
        assert_eq!((head.status, head.body.len()), (404, 0));
        assert_eq!(head.header("content-length"), get.header("content-length"));
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
}

#[test]
fn what_is_no_http_is_refused_bare() {
    use support::Http1;
    let site = Site::plain(PROTO);
    for nonsense in [
        "nonsense\r\n\r\n",
        "GET /g HTTP/1.1\r\nbad header\r\n\r\n",
        "GET /g HTTP/9.9\r\n\r\n",
        "G\0T / HTTP/1.1\r\n\r\n",
    ] {
        let mut client = Http1::connect(site.address());
        client.send(nonsense);
        let reply = client.reply();
        assert_eq!((reply.status, reply.body.len()), (400, 0), "{nonsense:?}");
        assert!(client.is_closed());
    }
    assert_eq!(site.backend.count(), 0);
}
