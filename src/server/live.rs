//! The stack that the requests of one listener meet on one worker: loaded by each request, swapped as a whole.
//!
//! All connections share it, so that none of them keeps what was replaced alive, however long it does nothing.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Request;
use tower::Service;

use super::observe::{Client, ObserveFuture, ObserveService};
use super::render::Rendered;
use super::resolve::Routed;
use super::stack::Shared;

/// Only the worker calls it, so nobody but a reload is ever in its way.
pub(super) struct Live<S> {
    stack: Mutex<ObserveService<S>>,
    build: fn(&Shared) -> ObserveService<S>,
}

impl<S> Live<S> {
    pub(super) fn new(build: fn(&Shared) -> ObserveService<S>, shared: &Shared) -> Self {
        Self { stack: Mutex::new(build(shared)), build }
    }

    /// One that is never swapped.
    #[cfg(test)]
    pub(super) fn of(stack: ObserveService<S>) -> Self {
        Self { stack: Mutex::new(stack), build: |_| unreachable!("it is never swapped") }
    }

    fn stack(&self) -> MutexGuard<'_, ObserveService<S>> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call. It goes on by what is in force now.
    pub(super) fn call<B>(&self, client: &Client, request: Request<B>) -> ObserveFuture<S::Future>
    where
        S: Service<Request<B>, Response = Rendered, Error = Infallible, Future: Routed>,
    {
        self.stack().call_of(Some(client), request)
    }
}

/// What can be swapped.
pub(super) trait Renew: Send + Sync {
    /// Requests from now on meet this.
    fn renew(&self, shared: &Shared);
}

impl<S: Send> Renew for Live<S> {
    fn renew(&self, shared: &Shared) {
        let new = (self.build)(shared);
        let old = std::mem::replace(&mut *self.stack(), new);
        // Not under the lock.
        drop(old);
    }
}
