//! Server streams over REST: framings, negotiation, when the status is known, and what a failure in the middle looks like.

mod support;

use http::HeaderMap;
use serde_json::{Value, json};
use support::{
    Came, Choices, Gateway, Http1, Http2, Led, Live, Schema, Stage, header_map, request, text_message,
};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; int32 n = 2; repeated string tags = 3; M sub = 4; }
service S {
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/down" }; }
  rpc Tags(M) returns (stream M) { option (google.api.http) = { get: "/tags" response_body: "tags" }; }
  rpc Up(stream M) returns (M) { option (google.api.http) = { post: "/up" body: "*" }; }
}
"#;

const JSON: (&str, &str) = ("content-type", "application/json");
const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");

/// A form of streams, and what it makes of elements.
struct Form {
    accept: &'static str,
    content_type: &'static str,
    join: fn(&[&str]) -> String,
    /// What a failure looks like behind one element.
    fail: fn(&str, &str) -> String,
}

const ARRAY: Form = Form {
    accept: "application/json",
    content_type: "application/json",
    join: |elements| format!("[{}]\n", elements.join(",\n")),
    fail: |element, error| format!("[{element},\n{error}]\n"),
};
const LINES: Form = Form {
    accept: "application/x-ndjson",
    content_type: "application/x-ndjson",
    join: |elements| elements.iter().map(|element| format!("{element}\n")).collect(),
    fail: |element, error| format!("{element}\n{error}\n"),
};
const EVENTS: Form = Form {
    accept: "text/event-stream",
    content_type: "text/event-stream",
    join: |elements| {
        let events: String = elements.iter().map(|element| format!("data: {element}\n\n")).collect();
        format!("{events}event: end\ndata: {{}}\n\n")
    },
    fail: |element, error| format!("data: {element}\n\nevent: error\ndata: {error}\n\n"),
};
const FORMS: [&Form; 3] = [&ARRAY, &LINES, &EVENTS];

/// A GET of `target` on a connection of its own, and the call that it becomes.
fn open(stage: &Stage, target: &str, headers: &[(&str, &str)]) -> (Http1, Led) {
    let mut client = Http1::connect(stage.address());
    client.send(request("GET", target, headers, b""));
    (client, stage.backend.call())
}

fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it is text")
}

#[test]
fn each_form_is_written_to_the_byte() {
    let stage = Stage::led(PROTO, "");
    for form in FORMS {
        for elements in [&[][..], &["x"], &["x", "", "a\nb", "z"]] {
            let (mut client, mut call) = open(&stage, "/down", &[("accept", form.accept)]);
            for element in elements {
                call.send(text_message(element.as_bytes()));
            }
            call.end();
            let reply = client.reply();
            let json: Vec<String> = elements
                .iter()
                // An empty text is a default, which is left out.
                .map(
                    |element| {
                        if element.is_empty() { "{}".into() } else { json!({ "a": element }).to_string() }
                    },
                )
                .collect();
            let json: Vec<&str> = json.iter().map(String::as_str).collect();
            assert_eq!(reply.assert_ok().text(), (form.join)(&json), "{}", form.accept);
            assert_eq!(reply.header("content-type"), Some(form.content_type));
            let cached = (form.accept == EVENTS.accept).then_some("no-cache");
            assert_eq!(reply.header("cache-control"), cached, "{}", form.accept);
        }
    }
}

#[test]
fn accept_chooses_the_form() {
    for (choice, fallback) in
        [("", &ARRAY), ("form: array", &ARRAY), ("form: ndjson", &LINES), ("form: sse", &EVENTS)]
    {
        let stage = Stage::led(PROTO, &format!("streams: {{ {choice} }}"));
        for (accept, want) in [
            ("", fallback),
            ("*/*", fallback),
            ("text/html, */*;q=0.8", fallback),
            ("application/json", &ARRAY),
            ("application/x-ndjson", &LINES),
            ("application/jsonl", &LINES),
            ("text/event-stream", &EVENTS),
            ("application/json;q=0.1, text/event-stream;q=0.2", &EVENTS),
        ] {
            let accept = [("accept", accept)];
            let headers = if accept[0].1.is_empty() { &[][..] } else { &accept };
            let (mut client, mut call) = open(&stage, "/down", headers);
            call.send(text_message(b"x")).end();
            let reply = client.reply();
            assert_eq!(reply.header("content-type"), Some(want.content_type), "{choice} {accept:?}");
            assert_eq!(reply.text(), (want.join)(&[r#"{"a":"x"}"#]), "{choice} {accept:?}");
        }
    }
}

#[test]
fn metadata_and_a_wished_status_come_with_the_head() {
    let stage = Stage::led(PROTO, "");
    let (mut client, mut call) = open(&stage, "/down?a=q&n=3", &[("x-mine", "1")]);
    assert_eq!(call.metadata.get("x-mine").map(|value| value.as_bytes()), Some(&b"1"[..]));
    let message = stage.schema.decode(stage.schema.message("t.M"), &call.message());
    assert_eq!(message, json!({ "a": "q", "n": 3 }));
    assert_eq!(call.came(), Came::End);
    call.head(header_map(&[("x-backend", "b"), ("x-http-code", "202"), ("cache-control", "private")]));
    call.send(text_message(b"x")).end();
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("x-backend")), (202, Some("b")));
    assert_eq!((reply.header("cache-control"), reply.header("x-http-code")), (Some("private"), None));
}

#[test]
fn statuses_without_a_body_have_none() {
    for code in ["204", "304"] {
        let stage = Stage::led(PROTO, "");
        let (mut client, mut call) = open(&stage, "/down", &[]);
        call.head(header_map(&[("x-http-code", code), ("etag", "1")]));
        call.send(text_message(b"x")).end();
        let reply = client.reply();
        assert_eq!((reply.status.to_string().as_str(), reply.body.len()), (code, 0));
        assert_eq!((reply.header("content-type"), reply.header("etag")), (None, Some("1")));
    }
}

#[test]
fn a_first_message_that_can_not_be_read_is_a_failure_at_once() {
    let stage = Stage::led(PROTO, "");
    let (mut client, mut call) = open(&stage, "/down", &[]);
    call.send(vec![0x0a, 5, b'x']);
    client.reply().assert_fault(500, "UNREADABLE_REPLY", None);
}

#[test]
fn a_stream_that_fails_at_once_has_its_true_status() {
    for (choice, code, kind) in [
        ("google", "/error/code", "application/json"),
        ("status", "/code", "application/json"),
        ("problem", "/status", "application/problem+json"),
    ] {
        let stage = Stage::led(PROTO, &format!("errors: {choice}"));
        for form in FORMS {
            for with_head in [false, true] {
                let (mut client, mut call) = open(&stage, "/down", &[("accept", form.accept)]);
                if with_head {
                    call.head(header_map(&[("x-early", "1")]));
                }
                call.fail(5, "no such");
                let reply = client.reply();
                let number = if choice == "status" { 5 } else { 404 };
                assert_eq!(reply.status, 404, "{choice} {}", form.accept);
                assert_eq!(reply.header("content-type"), Some(kind), "{choice} {}", form.accept);
                assert_eq!(reply.json().pointer(code), Some(&json!(number)), "{}", reply.text());
                assert_eq!(reply.header("x-early"), with_head.then_some("1"));
            }
        }
    }
}

#[test]
fn a_stream_that_fails_later_ends_with_an_error() {
    for (choice, error) in [
        ("google", r#"{"error":{"code":404,"message":"no such","status":"NOT_FOUND","details":[]}}"#),
        ("status", r#"{"error":{"code":5,"message":"no such","details":[]}}"#),
        (
            "problem",
            r#"{"error":{"type":"about:blank","title":"Not Found","status":404,"detail":"no such","code":"NOT_FOUND","details":[]}}"#,
        ),
    ] {
        let stage = Stage::led(PROTO, &format!("errors: {choice}"));
        for form in FORMS {
            let headers = [("accept", form.accept)];
            let want = (form.fail)(r#"{"a":"x"}"#, error);
            let (mut client, mut call) = open(&stage, "/down", &headers);
            call.send(text_message(b"x")).fail(5, "no such");
            // The framing of HTTP is whole, and the connection serves on.
            assert_eq!(client.reply().assert_ok().text(), want);
            client.send(request("GET", "/down", &headers, b""));
            stage.backend.call().end();
            assert_eq!(client.reply().assert_ok().text(), (form.join)(&[]));
            let mut client = Http2::connect(stage.address());
            let (response, _) = client.begin("GET", "/down", &headers, true);
            let mut call = stage.backend.call();
            call.send(text_message(b"x")).fail(5, "no such");
            assert_eq!(client.end(response).expect("no reset").assert_ok().text(), want);
        }
    }
}

#[test]
fn faults_of_the_gateway_in_the_middle_say_their_reason_and_the_request() {
    let stage = Stage::led(PROTO, "limits: { message: 100 }");
    for (message, reason) in [(vec![0xff], "UNREADABLE_REPLY"), (vec![0; 101], "REPLY_TOO_LARGE")] {
        let (mut client, mut call) = open(&stage, "/down", &[("x-request-id", "r-1")]);
        call.send(text_message(b"x")).send(message);
        let elements = client.reply().assert_ok().json();
        assert_eq!(elements[0], json!({ "a": "x" }));
        let details = elements[1]["error"]["details"].to_string();
        assert!(details.contains(reason) && details.contains("r-1"), "{elements}");
        call.wait_gone();
    }
    // As the first message it has a status of its own.
    let (mut client, mut call) = open(&stage, "/down", &[]);
    call.send(vec![0; 101]);
    client.reply().assert_fault(502, "REPLY_TOO_LARGE", None);
}

#[test]
fn the_status_waits_no_longer_than_its_setting() {
    let stage = Stage::led(PROTO, "streams: { first_message: 20ms }");
    for form in FORMS {
        let (mut client, mut call) = open(&stage, "/down", &[("accept", form.accept)]);
        call.head(header_map(&[("x-early", "1")]));
        let head = client.head();
        assert_eq!((head.status, head.header("x-early")), (200, Some("1")));
        // What comes then has no status any more.
        call.fail(5, "late");
        let (body, whole) = client.chunks();
        assert!(whole && text(&body).contains(r#""code":404,"message":"late""#), "{}", text(&body));
    }
    // Without a message at all it is an empty stream.
    let (mut client, mut call) = open(&stage, "/down", &[]);
    call.head(HeaderMap::new());
    assert_eq!(client.head().status, 200);
    call.end();
    assert_eq!(text(&client.chunks().0), "[]\n");
}

#[test]
fn each_message_arrives_while_the_backend_holds_the_next() {
    let stage = Stage::led(PROTO, "");
    for form in FORMS {
        let (mut client, mut call) = open(&stage, "/down", &[("accept", form.accept)]);
        let mut second = Http2::connect(stage.address());
        let (response, _) = second.begin("GET", "/down", &[("accept", form.accept)], true);
        let mut other = stage.backend.call();
        let (mut body, mut other_body) = (Vec::new(), Vec::new());
        let mut stream = None;
        for number in 0..5 {
            let element = format!("n{number}");
            for call in [&mut call, &mut other] {
                call.send(text_message(element.as_bytes()));
            }
            if number == 0 {
                assert_eq!(client.head().status, 200);
            }
            while !text(&body).contains(&element) {
                body.extend(client.chunk().expect("more"));
            }
        }
        let stream = stream.get_or_insert_with(|| second.head(response).expect("a head").1);
        while !text(&other_body).contains("n4") {
            other_body.extend(second.data(stream).expect("no reset").expect("more"));
        }
        call.end();
        other.end();
        body.extend(client.chunks().0);
        other_body.extend(second.rest(stream).expect("no reset"));
        let elements = [0, 1, 2, 3, 4].map(|number| format!("{{\"a\":\"n{number}\"}}"));
        let want = (form.join)(&elements.each_ref().map(String::as_str));
        assert_eq!((text(&body), text(&other_body)), (&*want, &*want));
    }
}

#[test]
fn many_messages_arrive_whole_and_in_their_order() {
    let stage = Stage::led(PROTO, "");
    let (mut client, mut call) = open(&stage, "/down", &[("accept", LINES.accept)]);
    let pad = "y".repeat(3000);
    for number in 0..2000 {
        call.send(text_message(format!("{number} {}", &pad[..number]).as_bytes()));
    }
    call.end();
    let reply = client.reply();
    let lines: Vec<Value> =
        reply.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2000);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["a"], format!("{number} {}", &pad[..number]));
    }
}

#[test]
fn only_events_have_heartbeats() {
    let stage = Stage::led(PROTO, "streams: { heartbeat: 20ms, first_message: 1ms }");
    let (mut client, mut call) = open(&stage, "/down", &[("accept", EVENTS.accept)]);
    call.head(HeaderMap::new());
    assert_eq!(client.head().status, 200);
    let mut body = Vec::new();
    for _ in 0..2 {
        let beat = client.chunk().expect("a heartbeat");
        assert_eq!(text(&beat), ": \n\n");
    }
    call.send(text_message(b"x"));
    while !text(&body).contains("data: {\"a\":\"x\"}\n\n") {
        body.extend(client.chunk().expect("more"));
    }
    // Again, behind a message.
    body.clear();
    while body.is_empty() {
        body.extend(client.chunk().expect("a heartbeat"));
    }
    assert_eq!(text(&body), ": \n\n");
    call.end();
    assert!(text(&client.chunks().0).ends_with("event: end\ndata: {}\n\n"));
    for form in [&ARRAY, &LINES] {
        let (mut client, mut call) = open(&stage, "/down", &[("accept", form.accept)]);
        call.send(text_message(b"x"));
        assert_eq!(client.head().status, 200);
        // Several times the interval.
        std::thread::sleep(std::time::Duration::from_millis(100));
        call.end();
        assert_eq!(text(&client.chunks().0), (form.join)(&[r#"{"a":"x"}"#]));
    }
}

#[test]
fn one_field_of_each_message_can_be_the_element() {
    let stage = Stage::led(PROTO, "");
    let (mut client, mut call) = open(&stage, "/tags", &[("accept", LINES.accept)]);
    for tags in [json!(["a", "b"]), json!([]), json!(["c"])] {
        call.send(stage.schema.encode("t.M", &json!({ "a": "x", "tags": tags })));
    }
    call.end();
    assert_eq!(client.reply().assert_ok().text(), "[\"a\",\"b\"]\n[]\n[\"c\"]\n");
}

#[test]
fn a_listeners_choices_hold_for_each_message() {
    let proto = PROTO.replace("M sub = 4;", "int64 big_number = 5; Kind kind = 6;")
        + "enum Kind { NONE = 0; SOME = 1; }";
    for (choice, want) in [
        ("", r#"{"a":"x"}"#),
        ("json: { defaults: print }", r#"{"a":"x","n":0,"tags":[],"bigNumber":"0","kind":"NONE"}"#),
        (
            "json: { defaults: print, names: proto }",
            r#"{"a":"x","n":0,"tags":[],"big_number":"0","kind":"NONE"}"#,
        ),
        (
            "json: { defaults: print, int64: numbers }",
            r#"{"a":"x","n":0,"tags":[],"bigNumber":0,"kind":"NONE"}"#,
        ),
        (
            "json: { defaults: print, enums: numbers }",
            r#"{"a":"x","n":0,"tags":[],"bigNumber":"0","kind":0}"#,
        ),
    ] {
        let stage = Stage::led(&proto, choice);
        for form in FORMS {
            let (mut client, mut call) = open(&stage, "/down", &[("accept", form.accept)]);
            call.send(text_message(b"x")).send(text_message(b"x")).end();
            assert_eq!(client.reply().assert_ok().text(), (form.join)(&[want, want]), "{choice}");
        }
    }
}

#[test]
fn trailers_come_where_they_are_asked_for() {
    let stage = Stage::led(PROTO, "");
    for (te, want) in [("trailers", Some("t")), ("", None)] {
        for form in FORMS {
            let headers = [("accept", form.accept), ("te", te)];
            let mut client = Http2::connect(stage.address());
            let used = if te.is_empty() { 1 } else { 2 };
            let (response, _) = client.begin("GET", "/down", &headers[..used], true);
            stage.backend.call().send(text_message(b"x")).end_with(header_map(&[("x-end", "t")]));
            let reply = client.end(response).expect("no reset");
            assert_eq!(reply.assert_ok().text(), (form.join)(&[r#"{"a":"x"}"#]));
            assert_eq!(reply.trailers.get("x-end").map(|value| value.as_bytes()), want.map(str::as_bytes));
            assert_eq!(reply.trailers.get("grpc-status"), None);
        }
    }
}

#[test]
fn head_has_the_headers_of_the_stream_and_leaves() {
    let stage = Stage::led(PROTO, "");
    for form in FORMS {
        let mut client = Http1::connect(stage.address());
        client.send(request("HEAD", "/down", &[("accept", form.accept)], b""));
        let mut call = stage.backend.call();
        call.head(header_map(&[("x-early", "1")])).send(text_message(b"x"));
        let reply = client.reply_to_head();
        assert_eq!((reply.status, reply.header("x-early")), (200, Some("1")));
        assert_eq!(reply.header("content-type"), Some(form.content_type));
        call.wait_gone();
        // Nothing of a body stands before the next answer.
        client.send(request("GET", "/down", &[("accept", form.accept)], b""));
        stage.backend.call().end();
        assert_eq!(client.reply().text(), (form.join)(&[]));
    }
}

#[test]
fn a_deadline_ends_a_stream_in_the_middle() {
    let stage = Stage::led(PROTO, "");
    for form in FORMS {
        let headers = [("accept", form.accept), ("grpc-timeout", "1S")];
        let (mut client, mut call) = open(&stage, "/down", &headers);
        assert!(call.metadata.contains_key("grpc-timeout"));
        call.send(text_message(b"x"));
        let reply = client.reply();
        let body = reply.assert_ok().text();
        assert!(body.contains(r#"{"a":"x"}"#) && body.contains("DEADLINE_EXCEEDED"), "{body}");
        call.wait_gone();
    }
    // Before the first message it has its status.
    let (mut client, call) = open(&stage, "/down", &[("grpc-timeout", "500m")]);
    client.reply().assert_fault(504, "DEADLINE_EXCEEDED", None);
    call.wait_gone();
    // An upload that does not end has no longer.
    let mut client = Http1::connect(stage.address());
    client.send(request("POST", "/up", &[JSON, CHUNKED, ("grpc-timeout", "500m")], b""));
    client.send(chunk(r#"{"a":"x"}"#));
    let call = stage.backend.call();
    client.reply().assert_fault(504, "DEADLINE_EXCEEDED", None);
    call.wait_gone();
}

#[test]
fn a_streams_rule_has_no_timeout_for_streams() {
    let choices = Choices { more: "rules: { '*': { timeout: 30ms } }", ..Choices::default() };
    let stage = Stage::new(PROTO, |_| support::Behaviour::Led, choices);
    let (mut client, mut call) = open(&stage, "/down", &[]);
    assert!(!call.metadata.contains_key("grpc-timeout"));
    call.send(text_message(b"x"));
    assert_eq!(client.head().status, 200);
    // Several times what a unary call may take.
    std::thread::sleep(std::time::Duration::from_millis(120));
    call.end();
    assert_eq!(text(&client.chunks().0), "[{\"a\":\"x\"}]\n");
}

#[test]
fn a_stream_that_failed_in_the_middle_is_told_once() {
    let schema = Schema::new(PROTO);
    let backend = Live::start(|_| support::Behaviour::Led);
    let log = schema.folder().join("access.log");
    let yaml = Choices::default().yaml(&schema, backend.address);
    let yaml = yaml.replace("access_log: off", &format!("access_log: '{}'", log.display()));
    let gateway = Gateway::start(&yaml, schema.folder());
    for fails in [true, false] {
        let mut client = Http1::connect(gateway.address);
        client.send(request("GET", "/down", &[], b""));
        let mut call = backend.call();
        call.send(text_message(b"x"));
        if fails {
            call.fail(5, "no such")
        } else {
            call.end()
        }
        client.reply().assert_ok();
    }
    drop(gateway);
    let log = std::fs::read_to_string(log).expect("there is a log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains(" status=200 code=NOT_FOUND ") && lines[0].contains(" rpc=t.S/Down "), "{log}");
    assert!(lines[0].contains(" reason=BACKEND_STATUS ") && !lines[0].contains("aborted"), "{log}");
    assert!(lines[1].contains(" status=200 code=OK ") && lines[1].contains(" sent=12 "), "{log}");
}
