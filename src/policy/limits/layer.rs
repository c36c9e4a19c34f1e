//! The layer that holds calls to their limits, before anything of their bodies is read.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use tower::{Layer, Service, ServiceExt};

use super::decide::ask_local;
use super::fields::Told;
use super::key::Caller;
use super::late::{Late, LateTold};
use super::shared::SharedStore;
use crate::fault::Fault;
use crate::policy::address::ClientAddress;
use crate::policy::call::{Call, Protocol};

/// Asks the limits of a call's method.
#[derive(Clone)]
pub struct RateLimit {
    /// Where shared limits are counted, if there are any.
    store: Option<Arc<SharedStore>>,
    /// Whose connection to it is used.
    worker: usize,
}

impl RateLimit {
    #[must_use]
    pub fn new(store: Option<Arc<SharedStore>>, worker: usize) -> Self {
        Self { store, worker }
    }
}

impl<S> Layer<S> for RateLimit {
    type Service = RateLimitService<S>;
    fn layer(&self, inner: S) -> RateLimitService<S> {
        RateLimitService { inner, rate_limit: self.clone() }
    }
}

#[derive(Clone)]
pub struct RateLimitService<S> {
    inner: S,
    rate_limit: RateLimit,
}

/// A call that waits for what the shared store says, and then all of the rest.
type Whole<R> = Pin<Box<dyn Future<Output = (Option<Told>, Result<Response<R>, Fault>)> + Send>>;

impl<S, B, R> Service<Call<B>> for RateLimitService<S>
where
    S: Service<Call<B>, Response = Response<R>, Error = Fault, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = Response<R>;
    type Error = Fault;
    type Future = RateLimitFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call<B>) -> Self::Future {
        let Some(limits) = &call.resolved.method.limits else {
            return RateLimitFuture::Inner { inner: self.inner.call(call), told: None, late: None };
        };
        let (group, cost) = (limits.early(&call.principal), limits.cost());
        let RateLimit { store, worker } = &self.rate_limit;
        let keys = group.keys(&caller(&call));
        let asked = match ask_local(group, &keys, cost) {
            Ok(asked) => asked,
            Err(fault) => return RateLimitFuture::Refused { fault: Some(fault) },
        };
        let tells = tells(call.resolved.way.protocol());
        let late = Late::of(limits, &call.principal, &caller(&call), store.as_ref(), *worker);
        let late_told = late.as_ref().filter(|_| tells).map(|late| Arc::clone(late.told()));
        let group = Arc::clone(group);
        call.late = late.map(Box::new);
        match store {
            Some(store) if group.has_shared => {
                let (store, inner, worker) = (Arc::clone(store), self.inner.clone(), *worker);
                // Boxed, since it would make every call's future larger, and waits for the network anyway.
                let whole = Box::pin(async move {
                    match asked.ask_shared(&group, &keys, cost, &store, worker).await {
                        Ok(asked) => {
                            let told = Some(asked.passed(&group)).filter(|_| tells);
                            (told, inner.oneshot(call).await)
                        }
                        Err(fault) => (None, Err(fault)),
                    }
                });
                RateLimitFuture::Waiting { whole, late: late_told }
            }
            Some(_) | None => {
                let told = Some(asked.passed(&group)).filter(|_| tells);
                RateLimitFuture::Inner { inner: self.inner.call(call), told, late: late_told }
            }
        }
    }
}

/// Whether answers say how limits stand. Clients of gRPC read statuses, not headers, and the answer to a handshake is
/// nothing that a page could read.
fn tells(protocol: Protocol) -> bool {
    match protocol {
        Protocol::Rest | Protocol::GrpcWeb(..) | Protocol::Connect(_) => true,
        Protocol::Grpc(_) | Protocol::WebSocket => false,
    }
}

/// What a call's keys are made of.
pub(in crate::policy) fn caller<B>(call: &Call<B>) -> Caller<'_> {
    Caller {
        method: call.resolved.method.counted_as(),
        head: &call.head,
        principal: &call.principal,
        address: call.head.extensions.get::<ClientAddress>().map(|address| address.0),
    }
}

pin_project! {
    #[project = RateLimitProjection]
    pub enum RateLimitFuture<F, R> {
        Refused { fault: Option<Fault> },
        Inner { #[pin] inner: F, told: Option<Told>, late: Option<LateTold> },
        Waiting { whole: Whole<R>, late: Option<LateTold> },
    }
}

impl<F, R> Future for RateLimitFuture<F, R>
where
    F: Future<Output = Result<Response<R>, Fault>>,
{
    type Output = Result<Response<R>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (told, late, result) = match self.project() {
            RateLimitProjection::Refused { fault } => match fault.take() {
                Some(fault) => return Poll::Ready(Err(fault)),
                None => return Poll::Pending,
            },
            RateLimitProjection::Inner { inner, told, late } => {
                let result = ready!(inner.poll(cx));
                (told.take(), late.take(), result)
            }
            RateLimitProjection::Waiting { whole, late } => {
                let (told, result) = ready!(whole.as_mut().poll(cx));
                (told, late.take(), result)
            }
        };
        let late = late.and_then(|late| late.lock().unwrap_or_else(PoisonError::into_inner).take());
        Poll::Ready(match result {
            Ok(mut response) => {
                told.into_iter().chain(late).for_each(|told| told.put(response.headers_mut()));
                Ok(response)
            }
            Err(mut fault) => {
                told.into_iter().chain(late).for_each(|told| told.put(fault.headers_mut()));
                Err(fault)
            }
        })
    }
}
