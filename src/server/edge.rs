//! What is refused by a request's head alone.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};

use super::resolve::Detected;
use crate::fault::{Fault, Kind};
use crate::protocol::Reply;

#[derive(Clone, Copy)]
pub(super) struct Edge {
    max_url: usize,
}

impl Edge {
    pub(super) fn new(max_url: usize) -> Self {
        Self { max_url }
    }
}

impl<S> Layer<S> for Edge {
    type Service = EdgeService<S>;
    fn layer(&self, inner: S) -> EdgeService<S> {
        EdgeService { inner, max_url: self.max_url }
    }
}

#[derive(Clone)]
pub(super) struct EdgeService<S> {
    inner: S,
    max_url: usize,
}

impl<S, B> Service<Detected<B>> for EdgeService<S>
where
    S: Service<Detected<B>, Response = Reply, Error = Fault>,
{
    type Response = Reply;
    type Error = Fault;
    type Future = Either<S::Future, Ready<Result<Reply, Fault>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, detected: Detected<B>) -> Self::Future {
        let length = detected.request.uri().path_and_query().map_or(0, |url| url.as_str().len());
        if length > self.max_url {
            let message = format!("path and query are longer than {} bytes", self.max_url);
            let fault = Fault::new(Kind::UrlTooLong, "URL_TOO_LONG", message);
            return Either::Right(ready(Err(fault)));
        }
        Either::Left(self.inner.call(detected))
    }
}
