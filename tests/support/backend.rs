//! A backend by tonic that serves every method of a schema: records what comes, and answers as it is told.

use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::HeaderMap;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;
use tokio::sync::Notify;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, UnaryService};
use tonic::transport::Server;
use tonic::{Code, Status};

use super::host::{Host, serve};
use super::raw::{Raw, Trailing};
use super::schema::Schema;

/// What a call is answered with.
#[derive(Clone)]
pub enum Answer {
    /// The request's own message.
    Echo,
    /// This message, with metadata before and behind it.
    Message { message: Bytes, headers: HeaderMap, trailers: HeaderMap },
    /// A status other than OK, its details as the bytes of a google.rpc.Status, and metadata.
    Status { code: i32, message: String, details: Vec<u8>, metadata: HeaderMap },
    /// The request's own message, once [`Backend::release`] was called.
    Held,
}

impl Answer {
    /// A message alone.
    pub fn message(message: impl Into<Bytes>) -> Self {
        Self::Message { message: message.into(), headers: HeaderMap::new(), trailers: HeaderMap::new() }
    }

    /// A status alone.
    pub fn status(code: i32, message: &str) -> Self {
        Self::Status { code, message: message.to_owned(), details: Vec::new(), metadata: HeaderMap::new() }
    }
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `/package.Service/Method`.
    pub path: String,
    pub metadata: HeaderMap,
    /// The message's bytes.
    pub message: Bytes,
    input: MessageDescriptor,
}

impl Seen {
    /// The method's own name.
    pub fn method(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The message, as the schema has it.
    pub fn decode(&self) -> DynamicMessage {
        DynamicMessage::decode(self.input.clone(), self.message.clone()).expect("it is readable")
    }

    /// The message as JSON, defaults left out.
    pub fn json(&self) -> Value {
        serde_json::to_value(self.decode()).expect("a message has a JSON form")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        assert!(self.metadata.get_all(name).iter().count() < 2, "{name} stands twice");
        self.metadata.get(name).map(|value| value.to_str().expect("metadata in ASCII"))
    }
}

struct Shared {
    pool: DescriptorPool,
    answer: Mutex<Answer>,
    seen: Mutex<Vec<Seen>>,
    connections: Arc<AtomicUsize>,
    cancelled: AtomicUsize,
    release: Notify,
}

/// A running backend. Dropping it ends its connections in whatever state they are.
pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _host: Host,
}

impl Backend {
    pub fn start(schema: &Schema, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::start_on(listener, schema, answer)
    }

    pub fn start_on(listener: TcpListener, schema: &Schema, answer: Answer) -> Self {
        let shared = Arc::new(Shared {
            pool: schema.pool.clone(),
            answer: Mutex::new(answer),
            seen: Mutex::default(),
            connections: Arc::default(),
            cancelled: AtomicUsize::new(0),
            release: Notify::new(),
        });
        let own = Arc::clone(&shared);
        let host = Host::start(listener, move |listener| {
            let server = Server::builder()
                .initial_stream_window_size(8 << 20)
                .initial_connection_window_size(16 << 20)
                .http2_max_header_list_size(256 << 10);
            let connections = Arc::clone(&own.connections);
            serve(server, listener, connections, move |request| reply(Arc::clone(&own), request))
        });
        Self { address: host.address, shared, _host: host }
    }

    /// Answers from now on with this.
    pub fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().expect("no panics") = answer;
    }

    /// Lets one held call be answered.
    pub fn release(&self) {
        self.shared.release.notify_one();
    }

    /// The calls since the last time, in their order.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen.lock().expect("no panics"))
    }

    /// The only call since the last time.
    #[track_caller]
    pub fn only(&self) -> Seen {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }

    /// The latest of them, which all stay.
    #[track_caller]
    pub fn last(&self) -> Seen {
        self.all().pop().expect("a call")
    }

    /// The calls since the last time, which stay.
    pub fn all(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no panics").clone()
    }

    /// How many calls came since the last time.
    pub fn count(&self) -> usize {
        self.shared.seen.lock().expect("no panics").len()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many calls were given up by the client before they were answered.
    pub fn cancelled(&self) -> usize {
        self.shared.cancelled.load(Ordering::SeqCst)
    }
}

const MAX_MESSAGE: usize = 64 << 20;

async fn reply(shared: Arc<Shared>, request: axum::extract::Request) -> http::Response<Trailing> {
    let trailers = match &*shared.answer.lock().expect("no panics") {
        Answer::Message { trailers, .. } => trailers.clone(),
        Answer::Echo | Answer::Status { .. } | Answer::Held => HeaderMap::new(),
    };
    let call = Call { path: request.uri().path().to_owned(), shared };
    let mut grpc =
        Grpc::new(Raw).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE);
    let response = grpc.unary(call, request).await;
    response.map(|inner| Trailing { inner, trailers: Arc::new(Mutex::new(trailers)) })
}

/// One call, for tonic.
struct Call {
    path: String,
    shared: Arc<Shared>,
}

/// Counts a call that is dropped before it was answered.
struct Unanswered(Option<Arc<Shared>>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl UnaryService<Bytes> for Call {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let path = self.path.clone();
        Box::pin(async move {
            let Some(input) = input(&shared.pool, &path) else {
                return Err(Status::unimplemented(format!("there is no {path}")));
            };
            let (metadata, _, message) = request.into_parts();
            let seen = Seen { path, metadata: metadata.into_headers(), message: message.clone(), input };
            let answer = shared.answer.lock().expect("no panics").clone();
            shared.seen.lock().expect("no panics").push(seen);
            match answer {
                Answer::Echo => Ok(tonic::Response::new(message)),
                Answer::Message { message, headers, .. } => Ok(tonic::Response::from_parts(
                    MetadataMap::from_headers(headers),
                    message,
                    http::Extensions::new(),
                )),
                Answer::Status { code, message, details, metadata } => {
                    Err(Status::with_details_and_metadata(
                        Code::from_i32(code),
                        message,
                        details.into(),
                        MetadataMap::from_headers(metadata),
                    ))
                }
                Answer::Held => {
                    let mut unanswered = Unanswered(Some(Arc::clone(&shared)));
                    shared.release.notified().await;
                    unanswered.0 = None;
                    Ok(tonic::Response::new(message))
                }
            }
        })
    }
}

fn input(pool: &DescriptorPool, path: &str) -> Option<MessageDescriptor> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let service = pool.get_service_by_name(service)?;
    service.methods().find(|known| known.name() == method).map(|method| method.input())
}
