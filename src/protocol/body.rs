//! The body of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// What a request's body may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One piece of data, and trailers where the client asked for them.
#[derive(Debug, Default)]
pub struct ReplyBody {
    data: Option<Bytes>,
    trailers: Option<Box<HeaderMap>>,
}

impl ReplyBody {
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        if !trailers.is_empty() {
            self.trailers = Some(Box::new(trailers));
        }
        self
    }
}

impl<T: Into<Bytes>> From<T> for ReplyBody {
    fn from(data: T) -> Self {
        let data = data.into();
        Self { data: (!data.is_empty()).then_some(data), trailers: None }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(*trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.data.as_ref().map_or(0, Bytes::len) as u64;
        if self.trailers.is_none() {
            return SizeHint::with_exact(length);
        }
        // An exact size would make HTTP/1.1 choose Content-Length, which leaves no place for trailers.
        let mut hint = SizeHint::new();
        hint.set_lower(length);
        hint
    }
}
