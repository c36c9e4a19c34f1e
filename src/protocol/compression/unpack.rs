//! The body of a request, unpacked while it is read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use super::coding::{Coding, Named};
use super::decoder::{Allowance, Decoder};
use super::negotiate::items;
use super::settings::Unpacking;
use crate::fault::{Fault, Kind};
use crate::protocol::body::BoxError;

/// So many blocks are unpacked in a row; then others have their turn.
const BLOCKS_IN_A_ROW: u32 = 8;

/// A body as it comes, or unpacked. What goes wrong while it is unpacked is a [`Fault`] in the error.
pub enum Unpacked<B> {
    Plain(B),
    Packed(Box<Packed<B>>),
}

/// A body that is being unpacked.
pub struct Packed<B> {
    body: B,
    decoder: Decoder,
    in_a_row: u32,
    over: bool,
}

impl<B> Unpacked<B> {
    /// `body` without the coding that `Content-Encoding` names.
    ///
    /// # Errors
    /// 415 for codings that aren't known or not taken, and for more than one.
    pub fn new(headers: &HeaderMap, body: B, allowance: Allowance, choice: Unpacking) -> Result<Self, Fault> {
        let Some(coding) = coding_of(headers, choice)? else { return Ok(Self::Plain(body)) };
        let decoder = Decoder::new(coding, allowance)?;
        Ok(Self::Packed(Box::new(Packed { body, decoder, in_a_row: 0, over: false })))
    }
}

/// The one coding that `Content-Encoding` names.
fn coding_of(headers: &HeaderMap, choice: Unpacking) -> Result<Option<Coding>, Fault> {
    if !headers.contains_key(header::CONTENT_ENCODING) {
        return Ok(None);
    }
    let is_text = |value: &HeaderValue| value.to_str().is_ok();
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_text) {
        return Err(unsupported("the body's coding is not known", choice));
    }
    let mut found = None;
    for name in items(headers, &header::CONTENT_ENCODING) {
        match (Named::of(name), found) {
            (Named::Identity, _) => {}
            (Named::Coded(coding), None) => found = Some(coding),
            (Named::Coded(_), Some(_)) => {
                return Err(unsupported("the body is compressed more than once", choice));
            }
            (Named::Unknown, _) => return Err(unsupported("the body's coding is not known", choice)),
        }
    }
    match (found, choice) {
        (Some(_), Unpacking::Off) => {
            Err(unsupported("the body is compressed, which is not taken here", choice))
        }
        (found, Unpacking::On | Unpacking::Off) => Ok(found),
    }
}

/// Tells which codings there are (RFC 9110, sections 12.5.3 and 15.5.16).
fn unsupported(message: &'static str, choice: Unpacking) -> Fault {
    let offer = match choice {
        Unpacking::On => Coding::OFFER,
        Unpacking::Off => HeaderValue::from_static("identity"),
    };
    Fault::new(Kind::MediaType, "UNSUPPORTED_ENCODING", message)
        .at("content-encoding")
        .with_headers(HeaderMap::from_iter([(header::ACCEPT_ENCODING, offer)]))
}

impl<B> Body for Unpacked<B>
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
        match &mut *self {
            Self::Plain(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            Self::Packed(packed) => {
                let piece = ready!(packed.poll_piece(cx));
                packed.over |= !matches!(piece, Some(Ok(_)));
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(body) => body.is_end_stream(),
            // That the packed body is at its end doesn't say that everything of it has come out.
            Self::Packed(packed) => packed.over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(body) => body.size_hint(),
            Self::Packed(_) => SizeHint::default(),
        }
    }
}

impl<B> Packed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if self.in_a_row == BLOCKS_IN_A_ROW {
            self.in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            match self.decoder.pull() {
                Ok(None) => {}
                Ok(Some(block)) => {
                    self.in_a_row += 1;
                    return Poll::Ready(Some(Ok(block)));
                }
                Err(error) => return Poll::Ready(Some(Err(Fault::from(error).into()))),
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                self.in_a_row = 0;
                return Poll::Pending;
            };
            match frame {
                None => {
                    let end = self.decoder.finish();
                    return Poll::Ready(end.err().map(|error| Err(Fault::from(error).into())));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                // Trailers of a request mean nothing here.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.decoder.push(data);
                    }
                }
            }
        }
    }
}
