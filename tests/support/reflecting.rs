//! A backend by tonic that tells by server reflection what it serves, and may come to serve something else. Its unary
//! methods send back what they are sent.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::Notify;
use tokio_stream::wrappers::TcpListenerStream;
use tonic_reflection::server::Builder;
use tower::ServiceExt;

/// The versions of reflection that a backend speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    Both,
    Alpha,
    None,
}

struct Shared {
    versions: Versions,
    set: Mutex<Told>,
    questions: AtomicUsize,
}

/// A descriptor set, and of its services those that are told of.
#[derive(Clone)]
struct Told {
    set: Vec<u8>,
    services: Vec<String>,
}

/// A running backend. Dropping it ends its connections in whatever state they are.
pub struct Reflecting {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Reflecting {
    /// Tells of these services of an encoded descriptor set.
    pub fn start(versions: Versions, set: Vec<u8>, services: &[&str]) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").expect("a free port"), versions, set, services)
    }

    pub fn start_on(listener: TcpListener, versions: Versions, set: Vec<u8>, services: &[&str]) -> Self {
        listener.set_nonblocking(true).expect("an open socket");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            versions,
            set: Mutex::new(told(set, services)),
            questions: AtomicUsize::new(0),
        });
        let stop = Arc::new(Notify::new());
        let (own, stopped) = (Arc::clone(&shared), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, own) => {}
                    () = stopped.notified() => {}
                }
            });
        });
        Self { address, shared, stop, thread: Some(thread) }
    }

    /// Tells of something else from now on.
    pub fn tell(&self, set: Vec<u8>, services: &[&str]) {
        *self.shared.set.lock().expect("no panics") = told(set, services);
    }

    /// How many streams of questions came so far.
    pub fn questions(&self) -> usize {
        self.shared.questions.load(Ordering::SeqCst)
    }
}

impl Drop for Reflecting {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the backend did not panic");
        }
    }
}

fn told(set: Vec<u8>, services: &[&str]) -> Told {
    Told { set, services: services.iter().map(|service| (*service).to_owned()).collect() }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("an open socket");
    let router = axum::Router::new().fallback(move |request: Request| {
        let shared = Arc::clone(&shared);
        async move { answer(&shared, request).await }
    });
    let incoming = TcpListenerStream::new(listener);
    let served =
        tonic::transport::Server::builder().add_routes(router.into()).serve_with_incoming(incoming).await;
    served.expect("it serves");
}

async fn answer(shared: &Shared, request: Request) -> Response {
    let path = request.uri().path();
    let is_v1 = path.starts_with("/grpc.reflection.v1.");
    let is_alpha = path.starts_with("/grpc.reflection.v1alpha.");
    let Told { set, services } = shared.set.lock().expect("no panics").clone();
    match shared.versions {
        Versions::Both if is_v1 => {
            shared.questions.fetch_add(1, Ordering::SeqCst);
            let server = builder(&set, &services).build_v1().expect("a readable set");
            server.oneshot(request).await.expect("it never fails").into_response()
        }
        Versions::Both | Versions::Alpha if is_alpha => {
            shared.questions.fetch_add(1, Ordering::SeqCst);
            let server = builder(&set, &services).build_v1alpha().expect("a readable set");
            server.oneshot(request).await.expect("it never fails").into_response()
        }
        _ if is_v1 || is_alpha => {
            tonic::Status::unimplemented("no reflection").into_http::<tonic::body::Body>().into_response()
        }
        _ => echo(request).await,
    }
}

fn builder<'b>(set: &'b [u8], services: &[String]) -> Builder<'b> {
    let mut builder = Builder::configure().register_encoded_file_descriptor_set(set);
    for service in services {
        builder = builder.with_service_name(service);
    }
    builder
}

/// The request's frame, and a status behind it.
async fn echo(request: Request) -> Response {
    let body = request.into_body();
    let frames: Bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a whole request");
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Echo { data: Some(frames), trailers: Some(trailers) };
    let mut response = Response::new(axum::body::Body::new(body));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

struct Echo {
    data: Option<Bytes>,
    trailers: Option<http::HeaderMap>,
}

impl http_body::Body for Echo {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let frame = match self.data.take() {
            Some(data) => Some(http_body::Frame::data(data)),
            None => self.trailers.take().map(http_body::Frame::trailers),
        };
        std::task::Poll::Ready(frame.map(Ok))
    }
}
