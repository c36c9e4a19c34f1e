//! WebSockets: JSON text frames both ways, the status as the last frame and in the close code, and origins that may not.

mod support;

use std::net::{SocketAddr, TcpStream};

use http::HeaderMap;
use serde_json::{Value, json};
use support::{Behaviour, Came, Choices, Led, PATIENCE, Stage, header_map, text_message, until};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; int32 n = 2; repeated M subs = 3; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g/{a}" }; }
  rpc Put(M) returns (M) { option (google.api.http) = { put: "/p/{n}" body: "*" }; }
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/down" response_body: "subs" }; }
  rpc Up(stream M) returns (M);
  rpc Both(stream M) returns (stream M) { option (google.api.http) = { post: "/both/{n}" body: "*" }; }
}
"#;

type Socket = WebSocket<TcpStream>;

fn connect(
    address: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Socket, Response), Error> {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("an open socket");
    let mut request = format!("ws://transom.test{path}").into_client_request().expect("a request");
    request.headers_mut().extend(header_map(headers));
    client(request, stream).map_err(|error| match error {
        tokio_tungstenite::tungstenite::HandshakeError::Failure(error) => error,
        other @ tokio_tungstenite::tungstenite::HandshakeError::Interrupted(_) => panic!("{other}"),
    })
}

fn open(stage: &Stage, path: &str, headers: &[(&'static str, &str)]) -> Socket {
    connect(stage.address(), path, headers).unwrap_or_else(|error| panic!("{path}: {error}")).0
}

fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).expect("an open socket");
}

/// The next text frame.
#[track_caller]
fn hear(socket: &mut Socket) -> Value {
    loop {
        match socket.read().expect("a frame") {
            Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The status in the last frame, and the close code behind it.
#[track_caller]
fn end(socket: &mut Socket) -> (Value, u16) {
    let last = hear(socket);
    let Message::Close(Some(close)) = socket.read().expect("a close frame") else { panic!("no close frame") };
    (last, close.code.into())
}

#[test]
fn both_sides_talk_at_once_at_either_path() {
    let stage = Stage::led(PROTO, "");
    for (path, first) in
        [("/t.S/Both", json!({})), ("/t.S/Both?token=secret", json!({})), ("/both/7", json!({ "n": 7 }))]
    {
        let mut socket = open(&stage, path, &[("x-tenant", "a"), ("x-a-bin", "AA")]);
        let mut led: Led = stage.backend.call();
        assert_eq!((led.path.as_str(), &led.metadata["x-tenant"]), ("/t.S/Both", &"a".parse().unwrap()));
        assert!(!led.metadata.keys().any(|name| name.as_str().starts_with("sec-websocket")));
        led.head(header_map(&[("x-initial", "1")]));
        for (turn, text) in ["x", "", "yy"].into_iter().enumerate() {
            say(&mut socket, &json!({ "a": text }).to_string());
            let mut want = if turn == 0 { first.clone() } else { json!({}) };
            if !text.is_empty() {
                want["a"] = json!(text);
            }
            assert_eq!(stage.schema.decode(stage.schema.message("t.M"), &led.message()), want, "{path}");
            led.send(text_message(text.as_bytes()));
            let answer = hear(&mut socket);
            assert_eq!(answer, if text.is_empty() { json!({}) } else { json!({ "a": text }) });
        }
        assert!(!led.has_more());
        say(&mut socket, "");
        assert_eq!(led.came(), Came::End);
        led.send(text_message(b"last")).end_with(header_map(&[("x-late", "2")]));
        assert_eq!(hear(&mut socket), json!({ "a": "last" }));
        let (status, code) = end(&mut socket);
        let want = json!({
            "@status": { "code": 0, "status": "OK" }, "headers": { "x-initial": ["1"] }, "trailers": { "x-late": ["2"] },
        });
        assert_eq!((status, code), (want, 1000));
    }
    until("nothing is left", || stage.backend.in_flight() == 0);
}

#[test]
fn methods_of_one_request_need_no_half_close() {
    let stage = Stage::led(PROTO, "");
    // By the URL alone, by the URL and a frame, by a frame alone.
    for (path, text, request) in [
        ("/g/x?n=3", None, json!({ "a": "x", "n": 3 })),
        ("/p/4", Some(r#"{"a":"y"}"#), json!({ "a": "y", "n": 4 })),
        ("/t.S/Get", Some(r#"{"a":"z"}"#), json!({ "a": "z" })),
    ] {
        let mut socket = open(&stage, path, &[]);
        if let Some(text) = text {
            say(&mut socket, text);
        }
        let mut led = stage.backend.call();
        assert_eq!(stage.schema.decode(stage.schema.message("t.M"), &led.message()), request, "{path}");
        assert_eq!(led.came(), Came::End);
        led.send(text_message(b"r")).end();
        assert_eq!(hear(&mut socket), json!({ "a": "r" }), "{path}");
        assert_eq!(end(&mut socket), (json!({ "@status": { "code": 0, "status": "OK" } }), 1000));
    }
    let mut socket = open(&stage, "/down", &[]);
    let mut led = stage.backend.call();
    let list = stage.schema.encode("t.M", &json!({ "subs": [{ "a": "1" }, { "a": "2" }] }));
    led.send(list).end();
    assert_eq!(hear(&mut socket), json!([{ "a": "1" }, { "a": "2" }]));
    assert_eq!(end(&mut socket).1, 1000);
    let mut socket = open(&stage, "/t.S/Up", &[]);
    say(&mut socket, r#"{"a":"1"}"#);
    let mut led = stage.backend.call();
    led.message();
    led.send(text_message(b"enough")).end();
    assert_eq!(hear(&mut socket), json!({ "a": "enough" }));
    assert_eq!(end(&mut socket).1, 1000);
}

#[test]
fn failures_are_the_last_frame() {
    let stage = Stage::led(PROTO, "limits: { body: 64B }");
    // What the backend says, before and behind a message.
    for messages in [0, 1] {
        let mut socket = open(&stage, "/t.S/Both", &[]);
        let mut led = stage.backend.call();
        for _ in 0..messages {
            led.send(text_message(b"x"));
            assert_eq!(hear(&mut socket), json!({ "a": "x" }));
        }
        led.fail(5, "gone");
        let (status, code) = end(&mut socket);
        assert_eq!(
            (&status["@status"]["code"], &status["@status"]["message"], code),
            (&json!(5), &json!("gone"), 4005)
        );
        assert_eq!(status["@status"]["status"], "NOT_FOUND");
    }
    // What the client does wrong.
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(100));
    let cases = [
        ("/t.S/Both", Message::text("{"), 3, 4003, "JSON_SYNTAX"),
        ("/t.S/Both", Message::text(r#"{"b":1}"#), 3, 4003, "UNKNOWN_FIELD"),
        ("/t.S/Both", Message::binary(b"{}".to_vec()), 3, 1003, "BINARY_FRAME"),
        ("/t.S/Both", Message::text(long), 8, 1009, "BODY_TOO_LARGE"),
        ("/g/1", Message::text("{}"), 3, 4003, "UNEXPECTED_MESSAGE"),
    ];
    for (path, frame, number, close, reason) in cases {
        let mut socket = open(&stage, path, &[]);
        let led = stage.backend.call();
        socket.send(frame).expect("an open socket");
        let (status, code) = end(&mut socket);
        assert_eq!((&status["@status"]["code"], code), (&json!(number), close), "{status}");
        assert_eq!(status["@status"]["details"][0]["reason"], reason, "{status}");
        led.wait_gone();
    }
    let mut socket = open(&stage, "/t.S/Both", &[("grpc-timeout", "100m")]);
    let (status, code) = end(&mut socket);
    assert_eq!((&status["@status"]["code"], code), (&json!(4), 4004));
    until("nothing is left", || stage.backend.in_flight() == 0);
}

#[test]
fn a_client_that_leaves_is_passed_on() {
    let stage = Stage::led(PROTO, "");
    for politely in [false, true] {
        let mut socket = open(&stage, "/t.S/Both", &[]);
        let mut led = stage.backend.call();
        led.head(HeaderMap::new());
        if politely {
            socket.close(None).expect("an open socket");
            while socket.read().is_ok() {}
        } else {
            drop(socket);
        }
        led.wait_gone();
    }
    until("nothing is left", || stage.backend.in_flight() == 0);
}

#[test]
fn silence_is_not_endless() {
    let stage = Stage::led(PROTO, "websocket: { ping: 100ms, idle: 60s }");
    let mut socket = open(&stage, "/t.S/Both", &[]);
    let mut led = stage.backend.call();
    // A client that reads answers pings by itself, and stays for longer than one that says nothing.
    for _ in 0..6 {
        assert!(matches!(socket.read().expect("a ping"), Message::Ping(_)));
        socket.flush().expect("an open socket");
    }
    led.send(text_message(b"x"));
    assert_eq!(hear(&mut socket), json!({ "a": "x" }));
    // From here on it says nothing more.
    led.wait_gone();
    let stage = Stage::led(PROTO, "websocket: { ping: 60s, idle: 100ms }");
    let mut socket = open(&stage, "/t.S/Both", &[]);
    let (status, code) = end(&mut socket);
    assert_eq!((&status["@status"]["details"][0]["reason"], code), (&json!("IDLE"), 4004));
}

#[test]
fn a_slow_reader_holds_its_backend_up() {
    let stage = Stage::new(PROTO, |_| Behaviour::Endless(64 << 10), Choices::default());
    let mut socket = open(&stage, "/t.S/Down", &[]);
    say(&mut socket, "{}");
    let mut sent = usize::MAX;
    until("the backend is held up", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let before = std::mem::replace(&mut sent, stage.backend.sent());
        before == sent
    });
    assert!(sent < 16 << 20, "{sent} bytes were taken for a client that reads nothing");
    drop(socket);
    until("it is let go", || stage.backend.in_flight() == 0);
}

fn refused(result: Result<(Socket, Response), Error>) -> (u16, String) {
    match result {
        Err(Error::Http(response)) => {
            let body = String::from_utf8(response.body().clone().unwrap_or_default()).expect("text");
            (response.status().as_u16(), body)
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

#[test]
fn what_can_be_no_websocket_is_told_by_http() {
    let stage = Stage::led(PROTO, "cors: { origins: ['https://app.example'] }");
    let at = |path: &str, headers: &[(&'static str, &str)]| connect(stage.address(), path, headers);
    let (status, body) = refused(at("/t.S/Both", &[("origin", "https://evil.example")]));
    assert_eq!(status, 403);
    assert!(body.contains("ORIGIN_NOT_ALLOWED"), "{body}");
    for origin in ["https://app.example", "http://transom.test", "https://transom.test"] {
        at("/t.S/Both", &[("origin", origin)]).expect("its origin may");
    }
    let (status, body) = refused(at("/nowhere", &[]));
    assert!(status == 404 && body.contains("NO_ROUTE"), "{status} {body}");
    let (status, body) = refused(at("/g/1?b=1", &[]));
    assert!(status == 400 && body.contains("UNKNOWN_PARAMETER"), "{status} {body}");
    let (status, _) = refused(at("/t.S/Both", &[("grpc-timeout", "x")]));
    assert_eq!(status, 400);
    let (_, response) =
        at("/t.S/Both", &[("sec-websocket-protocol", "other, transom.v1.json")]).expect("accepted");
    assert_eq!(response.headers()["sec-websocket-protocol"], "transom.v1.json");
    let bad = support::call(
        stage.address(),
        "GET",
        "/t.S/Both",
        &[("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "12")],
        b"",
    );
    bad.assert_fault(400, "BAD_HANDSHAKE", Some("sec-websocket-version"));
    let stage = Stage::led(PROTO, "websocket: off");
    let (status, body) = refused(connect(stage.address(), "/t.S/Both", &[]));
    assert!(status == 404 && body.contains("NO_WEBSOCKET"), "{status} {body}");
}

#[test]
fn a_gateway_that_stops_says_so() {
    let stage = Stage::led(PROTO, "");
    let mut socket = open(&stage, "/t.S/Both", &[]);
    let _led = stage.backend.call();
    let Stage { gateway, backend, schema: _schema } = stage;
    let stopping = std::thread::spawn(move || drop(gateway));
    let (status, code) = end(&mut socket);
    assert_eq!((&status["@status"]["status"], code), (&json!("UNAVAILABLE"), 1001));
    stopping.join().expect("it stops");
    drop(backend);
}
