//! Whom a request is from, through proxies that are trusted and not; what the backend and the access log are told of it.

mod support;

use support::{Choices, Http1, Schema, Seen, Site, frame, problems_of, request};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; } }
"#;

const TRUSTING: &str = "trusted_proxies: { addresses: [127.0.0.0/8] }";

fn values(seen: &Seen, name: &str) -> Vec<String> {
    seen.metadata.get_all(name).iter().map(|value| value.to_str().expect("ASCII").to_owned()).collect()
}

#[test]
fn a_stranger_is_not_believed() {
    let site = Site::plain(PROTO);
    let forged = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "1"),
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("grpc-metadata-x-forwarded-for", "6.6.6.6"),
        // A header of one connection does not cross; the gateway's own do.
        ("connection", "x-forwarded-for, x-forwarded-host"),
    ];
    let mut client = Http1::connect(site.address());
    client.send(request("GET", "/g", &forged, b""));
    client.reply().assert_ok();
    let seen = site.backend.only();
    assert_eq!(values(&seen, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&seen, "x-forwarded-host"), ["transom.test"]);
    assert_eq!(values(&seen, "x-forwarded-proto"), ["http"]);
    for name in ["x-forwarded-port", "forwarded", "x-real-ip"] {
        assert_eq!(values(&seen, name), [""; 0], "{name}");
    }
}

#[test]
fn the_chain_of_a_trusted_proxy_goes_on_in_every_protocol() {
    let site = Site::with(PROTO, TRUSTING);
    let way = ("x-forwarded-for", "6.6.6.6, 198.51.100.7");
    let empty = frame(b"");
    let check = |seen: &Seen, what: &str| {
        assert_eq!(values(seen, "x-forwarded-for"), ["198.51.100.7, 127.0.0.1"], "{what}");
    };
    check(&site.seen("GET", "/g", &[way], b""), "REST");
    let connect = [way, ("content-type", "application/json"), ("connect-protocol-version", "1")];
    check(&site.seen("POST", "/t.S/Get", &connect, b"{}"), "Connect");
    let web = [way, ("content-type", "application/grpc-web+proto")];
    check(&site.seen("POST", "/t.S/Get", &web, &empty), "gRPC-Web");
    let grpc = [way, ("content-type", "application/grpc"), ("te", "trailers")];
    let reply = site.http2().call("POST", "/t.S/Get", &grpc, &empty);
    assert_eq!(reply.trailers.get("grpc-status").expect("a status"), "0");
    let seen = site.backend.only();
    check(&seen, "gRPC");
    assert_eq!(values(&seen, "x-forwarded-proto"), ["http"]);
}

#[test]
fn rfc_7239_is_read_and_written_where_it_is_chosen() {
    let site = Site::with(
        PROTO,
        "trusted_proxies: { addresses: [127.0.0.1], header: forwarded }, forward: forwarded",
    );
    let way = [("forwarded", "for=\"[2001:db8::7]:4711\";proto=https;host=shop.example")];
    let seen = site.seen("GET", "/g", &way, b"");
    let want = "for=\"[2001:db8::7]\";host=\"shop.example\";proto=https, for=127.0.0.1";
    assert_eq!(values(&seen, "forwarded"), [want]);
    assert_eq!(values(&seen, "x-forwarded-for"), [""; 0]);
    let site = Site::with(PROTO, "forward: 'off'");
    let seen = site.seen("GET", "/g", &way, b"");
    assert_eq!((values(&seen, "forwarded"), values(&seen, "x-forwarded-for")), (vec![], vec![]));
}

#[test]
fn what_can_not_be_read_is_refused() {
    let site = Site::with(PROTO, TRUSTING);
    for way in ["unknown", "198.51.100.7, _hidden", "198.51.100.7;10.0.0.1"] {
        let reply = site.call("GET", "/g", &[("x-forwarded-for", way)], b"");
        reply.assert_fault(400, "FORWARDED_INVALID", None);
    }
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn the_access_log_has_the_client_beside_the_peer() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let schema = Schema::new(PROTO);
    let backend = support::Backend::start(&schema, support::Answer::Echo);
    let yaml = Choices { listener: TRUSTING, ..Choices::default() }.yaml(&schema, backend.address);
    let yaml = yaml.replace("access_log: off", &format!("access_log: '{}'", log.display()));
    let gateway = support::Gateway::start(&yaml, schema.folder());
    support::call(gateway.address, "GET", "/g", &[("x-forwarded-for", "198.51.100.7")], b"").assert_ok();
    drop(gateway);
    let text = std::fs::read_to_string(log).expect("a log");
    assert!(text.contains(" peer=127.0.0.1:") && text.contains(" client=198.51.100.7 "), "{text}");
}

#[test]
fn bad_choices_are_refused() {
    let schema = Schema::new(PROTO);
    for (listener, problem) in [
        ("trusted_proxies: { }", "the key `addresses` is missing"),
        ("trusted_proxies: { addresses: [] }", "the list is empty"),
        ("trusted_proxies: { addresses: [10.0.0.1/8] }", "did you mean `10.0.0.0/8`?"),
        ("trusted_proxies: { addresses: [proxy.local] }", "is no network and no address"),
        ("trusted_proxies: { addresses: [10.0.0.0/8], hops: 0 }", "out of range"),
        ("trusted_proxies: { addresses: [10.0.0.0/8], header: x-real-ip }", "is none of"),
        ("forward: all", "is none of"),
    ] {
        let problems = problems_of(&schema, Choices { listener, ..Choices::default() });
        assert!(problems.contains(problem), "{listener}: {problems}");
    }
}
