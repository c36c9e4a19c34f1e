//! How large a request's body may be. A body that says its size is refused unread; the exchange holds the others to it.
//! A client stream may be of any length: the exchange holds each of its messages to the limit.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::Body;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::call::Call;
use crate::fault::Fault;

/// Sets [`Call::max_body`] to the method's limit, or to the listener's.
#[derive(Clone, Copy)]
pub struct BodySize {
    listener_max: usize,
}

impl BodySize {
    #[must_use]
    pub fn new(listener_max: usize) -> Self {
        Self { listener_max }
    }
}

impl<S> Layer<S> for BodySize {
    type Service = BodySizeService<S>;
    fn layer(&self, inner: S) -> BodySizeService<S> {
        BodySizeService { inner, listener_max: self.listener_max }
    }
}

#[derive(Clone)]
pub struct BodySizeService<S> {
    inner: S,
    listener_max: usize,
}

impl<S, B> Service<Call<B>> for BodySizeService<S>
where
    S: Service<Call<B>, Error = Fault>,
    B: Body,
{
    type Response = S::Response;
    type Error = Fault;
    type Future = BodySizeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call<B>) -> Self::Future {
        let max = call.resolved.method.max_body.unwrap_or(self.listener_max);
        // Messages in frames are measured one by one.
        let is_whole = !call.resolved.method.client_streaming && !call.resolved.way.protocol().is_framed();
        if is_whole && call.body.size_hint().lower() > max as u64 {
            return BodySizeFuture::Refused { fault: Some(Fault::body_too_large(max)) };
        }
        call.max_body = max;
        BodySizeFuture::Inner { inner: self.inner.call(call) }
    }
}

pin_project! {
    #[project = SizeProjection]
    pub enum BodySizeFuture<F> {
        Refused { fault: Option<Fault> },
        Inner { #[pin] inner: F },
    }
}

impl<F, T> Future for BodySizeFuture<F>
where
    F: Future<Output = Result<T, Fault>>,
{
    type Output = Result<T, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            SizeProjection::Refused { fault } => match fault.take() {
                Some(fault) => Poll::Ready(Err(fault)),
                None => Poll::Pending,
            },
            SizeProjection::Inner { inner } => inner.poll(cx),
        }
    }
}
