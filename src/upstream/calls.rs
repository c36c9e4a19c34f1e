//! Calls to an upstream, from the first try to the last: unary ones, those that are answered by a stream, and those whose
//! messages pass as they come.
//!
//! While a call may have to be tried again its headers and its request are kept. Once a stream has begun to be answered,
//! or a unary call is, it is let go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::uri::PathAndQuery;
use tokio::time::{Instant, sleep, timeout_at};

use super::activity::Activity;
use super::call::{Replies, Reply, Sender};
use super::cluster::Cluster;
use super::dial::Purpose;
use super::incoming::Incoming;
use super::kept::Kept;
use super::retry::{Next, RetryPolicy, TRY_TIMED_OUT, Tried, Tries, Why};
use crate::fault::{Fault, Kind};
use crate::telemetry::RetryResult;

/// A call as it goes out.
pub struct Outgoing {
    /// `/package.Service/Method`.
    pub path: PathAndQuery,
    /// Metadata, and the headers that gRPC itself wants.
    pub headers: HeaderMap,
    /// The largest message that is accepted in reply, in bytes.
    pub max_reply: usize,
    /// When the call is over at the latest, for a call that nobody waits for any more.
    pub deadline: Option<Instant>,
    /// How it is tried again, where its failures may be by their code.
    pub retry: Option<Arc<RetryPolicy>>,
    /// Told how many tries were made, where anybody wants to know.
    pub attempts: Option<Arc<AtomicU32>>,
    /// Told of messages, where somebody wants to know when one went last.
    pub activity: Option<Arc<Activity>>,
}

/// What one try needs of its call.
pub(super) struct Try {
    pub(super) purpose: Purpose,
    pub(super) path: PathAndQuery,
    pub(super) headers: HeaderMap,
    /// When its call is over.
    pub(super) deadline: Option<Instant>,
    /// When it is over itself, where that is before its call is.
    pub(super) ends: Option<Instant>,
    pub(super) activity: Option<Arc<Activity>>,
}

impl Cluster {
    /// Calls a unary method. A reply of more than `whole` bytes is given as soon as it is known to be one.
    ///
    /// # Errors
    /// The backend's status, or what kept it from giving one.
    pub async fn unary(
        &self,
        worker: usize,
        call: Outgoing,
        message: Bytes,
        whole: usize,
    ) -> Result<Reply, Fault> {
        self.budget().called();
        let Outgoing { path, headers, max_reply, deadline, retry, attempts, .. } = call;
        let mut tries = Tries::new(retry, deadline);
        let kept =
            Kept::take(message.len()).map(|room| (path.clone(), headers.clone(), message.clone(), room));
        let ask = Ask { worker, max_reply, deadline, whole };
        let fault = match self.ask(ask, path, headers, message, &mut tries).await {
            Ok(reply) => return Ok(reply),
            Err(fault) => fault,
        };
        let Some((path, headers, message, _room)) = kept else {
            self.not_kept(&tries, &fault);
            return Err(fault);
        };
        let Some(pause) = self.next(&mut tries, &fault) else { return Err(fault) };
        // Boxed, so that the future of a call that goes well at once is no larger than it has to be.
        let again = async {
            let mut pause = pause;
            loop {
                sleep(pause).await;
                tell(attempts.as_deref(), &tries);
                let asked = self.ask(ask, path.clone(), headers.clone(), message.clone(), &mut tries).await;
                match asked {
                    Ok(reply) => {
                        self.stats().retry(RetryResult::Recovered);
                        break Ok(reply);
                    }
                    Err(fault) => match self.next(&mut tries, &fault) {
                        Some(next) => pause = next,
                        None => break Err(fault),
                    },
                }
            }
        };
        Box::pin(again).await
    }

    /// One try of a unary call.
    async fn ask(
        &self,
        ask: Ask,
        path: PathAndQuery,
        mut headers: HeaderMap,
        message: Bytes,
        tries: &mut Tries,
    ) -> Result<Reply, Fault> {
        let ends = tries.try_ends();
        tries.put(&mut headers, ends);
        let one =
            Try { purpose: Purpose::Unary, path, headers, deadline: ask.deadline, ends, activity: None };
        let Some(ends) = ends else {
            let (mut sender, reply) = self.open(ask.worker, one, &mut tries.tried).await?;
            sender.send_last(message);
            return Replies::new(reply, ask.max_reply).only_or_large(ask.whole).await;
        };
        let timed = async {
            let (mut sender, reply) = self.open(ask.worker, one, &mut tries.tried).await?;
            sender.send_last(message);
            Replies::new(reply, ask.max_reply).only_or_large(ask.whole).await
        };
        within(ends, timed).await
    }

    /// Calls a method that takes one message and is answered by any number of them.
    ///
    /// # Errors
    /// No connection.
    pub async fn replies(
        self: &Arc<Self>,
        worker: usize,
        call: Outgoing,
        message: Bytes,
    ) -> Result<Replies, Fault> {
        let max_reply = call.max_reply;
        let kept = Kept::take(message.len());
        let (mut sender, reply, mut again) = self.begin(Purpose::Streams, worker, call, kept).await?;
        if let Some(again) = &mut again {
            again.message = Some(message.clone());
        }
        sender.send_last(message);
        Ok(Replies::with_again(reply, max_reply, again))
    }

    /// Begins a call of a streaming method. It is tried elsewhere while no connection is found, and never again.
    ///
    /// # Errors
    /// No connection.
    pub async fn stream(&self, worker: usize, call: Outgoing) -> Result<(Sender, Replies), Fault> {
        self.budget().called();
        let Outgoing { path, headers, max_reply, deadline, activity, .. } = call;
        let one = Try { purpose: Purpose::Streams, path, headers, deadline, ends: None, activity };
        let (sender, reply) = self.open(worker, one, &mut Tried::new()).await?;
        Ok((sender, Replies::new(reply, max_reply)))
    }

    /// Begins a call whose messages pass as they come. `is_unary` says which of the connections it takes, `one_request`
    /// whether it takes one message, so that it may be tried again as long as that was kept.
    ///
    /// # Errors
    /// No connection.
    pub async fn pass(
        self: &Arc<Self>,
        worker: usize,
        call: Outgoing,
        is_unary: bool,
        one_request: bool,
    ) -> Result<(Sender, Incoming, Option<Box<Again>>), Fault> {
        let purpose = if is_unary { Purpose::Unary } else { Purpose::Streams };
        let kept = if one_request { Kept::take(0) } else { None };
        self.begin(purpose, worker, call, kept).await
    }

    /// Opens the first try, and further ones while that fails.
    async fn begin(
        self: &Arc<Self>,
        purpose: Purpose,
        worker: usize,
        call: Outgoing,
        kept: Option<Kept>,
    ) -> Result<(Sender, Incoming, Option<Box<Again>>), Fault> {
        self.budget().called();
        let Outgoing { path, mut headers, deadline, retry, attempts, activity, .. } = call;
        let mut tries = Tries::new(retry, deadline);
        let Some(kept) = kept else {
            let one = Try { purpose, path, headers, deadline, ends: None, activity };
            let (sender, reply) = self.open(worker, one, &mut tries.tried).await?;
            return Ok((sender, reply, None));
        };
        let ends = tries.try_ends();
        let mut again = Box::new(Again {
            cluster: Arc::clone(self),
            worker,
            purpose,
            path: path.clone(),
            headers: headers.clone(),
            message: None,
            deadline,
            ends,
            tries,
            kept,
            attempts,
            activity: activity.clone(),
        });
        again.tries.put(&mut headers, ends);
        let one = Try { purpose, path, headers, deadline, ends, activity };
        let (sender, reply) = match self.open(worker, one, &mut again.tries.tried).await {
            Ok(opened) => opened,
            Err(fault) => Box::pin(again.reopen(fault)).await?,
        };
        Ok((sender, reply, Some(again)))
    }

    /// How long to wait for a further try of a call that has failed, if there is one.
    fn next(&self, tries: &mut Tries, fault: &Fault) -> Option<Duration> {
        let others = self.has_others(&tries.tried);
        match tries.next(fault, others, Some(self.budget())) {
            Next::Again(pause) => {
                self.stats().retry(RetryResult::Tried);
                Some(pause)
            }
            Next::Stop(why) => {
                let result = match why {
                    Why::Final => return None,
                    Why::Exhausted => RetryResult::Exhausted,
                    Why::PushedBack => RetryResult::PushedBack,
                    Why::NoBudget => RetryResult::NoBudget,
                    Why::NoTime => RetryResult::NoTime,
                };
                self.stats().retry(result);
                None
            }
        }
    }

    fn not_kept(&self, tries: &Tries, fault: &Fault) {
        if tries.would_retry(fault) {
            self.stats().retry(RetryResult::NotKept);
        }
    }
}

/// What all tries of a unary call have in common.
#[derive(Clone, Copy)]
struct Ask {
    worker: usize,
    max_reply: usize,
    deadline: Option<Instant>,
    whole: usize,
}

fn tell(attempts: Option<&AtomicU32>, tries: &Tries) {
    if let Some(attempts) = attempts {
        attempts.store(tries.made(), Ordering::Relaxed);
    }
}

/// Waits for the answer to a try that is over at `ends`. Boxed, since hardly any call has such tries.
///
/// # Errors
/// Those of `answer`, and that it took too long.
pub async fn within<T>(ends: Instant, answer: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let late = || Fault::new(Kind::Deadline, TRY_TIMED_OUT, "the backend took longer than a try may");
    Box::pin(timeout_at(ends, answer)).await.unwrap_or_else(|_| Err(late()))
}

/// What a call needs to be tried again, until it is committed to the answer that it has.
pub struct Again {
    cluster: Arc<Cluster>,
    worker: usize,
    purpose: Purpose,
    path: PathAndQuery,
    headers: HeaderMap,
    /// The request, where it is known as a whole.
    message: Option<Bytes>,
    deadline: Option<Instant>,
    /// When the try under way is over.
    ends: Option<Instant>,
    tries: Tries,
    kept: Kept,
    attempts: Option<Arc<AtomicU32>>,
    activity: Option<Arc<Activity>>,
}

impl Again {
    /// Takes room for more of the request, which whoever sends it keeps. False: it can't be sent again.
    pub fn keep(&mut self, bytes: usize) -> bool {
        self.kept.grow(bytes)
    }

    /// When the try under way is over, where that is before its call is.
    #[must_use]
    pub fn ends(&self) -> Option<Instant> {
        self.ends
    }

    /// Makes the next try of a call that has failed so.
    ///
    /// # Errors
    /// The failure that it stays with: there is no further try, or the last one found no connection.
    pub async fn reopen(&mut self, mut fault: Fault) -> Result<(Sender, Incoming), Fault> {
        loop {
            let Some(pause) = self.cluster.next(&mut self.tries, &fault) else { return Err(fault) };
            tell(self.attempts.as_deref(), &self.tries);
            if !pause.is_zero() {
                sleep(pause).await;
            }
            self.ends = self.tries.try_ends();
            let mut headers = self.headers.clone();
            self.tries.put(&mut headers, self.ends);
            let one = Try {
                purpose: self.purpose,
                path: self.path.clone(),
                headers,
                deadline: self.deadline,
                ends: self.ends,
                activity: self.activity.clone(),
            };
            match self.cluster.open(self.worker, one, &mut self.tries.tried).await {
                Ok((mut sender, reply)) => {
                    if let Some(message) = &self.message {
                        sender.send_last(message.clone());
                    }
                    return Ok((sender, reply));
                }
                Err(next) => fault = next,
            }
        }
    }

    /// The call has its answer, and is not tried again.
    pub fn commit(self: Box<Self>) {
        if self.tries.made() > 1 {
            self.cluster.stats().retry(RetryResult::Recovered);
        }
    }
}
