//! A backend by tonic whose calls, streams or not, go message by message as the test says, or by a behaviour of their own.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc as blocking};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, StreamingService};
use tonic::transport::Server;
use tonic::{Code, Status, Streaming};

use super::gateway::{Choices, Gateway};
use super::host::{Host, serve};
use super::raw::{Raw, Trailing};
use super::schema::Schema;
use super::wait::{PATIENCE, until};

/// How a method goes.
pub enum Behaviour {
    /// As the test says, by [`Led`].
    Led,
    /// Each message goes back as it came.
    Echo,
    /// A message of so many bytes in its field 1, again and again without an end, as fast as it is taken.
    Endless(usize),
    /// Nothing, for ever.
    Silent,
}

/// What came from the caller.
#[derive(Debug, PartialEq, Eq)]
pub enum Came {
    Message(Bytes),
    /// It has said everything, in order.
    End,
    /// It left before it had said everything.
    Broken,
}

enum Say {
    Message(Bytes),
    Status(Status),
}

/// A call that the test leads.
pub struct Led {
    pub path: String,
    pub metadata: HeaderMap,
    came: mpsc::Receiver<Came>,
    begin: Option<oneshot::Sender<Result<HeaderMap, Status>>>,
    trailers: Arc<Mutex<HeaderMap>>,
    say: mpsc::UnboundedSender<Say>,
}

impl Led {
    /// What the caller says next. It is not asked for more until this is called again.
    #[track_caller]
    pub fn came(&mut self) -> Came {
        let mut found = None;
        until("something comes from the caller", || {
            found = self.came.try_recv().ok();
            found.is_some()
        });
        found.expect("it has just come")
    }

    /// The caller's next message.
    #[track_caller]
    pub fn message(&mut self) -> Bytes {
        match self.came() {
            Came::Message(message) => message,
            came => panic!("{came:?}"),
        }
    }

    /// Whether something has come that was not asked for yet.
    pub fn has_more(&self) -> bool {
        !self.came.is_empty()
    }

    /// Sends initial metadata.
    pub fn head(&mut self, metadata: HeaderMap) -> &mut Self {
        if let Some(begin) = self.begin.take() {
            // A caller may be gone.
            let _ = begin.send(Ok(metadata));
        }
        self
    }

    /// Sends a message, and what must come before it.
    pub fn send(&mut self, message: impl Into<Bytes>) -> &mut Self {
        self.head(HeaderMap::new());
        let _ = self.say.send(Say::Message(message.into()));
        self
    }

    /// Ends with OK and these trailers.
    pub fn end_with(&mut self, trailers: HeaderMap) {
        *self.trailers.lock().expect("no panics") = trailers;
        self.head(HeaderMap::new());
        // Nobody hears what is said from here on.
        self.say = mpsc::unbounded_channel().0;
    }

    /// Ends with OK.
    pub fn end(&mut self) {
        self.end_with(HeaderMap::new());
    }

    /// Ends with another status; trailers-only where nothing was sent.
    pub fn fail(&mut self, code: i32, message: &str) {
        self.end_as(Status::new(Code::from_i32(code), message));
    }

    /// Ends with another status, the bytes of a google.rpc.Status, and metadata beside it.
    pub fn fail_with(&mut self, code: i32, message: &str, details: Vec<u8>, metadata: HeaderMap) {
        let metadata = MetadataMap::from_headers(metadata);
        let code = Code::from_i32(code);
        let status = Status::with_details_and_metadata(code, message, details.into(), metadata);
        self.end_as(status);
    }

    fn end_as(&mut self, status: Status) {
        match self.begin.take() {
            Some(begin) => drop(begin.send(Err(status))),
            None => drop(self.say.send(Say::Status(status))),
        }
    }

    /// Waits until the caller has given up the call.
    pub fn wait_gone(&self) {
        until("the caller is gone", || self.is_gone());
    }

    /// Whether nobody takes an answer any more.
    pub fn is_gone(&self) -> bool {
        self.begin.as_ref().map_or_else(|| self.say.is_closed(), oneshot::Sender::is_closed)
    }
}

struct Shared {
    behaviour: fn(&str) -> Behaviour,
    led: blocking::Sender<Led>,
    calls: AtomicUsize,
    in_flight: AtomicUsize,
    connections: Arc<AtomicUsize>,
    sent: AtomicUsize,
}

/// A running backend. Dropping it ends its connections in whatever state they are.
pub struct Live {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    led: blocking::Receiver<Led>,
    _host: Host,
}

impl Live {
    /// `behaviour` is asked with the method's own name.
    pub fn start(behaviour: fn(&str) -> Behaviour) -> Self {
        let (tell, led) = blocking::channel();
        let shared = Arc::new(Shared {
            behaviour,
            led: tell,
            calls: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            connections: Arc::default(),
            sent: AtomicUsize::new(0),
        });
        let own = Arc::clone(&shared);
        let host = Host::anywhere(move |listener| {
            let connections = Arc::clone(&own.connections);
            serve(Server::builder(), listener, connections, move |request| reply(Arc::clone(&own), request))
        });
        Self { address: host.address, shared, led, _host: host }
    }

    /// The next call that the test leads.
    #[track_caller]
    pub fn call(&self) -> Led {
        self.led.recv_timeout(PATIENCE).expect("a call comes")
    }

    /// How many calls came.
    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// How many calls are neither ended nor given up.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::SeqCst)
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many bytes of messages were handed to connections so far.
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

const MAX_MESSAGE: usize = 64 << 20;

async fn reply(shared: Arc<Shared>, request: axum::extract::Request) -> http::Response<Trailing> {
    let trailers = Arc::new(Mutex::new(HeaderMap::new()));
    let path = request.uri().path().to_owned();
    let broken = Arc::new(AtomicBool::new(false));
    let request = request.map(|inner| Watched { inner, broken: Arc::clone(&broken) });
    let call = Call { path, shared, broken, trailers: Arc::clone(&trailers) };
    let mut grpc =
        Grpc::new(Raw).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE);
    grpc.streaming(call, request).await.map(|inner| Trailing { inner, trailers })
}

/// One call, for tonic.
struct Call {
    path: String,
    shared: Arc<Shared>,
    broken: Arc<AtomicBool>,
    trailers: Arc<Mutex<HeaderMap>>,
}

/// A request's body that remembers how it ended: tonic takes a cancelled one for one that ended well.
struct Watched {
    inner: axum::body::Body,
    broken: Arc<AtomicBool>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if matches!(frame, Some(Err(_))) {
            self.broken.store(true, Ordering::SeqCst);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

/// Counts a call for as long as it is there.
struct InFlight(Arc<Shared>);

impl InFlight {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.calls.fetch_add(1, Ordering::SeqCst);
        shared.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

enum Source {
    Led(mpsc::UnboundedReceiver<Say>),
    Echo(Streaming<Bytes>),
    Endless(Bytes),
}

/// What a call says, with its messages counted.
struct Answer {
    source: Source,
    in_flight: InFlight,
}

impl Stream for Answer {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        let item = match &mut self.source {
            Source::Led(says) => match ready!(says.poll_recv(cx)) {
                Some(Say::Message(message)) => Some(Ok(message)),
                Some(Say::Status(status)) => Some(Err(status)),
                None => None,
            },
            Source::Echo(messages) => ready!(Pin::new(messages).poll_next(cx)),
            Source::Endless(message) => Some(Ok(message.clone())),
        };
        if let Some(Ok(message)) = &item {
            self.in_flight.0.sent.fetch_add(message.len(), Ordering::SeqCst);
        }
        Poll::Ready(item)
    }
}

impl StreamingService<Bytes> for Call {
    type Response = Bytes;
    type ResponseStream = Answer;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Answer>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let in_flight = InFlight::new(&self.shared);
        let (path, broken, trailers) =
            (self.path.clone(), Arc::clone(&self.broken), Arc::clone(&self.trailers));
        Box::pin(async move {
            let (metadata, _, messages) = request.into_parts();
            let method = path.rsplit('/').next().unwrap_or_default();
            match (in_flight.0.behaviour)(method) {
                Behaviour::Echo => {
                    Ok(tonic::Response::new(Answer { source: Source::Echo(messages), in_flight }))
                }
                Behaviour::Endless(size) => {
                    let message = text_message(&vec![b'x'; size]);
                    Ok(tonic::Response::new(Answer { source: Source::Endless(message.into()), in_flight }))
                }
                Behaviour::Silent => {
                    let _in_flight = in_flight;
                    std::future::pending().await
                }
                Behaviour::Led => {
                    // One at a time, so that a caller feels it where nobody asks.
                    let (tell, came) = mpsc::channel(1);
                    let (begin, begun) = oneshot::channel();
                    let (say, says) = mpsc::unbounded_channel();
                    tokio::spawn(read(messages, broken, tell));
                    let metadata = metadata.into_headers();
                    let led = Led { path, metadata, came, begin: Some(begin), trailers, say };
                    // The test may be over.
                    let _ = in_flight.0.led.send(led);
                    let head = begun.await.map_err(|_| Status::aborted("nobody leads this call"))??;
                    Ok(tonic::Response::from_parts(
                        MetadataMap::from_headers(head),
                        Answer { source: Source::Led(says), in_flight },
                        http::Extensions::new(),
                    ))
                }
            }
        })
    }
}

async fn read(mut messages: Streaming<Bytes>, broken: Arc<AtomicBool>, tell: mpsc::Sender<Came>) {
    loop {
        let came = tokio::select! {
            came = messages.message() => came,
            () = tell.closed() => return,
        };
        let (came, last) = match came {
            Ok(Some(message)) => (Came::Message(message), false),
            Ok(None) if !broken.load(Ordering::SeqCst) => (Came::End, true),
            Ok(None) | Err(_) => (Came::Broken, true),
        };
        if tell.send(came).await.is_err() || last {
            return;
        }
    }
}

/// A message whose field 1 is this text or these bytes.
pub fn text_message(text: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(text.len() + 6);
    prost::encoding::bytes::encode(1, &text.to_vec(), &mut message);
    message
}

/// A schema, a backend that the test leads, and the gateway before it.
pub struct Stage {
    // In the order in which they are dropped.
    pub gateway: Gateway,
    pub backend: Live,
    pub schema: Schema,
}

impl Stage {
    pub fn new(proto: &str, behaviour: fn(&str) -> Behaviour, choices: Choices<'_>) -> Self {
        let schema = Schema::new(proto);
        let backend = Live::start(behaviour);
        let gateway = Gateway::start(&choices.yaml(&schema, backend.address), schema.folder());
        Self { gateway, backend, schema }
    }

    /// One whose calls are all led, and that differs from the defaults in the listener alone.
    pub fn led(proto: &str, listener: &str) -> Self {
        Self::new(proto, |_| Behaviour::Led, Choices { listener, ..Choices::default() })
    }

    pub fn address(&self) -> SocketAddr {
        self.gateway.address
    }
}
