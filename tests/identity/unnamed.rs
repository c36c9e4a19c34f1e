//! Calls that show nothing: where they are let in, and what strangers can't learn.

use crate::ask::{Speaks, ask, reason};
use crate::place::{Place, Wants};
use crate::support::{Http1, Http2, Reply, call, frame};

fn site() -> Place {
    Place::new(Wants {
        listener: "defaults: { auth: required }, cors: { origins: [https://app.example] }",
        rules: "'t.S/Open': { auth: none }",
        ..Wants::default()
    })
}

#[test]
fn a_method_that_needs_a_name_is_closed_in_every_protocol() {
    let site = site();
    for speaks in Speaks::ALL {
        let reply = ask(site.gateway.address, speaks, "Get", "/g/x", &[]);
        assert_eq!(reason(&reply).as_deref(), Some("TOKEN_MISSING"), "{speaks:?} {reply:?}");
        let (status, challenge) = (reply.status, reply.headers.get("www-authenticate"));
        match speaks {
            Speaks::Grpc | Speaks::GrpcWeb | Speaks::GrpcWebText => assert_eq!(status, 200),
            _ => assert_eq!(status, 401),
        }
        if !matches!(speaks, Speaks::GrpcWeb | Speaks::GrpcWebText) {
            assert_eq!(challenge.expect("a challenge"), "Bearer realm=\"transom\"", "{speaks:?}");
        }
    }
    assert_eq!(site.backend.count(), 0);
    assert_eq!(site.unnamed("/open/x").status, 200, "a rule says more than the listener");
}

/// What a stranger can tell answers apart by: all but the request's own id.
fn seen(mut reply: Reply) -> String {
    let id = reply.headers.remove("x-request-id").expect("an id");
    for name in ["date", "grpc-status-details-bin", "content-length"] {
        reply.headers.remove(name);
    }
    let body = String::from_utf8_lossy(&reply.body).replace(id.to_str().expect("ASCII"), "ID");
    let body = match body.find("\"value\":") {
        // The same once more, in base64.
        Some(start) => body[..start].to_owned(),
        None => body,
    };
    format!("{} {:?} {body}", reply.status, reply.headers)
}

#[test]
fn what_there_is_not_looks_like_what_is_closed() {
    let site = site();
    let at = site.gateway.address;
    for speaks in [Speaks::Rest, Speaks::Unsaid, Speaks::Grpc, Speaks::Connect, Speaks::WebSocket] {
        let closed = seen(ask(at, speaks, "Get", "/g/x", &[]));
        assert_eq!(seen(ask(at, speaks, "Nothing", "/nothing/x", &[])), closed, "{speaks:?}");
    }
    let closed = seen(site.unnamed("/g/x"));
    for (method, path) in [
        ("POST", "/g/x"),
        ("OPTIONS", "/g/x"),
        ("GET", "/t.S/Get"),
        ("GET", "/open/x/y"),
        ("POST", "/open/x"),
        ("GET", "/%67/x"),
        ("GET", "//g/x"),
        ("GET", "/g/x/"),
        ("GET", "/G/x"),
        ("GET", "/g/%78"),
        ("GET", "/g//x"),
        ("GET", "/./g/x"),
        ("GET", "/g/../g/x"),
    ] {
        assert_eq!(seen(call(at, method, path, &[], b"")), closed, "{method} {path}");
    }
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn whoever_may_look_is_told_what_there_is_not() {
    let site = site();
    let bearer = format!("Bearer {}", site.mint.good());
    for speaks in Speaks::ALL {
        let reply = ask(site.gateway.address, speaks, "Nothing", "/nothing", &[("authorization", &bearer)]);
        assert_eq!(reason(&reply).as_deref(), Some("NO_ROUTE"), "{speaks:?} {reply:?}");
    }
    let wrong = call(site.gateway.address, "POST", "/g/x", &[("authorization", &bearer)], b"");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn preflights_need_no_name() {
    let site = site();
    let headers = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
    assert_eq!(call(site.gateway.address, "OPTIONS", "/g/x", &headers, b"").status, 204);
}

#[test]
fn the_gateways_own_services_are_methods_like_others() {
    // Where anybody vouches for callers, `required` is what stands where nothing is said.
    let site = Place::new(Wants { rules: "'grpc.health.v1.Health/*': { auth: none }", ..Wants::default() });
    let mut client = Http2::connect(site.gateway.address);
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let health = client.call("POST", "/grpc.health.v1.Health/Check", &headers, &frame(b""));
    assert_eq!(health.trailers.get("grpc-status").or(health.headers.get("grpc-status")).unwrap(), "0");
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let reflection = client.call("POST", path, &headers, b"");
    assert_eq!(reason(&reflection).as_deref(), Some("TOKEN_MISSING"));
}

#[test]
fn no_byte_of_a_body_is_awaited() {
    let site = site();
    let mut client = Http1::connect(site.gateway.address);
    // Nobody sends what it announces.
    client.send(
        "PUT /p/x HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n",
    );
    let reply = client.reply();
    assert_eq!((reply.status, reply.reason()), (401, "TOKEN_MISSING".into()));
}

#[test]
fn optional_lets_the_unnamed_in() {
    let site = Place::new(Wants { listener: "defaults: { auth: optional }", ..Wants::default() });
    assert_eq!(site.unnamed("/g/x").status, 200);
    assert_eq!(site.unnamed("/nothing").status, 404);
}
