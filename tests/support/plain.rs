//! A backend of few words: HTTP/2 by h2 over any socket, which echoes, holds calls, and ends connections as it is told.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::http2::header_map;

/// What the backend is like.
#[derive(Clone, Copy, Default)]
pub struct Ways {
    /// How many calls a connection may have at once.
    pub streams: Option<u32>,
    /// After how many calls a connection says that it takes no more.
    pub goes_away_after: Option<usize>,
}

#[derive(Default)]
struct Shared {
    calls: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
    release: Notify,
}

/// A running backend. A call whose message ends in `held` waits until [`Plain::release`]. Dropping it cuts all connections.
pub struct Plain {
    shared: Arc<Shared>,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Plain {
    pub fn tcp(ways: Ways) -> (SocketAddr, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("an open socket");
        let backend = Self::run(move |shared| async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("an open socket");
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("an open socket");
                tokio::spawn(connection(stream, Arc::clone(&shared), ways));
            }
        });
        (address, backend)
    }

    pub fn unix(path: &Path, ways: Ways) -> Self {
        let listener = std::os::unix::net::UnixListener::bind(path).expect("a free path");
        listener.set_nonblocking(true).expect("an open socket");
        Self::run(move |shared| async move {
            let listener = tokio::net::UnixListener::from_std(listener).expect("an open socket");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, Arc::clone(&shared), ways));
            }
        })
    }

    fn run<F: Future<Output = ()>>(serve: impl FnOnce(Arc<Shared>) -> F + Send + 'static) -> Self {
        let (shared, stop): (Arc<Shared>, Arc<Notify>) = Default::default();
        let (own, stopped) = (Arc::clone(&shared), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(own) => {}
                    () = stopped.notified() => {}
                }
            });
        });
        Self { shared, stop, thread: Some(thread) }
    }

    /// Lets all calls go that are held now.
    pub fn release(&self) {
        self.shared.release.notify_waiters();
    }

    /// Calls so far.
    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the backend did not panic");
        }
    }
}

async fn connection<T: AsyncRead + AsyncWrite + Unpin>(stream: T, shared: Arc<Shared>, ways: Ways) {
    shared.connections.fetch_add(1, Ordering::SeqCst);
    shared.open.fetch_add(1, Ordering::SeqCst);
    serve(stream, &shared, ways).await;
    shared.open.fetch_sub(1, Ordering::SeqCst);
}

async fn serve<T: AsyncRead + AsyncWrite + Unpin>(stream: T, shared: &Arc<Shared>, ways: Ways) {
    let mut builder = h2::server::Builder::new();
    if let Some(streams) = ways.streams {
        builder.max_concurrent_streams(streams);
    }
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    let mut calls = 0;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        calls += 1;
        if ways.goes_away_after == Some(calls) {
            connection.graceful_shutdown();
        }
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut all = Vec::new();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
                all.extend(&data);
            }
            let released = shared.release.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            shared.calls.fetch_add(1, Ordering::SeqCst);
            if all.ends_with(b"held") {
                released.await;
            }
            let mut response = Response::new(());
            *response.headers_mut() = header_map(&[("content-type", "application/grpc")]);
            let Ok(mut stream) = respond.send_response(response, false) else { return };
            let _ = stream.send_data(Bytes::from(all), false);
            let _ = stream.send_trailers(header_map(&[("grpc-status", "0")]));
        });
    }
}
