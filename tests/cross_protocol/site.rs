//! What the calls are made to: a backend that the test leads, one that isn't there, and the gateway before them.

use std::net::{SocketAddr, TcpListener};

use crate::support::{Behaviour, Gateway, Live, Schema};

pub const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/rpc/error_details.proto";
message M { string a = 1; int64 n = 2; bytes data = 3; repeated M subs = 4; }
service S {
  rpc Unary(M) returns (M) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = { post: "/v1/unary" body: "*" };
  }
  rpc Down(M) returns (stream M) { option (google.api.http) = { post: "/v1/down" body: "*" }; }
  rpc Up(stream M) returns (M) { option (google.api.http) = { post: "/v1/up" body: "*" }; }
  rpc Both(stream M) returns (stream M) { option (google.api.http) = { post: "/v1/both" body: "*" }; }
}
service Gone {
  rpc Unary(M) returns (M) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = { post: "/v1/gone/unary" body: "*" };
  }
  rpc Both(stream M) returns (stream M) { option (google.api.http) = { post: "/v1/gone/both" body: "*" }; }
}
"#;

pub struct Site {
    // In the order in which they are dropped.
    pub gateway: Gateway,
    pub backend: Live,
    pub schema: Schema,
}

/// The most that a request's message may have.
pub const MAX_BODY: usize = 4 << 20;

impl Site {
    pub fn new() -> Self {
        let schema = Schema::new(PROTO);
        let backend = Live::start(|_| Behaviour::Led);
        let descriptors = schema.descriptors();
        let yaml = format!(
            "listeners:\n  public:\n    address: '127.0.0.1:0'\n    limits: {{ body: 4MiB }}\n\
             \x20   compression: {{ algorithms: [zstd, br, gzip], min_size: 100 }}\n\
             schema: {{ descriptors: '{}' }}\n\
             upstreams:\n  main: {{ endpoints: ['http://{}'] }}\n  gone: {{ endpoints: ['http://{}'] }}\n\
             rules: {{ 't.S/*': {{ upstream: main }}, 't.Gone/*': {{ upstream: gone }} }}\n\
             access_log: off\nworkers: 1\ndrain: 0s\n",
            descriptors.display(),
            backend.address,
            nobody(),
        );
        let gateway = Gateway::start(&yaml, schema.folder());
        Self { gateway, backend, schema }
    }
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}
