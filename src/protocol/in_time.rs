//! Answers that end at their deadline, or with their caller's rights, though nobody asks for more of them: a client that does
//! not read must not keep a call for longer than it may take.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Frame;
use tokio::task::JoinSet;

use super::body::{Aborted, LiveBody, ReplyBody};
use crate::fault::Fault;
use crate::policy::TimeLimit;

/// An answer whose call can be given up.
pub(super) trait Expire: LiveBody {
    /// Gives up the call, if it isn't over. The next piece tells of it.
    fn expire(&mut self);
}

/// The body that ends with what limits its call.
pub(super) fn in_time(body: impl Expire + 'static, limit: &TimeLimit) -> ReplyBody {
    let Some(over) = limit.over() else { return ReplyBody::live(body) };
    let shared = Arc::new(Mutex::new(Shared { body, waiting: None }));
    let mut end = JoinSet::new();
    let late = Arc::clone(&shared);
    end.spawn(async move {
        over.await;
        let waiting = {
            let mut late = lock(&late);
            late.body.expire();
            late.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    });
    ReplyBody::live(InTime { shared, _end: end })
}

struct InTime<L> {
    shared: Arc<Mutex<Shared<L>>>,
    /// Ends the call in time even if nobody polls the answer. Dropped with it.
    _end: JoinSet<()>,
}

struct Shared<L> {
    body: L,
    /// Whoever waits for the answer.
    waiting: Option<Waker>,
}

fn lock<L>(shared: &Mutex<Shared<L>>) -> MutexGuard<'_, Shared<L>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<L: Expire> LiveBody for InTime<L> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let mut shared = lock(&self.shared);
        let polled = shared.body.poll_piece(cx);
        if polled.is_pending()
            && !shared.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(cx.waker()))
        {
            shared.waiting = Some(cx.waker().clone());
        }
        polled
    }

    fn take_fault(&mut self) -> Option<Fault> {
        lock(&self.shared).body.take_fault()
    }
}
