//! What the gateway tells of itself: reflection from raw descriptors, and health by whether backends can be reached.

mod asking;
mod editions;
mod health;
mod reflection;
#[path = "../support/mod.rs"]
mod support;

use support::{Gateway, Http2, Reply, frame};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { string owner = 50001; }
message M { string a = 1; message Inner { oneof kind { string b = 1; } enum E { E_ZERO = 0; } } }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g/{a}" }; option (owner) = "nobody"; }
  rpc Secret(M) returns (M);
}
service Hidden { rpc Get(M) returns (M); }
"#;

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

/// Sends messages to a method and reads everything that comes back.
fn invoke(gateway: &Gateway, path: &str, messages: &[Vec<u8>], more: &[(&str, &str)]) -> Reply {
    let headers = [&GRPC, more].concat();
    let frames: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
    Http2::connect(gateway.address).call("POST", path, &headers, &frames)
}

#[track_caller]
fn assert_status(reply: &Reply, code: &str) {
    let status = reply.trailers.get("grpc-status").or_else(|| reply.headers.get("grpc-status"));
    assert_eq!(status.map(|status| status.to_str().expect("ASCII")), Some(code), "{reply:?}");
}

/// The messages in a body.
fn messages(mut body: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((head, rest)) = body.split_first_chunk::<5>() {
        let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes")) as usize;
        messages.push(&rest[..length]);
        body = &rest[length..];
    }
    messages
}
