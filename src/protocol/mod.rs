//! The protocols of clients: each turns a request into messages and the answer, or a [`crate::fault::Fault`], back.

mod body;
mod metadata;
mod read;
pub mod rest;

pub use body::{Aborted, BoxError, LiveBody, ReplyBody};

/// The answer to a request.
pub type Reply = http::Response<ReplyBody>;
