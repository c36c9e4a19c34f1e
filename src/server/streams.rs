//! The streams of an HTTP/2 connection as tasks, each of which ends when its client takes nothing of its answer.
//!
//! A connection that takes nothing at all is found out by [`super::watch`]; here it is one stream, whose window its client
//! leaves shut while the others go on.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tracing::debug;

use super::watch::Watch;

/// The largest piece that is handed over at once: so much has to be taken within the time-out, in bytes.
pub(super) const SLICE: usize = 64 << 10;

thread_local! {
    /// What the body said that was polled last on this thread.
    static SAID: Cell<Said> = const { Cell::new(Said::Nothing) };
}

/// What a body says when it is asked for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It was not asked.
    Nothing,
    /// Here is a piece. It is asked again once there is room for another one.
    Piece,
    /// There is none yet.
    Wait,
}

/// Tells the task that polls this body what it said.
pub(super) fn say(said: Said) {
    SAID.set(said);
}

/// Runs streams.
#[derive(Clone)]
pub(super) struct Streams {
    patience: Option<Duration>,
    watch: Arc<Watch>,
}

impl Streams {
    /// Without `patience` streams may wait for their clients for ever.
    pub(super) fn new(patience: Option<Duration>, watch: Arc<Watch>) -> Self {
        Self { patience, watch }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, stream: F) {
        // Boxed, since a task's beginning and end move all that is in it.
        let stream = Box::pin(stream);
        match self.patience {
            None => drop(tokio::spawn(stream)),
            Some(patience) => {
                let watch = Arc::clone(&self.watch);
                drop(tokio::spawn(Patient { stream, patience, watch, wait: None }));
            }
        }
    }
}

pin_project! {
    struct Patient<F> {
        #[pin]
        stream: F,
        patience: Duration,
        watch: Arc<Watch>,
        // There while the client is to take a piece.
        wait: Option<Wait>,
    }
}

struct Wait {
    timer: Pin<Box<Sleep>>,
    /// How often the connection itself had been blocked when the wait began.
    blocks: u64,
}

impl<F: Future> Future for Patient<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        say(Said::Nothing);
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match SAID.replace(Said::Nothing) {
            Said::Nothing => {}
            Said::Wait => *this.wait = None,
            Said::Piece => {
                let blocks = this.watch.blocks();
                match this.wait {
                    Some(wait) => {
                        wait.timer.as_mut().reset(Instant::now() + *this.patience);
                        wait.blocks = blocks;
                    }
                    None => *this.wait = Some(Wait { timer: Box::pin(sleep(*this.patience)), blocks }),
                }
            }
        }
        let Some(wait) = this.wait else { return Poll::Pending };
        loop {
            ready!(wait.timer.as_mut().poll(cx));
            let blocks = this.watch.blocks();
            if !this.watch.is_blocked() && blocks == wait.blocks {
                debug!("a client takes nothing of an answer; its stream is reset");
                // Dropping a stream in the middle resets it.
                return Poll::Ready(());
            }
            // The way to the client was the narrow place, not its window.
            wait.blocks = blocks;
            wait.timer.as_mut().reset(Instant::now() + *this.patience);
        }
    }
}
