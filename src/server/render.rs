//! Where every fault ends: it becomes an answer in the client's own protocol.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Method as HttpMethod, Request};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::resolve::{Detected, Routed};
use crate::fault::{Fault, Kind};
use crate::policy::identity::FromCaller;
use crate::policy::{Method, Principal, Protocol};
use crate::protocol::rest::ErrorRenderer;
use crate::protocol::rest::{Client, accepts_trailers};
use crate::protocol::{Reply, detect, render};
use crate::telemetry::ServedBy;
use crate::telemetry::{Metrics, REQUEST_ID};

/// An answer, and what is told of it.
pub(super) struct Rendered {
    pub response: Reply,
    pub fault: Option<Fault>,
}

#[derive(Clone)]
pub(super) struct Render {
    shared: Arc<Renderers>,
}

struct Renderers {
    rest: Arc<ErrorRenderer>,
    metrics: Arc<Metrics>,
}

impl Render {
    pub(super) fn new(rest: Arc<ErrorRenderer>, metrics: Arc<Metrics>) -> Self {
        Self { shared: Arc::new(Renderers { rest, metrics }) }
    }
}

impl<S> Layer<S> for Render {
    type Service = RenderService<S>;
    fn layer(&self, inner: S) -> RenderService<S> {
        RenderService { inner, shared: Arc::clone(&self.shared) }
    }
}

#[derive(Clone)]
pub(super) struct RenderService<S> {
    inner: S,
    shared: Arc<Renderers>,
}

impl<S, B> Service<Request<B>> for RenderService<S>
where
    S: Service<Detected<B>, Response = Reply, Error = Fault, Future: Routed>,
{
    type Response = Rendered;
    type Error = Infallible;
    type Future = RenderFuture<S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // As in `resolve`: no layer below ever says that it isn't ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let protocol = detect(&head);
        let request = Request::from_parts(head, body);
        let is_head = request.method() == HttpMethod::HEAD;
        let wants_trailers = accepts_trailers(request.headers());
        let request_id = request.headers().get(&REQUEST_ID).cloned();
        RenderFuture {
            inner: self.inner.call(Detected { protocol, request }),
            protocol,
            is_head,
            wants_trailers,
            request_id,
            shared: Arc::clone(&self.shared),
        }
    }
}

pin_project! {
    pub(super) struct RenderFuture<F> {
        #[pin]
        inner: F,
        protocol: Protocol,
        is_head: bool,
        wants_trailers: bool,
        request_id: Option<HeaderValue>,
        shared: Arc<Renderers>,
    }
}

impl<F> Future for RenderFuture<F>
where
    F: Future<Output = Result<Reply, Fault>> + Routed,
{
    type Output = Result<Rendered, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // A bug that one call meets must not take down the others on its worker. The call's own state is dropped, and
        // nothing else is left half done by it.
        let result = match catch_unwind(AssertUnwindSafe(|| this.inner.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(panic) => {
                this.shared.metrics.panicked();
                Err(Fault::new(Kind::Bug, "INTERNAL", "internal error").because(panic_message(&*panic)))
            }
        };
        Poll::Ready(Ok(match result {
            Ok(response) => Rendered { response, fault: None },
            Err(mut fault) => {
                let client = Client {
                    request_id: this.request_id.as_ref().and_then(|id| id.to_str().ok()),
                    is_head: *this.is_head,
                    wants_trailers: *this.wants_trailers,
                };
                let schema = this.inner.method().map(|method| &method.output.set);
                let rest = &this.shared.rest;
                let protocol = this.inner.protocol().unwrap_or(*this.protocol);
                let response = render(protocol, rest, &mut fault, client, schema);
                Rendered { response, fault: Some(fault) }
            }
        }))
    }
}

impl<F: FromCaller> FromCaller for RenderFuture<F> {
    fn principal(&self) -> Option<&Principal> {
        self.inner.principal()
    }
}

impl<F: Routed> Routed for RenderFuture<F> {
    fn method(&self) -> Option<&Arc<Method>> {
        self.inner.method()
    }

    fn served_by(&self) -> Option<ServedBy> {
        self.inner.served_by()
    }

    fn protocol(&self) -> Option<Protocol> {
        Some(self.inner.protocol().unwrap_or(self.protocol))
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
