//! When a piece of a streamed answer is handed over, and when a sign of life is due.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Watches for a stream that says nothing for too long.
pub(in crate::protocol) struct Silence {
    longest: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    pub(in crate::protocol) fn new(longest: Duration) -> Self {
        Self { longest, timer: Box::pin(tokio::time::sleep(longest)) }
    }

    /// Ready when nothing was said for too long, which counts as said then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.timer.as_mut().poll(cx));
        self.broken();
        Poll::Ready(())
    }

    /// Something was said.
    pub(super) fn broken(&mut self) {
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
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, there: usize) -> Poll<()> {
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
    pub(super) fn holds(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(self.wait, Some(Wait::Burst(_))) && self.poll(cx, 0).is_pending()
    }

    /// A piece was handed over.
    pub(super) fn over(&mut self) {
        self.wait = None;
        self.last = Some(Instant::now());
    }
}
