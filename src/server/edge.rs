//! What is refused by a request's head alone.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::Request;
use tower::{Layer, Service};

use super::load::Load;
use super::resolve::Detected;
use crate::fault::{Fault, Kind};
use crate::policy::address::{AddressLists, Unreadable};
use crate::policy::{AddressLimits, ClientAddress};
use crate::protocol::Reply;

#[derive(Clone)]
pub(super) struct Edge {
    max_url: usize,
    load: Arc<Load>,
    lists: Option<Arc<AddressLists>>,
    addresses: Option<AddressLimits>,
}

impl Edge {
    /// `max_url` is in bytes; `lists` say who may come in at all.
    pub(super) fn new(
        max_url: usize,
        load: Arc<Load>,
        lists: Option<Arc<AddressLists>>,
        addresses: Option<AddressLimits>,
    ) -> Self {
        Self { max_url, load, lists, addresses }
    }

    /// What is found in the head.
    fn judge<B>(&self, detected: Detected<B>) -> Result<Detected<B>, Fault> {
        // The cheapest first, since it is asked when there is the least room.
        self.load.check()?;
        let Detected { protocol, mut request } = detected;
        if request.extensions().get::<Unreadable>().is_some() {
            let message = "what a proxy says of the client's address can't be read";
            return Err(Fault::new(Kind::BadRequest, "FORWARDED_INVALID", message));
        }
        // Before the limits: who may not come in takes nobody's share.
        if let Some(lists) = &self.lists {
            lists.judge(request.extensions().get::<ClientAddress>().map(|address| address.0))?;
        }
        if let Some(addresses) = &self.addresses {
            let (head, body) = request.into_parts();
            addresses.ask(&head)?;
            request = Request::from_parts(head, body);
        }
        let length = request.uri().path_and_query().map_or(0, |url| url.as_str().len());
        if length > self.max_url {
            let message = format!("path and query are longer than {} bytes", self.max_url);
            return Err(Fault::new(Kind::UrlTooLong, "URL_TOO_LONG", message));
        }
        Ok(Detected { protocol, request })
    }
}

impl<S> Layer<S> for Edge {
    type Service = EdgeService<S>;
    fn layer(&self, inner: S) -> EdgeService<S> {
        EdgeService { inner, edge: self.clone() }
    }
}

#[derive(Clone)]
pub(super) struct EdgeService<S> {
    inner: S,
    edge: Edge,
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
        match self.edge.judge(detected) {
            Ok(detected) => Either::Left(self.inner.call(detected)),
            Err(fault) => Either::Right(ready(Err(fault))),
        }
    }
}
