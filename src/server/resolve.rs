//! From a path and a method to an RPC. The snapshot is loaded here, once, and let go before anything waits.

use std::future::Ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use futures_util::future::Either;
use http::header::{self, HeaderValue};
use http::{Method as HttpMethod, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::snapshot::Snapshot;
use crate::fault::{Fault, Kind};
use crate::policy::{Bound, Call, Method, Resolved};
use crate::protocol::{Reply, ReplyBody};
use crate::route::{Lookup, Methods};

/// A future that knows from its beginning which RPC it is about, so that the layers around it can tell whatever becomes
/// of it, an abandoned call too.
pub(super) trait Routed {
    /// None where no RPC was found.
    fn method(&self) -> Option<&Arc<Method>>;
}

#[derive(Clone)]
pub(super) struct Resolve {
    snapshots: Arc<ArcSwap<Snapshot>>,
}

impl Resolve {
    pub(super) fn new(snapshots: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { snapshots }
    }
}

impl<S> Layer<S> for Resolve {
    type Service = ResolveService<S>;
    fn layer(&self, inner: S) -> ResolveService<S> {
        ResolveService { inner, snapshots: Arc::clone(&self.snapshots) }
    }
}

#[derive(Clone)]
pub(super) struct ResolveService<S> {
    inner: S,
    snapshots: Arc<ArcSwap<Snapshot>>,
}

impl<S, B> Service<Request<B>> for ResolveService<S>
where
    S: Service<Call<B>, Response = Reply, Error = Fault>,
{
    type Response = Reply;
    type Error = Fault;
    type Future = ResolveFuture<S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        // No layer below ever says that it isn't ready; those that have to wait do so in their futures.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let snapshot = self.snapshots.load();
        match snapshot.router().lookup(&head.method, head.uri.path()) {
            Lookup::Found(found) => {
                let method = Arc::clone(&found.value.method);
                let binding = Arc::clone(&found.value.binding);
                let bound = Bound { binding, captures: found.captures };
                let resolved = Resolved { method: Arc::clone(&method), bound };
                let call = Call { resolved, head, body, max_body: 0, deadline: None };
                ResolveFuture::Called { inner: self.inner.call(call), method }
            }
            Lookup::WrongMethod(methods) if head.method == HttpMethod::OPTIONS => {
                ResolveFuture::Answered { result: Some(Ok(options(&methods))) }
            }
            Lookup::WrongMethod(methods) => {
                let message = format!("{} is not allowed here", head.method);
                let fault =
                    Fault::new(Kind::WrongMethod, "WRONG_METHOD", message).allowing(methods.to_string());
                ResolveFuture::Answered { result: Some(Err(fault)) }
            }
            Lookup::Missing => {
                let fault = Fault::new(Kind::NoRoute, "NO_ROUTE", "there is nothing at this path");
                ResolveFuture::Answered { result: Some(Err(fault)) }
            }
        }
    }
}

fn options(methods: &Methods) -> Reply {
    let mut response = Response::new(ReplyBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Ok(allow) = HeaderValue::from_str(&format!("{methods}, OPTIONS")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

pin_project! {
    #[project = ResolveProjection]
    pub(super) enum ResolveFuture<F> {
        Answered { result: Option<Result<Reply, Fault>> },
        Called { #[pin] inner: F, method: Arc<Method> },
    }
}

impl<F> Future for ResolveFuture<F>
where
    F: Future<Output = Result<Reply, Fault>>,
{
    type Output = Result<Reply, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ResolveProjection::Answered { result } => match result.take() {
                Some(result) => Poll::Ready(result),
                None => Poll::Pending,
            },
            ResolveProjection::Called { inner, .. } => inner.poll(cx),
        }
    }
}

impl<F> Routed for ResolveFuture<F> {
    fn method(&self) -> Option<&Arc<Method>> {
        match self {
            Self::Answered { .. } => None,
            Self::Called { method, .. } => Some(method),
        }
    }
}

impl<F: Routed, R> Routed for Either<F, Ready<R>> {
    fn method(&self) -> Option<&Arc<Method>> {
        match self {
            Self::Left(inner) => inner.method(),
            Self::Right(_) => None,
        }
    }
}
