//! Answers that end at their deadline, though nobody asks for more of them: a client that does not read must not keep a
//! call for longer than it may take.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until};

use super::body::{Aborted, LiveBody, ReplyBody};
use crate::fault::Fault;

/// An answer whose call can be given up.
pub(super) trait Expire: LiveBody {
    /// Gives up the call, if it isn't over. The next piece tells of it.
    fn expire(&mut self);
}

/// The body that ends at `deadline`.
pub(super) fn in_time(body: impl Expire + 'static, deadline: Option<Instant>) -> ReplyBody {
    let Some(deadline) = deadline else { return ReplyBody::live(body) };
    let body = Arc::new(Mutex::new(body));
    let mut end = JoinSet::new();
    let late = Arc::clone(&body);
    end.spawn(async move {
        sleep_until(deadline).await;
        lock(&late).expire();
    });
    ReplyBody::live(InTime { body, sleep: Box::pin(sleep_until(deadline)), is_late: false, _end: end })
}

struct InTime<L> {
    body: Arc<Mutex<L>>,
    /// Wakes whoever waits for the answer.
    sleep: Pin<Box<Sleep>>,
    is_late: bool,
    /// Ends the call in time even if nobody polls the answer. Dropped with it.
    _end: JoinSet<()>,
}

fn lock<L>(body: &Mutex<L>) -> MutexGuard<'_, L> {
    body.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<L: Expire> LiveBody for InTime<L> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let mut body = lock(&self.body);
        // Before the answer, which may always have something to give.
        if !self.is_late && self.sleep.as_mut().poll(cx).is_ready() {
            self.is_late = true;
            body.expire();
        }
        body.poll_piece(cx)
    }

    fn take_fault(&mut self) -> Option<Fault> {
        lock(&self.body).take_fault()
    }
}
