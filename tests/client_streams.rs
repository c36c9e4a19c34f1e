//! Client streams over REST in every form and piece, those that end early, and both directions at once.

mod support;

use serde_json::{Value, json};
use support::{Came, Http1, Http2, Led, Stage, header_map, request, text_message, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; int32 n = 2; repeated string tags = 3; M sub = 4; }
service S {
  rpc Up(stream M) returns (M) {
    option (google.api.http) = { post: "/up/{a}" body: "*" additional_bindings { post: "/up" body: "*" } };
  }
  rpc Field(stream M) returns (M) { option (google.api.http) = { post: "/field/{a}" body: "sub" }; }
  rpc Both(stream M) returns (stream M) { option (google.api.http) = { post: "/both" body: "*" }; }
}
"#;

const JSON: (&str, &str) = ("content-type", "application/json");
const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");

/// One chunk of a body.
fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it is text")
}

/// Sends `pieces` as chunks and gives what the backend has read of them, as JSON, and the answer's status and body.
fn upload(stage: &Stage, target: &str, headers: &[(&str, &str)], pieces: &[&[u8]]) -> (Vec<Value>, Value) {
    let mut client = Http1::connect(stage.address());
    client.send(request("POST", target, &[headers, &[CHUNKED]].concat(), b""));
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        client.send(chunk(piece));
    }
    client.send("0\r\n\r\n");
    let mut call = stage.backend.call();
    let mut messages = Vec::new();
    loop {
        match call.came() {
            Came::Message(message) => {
                messages.push(stage.schema.decode(stage.schema.message("t.M"), &message));
            }
            Came::End => break,
            Came::Broken => panic!("{target}: it is broken"),
        }
    }
    call.send(text_message(b"done")).end();
    (messages, client.reply().assert_ok().json())
}

#[test]
fn client_streams_come_in_every_form() {
    let stage = Stage::led(PROTO, "");
    let done = json!({ "a": "done" });
    for (target, body, want) in [
        ("/up", "", json!([])),
        ("/up", "[]", json!([])),
        ("/up", " [ ] ", json!([])),
        ("/up", "{}", json!([{}])),
        ("/up", r#"[{"a":"1"},{"a":"2"}]"#, json!([{ "a": "1" }, { "a": "2" }])),
        ("/up", r#"{"a":"1"}{"a":"2"}"#, json!([{ "a": "1" }, { "a": "2" }])),
        ("/up", "{\"a\":\"1\"}\n{\"a\":\"2\"}\n", json!([{ "a": "1" }, { "a": "2" }])),
        ("/up", "{\"a\":\"1\"}\r\n\r\n{\"a\":\"]}\"}", json!([{ "a": "1" }, { "a": "]}" }])),
        (
            "/up/p?n=7",
            r#"[{"tags":["x"]},{"n":1},{}]"#,
            json!([{ "a": "p", "n": 7, "tags": ["x"] }, { "n": 1 }, {}]),
        ),
        (
            "/field/p?n=7",
            r#"[{"n":1},{"n":2}]"#,
            json!([{ "a": "p", "n": 7, "sub": { "n": 1 } }, { "sub": { "n": 2 } }]),
        ),
    ] {
        for (name, value) in [JSON, ("content-type", "application/x-ndjson"), ("x-none", "1")] {
            let (messages, reply) = upload(&stage, target, &[(name, value)], &[body.as_bytes()]);
            assert_eq!((json!(messages), &reply), (want.clone(), &done), "{target} {body:?}");
        }
        let (messages, _) = upload(&stage, target, &[], &body.as_bytes().chunks(1).collect::<Vec<_>>());
        assert_eq!(json!(messages), want, "{target} {body:?} byte by byte");
    }
}

#[test]
fn client_streams_are_the_same_wherever_they_are_cut() {
    let stage = Stage::led(PROTO, "");
    for body in [r#"[{"a":"\"]"},{"n":-1}]"#, "{\"a\":\"\\\"]\"}\n{\"n\":-1}\n"] {
        for cut in 0..=body.len() {
            let (first, second) = body.as_bytes().split_at(cut);
            let (messages, _) = upload(&stage, "/up", &[JSON], &[first, second]);
            assert_eq!(json!(messages), json!([{ "a": "\"]" }, { "n": -1 }]), "{body:?} cut at {cut}");
        }
    }
}

#[test]
fn what_is_wrong_in_a_client_stream_is_told() {
    let stage = Stage::led(PROTO, "limits: { body: 20 }");
    for (target, body, status, reason, field) in [
        ("/up", r#"[{"a":"1"} {}]"#, 400, "JSON_SYNTAX", None),
        ("/up", r#"[{"a":"1"},,{}]"#, 400, "JSON_SYNTAX", None),
        ("/up", r#"[{"a":"1"},]"#, 400, "JSON_SYNTAX", None),
        ("/up", r#"{"a":"1"},{}"#, 400, "JSON_SYNTAX", None),
        ("/up", r#"[{"a":"1"}] {}"#, 400, "JSON_SYNTAX", None),
        ("/up", r#"[{"a":"1"}"#, 400, "INCOMPLETE_BODY", None),
        ("/up", r#"{"a":"1"}{"a"#, 400, "INCOMPLETE_BODY", None),
        ("/up", r#"{"a":"1"}{"b":1}"#, 400, "UNKNOWN_FIELD", Some("b")),
        ("/up", r#"{"a":"1"}{"n":"x"}"#, 400, "", Some("n")),
        ("/up?b=1", r#"{}"#, 400, "UNKNOWN_PARAMETER", Some("b")),
        ("/up", r#"{"a":"1"}{"a":"0123456789"}"#, 200, "", None),
        ("/up", r#"{"a":"1"}{"a":"01234567890123"}"#, 413, "BODY_TOO_LARGE", None),
    ] {
        let mut client = Http1::connect(stage.address());
        client.send(request("POST", target, &[JSON, CHUNKED], b""));
        client.send(chunk(body));
        client.send("0\r\n\r\n");
        let mut call = stage.backend.call();
        if status == 200 {
            call.send(text_message(b"x")).end();
            client.reply().assert_ok();
            continue;
        }
        let reply = client.reply();
        assert_eq!(reply.status, status, "{body} {}", reply.text());
        assert_eq!(reply.field().as_deref(), field, "{body} {}", reply.text());
        assert!(reason.is_empty() || reply.reason() == reason, "{body} {}", reply.text());
        broken(&mut call, body);
    }
}

#[test]
fn a_listeners_choices_hold_for_each_element() {
    let found = |listener: &str, target: &str, body: &str| {
        let stage = Stage::led(PROTO, listener);
        upload(&stage, target, &[JSON], &[body.as_bytes()]).0
    };
    let ignore = "request: { unknown_members: ignore, unknown_parameters: ignore }";
    assert_eq!(
        found(ignore, "/up?b=1", r#"{"a":"1","b":1}{"b":{},"a":"2"}"#),
        [json!({ "a": "1" }), json!({ "a": "2" })]
    );
    assert_eq!(
        found("request: { plus: space }", "/up?tags=a+b", "{}{}"),
        [json!({ "tags": ["a b"] }), json!({})]
    );
    for (listener, target, body, reason) in [
        ("request: { json_depth: 2 }", "/up", r#"{}{"sub":{"sub":{}}}"#, "JSON_DEPTH"),
        ("request: { conflicts: reject }", "/up/x", r#"{"a":"y"}{}"#, "CONFLICTING_VALUES"),
        ("request: { query_into_body: reject }", "/up?n=1", "{}", "QUERY_INTO_BODY"),
        ("request: { max_parameters: 1 }", "/up?n=1&tags=a", "{}", "TOO_MANY_PARAMETERS"),
    ] {
        let stage = Stage::led(PROTO, listener);
        let reply = support::call(stage.address(), "POST", target, &[JSON], body.as_bytes());
        assert_eq!((reply.status, &*reply.reason()), (400, reason), "{listener}");
    }
    // Of the path, only the first element can differ.
    assert_eq!(
        found("request: { conflicts: reject }", "/up/x", r#"{"a":"x"}{"a":"y"}"#),
        [json!({ "a": "x" }), json!({ "a": "y" })]
    );
}

#[test]
fn a_client_stream_may_say_its_length_whatever_that_is() {
    let stage = Stage::led(PROTO, "limits: { body: 20 }");
    let body = "{\"a\":\"x\"}\n".repeat(100);
    let mut client = Http1::connect(stage.address());
    client.send(request("POST", "/up", &[JSON], body.as_bytes()));
    let mut call = stage.backend.call();
    for _ in 0..100 {
        assert_eq!(call.message(), text_message(b"x"));
    }
    assert_eq!(call.came(), Came::End);
    call.send(text_message(b"x")).end();
    client.reply().assert_ok();
}

/// The backend sees that the call was given up, and never that the request is complete.
#[track_caller]
fn broken(call: &mut Led, what: &str) {
    call.wait_gone();
    loop {
        match call.came() {
            Came::Message(_) => {}
            Came::Broken => return,
            Came::End => panic!("{what}: the request looks complete"),
        }
    }
}

#[test]
fn a_client_stream_is_json_by_its_headers() {
    let stage = Stage::led(PROTO, "");
    for (header, reason) in [
        (("content-type", "text/plain"), "UNSUPPORTED_MEDIA_TYPE"),
        (("content-type", "application/x-www-form-urlencoded"), "UNSUPPORTED_MEDIA_TYPE"),
        (("content-type", "application/json; charset=latin1"), "UNSUPPORTED_MEDIA_TYPE"),
        (("content-encoding", "deflate"), "UNSUPPORTED_ENCODING"),
    ] {
        let mut client = Http1::connect(stage.address());
        client.send(request("POST", "/up", &[header], b"{}"));
        client.reply().assert_fault(415, reason, Some(header.0));
    }
    assert_eq!(stage.backend.calls(), 0);
}

#[test]
fn a_truncated_client_stream_is_never_complete() {
    let stage = Stage::led(PROTO, "");
    let heads: [&[(&str, &str)]; 2] = [&[JSON, CHUNKED], &[JSON, ("content-length", "100")]];
    let bodies: [(&str, Vec<u8>); 2] = [
        ("array", b"[{\"a\":\"1\"},{\"a\":\"2\"}".to_vec()),
        ("lines", b"{\"a\":\"1\"}\n{\"a\":\"2\"}\n".to_vec()),
    ];
    for head in heads {
        for (name, body) in &bodies {
            let is_chunked = head.contains(&CHUNKED);
            let mut endings = vec![if is_chunked { chunk(body) } else { body.clone() }];
            if is_chunked {
                // Within a chunk, and within the size of the last one.
                endings.push([b"40\r\n", body.as_slice()].concat());
                endings.push([chunk(body).as_slice(), b"0\r\n"].concat());
            }
            for bytes in endings {
                for closes in [true, false] {
                    let what = format!("{name} {head:?} {:?} closes {closes}", text(&bytes));
                    let mut client = Http1::connect(stage.address());
                    client.send(request("POST", "/up", head, b""));
                    client.send(&bytes);
                    let mut call = stage.backend.call();
                    call.message();
                    if closes {
                        drop(client);
                    } else {
                        client.end_sending();
                        if let Some(reply) = client.read(false) {
                            assert_eq!(reply.status, 400, "{what}");
                        }
                    }
                    broken(&mut call, &what);
                }
            }
        }
    }
    for (name, body) in &bodies {
        for reason in [h2::Reason::CANCEL, h2::Reason::NO_ERROR, h2::Reason::INTERNAL_ERROR] {
            for is_answered in [false, true] {
                let mut client = Http2::connect(stage.address());
                let (response, mut stream) = client.begin("POST", "/both", &[JSON], false);
                assert!(client.send(&mut stream, body, false));
                let mut call = stage.backend.call();
                call.message();
                if is_answered {
                    call.send(text_message(b"x"));
                    let (_, mut answer) = client.head(response).expect("a head");
                    client.data(&mut answer).expect("no reset").expect("a message");
                    stream.send_reset(reason);
                } else {
                    stream.send_reset(reason);
                }
                broken(&mut call, &format!("{name} {reason:?} answered {is_answered}"));
            }
        }
        let mut client = Http2::connect(stage.address());
        let (_response, mut stream) = client.begin("POST", "/up", &[JSON], false);
        assert!(client.send(&mut stream, body, false));
        let mut call = stage.backend.call();
        call.message();
        drop(client);
        broken(&mut call, &format!("{name} closed"));
    }
}

#[test]
fn a_body_that_stops_is_not_waited_for() {
    let stage = Stage::led(PROTO, "timeouts: { body: 50ms }");
    let mut client = Http1::connect(stage.address());
    client.send(request("POST", "/up", &[JSON, CHUNKED], b""));
    client.send(chunk(r#"{"a":"1"}"#));
    let mut call = stage.backend.call();
    client.reply().assert_fault(408, "BODY_TIMEOUT", None);
    broken(&mut call, "it stops");
}

#[test]
fn both_directions_go_in_turns() {
    let stage = Stage::led(PROTO, "");
    for accept in ["application/json", "application/x-ndjson", "text/event-stream"] {
        let headers = [JSON, ("accept", accept)];
        let mut client = Http2::connect(stage.address());
        let (response, mut sending) = client.begin("POST", "/both", &headers, false);
        let mut response = Some(response);
        let mut one = Http1::connect(stage.address());
        let mut other = stage.backend.call();
        one.send(request("POST", "/both", &[JSON, CHUNKED, ("accept", accept)], b""));
        let mut call = stage.backend.call();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let mut body = None;
        for number in 0..4 {
            let element = format!("{{\"a\":\"n{number}\"}}");
            assert!(client.send(&mut sending, element.as_bytes(), false));
            let message = other.message();
            assert!(!other.has_more());
            other.send(message);
            if let Some(response) = response.take() {
                body = Some(client.head(response).expect("a head").1);
            }
            let body = body.as_mut().expect("it is set");
            while !text(&first).contains(&element) {
                first.extend(client.data(body).expect("no reset").expect("more"));
            }
            one.send(chunk(&element));
            let message = call.message();
            call.send(message);
            if number == 0 {
                assert_eq!(one.head().status, 200);
            }
            while !text(&second).contains(&element) {
                second.extend(one.chunk().expect("more"));
            }
        }
        one.send("0\r\n\r\n");
        assert_eq!(call.came(), Came::End);
        call.end();
        assert!(client.send(&mut sending, b"\n", true));
        assert_eq!(other.came(), Came::End);
        other.end();
        first.extend(client.rest(&mut body.expect("it is set")).expect("no reset"));
        second.extend(one.chunks().0);
        for body in [&first, &second] {
            let texts: Vec<&str> = text(body).matches(|byte: char| byte.is_ascii_digit()).collect();
            assert_eq!(texts, ["0", "1", "2", "3"], "{}", text(body));
            let end = match accept {
                "application/json" => "{\"a\":\"n3\"}]\n",
                "application/x-ndjson" => "{\"a\":\"n3\"}\n",
                _ => "{\"a\":\"n3\"}\n\nevent: end\ndata: {}\n\n",
            };
            assert!(text(body).ends_with(end), "{}", text(body));
        }
    }
}

#[test]
fn a_broken_element_in_the_middle_of_both_directions_ends_the_answer() {
    let stage = Stage::led(PROTO, "");
    let mut client = Http1::connect(stage.address());
    client.send(request("POST", "/both", &[JSON, CHUNKED], b""));
    client.send(chunk(r#"{"a":"x"}"#));
    let mut call = stage.backend.call();
    let message = call.message();
    call.send(message);
    assert_eq!(client.head().status, 200);
    let mut body = client.chunk().expect("the first element");
    client.send(chunk(r#"{"zz":1}"#));
    body.extend(client.chunks().0);
    let elements: Value = serde_json::from_slice(&body).expect("it is JSON");
    assert_eq!(elements[0], json!({ "a": "x" }));
    assert_eq!(elements[1]["error"]["status"], "INVALID_ARGUMENT", "{elements}");
    broken(&mut call, "an unknown member");
}

#[test]
fn a_backend_that_answers_early_is_heard() {
    let stage = Stage::led(PROTO, "");
    // A reply, and a status, before the client has said everything.
    for fails in [false, true] {
        for target in ["/up", "/both"] {
            let mut one = Http1::connect(stage.address());
            one.send(request("POST", target, &[JSON, CHUNKED], b""));
            one.send(chunk(r#"{"a":"1"}"#));
            let mut two = Http2::connect(stage.address());
            let mut call = stage.backend.call();
            let answer = |call: &mut Led| {
                call.message();
                if fails { call.fail(7, "no more") } else { call.send(text_message(b"x")).end() }
            };
            answer(&mut call);
            // The backend takes no more.
            drop(call);
            let (response, mut sending) = two.begin("POST", target, &[JSON], false);
            assert!(two.send(&mut sending, br#"{"a":"1"}"#, false));
            let mut call = stage.backend.call();
            answer(&mut call);
            drop(call);
            for reply in [one.reply(), two.end(response).expect("no reset")] {
                let json = reply.json();
                if fails {
                    assert_eq!(
                        (reply.status, &json["error"]["message"]),
                        (403, &json!("no more")),
                        "{target}"
                    );
                } else {
                    let want = if target == "/up" { json!({ "a": "x" }) } else { json!([{ "a": "x" }]) };
                    assert_eq!((reply.status, json), (200, want), "{target}");
                }
            }
        }
    }
    until("nothing is left", || stage.backend.in_flight() == 0);
}

#[test]
fn a_client_stream_has_one_reply() {
    let stage = Stage::led(PROTO, "");
    let led = |lead: fn(&mut Led)| {
        let mut client = Http1::connect(stage.address());
        client.send(request("POST", "/up", &[JSON], b"{}"));
        lead(&mut stage.backend.call());
        client.reply()
    };
    led(|call| call.end()).assert_fault(500, "BAD_REPLY", None);
    led(|call| call.send(text_message(b"x")).send(text_message(b"y")).end()).assert_fault(
        500,
        "BAD_REPLY",
        None,
    );
    let late =
        led(|call| call.head(header_map(&[("x-early", "1")])).send(text_message(b"x")).fail(9, "late"));
    assert_eq!(
        (late.status, late.header("x-early"), &late.json()["error"]["message"]),
        (400, Some("1"), &json!("late"))
    );
    let good = led(|call| call.head(header_map(&[("x-http-code", "201")])).send(text_message(b"x")).end());
    assert_eq!((good.status, good.json()), (201, json!({ "a": "x" })));
}

#[test]
fn an_answer_before_the_end_of_the_request_is_the_last_on_its_connection() {
    let stage = Stage::led(PROTO, "");
    for (target, fails, ended) in [
        ("/up", true, false),
        ("/up", false, false),
        ("/both", true, false),
        ("/both", false, false),
        ("/up", true, true),
        ("/both", false, true),
    ] {
        let mut client = Http1::connect(stage.address());
        client.send(request("POST", target, &[JSON, CHUNKED], b""));
        client.send(chunk(r#"{"a":"x"}"#));
        let mut call = stage.backend.call();
        assert_eq!(call.came(), Came::Message(text_message(b"x").into()));
        if ended {
            client.send("0\r\n\r\n");
            assert_eq!(call.came(), Came::End);
        }
        if fails {
            call.fail(9, "no");
        } else {
            call.send(text_message(b"y")).end();
        }
        let reply = client.reply();
        let want = if ended { None } else { Some("close") };
        assert_eq!(reply.header("connection"), want, "{target} {fails} {ended}");
        if !ended {
            assert!(client.is_closed(), "{target} {fails}");
        }
    }
}
