//! The body of an answer, packed while it is sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};

use super::encoder::Encoder;
use super::error::PackError;
use crate::fault::{Fault, Kind};
use crate::protocol::body::{Aborted, LiveBody, ReplyBody};

/// So much is packed in a row, in bytes; then others have their turn. Less than a millisecond of work, as a rule.
pub(super) const SLICE: usize = 32 << 10;

/// Packed data is handed over at this size, in bytes, or when there is a pause.
const PIECE: usize = 16 << 10;

/// A body that is packed, and flushed whenever what it is made of pauses: what a backend said can be read before it says
/// more.
pub(super) struct PackedBody {
    body: ReplyBody,
    /// None at the end.
    encoder: Option<Encoder>,
    /// What came from `body` and is not packed.
    rest: Bytes,
    trailers: Option<HeaderMap>,
    /// There is something in the encoder that was not flushed.
    held: bool,
    /// Bytes packed since it was last the others' turn.
    in_a_row: usize,
    fault: Option<Fault>,
}

type Polled = Poll<Option<Result<Frame<Bytes>, Aborted>>>;

impl PackedBody {
    pub(super) fn new(body: ReplyBody, encoder: Encoder) -> Self {
        Self {
            body,
            encoder: Some(encoder),
            rest: Bytes::new(),
            trailers: None,
            held: false,
            in_a_row: 0,
            fault: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Result<Polled, PackError> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))));
        };
        loop {
            if !self.rest.is_empty() {
                if self.in_a_row >= SLICE {
                    self.in_a_row = 0;
                    cx.waker().wake_by_ref();
                    return Ok(Poll::Pending);
                }
                let slice = self.rest.split_to(self.rest.len().min(SLICE));
                encoder.write(&slice)?;
                self.in_a_row += slice.len();
                self.held = true;
                if encoder.ready() >= PIECE {
                    return Ok(piece(encoder.take()));
                }
                continue;
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => {
                    self.in_a_row = 0;
                    if !std::mem::take(&mut self.held) {
                        return Ok(Poll::Pending);
                    }
                    encoder.flush()?;
                    // An encoder may have been through with everything already.
                    return Ok(if encoder.ready() == 0 { Poll::Pending } else { piece(encoder.take()) });
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        break;
                    }
                },
                Poll::Ready(Some(Err(aborted))) => return Ok(Poll::Ready(Some(Err(aborted)))),
                Poll::Ready(None) => break,
            }
        }
        let Some(encoder) = self.encoder.take() else { return Ok(Poll::Ready(None)) };
        Ok(piece(encoder.finish()?))
    }
}

fn piece(data: Vec<u8>) -> Polled {
    Poll::Ready(Some(Ok(Frame::data(data.into()))))
}

impl LiveBody for PackedBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Polled {
        self.poll(cx).unwrap_or_else(|error| {
            self.encoder = None;
            let message = "the answer can't be compressed";
            self.fault = Some(Fault::new(Kind::Bug, "OUT_OF_MEMORY", message).because(error));
            Poll::Ready(Some(Err(Aborted)))
        })
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.body.take_fault().or_else(|| self.fault.take())
    }
}
