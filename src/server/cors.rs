//! Tells browsers which origins may read an answer. Outside of rendering, so that a page can read why its request failed.

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
use crate::policy::{Cors, Method, Page, Principal, Protocol};
use crate::telemetry::ServedBy;

/// Whose choices hold for the answer to a preflight: an extension of it, since no RPC is called.
#[derive(Clone)]
pub(super) struct Preflighted(pub Arc<Cors>);

/// Answers about which there are no choices, by rule or listener, pass as they are.
#[derive(Clone)]
pub(super) struct CrossOrigin {
    cors: Option<Arc<Cors>>,
}

impl CrossOrigin {
    pub(super) fn new(cors: Option<Arc<Cors>>) -> Self {
        Self { cors }
    }
}

impl<S> Layer<S> for CrossOrigin {
    type Service = CrossOriginService<S>;
    fn layer(&self, inner: S) -> CrossOriginService<S> {
        CrossOriginService { inner, cors: self.cors.clone() }
    }
}

#[derive(Clone)]
pub(super) struct CrossOriginService<S> {
    inner: S,
    cors: Option<Arc<Cors>>,
}

impl<S, B> Service<Request<B>> for CrossOriginService<S>
where
    S: Service<Request<B>, Response = Rendered, Error = Infallible, Future: Routed>,
{
    type Response = Rendered;
    type Error = Infallible;
    type Future = CrossOriginFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let page = Page::of(request.method() == HttpMethod::OPTIONS, request.headers());
        let inner = self.inner.call(request);
        let listener = self.cors.as_ref();
        let cors = inner.method().map_or(listener, |method| method.cors(listener)).cloned();
        CrossOriginFuture { inner, asks: Some((page, cors)) }
    }
}

pin_project! {
    pub(super) struct CrossOriginFuture<F> {
        #[pin]
        inner: F,
        asks: Option<(Page, Option<Arc<Cors>>)>,
    }
}

impl<F> Future for CrossOriginFuture<F>
where
    F: Future<Output = Result<Rendered, Infallible>>,
{
    type Output = Result<Rendered, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut rendered = match ready!(this.inner.poll(cx)) {
            Ok(rendered) => rendered,
            Err(never) => match never {},
        };
        if let Some((page, cors)) = this.asks.take() {
            let preflighted = rendered.response.extensions_mut().remove::<Preflighted>();
            let cors = match preflighted {
                Some(Preflighted(cors)) => Some(cors),
                // The request that it asks for is one that nobody's choices are about; OPTIONS itself is another.
                None if page.is_preflight() && rendered.fault.is_none() => None,
                None => cors,
            };
            if let Some(cors) = cors {
                cors.put(cors.asked(page), rendered.response.headers_mut());
            }
        }
        Poll::Ready(Ok(rendered))
    }
}

impl<F: FromCaller> FromCaller for CrossOriginFuture<F> {
    fn principal(&self) -> Option<&Principal> {
        self.inner.principal()
    }
}

impl<F: Routed> Routed for CrossOriginFuture<F> {
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
