//! How large a backend's message may be, by RPC and by listener.

mod support;

use support::{Answer, Choices, Site, frame, text_message};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Plain(M) returns (M) { option (google.api.http) = { get: "/plain" }; }
  rpc Small(M) returns (M) { option (google.api.http) = { get: "/small" }; }
  rpc Large(M) returns (M) { option (google.api.http) = { get: "/large" }; }
}
"#;

#[test]
fn the_most_specific_rule_says_how_large_a_reply_may_be() {
    let more = "rules: { t.S/Small: { max_reply: 100 }, t.S/Large: { max_reply: 3000 } }";
    let site =
        Site::new(PROTO, Choices { listener: "limits: { message: 1000 }", more, ..Choices::default() });
    for (method, path, limit) in
        [("Plain", "/plain", 1000), ("Small", "/small", 100), ("Large", "/large", 3000)]
    {
        // As large as the limit, with the field's own tag and length, and larger by a byte.
        let fits = (0..limit).rev().map(|size| text_message(&vec![b'x'; size]));
        let fits = fits.into_iter().find(|message| message.len() <= limit).expect("one fits");
        let over = text_message(&vec![b'x'; limit + 1]);
        for (message, good) in [(fits, true), (over, false)] {
            site.backend.answer(Answer::message(message));
            let rest = site.get(path);
            if good {
                rest.assert_ok();
            } else {
                rest.assert_fault(502, "REPLY_TOO_LARGE", None);
            }
            let rpc = format!("/t.S/{method}");
            let connect = [("content-type", "application/json"), ("connect-protocol-version", "1")];
            assert_eq!(site.call("POST", &rpc, &connect, b"{}").status == 200, good, "Connect {rpc}");
            let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
            let reply = site.http2().call("POST", &rpc, &grpc, &frame(b""));
            let status = reply.trailers.get("grpc-status").or(reply.headers.get("grpc-status"));
            assert_eq!(status.expect("a status") == "0", good, "gRPC {rpc}");
        }
    }
}
