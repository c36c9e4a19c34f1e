//! The rules about fields of the first message, and the only way to an upstream.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::admit::Admitted;
use super::call::Method;
use super::identity::{Forward, Principal};
use crate::fault::{Fault, Kind};
use crate::upstream::{Incoming, Outgoing, Replies, Reply, Sender, UnaryReply};

/// A call whose message may be sent.
pub struct Cleared {
    method: Arc<Method>,
    deadline: Option<Instant>,
    principal: Principal,
    forward: Option<Arc<Forward>>,
}

impl Cleared {
    /// Clears a call whose method has no rules about fields. There are no such rules yet, so every call is one.
    #[must_use]
    pub fn without_rules<B>(admitted: Admitted<B>) -> Self {
        let call = admitted.into_call();
        Self {
            method: call.resolved.method,
            deadline: call.limit.deadline,
            principal: call.principal,
            forward: call.forward,
        }
    }

    /// The call as it goes out. Here, where every call comes by, the backend is told who it is from.
    fn outgoing(&self, mut headers: HeaderMap, max_reply: usize) -> Outgoing {
        if let Some(forward) = &self.forward {
            forward.put(&self.principal, &mut headers);
        }
        Outgoing { path: self.method.path.clone(), headers, max_reply, deadline: self.deadline }
    }

    /// Calls the method at its upstream. A reply of more than `whole` bytes is given as soon as it is known to be one.
    ///
    /// # Errors
    /// The backend's status, or what kept it from giving one.
    pub async fn unary(
        self,
        worker: usize,
        headers: HeaderMap,
        message: Bytes,
        max_reply: usize,
        whole: usize,
    ) -> Result<Reply, Fault> {
        let call = self.outgoing(headers, max_reply);
        self.method.upstream.unary(worker, call, message, whole).await
    }

    /// [`Cleared::unary`], whose reply is waited for as a whole.
    ///
    /// # Errors
    /// As there.
    pub async fn unary_whole(
        self,
        worker: usize,
        headers: HeaderMap,
        message: Bytes,
        max_reply: usize,
    ) -> Result<UnaryReply, Fault> {
        match self.unary(worker, headers, message, max_reply, usize::MAX).await? {
            Reply::Whole(reply) => Ok(reply),
            // None is larger than that.
            Reply::Large(_) => Err(Fault::new(Kind::Bug, "INTERNAL", "internal error")),
        }
    }

    /// Begins a call of a streaming method at its upstream.
    ///
    /// # Errors
    /// No connection.
    pub async fn stream(
        self,
        worker: usize,
        headers: HeaderMap,
        max_reply: usize,
    ) -> Result<(Sender, Replies), Fault> {
        let call = self.outgoing(headers, max_reply);
        self.method.upstream.stream(worker, call).await
    }

    /// Begins a call whose messages pass as they come.
    ///
    /// # Errors
    /// No connection.
    pub async fn pass(self, worker: usize, headers: HeaderMap) -> Result<(Sender, Incoming), Fault> {
        let is_unary = self.method.is_unary();
        let call = self.outgoing(headers, usize::MAX);
        self.method.upstream.pass(worker, call, is_unary).await
    }
}
