//! REST: JSON over HTTP as `google.api.http` rules describe it.

mod answer;
mod download;
mod error;
mod exchange;
mod framing;
mod large;
mod media;
mod stream;
mod upload;

pub use error::ErrorRenderer;
pub use exchange::{Exchange, RestSettings, StreamSettings};
pub use framing::StreamForm;
