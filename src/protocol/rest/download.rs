//! The answer's side of a server stream: messages become pieces of a body, as fast as the client takes them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Instant, Sleep};

use super::exchange::Exchange;
use super::framing::Framer;
use super::upload::Upload;
use crate::fault::Fault;
use crate::policy::{Method, cancelled_in_time, deadline_passed};
use crate::protocol::body::{Aborted, LiveBody};
use crate::protocol::metadata;
use crate::transcode::{Binding, Wishes, raw_reply, write_reply};
use crate::upstream::Replies;

/// A piece is handed over at this size, or when the backend pauses.
const PIECE: usize = 16 << 10;

/// How the messages stand in the body.
pub(super) enum Shape {
    Framed(Framer),
    /// The data of each HttpBody, one behind the other. There is no place for an error among them.
    Raw,
}

/// A streamed answer.
pub(super) struct Download {
    pub exchange: Arc<Exchange>,
    pub method: Arc<Method>,
    pub binding: Arc<Binding>,
    pub wishes: Wishes,
    pub replies: Option<Replies>,
    /// What the client still sends.
    pub upload: Option<Upload>,
    pub shape: Shape,
    /// A message that came before the status was sent.
    pub first: Option<Bytes>,
    pub request_id: Option<String>,
    pub deadline: Option<Pin<Box<Sleep>>>,
    pub silence: Option<Silence>,
    pub wants_trailers: bool,
    pub fault: Option<Fault>,
}

/// Watches for a stream that says nothing for too long.
pub(super) struct Silence {
    longest: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest, timer: Box::pin(tokio::time::sleep(longest)) }
    }

    fn broken(&mut self) {
        self.timer.as_mut().reset(Instant::now() + self.longest);
    }
}

/// What a look at the backend brought.
enum Step {
    /// The buffer may have grown.
    More,
    Ended,
    Failed(Fault),
}

impl LiveBody for Download {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if self.replies.is_none() {
            return Poll::Ready(None);
        }
        let mut out = Vec::new();
        let step = match self.poll_limits(cx) {
            Poll::Ready(fault) => Step::Failed(fault),
            Poll::Pending => self.gather(cx, &mut out),
        };
        match step {
            Step::More if out.is_empty() => {
                let beat = ready!(self.poll_silence(cx));
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(beat)))))
            }
            Step::More => {
                if let Some(silence) = &mut self.silence {
                    silence.broken();
                }
                Poll::Ready(Some(Ok(Frame::data(out.into()))))
            }
            Step::Ended => self.finish(out),
            Step::Failed(fault) => self.fail(fault, out),
        }
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }
}

impl Download {
    /// Sends what the client still sends, and ends the call where that can't be, or where its time is over.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(deadline_passed());
        }
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(sent) = upload.as_mut().poll(cx)
        {
            self.upload = None;
            if let Err(fault) = sent {
                return Poll::Ready(fault);
            }
        }
        Poll::Pending
    }

    /// Takes messages for as long as they are there and the piece is small.
    fn gather(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Step {
        if let Some(first) = self.first.take()
            && let Err(fault) = self.write(first, out)
        {
            return Step::Failed(fault);
        }
        while out.len() < PIECE {
            let Some(replies) = &mut self.replies else { return Step::Ended };
            match replies.poll_message(cx) {
                Poll::Pending => return Step::More,
                Poll::Ready(None) => return Step::Ended,
                Poll::Ready(Some(Err(fault))) => return Step::Failed(fault),
                Poll::Ready(Some(Ok(message))) => {
                    if let Err(fault) = self.write(message, out) {
                        return Step::Failed(fault);
                    }
                }
            }
        }
        Step::More
    }

    fn write(&mut self, message: Bytes, out: &mut Vec<u8>) -> Result<(), Fault> {
        match &mut self.shape {
            Shape::Framed(framer) => {
                let before = out.len();
                framer.begin(out);
                let style = self.exchange.settings.json;
                let written = write_reply(&self.binding, &message, style, &self.wishes, out);
                if written.is_err() {
                    framer.undo(out, before);
                }
                written?;
                framer.end(out);
            }
            Shape::Raw => {
                out.extend_from_slice(
                    &raw_reply(&self.method.output, self.binding.response_body, message)?.data,
                );
            }
        }
        Ok(())
    }

    /// A heartbeat, when it is time for one.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<&'static [u8]> {
        let (Some(silence), Shape::Framed(framer)) = (&mut self.silence, &self.shape) else {
            return Poll::Pending;
        };
        ready!(silence.timer.as_mut().poll(cx));
        silence.broken();
        // The timer is polled again with the next piece, which is asked for when this one is taken.
        framer.heartbeat().map_or(Poll::Pending, Poll::Ready)
    }

    fn finish(&mut self, mut out: Vec<u8>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        // What the client still sends is of no use to a backend that has said everything.
        self.upload = None;
        if let Shape::Framed(framer) = &mut self.shape {
            framer.finish(&mut out);
        }
        if !out.is_empty() {
            // The next poll finds nothing to write and ends the body, with trailers where they are wanted.
            self.shape = Shape::Raw;
            return Poll::Ready(Some(Ok(Frame::data(out.into()))));
        }
        let trailers = self.replies.take().map(|mut replies| replies.take_trailers()).unwrap_or_default();
        let trailers = metadata::into_response(trailers);
        Poll::Ready((self.wants_trailers && !trailers.is_empty()).then(|| Ok(Frame::trailers(trailers))))
    }

    fn fail(&mut self, fault: Fault, mut out: Vec<u8>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let fault = cancelled_in_time(fault, self.deadline.as_ref().map(|deadline| deadline.deadline()));
        // Dropping the reply's side abandons the call, if it isn't over.
        self.replies = None;
        self.upload = None;
        let piece = match &mut self.shape {
            Shape::Framed(framer) => {
                let schema = &self.method.output.set;
                let error = self.exchange.errors.element(&fault, self.request_id.as_deref(), Some(schema));
                framer.fail(&mut out, &error);
                Ok(Frame::data(out.into()))
            }
            Shape::Raw => Err(Aborted),
        };
        self.fault = Some(fault);
        Poll::Ready(Some(piece))
    }
}
