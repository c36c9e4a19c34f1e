//! A backend that tells its health as the test says, and answers all other calls with their own message.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tonic::Status;
use tonic::server::{Grpc, UnaryService};
use tonic::transport::Server;

use super::host::{Host, serve};
use super::raw::{Raw, Trailing};

/// What a check is answered with.
#[derive(Clone, Copy, Debug)]
pub enum Health {
    Serving,
    NotServing,
    Unimplemented,
    Silent,
}

struct Shared {
    health: Mutex<Health>,
    asked: Mutex<Vec<Bytes>>,
    calls: AtomicUsize,
}

/// A running backend.
pub struct Healthy {
    pub address: std::net::SocketAddr,
    shared: Arc<Shared>,
    _host: Host,
}

impl Healthy {
    pub fn start(health: Health) -> Self {
        let shared = Arc::new(Shared {
            health: Mutex::new(health),
            asked: Mutex::default(),
            calls: AtomicUsize::new(0),
        });
        let own = Arc::clone(&shared);
        let host = Host::anywhere(move |listener| {
            serve(Server::builder(), listener, Arc::default(), move |request: axum::extract::Request| {
                let call = Call { path: request.uri().path().to_owned(), shared: Arc::clone(&own) };
                async move {
                    let response = Grpc::new(Raw).unary(call, request).await;
                    response.map(|inner| Trailing { inner, trailers: Arc::default() })
                }
            })
        });
        Self { address: host.address, shared, _host: host }
    }

    /// Tells this from now on.
    pub fn is(&self, health: Health) {
        *self.shared.health.lock().expect("no panics") = health;
    }

    /// The messages of the checks so far.
    pub fn asked(&self) -> Vec<Bytes> {
        self.shared.asked.lock().expect("no panics").clone()
    }

    /// How many other calls came.
    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }
}

struct Call {
    path: String,
    shared: Arc<Shared>,
}

impl UnaryService<Bytes> for Call {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (path, shared) = (self.path.clone(), Arc::clone(&self.shared));
        Box::pin(async move {
            let message = request.into_inner();
            if path != "/grpc.health.v1.Health/Check" {
                shared.calls.fetch_add(1, Ordering::SeqCst);
                return Ok(tonic::Response::new(message));
            }
            shared.asked.lock().expect("no panics").push(message);
            let health = *shared.health.lock().expect("no panics");
            match health {
                Health::Serving => Ok(tonic::Response::new(Bytes::from_static(&[8, 1]))),
                Health::NotServing => Ok(tonic::Response::new(Bytes::from_static(&[8, 2]))),
                Health::Unimplemented => Err(Status::unimplemented("no health here")),
                Health::Silent => std::future::pending().await,
            }
        })
    }
}
