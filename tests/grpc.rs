//! Native gRPC through the gateway: frames, metadata and statuses pass as they are, both ways, and nobody waits for a
//! call that somebody gave up.

mod support;

use bytes::Bytes;
use h2::Reason;
use http::HeaderMap;
use support::{
    Behaviour, Came, Choices, Gateway, Http2, Led, Live, Reply, Schema, Scripted, Stage, Step, call, frame,
    header_map, until,
};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; bytes data = 2; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Down(M) returns (stream M);
  rpc Up(stream M) returns (M);
  rpc Both(stream M) returns (stream M);
}
"#;

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    GRPC.iter().chain(more).copied().collect()
}

fn status(headers: &HeaderMap) -> &str {
    headers.get("grpc-status").map_or("", |status| status.to_str().expect("a status in ASCII"))
}

/// A call whose whole request is one message, and what the backend sees of it.
fn begin(stage: &Stage, client: &mut Http2, path: &str, message: &[u8]) -> (h2::client::ResponseFuture, Led) {
    let (response, mut stream) = client.begin("POST", path, &GRPC, false);
    assert!(client.send(&mut stream, &frame(message), true));
    client.settle();
    (response, stage.backend.call())
}

#[test]
fn a_unary_call_passes_with_metadata_and_trailers() {
    let stage = Stage::led(PROTO, "");
    let mut client = Http2::connect(stage.address());
    let headers = with(&[
        ("x-tenant", "a"),
        ("trace-bin", "AAE"),
        ("grpc-trace-bin", "AAE"),
        ("grpc-accept-encoding", "gzip"),
        ("grpc-timeout", "10S"),
        ("grpc-previous-rpc-attempts", "7"),
    ]);
    let (response, mut stream) = client.begin("POST", "/t.S/Get", &headers, false);
    assert!(client.send(&mut stream, &frame(b"\x0a\x01x"), true));
    client.settle();
    let mut led = stage.backend.call();
    assert_eq!(led.path, "/t.S/Get");
    for (name, value) in [("x-tenant", "a"), ("trace-bin", "AAE"), ("grpc-trace-bin", "AAE")] {
        assert_eq!(led.metadata[name], value);
    }
    assert!(led.metadata.get("grpc-previous-rpc-attempts").is_none());
    let left = led.metadata["grpc-timeout"].to_str().unwrap().to_owned();
    assert!(left.ends_with('u') && left.len() == 8, "{left} is a little less than 10 s");
    assert_eq!(led.message(), &b"\x0a\x01x"[..]);
    assert_eq!(led.came(), Came::End);
    led.head(header_map(&[("x-initial", "1"), ("i-bin", "AA")]));
    led.send(&b"\x0a\x01y"[..]);
    led.end_with(header_map(&[("x-trailing", "2")]));
    let reply = client.end(response).unwrap();
    assert_eq!((reply.status, &*reply.body), (200, &*frame(b"\x0a\x01y")));
    assert_eq!(reply.header("content-type"), Some("application/grpc"));
    assert_eq!((reply.header("x-initial"), reply.header("i-bin")), (Some("1"), Some("AA")));
    assert_eq!((status(&reply.trailers), reply.trailers["x-trailing"].to_str().unwrap()), ("0", "2"));
    assert!(reply.header("x-request-id").is_some());
}

#[test]
fn all_kinds_of_streams_pass_message_by_message() {
    let stage = Stage::led(PROTO, "");
    let mut client = Http2::connect(stage.address());
    let (response, mut stream) = client.begin("POST", "/t.S/Both", &GRPC, false);
    let mut led = stage.backend.call();
    led.head(HeaderMap::new());
    let (head, mut body) = client.head(response).unwrap();
    assert_eq!(head.status, 200);
    for text in [&b"\x0a\x01a"[..], b"", b"\x0a\x01b"] {
        assert!(client.send(&mut stream, &frame(text), false));
        client.settle();
        assert_eq!(led.message(), text);
        led.send(text.to_vec());
        assert_eq!(client.data(&mut body).unwrap().unwrap(), &*frame(text));
    }
    stream.send_data(Bytes::new(), true).unwrap();
    client.settle();
    assert_eq!(led.came(), Came::End);
    led.end();
    assert_eq!(client.data(&mut body).unwrap(), None);

    let (response, mut led) = begin(&stage, &mut client, "/t.S/Down", b"");
    led.send(&b"\x0a\x01a"[..]).send(&b"\x0a\x01b"[..]).end();
    let reply = client.end(response).unwrap();
    assert_eq!(reply.body, [frame(b"\x0a\x01a"), frame(b"\x0a\x01b")].concat());
    assert_eq!(status(&reply.trailers), "0");

    let (response, mut stream) = client.begin("POST", "/t.S/Up", &GRPC, false);
    assert!(client.send(&mut stream, &[frame(b"\x0a\x01a"), frame(b"\x0a\x01b")].concat(), true));
    client.settle();
    let mut led = stage.backend.call();
    assert_eq!(
        (led.message(), led.message()),
        (Bytes::from_static(b"\x0a\x01a"), Bytes::from_static(b"\x0a\x01b"))
    );
    led.send(&b"\x0a\x01c"[..]).end();
    assert_eq!(client.end(response).unwrap().body, frame(b"\x0a\x01c"));
}

#[test]
fn compressed_messages_are_nobodys_business_here() {
    let stage = Stage::led(PROTO, "");
    let script = vec![
        Step::Head(200, &[("content-type", "application/grpc+proto"), ("grpc-encoding", "gzip")], false),
        Step::Data(b"\x01\0\0\0\x02zz".to_vec()),
        Step::Trailers(&[("grpc-status", "0")]),
    ];
    let backend = Scripted::start(vec![script], None);
    let gateway =
        Gateway::start(&Choices::default().yaml(&stage.schema, backend.address), stage.schema.folder());
    let reply = Http2::connect(gateway.address).call("POST", "/t.S/Get", &GRPC, b"\x01\0\0\0\x01z");
    assert_eq!((&*reply.body, status(&reply.trailers)), (&b"\x01\0\0\0\x02zz"[..], "0"));
    assert_eq!(reply.header("grpc-encoding"), Some("gzip"));
    assert_eq!(reply.header("content-type"), Some("application/grpc+proto"));
}

#[test]
fn a_backends_status_passes_in_its_own_words() {
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(vec![vec![Step::Hang]], None);
    let gateway = Gateway::start(&Choices::default().yaml(&schema, backend.address), schema.folder());
    let mut client = Http2::connect(gateway.address);
    // Trailers-only: the status is among the headers.
    backend.play(vec![Step::Head(
        200,
        &[
            ("content-type", "application/grpc"),
            ("grpc-status", "5"),
            ("grpc-message", "%C3%A4"),
            ("grpc-status-details-bin", "CAUSAWE"),
            ("x-own", "1"),
        ],
        true,
    )]);
    let reply = client.call("POST", "/t.S/Get", &GRPC, &frame(b""));
    assert_eq!((status(&reply.headers), reply.header("grpc-message")), ("5", Some("%C3%A4")));
    assert_eq!(reply.header("grpc-status-details-bin"), Some("CAUSAWE"));
    assert_eq!(reply.header("x-own"), Some("1"));
    assert!(reply.trailers.is_empty());
    // After the head, and after a message.
    for data in [false, true] {
        let mut script =
            vec![Step::Head(200, &[("content-type", "application/grpc"), ("x-own", "1")], false)];
        if data {
            script.push(Step::Data(frame(b"")));
        }
        script.push(Step::Trailers(&[("grpc-status", "99"), ("grpc-message", "odd"), ("x-late", "2")]));
        backend.play(script);
        for path in ["/t.S/Get", "/t.S/Down"] {
            let reply = client.call("POST", path, &GRPC, &frame(b""));
            assert_eq!(reply.header("x-own"), Some("1"), "{path}");
            assert_eq!(reply.body, if data { frame(b"") } else { Vec::new() });
            assert_eq!(
                (status(&reply.trailers), &reply.trailers["grpc-message"]),
                ("99", &"odd".parse().unwrap())
            );
            assert_eq!(reply.trailers["x-late"], "2");
        }
    }
}

#[test]
fn what_is_no_grpc_becomes_a_status() {
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(vec![vec![Step::Hang]], None);
    let gateway = Gateway::start(&Choices::default().yaml(&schema, backend.address), schema.folder());
    let mut client = Http2::connect(gateway.address);
    let head = || Step::Head(200, &[("content-type", "application/grpc")], false);
    let ok = || Step::Trailers(&[("grpc-status", "0")]);
    // Script, and the code of unary and of streaming methods.
    let cases: Vec<(Vec<Step>, &str, &str)> = vec![
        (vec![Step::Head(503, &[("content-type", "text/html")], true)], "14", "14"),
        (vec![Step::Head(200, &[("content-type", "text/html")], false), Step::End], "2", "2"),
        (vec![head(), Step::End], "2", "2"),
        (vec![head(), Step::Data(frame(b"")), Step::End], "2", "2"),
        (vec![head(), Step::Reset(Reason::REFUSED_STREAM)], "14", "14"),
        (vec![head(), Step::Data(frame(b"")), Step::Reset(Reason::CANCEL)], "1", "1"),
        (vec![head(), Step::Data(frame(b"")), Step::Cut], "14", "14"),
        (vec![head(), ok()], "13", "0"),
        (vec![head(), Step::Data([frame(b""), frame(b"")].concat()), ok()], "13", "0"),
        (vec![head(), Step::Data(b"\0\0\0\0\x05ab".to_vec()), ok()], "13", "13"),
        (vec![head(), Step::Data(b"\x40\0\0\0\0".to_vec()), ok()], "13", "13"),
    ];
    for (script, unary, stream) in cases {
        for (path, want) in [("/t.S/Get", unary), ("/t.S/Down", stream)] {
            backend.play(script.clone());
            until("the backend is connected", || {
                let reply = client.call("POST", path, &GRPC, &frame(b""));
                let told = if reply.trailers.is_empty() { &reply.headers } else { &reply.trailers };
                // A connection that was cut is replaced in the background.
                let again = status(told) == "14" && want != "14";
                if !again {
                    assert_eq!(status(told), want, "{path} {script:?} {reply:?}");
                }
                !again
            });
        }
    }
}

/// The status of a reply without trailers, and the reason of the gateway's own fault.
fn own_fault(reply: &Reply) -> (String, String) {
    assert_eq!((reply.status, &*reply.body), (200, &b""[..]));
    assert_eq!(reply.header("content-type"), Some("application/grpc"));
    let details = reply.headers["grpc-status-details-bin"].as_bytes();
    let details = base64_simd::STANDARD_NO_PAD.decode_to_vec(details).expect("base64");
    let text = String::from_utf8_lossy(&details).into_owned();
    assert!(text.contains("google.rpc.ErrorInfo") && text.contains("transom"), "{text}");
    (status(&reply.headers).to_owned(), text)
}

#[test]
fn the_gateways_own_faults_are_statuses() {
    let stage = Stage::led(PROTO, "limits: { body: 10B }");
    let mut client = Http2::connect(stage.address());
    for (method, path, body, code, reason) in [
        ("POST", "/t.S/None", &b""[..], "12", "NO_ROUTE"),
        ("POST", "/t.S/get", b"", "12", "NO_ROUTE"),
        ("POST", "//t.S/Get", b"", "12", "NO_ROUTE"),
        ("POST", "/t.S/Get/", b"", "12", "NO_ROUTE"),
        ("POST", "/t.S/%47et", b"", "12", "NO_ROUTE"),
        ("POST", "/g", b"", "12", "NO_ROUTE"),
        ("PUT", "/t.S/Get", b"", "12", "WRONG_METHOD"),
        ("POST", "/t.S/Get", b"\0\0\0\0\x0b01234567890", "8", "BODY_TOO_LARGE"),
        // Compressed, whatever it unpacks to.
        ("POST", "/t.S/Get", b"\x01\0\0\0\x0b01234567890", "8", "BODY_TOO_LARGE"),
        ("POST", "/t.S/Get", b"\x02\0\0\0\0", "3", "BAD_FRAME"),
        ("POST", "/t.S/Get", b"\0\0\0\0\x02a", "3", "INCOMPLETE_MESSAGE"),
        ("POST", "/t.S/Get", b"", "12", "MESSAGE_COUNT"),
        ("POST", "/t.S/Get", b"\0\0\0\0\0\0\0\0\0\0", "12", "MESSAGE_COUNT"),
    ] {
        let (found, details) = own_fault(&client.call(method, path, &GRPC, body));
        assert_eq!(found, code, "{method} {path}");
        assert!(details.contains(reason), "{method} {path}: {details}");
    }
    let bad = client.call("POST", "/t.S/Get", &with(&[("grpc-timeout", "x")]), &frame(b""));
    assert_eq!(own_fault(&bad).0, "3");
    // None of them has reached the backend as a whole request.
    until("nothing is left", || stage.backend.in_flight() == 0);
    let reply = call(stage.address(), "POST", "/t.S/Get", &GRPC, &frame(b""));
    assert_eq!(status(&reply.headers), "3");
    assert!(own_fault(&reply).1.contains("HTTP2_NEEDED"));
}

#[test]
fn a_deadline_ends_the_call_in_any_of_its_moments() {
    let stage = Stage::led(PROTO, "");
    let mut client = Http2::connect(stage.address());
    let headers = with(&[("grpc-timeout", "200m")]);
    for path in ["/t.S/Get", "/t.S/Both"] {
        for (head, message) in [(false, false), (true, false), (true, true)] {
            let (response, mut stream) = client.begin("POST", path, &headers, false);
            assert!(client.send(&mut stream, &frame(b""), path == "/t.S/Get"));
            client.settle();
            let mut led = stage.backend.call();
            if head {
                led.head(HeaderMap::new());
            }
            if message {
                led.send(Bytes::new());
            }
            let reply = client.end(response).unwrap();
            let told = if reply.trailers.is_empty() { &reply.headers } else { &reply.trailers };
            assert_eq!(status(told), "4", "{path} {head} {message}");
        }
    }
    until("the backend knows", || stage.backend.in_flight() == 0);
}

#[test]
fn a_client_that_leaves_is_passed_on() {
    let stage = Stage::led(PROTO, "");
    for path in ["/t.S/Get", "/t.S/Both"] {
        for answered in [false, true] {
            let mut client = Http2::connect(stage.address());
            let (response, mut stream) = client.begin("POST", path, &GRPC, false);
            assert!(client.send(&mut stream, &frame(b""), false));
            client.settle();
            let mut led = stage.backend.call();
            assert_eq!(led.message(), b"".as_slice());
            if answered {
                led.head(HeaderMap::new());
            }
            stream.send_reset(Reason::CANCEL);
            drop(response);
            client.settle();
            assert_eq!(led.came(), Came::Broken, "{path} {answered}");
            led.wait_gone();
        }
    }
    until("nothing is left", || stage.backend.in_flight() == 0);
}

#[test]
fn large_messages_pass_and_a_slow_reader_holds_its_stream_up() {
    let choices = Choices { listener: "limits: { body: 8MiB }", ..Choices::default() };
    let behave = |name: &str| if name == "Both" { Behaviour::Echo } else { Behaviour::Endless(1 << 20) };
    let stage = Stage::new(PROTO, behave, choices);
    let mut client = Http2::connect(stage.address());
    let message = vec![7; 5 << 20];
    let (response, mut stream) = client.begin("POST", "/t.S/Both", &GRPC, false);
    assert!(client.send(&mut stream, &frame(&message)[..100], false));
    let (_, mut body) = client.head(response).unwrap();
    // The echo begins when the message is whole; until then nothing comes back.
    let sent = std::thread::scope(|scope| {
        let (client, stream) = (&client, &mut stream);
        let sending = scope.spawn(move || client.send(stream, &frame(&message)[100..], true));
        let echoed = client.rest(&mut body).unwrap();
        assert_eq!(echoed.len(), (5 << 20) + 5);
        sending.join().unwrap()
    });
    assert!(sent);

    let (response, mut stream) = client.begin("POST", "/t.S/Down", &GRPC, false);
    assert!(client.send(&mut stream, &frame(b""), true));
    let (_, mut body) = client.head(response).unwrap();
    client.data(&mut body).unwrap();
    let mut sent = stage.backend.sent();
    until("the backend is held up", || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let before = std::mem::replace(&mut sent, stage.backend.sent());
        before == sent
    });
    assert!(sent < 12 << 20, "{sent} bytes were taken for a client that reads nothing");
}

#[test]
fn a_live_backend_is_needed() {
    let schema = Schema::new(PROTO);
    let nobody = Live::start(|_| Behaviour::Led);
    let address = nobody.address;
    drop(nobody);
    let gateway = Gateway::start(&Choices::default().yaml(&schema, address), schema.folder());
    let reply = Http2::connect(gateway.address).call("POST", "/t.S/Get", &GRPC, &frame(b""));
    assert_eq!(own_fault(&reply).0, "14");
}

#[test]
fn a_deadline_ends_a_stream_that_nobody_reads() {
    let stage = Stage::new(PROTO, |_| Behaviour::Endless(1 << 16), Choices::default());
    let mut client = Http2::connect(stage.address());
    let (response, mut stream) = client.begin("POST", "/t.S/Down", &with(&[("grpc-timeout", "500m")]), false);
    assert!(client.send(&mut stream, &frame(b""), true));
    let (_, mut body) = client.head(response).unwrap();
    assert_eq!(stage.backend.calls(), 1);
    until("the backend knows", || stage.backend.in_flight() == 0);
    assert_eq!(client.rest(&mut body).unwrap().first(), Some(&0));
    assert_eq!(status(&client.trailers(&mut body).unwrap()), "4");
}
