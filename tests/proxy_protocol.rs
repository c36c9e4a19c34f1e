//! Listeners behind load balancers that tell by the PROXY protocol whose each connection is.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use support::{Authority, Choices, Http1, Seen, Site, TlsChoices, TlsClient, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; } }
"#;

const TRUSTING: &str = "proxy_protocol: { from: [127.0.0.0/8] }";
const ADMIN: &str = "admin: { address: '127.0.0.1:0' }";

fn site(listener: &str) -> Site {
    Site::new(PROTO, Choices { listener, more: ADMIN, ..Choices::default() })
}

/// A header of version 2 for 198.51.100.7, with a TLV that nobody knows.
fn version_2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x12".to_vec();
    header.extend([198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x67, 1, 0xbb]);
    header.extend([0xe0, 0, 3, 1, 2, 3]);
    header
}

fn forwarded(seen: &Seen) -> &str {
    seen.metadata.get("x-forwarded-for").expect("an address").to_str().expect("ASCII")
}

#[test]
fn the_client_is_whom_the_header_names() {
    let site = site(TRUSTING);
    let cases: [(&[u8], &str); 5] = [
        (b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n", "198.51.100.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "127.0.0.1"),
        (&version_2(), "198.51.100.7"),
    ];
    for (header, want) in cases {
        let mut client = Http1::connect(site.address());
        client.send([header, &request("GET", "/g", &[], b"")].concat());
        client.reply().assert_ok();
        assert_eq!(forwarded(&site.backend.only()), want, "{}", header.escape_ascii());
        // It counts for the whole connection.
        client.send(request("GET", "/g", &[], b""));
        client.reply().assert_ok();
        assert_eq!(forwarded(&site.backend.only()), want);
    }
}

#[test]
fn a_header_may_come_in_any_pieces() {
    let site = site(TRUSTING);
    for header in [b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n".to_vec(), version_2()] {
        let all = [&header[..], &request("GET", "/g", &[], b"")].concat();
        for cut in 1..=header.len() + 1 {
            let mut client = Http1::connect(site.address());
            client.send(&all[..cut]);
            std::thread::yield_now();
            client.send(&all[cut..]);
            client.reply().assert_ok();
            assert_eq!(forwarded(&site.backend.only()), "198.51.100.7", "cut {cut}");
        }
    }
}

#[test]
fn connections_that_do_not_say_are_ended() {
    let site = site("proxy_protocol: { from: [127.0.0.0/8] }, timeouts: { head: 300ms }");
    let failed = |reason: &str, count: u64| {
        let name =
            format!("transom_proxy_protocol_failures_total{{listener=\"public\",reason=\"{reason}\"}}");
        until(&name, || site.gateway.metric(&name) == count);
    };
    let plain = request("GET", "/g", &[], b"");
    let long = [&b"PROXY UNKNOWN "[..], &[b'a'; 100]].concat();
    let cases: [(&[u8], &str, u64); 6] = [
        (&plain, "missing", 1),
        (b"\x16\x03\x01", "missing", 2),
        (b"PROXY TCP4 1.2.3.4\r\n", "malformed", 1),
        (&long, "too_long", 1),
        // Too slow, at the beginning and in the middle.
        (b"", "timed_out", 1),
        (b"PROXY TCP4 198.51", "timed_out", 2),
    ];
    for (bytes, reason, count) in cases {
        let mut client = Http1::connect(site.address());
        client.send(bytes);
        assert!(client.is_closed(), "{}", bytes.escape_ascii());
        failed(reason, count);
    }
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn strangers_may_not_say_anything() {
    let site = site("proxy_protocol: { from: [10.0.0.0/8] }");
    let mut client = Http1::connect(site.address());
    client.try_send(b"PROXY TCP4 10.0.0.7 10.0.0.1 4711 443\r\n");
    assert!(client.is_closed());
    let name = "transom_proxy_protocol_failures_total{listener=\"public\",reason=\"untrusted\"}";
    until(name, || site.gateway.metric(name) == 1);
}

#[test]
fn proxies_behind_the_load_balancer_are_trusted_by_their_own_address() {
    let site = site(&format!("{TRUSTING}, trusted_proxies: {{ addresses: [198.51.100.0/24] }}"));
    for (header, want) in [
        ("PROXY TCP4 198.51.100.7 10.0.0.1 1 2\r\n", "203.0.113.5, 198.51.100.7"),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n", "192.0.2.7"),
    ] {
        let mut client = Http1::connect(site.address());
        let request = request("GET", "/g", &[("x-forwarded-for", "203.0.113.5")], b"");
        client.send([header.as_bytes(), &request].concat());
        client.reply().assert_ok();
        assert_eq!(forwarded(&site.backend.only()), want);
    }
}

#[test]
fn tls_begins_behind_the_header() {
    let authority = Authority::new();
    let signed = authority.sign(&["transom.test"]);
    let folder = tempfile::tempdir().expect("a folder");
    let [cert, key] = [("a.crt", &signed.cert), ("a.key", &signed.key)].map(|(name, pem)| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).expect("the folder can be written");
        path.display().to_string()
    });
    let site = site(&format!("{TRUSTING}, tls: {{ cert: '{cert}', key: '{key}' }}"));
    let client = TlsClient::new(&authority, TlsChoices::default());
    let call = |address: SocketAddr, header: &[u8]| -> String {
        let mut socket = TcpStream::connect(address).expect("somebody listens");
        socket.write_all(header).expect("an open socket");
        let name = ServerName::try_from("transom.test").expect("a name");
        let session = ClientConnection::new(client.config(), name).expect("a session");
        let mut stream = StreamOwned::new(session, socket);
        stream
            .write_all(&request("GET", "/g", &[("connection", "close")], b""))
            .expect("the bytes are taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    for header in [b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n".to_vec(), version_2()] {
        let answer = call(site.address(), &header);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let seen = site.backend.only();
        assert_eq!(forwarded(&seen), "198.51.100.7");
        assert_eq!(seen.metadata.get("x-forwarded-proto").expect("a scheme"), "https");
    }
}

#[test]
fn bad_choices_are_refused() {
    let schema = support::Schema::new(PROTO);
    for (listener, problem) in [
        ("proxy_protocol: required", "this is a single value"),
        ("proxy_protocol: { }", "the key `from` is missing"),
        ("proxy_protocol: { from: [] }", "the list is empty"),
        ("proxy_protocol: { from: [any] }", "is no network and no address"),
    ] {
        let problems = support::problems_of(&schema, Choices { listener, ..Choices::default() });
        assert!(problems.contains(problem), "{listener}: {problems}");
    }
}
