//! Backends that say by server reflection what they serve, and the gateway that serves it.

mod support;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use serde_json::{Value, json};
use support::{Gateway, Reflecting, Schema, Versions, get, post, until};
use transom::problem::Problems;

const HEAD: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
"#;

const SERVICE: &str = r#"
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g/{a}" }; }
}
"#;

const LARGER: &str = r#"
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g/{a}" }; }
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/p" body: "*" }; }
}
"#;

const BROKEN: &str = r#"
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g/{no_such_field}" }; }
}
"#;

const OTHER: &str = r#"
service Other {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/o/{a}" }; }
}
"#;

/// The encoded descriptor set of a source.
fn set(services: &str) -> Vec<u8> {
    std::fs::read(Schema::new(&format!("{HEAD}{services}")).descriptors()).expect("it was written")
}

/// A backend that tells of `t.S` as `SERVICE` has it.
fn backend() -> Reflecting {
    Reflecting::start(Versions::Both, set(SERVICE), &["t.S"])
}

/// A configuration that asks these upstreams, with the keys of `reflect` and of `schema`, and further parts.
fn yaml(backends: &[(&str, SocketAddr)], schema: &str, more: &str) -> String {
    let upstreams: Vec<String> = backends
        .iter()
        .map(|(name, address)| format!("{name}: {{ endpoints: 'http://{address}' }}"))
        .collect();
    format!(
        "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nschema: {{ {schema} }}\n\
         upstreams: {{ {} }}\naccess_log: off\nworkers: 1\ndrain: 0s\n{more}\n",
        upstreams.join(", ")
    )
}

fn try_start(yaml: &str) -> Result<Gateway, Problems> {
    Gateway::try_start(yaml, Path::new("")).map(|(gateway, _)| gateway)
}

fn start(yaml: &str) -> Gateway {
    try_start(yaml).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"))
}

#[track_caller]
fn refused(yaml: &str) -> String {
    match try_start(yaml) {
        Ok(_) => panic!("it starts\n{yaml}"),
        Err(problems) => problems.to_string(),
    }
}

#[track_caller]
fn serves(gateway: &Gateway, path: &str, want: &Value) {
    let reply = get(gateway.address, path);
    reply.assert_ok();
    assert_eq!(&reply.json(), want);
}

#[test]
fn a_backend_says_what_it_serves() {
    for versions in [Versions::Both, Versions::Alpha] {
        let backend = Reflecting::start(versions, set(SERVICE), &["t.S"]);
        let gateway = start(&yaml(&[("main", backend.address)], "reflect: main", ""));
        serves(&gateway, "/g/x", &json!({ "a": "x" }));
        assert_eq!(backend.questions(), 1);
    }
}

#[test]
fn only_what_is_chosen_is_served_and_never_what_the_gateway_has_itself() {
    let both = set(&format!("{SERVICE}{OTHER}"));
    let backend = Reflecting::start(Versions::Both, both, &["t.S", "t.Other", "grpc.health.v1.Health"]);
    let gateway = start(&yaml(&[("main", backend.address)], "reflect: '*', services: 't.Other/*'", ""));
    serves(&gateway, "/o/x", &json!({ "a": "x" }));
    assert_eq!(get(gateway.address, "/g/x").status, 404);
    assert_eq!(gateway.running().snapshot().methods(), 1);
}

#[test]
fn what_a_backend_has_in_its_files_and_does_not_serve_is_not_served() {
    let both = set(&format!("{SERVICE}{OTHER}"));
    let backend = Reflecting::start(Versions::Both, both, &["t.S"]);
    let gateway = start(&yaml(&[("main", backend.address)], "reflect: main", ""));
    serves(&gateway, "/g/x", &json!({ "a": "x" }));
    assert_eq!(get(gateway.address, "/o/x").status, 404);
}

#[test]
fn files_that_a_backend_lacks_are_built_in_or_from_a_descriptor_set() {
    // A set without its imports, as some servers have it.
    let schema = Schema::new(&format!("{HEAD}{SERVICE}"));
    let file = schema.pool.get_file_by_name("test.proto").expect("it is there");
    let bare = prost_types::FileDescriptorSet { file: Vec::new() };
    let mut alone = prost::Message::encode_to_vec(&bare);
    prost::encoding::bytes::encode(1, &file.encode_to_vec(), &mut alone);
    let backend = Reflecting::start(Versions::Both, alone, &["t.S"]);
    let gateway = start(&yaml(&[("main", backend.address)], "reflect: main", ""));
    serves(&gateway, "/g/x", &json!({ "a": "x" }));
}

#[test]
fn each_upstream_serves_what_it_tells_of() {
    let one = backend();
    let other = Reflecting::start(Versions::Both, set(OTHER), &["t.Other"]);
    let both = [("one", one.address), ("other", other.address)];
    // Two sets may have one file only if they agree about it.
    let text = refused(&yaml(&both, "reflect: [one, other]", ""));
    for want in ["two inputs define `test.proto` differently", "reflection of `one`", "reflection of `other`"]
    {
        assert!(text.contains(want), "{text}");
    }

    let all = set(&format!("{SERVICE}{OTHER}"));
    one.tell(all.clone(), &["t.S"]);
    other.tell(all.clone(), &["t.Other"]);
    let gateway = start(&yaml(&both, "reflect: {}", ""));
    serves(&gateway, "/g/x", &json!({ "a": "x" }));
    drop(one);
    until("one is known to be down", || get(gateway.address, "/g/x").status == 503);
    serves(&gateway, "/o/x", &json!({ "a": "x" }));
}

#[test]
fn a_service_of_two_upstreams_needs_a_rule() {
    let (one, other) = (backend(), backend());
    let both = [("one", one.address), ("other", other.address)];
    let text = refused(&yaml(&both, "reflect: '*'", ""));
    assert!(text.contains("the upstreams `one`, `other` all serve `t.S`"), "{text}");
    let gateway = start(&yaml(&both, "reflect: '*'", "rules: { 't.S/*': { upstream: other } }"));
    drop(one);
    serves(&gateway, "/g/x", &json!({ "a": "x" }));
}

#[test]
fn what_keeps_a_backend_from_telling_is_told() {
    let silent = Reflecting::start(Versions::None, set(SERVICE), &["t.S"]);
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound");
    let lost = backend();
    lost.tell(set(SERVICE), &["t.S", "t.Nowhere"]);
    for (address, keys, wants) in [
        (silent.address, "", ["`main` does not tell", "it has no server reflection"]),
        (nobody, "wait: 0s", ["it can't be reached", "start the backend"]),
        (lost.address, "", ["it lists `t.Nowhere`, but does not describe it", "`schema.services`"]),
    ] {
        let text = refused(&yaml(&[("main", address)], &format!("reflect: {{ {keys} }}"), ""));
        for want in wants {
            assert!(text.contains(want), "{want}\nis missing in\n{text}");
        }
    }
    let services: Vec<String> = (0..900)
        .map(|number| {
            format!("message L{number} {{ string a_field_with_a_name_that_is_rather_long_{number} = 1; }}")
        })
        .collect();
    let large = Reflecting::start(Versions::Both, set(&format!("{SERVICE}{}", services.concat())), &["t.S"]);
    let text = refused(&yaml(&[("main", large.address)], "reflect: { max_size: 64KiB }", ""));
    assert!(text.contains("`schema.reflect.max_size`"), "{text}");
}

#[test]
fn the_start_waits_for_a_backend() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("it is bound");
    drop(free);
    let starting = std::thread::spawn(move || start(&yaml(&[("main", address)], "reflect: main", "")));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!starting.is_finished(), "nobody told it anything");
    let listener = TcpListener::bind(address).expect("it is free again");
    let _backend = Reflecting::start_on(listener, Versions::Both, set(SERVICE), &["t.S"]);
    let gateway = starting.join().expect("it starts");
    serves(&gateway, "/g/x", &json!({ "a": "x" }));
}

/// The value of a metric, 0 where it isn't there yet.
fn metric(gateway: &Gateway, name: &str) -> u64 {
    let metrics = get(gateway.running().admin().expect("an admin address"), "/metrics");
    let line = metrics.text().lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit_once(' ')).map_or(0, |(_, value)| value.parse().expect("a number"))
}

const ADMIN: &str = "admin: { address: '127.0.0.1:0' }";

#[test]
fn what_a_backend_comes_to_serve_is_served_and_nothing_bad() {
    let backend = backend();
    let again = "reflect: { from: main, every: 20ms }";
    let gateway = start(&yaml(&[("main", backend.address)], again, ADMIN));
    assert_eq!(post(gateway.address, "/p", "{}").status, 404);
    until("it is asked again", || backend.questions() > 2);
    assert_eq!(metric(&gateway, "transom_generation"), 1, "nothing has changed");

    backend.tell(set(LARGER), &["t.S"]);
    until("the new method is served", || post(gateway.address, "/p", r#"{"a":"y"}"#).status == 200);
    assert_eq!(metric(&gateway, "transom_generation"), 2);
    assert_eq!(metric(&gateway, "transom_reloads_total{result=\"done\"}"), 1);
    assert_eq!(gateway.running().snapshot().generation(), 2);

    backend.tell(set(BROKEN), &["t.S"]);
    until("the bad schema is refused", || metric(&gateway, "transom_reloads_total{result=\"refused\"}") == 1);
    let asked = backend.questions();
    until("it is asked again", || backend.questions() > asked + 2);
    assert_eq!(metric(&gateway, "transom_reloads_total{result=\"refused\"}"), 1, "it is still the same one");
    assert_eq!(post(gateway.address, "/p", r#"{"a":"y"}"#).json(), json!({ "a": "y" }));
    let ready = get(gateway.running().admin().expect("an admin address"), "/readyz");
    assert_eq!((ready.status, ready.text()), (200, "ready\ngeneration 2\n"));

    backend.tell(set(SERVICE), &["t.S"]);
    until("the method is gone", || post(gateway.address, "/p", "{}").status == 404);
    serves(&gateway, "/g/x", &json!({ "a": "x" }));
    assert_eq!(metric(&gateway, "transom_generation"), 3);
}

#[test]
fn a_backend_that_is_gone_keeps_its_schema() {
    let backend = backend();
    let address = backend.address;
    let gateway = start(&yaml(&[("main", address)], "reflect: { every: 20ms }", ADMIN));
    drop(backend);
    until("it is missed", || metric(&gateway, "transom_reloads_total{result=\"untold\"}") > 0);
    assert_eq!(get(gateway.address, "/g/x").status, 503, "the route is still there");
    let listener = TcpListener::bind(address).expect("it is free again");
    let _backend = Reflecting::start_on(listener, Versions::Both, set(LARGER), &["t.S"]);
    until("the new method is served", || post(gateway.address, "/p", r#"{"a":"y"}"#).status == 200);
}

#[test]
fn files_are_read_again_when_told_to() {
    let schema = Schema::new(&format!("{HEAD}{SERVICE}"));
    let backend = backend();
    let descriptors = format!("descriptors: '{}'", schema.descriptors().display());
    let gateway = start(&yaml(&[("main", backend.address)], &descriptors, ADMIN));
    std::fs::write(schema.descriptors(), b"no descriptors").expect("it is written");
    gateway.running().reload();
    until("it is refused", || metric(&gateway, "transom_reloads_total{result=\"refused\"}") == 1);
    serves(&gateway, "/g/x", &json!({ "a": "x" }));
    std::fs::write(schema.descriptors(), set(LARGER)).expect("it is written");
    gateway.running().reload();
    until("the new method is served", || post(gateway.address, "/p", r#"{"a":"y"}"#).status == 200);
    assert_eq!(metric(&gateway, "transom_generation"), 2);
}

/// TLS before a backend, with a certificate for its address that it is its own root of.
fn behind_tls(backend: SocketAddr) -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate and its key");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("an open socket");
    let address = listener.local_addr().expect("it is bound");
    // It ends with the test's process.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("an open socket");
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut near) = acceptor.accept(stream).await else { return };
                    let Ok(mut far) = tokio::net::TcpStream::connect(backend).await else { return };
                    // Either side may leave at any time.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
    });
    (address, made.cert.pem())
}

#[test]
fn backends_are_asked_by_tls_as_they_are_called() {
    let backend = backend();
    let (address, ca) = behind_tls(backend.address);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("ca.pem"), ca).expect("it is written");
    let plain = yaml(&[("main", address)], "reflect: { wait: 0s }", "");
    let https =
        plain.replace(&format!("'http://{address}'"), &format!("'https://{address}', tls: {{ ca: ca.pem }}"));
    let (gateway, _) =
        Gateway::try_start(&https, folder.path()).unwrap_or_else(|problems| panic!("{problems}\n{https}"));
    serves(&gateway, "/g/x", &json!({ "a": "x" }));
    let text = refused(&https.replace("tls: { ca: ca.pem }", "tls: {}"));
    assert!(text.contains("it can't be reached") && text.contains("certificate"), "{text}");
}
