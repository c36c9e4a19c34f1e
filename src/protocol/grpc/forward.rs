//! The request's direction: pieces of the body go on as they come, no faster than the backend takes them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use smallvec::SmallVec;
use tokio::time::Sleep;

use crate::fault::Fault;
use crate::protocol::body::BoxError;
use crate::protocol::read;
use crate::upstream::{Again, BadFrame, FrameWalk, Sender};

/// Sends a body of gRPC frames, for as long as it is polled.
pub(in crate::protocol) struct Forward<B> {
    body: B,
    sender: Sender,
    walk: FrameWalk,
    /// What came and is not sent yet.
    pending: Bytes,
    /// All that came, while the call may be tried again.
    kept: Option<SmallVec<[Bytes; 2]>>,
    /// Up to where it was sent in this try, where that is behind.
    replayed: usize,
    /// Whether all of the body came.
    is_whole: bool,
    /// Whether nothing more is to be sent in this try.
    is_over: bool,
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
            kept: None,
            replayed: 0,
            is_whole: false,
            is_over: false,
            patience: patience.map(|longest| Patience { longest, timer: None }),
        }
    }

    /// Keeps what comes from now on, so that it can be sent again.
    pub(in crate::protocol) fn keep(&mut self) {
        self.kept = Some(SmallVec::new());
    }

    /// Lets go of what was kept.
    pub(in crate::protocol) fn forget(&mut self) {
        // What was not sent again yet still has to be.
        if self.kept.as_ref().is_none_or(|kept| self.replayed >= kept.len()) {
            self.kept = None;
        }
    }

    /// Sends all that came again, and then what comes, by this.
    pub(in crate::protocol) fn restart(&mut self, sender: Sender) {
        self.sender = sender;
        self.pending = Bytes::new();
        self.replayed = 0;
        self.is_over = false;
    }

    /// The next piece that came in an earlier try and was not sent in this one.
    fn replay(&mut self) -> Option<Bytes> {
        let piece = self.kept.as_ref()?.get(self.replayed)?.clone();
        self.replayed += 1;
        Some(piece)
    }

    /// Whether nothing comes behind what is pending.
    fn is_last(&self) -> bool {
        let is_replayed = self.kept.as_ref().is_none_or(|kept| self.replayed >= kept.len());
        is_replayed && (self.is_whole || self.body.is_end_stream()) && self.walk.is_between()
    }

    /// Ready when all is sent, or when the backend wants no more of it.
    ///
    /// # Errors
    /// A message that is too large or cut off, another number of them than one, or a client that stopped sending. The call must not be completed then.
    pub(in crate::protocol) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        room: Option<&mut Again>,
    ) -> Poll<Result<(), Fault>> {
        if self.is_over {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_sending(cx, room))?;
        self.is_over = true;
        Poll::Ready(Ok(()))
    }

    fn poll_sending(
        &mut self,
        cx: &mut Context<'_>,
        mut room: Option<&mut Again>,
    ) -> Poll<Result<(), Fault>> {
        loop {
            if !self.pending.is_empty() {
                if self.pending.len() <= LAST && self.is_last() {
                    // One frame of HTTP/2 for all of a small request.
                    self.sender.send_last(std::mem::take(&mut self.pending));
                    return Poll::Ready(Ok(()));
                }
                if ready!(self.sender.poll_send(&mut self.pending, cx)).is_err() {
                    // The reply says why.
                    return Poll::Ready(Ok(()));
                }
            }
            if let Some(piece) = self.replay() {
                self.pending = piece;
                continue;
            }
            if self.is_whole {
                self.sender.finish();
                return Poll::Ready(Ok(()));
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
                    self.is_whole = true;
                }
                Some(Err(error)) => return Poll::Ready(Err(read::failed(error.into()))),
                Some(Ok(frame)) => {
                    // gRPC requests have no trailers.
                    let Ok(data) = frame.into_data() else { continue };
                    self.walk.step(&data).map_err(BadFrame::of_client)?;
                    if self.is_single() && self.walk.messages() > 1 {
                        return Poll::Ready(Err(read::miscounted(self.walk.messages())));
                    }
                    self.keep_piece(&data, room.as_deref_mut());
                    self.pending = data;
                }
            }
        }
    }

    fn keep_piece(&mut self, data: &Bytes, room: Option<&mut Again>) {
        let Some(kept) = &mut self.kept else { return };
        if room.is_some_and(|room| room.keep(data.len())) {
            kept.push(data.clone());
            self.replayed = kept.len();
        } else {
            self.kept = None;
        }
    }

    /// Whether all that came is there to be sent again.
    pub(in crate::protocol) fn is_kept(&self) -> bool {
        self.kept.is_some()
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
