//! One call in each of the clients' protocols, and what was decided about it.

use std::net::SocketAddr;

use base64_simd::{STANDARD, STANDARD_NO_PAD};
use prost::Message;
use transom::fault::{Detail, ErrorInfo, RpcStatus};

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

/// The reason of a refusal, in whatever form it was told; none where there is no ErrorInfo of the gateway's.
pub fn reason(reply: &Reply) -> Option<String> {
    let of_status = |text: &str| {
        let status = RpcStatus::decode(STANDARD_NO_PAD.decode_to_vec(text).ok()?.as_slice()).ok()?;
        Some(ErrorInfo::unpack(status.details.first()?)?.reason)
    };
    const DETAILS: &str = "grpc-status-details-bin";
    for fields in [&reply.headers, &reply.trailers] {
        if let Some(details) = fields.get(DETAILS) {
            return of_status(details.to_str().ok()?);
        }
    }
    let body = match reply.headers.get("content-type").map(|value| value.as_bytes()) {
        Some(kind) if kind.starts_with(b"application/grpc-web-text") => {
            STANDARD.decode_to_vec(&reply.body).ok()?
        }
        Some(_) | None => reply.body.clone(),
    };
    let text = String::from_utf8_lossy(&body);
    if let Some((_, details)) = text.split_once(&format!("{DETAILS}:")) {
        return of_status(details.split("\r\n").next()?.trim());
    }
    let json: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let details = json["error"]["details"].as_array().or(json["details"].as_array())?.first()?;
    let reason = details["reason"].as_str().or(details["debug"]["reason"].as_str())?;
    Some(reason.to_owned())
}
