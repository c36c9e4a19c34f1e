//! One endpoint of an upstream as all workers see it, and the account that is kept of a call to it.
//!
//! Every call is told to its member once: when it begins, and how it ended, wherever that shows — in a head, in trailers
//! behind a long stream, in a reset, or in that nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::breaker::Verdict;
use super::guard::Guard;
use super::load::Load;
use super::settings::Endpoint;
use super::standing::{Refused, Standing, Tickets};
use crate::fault::Code;

/// One endpoint. It holds no connection: those belong to the workers, and end with the last of their calls.
pub(super) struct Member {
    pub(super) endpoint: Endpoint,
    weight: AtomicU32,
    pub(super) load: Load,
    pub(super) standing: Standing,
    warmth: Warmth,
}

/// How far a member that joined others has come towards a part like theirs.
struct Warmth {
    born: Instant,
    /// How long it takes; zero for at once.
    over: Duration,
    /// When it began, in nanoseconds since `born`; [`WARM`] where it is over.
    from: AtomicU64,
}

const WARM: u64 = u64::MAX;
/// What it begins with: without any calls a member would not get warm.
const COLD: f64 = 0.1;

impl Member {
    /// One that is as warm as the others. It takes `warm_up` once it is told to begin anew.
    pub(super) fn new(
        endpoint: Endpoint,
        weight: u32,
        now: Instant,
        warm_up: Duration,
        guard: &Arc<Guard>,
    ) -> Self {
        Self {
            standing: Standing::new(Arc::clone(guard), &endpoint.address.to_string()),
            endpoint,
            weight: AtomicU32::new(weight.max(1)),
            load: Load::new(now),
            warmth: Warmth { born: now, over: warm_up, from: AtomicU64::new(WARM) },
        }
    }

    /// From `now` on it gets its part of the calls by and by: it has just come, or come back.
    pub(super) fn warm_up(&self, now: Instant) {
        if !self.warmth.over.is_zero() {
            let since = now.saturating_duration_since(self.warmth.born);
            self.warmth.from.store(u64::try_from(since.as_nanos()).unwrap_or(WARM), Ordering::Relaxed);
        }
    }

    /// Which share of its part it gets: 1 but for members that warm up.
    pub(super) fn share(&self, now: Instant) -> f64 {
        let Warmth { born, over, from } = &self.warmth;
        let since = from.load(Ordering::Relaxed);
        if since == WARM {
            return 1.0;
        }
        let elapsed = now.saturating_duration_since(*born).saturating_sub(Duration::from_nanos(since));
        if elapsed >= *over {
            // Unless it has begun anew meanwhile.
            let _ = from.compare_exchange(since, WARM, Ordering::Relaxed, Ordering::Relaxed);
            return 1.0;
        }
        (elapsed.as_secs_f64() / over.as_secs_f64()).max(COLD)
    }

    /// Another one for each member of a cluster, those that are gone included.
    pub(super) fn id(&self) -> u64 {
        self.standing.id()
    }

    /// Whether it is among those that calls go to.
    pub(super) fn takes_calls(&self) -> bool {
        self.standing.takes_calls() && !self.is_full()
    }

    /// Whether as many calls are under way at it as may be.
    pub(super) fn is_full(&self) -> bool {
        self.standing.max_requests().is_some_and(|most| self.load.under_way() >= most)
    }

    /// Its part of the calls, as against others'. At least 1.
    pub(super) fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Gives it another weight, and says whether it had one. A set that was made before goes on with the old one.
    pub(super) fn weigh(&self, weight: u32) -> bool {
        self.weight.swap(weight.max(1), Ordering::Relaxed) != weight.max(1)
    }
}

/// How a call ended, as far as its member is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    /// The member's own status, other than OK, in head or trailers.
    Status(Code),
    /// What came is no gRPC: an HTTP error, another content type, no status, broken frames.
    NotGrpc,
    /// It reset the call.
    Reset(h2::Reason),
    /// The connection was lost with the call on it.
    Lost,
    /// It said that it has not begun with the call and won't, because it ends the connection (GOAWAY), or the connection
    /// was lost before anything of the call was written.
    TakenBack,
    /// There was no connection, so nothing was sent.
    Unreachable,
    /// Its time was over before it ended.
    TimedOut,
    /// One try took longer than a try may, though the call has time left.
    TryTimedOut,
    /// Whoever made the call has no use for it any more.
    Abandoned,
}

/// Whoever gives a call less time than this learns nothing of the member when it runs out: otherwise a client could have
/// members ejected by asking for answers in no time.
const PATIENCE: Duration = Duration::from_secs(1);

impl Outcome {
    /// What the end of a call says of its member. What callers did wrong is an answer like any other.
    /// It took so long; `answered` says whether it is a stream whose answer had begun.
    pub(super) fn verdict(self, took: Duration, answered: bool) -> Verdict {
        let out_of_time = || if took >= PATIENCE { Verdict::Failure } else { Verdict::Neutral };
        match self {
            Self::Ok => Verdict::Success,
            Self::Status(code) => match code {
                Code::Unknown | Code::Internal | Code::Unavailable | Code::DataLoss => Verdict::Failure,
                Code::DeadlineExceeded => out_of_time(),
                Code::Cancelled => Verdict::Neutral,
                Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::ResourceExhausted
                | Code::FailedPrecondition
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unimplemented
                | Code::Unauthenticated => Verdict::Success,
            },
            Self::NotGrpc | Self::Lost | Self::Unreachable | Self::TryTimedOut => Verdict::Failure,
            // A stream may last until its client has enough of it.
            Self::TimedOut if answered => Verdict::Neutral,
            Self::TimedOut => out_of_time(),
            Self::Reset(h2::Reason::CANCEL | h2::Reason::NO_ERROR | h2::Reason::ENHANCE_YOUR_CALM) => {
                Verdict::Neutral
            }
            Self::Reset(_) => Verdict::Failure,
            // How a server goes about its end, or that of one connection.
            Self::TakenBack | Self::Abandoned => Verdict::Neutral,
        }
    }
}

/// Up to where a call's time says how quick its member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timed {
    /// One answer, taken as a whole.
    ToEnd,
    /// A stream lasts as long as it has to; what counts is when it began to be answered.
    ToHead,
}

/// When a try of a call began, and when it is over at the latest.
#[derive(Debug, Clone, Copy)]
pub(super) struct TryTime {
    pub(super) began: Instant,
    /// With its call.
    pub(super) call: Option<Instant>,
    /// By itself, where that is before its call is over.
    pub(super) own: Option<Instant>,
}

/// A call under way at a member, from the choice of the member to the end of the call. Dropped without an end, it was
/// given up: [`Outcome::TimedOut`] where its time was over, [`Outcome::Abandoned`] otherwise.
pub(super) struct Underway {
    member: Arc<Member>,
    time: TryTime,
    timed: Timed,
    /// Whether it is a stream whose answer has begun.
    answered: bool,
    tickets: Tickets,
    is_over: bool,
}

impl Underway {
    /// # Errors
    /// A circuit breaker is open.
    pub(super) fn begin(member: Arc<Member>, timed: Timed, time: TryTime) -> Result<Self, Refused> {
        let tickets = member.standing.admit()?;
        member.load.enter();
        Ok(Self { member, time, timed, answered: false, tickets, is_over: false })
    }

    pub(super) fn began(&self) -> Instant {
        self.time.began
    }

    /// The head of an answer is there.
    pub(super) fn answered(&mut self) {
        if self.timed == Timed::ToHead {
            let now = Instant::now();
            self.member.load.observe(now, now.duration_since(self.time.began), false);
            self.answered = true;
        }
    }

    /// The call is over. Only the first word counts.
    pub(super) fn ended(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let now = Instant::now();
        let took = now.duration_since(self.time.began);
        let Member { load, standing, .. } = &*self.member;
        load.leave();
        let verdict = outcome.verdict(took, self.answered);
        let failed = verdict == Verdict::Failure;
        if failed || (self.timed == Timed::ToEnd && outcome != Outcome::Abandoned) {
            load.observe(now, took, failed);
        }
        standing.record(self.tickets, verdict);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let is_late = |end: Option<Instant>| end.is_some_and(|end| end <= Instant::now());
        self.ended(if is_late(self.time.call) {
            Outcome::TimedOut
        } else if is_late(self.time.own) {
            Outcome::TryTimedOut
        } else {
            Outcome::Abandoned
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::upstream::Address;

    fn member() -> Arc<Member> {
        let authority = http::uri::Authority::from_static("10.0.0.1:1");
        let address = Address::Host(authority.host().to_owned(), 1);
        let endpoint = Endpoint { authority, address };
        Arc::new(Member::new(endpoint, 1, Instant::now(), Duration::from_secs(30), &Guard::plain("u")))
    }

    fn begin(member: &Arc<Member>, timed: Timed, deadline: Option<Instant>) -> Underway {
        let time = TryTime { began: Instant::now(), call: deadline, own: None };
        Underway::begin(Arc::clone(member), timed, time).ok().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_counts_once_from_its_beginning_to_its_end() {
        let member = member();
        let mut call = begin(&member, Timed::ToEnd, None);
        assert_eq!(member.load.under_way(), 1);
        call.ended(Outcome::Ok);
        call.ended(Outcome::Lost);
        assert_eq!(member.load.under_way(), 0);
        drop(call);
        assert_eq!(member.load.under_way(), 0);
        drop(begin(&member, Timed::ToHead, None));
        assert_eq!(member.load.under_way(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_timed_of_a_stream_is_its_head() {
        let member = member();
        let mut stream = begin(&member, Timed::ToHead, None);
        advance(Duration::from_millis(5)).await;
        stream.answered();
        assert_eq!(member.load.latency(Instant::now()), Duration::from_millis(5));
        advance(Duration::from_millis(50)).await;
        stream.ended(Outcome::Ok);
        assert!(member.load.latency(Instant::now()) <= Duration::from_millis(5));
        let mut unary = begin(&member, Timed::ToEnd, None);
        unary.answered();
        advance(Duration::from_millis(70)).await;
        unary.ended(Outcome::Status(Code::NotFound));
        assert_eq!(member.load.latency(Instant::now()), Duration::from_millis(70));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_when_its_time_is_over_tells_how_long_it_took() {
        let member = member();
        let deadline = Instant::now() + Duration::from_secs(2);
        drop(begin(&member, Timed::ToEnd, Some(deadline)));
        assert_eq!(member.load.latency(Instant::now()), Duration::ZERO);
        let call = begin(&member, Timed::ToEnd, Some(deadline));
        advance(Duration::from_secs(2)).await;
        drop(call);
        assert_eq!(member.load.latency(Instant::now()), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_warms_up_by_and_by_and_again_when_it_is_told_so() {
        let member = member();
        let share = || (member.share(Instant::now()) * 100.0).round();
        assert_eq!(share(), 100.0);
        for _ in 0..2 {
            member.warm_up(Instant::now());
            for (after, want) in
                [(0, 10.0), (2, 10.0), (4, 20.0), (9, 50.0), (14, 97.0), (1, 100.0), (99, 100.0)]
            {
                advance(Duration::from_secs(after)).await;
                assert_eq!(share(), want, "after {after} s more");
            }
        }
    }
}
