//! Compressed requests and answers over REST: each coding both ways, whole and in streams, and where it is left alone.

mod support;

use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};
use support::{
    Answer, Came, Choices, Gateway, Http1, Http2, Led, Reply, Schema, Site, Stage, header_map, problems_of,
    request, text_message,
};
use transom::protocol::compression::{Allowance, Coding, Decoder, Level, compress, decompress};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
message M { string a = 1; int32 n = 2; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/get" additional_bindings { post: "/none" } }; }
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/post" body: "*" }; }
  rpc Down(M) returns (stream M) { option (google.api.http) = { post: "/down" body: "*" }; }
  rpc Up(stream M) returns (M) { option (google.api.http) = { post: "/up" body: "*" }; }
  rpc Raw(google.api.HttpBody) returns (google.api.HttpBody) { option (google.api.http) = { post: "/raw" body: "*" }; }
  rpc RawUp(stream google.api.HttpBody) returns (M) { option (google.api.http) = { post: "/rawup" body: "*" }; }
  rpc RawDown(M) returns (stream google.api.HttpBody) { option (google.api.http) = { post: "/rawdown" }; }
}
"#;

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");
const ON: &str = "compression: on";

fn coded(coding: Coding) -> (&'static str, &'static str) {
    ("content-encoding", coding.name())
}

fn accept(coding: Coding) -> (&'static str, &'static str) {
    ("accept-encoding", coding.name())
}

fn pack(coding: Coding, data: impl AsRef<[u8]>) -> Vec<u8> {
    compress(coding, Level::Balanced, data.as_ref()).expect("there is memory")
}

fn unpack(coding: Coding, data: &[u8]) -> Vec<u8> {
    let data = Bytes::copy_from_slice(data);
    decompress(coding, data, 64 << 20).expect("it is whole").to_vec()
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The bytes of an HttpBody.
fn raw(content_type: &str, data: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, value) in [(1, content_type.as_bytes()), (2, data)] {
        if !value.is_empty() {
            prost::encoding::bytes::encode(number, &value.to_vec(), &mut message);
        }
    }
    message
}

fn led(call: &mut Led) -> Vec<Bytes> {
    let mut messages = Vec::new();
    loop {
        match call.came() {
            Came::Message(message) => messages.push(message),
            Came::End => return messages,
            Came::Broken => panic!("the request is incomplete"),
        }
    }
}

#[test]
fn unary_requests_are_unpacked() {
    let site = Site::plain(PROTO);
    for coding in Coding::ALL {
        let want = json!({ "a": "x".repeat(3000), "n": 5 });
        let body = pack(coding, want.to_string());
        let seen = site.seen("POST", "/post", &[JSON, coded(coding)], &body);
        assert_eq!(seen.json(), want, "{coding:?}");
        assert_eq!(seen.header("content-encoding"), None);
        let seen = site.seen("POST", "/post", &[FORM, coded(coding)], &pack(coding, "a=y+z&n=7"));
        assert_eq!(seen.json(), json!({ "a": "y z", "n": 7 }), "{coding:?}");
        // The bytes of a raw body are those that are meant, in whatever way they travel.
        let headers = [("content-type", "text/csv"), coded(coding)];
        let seen = site.seen("POST", "/raw", &headers, &pack(coding, "a;b\n"));
        assert_eq!(seen.message, raw("text/csv", b"a;b\n"), "{coding:?}");
    }
}

#[test]
fn a_packed_body_comes_in_any_pieces() {
    let site = Site::plain(PROTO);
    for coding in Coding::ALL {
        let body = pack(coding, r#"{"a":"in pieces"}"#);
        for size in [1, 7, 1000] {
            let mut client = Http1::connect(site.address());
            client.send(request("POST", "/post", &[JSON, CHUNKED, coded(coding)], b""));
            for piece in body.chunks(size) {
                client.send(chunk(piece));
            }
            client.send("0\r\n\r\n");
            assert_eq!(client.reply().assert_ok().json(), json!({ "a": "in pieces" }), "{coding:?} {size}");
        }
        let mut client = site.http2();
        let reply = client.call("POST", "/post", &[JSON, coded(coding)], &body);
        assert_eq!(reply.assert_ok().json(), json!({ "a": "in pieces" }), "{coding:?}");
    }
}

#[test]
fn the_names_of_codings() {
    let site = Site::plain(PROTO);
    let gzip = pack(Coding::Gzip, "{}");
    let cases: &[(&[&str], &[u8], bool)] = &[
        (&["identity"], b"{}", true),
        (&["Identity", "identity"], b"{}", true),
        (&[""], b"{}", true),
        (&["GZIP"], &gzip, true),
        (&["x-gzip"], &gzip, true),
        (&["identity, gzip"], &gzip, true),
        (&["deflate"], b"{}", false),
        (&["compress"], b"{}", false),
        (&["gzip;q=1"], &gzip, false),
        (&["aws-chunked, gzip"], &gzip, false),
        (&["gzip, gzip"], &gzip, false),
        (&["gzip", "br"], &gzip, false),
        // Refused whatever the body is.
        (&["deflate"], b"", false),
    ];
    for (names, body, taken) in cases {
        let headers: Vec<_> = names.iter().map(|name| ("content-encoding", *name)).collect();
        for target in ["/post", "/raw", "/up"] {
            let stage;
            let address = if target == "/up" {
                stage = Stage::led(PROTO, "");
                stage.address()
            } else {
                site.address()
            };
            if target == "/up" && *taken {
                continue;
            }
            let reply = support::call(address, "POST", target, &[&[JSON], &headers[..]].concat(), body);
            if *taken {
                reply.assert_ok();
            } else {
                reply.assert_fault(415, "UNSUPPORTED_ENCODING", Some("content-encoding"));
                assert_eq!(reply.header("accept-encoding"), Some("gzip, br, zstd"), "{names:?}");
            }
        }
        // Where nothing of the body is read, nothing about it matters.
        support::call(site.address(), "POST", "/none", &headers, body).assert_ok();
    }
}

#[test]
fn an_empty_body_is_an_empty_message_in_any_coding() {
    let site = Site::plain(PROTO);
    for coding in Coding::ALL {
        assert_eq!(site.seen("POST", "/post", &[JSON, coded(coding)], b"").json(), json!({}));
        assert_eq!(site.seen("POST", "/post", &[JSON, coded(coding)], &pack(coding, "")).json(), json!({}));
    }
}

#[test]
fn compressed_requests_can_be_refused() {
    let site = Site::with(PROTO, "request: { compressed: reject }");
    for coding in Coding::ALL {
        for target in ["/post", "/raw", "/up"] {
            let reply = site.call("POST", target, &[JSON, coded(coding)], &pack(coding, "{}"));
            reply.assert_fault(415, "UNSUPPORTED_ENCODING", Some("content-encoding"));
            assert_eq!(reply.header("accept-encoding"), Some("identity"));
        }
    }
    site.call("POST", "/post", &[JSON, ("content-encoding", "identity")], b"{}").assert_ok();
    assert_eq!(site.backend.count(), 1);
}

/// A JSON body of exactly so many bytes.
fn of_size(size: usize) -> String {
    let frame = r#"{"a":""}"#.len();
    format!(r#"{{"a":"{}"}}"#, "x".repeat(size - frame))
}

#[test]
fn the_limit_is_of_the_unpacked_body() {
    let site = Site::with(PROTO, "limits: { body: 1000 }");
    for coding in Coding::ALL {
        site.call("POST", "/post", &[JSON, coded(coding)], &pack(coding, of_size(1000))).assert_ok();
        for size in [1001, 1 << 20] {
            let body = pack(coding, of_size(size));
            for headers in [&[JSON, coded(coding)][..], &[("content-type", "text/plain"), coded(coding)]] {
                let target = if headers[0] == JSON { "/post" } else { "/raw" };
                let reply = site.call("POST", target, headers, &body);
                reply.assert_fault(413, "BODY_TOO_LARGE", None);
            }
        }
    }
    assert_eq!(site.backend.count(), 3);
    // Packed data without an end, which unpacks to nothing.
    let mut client = Http1::connect(site.address());
    client.send(request("POST", "/post", &[JSON, CHUNKED, coded(Coding::Gzip)], b""));
    client.send(chunk(&pack(Coding::Gzip, "").repeat(60)));
    client.reply().assert_fault(413, "BODY_TOO_LARGE", None);
}

#[test]
fn damaged_bodies_never_reach_the_backend() {
    let site = Site::plain(PROTO);
    for coding in Coding::ALL {
        let body = pack(coding, r#"{"a":"whole"}"#);
        let cases = [
            ("truncated", body[..body.len() - 1].to_vec()),
            ("trailing", [&body[..], b"x"].concat()),
            ("not packed", br#"{"a":"whole"}"#.to_vec()),
        ];
        for (what, body) in cases {
            for target in ["/post", "/raw"] {
                let reply = site.call("POST", target, &[JSON, coded(coding)], &body);
                assert_eq!((reply.status, &*reply.reason()), (400, "BAD_COMPRESSION"), "{coding:?} {what}");
            }
        }
    }
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn client_streams_are_unpacked_as_they_come() {
    let stage = Stage::led(PROTO, "");
    for coding in Coding::ALL {
        let mut encoder =
            transom::protocol::compression::Encoder::new(coding, Level::Balanced).expect("there is memory");
        let mut client = Http1::connect(stage.address());
        client.send(request("POST", "/up", &[JSON, CHUNKED, coded(coding)], b""));
        let mut call = None;
        for text in ["one", "two", "three"] {
            encoder.write(format!("{{\"a\":\"{text}\"}}\n").as_bytes()).expect("there is memory");
            encoder.flush().expect("there is memory");
            client.send(chunk(&encoder.take()));
            // Each is there before the next is sent.
            let call = call.get_or_insert_with(|| stage.backend.call());
            assert_eq!(call.message(), text_message(text.as_bytes()), "{coding:?}");
        }
        client.send([chunk(&encoder.finish().expect("there is memory")), b"0\r\n\r\n".to_vec()].concat());
        let mut call = call.expect("it has begun");
        assert_eq!(call.came(), Came::End);
        call.send(text_message(b"done")).end();
        assert_eq!(client.reply().assert_ok().json(), json!({ "a": "done" }));
    }
}

#[test]
fn raw_uploads_are_unpacked() {
    let stage = Stage::led(PROTO, "");
    let data: Vec<u8> = (0..200_000_u32).flat_map(|n| [b'a' + (n % 7) as u8, b'\n']).collect();
    for coding in Coding::ALL {
        let body = pack(coding, &data);
        let mut client = Http1::connect(stage.address());
        client.send(request("POST", "/rawup", &[("content-type", "text/csv"), coded(coding)], &body));
        let mut call = stage.backend.call();
        let mut got = Vec::new();
        for (index, message) in led(&mut call).into_iter().enumerate() {
            let piece = Piece::decode(message).expect("an HttpBody");
            assert_eq!(piece.content_type, if index == 0 { "text/csv" } else { "" });
            got.extend_from_slice(&piece.data);
        }
        assert!(got == data, "{coding:?}: {} bytes", got.len());
        call.send(text_message(b"done")).end();
        client.reply().assert_ok();
    }
}

#[derive(prost::Message)]
struct Piece {
    #[prost(string, tag = "1")]
    content_type: String,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

#[test]
fn a_broken_client_stream_is_never_complete() {
    let stage = Stage::led(PROTO, "limits: { body: 1000 }");
    let lines = "{\"a\":\"x\"}\n".repeat(3);
    for coding in Coding::ALL {
        let body = pack(coding, &lines);
        let bomb = pack(coding, " ".repeat(1 << 20));
        let cases = [
            ("truncated", body[..body.len() - 1].to_vec(), "BAD_COMPRESSION"),
            ("trailing", [&body[..], b"xyz"].concat(), "BAD_COMPRESSION"),
            ("a bomb", bomb, "BAD_COMPRESSION"),
            ("a long message", pack(coding, of_size(1001)), "BODY_TOO_LARGE"),
        ];
        for (what, body, reason) in cases {
            let mut client = Http1::connect(stage.address());
            client.send(request("POST", "/up", &[JSON, coded(coding)], &body));
            let mut call = stage.backend.call();
            assert_eq!(client.reply().reason(), reason, "{coding:?} {what}");
            call.wait_gone();
            while let Came::Message(_) = call.came() {}
            assert_ne!(call_end(&mut call), Some(Came::End), "{coding:?} {what}");
        }
    }
}

/// What came last of a call that is over; nothing more comes.
fn call_end(call: &mut Led) -> Option<Came> {
    call.has_more().then(|| call.came())
}

#[test]
fn answers_are_as_they_are_unless_it_is_chosen() {
    for listener in ["", "compression: off"] {
        let site = Site::with(PROTO, listener);
        let body = of_size(5000);
        let reply =
            site.call("POST", "/post", &[JSON, ("accept-encoding", "gzip, br, zstd")], body.as_bytes());
        assert_eq!(reply.assert_ok().text(), body);
        assert_eq!((reply.header("content-encoding"), reply.header("vary")), (None, None));
    }
}

#[test]
fn unary_answers() {
    let site = Site::with(PROTO, ON);
    for coding in Coding::ALL {
        // At once, and piece by piece where it is large.
        for size in [1024, 5000, 1 << 20] {
            let body = of_size(size);
            let reply = site.call("POST", "/post", &[JSON, accept(coding)], body.as_bytes());
            assert_eq!(reply.assert_ok().header("content-encoding"), Some(coding.name()));
            assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
            assert_eq!(reply.header("content-type"), Some("application/json"));
            assert!(reply.body.len() < size / 4, "{coding:?} {size}: {}", reply.body.len());
            assert!(unpack(coding, &reply.body) == body.as_bytes(), "{coding:?} {size}");
            let length = reply.header("content-length").map(|length| length.parse().expect("a length"));
            assert_eq!(length, (size < 1 << 16).then_some(reply.body.len()));
            let again = site.http2().call("POST", "/post", &[JSON, accept(coding)], body.as_bytes());
            assert!(unpack(coding, &again.assert_ok().body) == body.as_bytes(), "{coding:?} {size}");
        }
        let small = site.call("POST", "/post", &[JSON, accept(coding)], of_size(1023).as_bytes());
        assert_eq!(small.text(), of_size(1023));
        assert_eq!((small.header("content-encoding"), small.header("vary")), (None, None));
    }
    let plain = site.call("POST", "/post", &[JSON], of_size(5000).as_bytes());
    assert_eq!(plain.text(), of_size(5000));
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("vary"), Some("Accept-Encoding"), "a cache has to know");
}

#[test]
fn the_choices_are_followed() {
    let cases = [
        ("on", "gzip, br, zstd", 1024, Some(Coding::Zstd)),
        ("{}", "gzip, br, zstd", 1024, Some(Coding::Zstd)),
        ("{ algorithms: [gzip] }", "gzip, br, zstd", 1024, Some(Coding::Gzip)),
        ("{ algorithms: gzip }", "br, zstd", 1024, None),
        ("{ algorithms: [br, gzip] }", "gzip, br, zstd", 1024, Some(Coding::Br)),
        ("{ algorithms: [br, gzip] }", "gzip, br;q=0.5", 1024, Some(Coding::Gzip)),
        ("{ min_size: 100 }", "gzip", 100, Some(Coding::Gzip)),
        ("{ min_size: 100 }", "gzip", 99, None),
        ("{ min_size: 2KiB }", "gzip", 2047, None),
        ("{ min_size: 2KiB }", "gzip, identity;q=0", 50, Some(Coding::Gzip)),
        ("{ min_size: 0 }", "gzip", 100, Some(Coding::Gzip)),
        ("{ level: fast }", "br", 1024, Some(Coding::Br)),
        ("{ level: small }", "br", 1024, Some(Coding::Br)),
    ];
    for (choice, accept, size, want) in cases {
        let site = Site::with(PROTO, &format!("compression: {choice}"));
        let body = of_size(size);
        let reply = site.call("POST", "/post", &[JSON, ("accept-encoding", accept)], body.as_bytes());
        assert_eq!(reply.assert_ok().header("content-encoding"), want.map(Coding::name), "{choice} {accept}");
        let got = want.map_or(reply.body.clone(), |coding| unpack(coding, &reply.body));
        assert_eq!(got, body.as_bytes());
    }
}

#[test]
fn a_level_makes_a_difference() {
    let words = ["river", "stone", "and", "the", "of", "a garden", "in winter", "history", "night", "small"];
    let mut state = 1_u32;
    let mut draw = |choices: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % choices
    };
    let text: Vec<String> =
        (0..6000).map(|_| format!("{} {}", words[draw(10) as usize], draw(5000))).collect();
    let body = json!({ "a": text.join(" ") }).to_string();
    for coding in Coding::ALL {
        let sizes = ["fast", "balanced", "small"].map(|level| {
            let site = Site::with(PROTO, &format!("compression: {{ level: {level} }}"));
            let reply = site.call("POST", "/post", &[JSON, accept(coding)], body.as_bytes());
            assert_eq!(unpack(coding, &reply.assert_ok().body), body.as_bytes());
            reply.body.len()
        });
        assert!(sizes[0] != sizes[1] && sizes[1] != sizes[2], "{coding:?}: {sizes:?}");
    }
}

#[test]
fn what_the_backend_says_of_its_answer_counts() {
    let site = Site::with(PROTO, ON);
    let text = "x".repeat(5000);
    let answer = |headers: &[(&'static str, &str)], message: Vec<u8>| {
        site.backend.answer(Answer::Message {
            message: message.into(),
            headers: header_map(headers),
            trailers: header_map(&[]),
        });
    };
    answer(&[("etag", "\"v1\""), ("vary", "Origin")], text_message(text.as_bytes()));
    let reply = site.call("POST", "/post", &[JSON, accept(Coding::Br)], b"{}");
    assert_eq!(reply.header("content-encoding"), Some("br"));
    assert_eq!(reply.header("etag"), Some("W/\"v1\""));
    let vary: Vec<_> = reply.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["Origin", "Accept-Encoding"]);

    answer(&[("cache-control", "private, no-transform"), ("etag", "\"v1\"")], text_message(text.as_bytes()));
    let reply = site.call("POST", "/post", &[JSON, accept(Coding::Br)], b"{}");
    assert_eq!((reply.header("content-encoding"), reply.header("etag")), (None, Some("\"v1\"")));

    answer(&[("x-http-code", "204")], text_message(text.as_bytes()));
    let reply = site.call("POST", "/post", &[JSON, accept(Coding::Br)], b"{}");
    assert_eq!((reply.status, reply.header("content-encoding")), (204, None));

    let raws = [
        ("text/csv", &[][..], Some("br")),
        ("image/png", &[], None),
        ("", &[], None),
        // Packed by the backend, and said so.
        ("text/csv", &[("content-encoding", "gzip")], Some("gzip")),
        ("text/csv", &[("content-encoding", "identity")], Some("br")),
    ];
    for (content_type, headers, want) in raws {
        answer(headers, raw(content_type, text.as_bytes()));
        let reply = site.call("POST", "/raw", &[accept(Coding::Br)], b"");
        assert_eq!(reply.assert_ok().header("content-encoding"), want, "{content_type} {headers:?}");
        let got = if want == Some("br") { unpack(Coding::Br, &reply.body) } else { reply.body };
        assert_eq!(got, text.as_bytes());
    }
    // JSON is of the gateway's making, whatever the backend says of it.
    answer(&[("content-encoding", "gzip")], text_message(text.as_bytes()));
    let reply = site.call("POST", "/post", &[JSON], b"{}");
    assert_eq!(reply.header("content-encoding"), None);
    assert_eq!(reply.json(), json!({ "a": text }));
}

#[test]
fn errors_are_compressed_as_well() {
    let site = Site::with(PROTO, ON);
    let message = "no ".repeat(1000);
    site.backend.answer(Answer::status(5, &message));
    let reply = site.call("POST", "/post", &[JSON, accept(Coding::Gzip)], b"{}");
    assert_eq!((reply.status, reply.header("content-encoding")), (404, Some("gzip")));
    let error: Value = serde_json::from_slice(&unpack(Coding::Gzip, &reply.body)).expect("it is JSON");
    assert_eq!(error["error"]["message"], message);
    // Most are small.
    let reply = site.call("GET", "/nowhere", &[accept(Coding::Gzip)], b"");
    assert_eq!((reply.status, reply.header("content-encoding")), (404, None));
}

#[test]
fn the_answer_to_head_says_what_get_would() {
    let site = Site::with(PROTO, ON);
    let answer = |size: usize| {
        let message = text_message("x".repeat(size).as_bytes());
        site.backend.answer(Answer::message(message));
    };
    answer(5000);
    let reply = site.call("HEAD", "/get", &[accept(Coding::Gzip)], b"");
    assert_eq!(reply.assert_ok().header("content-encoding"), Some("gzip"));
    assert_eq!(reply.header("content-length"), None);
    assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
    answer(10);
    let reply = site.call("HEAD", "/get", &[accept(Coding::Gzip)], b"");
    assert_eq!((reply.header("content-encoding"), reply.header("content-length")), (None, Some("18")));
}

#[test]
fn trailers_come_behind_a_packed_answer() {
    let site = Site::with(PROTO, ON);
    for size in [5000, 1 << 20] {
        let text = "x".repeat(size);
        site.backend.answer(Answer::Message {
            message: text_message(text.as_bytes()).into(),
            headers: header_map(&[]),
            trailers: header_map(&[("x-cost", "7")]),
        });
        for coding in Coding::ALL {
            let headers = [JSON, accept(coding), ("te", "trailers")];
            let one = site.call("POST", "/post", &headers, b"{}");
            let two = site.http2().call("POST", "/post", &headers, b"{}");
            for reply in [one, two] {
                assert_eq!(reply.trailers.get("x-cost").expect("a trailer"), "7");
                let got: Value = serde_json::from_slice(&unpack(coding, &reply.body)).expect("it is JSON");
                assert!(got["a"] == text.as_str());
            }
        }
    }
}

/// Reads chunks of a packed body until `want` has come out of them.
fn expect(client: &mut Http1, decoder: &mut Decoder, want: &str) {
    let mut got = Vec::new();
    while got.len() < want.len() {
        let chunk = client.chunk().expect("it does not end here");
        assert!(!chunk.is_empty(), "it does not end here");
        decoder.push(chunk.into());
        while let Some(block) = decoder.pull().expect("it can be unpacked") {
            got.extend_from_slice(&block);
        }
    }
    assert_eq!(String::from_utf8_lossy(&got), want);
}

#[test]
fn messages_of_a_packed_stream_arrive_at_once() {
    let stage = Stage::led(PROTO, ON);
    let forms = [
        ("application/json", ["[{\"a\":\"1\"}", ",\n{\"a\":\"2\"}", ",\n{\"a\":\"3\"}", "]\n"]),
        ("application/x-ndjson", ["{\"a\":\"1\"}\n", "{\"a\":\"2\"}\n", "{\"a\":\"3\"}\n", ""]),
        (
            "text/event-stream",
            [
                "data: {\"a\":\"1\"}\n\n",
                "data: {\"a\":\"2\"}\n\n",
                "data: {\"a\":\"3\"}\n\n",
                "event: end\ndata: {}\n\n",
            ],
        ),
    ];
    for coding in Coding::ALL {
        for (form, pieces) in forms {
            let mut client = Http1::connect(stage.address());
            let headers = [JSON, ("accept", form), accept(coding)];
            client.send(request("POST", "/down", &headers, b"{}"));
            let mut call = stage.backend.call();
            let mut decoder = Decoder::new(coding, Allowance::Whole(1 << 20)).expect("there is memory");
            let [first, second, third, end] = pieces;
            call.send(text_message(b"1"));
            let head = client.head();
            assert_eq!((head.status, head.header("content-encoding")), (200, Some(coding.name())));
            assert_eq!(head.header("content-type"), Some(form));
            assert_eq!(head.header("vary"), Some("Accept-Encoding"));
            expect(&mut client, &mut decoder, first);
            // Nothing more is sent until it is read.
            call.send(text_message(b"2"));
            expect(&mut client, &mut decoder, second);
            call.send(text_message(b"3"));
            expect(&mut client, &mut decoder, third);
            call.end();
            expect(&mut client, &mut decoder, end);
            let (rest, whole) = client.chunks();
            assert!(whole, "{coding:?} {form}");
            decoder.push(rest.into());
            assert_eq!(decoder.pull(), Ok(None));
            assert_eq!(decoder.finish(), Ok(()), "{coding:?} {form}");
        }
    }
}

#[test]
fn long_packed_streams() {
    let stage = Stage::led(PROTO, ON);
    let text = "the river and the stone ".repeat(20);
    for coding in Coding::ALL {
        let mut client = Http2::connect(stage.address());
        let headers = [JSON, ("accept", "application/x-ndjson"), accept(coding)];
        let (response, _) = client.begin("POST", "/down", &headers, true);
        let mut call = stage.backend.call();
        for _ in 0..2000 {
            call.send(text_message(text.as_bytes()));
        }
        call.end_with(header_map(&[("x-sum", "2000")]));
        let reply = client.end(response).expect("an answer");
        let want = format!("{{\"a\":\"{text}\"}}\n").repeat(2000);
        assert!(reply.body.len() < want.len() / 10, "{coding:?}: {}", reply.body.len());
        assert!(unpack(coding, &reply.body) == want.as_bytes(), "{coding:?}");
    }
}

#[test]
fn a_packed_stream_that_fails_says_so() {
    let stage = Stage::led(PROTO, ON);
    for coding in Coding::ALL {
        let headers = [JSON, ("accept", "application/x-ndjson"), accept(coding)];
        let mut client = Http1::connect(stage.address());
        client.send(request("POST", "/down", &headers, b"{}"));
        let mut call = stage.backend.call();
        call.send(text_message(b"1")).fail(15, "lost");
        let reply = client.reply();
        let text = String::from_utf8(unpack(coding, &reply.body)).expect("it is text");
        let (first, error) = text.split_once('\n').expect("two lines");
        assert_eq!(first, r#"{"a":"1"}"#);
        let error: Value = serde_json::from_str(error).expect("it is JSON");
        assert_eq!(error["error"]["status"], "DATA_LOSS", "{coding:?}");
    }
    // Raw bytes have no place for an error: they are cut off.
    let mut client = Http1::connect(stage.address());
    client.send(request("POST", "/rawdown", &[accept(Coding::Gzip)], b""));
    let mut call = stage.backend.call();
    call.send(raw("text/plain", b"some text"));
    assert_eq!(client.head().header("content-encoding"), Some("gzip"));
    call.fail(15, "lost");
    assert!(!client.chunks().1);
    assert!(client.is_closed());
}

/// A gRPC message in its frame.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0], &length.to_be_bytes()[..], message].concat()
}

const WEB: (&str, &str) = ("content-type", "application/grpc-web+proto");

#[test]
fn grpc_web_both_ways() {
    let site = Site::with(PROTO, ON);
    for coding in Coding::ALL {
        for size in [2000, 1 << 20] {
            let message = framed(&text_message("x".repeat(size).as_bytes()));
            let headers = [WEB, coded(coding), accept(coding)];
            let reply = site.call("POST", "/t.S/Post", &headers, &pack(coding, &message));
            assert_eq!(reply.assert_ok().header("content-encoding"), Some(coding.name()));
            assert_eq!(reply.header("content-type"), Some(WEB.1));
            let got = unpack(coding, &reply.body);
            let (frame, trailers) = got.split_at(message.len());
            assert!(frame == message, "{coding:?} {size}");
            assert!(trailers.starts_with(&[0x80]), "{coding:?} {size}: {trailers:?}");
            assert!(site.backend.only().header("content-encoding").is_none());
        }
        // Cut off in the middle.
        let packed = pack(coding, framed(&text_message(b"x")));
        let body = &packed[..packed.len() - 1];
        let reply = site.call("POST", "/t.S/Post", &[WEB, coded(coding)], body);
        assert!(String::from_utf8_lossy(&reply.body).contains("grpc-status: 3"), "{coding:?}");
        assert_eq!(site.backend.count(), 0, "{coding:?}");
    }
    let reply = site.call("POST", "/t.S/Post", &[WEB, ("content-encoding", "deflate")], b"x");
    assert!(String::from_utf8_lossy(&reply.body).contains("grpc-status: 3"));
}

#[test]
fn native_grpc_is_not_touched() {
    let site = Site::with(PROTO, ON);
    let message = framed(&text_message("x".repeat(5000).as_bytes()));
    let headers = [("content-type", "application/grpc"), ("te", "trailers"), accept(Coding::Gzip)];
    let reply = site.http2().call("POST", "/t.S/Post", &headers, &message);
    assert!(reply.body == message);
    assert_eq!((reply.header("content-encoding"), reply.header("vary")), (None, None));
}

#[test]
fn a_client_that_leaves_a_packed_stream_is_passed_on() {
    let stage = Stage::led(PROTO, ON);
    let mut client = Http1::connect(stage.address());
    client.send(request("POST", "/down", &[JSON, accept(Coding::Zstd)], b"{}"));
    let mut call = stage.backend.call();
    call.send(text_message(b"1"));
    client.head();
    drop(client);
    call.wait_gone();
}

#[test]
fn the_access_log_counts_what_was_sent() {
    let schema = Schema::new(PROTO);
    let backend = support::Backend::start(&schema, Answer::Echo);
    let log = schema.folder().join("access.log");
    let log_to = format!("access_log: {{ to: '{}', format: json }}", log.display());
    let yaml = Choices { listener: ON, ..Choices::default() }.yaml(&schema, backend.address);
    let gateway = Gateway::start(&yaml.replace("access_log: off", &log_to), schema.folder());
    let mut sent = Vec::new();
    for size in [5000, 1 << 20] {
        let headers = [JSON, accept(Coding::Gzip)];
        let reply: Reply =
            support::call(gateway.address, "POST", "/post", &headers, of_size(size).as_bytes());
        sent.push(json!(reply.body.len()));
    }
    drop(gateway);
    let lines = std::fs::read_to_string(&log).expect("a log");
    let told: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("it is JSON")["sent"].clone())
        .collect();
    assert_eq!(told, sent);
}

#[test]
fn wrong_choices_are_told() {
    let schema = Schema::new(PROTO);
    let cases = [
        ("compression: yes", "`yes` is none of `off`, `on`"),
        ("compression: [gzip]", "this is a list"),
        ("compression: { algorithms: [gzip, deflate] }", "`deflate` is none of `gzip`, `br`, `zstd`"),
        ("compression: { algorithms: [zst] }", "did you mean `zstd`?"),
        ("compression: { algorithms: [gzip, br, gzip] }", "`gzip` is given twice"),
        ("compression: { algorithms: [] }", "the list is empty"),
        ("compression: { level: 9 }", "`9` is none of `fast`, `balanced`, `small`"),
        ("compression: { min_size: 1 kb }", "`1 kb` is no size"),
        ("compression: { minsize: 1KiB }", "did you mean `min_size`?"),
        ("request: { compressed: off }", "`off` is none of `accept`, `reject`"),
    ];
    for (listener, want) in cases {
        let problems = problems_of(&schema, Choices { listener, ..Choices::default() });
        assert!(problems.contains(want), "{listener}: {problems}");
    }
}
