//! The gateway's own RPCs, served by a gRPC server within the process that takes the place of an upstream.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost_reflect::DescriptorPool;
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tower::Service;
use tracing::debug;

use super::exposed::Exposed;
use super::health::{HealthService, Vitals};
use super::proto::grpc::health::v1::health_server;
use super::proto::grpc::reflection::{v1, v1alpha};
use super::reflection::ReflectionService;
use crate::codec::PlanSet;
use crate::schema::{Index, Method};
use crate::upstream::{Cluster, Clusters};

const HEALTH: &str = health_server::SERVICE_NAME;
const REFLECTION: &str = v1::server_reflection_server::SERVICE_NAME;
const REFLECTION_ALPHA: &str = v1alpha::server_reflection_server::SERVICE_NAME;

/// The files of these services, compiled from `proto/grpc` by the build script.
const FILES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/introspection.binpb"));

/// How access log and metrics call the server within the process.
const NAME: &str = "transom";

/// Which of its own services a listener shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposes {
    pub reflection: bool,
    pub health: bool,
}

impl Default for Exposes {
    fn default() -> Self {
        Self { reflection: true, health: true }
    }
}

impl Exposes {
    /// Nothing.
    pub const NONE: Self = Self { reflection: false, health: false };

    /// What one of both shows.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { reflection: self.reflection || other.reflection, health: self.health || other.health }
    }

    /// Whether the service with this full name, one of the gateway's own, is among them.
    #[must_use]
    pub fn shows(self, service: &str) -> bool {
        match service {
            HEALTH => self.health,
            REFLECTION | REFLECTION_ALPHA => self.reflection,
            _ => false,
        }
    }
}

/// The gateway's own services.
pub struct Own {
    shown: Exposes,
    pool: DescriptorPool,
    plans: Arc<PlanSet>,
    methods: Vec<Method>,
    /// Reflection tells of health where the listener has it; so there are two, the first one tells.
    servers: [Arc<Cluster>; 2],
    exposed: watch::Sender<Arc<Exposed>>,
}

impl Own {
    /// Services that know nothing of a schema yet, for listeners that show these at most. They say that they are
    /// stopping once `stopping` is true.
    #[must_use]
    pub fn new(shown: Exposes, clusters: &Clusters, workers: usize, stopping: watch::Receiver<bool>) -> Self {
        // The build script has just compiled it.
        let pool = DescriptorPool::decode(FILES).unwrap_or_default();
        let (exposed, heard) = watch::channel(Arc::default());
        let vitals = Vitals { exposed: heard, reach_changed: clusters.reach_changed(), stopping };
        let server = |health| {
            let server = Server::new(&vitals, Exposes { reflection: true, health });
            let serve = Arc::new(move |pipe: DuplexStream| server.serve(pipe));
            Arc::new(Cluster::in_process(NAME, workers, serve))
        };
        Self {
            shown,
            plans: PlanSet::compile(&pool),
            methods: methods(&pool, shown),
            pool,
            servers: [server(true), server(false)],
            exposed,
        }
    }

    /// The same servers, for listeners that show these at most.
    #[must_use]
    pub fn showing(&self, shown: Exposes) -> Self {
        Self {
            shown,
            plans: Arc::clone(&self.plans),
            methods: methods(&self.pool, shown),
            pool: self.pool.clone(),
            servers: self.servers.clone(),
            exposed: self.exposed.clone(),
        }
    }

    /// What at least one listener shows.
    #[must_use]
    pub fn shown(&self) -> Exposes {
        self.shown
    }

    /// The plans of the messages of [`Own::methods`].
    #[must_use]
    pub fn plans(&self) -> &Arc<PlanSet> {
        &self.plans
    }

    /// Those that at least one listener shows.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// What serves these methods to the clients of a listener.
    #[must_use]
    pub fn server(&self, exposes: Exposes) -> &Arc<Cluster> {
        let [with_health, without] = &self.servers;
        if exposes.health { with_health } else { without }
    }

    /// From now on, this is what clients may know.
    pub fn expose(&self, exposed: Arc<Exposed>) {
        self.exposed.send_replace(exposed);
    }
}

fn methods(pool: &DescriptorPool, shown: Exposes) -> Vec<Method> {
    let services = pool.services().filter(|service| shown.shows(service.full_name()));
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.map(|method| Method::new(method, Vec::new())).collect()
}

/// One server of these services, for any number of pipes.
#[derive(Clone)]
struct Server {
    health: health_server::HealthServer<HealthService>,
    reflection: v1::server_reflection_server::ServerReflectionServer<ReflectionService>,
    reflection_alpha: v1alpha::server_reflection_server::ServerReflectionServer<ReflectionService>,
}

impl Server {
    fn new(vitals: &Vitals, exposes: Exposes) -> Self {
        let shown: Vec<&str> =
            [HEALTH, REFLECTION, REFLECTION_ALPHA].into_iter().filter(|name| exposes.shows(name)).collect();
        let reflection = ReflectionService {
            exposed: vitals.exposed.clone(),
            own: Arc::new(Index::of_set(&Bytes::from_static(FILES), &shown)),
            stopping: vitals.stopping.clone(),
        };
        Self {
            health: health_server::HealthServer::new(HealthService(vitals.clone())),
            reflection: v1::server_reflection_server::ServerReflectionServer::new(reflection.clone()),
            reflection_alpha: v1alpha::server_reflection_server::ServerReflectionServer::new(reflection),
        }
    }

    fn serve(&self, pipe: DuplexStream) {
        let server = self.clone();
        let service = service_fn(move |request| server.clone().answer(request));
        let connection = http2::Builder::new(TokioExecutor::new())
            // All clients of a worker share a pipe, and each has its own limit already.
            .max_concurrent_streams(None)
            .serve_connection(TokioIo::new(pipe), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a pipe to the gateway's own services ended");
            }
        });
    }

    async fn answer(mut self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let service = request.uri().path().split('/').nth(1).unwrap_or_default();
        match service {
            HEALTH => self.health.call(request).await,
            REFLECTION => self.reflection.call(request).await,
            REFLECTION_ALPHA => self.reflection_alpha.call(request).await,
            _ => Ok(Status::unimplemented("there is no such service").into_http()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_all_methods_that_are_shown() {
        let clusters = Clusters::new(&[], 1, &crate::telemetry::Metrics::default()).unwrap();
        let paths = |shown| {
            let own = Own::new(shown, &clusters, 1, watch::channel(false).1);
            own.methods().iter().map(|method| method.path.clone()).collect::<Vec<_>>()
        };
        let health =
            ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", "/grpc.health.v1.Health/Watch"];
        assert_eq!(paths(Exposes { reflection: false, health: true }), health);
        let reflection = [
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ];
        assert_eq!(paths(Exposes { reflection: true, health: false }), reflection);
        assert_eq!(paths(Exposes::default()).len(), 5);
        assert!(paths(Exposes::NONE).is_empty());
    }
}
