//! Messages that are compressed one by one: Connect, and JSON in gRPC and gRPC-Web. Backends get and give them as they are.

mod support;

use bytes::Bytes;
use serde_json::json;
use support::{Http2, Reply, Site, call};
use transom::protocol::compression::{Coding, Level, compress, decompress};

const PROTO: &str = r#"
syntax = "proto3";
package t;
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Down(M) returns (stream M);
}
"#;

const ON: &str = "compression: { min_size: 100 }";

fn pack(coding: Coding, data: &[u8]) -> Vec<u8> {
    compress(coding, Level::Balanced, data).expect("there is memory")
}

/// A frame with flags.
fn framed(flags: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("it is small");
    [&[flags], length.to_be_bytes().as_slice(), message].concat()
}

/// The first frame of a body: its flags, and the message as it was before it was compressed.
#[track_caller]
fn first(reply: &Reply, coding: Coding) -> (u8, Vec<u8>) {
    assert!(reply.body.len() >= 5, "{reply:?}");
    let length = u32::from_be_bytes(reply.body[1..5].try_into().expect("a head")) as usize;
    let message = &reply.body[5..5 + length];
    match reply.body[0] {
        1 => (1, decompress(coding, Bytes::copy_from_slice(message), 1 << 20).expect("it is whole").to_vec()),
        flags => (flags, message.to_vec()),
    }
}

/// Where messages are compressed one by one: content type, and the headers that say how.
const STREAMS: [(&str, &str, &str); 4] = [
    ("application/connect+json", "connect-content-encoding", "connect-accept-encoding"),
    ("application/connect+proto", "connect-content-encoding", "connect-accept-encoding"),
    ("application/grpc+json", "grpc-encoding", "grpc-accept-encoding"),
    ("application/grpc-web+json", "grpc-encoding", "grpc-accept-encoding"),
];

fn encoded(content_type: &str, text: &str) -> Vec<u8> {
    if content_type.ends_with("json") {
        json!({ "a": text }).to_string().into_bytes()
    } else {
        support::text_message(text.as_bytes())
    }
}

#[test]
fn streams_of_every_coding() {
    let site = Site::with(PROTO, ON);
    let mut client = Http2::connect(site.address());
    let (long, short) = ("x".repeat(1000), "y");
    for coding in Coding::ALL {
        for (content_type, encoding, accept) in STREAMS {
            for text in [&*long, short] {
                let message = encoded(content_type, text);
                let body = framed(1, &pack(coding, &message));
                let headers = [("content-type", content_type), (encoding, coding.name())];
                let asking = [&headers[..], &[(accept, coding.name())]].concat();
                // Both want the coding that is sent: one says so, one doesn't.
                for headers in [&asking[..], &headers] {
                    let reply = client.call("POST", "/t.S/Down", headers, &body);
                    assert_eq!(
                        (reply.status, reply.header(encoding)),
                        (200, Some(coding.name())),
                        "{reply:?}"
                    );
                    let want = u8::from(text.len() > 100);
                    assert_eq!(first(&reply, coding), (want, message.clone()), "{content_type} {coding:?}");
                }
                let other = [&headers[..], &[(accept, "identity")]].concat();
                let reply = client.call("POST", "/t.S/Down", &other, &body);
                assert_eq!((reply.header(encoding), first(&reply, coding)), (None, (0, message)));
            }
        }
    }
}

#[test]
fn a_call_may_be_compressed_in_parts() {
    let site = Site::with(PROTO, ON);
    let mut client = Http2::connect(site.address());
    for (content_type, encoding, accept) in STREAMS {
        let message = encoded(content_type, &"x".repeat(1000));
        // The client announces a coding and doesn't use it; it asks for another one.
        let headers = [("content-type", content_type), (encoding, "gzip"), (accept, "snappy, br")];
        let reply = client.call("POST", "/t.S/Down", &headers, &framed(0, &message));
        assert_eq!(reply.header(encoding), Some("br"), "{content_type}");
        assert_eq!(first(&reply, Coding::Br), (1, message), "{content_type}");
    }
    // Without a choice of the listener nothing is compressed.
    let site = Site::plain(PROTO);
    let mut client = Http2::connect(site.address());
    for (content_type, encoding, accept) in STREAMS {
        let message = encoded(content_type, &"x".repeat(1000));
        let headers = [("content-type", content_type), (encoding, "gzip"), (accept, "gzip")];
        let reply = client.call("POST", "/t.S/Down", &headers, &framed(1, &pack(Coding::Gzip, &message)));
        assert_eq!(
            (reply.header(encoding), first(&reply, Coding::Gzip)),
            (None, (0, message)),
            "{content_type}"
        );
    }
}

#[test]
fn what_cant_be_unpacked_is_refused() {
    let site = Site::with(PROTO, "compression: on, limits: { body: 100B }");
    let bomb = pack(Coding::Gzip, &[b' '; 10_000]);
    let cut = pack(Coding::Gzip, b"{\"a\":\"x\"}");
    for (coding, body, reason) in [
        ("lzw", framed(0, b"{}"), "UNKNOWN_CODING"),
        ("gzip", framed(1, b"{}"), "BAD_COMPRESSION"),
        ("gzip", framed(1, &cut[..cut.len() - 1]), "BAD_COMPRESSION"),
        ("gzip", framed(1, &bomb), "BODY_TOO_LARGE"),
        ("identity", framed(1, b"{}"), "BAD_FRAME"),
    ] {
        let headers = [("content-type", "application/connect+json"), ("connect-content-encoding", coding)];
        let reply = call(site.address(), "POST", "/t.S/Down", &headers, &body);
        assert_eq!((reply.status, reply.body[0]), (200, 2), "{reason}");
        assert!(String::from_utf8_lossy(&reply.body).contains(reason), "{reason}: {reply:?}");
    }
    for (query, reason) in [("gzip&message=AAAA", "BAD_COMPRESSION"), ("lzw&message=e30", "UNKNOWN_CODING")] {
        let reply = site.get(&format!("/t.S/Get?connect=v1&encoding=json&base64=1&compression={query}"));
        assert!(reply.text().contains(reason), "{reason}: {reply:?}");
    }
}

#[test]
fn unary_calls_are_compressed_as_bodies() {
    let site = Site::with(PROTO, ON);
    let message = json!({ "a": "x".repeat(1000) }).to_string();
    for coding in Coding::ALL {
        let packed = pack(coding, message.as_bytes());
        let headers = [
            ("content-type", "application/json"),
            ("connect-protocol-version", "1"),
            ("content-encoding", coding.name()),
            ("accept-encoding", coding.name()),
        ];
        let query = base64_simd::URL_SAFE_NO_PAD.encode_to_string(&packed);
        let target = format!(
            "/t.S/Get?connect=v1&encoding=json&base64=1&compression={}&message={query}",
            coding.name()
        );
        for reply in [
            site.call("POST", "/t.S/Get", &headers, &packed),
            site.call("GET", &target, &[("accept-encoding", coding.name())], b""),
        ] {
            assert_eq!(
                (reply.status, reply.header("content-encoding")),
                (200, Some(coding.name())),
                "{reply:?}"
            );
            let unpacked = decompress(coding, reply.body.into(), 1 << 20).expect("it is whole");
            assert_eq!(unpacked, message.as_bytes());
        }
        // Nothing at all is an empty message, whatever its coding.
        let headers = [("content-type", "application/proto"), ("content-encoding", coding.name())];
        assert_eq!(site.call("POST", "/t.S/Get", &headers, b"").status, 200);
    }
}
