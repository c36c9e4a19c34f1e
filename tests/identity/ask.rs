//! One call in each of the clients' protocols, and what was decided about it.

use std::net::SocketAddr;

use base64_simd::STANDARD;

pub use crate::support::reason;
use crate::support::{Http2, Reply, call, frame};

pub const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g/{a}" }; option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Open(M) returns (M) { option (google.api.http) = { get: "/open/{a}" }; option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Put(M) returns (M) { option (google.api.http) = { put: "/p/{a}" body: "*" }; }
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/down" }; }
  rpc Both(stream M) returns (stream M);
}
"#;

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Rest,
    Unsaid,
    Grpc,
    GrpcWeb,
    GrpcWebText,
    Connect,
    ConnectGet,
    WebSocket,
}

impl Speaks {
    pub const ALL: [Self; 8] = [
        Self::Rest,
        Self::Unsaid,
        Self::Grpc,
        Self::GrpcWeb,
        Self::GrpcWebText,
        Self::Connect,
        Self::ConnectGet,
        Self::WebSocket,
    ];
}

/// Calls `t.S/{method}`, whose GET binding is at `rest`.
pub fn ask(address: SocketAddr, speaks: Speaks, method: &str, rest: &str, headers: &[(&str, &str)]) -> Reply {
    let path = format!("/t.S/{method}");
    let empty = frame(b"");
    let with = |own: &[(&'static str, &'static str)]| -> Vec<(&str, &str)> {
        own.iter().copied().chain(headers.iter().copied()).collect()
    };
    match speaks {
        Speaks::Rest => call(address, "GET", rest, headers, b""),
        Speaks::Unsaid => call(address, "POST", &path, &with(&[("content-type", "application/json")]), b"{}"),
        Speaks::Grpc => Http2::connect(address).call(
            "POST",
            &path,
            &with(&[("content-type", "application/grpc"), ("te", "trailers")]),
            &empty,
        ),
        Speaks::GrpcWeb => {
            call(address, "POST", &path, &with(&[("content-type", "application/grpc-web+proto")]), &empty)
        }
        Speaks::GrpcWebText => {
            let body = STANDARD.encode_to_string(&empty);
            let own = with(&[("content-type", "application/grpc-web-text+proto")]);
            call(address, "POST", &path, &own, body.as_bytes())
        }
        Speaks::Connect => {
            let own = [("content-type", "application/json"), ("connect-protocol-version", "1")];
            call(address, "POST", &path, &with(&own), b"{}")
        }
        Speaks::ConnectGet => {
            let target = format!("{path}?connect=v1&encoding=json&message=%7B%7D");
            call(address, "GET", &target, headers, b"")
        }
        Speaks::WebSocket => call(
            address,
            "GET",
            &path,
            &with(&[
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
            ]),
            b"",
        ),
    }
}
