//! Rules about fields: what the backend would read is what is asked about, however it is written.

use serde_json::json;

use crate::ask::{Speaks, gzip};
use crate::site::{Policy, Site, problems_of};
use crate::support::{Http2, call, frame, reason};

const RULES: &str = "'t.S/Do': { fields: { a: { starts_with: 'tenants/{claim.tenant}/' }, inner.number: 7, flag: true, one: ok } }";

const GOOD: &[u8] = b"\x0a\x0etenants/acme/x\x12\x02\x10\x07\x18\x01\x22\x02ok";

#[test]
fn what_counts_is_what_the_backend_reads() {
    let site = Site::new(Policy { rules: RULES, ..Policy::default() });
    let key = [("x-api-key", site.keys.get("reader"))];
    let with = |more: &[u8]| [GOOD, more].concat();
    let before = |more: &[u8]| [more, GOOD].concat();
    for (what, bytes, want) in [
        ("all is good", GOOD.to_vec(), "OK"),
        ("nothing is there", Vec::new(), "FIELD_DENIED"),
        ("another text behind", with(b"\x0a\x0ftenants/other/x"), "FIELD_DENIED"),
        ("another text before", before(b"\x0a\x0ftenants/other/x"), "OK"),
        ("an empty text behind", with(b"\x0a\x00"), "FIELD_DENIED"),
        ("another part of the inner message", with(b"\x12\x03\x0a\x01x"), "OK"),
        ("another number in a second part", with(b"\x12\x02\x10\x08"), "FIELD_DENIED"),
        ("a long spelling of the number", with(b"\x12\x04\x10\x87\x80\x00"), "OK"),
        ("a bool that is zero in the end", with(b"\x18\x80\x00"), "FIELD_DENIED"),
        ("another member of the oneof", with(b"\x2a\x00"), "FIELD_DENIED"),
        ("another member, and back", with(b"\x2a\x00\x22\x02ok"), "OK"),
        ("another wire type", with(b"\x08\x01"), "BAD_MESSAGE"),
        ("fields that nobody knows", with(b"\xf0\x3e\x01\xfa\x3e\x02\x0a\x00"), "OK"),
        ("a value within one that nobody knows", with(b"\xfa\x3e\x03\x0a\x01x"), "OK"),
        ("cut off", GOOD[..GOOD.len() - 1].to_vec(), "BAD_MESSAGE"),
        ("no message at all", b"\xff\xff\xff\xff".to_vec(), "BAD_MESSAGE"),
    ] {
        for speaks in Speaks::WIRE {
            assert_eq!(site.ask_bytes(speaks, "Do", &key, &bytes), want, "{what}, by {speaks:?}");
            if want == "OK" {
                let seen = site.backend.last().message;
                assert_eq!(seen, bytes, "{what}, by {speaks:?}: what was asked about is what is sent");
            }
        }
    }
}

#[test]
fn json_says_a_field_once() {
    let site = Site::new(Policy { rules: "'t.S/Do': { fields: { a: x } }", ..Policy::default() });
    let key = [("x-api-key", site.keys.get("reader"))];
    for (json, want) in [
        (r#"{"a":"x"}"#, "OK"),
        (r#"{"\u0061":"\u0078"}"#, "OK"),
        (r#"{"a":"y"}"#, "FIELD_DENIED"),
        (r#"{"a":null}"#, "FIELD_DENIED"),
        (r#"{}"#, "FIELD_DENIED"),
    ] {
        for speaks in [
            Speaks::Rest,
            Speaks::Unsaid,
            Speaks::Connect,
            Speaks::GrpcJson,
            Speaks::GrpcWebJson,
            Speaks::WebSocket,
        ] {
            assert_eq!(site.ask_bytes(speaks, "Do", &key, json.as_bytes()), want, "{json}, by {speaks:?}");
        }
    }
}

#[test]
fn the_url_is_part_of_the_message() {
    let site = Site::new(Policy {
        rules: "'t.S/Name': { fields: { a: { starts_with: 'tenants/{claim.tenant}/' } } }, 't.S/Down': { fields: { a: x } }",
        ..Policy::default()
    });
    let key = [("x-api-key", site.keys.get("reader"))];
    for (target, want) in [
        ("/names/tenants/acme/x", 200),
        ("/names/tenants/other/x", 403),
        ("/names/tenants/%61cme/x", 200),
        ("/names/tenants/acme%2Fx/x", 403),
        ("/names/tenants/acme/x?a=tenants/other/x", 200),
    ] {
        assert_eq!(call(site.gateway.address, "GET", target, &key, b"").status, want, "{target}");
    }
    // The path is stronger than the query.
    assert_eq!(site.backend.last().json(), json!({ "a": "tenants/acme/x" }));
    // Streams to the client have one request, too.
    for speaks in [
        Speaks::Rest,
        Speaks::Grpc,
        Speaks::GrpcPacked,
        Speaks::GrpcWeb,
        Speaks::WebSocket,
        Speaks::WebSocketRest,
    ] {
        assert_eq!(site.ask(speaks, "Down", &key, &json!({ "a": "x" })), "OK", "{speaks:?}");
        assert_eq!(site.ask(speaks, "Down", &key, &json!({ "a": "y" })), "FIELD_DENIED", "{speaks:?}");
    }
}

#[test]
fn what_can_not_be_read_is_not_sent() {
    let site = Site::new(Policy { rules: "'t.S/Do': { fields: { a: x } }", ..Policy::default() });
    let at = site.gateway.address;
    let key = site.keys.get("reader");
    let grpc = |kind, encoding, body: &[u8]| {
        let headers =
            [("content-type", kind), ("grpc-encoding", encoding), ("te", "trailers"), ("x-api-key", key)];
        let reply = Http2::connect(at).call("POST", "/t.S/Do", &headers, body);
        reason(&reply).unwrap_or_default()
    };
    let mut packed = frame(&gzip(b"\x0a\x01y"));
    packed[0] = 1;
    let two = [frame(b"\x0a\x01x"), frame(b"\x0a\x01y")].concat();
    for (kind, encoding, body, want) in [
        ("application/grpc", "gzip", &packed, "FIELD_DENIED"),
        ("application/grpc", "snappy", &packed, "UNKNOWN_CODING"),
        ("application/grpc", "identity", &packed, "BAD_FRAME"),
        ("application/grpc+thrift", "identity", &frame(b"\x0a\x01x"), "UNSUPPORTED_MEDIA_TYPE"),
        ("application/grpc", "identity", &two, "MESSAGE_COUNT"),
        ("application/grpc", "identity", &Vec::new(), "MESSAGE_COUNT"),
    ] {
        assert_eq!(grpc(kind, encoding, body), want, "{kind} {encoding}");
    }
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn rules_that_can_not_hold_are_refused_at_load() {
    for (rules, want) in [
        ("'t.S/Do': { fields: { b: x } }", "`t.M` has no field `b`"),
        ("'t.S/*': { fields: { a: x } }", "it takes a stream of messages"),
        ("'t.S/Do': { fields: { inner: x } }", "the field `inner` is a message"),
        ("'t.S/Do': { fields: { inner.number: seven } }", "the field `inner.number` is never `seven`"),
        ("'t.S/Do': { fields: { inner.number: 07 } }", "the field `inner.number` is never `07`"),
        ("'t.S/Do': { fields: { flag: { starts_with: t } } }", "the field `flag` is no text"),
        ("'t.S/Do': { fields: { a: { starts_with: '' } } }", "every text starts with nothing"),
        ("'t.S/Do': { fields: { a: '{claim}' } }", "`{claim}` is nothing of a caller's"),
        ("'t.S/Do': { fields: { a: { equals: x, one_of: [y] } } }", "a field is asked one thing"),
        ("'t.S/Do': { fields: {} }", "the map is empty"),
        ("'t.S/Do': { auth: none, fields: { a: '{subject}' } }", "nobody asks who calls"),
        ("'t.S/Do': { fields: { a: '{subject}' } }, 't.S/*': { auth: none }", "nobody asks who calls"),
        (
            "'t.S/Do': { auth: none, scopes: [a] }",
            "`scopes` for `t.S/Do`: the rule `t.S/Do` has `auth: none`",
        ),
        ("'*': { auth: none }, 't.S/*': { claims: { a: b } }", "the rule `*` has `auth: none`"),
        ("'t.S/Do': { auth: none, deny: { a: b } }", "`deny` for `t.S/Do`"),
        ("'t.S/Do': { scopes: ['a b'] }", "`a b` is no scope"),
        ("'t.S/Do': { scopes: {} }", "write the scopes"),
        ("'t.S/Do': { scopes: [] }", "the list is empty"),
        ("'t.S/Do': { scopes: { every: [a] } }", "unknown key `every`"),
        ("'t.S/Do': { claims: { a: {} } }", "write what the claim has to be"),
        ("'t.S/Do': { claims: { a: { matches: '(' } } }", "`(` is no pattern"),
        ("'t.S/Do': { claims: { a: { like: x } } }", "unknown key `like`"),
        ("'t.S/Do': { deny: perhaps }", "perhaps"),
    ] {
        let said = problems_of(Policy { rules, ..Policy::default() });
        assert!(said.contains(want), "{rules}:\n{said}");
    }
}
