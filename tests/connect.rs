//! The Connect protocol: unary calls by POST and GET, streams in frames, errors, metadata and time-outs in its own terms,
//! over HTTP/1.1 and HTTP/2.

mod support;

use http::HeaderMap;
use prost::Message;
use serde_json::{Value, json};
use support::{
    Came, Choices, Gateway, Http1, Http2, Led, Reply, Schema, Scripted, Site, Stage, Step, call, frame,
    header_map, request, until,
};
use transom::fault::{Any, RpcStatus};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; int64 n = 2; bytes data = 3; }
message Why { string why = 1; }
service S {
  rpc Get(M) returns (M) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Set(M) returns (M);
  rpc Bound(M) returns (M) { option (google.api.http) = { post: "/t.S/Bound" body: "*" }; }
  rpc Down(M) returns (stream M);
  rpc Up(stream M) returns (M);
  rpc Both(stream M) returns (stream M);
}
"#;

const JSON: &[(&str, &str)] = &[("content-type", "application/json"), ("connect-protocol-version", "1")];
const BINARY: &[(&str, &str)] = &[("content-type", "application/proto"), ("connect-protocol-version", "1")];
const JSON_STREAM: &[(&str, &str)] = &[("content-type", "application/connect+json")];
const BINARY_STREAM: &[(&str, &str)] = &[("content-type", "application/connect+proto")];

fn with<'a>(base: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    base.iter().chain(more).copied().collect()
}

/// The messages of a stream, and what its last frame says.
#[track_caller]
fn frames(body: &[u8]) -> (Vec<Vec<u8>>, Value) {
    let (mut messages, mut rest) = (Vec::new(), body);
    loop {
        assert!(rest.len() >= 5, "a last frame: {messages:?} {rest:?}");
        let length = u32::from_be_bytes(rest[1..5].try_into().expect("a head")) as usize;
        let (frame, behind) = rest.split_at(5 + length);
        match frame[0] {
            0 => messages.push(frame[5..].to_vec()),
            2 => {
                assert!(behind.is_empty(), "nothing comes behind the last frame");
                return (messages, serde_json::from_slice(&frame[5..]).expect("JSON"));
            }
            flags => panic!("flags {flags}"),
        }
        rest = behind;
    }
}

/// The code of an error and the reason that its ErrorInfo gives, in bytes and in JSON alike.
#[track_caller]
fn reason(error: &Value) -> (String, String) {
    let info = &error["details"][0];
    assert_eq!(info["type"], "google.rpc.ErrorInfo", "{error}");
    let reason = info["debug"]["reason"].as_str().expect("a reason");
    let value = info["value"].as_str().expect("a value").as_bytes();
    let value = base64_simd::STANDARD_NO_PAD.decode_to_vec(value).expect("base64 without padding");
    assert!(String::from_utf8_lossy(&value).contains(reason), "{error}");
    (error["code"].as_str().expect("a code").to_owned(), reason.to_owned())
}

/// One call over either version of HTTP.
fn send(
    site: std::net::SocketAddr,
    version: u8,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    if version == 1 {
        call(site, "POST", target, headers, body)
    } else {
        Http2::connect(site).call("POST", target, headers, body)
    }
}

#[test]
fn unary_calls_in_both_codecs_over_both_versions() {
    let site = Site::plain(PROTO);
    for version in [1, 2] {
        let reply = send(site.address(), version, "/t.S/Set", JSON, br#"{"a":"x","n":"7"}"#);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        assert_eq!(reply.json(), json!({ "a": "x", "n": "7" }));
        let message = site.schema.encode("t.M", &json!({ "a": "x" }));
        let reply = send(site.address(), version, "/t.S/Set", BINARY, &message);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/proto")));
        assert_eq!(reply.body, message);
        let reply = send(site.address(), version, "/t.S/Set", BINARY, b"");
        assert_eq!((reply.status, &*reply.body), (200, &b""[..]));
    }
}

#[test]
fn json_without_a_version_is_connect_where_nothing_is_bound() {
    let site = Site::plain(PROTO);
    let plain = [("content-type", "application/json")];
    assert_eq!(site.call("POST", "/t.S/Set", &plain, b"{}").status, 200);
    // Errors show whose form it is.
    let own = site.call("POST", "/t.S/Set", &plain, b"{");
    assert_eq!(reason(&own.json()), ("invalid_argument".into(), "JSON_SYNTAX".into()));
    site.call("POST", "/t.S/Bound", &plain, b"{").assert_fault(400, "JSON_SYNTAX", None);
    let said = site.call("POST", "/t.S/Bound", JSON, b"{");
    assert_eq!(reason(&said.json()), ("invalid_argument".into(), "JSON_SYNTAX".into()));
    site.call("POST", "/t.S/None", &plain, b"{}").assert_fault(404, "NO_ROUTE", None);
}

#[test]
fn the_listeners_choices_hold() {
    let site = Site::with(PROTO, "json: { defaults: print, int64: numbers }");
    let reply = site.call("POST", "/t.S/Set", JSON, br#"{"n":"7"}"#);
    assert_eq!(reply.json(), json!({ "a": "", "n": 7, "data": "" }));
    let reply = site.call("POST", "/t.S/Set", JSON, br#"{"z":1}"#);
    assert_eq!(reason(&reply.json()).1, "UNKNOWN_FIELD");
    assert_eq!(reply.json()["details"][1]["debug"]["fieldViolations"][0]["field"], "z");
}

#[test]
fn queries_call_what_has_no_side_effects() {
    let site = Site::plain(PROTO);
    let message = site.schema.encode("t.M", &json!({ "a": "x y" }));
    let binary = base64_simd::URL_SAFE_NO_PAD.encode_to_string(&message);
    for (query, content_type) in [
        ("connect=v1&encoding=json&message=%7B%22a%22%3A%22x%20y%22%7D".to_owned(), "application/json"),
        ("message=%7B%22a%22:%22x+y%22%7D&other=1&encoding=json".to_owned(), "application/json"),
        (format!("connect=v1&encoding=proto&base64=1&message={binary}"), "application/proto"),
        (
            format!("connect=v1&encoding=proto&base64=1&compression=identity&message={binary}"),
            "application/proto",
        ),
    ] {
        let reply = site.get(&format!("/t.S/Get?{query}"));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(content_type)), "{query}");
        if content_type == "application/json" {
            assert_eq!(reply.json(), json!({ "a": "x y" }));
        } else {
            assert_eq!(reply.body, message);
        }
    }
    for (target, status, allow, want) in [
        ("/t.S/Set?connect=v1&encoding=json&message={}", 405, Some("POST"), "WRONG_METHOD"),
        ("/t.S/Get?connect=v1&encoding=xml&message={}", 415, None, "UNSUPPORTED_MEDIA_TYPE"),
        ("/t.S/Get?connect=v2&encoding=json&message={}", 400, None, "PROTOCOL_VERSION"),
        ("/t.S/Get?connect=v1&encoding=json", 400, None, "NO_MESSAGE"),
        ("/t.S/Get?connect=v1&encoding=json&message=*&base64=1", 400, None, "INVALID_BASE64"),
        ("/t.S/Get?connect=v1&encoding=json&message=%FF", 400, None, "JSON_UTF8"),
        ("/t.S/Get?connect=v1&encoding=json&message={}&message={}", 400, None, "DUPLICATE_PARAMETER"),
        ("/t.S/Get?connect=v1&encoding=json&message={}&compression=lzw", 501, None, "UNKNOWN_CODING"),
        ("/t.S/None?connect=v1&encoding=json&message={}", 404, None, "NO_ROUTE"),
    ] {
        let target = target.replace("{}", "%7B%7D");
        let reply = site.get(&target);
        assert_eq!((reply.status, reply.header("allow")), (status, allow), "{target}");
        assert_eq!(reason(&reply.json()).1, want, "{target}");
    }
    let put = site.call("PUT", "/t.S/Get", BINARY, b"");
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, POST")));
}

#[test]
fn requests_that_cant_be_served_are_told_so() {
    let site = Site::with(PROTO, "limits: { body: 10B }");
    for (target, headers, body, status, code, want) in [
        ("/t.S/None", JSON, &b"{}"[..], 404, "unimplemented", "NO_ROUTE"),
        (
            "/t.S/Set",
            &[("content-type", "text/plain")],
            b"",
            415,
            "invalid_argument",
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        ("/t.S/Down", JSON, b"{}", 415, "invalid_argument", "UNSUPPORTED_MEDIA_TYPE"),
        ("/t.S/Set", JSON_STREAM, b"", 415, "invalid_argument", "UNSUPPORTED_MEDIA_TYPE"),
        (
            "/t.S/Down",
            &[("content-type", "application/connect+xml")],
            b"",
            415,
            "invalid_argument",
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        ("/t.S/Set", BINARY, b"01234567890", 429, "resource_exhausted", "BODY_TOO_LARGE"),
        (
            "/t.S/Set",
            &with(JSON, &[("connect-timeout-ms", "12345678901")]),
            b"{}",
            400,
            "invalid_argument",
            "BAD_TIMEOUT",
        ),
        ("/t.S/Set", &with(JSON, &[("x-a-bin", "*")]), b"{}", 400, "invalid_argument", "BAD_BINARY_HEADER"),
        (
            "/t.S/Set",
            &with(JSON, &[("content-encoding", "lzw")]),
            b"{}",
            501,
            "unimplemented",
            "UNKNOWN_CODING",
        ),
        (
            "/t.S/Set",
            &[("content-type", "application/json"), ("connect-protocol-version", "2")],
            b"{}",
            400,
            "invalid_argument",
            "PROTOCOL_VERSION",
        ),
    ] {
        let reply = site.call("POST", target, headers, body);
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (status, Some("application/json")),
            "{target}"
        );
        assert_eq!(reason(&reply.json()), (code.to_owned(), want.to_owned()), "{target}");
    }
    // A body that ends early never is a message.
    let mut client = Http1::connect(site.address());
    client.send("POST /t.S/Set HTTP/1.1\r\nhost: t\r\ncontent-type: application/proto\r\ncontent-length: 9\r\n\r\n\n\x01x");
    client.end_sending();
    assert!(client.read(false).is_none_or(|reply| reply.status == 499));
    assert!(site.backend.take().is_empty());
}

#[test]
fn metadata_crosses_both_ways() {
    let stage = Stage::led(PROTO, "");
    let headers = with(
        BINARY,
        &[
            ("x-tenant", "a"),
            ("x-tenant", "b"),
            ("t-bin", "AAE="),
            ("connect-timeout-ms", "10000"),
            ("accept-encoding", "gzip"),
        ],
    );
    let mut client = Http1::connect(stage.address());
    client.send(request("POST", "/t.S/Set", &headers, b""));
    let mut led = stage.backend.call();
    assert_eq!((led.message().len(), led.came()), (0, Came::End));
    assert_eq!(led.metadata.get_all("x-tenant").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(led.metadata["t-bin"], "AAE=");
    let left = led.metadata["grpc-timeout"].to_str().unwrap().to_owned();
    assert!(left.ends_with('u') && left.len() == 8, "{left} is a little less than 10 s");
    for name in ["connect-protocol-version", "connect-timeout-ms", "accept-encoding"] {
        assert!(!led.metadata.contains_key(name), "{name}");
    }
    led.head(header_map(&[("x-initial", "1"), ("connect-content-encoding", "gzip")]));
    led.send(&b""[..]);
    led.end_with(header_map(&[("x-late", "2"), ("late-bin", "AA")]));
    let reply = client.reply();
    assert_eq!((reply.header("x-initial"), reply.header("connect-content-encoding")), (Some("1"), None));
    assert_eq!((reply.header("trailer-x-late"), reply.header("trailer-late-bin")), (Some("2"), Some("AA")));
    assert!(reply.header("trailer-grpc-status").is_none() && reply.header("grpc-status").is_none());
}

/// A backend that fails with details, all at once or behind its head.
fn failing(details: &'static str) -> [Vec<Step>; 2] {
    let status: &'static [(&str, &str)] = Box::leak(Box::new([
        ("grpc-status", "5"),
        ("grpc-message", "no%20such"),
        ("grpc-status-details-bin", details),
        ("x-late", "2"),
    ]));
    let at_once: &'static [(&str, &str)] =
        Box::leak([&[("content-type", "application/grpc")], status].concat().into_boxed_slice());
    let head = Step::Head(200, &[("content-type", "application/grpc"), ("x-initial", "1")], false);
    [vec![Step::Head(200, at_once, true)], vec![head, Step::Trailers(status)]]
}

#[test]
fn a_backends_status_has_details_and_metadata() {
    let schema = Schema::new(PROTO);
    // One of a type in the schema, one of a type that nobody knows.
    let known =
        Any { type_url: "type.googleapis.com/t.Why".into(), value: support::text_message(b"abc").into() };
    let unknown = Any { type_url: "x/Y".into(), value: b"\x08".as_slice().into() };
    let status = RpcStatus { code: 5, message: "no such".into(), details: vec![known, unknown] };
    let details = status.encode_to_vec();
    let details: &'static str =
        Box::leak(base64_simd::STANDARD_NO_PAD.encode_to_string(&details).into_boxed_str());
    let want = json!({ "code": "not_found", "message": "no such", "details": [
        { "type": "t.Why", "value": "CgNhYmM", "debug": { "why": "abc" } },
        { "type": "Y", "value": "CA" },
    ] });
    let backend = Scripted::start(vec![vec![Step::Hang]], None);
    let gateway = Gateway::start(&Choices::default().yaml(&schema, backend.address), schema.folder());
    for (script, initial) in failing(details).into_iter().zip([None, Some("1")]) {
        backend.play(script);
        for version in [1, 2] {
            for headers in [JSON, BINARY] {
                let body = if headers == JSON { &b"{}"[..] } else { b"" };
                let reply = send(gateway.address, version, "/t.S/Set", headers, body);
                assert_eq!((reply.status, reply.header("content-type")), (404, Some("application/json")));
                assert_eq!(reply.json(), want);
                assert_eq!((reply.header("x-initial"), reply.header("trailer-x-late")), (initial, Some("2")));
            }
            for headers in [JSON_STREAM, BINARY_STREAM] {
                for path in ["/t.S/Down", "/t.S/Up"] {
                    let body = if headers == JSON_STREAM { frame(b"{}") } else { frame(b"") };
                    let reply = send(gateway.address, version, path, headers, &body);
                    assert_eq!((reply.status, reply.header("content-type")), (200, Some(headers[0].1)));
                    assert_eq!(reply.header("x-initial"), initial, "{path} {headers:?}");
                    let end = json!({ "error": want, "metadata": { "x-late": ["2"] } });
                    assert_eq!(frames(&reply.body), (Vec::new(), end), "{path} {headers:?}");
                }
            }
        }
    }
}

/// The bytes of a message in a codec.
fn encoded(codec: &[(&str, &str)], text: &str) -> Vec<u8> {
    if codec == JSON_STREAM {
        format!("{{\"a\":\"{text}\"}}").into_bytes()
    } else {
        support::text_message(text.as_bytes())
    }
}

#[test]
fn all_kinds_of_streams_in_both_codecs() {
    let stage = Stage::led(PROTO, "");
    for codec in [JSON_STREAM, BINARY_STREAM] {
        // Both directions, message by message.
        let mut client = Http2::connect(stage.address());
        let headers = with(codec, &[("x-tenant", "a"), ("connect-timeout-ms", "60000")]);
        let (response, mut stream) = client.begin("POST", "/t.S/Both", &headers, false);
        let mut led = stage.backend.call();
        assert_eq!(
            (&led.metadata["x-tenant"], &led.metadata["content-type"]),
            (&"a".parse().unwrap(), &"application/grpc".parse().unwrap())
        );
        assert!(led.metadata.contains_key("grpc-timeout"));
        led.head(header_map(&[("x-initial", "1")]));
        let (head, mut body) = client.head(response).unwrap();
        assert_eq!((head.status.as_u16(), head.headers["content-type"].to_str().unwrap()), (200, codec[0].1));
        assert_eq!(head.headers["x-initial"], "1");
        for text in ["a", "bc"] {
            assert!(client.send(&mut stream, &frame(&encoded(codec, text)), false));
            client.settle();
            assert_eq!(led.message(), support::text_message(text.as_bytes()));
            led.send(support::text_message(text.as_bytes()));
            assert_eq!(client.data(&mut body).unwrap().unwrap(), &*frame(&encoded(codec, text)));
        }
        stream.send_data(bytes::Bytes::new(), true).unwrap();
        client.settle();
        assert_eq!(led.came(), Came::End);
        led.end_with(header_map(&[("x-late", "2")]));
        let (messages, end) = frames(&client.rest(&mut body).unwrap());
        assert_eq!((messages.len(), end), (0, json!({ "metadata": { "x-late": ["2"] } })));

        // To the client, over HTTP/1.1, and with a failure in the middle.
        let mut client = Http1::connect(stage.address());
        client.send(request("POST", "/t.S/Down", codec, &frame(&encoded(codec, "q"))));
        let mut led = stage.backend.call();
        assert_eq!(led.message(), support::text_message(b"q"));
        led.head(HeaderMap::new());
        assert_eq!(client.head().status, 200);
        led.send(support::text_message(b"x"));
        assert_eq!(client.chunk().unwrap(), frame(&encoded(codec, "x")));
        led.fail(9, "enough");
        let (messages, end) = frames(&client.chunks().0);
        assert_eq!(
            (messages.len(), &end["error"]),
            (0, &json!({ "code": "failed_precondition", "message": "enough" }))
        );

        // To the backend.
        let mut client = Http1::connect(stage.address());
        let messages = [frame(&encoded(codec, "a")), frame(&encoded(codec, ""))].concat();
        client.send(request("POST", "/t.S/Up", codec, &messages));
        let mut led = stage.backend.call();
        assert_eq!(led.message(), support::text_message(b"a"));
        let empty = led.message();
        assert!(empty.is_empty() || empty == support::text_message(b""));
        assert_eq!(led.came(), Came::End);
        led.send(support::text_message(b"r")).end();
        assert_eq!(frames(&client.reply().body), (vec![encoded(codec, "r")], json!({})));
    }
}

#[test]
fn frames_are_whole_wherever_they_are_cut() {
    let site = Site::plain(PROTO);
    let body = frame(br#"{"a":"x"}"#);
    for cut in 0..=body.len() {
        let mut client = Http1::connect(site.address());
        let mut bytes = request("POST", "/t.S/Down", JSON_STREAM, &body);
        let rest = bytes.split_off(bytes.len() - body.len() + cut);
        client.send(bytes);
        std::thread::sleep(std::time::Duration::from_millis(2));
        client.send(rest);
        let reply = client.reply();
        assert_eq!(frames(&reply.body).0, [br#"{"a":"x"}"#], "cut {cut}");
    }
}

#[test]
fn a_streams_faults_are_its_last_frame() {
    let stage = Stage::led(PROTO, "limits: { body: 10B }");
    for (path, headers, body, code, want) in [
        ("/t.S/None", JSON_STREAM, frame(b"{}"), "unimplemented", "NO_ROUTE"),
        ("/t.S/Down", JSON_STREAM, frame(b"{"), "invalid_argument", "JSON_SYNTAX"),
        ("/t.S/Down", JSON_STREAM, frame(b"01234567890"), "resource_exhausted", "BODY_TOO_LARGE"),
        ("/t.S/Down", JSON_STREAM, Vec::new(), "unimplemented", "MESSAGE_COUNT"),
        ("/t.S/Down", JSON_STREAM, [frame(b"{}"), frame(b"{}")].concat(), "unimplemented", "MESSAGE_COUNT"),
        ("/t.S/Down", JSON_STREAM, b"\0\0\0\0\x05{".to_vec(), "invalid_argument", "INCOMPLETE_MESSAGE"),
        ("/t.S/Down", BINARY_STREAM, Vec::new(), "unimplemented", "MESSAGE_COUNT"),
        ("/t.S/Down", BINARY_STREAM, [frame(b""), frame(b"")].concat(), "unimplemented", "MESSAGE_COUNT"),
        ("/t.S/Up", JSON_STREAM, b"\x01\0\0\0\x02{}".to_vec(), "invalid_argument", "BAD_FRAME"),
        ("/t.S/Up", BINARY_STREAM, b"\x02\0\0\0\x02{}".to_vec(), "invalid_argument", "BAD_FRAME"),
        ("/t.S/Both", BINARY_STREAM, b"\0\0\0\0\x05a".to_vec(), "invalid_argument", "INCOMPLETE_MESSAGE"),
        (
            "/t.S/Both",
            &with(BINARY_STREAM, &[("connect-content-encoding", "lzw")]),
            Vec::new(),
            "unimplemented",
            "UNKNOWN_CODING",
        ),
        (
            "/t.S/Both",
            &with(BINARY_STREAM, &[("connect-protocol-version", "0")]),
            Vec::new(),
            "invalid_argument",
            "PROTOCOL_VERSION",
        ),
    ] {
        let reply = send(stage.address(), 1, path, headers, &body);
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some(headers[0].1)),
            "{path} {body:?}"
        );
        let (messages, end) = frames(&reply.body);
        assert_eq!(reason(&end["error"]), (code.to_owned(), want.to_owned()), "{path} {body:?}");
        assert!(messages.is_empty() && end.get("metadata").is_none());
    }
    until("nothing is left", || stage.backend.in_flight() == 0);
}

#[test]
fn a_deadline_ends_calls_and_streams() {
    let stage = Stage::led(PROTO, "");
    let unary = with(JSON, &[("connect-timeout-ms", "200")]);
    let reply = call(stage.address(), "POST", "/t.S/Set", &unary, b"{}");
    assert_eq!((reply.status, reason(&reply.json()).0), (504, "deadline_exceeded".to_owned()));
    drop(stage.backend.call());
    for codec in [JSON_STREAM, BINARY_STREAM] {
        for (head, message) in [(false, false), (true, false), (true, true)] {
            let headers = with(codec, &[("connect-timeout-ms", "200")]);
            let mut client = Http2::connect(stage.address());
            let (response, _stream) = client.begin("POST", "/t.S/Both", &headers, false);
            let mut led = stage.backend.call();
            if head {
                led.head(HeaderMap::new());
            }
            if message {
                led.send(support::text_message(b"x"));
            }
            let reply = client.end(response).unwrap();
            let (messages, end) = frames(&reply.body);
            assert_eq!(messages.len(), usize::from(message));
            assert_eq!(end["error"]["code"], "deadline_exceeded", "{head} {message}");
        }
    }
    until("the backend knows", || stage.backend.in_flight() == 0);
}

/// Resets a stream, and waits until its backend knows.
fn leaves(client: &Http2, stream: &mut h2::SendStream<bytes::Bytes>, led: &Led) {
    stream.send_reset(h2::Reason::CANCEL);
    client.settle();
    led.wait_gone();
}

#[test]
fn a_client_that_leaves_is_passed_on() {
    let stage = Stage::led(PROTO, "");
    for codec in [JSON_STREAM, BINARY_STREAM] {
        for answered in [false, true] {
            let mut client = Http2::connect(stage.address());
            let (response, mut stream) = client.begin("POST", "/t.S/Both", codec, false);
            assert!(client.send(&mut stream, &frame(&encoded(codec, "x")), false));
            client.settle();
            let mut led = stage.backend.call();
            led.message();
            if answered {
                led.head(HeaderMap::new());
            }
            leaves(&client, &mut stream, &led);
            drop(response);
        }
    }
    until("nothing is left", || stage.backend.in_flight() == 0);
}
