//! What goes into the making of a request message beside the URL, and what comes out.

use bytes::Bytes;

use super::wishes::Wishes;

/// A request's body, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'b> {
    /// No bytes at all, or nothing but white space.
    None,
    Json(&'b [u8]),
    /// `application/x-www-form-urlencoded`.
    Form(&'b [u8]),
}

impl Input<'_> {
    /// The size of the body, in bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Json(body) | Self::Form(body) => body.len(),
        }
    }
}

/// What was made of a request.
#[derive(Debug)]
pub struct Built {
    /// The message in its gRPC frame.
    pub message: Bytes,
    /// What the answer should be like.
    pub wishes: Wishes,
}
