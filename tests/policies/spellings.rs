//! Other spellings of a path that is closed: none gets past, in whatever protocol.

use serde_json::json;

use crate::ask::{Speaks, talk};
use crate::site::{Policy, Site};
use crate::support::{Http2, call, frame};
use crate::tokens::ISSUER;

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

/// What closes `Do` and `Open`, where a listener lets anybody in: so that whatever isn't taken for them would be let in.
const CLOSED: [(&str, &str); 7] = [
    ("deny and fields", "'t.S/Do': { deny: true }, 't.S/Open': { fields: { a: x } }"),
    ("auth", "'t.S/Do': { auth: required }, 't.S/Open': { auth: required }"),
    ("scopes and claims", "'t.S/Do': { scopes: [read] }, 't.S/Open': { claims: { tenant: acme } }"),
    (
        "addresses",
        "'t.S/Do': { addresses: { allow: [192.0.2.1] } }, 't.S/Open': { addresses: { deny: [127.0.0.0/8] } }",
    ),
    ("rates", "'t.S/Do': { limits: [ONE] }, 't.S/Open': { limits: [ONE] }"),
    ("quotas", "'t.S/Do': { limits: [QUOTA] }, 't.S/Open': { limits: [QUOTA] }"),
    ("rates by fields", "'t.S/Do': { limits: [FIELD] }, 't.S/Open': { limits: [FIELD] }"),
];

#[test]
fn no_spelling_gets_past() {
    for (name, rules) in CLOSED {
        let rules = rules.replace("ONE", "{ rate: 1/59m, key: global }");
        let rules = rules.replace("QUOTA", "{ quota: 1/52w, key: global }");
        let rules = rules.replace("FIELD", "{ rate: 1/59m, key: 'field:a' }");
        let site = Site::new(Policy {
            listener: "defaults: { auth: none }",
            identity: ISSUER,
            rules: &rules,
            ..Policy::default()
        });
        if rules.contains("limits") {
            for path in ["/do", "/open"] {
                let json = [("content-type", "application/json")];
                call(site.gateway.address, "POST", path, &json, b"{}").assert_ok();
            }
        }
        let before = site.backend.count();
        for path in ["/do", "/open", "/t.S/Do", "/t.S/Open"] {
            for spelling in spellings(path) {
                if spelling != path {
                    ask_at(&site, name, &spelling);
                }
            }
        }
        assert_eq!(site.backend.count(), before, "{name}: {:?}", site.log());
    }
}

/// Asks at one spelling in every protocol: what is not refused at once is by the message.
fn ask_at(site: &Site, name: &str, spelling: &str) {
    let at = site.gateway.address;
    let json = [("content-type", "application/json")];
    for method in ["GET", "POST", "HEAD", "PUT", "OPTIONS", "post"] {
        let status = call(at, method, spelling, &json, b"{}").status;
        assert!(status >= 400 || method == "OPTIONS", "{name}: {method} {spelling}: {status}");
    }
    for kind in [
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/connect+proto",
        "application/proto",
    ] {
        call(at, "POST", spelling, &[("content-type", kind)], &frame(b""));
    }
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    let status = call(at, "GET", spelling, &upgrade, b"").status;
    // A spelling that means the same leads to the same RPC, and its message is asked about.
    assert!(status >= 400 || status == 101, "{name}: a handshake at {spelling}: {status}");
    if status == 101 {
        let said = talk(at, spelling, &[], b"{}");
        assert!(matches!(&*said, "FIELD_DENIED" | "RATE_LIMITED"), "{name}: {spelling}: {said}");
    }
    if spelling.bytes().all(|byte| byte != b'\\') {
        let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
        Http2::connect(at).call("POST", spelling, &grpc, &frame(b""));
    }
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
