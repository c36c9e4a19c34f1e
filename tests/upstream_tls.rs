//! Certificates towards backends: what the gateway shows and trusts, and how both change while calls are under way.

mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Response;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use serde_json::json;
use support::{Authority, Gateway, Host, Http1, Schema, Signed, get, header_map, request, until};
use tokio::sync::Notify;

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
}
"#;

/// What a backend has seen: the certificate of each connection, and of each call.
#[derive(Default)]
struct Seen {
    connections: Mutex<Vec<CertificateDer<'static>>>,
    calls: Mutex<Vec<CertificateDer<'static>>>,
    /// Lets one call go whose message has `held` in it.
    release: Notify,
}

/// A backend that asks for certificates, and echoes.
struct Strict {
    address: SocketAddr,
    seen: Arc<Seen>,
    _host: Host,
}

impl Strict {
    fn start(listener: TcpListener, own: &Signed, trusted: &[&Authority]) -> Self {
        let mut roots = RootCertStore::empty();
        for authority in trusted {
            roots.add(authority.certificate()).expect("an authority");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let (certificate, key) = own.der();
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.3")
            .with_client_cert_verifier(clients.build().expect("good roots"))
            .with_single_cert(vec![certificate], key)
            .expect("a certificate and its key");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let seen: Arc<Seen> = Arc::default();
        let shared = Arc::clone(&seen);
        let host = Host::start(listener, move |listener| accept(listener, acceptor, shared));
        Self { address: host.address, seen, _host: host }
    }

    /// The certificates of the calls since the last time.
    fn take(&self) -> Vec<CertificateDer<'static>> {
        std::mem::take(&mut *self.seen.calls.lock().expect("no panics"))
    }

    fn calls(&self) -> usize {
        self.seen.calls.lock().expect("no panics").len()
    }

    fn connections(&self) -> Vec<CertificateDer<'static>> {
        self.seen.connections.lock().expect("no panics").clone()
    }
}

async fn accept(listener: tokio::net::TcpListener, acceptor: tokio_rustls::TlsAcceptor, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (accepting, seen) = (acceptor.accept(stream), Arc::clone(&seen));
        tokio::spawn(async move {
            let Ok(stream) = accepting.await else { return };
            let shown = stream.get_ref().1.peer_certificates().expect("it is asked for")[0].clone();
            seen.connections.lock().expect("no panics").push(shown.clone());
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let (seen, shown) = (Arc::clone(&seen), shown.clone());
                tokio::spawn(async move {
                    let mut body = request.into_body();
                    let mut all = Vec::new();
                    while let Some(Ok(data)) = body.data().await {
                        all.extend(&data);
                    }
                    seen.calls.lock().expect("no panics").push(shown);
                    if all.ends_with(b"held") {
                        seen.release.notified().await;
                    }
                    let mut response = Response::new(());
                    *response.headers_mut() = header_map(&[("content-type", "application/grpc")]);
                    let Ok(mut stream) = respond.send_response(response, false) else { return };
                    let _ = stream.send_data(Bytes::from(all), false);
                    let _ = stream.send_trailers(header_map(&[("grpc-status", "0")]));
                });
            }
        });
    }
}

/// Puts a file in place as one step.
fn put(folder: &Path, name: &str, text: &str) {
    let next = folder.join("next");
    fs::write(&next, text).and_then(|()| fs::rename(&next, folder.join(name))).expect("written");
}

fn start(schema: &Schema, address: SocketAddr, tls: &str) -> Gateway {
    let descriptors = schema.descriptors();
    let yaml = format!(
        "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nschema: {{ descriptors: '{}' }}\n\
         upstreams: {{ main: {{ endpoints: 'https://{address}', tls: {{ {tls} }} }} }}\naccess_log: off\n\
         workers: 1\ndrain: 0s\n",
        descriptors.display()
    );
    Gateway::start(&yaml, schema.folder())
}

fn anywhere() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

const PAIR: &str = "ca: ca.pem, cert: me.pem, key: me.key";

#[test]
fn a_new_certificate_is_shown_without_losing_a_call() {
    let schema = Schema::new(PROTO);
    let (authority, other) = (Authority::new(), Authority::new());
    let backend = Strict::start(anywhere(), &authority.sign(&["127.0.0.1"]), &[&authority, &other]);
    let [first, second] = [authority.sign(&["gateway"]), other.sign(&["gateway"])];
    put(schema.folder(), "ca.pem", &authority.pem);
    put(schema.folder(), "me.pem", &first.cert);
    put(schema.folder(), "me.key", &first.key);
    let gateway = start(&schema, backend.address, PAIR);
    get(gateway.address, "/g?a=x").assert_ok();
    assert_eq!(backend.take(), [first.certificate()]);
    let mut held = Http1::connect(gateway.address);
    held.send(request("GET", "/g?a=held", &[], b""));
    until("the call arrives", || backend.calls() == 1);
    // Half of a pair is refused, and the old one stays.
    put(schema.folder(), "me.key", &second.key);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    get(gateway.address, "/g?a=x").assert_ok();
    assert_eq!(backend.connections(), [first.certificate()]);
    put(schema.folder(), "me.pem", &second.cert);
    until("the new one is shown", || {
        get(gateway.address, "/g?a=x").assert_ok();
        backend.take().contains(&second.certificate())
    });
    get(gateway.address, "/g?a=x").assert_ok();
    assert_eq!(backend.take(), [second.certificate()], "the old connection takes no more calls");
    // What was under way on the old one ends there.
    backend.seen.release.notify_one();
    assert_eq!(held.reply().assert_ok().json(), json!({ "a": "held" }));
    assert_eq!(backend.connections(), [first.certificate(), second.certificate()]);
}

#[test]
fn who_shows_nothing_or_a_stranger_is_not_let_in() {
    let schema = Schema::new(PROTO);
    let (authority, stranger) = (Authority::new(), Authority::new());
    let backend = Strict::start(anywhere(), &authority.sign(&["127.0.0.1"]), &[&authority]);
    let odd = stranger.sign(&["gateway"]);
    put(schema.folder(), "ca.pem", &authority.pem);
    put(schema.folder(), "me.pem", &odd.cert);
    put(schema.folder(), "me.key", &odd.key);
    for tls in ["ca: ca.pem", PAIR] {
        let gateway = start(&schema, backend.address, tls);
        for _ in 0..3 {
            assert_eq!(get(gateway.address, "/g?a=x").status, 503, "{tls}");
        }
    }
    assert_eq!(backend.calls(), 0);
}

#[test]
fn new_roots_are_trusted_once_they_are_there() {
    let schema = Schema::new(PROTO);
    let (old, new) = (Authority::new(), Authority::new());
    let me = old.sign(&["gateway"]);
    put(schema.folder(), "ca.pem", &old.pem);
    put(schema.folder(), "me.pem", &me.cert);
    put(schema.folder(), "me.key", &me.key);
    let backend = Strict::start(anywhere(), &new.sign(&["127.0.0.1"]), &[&old]);
    let gateway = start(&schema, backend.address, PAIR);
    get(gateway.address, "/g?a=x").assert_fault(503, "UPSTREAM_UNREACHABLE", None);
    put(schema.folder(), "ca.pem", &format!("{}{}", old.pem, new.pem));
    until("the backend is trusted", || get(gateway.address, "/g?a=x").status == 200);
}
