//! google.api.HttpBody: bodies of any type, whole and in streams, both ways.

mod support;

use serde_json::{Value, json};
use support::{Behaviour, Came, Choices, Http1, Http2, Led, Reply, Stage, call, header_map, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
message File { string name = 1; google.api.HttpBody body = 2; int32 n = 3; }
message M { string name = 1; int32 n = 2; }
service S {
  rpc Get(M) returns (google.api.HttpBody) { option (google.api.http) = { get: "/get/{name}" }; }
  rpc Part(M) returns (File) { option (google.api.http) = { get: "/part" response_body: "body" }; }
  rpc Put(google.api.HttpBody) returns (M) { option (google.api.http) = { put: "/put" body: "*" }; }
  rpc Field(File) returns (M) { option (google.api.http) = { put: "/field/{name}" body: "body" }; }
  rpc Pass(google.api.HttpBody) returns (google.api.HttpBody) { option (google.api.http) = { post: "/pass" body: "*" }; }
  rpc Download(M) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/download" }; }
  rpc Parts(M) returns (stream File) { option (google.api.http) = { get: "/parts" response_body: "body" }; }
  rpc Upload(stream google.api.HttpBody) returns (M) { option (google.api.http) = { post: "/upload" body: "*" }; }
  rpc Send(stream File) returns (M) { option (google.api.http) = { post: "/send/{name}" body: "body" }; }
  rpc Mirror(stream google.api.HttpBody) returns (stream google.api.HttpBody) {
    option (google.api.http) = { post: "/mirror" body: "*" };
  }
}
"#;

const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");

fn stage(listener: &str) -> Stage {
    let behaviour = |method: &str| match method {
        "Pass" | "Mirror" => Behaviour::Echo,
        _ => Behaviour::Led,
    };
    Stage::new(PROTO, behaviour, Choices { listener, ..Choices::default() })
}

/// The bytes of an HttpBody.
fn body(content_type: &str, data: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, value) in [(1, content_type.as_bytes()), (2, data)] {
        if !value.is_empty() {
            prost::encoding::bytes::encode(number, &value.to_vec(), &mut message);
        }
    }
    message
}

/// A File whose body is this.
fn file(body: &[u8]) -> Vec<u8> {
    let mut message = vec![0x0a, 1, b'f'];
    prost::encoding::bytes::encode(2, &body.to_vec(), &mut message);
    message
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// Sends a request, leads its call, and gives the answer.
fn led(stage: &Stage, method: &str, target: &str, lead: impl FnOnce(&mut Led)) -> Reply {
    let mut client = Http1::connect(stage.address());
    client.send(request(method, target, &[], b""));
    lead(&mut stage.backend.call());
    client.read(method == "HEAD").expect("an answer")
}

/// Data that differs everywhere.
fn large(size: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_le_bytes).take(size).collect()
}

#[test]
fn a_whole_body_goes_out_as_it_is() {
    let stage = stage("");
    for (content_type, data, want) in [
        ("text/html; charset=utf-8", &b"<p>\xff\0</p>"[..], "text/html; charset=utf-8"),
        ("application/pdf", b"%PDF", "application/pdf"),
        ("application/json", b"{not json", "application/json"),
        ("", b"x", "application/octet-stream"),
        ("bad\r\ntype", b"x", "application/octet-stream"),
        ("text/plain", b"", "text/plain"),
        ("", b"", "application/octet-stream"),
    ] {
        let length = data.len().to_string();
        for (target, message) in
            [("/get/x", body(content_type, data)), ("/part", file(&body(content_type, data)))]
        {
            let reply = led(&stage, "GET", target, |call| {
                call.head(header_map(&[("etag", "e"), ("content-disposition", "inline")]));
                call.send(message.clone()).end();
            });
            assert_eq!((reply.status, &*reply.body), (200, data), "{target} {content_type:?}");
            assert_eq!(reply.header("content-type"), Some(want), "{target} {content_type:?}");
            assert_eq!((reply.header("content-length"), reply.header("etag")), (Some(&*length), Some("e")));
            assert_eq!(reply.header("content-disposition"), Some("inline"));
            let reply = led(&stage, "HEAD", target, |call| call.send(message).end());
            assert_eq!(
                (reply.header("content-type"), reply.header("content-length")),
                (Some(want), Some(&*length))
            );
        }
    }
    // A message without the field is an empty body.
    let reply = led(&stage, "GET", "/part", |call| call.send(vec![0x0a, 1, b'f']).end());
    assert_eq!(
        (reply.assert_ok().body.len(), reply.header("content-type")),
        (0, Some("application/octet-stream"))
    );
}

#[test]
fn a_reply_that_is_no_http_body_is_the_backends_fault() {
    let stage = stage("");
    for (target, message) in [
        ("/get/x", vec![0xff]),
        ("/get/x", vec![0x0a, 9, b'x']),
        ("/part", vec![0x12, 9, b'x']),
        ("/part", file(&[0xff])),
        ("/download", vec![0xff]),
    ] {
        led(&stage, "GET", target, |call| call.send(message).end()).assert_fault(
            500,
            "UNREADABLE_REPLY",
            None,
        );
    }
    assert_eq!(led(&stage, "GET", "/get/x", |call| call.fail(5, "no such")).json()["error"]["code"], 404);
}

#[test]
fn a_body_of_any_type_goes_in_as_it_is() {
    let stage = stage("");
    for (content_type, data) in [
        ("application/json", &b"{not json"[..]),
        ("application/x-www-form-urlencoded", b"a=b&c=d"),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\ncontent-disposition: form-data; name=a\r\n\r\n\xff\r\n--x--",
        ),
        ("image/png", b"\x89PNG\0"),
        ("text/plain", b""),
        ("", b"x"),
        ("", b""),
    ] {
        let headers = [("content-type", content_type)];
        let headers = if content_type.is_empty() { &[][..] } else { &headers };
        for (target, wants_name) in [("/put", false), ("/field/n%20x?n=7", true)] {
            let mut client = Http1::connect(stage.address());
            client.send(request("PUT", target, headers, data));
            let mut call = stage.backend.call();
            let message = call.message();
            assert_eq!(call.came(), Came::End);
            if wants_name {
                let want = file_json(Some(("n x", 7)), content_type, data);
                assert_eq!(stage.schema.decode(stage.schema.message("t.File"), &message), want);
            } else {
                assert_eq!(message, body(content_type, data), "{content_type:?}");
            }
            call.send(vec![0x0a, 1, b'm']).end();
            assert_eq!(client.reply().assert_ok().json(), json!({ "name": "m" }));
        }
    }
}

/// A File in the schema's JSON, with a name and a number where they are given.
fn file_json(named: Option<(&str, i32)>, content_type: &str, data: &[u8]) -> Value {
    let mut inner = json!({});
    if !content_type.is_empty() {
        inner["contentType"] = content_type.into();
    }
    if !data.is_empty() {
        inner["data"] = base64_simd::STANDARD.encode_to_string(data).into();
    }
    let mut json = json!({ "body": inner });
    if let Some((name, number)) = named {
        json["name"] = name.into();
        json["n"] = number.into();
    }
    json
}

#[test]
fn a_whole_body_has_its_limit() {
    let stage = stage("limits: { body: 10 }");
    assert_eq!(call(stage.address(), "POST", "/pass", &[], b"0123456789").assert_ok().body, b"0123456789");
    call(stage.address(), "POST", "/pass", &[], b"0123456789a").assert_fault(413, "BODY_TOO_LARGE", None);
    let mut client = Http1::connect(stage.address());
    client.send(request("POST", "/pass", &[CHUNKED], b""));
    client.send([chunk(b"012345"), chunk(b"67890")].concat());
    client.reply().assert_fault(413, "BODY_TOO_LARGE", None);
    assert_eq!(stage.backend.calls(), 1);
}

#[test]
fn a_download_comes_in_its_pieces() {
    let stage = stage("");
    for (target, in_file) in [("/download", false), ("/parts", true)] {
        let wrap = |body: Vec<u8>| if in_file { file(&body) } else { body };
        let mut client = Http1::connect(stage.address());
        client.send(request("GET", target, &[("accept", "text/event-stream")], b""));
        let mut call = stage.backend.call();
        call.head(header_map(&[("etag", "e")])).send(wrap(body("image/png", b"one")));
        let head = client.head();
        assert_eq!(
            (head.status, head.header("content-type"), head.header("etag")),
            (200, Some("image/png"), Some("e"))
        );
        assert_eq!(client.chunk().as_deref(), Some(&b"one"[..]));
        // Each while the backend holds the next; only the first says the type, and empty ones are nothing.
        call.send(wrap(body("", b""))).send(wrap(body("text/plain", b"two")));
        assert_eq!(client.chunk().as_deref(), Some(&b"two"[..]));
        call.send(wrap(body("", b"\0\xff")));
        assert_eq!(client.chunk().as_deref(), Some(&b"\0\xff"[..]));
        call.end();
        assert_eq!(client.chunks(), (Vec::new(), true));
        for (pieces, want) in [(&[][..], "application/octet-stream"), (&["text/css"], "text/css")] {
            let reply = led(&stage, "GET", target, |call| {
                for content_type in pieces {
                    call.send(wrap(body(content_type, b"")));
                }
                call.end();
            });
            assert_eq!((reply.status, reply.body.len(), reply.header("content-type")), (200, 0, Some(want)));
        }
    }
}

#[test]
fn an_error_before_the_first_piece_has_its_status() {
    let stage = stage("");
    for with_head in [false, true] {
        let reply = led(&stage, "GET", "/download", |call| {
            if with_head {
                call.head(header_map(&[("x-early", "1")]));
            }
            call.fail(5, "no such");
        });
        assert_eq!((reply.status, &reply.json()["error"]["message"]), (404, &json!("no such")));
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[test]
fn an_error_in_the_middle_cuts_the_download_off() {
    let stage = stage("");
    let fail: [fn(&mut Led); 2] = [|call| call.fail(5, "no such"), |call| _ = call.send(vec![0xff])];
    for fail in fail {
        let mut client = Http1::connect(stage.address());
        client.send(request("GET", "/download", &[], b""));
        let mut call = stage.backend.call();
        call.send(body("text/plain", b"one"));
        client.head().assert_ok();
        assert_eq!(client.chunk().as_deref(), Some(&b"one"[..]));
        fail(&mut call);
        assert_eq!(client.chunks(), (Vec::new(), false), "no last chunk");
        assert!(client.is_closed());
        let mut client = Http2::connect(stage.address());
        let (response, _) = client.begin("GET", "/download", &[], true);
        let mut call = stage.backend.call();
        call.send(body("text/plain", b"one"));
        let (_, mut data) = client.head(response).expect("a head");
        assert_eq!(client.data(&mut data).expect("no reset").as_deref(), Some(&b"one"[..]));
        fail(&mut call);
        assert!(client.rest(&mut data).expect_err("it does not end well").is_reset());
        // Nothing else on the connection is touched.
        let reply = client.call("POST", "/pass", &[], b"x");
        assert_eq!(reply.assert_ok().body, b"x");
    }
}

#[test]
fn an_upload_goes_in_its_pieces() {
    let stage = stage("");
    for (target, first, later) in
        [("/upload", body("image/png", b"one"), body("", b"two")), ("/send/n?n=7", Vec::new(), Vec::new())]
    {
        let mut client = Http1::connect(stage.address());
        client.send(request("POST", target, &[("content-type", "image/png"), CHUNKED], b""));
        client.send(chunk(b"one"));
        let mut call = stage.backend.call();
        // It has arrived before the client says more.
        let found = call.message();
        client.send(chunk(b"two"));
        let second = call.message();
        client.send("0\r\n\r\n");
        assert_eq!(call.came(), Came::End);
        if first.is_empty() {
            let decode = |message: &[u8]| stage.schema.decode(stage.schema.message("t.File"), message);
            assert_eq!(decode(&found), file_json(Some(("n", 7)), "image/png", b"one"));
            assert_eq!(decode(&second), file_json(None, "", b"two"));
        } else {
            assert_eq!((&*found, &*second), (&*first, &*later));
        }
        call.send(vec![0x0a, 1, b'm']).end();
        assert_eq!(client.reply().assert_ok().json(), json!({ "name": "m" }));
    }
    // An empty one is one empty piece.
    for headers in [
        &[("content-type", "image/png"), ("content-length", "0")][..],
        &[("content-type", "image/png"), CHUNKED],
    ] {
        let mut client = Http1::connect(stage.address());
        client.send(request("POST", "/upload", headers, b""));
        if headers.contains(&CHUNKED) {
            client.send("0\r\n\r\n");
        }
        let mut call = stage.backend.call();
        assert_eq!(call.message(), body("image/png", b""));
        assert_eq!(call.came(), Came::End);
        call.send(vec![]).end();
        client.reply().assert_ok();
    }
}

#[test]
fn an_upload_that_ends_early_is_never_complete() {
    let stage = stage("");
    for closes in [true, false] {
        for (headers, bytes) in [
            (("content-length", "100"), b"one".to_vec()),
            (CHUNKED, chunk(b"one")),
            (CHUNKED, b"40\r\none".to_vec()),
        ] {
            let mut client = Http1::connect(stage.address());
            client.send(request("POST", "/upload", &[headers], b""));
            client.send(bytes);
            let mut call = stage.backend.call();
            call.message();
            if closes {
                drop(client);
            } else {
                client.end_sending();
                if let Some(reply) = client.read(false) {
                    assert_eq!(reply.status, 400);
                }
            }
            assert_eq!(call.came(), Came::Broken);
            call.wait_gone();
        }
    }
    for reason in [h2::Reason::CANCEL, h2::Reason::NO_ERROR] {
        let mut client = Http2::connect(stage.address());
        let (_response, mut sending) = client.begin("POST", "/upload", &[], false);
        assert!(client.send(&mut sending, b"one", false));
        let mut call = stage.backend.call();
        call.message();
        sending.send_reset(reason);
        assert_eq!(call.came(), Came::Broken, "{reason:?}");
        call.wait_gone();
    }
}

#[test]
fn large_bodies_go_both_ways() {
    const SIZE: usize = 20 << 20;
    let stage = stage("limits: { body: 1MiB }");
    let data = large(SIZE);
    // A stream has no limit as a whole. Both directions at once, with every byte in its place.
    let mut client = Http1::connect(stage.address());
    let mut writer = client.writer();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let length = SIZE.to_string();
            writer.send(request("POST", "/mirror", &[("content-length", &length)], b""));
            writer.send(&data);
        });
        assert_eq!(client.head().status, 200);
        let (found, whole) = client.chunks();
        assert!(whole && found == data);
    });
    let mut client = Http2::connect(stage.address());
    let (response, mut sending) = client.begin("POST", "/upload", &[], false);
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| client.send(&mut sending, &data, true));
        let mut call = stage.backend.call();
        let mut at = 0;
        loop {
            match call.came() {
                Came::Message(message) => {
                    let piece = data_of(&message);
                    assert!(data[at..].starts_with(piece), "after {at} bytes");
                    at += piece.len();
                }
                Came::End => break,
                Came::Broken => panic!("it is broken"),
            }
        }
        assert_eq!(at, SIZE);
        assert!(sent.join().expect("it is sent"));
        call.send(vec![]).end();
    });
    client.end(response).expect("no reset").assert_ok();
}

/// The data of an HttpBody without a type.
fn data_of(message: &[u8]) -> &[u8] {
    let mut rest = message;
    let (tag, _) = prost::encoding::decode_key(&mut rest).expect("a key");
    let length = prost::encoding::decode_varint(&mut rest).expect("a length");
    assert_eq!((tag, length), (2, rest.len() as u64));
    rest
}

#[test]
fn neither_way_is_read_ahead_of_who_takes_it() {
    const PIECE: usize = 64 << 10;
    let stage = stage("");
    // A client that does not read: the backend's pieces stay with the backend.
    let mut client = Http1::connect(stage.address());
    client.send(request("GET", "/download", &[], b""));
    let mut call = stage.backend.call();
    let data = large(PIECE);
    for _ in 0..800 {
        call.send(body("text/plain", &data));
    }
    call.end();
    let settled = settle(|| stage.backend.sent());
    assert!(settled < 50 << 20, "{settled} bytes of {} have left the backend", 800 * PIECE);
    client.head().assert_ok();
    let (found, whole) = client.chunks();
    assert!(whole && found.len() == 800 * PIECE && found.chunks(PIECE).all(|piece| piece == data));
    // A backend that does not read: the client's bytes stay with the client.
    let mut client = Http1::connect(stage.address());
    let mut writer = client.writer();
    client.send(request("POST", "/upload", &[("content-length", &(800 * PIECE).to_string())], b""));
    let sent = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..800 {
                writer.send(&data);
                sent.fetch_add(PIECE, std::sync::atomic::Ordering::SeqCst);
            }
        });
        let mut call = stage.backend.call();
        let settled = settle(|| sent.load(std::sync::atomic::Ordering::SeqCst));
        assert!(settled < 50 << 20, "{settled} bytes of {} have left the client", 800 * PIECE);
        while call.came() != Came::End {}
        call.send(vec![]).end();
        client.reply().assert_ok();
    });
}

/// Waits until a counter stands still, and gives what it says.
fn settle(mut count: impl FnMut() -> usize) -> usize {
    let mut last = usize::MAX;
    let mut still = 0;
    until("it stands still", || {
        let now = count();
        still = if now == last { still + 1 } else { 0 };
        last = now;
        now > 0 && still > 40
    });
    last
}
