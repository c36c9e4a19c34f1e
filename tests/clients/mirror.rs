//! The backend of `mirror.proto`: tells its callers what arrived, and ends as they ask. Takes and gives gzip.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use prost::Message;
use prost_types::Any;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, StreamingService};
use tonic::transport::Server;
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::support::{Host, Trailing, serve};

/// What no double can hold: 2^53 + 1.
const NUMBER: u64 = (1 << 53) + 1;

#[derive(Clone, PartialEq, Message)]
struct Ask {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
    #[prost(int32, tag = "3")]
    times: i32,
    #[prost(message, optional, tag = "4")]
    refusal: Option<Refusal>,
    #[prost(bool, tag = "5")]
    hang: bool,
}

/// A google.rpc.Status.
#[derive(Clone, PartialEq, Message)]
struct Refusal {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Told {
    #[prost(string, repeated, tag = "1")]
    texts: Vec<String>,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
    #[prost(uint64, tag = "3")]
    number: u64,
    #[prost(map = "string, string", tag = "4")]
    metadata: HashMap<String, String>,
    #[prost(uint32, tag = "5")]
    hanging: u32,
}

impl Refusal {
    fn status(&self) -> Status {
        Status::with_details(Code::from_i32(self.code), &self.message, self.encode_to_vec().into())
    }
}

#[derive(Default)]
struct Counts {
    hanging: AtomicUsize,
    left: AtomicUsize,
}

/// A running mirror. Dropping it ends its connections in whatever state they are.
pub struct Mirror {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    _host: Host,
}

impl Mirror {
    pub fn start() -> Self {
        let counts = Arc::<Counts>::default();
        let own = Arc::clone(&counts);
        let host = Host::anywhere(move |listener| {
            serve(Server::builder(), listener, Arc::default(), move |request| {
                reply(Arc::clone(&own), request)
            })
        });
        Self { address: host.address, counts, _host: host }
    }

    /// How many calls hang now.
    pub fn hanging(&self) -> usize {
        self.counts.hanging.load(Ordering::SeqCst)
    }

    /// How many calls hung until their callers left.
    pub fn left(&self) -> usize {
        self.counts.left.load(Ordering::SeqCst)
    }
}

async fn reply(counts: Arc<Counts>, request: axum::extract::Request) -> http::Response<Trailing> {
    let path = request.uri().path();
    let method = path.strip_prefix("/clients.v1.Mirror/").unwrap_or_default().to_owned();
    let trailers = beginning_with("trailing-", request.headers());
    let mut grpc = Grpc::new(ProstCodec::<Told, Ask>::default())
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let response = grpc.streaming(Call { method, counts }, request).await;
    response.map(|inner| Trailing { inner, trailers: Arc::new(Mutex::new(trailers)) })
}

fn beginning_with(prefix: &str, metadata: &HeaderMap) -> HeaderMap {
    let chosen = metadata.iter().filter(|(name, _)| name.as_str().starts_with(prefix));
    chosen.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// One call, for tonic.
struct Call {
    method: String,
    counts: Arc<Counts>,
}

type Said = Result<Told, Status>;

impl StreamingService<Ask> for Call {
    type Response = Told;
    type ResponseStream = ReceiverStream<Said>;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<ReceiverStream<Said>>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Streaming<Ask>>) -> Self::Future {
        let (method, counts) = (self.method.clone(), Arc::clone(&self.counts));
        Box::pin(async move {
            let (metadata, _, mut asks) = request.into_parts();
            let metadata = metadata.into_headers();
            let head = MetadataMap::from_headers(beginning_with("echo-", &metadata));
            let seen = seen(&metadata);
            let (tell, told) = mpsc::channel(1);
            match method.as_str() {
                "Unary" | "Down" => {
                    let ask = asks.message().await?.ok_or_else(|| Status::internal("it asks nothing"))?;
                    let times = if method == "Unary" { 1 } else { ask.times };
                    // Without a message, the answer is its trailers alone.
                    if let Some(refusal) = ask.refusal.as_ref().filter(|_| method == "Unary" || times == 0) {
                        return Err(refusal.status());
                    }
                    tokio::spawn(async move { say(ask, times, &seen, &tell, &counts).await });
                }
                "Up" => drop(tokio::spawn(async move { listen(asks, seen, &tell, &counts).await })),
                "Both" => drop(tokio::spawn(async move { talk(asks, &seen, &tell, &counts).await })),
                _ => return Err(Status::unimplemented("there is no such method")),
            }
            Ok(tonic::Response::from_parts(head, ReceiverStream::new(told), http::Extensions::new()))
        })
    }
}

fn seen(metadata: &HeaderMap) -> HashMap<String, String> {
    let text = metadata.iter().filter(|(name, _)| !name.as_str().ends_with("-bin"));
    text.map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    })
    .collect()
}

fn told(texts: Vec<String>, data: Vec<u8>, seen: &HashMap<String, String>, counts: &Counts) -> Told {
    let hanging = u32::try_from(counts.hanging.load(Ordering::SeqCst)).expect("a test has few calls");
    Told { texts, data, number: NUMBER, metadata: seen.clone(), hanging }
}

/// Says nothing until the caller leaves.
async fn hang(tell: &mpsc::Sender<Said>, counts: &Counts) {
    counts.hanging.fetch_add(1, Ordering::SeqCst);
    tell.closed().await;
    counts.left.fetch_add(1, Ordering::SeqCst);
    counts.hanging.fetch_sub(1, Ordering::SeqCst);
}

// In what follows, a caller that is gone hears nothing, and there is nothing to be done about it.

async fn say(
    ask: Ask,
    times: i32,
    seen: &HashMap<String, String>,
    tell: &mpsc::Sender<Said>,
    counts: &Counts,
) {
    let hangs_at_once = ask.hang && times < 2;
    if !hangs_at_once {
        for number in 0..times {
            let texts = vec![ask.text.clone(), number.to_string()];
            let _ = tell.send(Ok(told(texts, ask.data.clone(), seen, counts))).await;
        }
    }
    if let Some(refusal) = &ask.refusal {
        let _ = tell.send(Err(refusal.status())).await;
    }
    if ask.hang {
        hang(tell, counts).await;
    }
}

async fn listen(
    mut asks: Streaming<Ask>,
    seen: HashMap<String, String>,
    tell: &mpsc::Sender<Said>,
    counts: &Counts,
) {
    let (mut texts, mut data) = (Vec::new(), Vec::new());
    loop {
        match asks.message().await {
            Ok(Some(ask)) if ask.hang => return hang(tell, counts).await,
            Ok(Some(Ask { refusal: Some(refusal), .. })) => {
                let _ = tell.send(Err(refusal.status())).await;
                return;
            }
            Ok(Some(ask)) => {
                texts.push(ask.text);
                data.extend(ask.data);
            }
            Ok(None) => break,
            Err(_) => return,
        }
    }
    let _ = tell.send(Ok(told(texts, data, &seen, counts))).await;
}

async fn talk(
    mut asks: Streaming<Ask>,
    seen: &HashMap<String, String>,
    tell: &mpsc::Sender<Said>,
    counts: &Counts,
) {
    while let Ok(Some(ask)) = asks.message().await {
        if let Some(refusal) = ask.refusal {
            let _ = tell.send(Err(refusal.status())).await;
            return;
        }
        if ask.hang {
            return hang(tell, counts).await;
        }
        let _ = tell.send(Ok(told(vec![ask.text], ask.data, seen, counts))).await;
    }
}
