//! Adds the listener's security headers to whatever is answered. gRPC has no browsers for clients, and goes without.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Request;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::render::Rendered;
use super::resolve::Routed;
use crate::policy::identity::FromCaller;
use crate::policy::{Method, Principal, Protocol, SecurityHeaders};
use crate::telemetry::ServedBy;

#[derive(Clone)]
pub(super) struct Secure {
    headers: Option<Arc<SecurityHeaders>>,
}

impl Secure {
    /// Answers pass as they are without `headers`.
    pub(super) fn new(headers: Option<Arc<SecurityHeaders>>) -> Self {
        Self { headers }
    }
}

impl<S> Layer<S> for Secure {
    type Service = SecureService<S>;
    fn layer(&self, inner: S) -> SecureService<S> {
        SecureService { inner, headers: self.headers.clone() }
    }
}

#[derive(Clone)]
pub(super) struct SecureService<S> {
    inner: S,
    headers: Option<Arc<SecurityHeaders>>,
}

impl<S, B> Service<Request<B>> for SecureService<S>
where
    S: Service<Request<B>, Response = Rendered, Error = Infallible, Future: Routed>,
{
    type Response = Rendered;
    type Error = Infallible;
    type Future = SecureFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        SecureFuture { inner: self.inner.call(request), headers: self.headers.clone() }
    }
}

pin_project! {
    pub(super) struct SecureFuture<F> {
        #[pin]
        inner: F,
        headers: Option<Arc<SecurityHeaders>>,
    }
}

impl<F> Future for SecureFuture<F>
where
    F: Future<Output = Result<Rendered, Infallible>> + Routed,
{
    type Output = Result<Rendered, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut rendered = match ready!(this.inner.as_mut().poll(cx)) {
            Ok(rendered) => rendered,
            Err(never) => match never {},
        };
        if let Some(headers) = this.headers
            && !matches!(this.inner.protocol(), Some(Protocol::Grpc(_)))
        {
            headers.put(&mut rendered.response);
        }
        Poll::Ready(Ok(rendered))
    }
}

impl<F: FromCaller> FromCaller for SecureFuture<F> {
    fn principal(&self) -> Option<&Principal> {
        self.inner.principal()
    }
}

impl<F: Routed> Routed for SecureFuture<F> {
    fn method(&self) -> Option<&Arc<Method>> {
        self.inner.method()
    }

    fn served_by(&self) -> Option<ServedBy> {
        self.inner.served_by()
    }

    fn protocol(&self) -> Option<Protocol> {
        self.inner.protocol()
    }
}
