//! The rules about fields of the first message, and the only way to an upstream.

use std::sync::Arc;

use http::HeaderMap;

use super::admit::Admitted;
use super::call::Method;
use crate::fault::Fault;
use crate::upstream::{Outgoing, Replies, Sender, UnaryReply};
use bytes::Bytes;

/// A call whose message may be sent.
pub struct Cleared {
    method: Arc<Method>,
}

impl Cleared {
    /// Clears a call whose method has no rules about fields. There are no such rules yet, so every call is one.
    #[must_use]
    pub fn without_rules<B>(admitted: Admitted<B>) -> Self {
        Self { method: admitted.into_call().resolved.method }
    }

    /// Calls the method at its upstream.
    ///
    /// # Errors
    /// The backend's status, or what kept it from giving one.
    pub async fn unary(
        self,
        worker: usize,
        headers: HeaderMap,
        message: Bytes,
        max_reply: usize,
    ) -> Result<UnaryReply, Fault> {
        let call = Outgoing { path: self.method.path.clone(), headers, max_reply };
        self.method.upstream.unary(worker, call, message).await
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
        let call = Outgoing { path: self.method.path.clone(), headers, max_reply };
        self.method.upstream.stream(worker, call).await
    }
}
