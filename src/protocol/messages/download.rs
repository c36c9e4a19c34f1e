//! The answer's side of a call whose messages are translated: they become pieces of a body, as fast as the client takes
//! them.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

use super::Upload;
use super::pause::{Pause, Silence};
use crate::fault::Fault;
use crate::policy::TimeLimit;
use crate::protocol::body::{Aborted, LiveBody};
use crate::protocol::in_time::Expire;
use crate::upstream::Replies;

/// A piece is handed over at this size, or when the backend pauses.
const PIECE: usize = 32 << 10;

/// Messages that are read at one go. Some add nothing to a piece (a raw body without data), and what else the worker has to
/// do must not wait until a backend has sent the last of them.
const TURN: usize = 1024;

/// How the messages stand in the body.
pub(in crate::protocol) trait Writer: Send {
    /// Adds one message to a piece.
    ///
    /// # Errors
    /// A message that its own schema can't read; `out` is as it was then.
    fn message(&mut self, message: Bytes, out: &mut Vec<u8>) -> Result<(), Fault>;

    /// A sign of life that readers pass over, where the form has one.
    fn heartbeat(&self) -> Option<&'static [u8]> {
        None
    }

    /// Adds what stands behind the last message of a call that went well; gives the trailers of HTTP.
    fn finish(&mut self, trailers: HeaderMap, out: &mut Vec<u8>) -> Option<HeaderMap>;

    /// [`Writer::finish`] of a call that failed.
    ///
    /// # Errors
    /// The form has no place for a failure.
    fn fail(&mut self, fault: &mut Fault, out: &mut Vec<u8>) -> Result<Option<HeaderMap>, Aborted>;

    /// A piece, as it is sent.
    fn encode(&mut self, piece: Vec<u8>) -> Bytes {
        piece.into()
    }
}

/// A streamed answer.
pub(in crate::protocol) struct Download<W> {
    /// None once the call is over.
    replies: Option<Replies>,
    /// What the client still sends.
    upload: Option<Upload>,
    writer: W,
    limit: TimeLimit,
    silence: Option<Silence>,
    /// What the call fails with next.
    failing: Option<Fault>,
    /// What it has failed with.
    fault: Option<Fault>,
    /// The piece that is being put together.
    out: Vec<u8>,
    pause: Pause,
    /// All is in the piece, but the trailers.
    over: bool,
    trailers: Option<HeaderMap>,
}

/// What a look at the backend brought.
enum Step {
    /// All that the backend has sent so far is in the piece.
    Paused,
    /// There may be more, but it is somebody else's turn.
    Interrupted,
    /// The piece is large enough.
    Full,
    Ended,
    Failed(Fault),
}

impl<W: Writer> Download<W> {
    pub(in crate::protocol) fn new(
        replies: Replies,
        upload: Option<Upload>,
        writer: W,
        limit: TimeLimit,
    ) -> Self {
        Self {
            replies: Some(replies),
            upload,
            writer,
            limit,
            silence: None,
            failing: None,
            fault: None,
            out: Vec::new(),
            pause: Pause::default(),
            over: false,
            trailers: None,
        }
    }

    /// Gives signs of life when there is nothing to say.
    pub(in crate::protocol) fn break_silence(&mut self, silence: Option<Silence>) {
        self.silence = silence;
    }

    /// Adds one message to the piece.
    ///
    /// # Errors
    /// As [`Writer::message`].
    pub(in crate::protocol) fn write(&mut self, message: Bytes) -> Result<(), Fault> {
        self.writer.message(message, &mut self.out)
    }

    /// Sends what the client still sends. A request that can't be sent on is what the call fails with.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(sent) = upload.as_mut().poll(cx)
        {
            self.upload = None;
            sent?;
        }
        Ok(())
    }

    /// Takes messages for as long as they are there, the piece is small, and its turn lasts.
    fn gather(&mut self, cx: &mut Context<'_>) -> Step {
        for _ in 0..TURN {
            if self.out.len() >= PIECE {
                return Step::Full;
            }
            let Some(replies) = &mut self.replies else { return Step::Ended };
            match replies.poll_message(cx) {
                Poll::Pending => return Step::Paused,
                Poll::Ready(None) => return Step::Ended,
                Poll::Ready(Some(Err(fault))) => return Step::Failed(fault),
                Poll::Ready(Some(Ok(message))) => {
                    if let Err(fault) = self.write(message) {
                        return Step::Failed(fault);
                    }
                }
            }
        }
        Step::Interrupted
    }

    fn hand_over(&mut self) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        self.pause.over();
        if let Some(silence) = &mut self.silence {
            silence.broken();
        }
        // A full piece is followed by another one, as a rule.
        let room = if self.out.len() < PIECE { 0 } else { self.out.capacity().min(2 * PIECE) };
        let piece = std::mem::replace(&mut self.out, Vec::with_capacity(room));
        Poll::Ready(Some(Ok(Frame::data(self.writer.encode(piece)))))
    }

    /// A heartbeat, when it is time for one.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<&'static [u8]> {
        let Some(silence) = &mut self.silence else { return Poll::Pending };
        ready!(silence.poll(cx));
        // The timer is polled again with the next piece, which is asked for when this one is taken.
        self.writer.heartbeat().map_or(Poll::Pending, Poll::Ready)
    }

    fn finish(&mut self) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        // What the client still sends is of no use to a backend that has said everything.
        self.upload = None;
        let replies = self.replies.take();
        let trailers = replies.map(|mut replies| replies.take_trailers()).unwrap_or_default();
        self.trailers = self.writer.finish(trailers, &mut self.out);
        self.end()
    }

    fn fail(&mut self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let mut fault = self.limit.judge(fault);
        // Dropping the reply's side abandons the call, if it isn't over.
        self.replies = None;
        self.upload = None;
        let told = self.writer.fail(&mut fault, &mut self.out);
        self.fault = Some(fault);
        match told {
            Ok(trailers) => {
                self.trailers = trailers;
                self.end()
            }
            Err(aborted) => {
                self.over = true;
                Poll::Ready(Some(Err(aborted)))
            }
        }
    }

    /// The last piece, or what comes behind it.
    fn end(&mut self) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        self.over = true;
        if self.out.is_empty() {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        self.hand_over()
    }
}

impl<W: Writer> LiveBody for Download<W> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if self.over {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        if let Some(fault) = self.failing.take() {
            return self.fail(fault);
        }
        let step = match self.poll_upload(cx) {
            Err(fault) => Step::Failed(fault),
            Ok(()) if self.pause.holds(cx) => return Poll::Pending,
            Ok(()) => self.gather(cx),
        };
        match step {
            Step::Paused if self.out.is_empty() => {
                let beat = ready!(self.poll_silence(cx));
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(beat)))))
            }
            Step::Paused => {
                ready!(self.pause.poll(cx, self.out.len()));
                self.hand_over()
            }
            Step::Interrupted => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Step::Full => self.hand_over(),
            Step::Ended => self.finish(),
            Step::Failed(fault) => self.fail(fault),
        }
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }
}

impl<W: Writer> Expire for Download<W> {
    fn expire(&mut self) {
        if self.replies.take().is_some() {
            self.upload = None;
            self.failing = Some(self.limit.passed());
        }
    }
}
