//! The shape of all policies that look at a call and let it go on or don't, without waiting and without changing it.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};

use super::call::Call;
use crate::fault::Fault;

/// A policy that says yes or no at once.
pub trait Check {
    /// # Errors
    /// The call may not go on.
    fn check<B>(&self, call: &Call<B>) -> Result<(), Fault>;
}

/// The layer of one [`Check`].
#[derive(Debug, Clone, Copy)]
pub struct Checked<C>(pub C);

impl<S, C: Clone> Layer<S> for Checked<C> {
    type Service = CheckedService<S, C>;
    fn layer(&self, inner: S) -> CheckedService<S, C> {
        CheckedService { inner, check: self.0.clone() }
    }
}

#[derive(Clone)]
pub struct CheckedService<S, C> {
    inner: S,
    check: C,
}

impl<S, C, B> Service<Call<B>> for CheckedService<S, C>
where
    S: Service<Call<B>, Error = Fault>,
    C: Check,
{
    type Response = S::Response;
    type Error = Fault;
    type Future = Either<S::Future, Ready<Result<S::Response, Fault>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<B>) -> Self::Future {
        match self.check.check(&call) {
            Ok(()) => Either::Left(self.inner.call(call)),
            Err(fault) => Either::Right(ready(Err(fault))),
        }
    }
}
