//! The request's direction: pieces of the body go on as they come, no faster than the backend takes them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::time::Sleep;

use crate::fault::Fault;
use crate::protocol::body::BoxError;
use crate::protocol::read;
use crate::upstream::{BadFrame, FrameWalk, Sender};

/// Sends a body of gRPC frames, for as long as it is polled.
pub(in crate::protocol) struct Forward<B> {
    body: B,
    sender: Sender,
    walk: FrameWalk,
    /// What came and is not sent yet.
    pending: Bytes,
    patience: Option<Patience>,
}

/// How long the next piece may take. The timer starts only where the client lets it wait.
struct Patience {
    longest: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What is handed over as the last thing without asking whether the backend takes it: no more than one frame of HTTP/2.
const LAST: usize = 16 << 10;

impl<B> Forward<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// `walk` says what may pass. `patience` is for methods that take one message; a stream may be silent.
    pub(in crate::protocol) fn new(
        body: B,
        sender: Sender,
        walk: FrameWalk,
        patience: Option<Duration>,
    ) -> Self {
        Self {
            body,
            sender,
            walk,
            pending: Bytes::new(),
            patience: patience.map(|longest| Patience { longest, timer: None }),
        }
    }

    /// Ready when all is sent, or when the backend wants no more of it.
    ///
    /// # Errors
    /// A message that is too large or cut off, another number of them than one, or a client that stopped sending. The call must not be completed then.
    pub(in crate::protocol) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        loop {
            if !self.pending.is_empty() {
                if self.pending.len() <= LAST && self.body.is_end_stream() && self.walk.is_between() {
                    // One frame of HTTP/2 for all of a small request.
                    self.sender.send_last(std::mem::take(&mut self.pending));
                    return Poll::Ready(Ok(()));
                }
                if ready!(self.sender.poll_send(&mut self.pending, cx)).is_err() {
                    // The reply says why.
                    return Poll::Ready(Ok(()));
                }
            }
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(self.poll_patience(cx));
                    return Poll::Ready(Err(read::too_slow()));
                }
            };
            if let Some(patience) = &mut self.patience {
                patience.timer = None;
            }
            match frame {
                None if !self.walk.is_between() => return Poll::Ready(Err(read::cut_within())),
                None => {
                    if self.is_single() && self.walk.messages() == 0 {
                        return Poll::Ready(Err(read::miscounted(0)));
                    }
                    self.sender.finish();
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => return Poll::Ready(Err(read::failed(error.into()))),
                Some(Ok(frame)) => {
                    // gRPC requests have no trailers.
                    let Ok(data) = frame.into_data() else { continue };
                    self.walk.step(&data).map_err(BadFrame::of_client)?;
                    if self.is_single() && self.walk.messages() > 1 {
                        return Poll::Ready(Err(read::miscounted(self.walk.messages())));
                    }
                    self.pending = data;
                }
            }
        }
    }

    /// Whether the method takes one message.
    fn is_single(&self) -> bool {
        self.patience.is_some()
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.patience {
            Some(patience) => {
                let longest = patience.longest;
                patience.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(longest))).as_mut().poll(cx)
            }
            None => Poll::Pending,
        }
    }
}
