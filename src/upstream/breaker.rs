//! A circuit breaker: calls to what has failed too often are refused at once, until a few probe calls have gone well.
//!
//! - *Closed*: calls pass and are counted. `consecutive` failures in a row open it, and so does a share of `failures` per
//!   cent of at least `min_calls` within `window`.
//! - *Open*: calls are refused for `open` the first time, twice as long each time it opens again, up to `max_open`. It opens
//!   *again* if a probe has failed, or if it has been closed for less than `max_open` since.
//! - *Half-open*: `probes` calls pass, all others are refused. Once all of them have gone well it closes and forgets what it
//!   has counted; the first that fails opens it again. One that says nothing of the backend gives its place to the next. If
//!   probes are not over after as long as it was open, others may try.
//!
//! Calls that began before it opened change nothing any more when they end. One breaker is seen by all workers; while it
//! is closed it costs a call one load.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::clock::{Clock, doubled, millis};
use super::window::Window;

/// When a breaker opens, and how it closes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub consecutive: Option<u32>,
    /// The share of failures that opens it.
    pub rate: Option<FailureRate>,
    /// How long it is open the first time.
    pub open: Duration,
    /// The longest that it is open.
    pub max_open: Duration,
    /// Calls that have to go well to close it; at least one.
    pub probes: u16,
}

/// A share of failures among enough calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FailureRate {
    /// From 1 to 100.
    pub percent: u8,
    /// Fewer say nothing; at least one.
    pub min_calls: u32,
    pub window: Duration,
}

impl FailureRate {
    pub const DEFAULT_MIN_CALLS: u32 = 20;
    pub const DEFAULT_WINDOW: Duration = Duration::from_secs(10);
}

impl BreakerSettings {
    pub const DEFAULT_CONSECUTIVE: u32 = 10;
    pub const DEFAULT_OPEN: Duration = Duration::from_secs(1);
    pub const DEFAULT_MAX_OPEN: Duration = Duration::from_secs(60);
    pub const DEFAULT_PROBES: u16 = 3;
}

/// What a call that has ended says about the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    Failure,
    /// Nothing: the client left, or the call failed for a reason of its own.
    Neutral,
}

/// What a breaker says to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Pass(Ticket),
    /// It is open for so long still.
    Refused(Duration),
}

/// What a call hands back when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticket {
    Plain,
    /// A probe, of the time that began at this moment.
    Probe(u64),
}

/// The three states, for metrics and the admin address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

impl BreakerState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// What a verdict has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Opened,
    Closed,
}

pub(super) struct Breaker {
    settings: BreakerSettings,
    clock: Clock,
    /// 0 while it is closed. Otherwise the moment at which the time for probes begins.
    until: AtomicU64,
    /// Of that time: in the upper half how many have gone well, in the lower half how many have begun.
    probes: AtomicU32,
    streak: AtomicU32,
    window: Option<(FailureRate, Window)>,
    /// How often it has opened in a row.
    openings: AtomicU32,
    /// When it closed last.
    closed_at: AtomicU64,
}

const ONE_WELL: u32 = 1 << 16;
const BEGUN: u32 = ONE_WELL - 1;

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            clock: Clock::new(),
            until: AtomicU64::new(0),
            probes: AtomicU32::new(0),
            streak: AtomicU32::new(0),
            window: settings.rate.map(|rate| (rate, Window::new(rate.window))),
            openings: AtomicU32::new(0),
            closed_at: AtomicU64::new(0),
        }
    }

    /// Asks for a call. What it gives goes back with [`Breaker::record`].
    pub(super) fn admit(&self) -> Admission {
        match self.until.load(Ordering::Acquire) {
            0 => Admission::Pass(Ticket::Plain),
            until => self.admit_slowly(until),
        }
    }

    /// Whether [`Breaker::admit`] would let a call pass.
    pub(super) fn would_admit(&self) -> bool {
        match self.until.load(Ordering::Acquire) {
            0 => true,
            until => {
                let now = self.clock.now();
                now >= until && (self.has_place() || now >= until.saturating_add(self.open_time()))
            }
        }
    }

    /// How long calls are refused still; `None` where they are not.
    pub(super) fn left(&self) -> Option<Duration> {
        match self.until.load(Ordering::Acquire) {
            0 => None,
            _ if self.would_admit() => None,
            until => Some(Duration::from_millis(until.saturating_sub(self.clock.now()).max(1))),
        }
    }

    fn has_place(&self) -> bool {
        self.probes.load(Ordering::Relaxed) & BEGUN < u32::from(self.settings.probes)
    }

    #[cold]
    fn admit_slowly(&self, until: u64) -> Admission {
        let now = self.clock.now();
        if now < until {
            return Admission::Refused(Duration::from_millis(until - now));
        }
        let mut of = until;
        let patience = until.saturating_add(self.open_time());
        if now >= patience && !self.has_place() {
            // The probes of this time say nothing; whoever is first begins another one.
            match self.until.compare_exchange(until, now, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    self.probes.store(0, Ordering::Release);
                    of = now;
                }
                Err(0) => return Admission::Pass(Ticket::Plain),
                Err(other) => of = other,
            }
        }
        let most = u32::from(self.settings.probes);
        let begin = |probes: u32| (probes & BEGUN < most).then(|| probes + 1);
        match self.probes.fetch_update(Ordering::AcqRel, Ordering::Acquire, begin) {
            Ok(_) => Admission::Pass(Ticket::Probe(of)),
            // Nobody knows when the probes are over.
            Err(_) => Admission::Refused(Duration::from_millis(patience.saturating_sub(now).clamp(1, 1000))),
        }
    }

    /// A call that was admitted has ended.
    pub(super) fn record(&self, ticket: Ticket, verdict: Verdict) -> Change {
        match ticket {
            Ticket::Plain => self.record_plain(verdict),
            Ticket::Probe(of) => self.record_probe(of, verdict),
        }
    }

    fn record_plain(&self, verdict: Verdict) -> Change {
        let failed = match verdict {
            Verdict::Success => false,
            Verdict::Failure => true,
            Verdict::Neutral => return Change::None,
        };
        if self.until.load(Ordering::Relaxed) != 0 {
            return Change::None;
        }
        let mut trips = false;
        if failed {
            let streak = self.streak.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            trips = self.settings.consecutive.is_some_and(|most| streak >= most);
        } else if self.streak.load(Ordering::Relaxed) != 0 {
            self.streak.store(0, Ordering::Relaxed);
        }
        if let Some((rate, window)) = &self.window {
            let now = self.clock.now();
            window.add(now, failed);
            trips |= failed && window.counts(now).reach(rate.percent, rate.min_calls);
        }
        if trips { self.open(0) } else { Change::None }
    }

    fn record_probe(&self, of: u64, verdict: Verdict) -> Change {
        if self.until.load(Ordering::Acquire) != of {
            // Its time is over, one way or the other.
            return Change::None;
        }
        match verdict {
            Verdict::Failure => self.open(of),
            Verdict::Neutral => {
                let give_back = |probes: u32| (probes & BEGUN > 0).then(|| probes - 1);
                let _ = self.probes.fetch_update(Ordering::AcqRel, Ordering::Acquire, give_back);
                Change::None
            }
            Verdict::Success => {
                let well = self.probes.fetch_add(ONE_WELL, Ordering::AcqRel) / ONE_WELL + 1;
                if well < u32::from(self.settings.probes) {
                    return Change::None;
                }
                self.streak.store(0, Ordering::Relaxed);
                if let Some((_, window)) = &self.window {
                    window.clear();
                }
                self.closed_at.store(self.clock.now(), Ordering::Relaxed);
                let closed = self.until.compare_exchange(of, 0, Ordering::AcqRel, Ordering::Acquire);
                if closed.is_ok() { Change::Closed } else { Change::None }
            }
        }
    }

    /// Opens what has been as `from` says; only one of those that want to does.
    fn open(&self, from: u64) -> Change {
        let now = self.clock.now();
        let openings = self.openings.load(Ordering::Relaxed);
        let closed_at = self.closed_at.load(Ordering::Relaxed);
        let well_since = from == 0 && now.saturating_sub(closed_at) >= millis(self.settings.max_open);
        let before = if well_since { 0 } else { openings };
        let open = millis(doubled(self.settings.open, before, self.settings.max_open)).max(1);
        let opened =
            self.until.compare_exchange(from, now.saturating_add(open), Ordering::AcqRel, Ordering::Acquire);
        if opened.is_err() {
            return Change::None;
        }
        self.openings.store(before.saturating_add(1), Ordering::Relaxed);
        self.probes.store(0, Ordering::Release);
        Change::Opened
    }

    /// How long it was open the last time, in milliseconds.
    fn open_time(&self) -> u64 {
        let before = self.openings.load(Ordering::Relaxed).saturating_sub(1);
        millis(doubled(self.settings.open, before, self.settings.max_open)).max(1)
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.until.load(Ordering::Relaxed) {
            0 => BreakerState::Closed,
            until if self.clock.now() < until => BreakerState::Open,
            _ => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        consecutive: Some(3),
        rate: None,
        open: Duration::from_secs(1),
        max_open: Duration::from_secs(4),
        probes: 2,
    };

    fn breaker() -> Breaker {
        Breaker::new(SETTINGS)
    }

    #[track_caller]
    fn pass(breaker: &Breaker) -> Ticket {
        assert!(breaker.would_admit());
        match breaker.admit() {
            Admission::Pass(ticket) => ticket,
            Admission::Refused(left) => panic!("refused for {left:?}"),
        }
    }

    #[track_caller]
    fn refused(breaker: &Breaker) -> u64 {
        assert!(!breaker.would_admit());
        match breaker.admit() {
            Admission::Refused(left) => millis(left),
            Admission::Pass(ticket) => panic!("{ticket:?}"),
        }
    }

    #[track_caller]
    fn one(breaker: &Breaker, verdict: Verdict) -> Change {
        let ticket = pass(breaker);
        breaker.record(ticket, verdict)
    }

    #[track_caller]
    fn trip(breaker: &Breaker) {
        assert_eq!(one(breaker, Verdict::Failure), Change::None);
        assert_eq!(one(breaker, Verdict::Failure), Change::None);
        assert_eq!(one(breaker, Verdict::Failure), Change::Opened);
    }

    async fn seconds(seconds: u64) {
        advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_and_a_success_between_does_not() {
        let breaker = breaker();
        for _ in 0..10 {
            for verdict in [Verdict::Failure, Verdict::Failure, Verdict::Neutral, Verdict::Success] {
                assert_eq!(one(&breaker, verdict), Change::None);
            }
        }
        trip(&breaker);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(refused(&breaker), 1000);
        advance(Duration::from_millis(400)).await;
        assert_eq!(refused(&breaker), 600);
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_failures_opens_it_once_there_are_enough_calls() {
        let rate = FailureRate { percent: 50, min_calls: 10, window: Duration::from_secs(10) };
        let breaker = Breaker::new(BreakerSettings { consecutive: None, rate: Some(rate), ..SETTINGS });
        for _ in 0..4 {
            assert_eq!(one(&breaker, Verdict::Failure), Change::None);
            assert_eq!(one(&breaker, Verdict::Success), Change::None);
        }
        assert_eq!(one(&breaker, Verdict::Success), Change::None);
        // Nine calls, four of them failed: the tenth makes it half of them.
        assert_eq!(one(&breaker, Verdict::Failure), Change::Opened);
        seconds(1).await;
        for _ in 0..2 {
            one(&breaker, Verdict::Success);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        // What was counted before is forgotten, and what is older than the window too.
        for _ in 0..9 {
            assert_eq!(one(&breaker, Verdict::Failure), Change::None);
        }
        seconds(11).await;
        assert_eq!(one(&breaker, Verdict::Failure), Change::None);
    }

    #[tokio::test(start_paused = true)]
    async fn probes_that_go_well_close_it() {
        let breaker = breaker();
        trip(&breaker);
        seconds(1).await;
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let (first, second) = (pass(&breaker), pass(&breaker));
        // As many as there are probes, and no more. The client is told to come back soon.
        assert_eq!(refused(&breaker), 1000);
        assert_eq!(breaker.record(first, Verdict::Success), Change::None);
        refused(&breaker);
        assert_eq!(breaker.record(second, Verdict::Success), Change::Closed);
        assert_eq!(breaker.state(), BreakerState::Closed);
        // It counts anew.
        assert_eq!(one(&breaker, Verdict::Failure), Change::None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_opens_it_for_longer_each_time() {
        let breaker = breaker();
        trip(&breaker);
        for open in [1000, 2000, 4000, 4000] {
            assert_eq!(refused(&breaker), open);
            advance(Duration::from_millis(open)).await;
            let (first, second) = (pass(&breaker), pass(&breaker));
            assert_eq!(breaker.record(first, Verdict::Failure), Change::Opened);
            // The other one is of a time that is over.
            assert_eq!(breaker.record(second, Verdict::Success), Change::None);
            assert_eq!(breaker.state(), BreakerState::Open);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_opens_soon_again_is_open_for_longer_and_after_a_good_while_anew() {
        let breaker = breaker();
        let close = async || {
            for _ in 0..2 {
                one(&breaker, Verdict::Success);
            }
            assert_eq!(breaker.state(), BreakerState::Closed);
        };
        trip(&breaker);
        seconds(1).await;
        close().await;
        seconds(3).await;
        trip(&breaker);
        assert_eq!(refused(&breaker), 2000);
        seconds(2).await;
        close().await;
        seconds(4).await;
        trip(&breaker);
        assert_eq!(refused(&breaker), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_says_nothing_gives_its_place_to_another() {
        let breaker = breaker();
        trip(&breaker);
        seconds(1).await;
        let (first, second) = (pass(&breaker), pass(&breaker));
        refused(&breaker);
        assert_eq!(breaker.record(first, Verdict::Neutral), Change::None);
        let third = pass(&breaker);
        assert_eq!(breaker.record(second, Verdict::Success), Change::None);
        assert_eq!(breaker.record(third, Verdict::Success), Change::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn probes_that_never_end_do_not_keep_it_from_closing() {
        let breaker = breaker();
        trip(&breaker);
        seconds(1).await;
        let (stuck, _also) = (pass(&breaker), pass(&breaker));
        advance(Duration::from_millis(999)).await;
        assert_eq!(refused(&breaker), 1);
        advance(Duration::from_millis(1)).await;
        let (third, fourth) = (pass(&breaker), pass(&breaker));
        refused(&breaker);
        assert_eq!(breaker.record(stuck, Verdict::Failure), Change::None);
        breaker.record(third, Verdict::Success);
        assert_eq!(breaker.record(fourth, Verdict::Success), Change::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn what_began_before_it_opened_changes_nothing() {
        let breaker = breaker();
        let (late, later) = (pass(&breaker), pass(&breaker));
        trip(&breaker);
        assert_eq!(breaker.record(late, Verdict::Failure), Change::None);
        assert_eq!(refused(&breaker), 1000);
        seconds(1).await;
        assert_eq!(breaker.record(later, Verdict::Success), Change::None);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }

    #[test]
    fn many_threads_open_it_once() {
        let breaker = breaker();
        let opened: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let fail = || breaker.record(Ticket::Plain, Verdict::Failure) == Change::Opened;
                        (0..1000).filter(|_| fail()).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(opened, 1);
    }
}
