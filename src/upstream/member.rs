//! One endpoint of an upstream as all workers see it, and the account that is kept of a call to it.
//!
//! Every call is told to its member once: when it begins, and how it ended, wherever that shows — in a head, in trailers
//! behind a long stream, in a reset, or in that nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::load::Load;
use super::settings::Endpoint;
use super::standing::Standing;
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
    pub(super) fn new(endpoint: Endpoint, weight: u32, now: Instant, warm_up: Duration) -> Self {
        Self {
            endpoint,
            weight: AtomicU32::new(weight.max(1)),
            load: Load::new(now),
            standing: Standing,
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
    /// The connection was lost, or taken back, with the call on it.
    Lost,
    /// There was no connection, so nothing was sent.
    Unreachable,
    /// Its time was over before it ended.
    TimedOut,
    /// Whoever made the call has no use for it any more.
    Abandoned,
}

impl Outcome {
    /// Whether it speaks against the member. What the callers did wrong does not, nor what any other member would have
    /// answered as well.
    pub(super) fn is_failure(self) -> bool {
        match self {
            Self::Ok | Self::Abandoned => false,
            Self::Status(code) => match code {
                Code::Unknown
                | Code::DeadlineExceeded
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss => true,
                Code::Cancelled
                | Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::ResourceExhausted
                | Code::FailedPrecondition
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unimplemented
                | Code::Unauthenticated => false,
            },
            Self::NotGrpc | Self::Lost | Self::Unreachable | Self::TimedOut => true,
            // The member's own way to say that the caller has left.
            Self::Reset(reason) => reason != h2::Reason::CANCEL && reason != h2::Reason::NO_ERROR,
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

/// A call under way at a member, from the choice of the member to the end of the call. Dropped without an end, it was
/// given up: [`Outcome::TimedOut`] where its time was over, [`Outcome::Abandoned`] otherwise.
pub(super) struct Underway {
    member: Arc<Member>,
    began: Instant,
    deadline: Option<Instant>,
    timed: Timed,
    is_over: bool,
}

impl Underway {
    pub(super) fn begin(member: Arc<Member>, timed: Timed, now: Instant, deadline: Option<Instant>) -> Self {
        member.load.enter();
        Self { member, began: now, deadline, timed, is_over: false }
    }

    #[expect(dead_code, reason = "for a further try elsewhere")]
    pub(super) fn member(&self) -> &Arc<Member> {
        &self.member
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// The head of an answer is there.
    pub(super) fn answered(&mut self) {
        if self.timed == Timed::ToHead {
            let now = Instant::now();
            self.member.load.observe(now, now.duration_since(self.began), false);
        }
    }

    /// The call is over. Only the first word counts.
    pub(super) fn ended(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let now = Instant::now();
        let took = now.duration_since(self.began);
        let Member { load, standing, .. } = &*self.member;
        load.leave();
        let failed = outcome.is_failure();
        if failed || (self.timed == Timed::ToEnd && outcome != Outcome::Abandoned) {
            load.observe(now, took, failed);
        }
        standing.record(outcome, took);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let is_late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        self.ended(if is_late { Outcome::TimedOut } else { Outcome::Abandoned });
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
        Arc::new(Member::new(endpoint, 1, Instant::now(), Duration::from_secs(30)))
    }

    fn begin(member: &Arc<Member>, timed: Timed, deadline: Option<Instant>) -> Underway {
        Underway::begin(Arc::clone(member), timed, Instant::now(), deadline)
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
