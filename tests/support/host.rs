//! Where backends live: a thread with a runtime of its own, and a server by tonic that takes every path.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use axum::extract::Request;
use tokio::sync::Notify;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use super::raw::Trailing;

/// A thread that serves. Dropping it ends its connections in whatever state they are.
pub struct Host {
    pub address: SocketAddr,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    pub fn start<F: Future<Output = ()>>(
        listener: TcpListener,
        serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("an open socket");
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("an open socket");
                tokio::select! {
                    () = serve(listener) => {}
                    () = stopped.notified() => {}
                }
            });
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// The same on a free port.
    pub fn anywhere<F: Future<Output = ()>>(
        serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static,
    ) -> Self {
        Self::start(TcpListener::bind("127.0.0.1:0").expect("a free port"), serve)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the backend did not panic");
        }
    }
}

/// Answers every request by `answer`, and counts connections.
pub async fn serve<F>(
    mut server: Server,
    listener: tokio::net::TcpListener,
    connections: Arc<AtomicUsize>,
    answer: impl Fn(Request) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = http::Response<Trailing>> + Send + 'static,
{
    let incoming = TcpListenerStream::new(listener).map(move |stream| {
        connections.fetch_add(1, Ordering::SeqCst);
        stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream))
    });
    let router = axum::Router::new().fallback(answer);
    server.add_routes(router.into()).serve_with_incoming(incoming).await.expect("it serves");
}
