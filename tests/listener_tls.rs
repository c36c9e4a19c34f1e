//! TLS on the listener: certificates by name and as they change, versions, ALPN, clients' certificates, and what happens
//! to those who speak something else.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use serde_json::json;
use support::{
    Answer, Authority, Backend, Choices, Gateway, Http1, Http2, PATIENCE, Schema, Signed, TlsChoices,
    TlsClient, frame, get, problems_of, request, until,
};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/p" body: "*" }; }
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/down" }; }
}
"#;

const NAME: &str = "api.test";
const ADMIN: &str = "admin: { address: '127.0.0.1:0' }";

/// A gateway with TLS, the backend behind it, and the authority that clients trust.
struct Secure {
    gateway: Gateway,
    backend: Backend,
    authority: Authority,
    signed: Signed,
    schema: Schema,
}

fn put(folder: &Path, name: &str, signed: &Signed) {
    fs::write(folder.join(format!("{name}.crt")), &signed.cert).expect("written");
    fs::write(folder.join(format!("{name}.key")), &signed.key).expect("written");
}

impl Secure {
    /// With a certificate for [`NAME`], further keys of `tls`, and further keys of the listener.
    fn new(tls: &str, listener: &str) -> Self {
        Self::prepared(tls, listener, |_, _| {})
    }

    /// The same, once `prepare` has put further files beside the schema.
    fn prepared(tls: &str, listener: &str, prepare: impl FnOnce(&Schema, &Authority)) -> Self {
        let schema = Schema::new(PROTO);
        let authority = Authority::new();
        let signed = authority.sign(&[NAME, "127.0.0.1"]);
        put(schema.folder(), "tls", &signed);
        prepare(&schema, &authority);
        let backend = Backend::start(&schema, Answer::Echo);
        let listener = format!("tls: {{ cert: tls.crt, key: tls.key, {tls} }}, {listener}");
        let choices = Choices { listener: &listener, more: ADMIN, ..Choices::default() };
        let yaml = choices.yaml(&schema, backend.address).replace("drain: 0s", "drain: 30s");
        let gateway = Gateway::start(&yaml, schema.folder());
        Self { gateway, backend, authority, signed, schema }
    }

    fn address(&self) -> SocketAddr {
        self.gateway.address
    }

    fn client(&self, alpn: &[&str]) -> TlsClient {
        TlsClient::new(&self.authority, TlsChoices { alpn, ..TlsChoices::default() })
    }

    fn http1(&self, client: &TlsClient) -> Http1 {
        Http1::over_tls(client.connect(self.address(), NAME).expect("a handshake"))
    }

    fn failures(&self, reason: &str) -> u64 {
        let name = "transom_tls_handshake_failures_total";
        self.gateway.metric(&format!("{name}{{listener=\"public\",reason=\"{reason}\"}}"))
    }
}

/// One request on this connection, and whether it was answered as it should.
fn is_served(client: &mut Http1) -> bool {
    client.try_send(request("GET", "/g?a=x", &[], b""))
        && client.read(false).is_some_and(|reply| reply.status == 200 && reply.json() == json!({ "a": "x" }))
}

#[test]
fn names_choose_certificates() {
    let mut all = Vec::new();
    let more = "certificates: [{ cert: wild.crt, key: wild.key }, { cert: one.crt, key: one.key }]";
    let site = Secure::prepared(more, "", |schema, authority| {
        for (file, names) in [("wild", ["*.shop.test", "shop.test"]), ("one", ["one.shop.test", "One.Test"])]
        {
            let signed = authority.sign(&names);
            put(schema.folder(), file, &signed);
            all.push(signed.certificate());
        }
    });
    all.insert(0, site.signed.certificate());
    let client = site.client(&[]);
    for (name, want) in [
        (NAME, 0),
        // No name is asked for by address.
        ("127.0.0.1", 0),
        ("shop.test", 1),
        ("two.shop.test", 1),
        ("TWO.SHOP.test", 1),
        ("one.shop.test", 2),
        ("one.test", 2),
    ] {
        let connection =
            client.connect(site.address(), name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(connection.certificate(), all[want], "{name}");
        assert!(is_served(&mut Http1::over_tls(connection)), "{name}");
    }
    for name in ["unknown.test", "a.b.shop.test"] {
        let error =
            client.connect(site.address(), name).err().expect("the default is for other names").to_string();
        assert!(error.contains(NAME), "{name}: {error}");
    }
    until("alerts are counted", || site.failures("alert") == 2);
}

#[test]
fn alpn_chooses_the_version_of_http() {
    let site = Secure::new("", "");
    let body = json!({ "a": "0123456789abcdef".repeat(80_000) }).to_string();
    for (offers, agreed) in [
        (&["h2"][..], Some("h2")),
        (&["h2", "http/1.1"], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["http/1.0", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let client = site.client(offers);
        let connection = client.connect(site.address(), NAME).expect("a handshake");
        assert_eq!(connection.alpn(), agreed, "{offers:?}");
        let headers = [("content-type", "application/json")];
        let mut replies = Vec::new();
        if agreed != Some("h2") {
            let mut http1 = Http1::over_tls(connection);
            for _ in 0..2 {
                http1.send(request("POST", "/p", &headers, body.as_bytes()));
                replies.push(http1.reply());
            }
        }
        // Without ALPN HTTP/2 is told by its preface, as on plain connections.
        if agreed != Some("http/1.1") {
            let mut http2 = Http2::over_tls(site.address(), &client, NAME);
            let (response, mut stream) = http2.begin("POST", "/p", &headers, false);
            assert!(http2.send(&mut stream, body.as_bytes(), true));
            replies.push(http2.end(response).expect("an answer"));
            replies.push(http2.call("GET", "/down?a=x", &[], b""));
        }
        for reply in replies {
            assert!(reply.assert_ok().body.len() >= 10, "{offers:?}");
        }
    }
    let error = site.client(&["spdy/3"]).connect(site.address(), NAME).err().expect("nothing in common");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    until("it is counted", || site.failures("nothing_in_common") == 1);
    // One that agrees on HTTP/2 and speaks HTTP/1 is not served.
    let served = site.backend.count();
    let mut liar = site.http1(&site.client(&["h2"]));
    liar.send(request("GET", "/g", &[], b""));
    until("it is sent away", || liar.is_closed());
    assert_eq!(site.backend.count(), served);
}

#[test]
fn other_protocols_go_through_it() {
    let site = Secure::new("", "");
    let message = frame(b"\x0a\x01x");
    let mut http2 = Http2::over_tls(site.address(), &site.client(&["h2"]), NAME);
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let reply = http2.call("POST", "/t.S/Get", &headers, &message);
    assert_eq!((reply.status, &reply.body), (200, &message));
    assert_eq!(reply.trailers["grpc-status"], "0");
    let mut http1 = site.http1(&site.client(&["http/1.1"]));
    http1.send(request("POST", "/t.S/Get", &[("content-type", "application/grpc-web")], &message));
    assert!(http1.reply().assert_ok().body.starts_with(&message));
}

#[test]
fn versions_are_chosen() {
    for (choice, serves12, serves13) in [
        ("", true, true),
        ("versions: ['1.3']", false, true),
        ("versions: ['1.2']", true, false),
        ("versions: [1.2, 1.3]", true, true),
    ] {
        let site = Secure::new(choice, "");
        for (version, serves) in [(&TLS12, serves12), (&TLS13, serves13)] {
            let choices = TlsChoices { versions: &[version], ..TlsChoices::default() };
            match TlsClient::new(&site.authority, choices).connect(site.address(), NAME) {
                Ok(connection) => {
                    assert!(serves, "{choice} {version:?}");
                    assert!(is_served(&mut Http1::over_tls(connection)));
                }
                Err(error) => {
                    assert!(!serves, "{choice} {version:?}: {error}");
                    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
                }
            }
        }
        let refused = u64::from(!serves12) + u64::from(!serves13);
        until("they are counted", || site.failures("nothing_in_common") == refused);
    }
}

#[test]
fn sessions_are_resumed_but_not_with_certificates() {
    for (tls, resumes) in [("", true), ("client: { roots: ca.pem, required: false }", false)] {
        let site = Secure::prepared(tls, "", |schema, authority| {
            schema.write("ca.pem", &authority.pem);
        });
        for version in [&TLS12, &TLS13] {
            let choices = TlsChoices { versions: &[version], ..TlsChoices::default() };
            let client = TlsClient::new(&site.authority, choices);
            for expected in [false, resumes, resumes] {
                let connection = client.connect(site.address(), NAME).expect("a handshake");
                assert_eq!(connection.is_resumed(), expected, "{tls} {version:?}");
                // Tickets come before the first answer.
                assert!(is_served(&mut Http1::over_tls(connection)));
            }
        }
        let labels = "listener=\"public\",version=\"1.3\",resumed=\"true\"";
        let resumed = site.gateway.metric(&format!("transom_tls_handshakes_total{{{labels}}}"));
        assert_eq!(resumed, if resumes { 2 } else { 0 });
    }
}

#[test]
fn clients_certificates_are_required_or_optional() {
    let stranger = Authority::new();
    for (required, refusal) in [("required: true", true), ("", true), ("required: false", false)] {
        let tls = format!("client: {{ roots: ca.pem, {required} }}");
        let site = Secure::prepared(&tls, "", |schema, authority| {
            schema.write("ca.pem", &authority.pem);
        });
        let good = site.authority.sign(&["client.test"]);
        let expired = site.authority.sign_until(&["client.test"], 2020);
        let foreign = stranger.sign(&["client.test"]);
        for version in [&TLS12, &TLS13] {
            for (what, shows, served, reason) in [
                ("good", Some(&good), true, ""),
                ("none", None, !refusal, "no_certificate"),
                ("expired", Some(&expired), false, "bad_certificate"),
                ("foreign", Some(&foreign), false, "bad_certificate"),
            ] {
                let before = if served { 0 } else { site.failures(reason) };
                let choices = TlsChoices { versions: &[version], shows, ..TlsChoices::default() };
                let client = TlsClient::new(&site.authority, choices);
                // With TLS 1.3 the client is done before the server has seen its certificate.
                let connection = client.connect(site.address(), NAME).ok();
                let got = connection.is_some_and(|connection| is_served(&mut Http1::over_tls(connection)));
                assert_eq!(got, served, "{required} {version:?} {what}");
                if !served {
                    until("it is counted", || site.failures(reason) == before + 1);
                }
            }
        }
        let served = if refusal { 2 } else { 4 };
        assert_eq!(site.backend.count(), served, "{required}");
    }
}

/// Puts a folder in the place of another in one step, as Kubernetes does with secrets.
fn swap(folder: &Path, to: &str) {
    let next = folder.join("..data_tmp");
    std::os::unix::fs::symlink(to, &next).expect("a link");
    fs::rename(next, folder.join("..data")).expect("renamed");
}

#[test]
fn certificates_rotate_under_load_without_a_failed_call() {
    let schema = Schema::new(PROTO);
    let authority = Authority::new();
    let folder = schema.folder();
    let versions: Vec<Signed> = (0..3).map(|_| authority.sign(&[NAME])).collect();
    for (number, signed) in versions.iter().enumerate() {
        let version = folder.join(format!("v{number}"));
        fs::create_dir(&version).expect("a folder");
        put(&version, "tls", signed);
    }
    swap(folder, "v0");
    for file in ["tls.crt", "tls.key"] {
        std::os::unix::fs::symlink(format!("..data/{file}"), folder.join(file)).expect("a link");
    }
    let backend = Backend::start(&schema, Answer::Echo);
    let listener = "tls: { cert: tls.crt, key: tls.key }";
    let yaml = Choices { listener, more: ADMIN, ..Choices::default() }.yaml(&schema, backend.address);
    let gateway = Gateway::start(&yaml.replace("workers: 1", "workers: 2"), folder);
    let address = gateway.address;
    let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for alpn in ["http/1.1", "h2"] {
            let (authority, stop, calls) = (&authority, &stop, &calls);
            scope.spawn(move || {
                let choices = TlsChoices { alpn: &[alpn], ..TlsChoices::default() };
                let mut old = match alpn {
                    "h2" => None,
                    _ => {
                        let client = TlsClient::new(authority, choices);
                        Some(Http1::over_tls(client.connect(address, NAME).expect("a handshake")))
                    }
                };
                while !stop.load(Ordering::SeqCst) {
                    // A new one each time, so that each handshake is whole.
                    let client = TlsClient::new(authority, choices);
                    if let Some(old) = &mut old {
                        assert!(is_served(old));
                        let connection = client.connect(address, NAME).expect("a handshake");
                        assert!(is_served(&mut Http1::over_tls(connection)));
                    } else {
                        Http2::over_tls(address, &client, NAME).call("GET", "/g", &[], b"").assert_ok();
                    }
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let client = TlsClient::new(&authority, TlsChoices::default());
        for (number, signed) in versions.iter().enumerate().cycle().take(5) {
            swap(folder, &format!("v{number}"));
            let begin = calls.load(Ordering::SeqCst);
            until("the new certificate is served", || {
                // Its own client: a resumed session shows no certificate.
                let client = TlsClient::new(&authority, TlsChoices::default());
                client.connect(address, NAME).expect("a handshake").certificate() == signed.certificate()
            });
            until("calls go on", || calls.load(Ordering::SeqCst) > begin + 4);
            // Sessions outlive a rotation.
            assert!(is_served(&mut Http1::over_tls(client.connect(address, NAME).expect("a handshake"))));
        }
        stop.store(true, Ordering::SeqCst);
    });
    let labels = "listener=\"public\",result=\"taken\"";
    // The first swap put the same certificate in place again.
    let taken = gateway.metric(&format!("transom_tls_certificate_renewals_total{{{labels}}}"));
    assert!(taken >= 4, "{taken}");
    assert_eq!(
        gateway.metric("transom_tls_handshake_failures_total{listener=\"public\",reason=\"protocol\"}"),
        0
    );
}

#[test]
fn a_bad_new_certificate_is_refused_and_a_good_one_taken() {
    let site = Secure::new("", "");
    let refused = || {
        let labels = "listener=\"public\",result=\"refused\"";
        site.gateway.metric(&format!("transom_tls_certificate_renewals_total{{{labels}}}"))
    };
    let serves = |signed: &Signed| {
        let connection = site.client(&[]).connect(site.address(), NAME).expect("a handshake");
        connection.certificate() == signed.certificate()
    };
    let folder = site.schema.folder();
    let (next, expired) = (site.authority.sign(&[NAME]), site.authority.sign_until(&[NAME], 2020));
    let other_key = Signed { key: site.signed.key.clone(), ..next.clone() };
    let no_pem = Signed { cert: "no PEM".into(), ..next.clone() };
    for (bad, want) in [(&other_key, 1), (&no_pem, 2), (&expired, 3)] {
        put(folder, "tls", bad);
        until("it is refused", || refused() == want);
        assert!(serves(&site.signed));
    }
    put(folder, "tls", &next);
    until("it is taken", || serves(&next));
    assert_eq!(refused(), 3);
    let file = folder.join("tls.crt");
    let labels = format!("listener=\"public\",file=\"{}\"", file.display());
    let expiry =
        site.gateway.metric(&format!("transom_tls_certificate_not_after_timestamp_seconds{{{labels}}}"));
    assert_eq!(expiry, 64_060_588_800, "4000-01-01");
}

#[test]
fn clients_authorities_are_read_again() {
    let site = Secure::prepared("client: { roots: ca.pem }", "", |schema, authority| {
        schema.write("ca.pem", &authority.pem);
    });
    let other = Authority::new();
    let (old, new) = (site.authority.sign(&["client.test"]), other.sign(&["client.test"]));
    let serves = |signed: &Signed| {
        let choices = TlsChoices { shows: Some(signed), ..TlsChoices::default() };
        let connection = TlsClient::new(&site.authority, choices).connect(site.address(), NAME);
        connection.is_ok_and(|connection| is_served(&mut Http1::over_tls(connection)))
    };
    assert!(serves(&old) && !serves(&new));
    site.schema.write("ca.pem", &other.pem);
    until("they are taken", || serves(&new));
    assert!(!serves(&old));
}

#[test]
fn a_slow_handshake_is_cut_off_and_holds_nobody_up() {
    let site = Secure::new("", "timeouts: { head: 2s }");
    let client = site.client(&[]);
    // A record of 256 bytes that never gets whole.
    let start = [0x16, 3, 1, 1, 0, 1];
    let mut slow: Vec<TcpStream> = (0..20)
        .map(|number| {
            let mut stream = TcpStream::connect(site.address()).expect("somebody listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("an open socket");
            // The first of them says nothing at all.
            stream.write_all(&start[..number % start.len()]).expect("taken");
            stream
        })
        .collect();
    assert!(is_served(&mut site.http1(&client)));
    assert_eq!(site.failures("timed_out"), 0, "they still wait");
    for stream in &mut slow {
        assert_eq!(stream.read(&mut [0; 64]).unwrap_or(0), 0);
    }
    until("all are counted", || site.failures("timed_out") == 20);
    assert!(is_served(&mut site.http1(&client)));
    // After the handshake a request has to come, too.
    let mut silent = site.http1(&client);
    assert!(silent.is_closed());
    // Who leaves without a word is no failure; who leaves in the middle is.
    drop(TcpStream::connect(site.address()).expect("somebody listens"));
    TcpStream::connect(site.address()).expect("somebody listens").write_all(&start).expect("taken");
    until("it is counted", || site.failures("left") == 1);
}

#[test]
fn plain_text_on_a_tls_port_is_told() {
    let site = Secure::new("", "");
    let reply = get(site.address(), "/g");
    assert_eq!((reply.status, reply.header("connection")), (400, Some("close")));
    assert!(reply.text().contains("use https"), "{}", reply.text());
    // In pieces, and with a body that nobody reads.
    let mut client = Http1::connect(site.address());
    client.send("P");
    client.send("OST /p HTTP/1.1\r\nhost: x\r\ncontent-length: 20000\r\n\r\n");
    client.send("x".repeat(20_000));
    assert_eq!(client.reply().status, 400);
    assert!(client.is_closed());
    // HTTP/2 by prior knowledge: SETTINGS, then GOAWAY with a reason and the same text.
    let mut client = TcpStream::connect(site.address()).expect("somebody listens");
    client.set_read_timeout(Some(PATIENCE)).expect("an open socket");
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("taken");
    client.shutdown(std::net::Shutdown::Write).expect("an open socket");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an orderly end");
    assert_eq!(answer[9 + 3], 7, "GOAWAY");
    assert_eq!(answer[9 + 9 + 7], 12, "INADEQUATE_SECURITY");
    assert!(String::from_utf8_lossy(&answer).ends_with("This port takes TLS"));
    assert_eq!(site.failures("plain_text"), 3);
    // What is neither gets an alert.
    let mut client = TcpStream::connect(site.address()).expect("somebody listens");
    client.set_read_timeout(Some(PATIENCE)).expect("an open socket");
    client.write_all(&[0; 64]).expect("taken");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an orderly end");
    assert_eq!((answer.first(), answer.get(5)), (Some(&0x15), Some(&2)), "a fatal alert: {answer:?}");
    until("it is counted", || site.failures("protocol") == 1);
    assert_eq!(site.backend.count(), 0);
}

#[test]
fn tls_on_a_plain_port_is_told() {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::Echo);
    let yaml = Choices { more: ADMIN, ..Choices::default() }.yaml(&schema, backend.address);
    let gateway = Gateway::start(&yaml, schema.folder());
    let client = TlsClient::new(&Authority::new(), TlsChoices::default());
    let error = client.connect(gateway.address, NAME).err().expect("there is no TLS").to_string();
    assert!(error.contains("HandshakeFailure"), "{error}");
    let failures = "transom_tls_handshake_failures_total{listener=\"public\",reason=\"plain_port\"}";
    assert_eq!(gateway.metric(failures), 1);
    assert_eq!(get(gateway.address, "/g").status, 200);
}

#[test]
fn calls_under_way_end_when_the_process_is_to_stop() {
    let site = Secure::new("", "");
    site.backend.answer(Answer::Held);
    let mut http1 = site.http1(&site.client(&["http/1.1"]));
    http1.send(request("GET", "/g", &[], b""));
    until("it arrives", || site.backend.count() == 1);
    let mut http2 = Http2::over_tls(site.address(), &site.client(&["h2"]), NAME);
    let (response, _) = http2.begin("GET", "/g", &[], true);
    until("it arrives", || site.backend.count() == 2);
    let mut idle = site.http1(&site.client(&[]));
    let mut half = TcpStream::connect(site.address()).expect("somebody listens");
    half.write_all(&[0x16]).expect("taken");
    let Secure { gateway, backend, .. } = site;
    let stopping = std::thread::spawn(move || drop(gateway));
    // Those without a call are closed at once, which shows that the end has begun.
    assert!(idle.is_closed());
    assert_eq!(half.read(&mut [0; 8]).unwrap_or(0), 0);
    // The others are told one after the other.
    std::thread::sleep(Duration::from_millis(200));
    for _ in 0..2 {
        backend.release();
        // Two permits at once would be one.
        http2.settle();
    }
    let reply = http1.reply();
    assert_eq!((reply.assert_ok().header("connection"), http1.is_closed()), (Some("close"), true));
    http2.end(response).expect("an answer").assert_ok();
    until("it ends", || {
        http2.settle();
        http2.is_closed()
    });
    stopping.join().expect("it stops");
}

#[test]
fn problems_say_which_file_and_why() {
    let schema = Schema::new(PROTO);
    let authority = Authority::new();
    let (good, other) = (authority.sign(&[NAME]), authority.sign(&[NAME]));
    put(schema.folder(), "good", &good);
    put(schema.folder(), "other", &other);
    schema.write("text.pem", "hello");
    schema.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    schema.write("ca.pem", &authority.pem);
    for (tls, wants) in [
        ("{}", &["the key `cert` is missing", "name both files"][..]),
        ("{ cert: good.crt }", &["the key `key` is missing"]),
        ("{ key: good.key }", &["the key `cert` is missing"]),
        (
            "{ cert: none.crt, key: none.key }",
            &["none.crt` can't be read: No such file", "none.key` can't be read"],
        ),
        (
            "{ cert: good.crt, key: other.key }",
            &["other.key` is not that of the certificate in", "good.crt`"],
        ),
        ("{ cert: text.pem, key: text.pem }", &["has no certificate in it", "has no private key in it"]),
        ("{ cert: broken.pem, key: good.key }", &["the first certificate of", "can't be read"]),
        ("{ certificates: [] }", &["the list is empty"]),
        ("{ certificates: [{ cert: good.crt }] }", &["the key `key` is missing"]),
        ("{ cert: good.crt, key: good.key, version: ['1.3'] }", &["unknown key `version`", "`versions`"]),
        ("{ cert: good.crt, key: good.key, versions: ['1.1'] }", &["`1.1` is none of `1.2`, `1.3`"]),
        ("{ cert: good.crt, key: good.key, client: {} }", &["the key `roots` is missing"]),
        ("{ cert: good.crt, key: good.key, client: { roots: text.pem } }", &["has no certificate in it"]),
        (
            "{ cert: good.crt, key: good.key, client: { roots: ca.pem, required: maybe } }",
            &["`maybe` is none of `true`, `false`"],
        ),
    ] {
        let listener = format!("tls: {tls}");
        let problems = problems_of(&schema, Choices { listener: &listener, ..Choices::default() });
        for want in wants.iter().chain(&["test.yaml:1:"]) {
            assert!(problems.contains(want), "{tls}: {want} is not in\n{problems}");
        }
    }
}

#[test]
fn odd_certificates_are_warned_of() {
    let schema = Schema::new(PROTO);
    let authority = Authority::new();
    let backend = Backend::start(&schema, Answer::Echo);
    put(schema.folder(), "good", &authority.sign(&[NAME]));
    put(schema.folder(), "old", &authority.sign_until(&[NAME], 2020));
    put(schema.folder(), "more", &authority.sign(&[NAME, "more.test"]));
    put(schema.folder(), "nameless", &authority.sign(&["127.0.0.1"]));
    for (tls, want) in [
        ("{ cert: good.crt, key: good.key }", ""),
        ("{ cert: nameless.crt, key: nameless.key }", ""),
        ("{ cert: old.crt, key: old.key }", "old.crt` has expired on 2020-01-01T00:00:00Z"),
        (
            "{ certificates: [{ cert: good.crt, key: good.key }, { cert: nameless.crt, key: nameless.key }] }",
            "nameless.crt`: it has no DNS names",
        ),
        ("{ cert: good.crt, key: good.key, certificates: [{ cert: more.crt, key: more.key }] }", ""),
        (
            "{ cert: more.crt, key: more.key, certificates: [{ cert: good.crt, key: good.key }] }",
            "others of its kind come before it that have all of its names",
        ),
    ] {
        let listener = format!("tls: {tls}");
        let yaml = Choices { listener: &listener, ..Choices::default() }.yaml(&schema, backend.address);
        let started = Gateway::try_start(&yaml, schema.folder());
        let (_, warnings) = started.unwrap_or_else(|problems| panic!("{tls}\n{problems}"));
        let warnings = warnings.to_string();
        assert_eq!(warnings.is_empty(), want.is_empty(), "{tls}\n{warnings}");
        assert!(warnings.contains(want), "{tls}\n{warnings}");
    }
}
