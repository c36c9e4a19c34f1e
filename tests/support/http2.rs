//! A client of HTTP/2 by prior knowledge.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::reply::Reply;
use super::tls::TlsClient;
use super::wait::{PATIENCE, until};

/// One connection, which does its work on a thread of its own. Dropping it closes the socket.
pub struct Http2 {
    runtime: Handle,
    send: SendRequest<Bytes>,
    ended: Arc<AtomicBool>,
    leave: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Http2 {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(|| async move {
            let stream = TcpStream::connect(address).await.expect("somebody listens");
            stream.set_nodelay(true).expect("an open socket");
            stream
        })
    }

    /// By TLS, asking for `name`.
    pub fn over_tls(address: SocketAddr, client: &TlsClient, name: &str) -> Self {
        let connector = tokio_rustls::TlsConnector::from(client.config());
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        Self::over(|| async move {
            let stream = TcpStream::connect(address).await.expect("somebody listens");
            connector.connect(name, stream).await.expect("TLS is spoken")
        })
    }

    fn over<F>(connect: impl FnOnce() -> F) -> Self
    where
        F: Future<Output: AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let ended = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&ended);
        let send = runtime.block_on(async {
            // Room for streams beside some that are not read.
            let mut builder = h2::client::Builder::new();
            let handshake = builder.initial_connection_window_size(16 << 20).handshake(connect().await);
            let (send, connection) = handshake.await.expect("HTTP/2 is spoken");
            // How it ends shows in its calls.
            tokio::spawn(async move {
                let _ = connection.await;
                tell.store(true, Ordering::SeqCst);
            });
            send
        });
        let (handle, leave) = (runtime.handle().clone(), Arc::new(Notify::new()));
        let left = Arc::clone(&leave);
        let thread = std::thread::spawn(move || runtime.block_on(left.notified()));
        Self { runtime: handle, send, ended, leave, thread: Some(thread) }
    }

    /// Sends the head of a request; the body is up to the caller.
    pub fn begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request = Request::builder().method(method).uri(format!("http://transom.test{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request");
        self.runtime.block_on(async {
            let mut send = self.send.clone().ready().await.expect("an open connection");
            send.send_request(request, ends).expect("an open connection")
        })
    }

    /// Asks for a stream of another protocol (RFC 8441), once the server has said that it may.
    pub fn extended_connect(
        &mut self,
        protocol: &'static str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request = Request::builder().method("CONNECT").uri(format!("http://transom.test{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let protocol = h2::ext::Protocol::from_static(protocol);
        let request = request.extension(protocol).body(()).expect("a request");
        until("the server says that it may", || {
            self.settle();
            self.send.is_extended_connect_protocol_enabled()
        });
        self.runtime.block_on(async {
            let mut send = self.send.clone().ready().await.expect("an open connection");
            send.send_request(request, false).expect("an open connection")
        })
    }

    /// Reads the whole answer.
    ///
    /// # Errors
    /// The stream or the connection was reset.
    pub fn end(&self, response: ResponseFuture) -> Result<Reply, h2::Error> {
        self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, read(response)).await.expect("an answer in time")
        })
    }

    /// Reads several whole answers side by side.
    pub fn end_all(&self, responses: impl IntoIterator<Item = ResponseFuture>) -> Vec<Reply> {
        let reading: Vec<_> = responses.into_iter().map(|one| self.runtime.spawn(read(one))).collect();
        let read = async {
            let mut replies = Vec::with_capacity(reading.len());
            for one in reading {
                let reply = tokio::time::timeout(PATIENCE, one).await.expect("an answer in time");
                replies.push(reply.expect("no panics").expect("an answer"));
            }
            replies
        };
        self.runtime.block_on(read)
    }

    /// One whole call.
    pub fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let (response, mut stream) = self.begin(method, path, headers, body.is_empty());
        if !body.is_empty() {
            // Who refuses by the head may have closed the stream by now; its answer says so.
            let _ = stream.send_data(Bytes::copy_from_slice(body), true);
        }
        self.end(response).expect("an answer")
    }

    /// The head of an answer, and its body.
    ///
    /// # Errors
    /// The stream or the connection was reset.
    pub fn head(&self, response: ResponseFuture) -> Result<(http::response::Parts, RecvStream), h2::Error> {
        let head = async { tokio::time::timeout(PATIENCE, response).await.expect("a head in time") };
        self.runtime.block_on(head).map(http::Response::into_parts)
    }

    /// The next data of a body, as much as there is; none at its end.
    ///
    /// # Errors
    /// The stream or the connection was reset.
    pub fn data(&self, body: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
        self.runtime.block_on(async {
            let data = tokio::time::timeout(PATIENCE, body.data()).await.expect("data in time");
            let Some(data) = data.transpose()? else { return Ok(None) };
            body.flow_control().release_capacity(data.len())?;
            Ok(Some(data))
        })
    }

    /// Everything up to the end of a body.
    ///
    /// # Errors
    /// The stream or the connection was reset.
    pub fn rest(&self, body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, read_all(body)).await.expect("an end in time") })
    }

    /// What stands behind a body that was read.
    ///
    /// # Errors
    /// The stream or the connection was reset.
    pub fn trailers(&self, body: &mut RecvStream) -> Result<HeaderMap, h2::Error> {
        let trailers =
            async { tokio::time::timeout(PATIENCE, body.trailers()).await.expect("an end in time") };
        Ok(self.runtime.block_on(trailers)?.unwrap_or_default())
    }

    /// Sends data no faster than it is taken; false where it is not taken any more.
    pub fn send(&self, stream: &mut SendStream<Bytes>, data: &[u8], ends: bool) -> bool {
        self.runtime.block_on(async {
            let mut data = Bytes::copy_from_slice(data);
            while !data.is_empty() {
                stream.reserve_capacity(data.len());
                let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx));
                let capacity = tokio::time::timeout(PATIENCE, capacity).await.expect("it is taken in time");
                let Some(Ok(capacity)) = capacity else { return false };
                let part = data.split_to(capacity.min(data.len()));
                if stream.send_data(part, ends && data.is_empty()).is_err() {
                    return false;
                }
            }
            true
        })
    }

    /// How many streams the server takes at once.
    pub fn max_streams(&self) -> usize {
        self.send.current_max_send_streams()
    }

    /// Whether the server has ended the connection.
    pub fn is_closed(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Lets the connection do its work for a moment of its own.
    pub fn settle(&self) {
        self.runtime.block_on(async { tokio::time::sleep(std::time::Duration::from_millis(20)).await });
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.leave.notify_one();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the client did not panic");
        }
    }
}

async fn read(response: ResponseFuture) -> Result<Reply, h2::Error> {
    let (head, mut stream) = response.await?.into_parts();
    let body = read_all(&mut stream).await?;
    let trailers = stream.trailers().await?.unwrap_or_default();
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, body, trailers })
}

/// All data of a stream, with its window given back.
pub async fn read_all(stream: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    Ok(body)
}

/// A map of these headers.
pub fn header_map(headers: &[(&'static str, &str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a value")))
        .collect()
}
