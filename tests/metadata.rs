//! Headers into metadata, request ids, trace context, deadlines, and calls that nobody waits for any more.

mod support;

use serde_json::json;
use support::{Answer, Choices, Http1, Seen, Site, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Fast(M) returns (M) { option (google.api.http) = { get: "/fast" }; }
  rpc Slow(M) returns (M) { option (google.api.http) = { get: "/slow" }; }
}
"#;

fn values(seen: &Seen, name: &str) -> Vec<String> {
    seen.metadata.get_all(name).iter().map(|value| value.to_str().expect("ASCII").to_owned()).collect()
}

#[test]
fn what_crosses_to_the_backend() {
    let site = Site::plain(PROTO);
    // Sent, and what arrives under which name.
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("authorization", "Bearer x", "authorization", &["Bearer x"]),
        ("x-tenant", "a, b", "x-tenant", &["a, b"]),
        ("cookie", "a=b; c=d", "cookie", &["a=b; c=d"]),
        ("accept-language", "de", "accept-language", &["de"]),
        ("x-data-bin", "AQI=", "x-data-bin", &["AQI="]),
        ("x-data-bin", "AQI", "x-data-bin", &["AQI"]),
        ("grpc-metadata-x-tenant", "a", "x-tenant", &["a"]),
        ("Grpc-Metadata-X-Tenant", "a", "x-tenant", &["a"]),
        ("grpc-metadata-x-data-bin", "AQI=", "x-data-bin", &["AQI="]),
        ("grpc-metadata-host", "evil", "host", &[]),
        ("grpc-metadata-content-type", "text/html", "content-type", &["application/grpc"]),
        ("grpc-metadata-te", "gzip", "te", &["trailers"]),
        ("grpc-metadata-grpc-encoding", "gzip", "grpc-encoding", &[]),
        ("grpc-metadata-grpc-status", "0", "grpc-status", &[]),
        ("grpc-metadata-connection", "close", "connection", &[]),
        ("grpc-metadata-transfer-encoding", "gzip", "transfer-encoding", &[]),
        ("grpc-metadata-", "x", "", &[]),
        ("grpc-encoding", "gzip", "grpc-encoding", &[]),
        ("grpc-status", "0", "grpc-status", &[]),
        ("grpc-message", "x", "grpc-message", &[]),
        ("grpc-previous-rpc-attempts", "3", "grpc-previous-rpc-attempts", &[]),
        ("grpc-tags-bin", "AQI=", "grpc-tags-bin", &[]),
        ("te", "gzip, trailers", "te", &["trailers"]),
        ("accept", "text/html", "accept", &[]),
        ("accept-encoding", "gzip", "accept-encoding", &[]),
        ("content-type", "application/json", "content-type", &["application/grpc"]),
        ("keep-alive", "timeout=5", "keep-alive", &[]),
        ("proxy-connection", "keep-alive", "proxy-connection", &[]),
        ("proxy-authorization", "Basic x", "proxy-authorization", &[]),
        ("trailer", "x-late", "trailer", &[]),
        ("upgrade", "h2c", "upgrade", &[]),
    ];
    for (name, value, arrives, want) in cases {
        let mut client = Http1::connect(site.address());
        client.send(request("GET", "/g", &[(name, value)], b""));
        client.reply().assert_ok();
        let seen = site.backend.only();
        if !arrives.is_empty() {
            assert_eq!(values(&seen, arrives), *want, "{name}: {value}");
        }
        for reserved in ["host", "content-length", "grpc-metadata-x-tenant"] {
            assert!(!seen.metadata.contains_key(reserved), "{name}: {value}");
        }
    }
    // By HTTP/2 the same, as far as it lets such headers through.
    let forbidden = ["te", "keep-alive", "proxy-connection", "upgrade", "grpc-metadata-"];
    let mut client = site.http2();
    for (name, value, arrives, want) in cases.iter().filter(|case| !forbidden.contains(&case.0)) {
        client.call("GET", "/g", &[(name.to_ascii_lowercase().as_str(), value)], b"").assert_ok();
        assert_eq!(values(&site.backend.only(), arrives), *want, "{name}: {value}");
    }
}

#[test]
fn several_values_cross_in_their_order() {
    let site = Site::plain(PROTO);
    let headers = [("x-a", "1"), ("x-b", "2"), ("x-a", "3"), ("grpc-metadata-x-a", "4")];
    let seen = site.seen("GET", "/g", &headers, b"");
    assert_eq!(values(&seen, "x-a"), ["1", "3", "4"]);
}

#[test]
fn headers_named_by_connection_stay() {
    let site = Site::plain(PROTO);
    let headers = [
        ("connection", "X-Hop , keep-alive"),
        ("connection", "x-other"),
        ("x-hop", "1"),
        ("x-other", "2"),
        ("grpc-metadata-x-hop", "3"),
        ("x-stays", "4"),
    ];
    let seen = site.seen("GET", "/g", &headers, b"");
    assert_eq!(values(&seen, "x-hop"), [""; 0]);
    assert_eq!(values(&seen, "x-other"), [""; 0]);
    assert_eq!(values(&seen, "x-stays"), ["4"]);
}

#[test]
fn binary_headers_must_be_base64() {
    let site = Site::plain(PROTO);
    for name in ["x-data-bin", "grpc-metadata-x-data-bin"] {
        for value in ["%", "A", "AQI*"] {
            let reply = site.call("GET", "/g", &[(name, value)], b"");
            reply.assert_fault(400, "BAD_BINARY_HEADER", Some("x-data-bin"));
        }
    }
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn request_ids_are_kept_or_made_and_given_back() {
    let site = Site::plain(PROTO);
    let long = "x".repeat(128);
    let too_long = "x".repeat(129);
    for (id, kept) in [
        (Some("mine-1/2:3"), true),
        (Some(long.as_str()), true),
        (Some(too_long.as_str()), false),
        (Some("two words"), false),
        (Some(""), false),
        (None, false),
    ] {
        let headers: Vec<_> = id.iter().map(|id| ("x-request-id", *id)).collect();
        let reply = site.call("GET", "/g", &headers, b"");
        let given = reply.assert_ok().header("x-request-id").expect("an id").to_owned();
        assert_eq!(id == Some(&given), kept, "{id:?} {given}");
        assert!(!given.is_empty() && given.bytes().all(|byte| byte.is_ascii_graphic()), "{given}");
        assert_eq!(site.backend.only().header("x-request-id"), Some(given.as_str()));
        // A fault tells it too.
        let reply = site.call("GET", "/nothing", &headers, b"");
        let given = reply.header("x-request-id").expect("an id").to_owned();
        assert_eq!(reply.info()["metadata"]["requestId"], given.as_str());
        assert_eq!(id == Some(&given), kept);
    }
    let ids: Vec<_> = (0..10).map(|_| site.get("/g").header("x-request-id").map(str::to_owned)).collect();
    assert!((1..10).all(|at| !ids[..at].contains(&ids[at])), "{ids:?}");
}

#[test]
fn a_backend_does_not_choose_the_request_id() {
    let site = Site::plain(PROTO);
    let headers = [("x-request-id".parse().expect("a name"), "theirs".parse().expect("a value"))];
    let headers: http::HeaderMap = headers.into_iter().collect();
    site.backend.answer(Answer::Message {
        message: Default::default(),
        headers,
        trailers: http::HeaderMap::new(),
    });
    let reply = site.call("GET", "/g", &[("x-request-id", "mine")], b"");
    assert_eq!(reply.assert_ok().header("x-request-id"), Some("mine"));
}

#[test]
fn trace_context_is_passed_on_or_made() {
    let site = Site::plain(PROTO);
    let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (parent, kept) in [
        (Some(valid), true),
        (Some("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"), true),
        (Some("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"), false),
        (Some("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), false),
        (Some("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), false),
        (Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"), false),
        (Some("nonsense"), false),
        (None, false),
    ] {
        let mut headers = vec![("tracestate", "a=b")];
        headers.extend(parent.map(|parent| ("traceparent", parent)));
        let seen = site.seen("GET", "/g", &headers, b"");
        let arrived = seen.header("traceparent").expect("a parent");
        if kept {
            assert_eq!((Some(arrived), seen.header("tracestate")), (parent, Some("a=b")));
        } else {
            assert_ne!(Some(arrived), parent);
            let parts: Vec<&str> = arrived.split('-').collect();
            let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
            assert_eq!((lengths.as_slice(), parts[0]), (&[2, 32, 16, 2][..], "00"), "{arrived}");
            assert_eq!(seen.header("tracestate"), None, "a state without its parent says nothing");
        }
    }
    let made = || site.seen("GET", "/g", &[], b"").header("traceparent").map(str::to_owned);
    assert_ne!(made(), made());
}

/// The microseconds in a `grpc-timeout`.
fn micros(timeout: &str) -> u64 {
    let (number, unit) = timeout.split_at(timeout.len() - 1);
    assert!(number.len() <= 8, "{timeout}");
    let factor = match unit {
        "S" => 1_000_000,
        "m" => 1_000,
        "u" => 1,
        other => panic!("unit {other} in {timeout}"),
    };
    number.parse::<u64>().expect("a number") * factor
}

const RULES: &str = "rules: { '*': { timeout: 20s }, t.S/*: { timeout: 10s }, t.S/Fast: { timeout: 5s }, t.S/Slow: { timeout: 1h } }";

#[test]
fn the_least_deadline_is_passed_on() {
    const SECOND: u64 = 1_000_000;
    let site = Site::plain(PROTO);
    let ruled = Site::new(PROTO, Choices { more: RULES, ..Choices::default() });
    type Case<'a> = (&'a Site, &'a str, &'a [(&'a str, &'a str)], u64);
    let cases: &[Case<'_>] = &[
        (&site, "/g", &[], 30 * SECOND),
        (&site, "/g", &[("grpc-timeout", "5S")], 5 * SECOND),
        (&site, "/g", &[("grpc-timeout", "5000m")], 5 * SECOND),
        (&site, "/g", &[("grpc-timeout", "5000000u")], 5 * SECOND),
        (&site, "/g", &[("grpc-timeout", "1H")], 30 * SECOND),
        (&site, "/g", &[("connect-timeout-ms", "5000")], 5 * SECOND),
        (&site, "/g", &[("x-server-timeout", "5.5")], 5 * SECOND + SECOND / 2),
        (
            &site,
            "/g",
            &[("grpc-timeout", "9S"), ("connect-timeout-ms", "5000"), ("x-server-timeout", "7")],
            5 * SECOND,
        ),
        (&ruled, "/g", &[], 10 * SECOND),
        (&ruled, "/fast", &[], 5 * SECOND),
        (&ruled, "/fast", &[("grpc-timeout", "4S")], 4 * SECOND),
        (&ruled, "/fast", &[("grpc-timeout", "10S")], 5 * SECOND),
        (&ruled, "/slow", &[], 3600 * SECOND),
        (&ruled, "/slow", &[("grpc-timeout", "30M")], 1800 * SECOND),
    ];
    for (site, target, headers, most) in cases {
        let seen = site.seen("GET", target, headers, b"");
        let arrived = micros(seen.header("grpc-timeout").expect("a time-out"));
        // What is left is less than was asked for; how much less is up to the machine, within reason.
        assert!(arrived <= *most && arrived > 0, "{target} {headers:?}: {arrived}");
        assert!(arrived > most / 2, "{target} {headers:?}: {arrived}");
        assert!(!seen.metadata.contains_key("connect-timeout-ms"));
        assert!(!seen.metadata.contains_key("x-server-timeout"));
    }
}

#[test]
fn malformed_time_outs_are_refused_by_name() {
    let site = Site::plain(PROTO);
    for (name, value) in [
        ("grpc-timeout", "5"),
        ("grpc-timeout", "S"),
        ("grpc-timeout", "-1S"),
        ("grpc-timeout", "1.5S"),
        ("grpc-timeout", "123456789S"),
        ("grpc-timeout", "5s"),
        ("grpc-timeout", ""),
        ("connect-timeout-ms", "soon"),
        ("connect-timeout-ms", "1.5"),
        ("connect-timeout-ms", "12345678901"),
        ("x-server-timeout", "5s"),
        ("x-server-timeout", "-1"),
        ("x-server-timeout", "1e3"),
    ] {
        site.call("GET", "/g", &[(name, value)], b"").assert_fault(400, "BAD_TIMEOUT", Some(name));
    }
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn a_call_that_takes_too_long_ends_for_both_sides() {
    let rules = "rules: { t.S/Fast: { timeout: 50ms } }";
    let site = Site::new(PROTO, Choices { more: rules, ..Choices::default() });
    site.backend.answer(Answer::Held);
    for (target, headers) in [
        ("/g", &[("grpc-timeout", "50m")][..]),
        ("/g", &[("connect-timeout-ms", "50")]),
        ("/g", &[("x-server-timeout", "0.05")]),
        ("/fast", &[]),
    ] {
        let before = site.backend.cancelled();
        site.call("GET", target, headers, b"").assert_fault(504, "DEADLINE_EXCEEDED", None);
        until("the backend is told", || site.backend.cancelled() > before);
    }
    // Nothing at all is too little.
    site.call("GET", "/g", &[("grpc-timeout", "0S")], b"").assert_fault(504, "DEADLINE_EXCEEDED", None);
    // The connection to the backend is as good as before.
    site.backend.answer(Answer::Echo);
    assert_eq!(site.get("/g?a=x").json(), json!({ "a": "x" }));
    assert_eq!(site.backend.connections(), 1);
}

#[test]
fn a_client_that_leaves_is_passed_on() {
    let site = Site::plain(PROTO);
    site.backend.answer(Answer::Held);
    let mut client = Http1::connect(site.address());
    client.send(request("GET", "/g", &[], b""));
    until("the call arrives", || site.backend.count() == 1);
    drop(client);
    until("the backend is told", || site.backend.cancelled() == 1);

    let mut client = site.http2();
    let (response, mut stream) = client.begin("GET", "/g", &[], true);
    let (staying, _) = client.begin("GET", "/g?a=stays", &[], true);
    until("the calls arrive", || {
        client.settle();
        site.backend.count() == 3
    });
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    until("the backend is told", || {
        client.settle();
        site.backend.cancelled() == 2
    });
    // The other call on the same connections goes on.
    site.backend.release();
    assert_eq!(client.end(staying).expect("an answer").json(), json!({ "a": "stays" }));
    assert_eq!((site.backend.cancelled(), site.backend.connections()), (2, 1));
}
