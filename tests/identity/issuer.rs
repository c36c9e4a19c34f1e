//! An issuer's own server: it tells documents by path as long as it is up, and counts how often it is asked.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::support::Signed;

#[derive(Default)]
struct Shared {
    documents: Mutex<HashMap<String, String>>,
    down: AtomicBool,
    asked: AtomicUsize,
    pause: Mutex<Duration>,
}

pub struct Issuer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Issuer {
    pub fn start() -> Self {
        Self::serve(None)
    }

    pub fn over_tls(signed: &Signed) -> Self {
        let (certificate, key) = signed.der();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate");
        Self::serve(Some(Arc::new(config)))
    }

    fn serve(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, tls) = (Arc::clone(&own), tls.clone());
                std::thread::spawn(move || {
                    // A client may leave at any time.
                    let _ = stream.and_then(|stream| answer(stream, tls, &shared));
                });
            }
        });
        Self { address, shared }
    }

    /// From now on this is at `path`.
    pub fn tell(&self, path: &str, document: &Value) {
        self.shared.documents.lock().expect("no panics").insert(path.to_owned(), document.to_string());
    }

    /// Whoever connects is turned away, or not any more.
    pub fn is_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    /// How long it thinks about each answer.
    pub fn pause(&self, pause: Duration) {
        *self.shared.pause.lock().expect("no panics") = pause;
    }

    /// How often it was asked, up or down.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

fn answer(stream: TcpStream, tls: Option<Arc<rustls::ServerConfig>>, shared: &Shared) -> std::io::Result<()> {
    match tls {
        None => talk(stream, shared),
        Some(tls) => {
            let connection = rustls::ServerConnection::new(tls).expect("a connection");
            talk(rustls::StreamOwned::new(connection, stream), shared)
        }
    }
}

fn talk(mut stream: impl Read + Write, shared: &Shared) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    shared.asked.fetch_add(1, Ordering::SeqCst);
    if shared.down.load(Ordering::SeqCst) {
        return Ok(());
    }
    let pause = *shared.pause.lock().expect("no panics");
    std::thread::sleep(pause);
    let head = String::from_utf8(head).expect("text");
    assert!(head.to_ascii_lowercase().contains("\r\nhost: 127.0.0.1"), "{head}");
    let path = head.split(' ').nth(1).expect("a path");
    let document = shared.documents.lock().expect("no panics").get(path).cloned();
    match document {
        Some(document) => write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{document}",
            document.len()
        )?,
        None => write!(stream, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?,
    }
    stream.flush()
}
