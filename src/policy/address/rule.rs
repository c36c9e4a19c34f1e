//! The layer that keeps an RPC to the addresses that its rule lets in.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};

use super::ClientAddress;
use crate::fault::Fault;
use crate::policy::Call;

/// Refuses calls by [`Method::addresses`](crate::policy::Method::addresses); those of a listener are judged before.
#[derive(Debug, Clone, Copy, Default)]
pub struct AddressRule;

impl<S> Layer<S> for AddressRule {
    type Service = AddressRuleService<S>;
    fn layer(&self, inner: S) -> AddressRuleService<S> {
        AddressRuleService { inner }
    }
}

#[derive(Clone)]
pub struct AddressRuleService<S> {
    inner: S,
}

impl<S, B> Service<Call<B>> for AddressRuleService<S>
where
    S: Service<Call<B>, Error = Fault>,
{
    type Response = S::Response;
    type Error = Fault;
    type Future = Either<S::Future, Ready<Result<S::Response, Fault>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<B>) -> Self::Future {
        if let Some(lists) = call.resolved.method.addresses.as_deref() {
            let address = call.head.extensions.get::<ClientAddress>().map(|address| address.0);
            if let Err(fault) = lists.judge(address) {
                return Either::Right(ready(Err(fault)));
            }
        }
        Either::Left(self.inner.call(call))
    }
}
