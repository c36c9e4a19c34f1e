//! A backend that follows a script frame by frame, to say what no gRPC server would.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::host::Host;
use super::http2::{header_map, read_all};

/// What happens on a stream, after its request was read.
#[derive(Clone, Debug)]
pub enum Step {
    /// The head of an answer, and whether the stream ends with it.
    Head(u16, &'static [(&'static str, &'static str)], bool),
    Data(Vec<u8>),
    /// The request's own bytes.
    Echo,
    /// The end without trailers.
    End,
    Trailers(&'static [(&'static str, &'static str)]),
    Reset(Reason),
    /// The connection says that it takes no further calls, and ends once these are done.
    GoAway,
    /// The connection says that all calls on it have failed.
    Abort(Reason),
    /// The socket is closed, a moment later, with what was sent up to here sent.
    Cut,
    /// Nothing, for ever.
    Hang,
}

/// The certificate and the key of a backend that speaks TLS.
pub type Tls = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A message in its frame.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message of a test is small");
    [&[0], length.to_be_bytes().as_slice(), message].concat()
}

struct Shared {
    scripts: Mutex<Vec<Vec<Step>>>,
    calls: AtomicUsize,
    connections: AtomicUsize,
}

/// A running scripted backend.
pub struct Scripted {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _host: Host,
}

/// What concerns a whole connection.
enum Word {
    GoAway,
    Abort(Reason),
    Cut,
}

impl Scripted {
    /// Plays one script a call, in their order; the last one again and again.
    pub fn start(scripts: Vec<Vec<Step>>, tls: Option<Tls>) -> Self {
        let shared = Arc::new(Shared {
            scripts: Mutex::new(scripts),
            calls: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let (own, acceptor) = (Arc::clone(&shared), tls.map(acceptor));
        let host = Host::anywhere(move |listener| accept(listener, own, acceptor));
        Self { address: host.address, shared, _host: host }
    }

    /// Plays this script from now on.
    pub fn play(&self, script: Vec<Step>) {
        *self.shared.scripts.lock().expect("no panics") = vec![script];
    }

    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

fn acceptor((certificate, key): Tls) -> tokio_rustls::TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate and its key");
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config).into()
}

async fn accept(
    listener: tokio::net::TcpListener,
    shared: Arc<Shared>,
    tls: Option<tokio_rustls::TlsAcceptor>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("an open socket");
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&shared);
        match &tls {
            None => {
                tokio::spawn(connection(stream, shared));
            }
            Some(tls) => {
                let accepting = tls.accept(stream);
                tokio::spawn(async move {
                    if let Ok(stream) = accepting.await {
                        connection(stream, shared).await;
                    }
                });
            }
        }
    }
}

async fn connection<T: AsyncRead + AsyncWrite + Unpin>(stream: T, shared: Arc<Shared>) {
    let handshake = h2::server::Builder::new()
        .initial_window_size(8 << 20)
        .initial_connection_window_size(16 << 20)
        .handshake(stream)
        .await;
    let Ok(mut connection) = handshake else { return };
    let (say, mut words) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                let number = shared.calls.fetch_add(1, Ordering::SeqCst);
                let script = {
                    let scripts = shared.scripts.lock().expect("no panics");
                    scripts.get(number).or(scripts.last()).cloned().unwrap_or_default()
                };
                tokio::spawn(play(script, request, respond, say.clone()));
            }
            Some(word) = words.recv() => match word {
                Word::GoAway => connection.graceful_shutdown(),
                Word::Abort(reason) => connection.abrupt_shutdown(reason),
                Word::Cut => {
                    // What was sent before is flushed meanwhile.
                    let _ = tokio::time::timeout(Duration::from_millis(50), connection.accept()).await;
                    return;
                }
            },
        }
    }
}

async fn play(
    script: Vec<Step>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    say: mpsc::UnboundedSender<Word>,
) {
    // A caller may have left by any step.
    let Ok(body) = read_all(&mut request.into_body()).await else { return };
    let mut stream = None;
    for step in script {
        match step {
            Step::Head(status, headers, ends) => {
                let mut response = Response::new(());
                *response.status_mut() = status.try_into().expect("a status");
                *response.headers_mut() = header_map(headers);
                match respond.send_response(response, ends) {
                    Ok(sending) => stream = Some(sending),
                    Err(_) => return,
                }
            }
            Step::Data(data) => drop(stream.as_mut().map(|stream| stream.send_data(data.into(), false))),
            Step::Echo => {
                let data = Bytes::copy_from_slice(&body);
                drop(stream.as_mut().map(|stream| stream.send_data(data, false)));
            }
            Step::End => drop(stream.as_mut().map(|stream| stream.send_data(Bytes::new(), true))),
            Step::Trailers(trailers) => {
                drop(stream.as_mut().map(|stream| stream.send_trailers(header_map(trailers))));
            }
            Step::Reset(reason) => {
                // What was sent before must be out first: a reset throws away what is queued.
                tokio::time::sleep(Duration::from_millis(20)).await;
                match stream.as_mut() {
                    Some(stream) => stream.send_reset(reason),
                    None => respond.send_reset(reason),
                }
                return;
            }
            Step::GoAway => {
                let _ = say.send(Word::GoAway);
            }
            // The stream stays as it is; dropping it would reset it first.
            Step::Abort(reason) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = say.send(Word::Abort(reason));
                std::future::pending().await
            }
            Step::Cut => {
                let _ = say.send(Word::Cut);
                std::future::pending().await
            }
            Step::Hang => std::future::pending().await,
        }
    }
}
