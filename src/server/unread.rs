//! HTTP/1: a connection whose request was refused before it was read is closed, unless the rest of it is there already. Its
//! client is told not to use it again: otherwise its next request might meet the end of the connection, and it could not
//! know whether that was served.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::render::Rendered;
use super::resolve::Routed;
use crate::policy::{Method, Protocol};

/// Says `Connection: close` with a fault where the request's body is not read yet. A body that is only ignored is thrown
/// away, if it is not too long in coming.
#[derive(Clone, Copy)]
pub(super) struct Unread;

impl<S> Layer<S> for Unread {
    type Service = UnreadService<S>;
    fn layer(&self, inner: S) -> UnreadService<S> {
        UnreadService(inner)
    }
}

#[derive(Clone)]
pub(super) struct UnreadService<S>(S);

impl<S, B> Service<Request<B>> for UnreadService<S>
where
    S: Service<Request<Watched<B>>, Response = Rendered, Error = Infallible>,
    B: Body,
{
    type Response = Rendered;
    type Error = Infallible;
    type Future = UnreadFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // In HTTP/2 each request has a stream of its own.
        let watches = request.version() < Version::HTTP_2 && !request.body().is_end_stream();
        let is_read = watches.then(|| Arc::new(AtomicBool::new(false)));
        let request = request.map(|inner| Watched { inner, is_read: is_read.clone() });
        UnreadFuture { inner: self.0.call(request), is_read }
    }
}

pin_project! {
    pub(super) struct UnreadFuture<F> {
        #[pin]
        inner: F,
        is_read: Option<Arc<AtomicBool>>,
    }
}

impl<F> Future for UnreadFuture<F>
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
        let is_unread = this.is_read.as_ref().is_some_and(|is_read| !is_read.load(Ordering::Relaxed));
        if is_unread && rendered.fault.is_some() {
            let close = HeaderValue::from_static("close");
            rendered.response.headers_mut().insert(header::CONNECTION, close);
        }
        Poll::Ready(Ok(rendered))
    }
}

impl<F: Routed> Routed for UnreadFuture<F> {
    fn method(&self) -> Option<&Arc<Method>> {
        self.inner.method()
    }

    fn protocol(&self) -> Option<Protocol> {
        self.inner.protocol()
    }
}

/// A body that tells when all of it was read.
pub(super) struct Watched<B> {
    inner: B,
    is_read: Option<Arc<AtomicBool>>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(is_read) = &self.is_read
            && (frame.is_none() || self.inner.is_end_stream())
        {
            is_read.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
