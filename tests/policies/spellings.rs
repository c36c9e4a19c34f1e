//! Other spellings of a path that is closed: none gets past, in whatever protocol.

use serde_json::json;

use crate::ask::{Speaks, talk};
use crate::site::{Policy, Site};
use crate::support::{Http2, call, frame};

/// Spellings of a path.
fn spellings(path: &str) -> Vec<String> {
    let last = path.rsplit('/').next().expect("a segment");
    let hex: String = last.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let start = &path[..path.len() - last.len()];
    vec![
        format!("{start}{hex}"),
        format!("{start}{}", hex.to_lowercase()),
        format!("{start}%25{:02X}{}", last.as_bytes()[0], &last[1..]),
        format!("/{path}"),
        format!("{start}/{last}"),
        format!("{start}./{last}"),
        format!("{start}x/../{last}"),
        format!("{start}%2e/{last}"),
        format!("{start}x/%2e%2e/{last}"),
        format!("{path}/"),
        format!("{path}/."),
        format!("{path}%2F"),
        format!("{path};x=y"),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path}\\"),
        path.to_uppercase(),
        path.to_lowercase(),
        path.replace('/', "%2F").replacen("%2F", "/", 1),
        path.replace('/', "\\").replacen('\\', "/", 1),
    ]
}

#[test]
fn no_spelling_gets_past() {
    // Public but for what is closed, so that whatever isn't taken for that would be let in.
    let site = Site::new(Policy {
        listener: "defaults: { auth: none }",
        rules: "'t.S/Do': { deny: true }, 't.S/Open': { fields: { a: x } }",
        ..Policy::default()
    });
    let at = site.gateway.address;
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let json = [("content-type", "application/json")];
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    for path in ["/do", "/open", "/t.S/Do", "/t.S/Open"] {
        for spelling in spellings(path) {
            if spelling == path {
                continue;
            }
            for method in ["GET", "POST", "HEAD", "PUT", "OPTIONS", "post"] {
                let status = call(at, method, &spelling, &json, b"{}").status;
                assert!(status >= 400 || method == "OPTIONS", "{method} {spelling}: {status}");
            }
            for kind in [
                "application/grpc-web+proto",
                "application/grpc-web-text",
                "application/connect+proto",
                "application/proto",
            ] {
                call(at, "POST", &spelling, &[("content-type", kind)], &frame(b""));
            }
            let status = call(at, "GET", &spelling, &upgrade, b"").status;
            // A spelling that means the same leads to the same RPC, and its message is asked about.
            assert!(status >= 400 || status == 101, "a handshake at {spelling}: {status}");
            if status == 101 {
                assert_eq!(talk(at, &spelling, &[], b"{}"), "FIELD_DENIED", "{spelling}");
            }
            if spelling.bytes().all(|byte| byte != b'\\') {
                Http2::connect(at).call("POST", &spelling, &grpc, &frame(b""));
            }
        }
    }
    assert_eq!(site.backend.count(), 0, "{:?}", site.log());
}

#[test]
fn what_is_closed_is_so_by_every_road() {
    let site = Site::new(Policy { rules: "'t.S/Do': { scopes: [write] }", ..Policy::default() });
    let key = [("x-api-key", site.keys.get("reader"))];
    for speaks in Speaks::ALL {
        assert_eq!(site.ask(speaks, "Do", &key, &json!({})), "SCOPE_MISSING", "{speaks:?}");
        if speaks != Speaks::ConnectGet {
            assert_eq!(site.ask(speaks, "Open", &key, &json!({})), "OK", "{speaks:?}");
        }
    }
    for (method, headers) in
        [("GET", [("x-http-method-override", "POST")]), ("POST", [("x-original-url", "/open")])]
    {
        let all = [headers.as_slice(), &key].concat();
        let status = call(site.gateway.address, method, "/do", &all, b"{}").status;
        assert!(status >= 400, "{method} {headers:?}: {status}");
    }
}
