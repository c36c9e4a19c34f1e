//! JSON in the frames of gRPC and gRPC-Web, for backends that speak protobuf.

mod support;

use http::HeaderMap;
use support::{Came, Http1, Http2, Stage, frame, header_map, request, text_message, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
message M { string a = 1; }
service S {
  rpc Get(M) returns (M);
  rpc Down(M) returns (stream M);
  rpc Up(stream M) returns (M);
  rpc Both(stream M) returns (stream M);
}
"#;

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc+json"), ("te", "trailers")];

fn json(text: &str) -> Vec<u8> {
    frame(format!("{{\"a\":\"{text}\"}}").as_bytes())
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map_or_else(String::new, |value| value.to_str().expect("ASCII").to_owned())
}

#[test]
fn all_kinds_of_grpc_calls_are_translated() {
    let stage = Stage::led(PROTO, "");
    let mut client = Http2::connect(stage.address());
    let headers = [&GRPC[..], &[("x-tenant", "a"), ("grpc-accept-encoding", "gzip")]].concat();
    for path in ["/t.S/Get", "/t.S/Down", "/t.S/Up", "/t.S/Both"] {
        let (response, mut stream) = client.begin("POST", path, &headers, false);
        assert!(client.send(&mut stream, &json("x"), true));
        client.settle();
        let mut led = stage.backend.call();
        assert_eq!((led.message(), led.came()), (text_message(b"x").into(), Came::End), "{path}");
        assert_eq!(text(&led.metadata, "content-type"), "application/grpc");
        assert_eq!(
            (text(&led.metadata, "x-tenant"), text(&led.metadata, "grpc-accept-encoding")),
            ("a".into(), "".into())
        );
        led.head(header_map(&[("x-initial", "1")]));
        led.send(text_message(b"y"));
        led.end_with(header_map(&[("x-late", "2")]));
        let reply = client.end(response).unwrap();
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some("application/grpc+json")),
            "{path}"
        );
        assert_eq!((reply.header("x-initial"), &reply.body), (Some("1"), &json("y")), "{path}");
        assert_eq!(
            (text(&reply.trailers, "grpc-status"), text(&reply.trailers, "x-late")),
            ("0".into(), "2".into())
        );
    }
}

#[test]
fn messages_go_both_ways_one_by_one() {
    let stage = Stage::led(PROTO, "");
    let mut client = Http2::connect(stage.address());
    let (response, mut stream) = client.begin("POST", "/t.S/Both", &GRPC, false);
    let mut led = stage.backend.call();
    led.head(HeaderMap::new());
    let (_, mut body) = client.head(response).unwrap();
    for word in ["a", "bc"] {
        assert!(client.send(&mut stream, &json(word), false));
        client.settle();
        assert_eq!(led.message(), text_message(word.as_bytes()));
        led.send(text_message(word.as_bytes()));
        assert_eq!(client.data(&mut body).unwrap().unwrap(), &*json(word));
    }
    led.fail(9, "enough");
    assert_eq!(client.data(&mut body).unwrap(), None);
    let trailers = client.trailers(&mut body).unwrap();
    assert_eq!(
        (text(&trailers, "grpc-status"), text(&trailers, "grpc-message")),
        ("9".into(), "enough".into())
    );
}

#[test]
fn failures_are_statuses() {
    let stage = Stage::led(PROTO, "limits: { body: 20B }");
    let mut client = Http2::connect(stage.address());
    for (path, body, code) in [
        ("/t.S/Get", frame(b"{"), "3"),
        ("/t.S/Get", frame(b"{\"z\":1}"), "3"),
        ("/t.S/Get", Vec::new(), "12"),
        ("/t.S/Get", [frame(b"{}"), frame(b"{}")].concat(), "12"),
        ("/t.S/Get", frame(&[b' '; 21]), "8"),
        ("/t.S/Get", b"\x01\0\0\0\x02{}".to_vec(), "3"),
        ("/t.S/Get", b"\0\0\0\0\x02{".to_vec(), "3"),
        ("/t.S/Both", b"\0\0\0\0\x02{".to_vec(), "3"),
        ("/t.S/Both", frame(b"]"), "3"),
    ] {
        let reply = client.call("POST", path, &GRPC, &body);
        assert_eq!(reply.header("content-type"), Some("application/grpc+json"));
        assert_eq!(text(&reply.headers, "grpc-status"), code, "{path} {body:?} {reply:?}");
    }
    until("nothing is left", || stage.backend.in_flight() == 0);
    // A backend's own words, behind its initial metadata.
    let stage = Stage::led(PROTO, "");
    let mut client = Http2::connect(stage.address());
    let (response, mut stream) = client.begin("POST", "/t.S/Get", &GRPC, false);
    assert!(client.send(&mut stream, &json("x"), true));
    let mut led = stage.backend.call();
    led.head(header_map(&[("x-initial", "1")]));
    led.fail(5, "gone");
    let reply = client.end(response).unwrap();
    assert_eq!(
        (text(&reply.trailers, "grpc-status"), text(&reply.trailers, "grpc-message")),
        ("5".into(), "gone".into())
    );
    assert_eq!(reply.header("x-initial"), Some("1"));
}

#[test]
fn deadlines_and_clients_that_leave_end_translated_calls() {
    let stage = Stage::led(PROTO, "");
    let mut client = Http2::connect(stage.address());
    let headers = [&GRPC[..], &[("grpc-timeout", "200m")]].concat();
    let (response, _stream) = client.begin("POST", "/t.S/Both", &headers, false);
    let mut led = stage.backend.call();
    led.send(text_message(b"x"));
    let reply = client.end(response).unwrap();
    assert_eq!((reply.body, text(&reply.trailers, "grpc-status")), (json("x"), "4".into()));
    led.wait_gone();
    let (response, mut stream) = client.begin("POST", "/t.S/Both", &GRPC, false);
    let led = stage.backend.call();
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    client.settle();
    led.wait_gone();
    until("nothing is left", || stage.backend.in_flight() == 0);
}

#[test]
fn grpc_web_is_translated_in_both_forms() {
    let stage = Stage::led(PROTO, "");
    for form in ["application/grpc-web+json", "application/grpc-web-text+json"] {
        let encode = |bytes: &[u8]| {
            if form.contains("text") {
                base64_simd::STANDARD.encode_to_string(bytes).into_bytes()
            } else {
                bytes.to_vec()
            }
        };
        for path in ["/t.S/Get", "/t.S/Down"] {
            let mut client = Http1::connect(stage.address());
            client.send(request("POST", path, &[("content-type", form)], &encode(&json("x"))));
            let mut led = stage.backend.call();
            assert_eq!(led.message(), text_message(b"x"));
            led.send(text_message(b"y")).end();
            let reply = client.reply();
            assert_eq!((reply.status, reply.header("content-type")), (200, Some(form)));
            let body = if form.contains("text") {
                let groups = reply.body.chunks(4);
                groups.flat_map(|group| base64_simd::STANDARD.decode_to_vec(group).expect("base64")).collect()
            } else {
                reply.body
            };
            let last = body.strip_prefix(&*json("y")).expect("the message");
            assert_eq!(
                (last[0], String::from_utf8_lossy(&last[5..]).contains("grpc-status: 0\r\n")),
                (0x80, true),
                "{path}"
            );
        }
    }
}
