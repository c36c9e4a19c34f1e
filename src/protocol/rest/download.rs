//! The answer's side of a server stream: messages become pieces of a body, as fast as the client takes them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until};

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
const PIECE: usize = 32 << 10;

/// Messages that are read at one go. Some add nothing to a piece (a raw body without data), and what else the worker has to
/// do must not wait until a backend has sent the last of them.
const TURN: usize = 1024;

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
    pub ways: Arc<Mutex<Ways>>,
    /// All of the answer was given, but perhaps trailers.
    pub over: bool,
    pub shape: Shape,
    pub request_id: Option<String>,
    pub deadline: Option<Deadline>,
    pub silence: Option<Silence>,
    pub wants_trailers: bool,
    pub fault: Option<Fault>,
    /// The piece that is being put together.
    pub out: Vec<u8>,
    pub pause: Pause,
}

/// The two directions of the call.
pub(super) struct Ways {
    /// None once it is over.
    pub replies: Option<Replies>,
    /// What the client still sends.
    pub upload: Option<Upload>,
}

impl Ways {
    /// Ends the call. Dropping the reply's side abandons it, if it isn't over.
    fn end(&mut self) {
        self.replies = None;
        self.upload = None;
    }
}

fn lock(ways: &Mutex<Ways>) -> MutexGuard<'_, Ways> {
    ways.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When the answer has to be whole.
pub(super) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    /// Ends the call in time even if nobody polls the answer, since its client does not read. Dropped with it.
    _end: JoinSet<()>,
}

impl Deadline {
    pub(super) fn new(at: Instant, ways: &Arc<Mutex<Ways>>) -> Self {
        let ways = Arc::clone(ways);
        let mut end = JoinSet::new();
        end.spawn(async move {
            sleep_until(at).await;
            lock(&ways).end();
        });
        Self { sleep: Box::pin(sleep_until(at)), _end: end }
    }
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

/// Tells whether the backend pauses, or is only about to send the next message of many.
///
/// A first message, and one after a while, waits for one turn of the scheduler, which looks at the sockets. In a burst each
/// message would cost a read of its own, a write of its own, and the client's read; there a pause is a millisecond.
#[derive(Default)]
pub(super) struct Pause {
    wait: Option<Wait>,
    /// When something was handed over last.
    last: Option<Instant>,
}

enum Wait {
    /// And how much there was to send when it began.
    Turn(Pin<Box<dyn Future<Output = ()> + Send>>, usize),
    Burst(Pin<Box<Sleep>>),
    /// The pause of a burst is over; what came meanwhile is to be taken along.
    Due,
}

/// What comes this soon after the last piece belongs to a burst.
const BURST: Duration = Duration::from_millis(2);
const BURST_PAUSE: Duration = Duration::from_millis(1);

impl Pause {
    /// Ready when it is time to hand over what is there.
    fn poll(&mut self, cx: &mut Context<'_>, there: usize) -> Poll<()> {
        loop {
            match &mut self.wait {
                None => {
                    let now = Instant::now();
                    let in_burst = self.last.is_some_and(|last| now < last + BURST);
                    self.wait = Some(if in_burst {
                        Wait::Burst(Box::pin(tokio::time::sleep_until(now + BURST_PAUSE)))
                    } else {
                        Wait::Turn(Box::pin(tokio::task::yield_now()), there)
                    });
                }
                Some(Wait::Burst(sleep)) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.wait = Some(Wait::Due);
                }
                Some(Wait::Due) => return Poll::Ready(()),
                Some(Wait::Turn(turn, seen)) => {
                    ready!(turn.as_mut().poll(cx));
                    if *seen == there {
                        return Poll::Ready(());
                    }
                    self.wait = None;
                }
            }
        }
    }

    /// Whether a burst is to be left alone for now, so that its messages wake nobody one by one.
    fn holds(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(self.wait, Some(Wait::Burst(_))) && self.poll(cx, 0).is_pending()
    }

    fn over(&mut self) {
        self.wait = None;
        self.last = Some(Instant::now());
    }
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

impl LiveBody for Download {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let step = match self.poll_limits(cx) {
            Poll::Ready(fault) => Step::Failed(fault),
            Poll::Pending if self.pause.holds(cx) => return Poll::Pending,
            Poll::Pending => self.gather(cx),
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

impl Download {
    /// Sends what the client still sends, and ends the call where that can't be, or where its time is over.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        if let Some(deadline) = &mut self.deadline
            && deadline.sleep.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(deadline_passed());
        }
        let mut ways = lock(&self.ways);
        if let Some(upload) = &mut ways.upload
            && let Poll::Ready(sent) = upload.as_mut().poll(cx)
        {
            ways.upload = None;
            if let Err(fault) = sent {
                return Poll::Ready(fault);
            }
        }
        Poll::Pending
    }

    /// Takes messages for as long as they are there, the piece is small, and its turn lasts.
    fn gather(&mut self, cx: &mut Context<'_>) -> Step {
        for _ in 0..TURN {
            if self.out.len() >= PIECE {
                return Step::Full;
            }
            let polled = match &mut lock(&self.ways).replies {
                Some(replies) => replies.poll_message(cx),
                None => return Step::Failed(deadline_passed()),
            };
            match polled {
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
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    /// Adds one message to the piece.
    ///
    /// # Errors
    /// A message that its own schema can't read.
    pub(super) fn write(&mut self, message: Bytes) -> Result<(), Fault> {
        let out = &mut self.out;
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

    fn finish(&mut self) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        // What the client still sends is of no use to a backend that has said everything.
        lock(&self.ways).upload = None;
        if let Shape::Framed(framer) = &mut self.shape {
            framer.finish(&mut self.out);
        }
        if !self.out.is_empty() {
            // The next poll finds nothing to write and ends the body, with trailers where they are wanted.
            self.shape = Shape::Raw;
            return self.hand_over();
        }
        self.over = true;
        let replies = lock(&self.ways).replies.take();
        let trailers = replies.map(|mut replies| replies.take_trailers()).unwrap_or_default();
        let trailers = metadata::into_response(trailers);
        Poll::Ready((self.wants_trailers && !trailers.is_empty()).then(|| Ok(Frame::trailers(trailers))))
    }

    fn fail(&mut self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let deadline = self.deadline.as_ref().map(|deadline| deadline.sleep.deadline());
        let fault = cancelled_in_time(fault, deadline);
        self.over = true;
        lock(&self.ways).end();
        let piece = match &mut self.shape {
            Shape::Framed(framer) => {
                let schema = &self.method.output.set;
                let error = self.exchange.errors.element(&fault, self.request_id.as_deref(), Some(schema));
                framer.fail(&mut self.out, &error);
                Ok(Frame::data(std::mem::take(&mut self.out).into()))
            }
            Shape::Raw => Err(Aborted),
        };
        self.fault = Some(fault);
        Poll::Ready(Some(piece))
    }
}
