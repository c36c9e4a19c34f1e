//! The backend program: HTTP/2 by h2, in a process of its own that can be killed and stopped. It puts its number into each
//! answer, so that clients know who gave it, and is told on its standard input how to behave.

use std::io::{BufRead, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::support::{frame, header_map};

/// How many messages a whole stream has.
pub const MESSAGES: usize = 20;
/// After how many a stream is reset that is.
const BEFORE_RESET: usize = 5;
/// How long a call takes, so that calls are under way whenever something happens.
const TAKES: Duration = Duration::from_millis(5);
/// Added to the number of a backend whose caller shows the certificate in `next.pem`. The sum has one byte as a varint.
pub const SHOWN_NEXT: u8 = 100;

/// How the backend behaves.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    Good,
    /// Each answer takes so long.
    Slow(Duration),
    /// Every second call is UNAVAILABLE.
    HalfFails,
    /// Every second stream is reset in its middle.
    HalfReset,
    /// Each connection says once it has had so many calls that it takes no more, and ends with those it has.
    GoesAway(usize),
    /// Each connection ends once it has had so many calls, whatever is under way on it.
    Aborts(usize),
}

impl Manner {
    /// As a line of the standard input.
    pub fn line(self) -> String {
        match self {
            Self::Good => "good 0".into(),
            Self::Slow(time) => format!("slow {}", time.as_millis()),
            Self::HalfFails => "half-fails 0".into(),
            Self::HalfReset => "half-reset 0".into(),
            Self::GoesAway(calls) => format!("goes-away {calls}"),
            Self::Aborts(calls) => format!("aborts {calls}"),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let (word, number) = line.split_once(' ')?;
        let number: usize = number.parse().ok()?;
        Some(match word {
            "good" => Self::Good,
            "slow" => Self::Slow(Duration::from_millis(u64::try_from(number).ok()?)),
            "half-fails" => Self::HalfFails,
            "half-reset" => Self::HalfReset,
            "goes-away" => Self::GoesAway(number),
            "aborts" => Self::Aborts(number),
            _ => return None,
        })
    }
}

struct Shared {
    number: u8,
    manner: Mutex<Manner>,
    calls: AtomicUsize,
    /// Where certificates are, if it speaks TLS.
    folder: Option<PathBuf>,
}

impl Shared {
    fn manner(&self) -> Manner {
        *self.manner.lock().expect("no panics")
    }
}

/// Serves until the standard input ends. The words are: its number, its address, and the folder of its certificates.
pub fn run(words: &[String]) {
    let [number, address, folder @ ..] = words else { panic!("number and address are missing") };
    let shared = Arc::new(Shared {
        number: number.parse().expect("a number"),
        manner: Mutex::new(Manner::Good),
        calls: AtomicUsize::new(0),
        folder: folder.first().map(PathBuf::from),
    });
    let address: SocketAddr = address.parse().expect("an address");
    let listener = TcpListener::bind(address).expect("the address is free");
    listener.set_nonblocking(true).expect("an open socket");
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr().expect("it is bound")).expect("somebody reads");
    out.flush().expect("somebody reads");
    let own = Arc::clone(&shared);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            *own.manner.lock().expect("no panics") = Manner::parse(&line).expect("a known manner");
        }
        // Who started it is gone.
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("an open socket");
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("an open socket");
            tokio::spawn(accepted(stream, Arc::clone(&shared)));
        }
    });
}

async fn accepted(stream: tokio::net::TcpStream, shared: Arc<Shared>) {
    let Some(folder) = &shared.folder else { return connection(stream, &shared, shared.number).await };
    // As the files are now.
    let Ok(stream) = acceptor(folder).accept(stream).await else { return };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
    let next = CertificateDer::from_pem_file(folder.join("next.pem")).ok();
    let by = if shown.is_some() && shown == next { shared.number + SHOWN_NEXT } else { shared.number };
    connection(stream, &shared, by).await;
}

fn acceptor(folder: &Path) -> tokio_rustls::TlsAcceptor {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(folder.join("ca.pem")).expect("roots") {
        roots.add(root.expect("a certificate")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let own = CertificateDer::from_pem_file(folder.join("server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key");
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows TLS 1.3")
        .with_client_cert_verifier(clients.build().expect("good roots"))
        .with_single_cert(vec![own], key)
        .expect("a certificate and its key");
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config).into()
}

async fn connection<T: AsyncRead + AsyncWrite + Unpin>(stream: T, shared: &Arc<Shared>, by: u8) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut calls = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        calls += 1;
        match shared.manner() {
            Manner::GoesAway(after) if calls >= after => connection.graceful_shutdown(),
            Manner::Aborts(after) if calls >= after => connection.abrupt_shutdown(Reason::NO_ERROR),
            Manner::Good
            | Manner::Slow(_)
            | Manner::HalfFails
            | Manner::HalfReset
            | Manner::GoesAway(_)
            | Manner::Aborts(_) => {}
        }
        tokio::spawn(call(request, respond, Arc::clone(shared), by));
    }
}

async fn call(request: Request<RecvStream>, respond: SendResponse<Bytes>, shared: Arc<Shared>, by: u8) {
    let number = shared.calls.fetch_add(1, Ordering::SeqCst);
    // Whoever has called may leave at any time.
    let _ = answer(request, respond, shared.manner(), number, by).await;
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    manner: Manner,
    number: usize,
    by: u8,
) -> Result<(), h2::Error> {
    let is_stream = request.uri().path().ends_with("/Down");
    let mut body = request.into_body();
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend(&data);
    }
    let is_second = number % 2 == 1;
    let mut response = Response::new(());
    match manner {
        Manner::Slow(time) => tokio::time::sleep(time).await,
        Manner::HalfFails if is_second => {
            *response.headers_mut() =
                header_map(&[("content-type", "application/grpc"), ("grpc-status", "14")]);
            respond.send_response(response, true)?;
            return Ok(());
        }
        Manner::Good | Manner::HalfFails | Manner::HalfReset | Manner::GoesAway(_) | Manner::Aborts(_) => {
            tokio::time::sleep(TAKES).await;
        }
    }
    *response.headers_mut() = header_map(&[("content-type", "application/grpc")]);
    let mut stream = respond.send_response(response, false)?;
    // The request's message without its frame, and the number as field 2.
    let message = [all.get(5..).unwrap_or_default(), &[0x10, by]].concat();
    for sent in 0..if is_stream { MESSAGES } else { 1 } {
        if sent == BEFORE_RESET && is_second && matches!(manner, Manner::HalfReset) {
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        stream.send_data(frame(&message).into(), false)?;
        if is_stream {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    stream.send_trailers(header_map(&[("grpc-status", "0")]))
}
