//! The protocols of clients: each turns a request into messages and the answer, or a [`crate::fault::Fault`], back.

mod body;
mod metadata;
mod read;
pub mod rest;

pub use body::{Aborted, BoxError, LiveBody, ReplyBody};

use http::HeaderMap;

/// The answer to a request.
pub type Reply = http::Response<ReplyBody>;

/// What a request's head says about the client's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// JSON over HTTP, as `google.api.http` rules describe it.
    Rest,
}

impl Protocol {
    /// Decides by headers alone, before anything is resolved, since even "no route" is told in the client's protocol.
    #[must_use]
    pub fn detect(_headers: &HeaderMap) -> Self {
        Self::Rest
    }
}
