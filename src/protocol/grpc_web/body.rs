//! A request's body as the gRPC frames that it stands for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::text::TextDecoder;
use crate::fault::Fault;
use crate::policy::WebForm;
use crate::protocol::body::BoxError;
use crate::protocol::read;

/// A body in either form.
pub(super) struct WebBody<B> {
    inner: B,
    text: Option<TextDecoder>,
}

impl<B> WebBody<B> {
    pub(super) fn new(inner: B, form: WebForm) -> Self {
        let text = match form {
            WebForm::Binary => None,
            WebForm::Text => Some(TextDecoder::default()),
        };
        Self { inner, text }
    }
}

impl<B> Body for WebBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
            Some(frame) => frame.map_err(Into::into)?,
            None if this.text.as_ref().is_none_or(TextDecoder::is_between) => return Poll::Ready(None),
            None => return Poll::Ready(Some(Err(read::cut_off().into()))),
        };
        Poll::Ready(Some(match (&mut this.text, frame.into_data()) {
            (Some(decoder), Ok(data)) => match decoder.push(&data) {
                Ok(decoded) => Ok(Frame::data(decoded.into())),
                Err(_) => Err(Fault::invalid_argument("BAD_BASE64", "the body is no base64").into()),
            },
            (_, Ok(data)) => Ok(Frame::data(data)),
            (_, Err(other)) => Ok(other),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream() && self.text.as_ref().is_none_or(TextDecoder::is_between)
    }
}
