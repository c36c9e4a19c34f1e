//! The innermost policy layer: what comes out of it has passed all the others.

use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::call::Call;
use crate::fault::Fault;

/// A call that every policy has let in.
pub struct Admitted<B>(Call<B>);

impl<B> Admitted<B> {
    pub(super) fn into_call(self) -> Call<B> {
        self.0
    }

    /// The call and its body apart, so that the body can be read while the rest waits.
    #[must_use]
    pub fn split(self) -> (Admitted<()>, B) {
        let Call { resolved, head, body, principal, forward, chosen, late, max_body, limit } = self.0;
        (Admitted(Call { resolved, head, body: (), principal, forward, chosen, late, max_body, limit }), body)
    }

    #[must_use]
    pub fn call(&self) -> &Call<B> {
        &self.0
    }

    pub fn call_mut(&mut self) -> &mut Call<B> {
        &mut self.0
    }
}

/// Makes [`Admitted`]; stands innermost.
#[derive(Clone, Copy)]
pub struct Admit;

impl<S> Layer<S> for Admit {
    type Service = AdmitService<S>;
    fn layer(&self, inner: S) -> AdmitService<S> {
        AdmitService(inner)
    }
}

#[derive(Clone)]
pub struct AdmitService<S>(S);

impl<S, B> Service<Call<B>> for AdmitService<S>
where
    S: Service<Admitted<B>, Error = Fault>,
{
    type Response = S::Response;
    type Error = Fault;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, call: Call<B>) -> S::Future {
        self.0.call(Admitted(call))
    }
}
