//! REST: JSON over HTTP as `google.api.http` rules describe it.

mod error;
mod exchange;
mod media;

pub use error::ErrorRenderer;
pub use exchange::{Exchange, RestSettings};
