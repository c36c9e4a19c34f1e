//! The rules about fields of the first message, and the only way to an upstream.
//!
//! A method has one message that rules can be about, or has no such rules. [`Cleared::with_message`] takes that message,
//! asks the rules about it, and keeps it: what is sent is what was asked about. [`Cleared::unread`] is for calls whose
//! messages come later, and gives nothing where there are rules.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::admit::Admitted;
use super::call::{Call, Method};
use super::identity::{Forward, Principal};
use crate::fault::{Fault, Kind};
use crate::telemetry::{Attempts, Chosen};
use crate::upstream::{
    Activity, Again, Cluster, FRAME_HEAD, Incoming, Outgoing, Replies, Reply, Sender, UnaryReply,
};

/// A call that may be made. `M` is its only message, or nothing where messages come later.
pub struct Cleared<M = ()> {
    method: Arc<Method>,
    chosen: Option<Arc<Chosen>>,
    deadline: Option<Instant>,
    principal: Principal,
    forward: Option<Arc<Forward>>,
    attempts: Option<Arc<AtomicU32>>,
    activity: Option<Arc<Activity>>,
    message: M,
}

impl<M> Cleared<M> {
    /// The call as it goes out. Here, where every call comes by, the backend is told who it is from.
    fn outgoing(&self, mut headers: HeaderMap, max_reply: usize) -> Outgoing {
        if let Some(forward) = &self.forward {
            forward.put(&self.principal, &mut headers);
        }
        let retry = self.method.retries.as_ref().and_then(|retries| retries.of_call(&headers));
        Outgoing {
            path: self.method.path.clone(),
            headers,
            max_reply,
            deadline: self.deadline,
            retry,
            attempts: self.attempts.clone(),
            activity: self.activity.clone(),
        }
    }

    fn upstream(&self) -> &Arc<Cluster> {
        self.method.upstream.of(self.chosen.as_deref())
    }

    fn of<B>(call: Call<B>, message: M) -> Self {
        let Call { resolved, head, principal, forward, chosen, limit, .. } = call;
        let attempts = head.extensions.get::<Attempts>().map(|attempts| Arc::clone(&attempts.0));
        Self {
            method: resolved.method,
            chosen,
            deadline: limit.deadline,
            principal,
            forward,
            attempts,
            activity: limit.activity,
            message,
        }
    }
}

impl Cleared<Bytes> {
    /// Clears a call with its only message, which is in a frame of gRPC's, uncompressed.
    ///
    /// # Errors
    /// A rule about its fields refuses it, a limit that is keyed by them has no room, or the message can't be read.
    pub async fn with_message<B>(admitted: Admitted<B>, frame: Bytes) -> Result<Self, Fault> {
        let mut call = admitted.into_call();
        let message = frame.get(FRAME_HEAD..).unwrap_or_default();
        if let Some(rules) = &call.resolved.method.fields {
            rules.check(message, &call.principal)?;
        }
        if let Some(late) = call.late.take() {
            // Boxed, since it is rare and would make every call's future larger.
            Box::pin(late.ask(message)).await?;
        }
        Ok(Self::of(call, frame))
    }

    /// Calls the method at its upstream. A reply of more than `whole` bytes is given as soon as it is known to be one.
    ///
    /// # Errors
    /// The backend's status, or what kept it from giving one.
    pub async fn unary(
        self,
        worker: usize,
        headers: HeaderMap,
        max_reply: usize,
        whole: usize,
    ) -> Result<Reply, Fault> {
        let max_reply = self.method.max_reply.unwrap_or(max_reply);
        let call = self.outgoing(headers, max_reply);
        let Self { method, chosen, message, .. } = self;
        method.upstream.of(chosen.as_deref()).unary(worker, call, message, whole).await
    }

    /// [`Cleared::unary`], whose reply is waited for as a whole.
    ///
    /// # Errors
    /// As there.
    pub async fn unary_whole(
        self,
        worker: usize,
        headers: HeaderMap,
        max_reply: usize,
    ) -> Result<UnaryReply, Fault> {
        match self.unary(worker, headers, max_reply, usize::MAX).await? {
            Reply::Whole(reply) => Ok(reply),
            // None is larger than that.
            Reply::Large(_) => Err(Fault::new(Kind::Bug, "INTERNAL", "internal error")),
        }
    }

    /// Makes a call that is answered by any number of messages, or by one that is taken as if there were more.
    ///
    /// # Errors
    /// No connection.
    pub async fn replies(
        self,
        worker: usize,
        headers: HeaderMap,
        max_reply: usize,
    ) -> Result<Replies, Fault> {
        let call = self.outgoing(headers, max_reply);
        let Self { method, chosen, message, .. } = self;
        method.upstream.of(chosen.as_deref()).replies(worker, call, message).await
    }
}

impl Cleared {
    /// Clears a call whose messages come later.
    ///
    /// # Errors
    /// There are rules about the message, so nothing may be sent that they were not asked about.
    pub fn unread<B>(admitted: Admitted<B>) -> Result<Self, Fault> {
        let call = admitted.into_call();
        if call.resolved.method.looks_into_message() {
            let why = "a message was to pass that the rules about it were not asked about";
            return Err(Fault::new(Kind::Bug, "INTERNAL", "internal error").because(why));
        }
        Ok(Self::of(call, ()))
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
        let max_reply = self.method.max_reply.unwrap_or(max_reply);
        let call = self.outgoing(headers, max_reply);
        self.upstream().stream(worker, call).await
    }

    /// Begins a call whose messages pass as they come.
    ///
    /// # Errors
    /// No connection.
    pub async fn pass(
        self,
        worker: usize,
        headers: HeaderMap,
    ) -> Result<(Sender, Incoming, Option<Box<Again>>), Fault> {
        let call = self.outgoing(headers, usize::MAX);
        let method = &self.method;
        // Nobody knows how many messages there are of a method that the schema does not have.
        let one_request = method.is_known && !method.client_streaming;
        self.upstream().pass(worker, call, method.is_unary(), one_request).await
    }
}
