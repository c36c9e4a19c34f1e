//! Answers become smaller where the listener offers that and the client asks for it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Method as HttpMethod, Request};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::render::Rendered;
use super::resolve::Routed;
use crate::policy::identity::FromCaller;
use crate::policy::{Method, Principal, Protocol};
use crate::protocol::compression::{Packing, Wanted, packed, wanted};
use crate::telemetry::ServedBy;

/// Packs what comes from below, faults too.
#[derive(Clone)]
pub(super) struct Compress {
    /// None where the listener offers no compression.
    packing: Option<Arc<Packing>>,
}

impl Compress {
    pub(super) fn new(packing: Option<Arc<Packing>>) -> Self {
        Self { packing }
    }
}

impl<S> Layer<S> for Compress {
    type Service = CompressService<S>;
    fn layer(&self, inner: S) -> CompressService<S> {
        CompressService { inner, packing: self.packing.clone() }
    }
}

#[derive(Clone)]
pub(super) struct CompressService<S> {
    inner: S,
    packing: Option<Arc<Packing>>,
}

impl<S, B> Service<Request<B>> for CompressService<S>
where
    S: Service<Request<B>, Response = Rendered, Error = Infallible, Future: Routed>,
{
    type Response = Rendered;
    type Error = Infallible;
    type Future = CompressFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let wishes = self.packing.as_ref().map(|packing| Wishes {
            wanted: wanted(request.headers(), &packing.algorithms),
            is_head: request.method() == HttpMethod::HEAD,
            packing: Arc::clone(packing),
        });
        CompressFuture { inner: self.inner.call(request), wishes }
    }
}

/// What was learned of the request before it went on.
struct Wishes {
    packing: Arc<Packing>,
    wanted: Wanted,
    is_head: bool,
}

pin_project! {
    pub(super) struct CompressFuture<F> {
        #[pin]
        inner: F,
        wishes: Option<Wishes>,
    }
}

impl<F> Future for CompressFuture<F>
where
    F: Future<Output = Result<Rendered, Infallible>>,
{
    type Output = Result<Rendered, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let rendered = ready!(this.inner.poll(cx));
        let Some(Wishes { packing, wanted, is_head }) = this.wishes else { return Poll::Ready(rendered) };
        Poll::Ready(rendered.map(|Rendered { response, fault }| Rendered {
            response: packed(response, *wanted, packing, *is_head),
            fault,
        }))
    }
}

impl<F: FromCaller> FromCaller for CompressFuture<F> {
    fn principal(&self) -> Option<&Principal> {
        self.inner.principal()
    }
}

impl<F: Routed> Routed for CompressFuture<F> {
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
