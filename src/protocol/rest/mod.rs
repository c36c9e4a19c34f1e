//! REST: JSON over HTTP as `google.api.http` rules describe it.

mod answer;
mod error;
mod exchange;
mod framing;
mod large;
mod media;
mod stream;
mod upload;
mod writer;

pub(crate) use answer::accepts_trailers;
pub(super) use answer::outgoing;
pub(super) use error::say_more;
pub use error::{Client, ErrorRenderer};
pub use exchange::{Exchange, RestSettings, StreamSettings};
pub use framing::StreamForm;
