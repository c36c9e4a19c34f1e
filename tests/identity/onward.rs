//! What a backend gets to know of who calls, and what it doesn't.

use std::sync::Arc;

use serde_json::json;

use crate::ask::{Speaks, ask};
use crate::mint::claims;
use crate::place::{Place, Wants};
use crate::support::{Seen, call};

const FORWARD: &str = "forward: { x-user-id: sub, x-roles: [realm, roles], x-tenant: tenant }";

fn seen(place: &Place) -> Seen {
    place.backend.take().pop().expect("a call")
}

#[test]
fn claims_reach_the_backend_and_no_client_can_forge_them() {
    let place = Place::new(Wants {
        listener: "defaults: { auth: optional }",
        identity: FORWARD,
        rules: "'t.S/Open': { auth: none }",
        ..Wants::default()
    });
    let token = place.mint.token("ES256", &claims(json!({ "realm": { "roles": ["a", "b"] } })));
    let bearer = format!("Bearer {token}");
    let forged = [
        ("x-user-id", "root"),
        ("X-User-Id", "root"),
        ("grpc-metadata-x-user-id", "root"),
        ("x-tenant", "root"),
        ("grpc-metadata-x-tenant", "root"),
        ("x-own", "1"),
    ];
    for speaks in Speaks::ALL {
        // No call of a session's comes to the end without messages.
        if speaks == Speaks::WebSocket {
            continue;
        }
        let headers = [&[("authorization", bearer.as_str())], &forged[..]].concat();
        ask(place.gateway.address, speaks, "Get", "/g/x", &headers);
        let got = seen(&place);
        assert_eq!(got.header("x-user-id"), Some("ann"), "{speaks:?}");
        assert_eq!(got.header("x-roles"), Some("[\"a\",\"b\"]"), "{speaks:?}");
        assert_eq!(got.header("x-own"), Some("1"), "{speaks:?}");
        for (name, method, headers) in [
            ("x-tenant", "Get", &headers[..]),
            ("x-user-id", "Get", &forged),
            ("x-user-id", "Open", &headers),
        ] {
            let rest = if method == "Get" { "/g/x" } else { "/open/x" };
            ask(place.gateway.address, speaks, method, rest, headers);
            let got = seen(&place);
            for name in [name.to_owned(), format!("grpc-metadata-{name}")] {
                assert_eq!(got.header(&name), None, "{speaks:?} {method}");
            }
        }
    }
    // What a client declares to be of its connection alone is not what the gateway says.
    place.get(&[("authorization", &bearer), ("connection", "x-user-id, authorization")]);
    assert_eq!(seen(&place).header("x-user-id"), Some("ann"));
}

#[test]
fn the_token_stays_here_unless_it_is_wanted() {
    for (identity, passes) in [("", false), ("forward_token: false,", false), ("forward_token: true,", true)]
    {
        let identity = format!("{identity} tokens: {{ cookie: session, query: token }}");
        let place = Place::new(Wants {
            identity: &identity,
            rules: "'t.S/Open': { auth: none }",
            ..Wants::default()
        });
        let (token, at) = (place.mint.good(), place.gateway.address);
        let bearer = format!("Bearer {token}");
        let forged = ("grpc-metadata-authorization", "Bearer forged");
        for speaks in [Speaks::Rest, Speaks::Grpc, Speaks::Connect, Speaks::GrpcWeb] {
            let headers = if passes {
                vec![("authorization", bearer.as_str())]
            } else {
                vec![("authorization", bearer.as_str()), forged]
            };
            ask(at, speaks, "Get", "/g/x", &headers);
            let got = seen(&place);
            assert_eq!(
                got.header("authorization"),
                passes.then_some(bearer.as_str()),
                "{speaks:?} {identity}"
            );
            assert_eq!(got.header("grpc-metadata-authorization"), None, "{speaks:?}");
        }
        // Where nobody looks at it, it is the backend's own affair.
        call(at, "GET", "/open/x", &[("authorization", "Bearer theirs")], b"");
        assert_eq!(seen(&place).header("authorization"), Some("Bearer theirs"));

        let cookie = format!("a=b; session={token}");
        let reply = call(at, "GET", "/g/x", &[("cookie", &cookie), ("sec-fetch-site", "same-origin")], b"");
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(seen(&place).header("cookie"), Some(if passes { cookie.as_str() } else { "a=b" }));

        // Never from the query, which every log would have; and as a parameter it would be an unknown one.
        let reply = call(at, "GET", &format!("/g/x?token={token}"), &[], b"");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let got = seen(&place);
        assert_eq!((got.header("authorization"), got.json()), (None, json!({ "a": "x" })));
        assert_eq!(call(at, "GET", "/open/x?token=whatever", &[], b"").status, 200);
        assert_eq!(call(at, "GET", "/g/x?token=x.y.z", &[], b"").reason(), "TOKEN_MALFORMED");
    }
}

#[test]
fn cookies_count_only_for_pages_that_may_act_for_their_visitors() {
    let place = Place::new(Wants {
        listener: "cors: { origins: [https://app.example], credentials: true }",
        identity: "tokens: { cookie: session }",
        ..Wants::default()
    });
    let cookie = format!("session={}", place.mint.good());
    let put = |headers: &[(&str, &str)], body: &[u8]| {
        let headers = [&[("cookie", cookie.as_str())], headers].concat();
        let reply = call(place.gateway.address, "PUT", "/p/x", &headers, body);
        if reply.status == 200 { "OK".to_owned() } else { reply.reason() }
    };
    let json = ("content-type", "application/json");
    assert_eq!(put(&[("origin", "https://app.example"), json], b"{}"), "OK");
    assert_eq!(put(&[("origin", "https://evil.example"), json], b"{}"), "TOKEN_MISSING");
    assert_eq!(put(&[json], b"{}"), "TOKEN_MISSING");
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(put(&[("origin", "https://app.example"), form], b""), "TOKEN_MISSING");
    // As browsers open WebSockets.
    let reply = ask(place.gateway.address, Speaks::WebSocket, "Both", "", &[("cookie", &cookie)]);
    assert_eq!(reply.reason(), "TOKEN_MISSING");
}

#[test]
fn who_calls_shows_in_the_log_and_the_token_does_not() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let path = folder.path().join("log");
    let place = Place::logging(&path, Wants { identity: "tokens: { query: token }", ..Wants::default() });
    let (good, bad) = (place.mint.good(), place.mint.token("ES256", &claims(json!({ "aud": "else" }))));
    assert_eq!(place.verdict(&good), "OK");
    assert_eq!(place.verdict(&bad), "TOKEN_INVALID");
    let at = place.gateway.address;
    assert_eq!(call(at, "GET", &format!("/g/x?token={good}"), &[], b"").status, 200);
    assert_eq!(call(at, "GET", "/g/x?token=a.b.c", &[], b"").status, 401);
    drop(place);
    let log = std::fs::read_to_string(path).expect("a log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 4, "{log}");
    assert!(lines[0].contains(" caller=main ") && lines[2].contains(" caller=main "), "{log}");
    assert!(
        lines[1].contains(
            " reason=TOKEN_INVALID origin=client cause=\"issuer main: it is for another audience\""
        ),
        "{log}"
    );
    assert!(lines[3].contains(" reason=TOKEN_MALFORMED "), "{log}");
    for secret in [good.as_str(), bad.as_str(), "a.b.c", "ann", "token="] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
