//! How busy a member is: calls under way, and how long it takes to answer.
//!
//! The time is a peak EWMA: it rises at once to what the slowest call took, and falls by and by. A member that was slow once
//! is asked again before long, since what is known of it fades while it is left alone.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// After this time what was seen counts for about a third.
const MEMORY: Duration = Duration::from_secs(10);
/// What a call costs where no time is known yet, in nanoseconds: one is a trial, a second one can wait for it.
const UNKNOWN: f64 = 1e8;
/// How many times as busy as it is a member seems where every call to it fails. Failing is quick, and must not attract.
const FAILING: f64 = 20.0;
/// The least that one call moves the share of those that failed, so that a member with many calls needs not fail for as
/// long as others before it is noticed.
const STEP: f64 = 0.02;

/// The load of one member, over all workers. Its parts are read and written each for itself: a lost update is one call
/// less that was looked at.
pub(super) struct Load {
    born: Instant,
    under_way: AtomicU32,
    /// Nanoseconds, an f64; 0 where no call has ended yet.
    latency: AtomicU64,
    /// The share of calls that failed, an f64.
    failed: AtomicU64,
    /// When those two were as they are, in nanoseconds since `born`.
    seen: AtomicU64,
}

impl Load {
    pub(super) fn new(born: Instant) -> Self {
        Self {
            born,
            under_way: AtomicU32::new(0),
            latency: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            seen: AtomicU64::new(0),
        }
    }

    pub(super) fn enter(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// Calls under way.
    pub(super) fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Takes in how long a call took. What failed may make the time longer, but not shorter.
    pub(super) fn observe(&self, now: Instant, took: Duration, failed: bool) {
        let kept = self.kept(now);
        let old = f64::from_bits(self.latency.load(Ordering::Relaxed));
        let took = took.as_nanos() as f64;
        let latency = match failed {
            // A quick failure does not tell how long success takes; a call that ran out of its time does.
            true if old == 0.0 && took < UNKNOWN => 0.0,
            true => old.max(took),
            false if took >= old => took,
            false => old * kept + took * (1.0 - kept),
        };
        let step = (1.0 - kept).max(STEP);
        let share = f64::from_bits(self.failed.load(Ordering::Relaxed)) * (1.0 - step);
        let share = if failed { share + step } else { share };
        self.latency.store(latency.to_bits(), Ordering::Relaxed);
        self.failed.store(share.to_bits(), Ordering::Relaxed);
        self.seen.store(self.at(now), Ordering::Relaxed);
    }

    /// How long one more call may take here, in nanoseconds; only good for comparing. A member of `weight` times the
    /// mean weight has room for that many times the calls.
    pub(super) fn cost(&self, now: Instant, weight: f64) -> f64 {
        let under_way = f64::from(self.under_way());
        let latency = f64::from_bits(self.latency.load(Ordering::Relaxed));
        let kept = self.kept(now);
        let failed = f64::from_bits(self.failed.load(Ordering::Relaxed)) * kept;
        let (one, each) =
            if latency == 0.0 { (UNKNOWN * failed, UNKNOWN) } else { (latency * kept, latency * kept) };
        (one + each * under_way / weight) * (1.0 + FAILING * failed)
    }

    /// How long calls take, as it is seen now.
    #[cfg(test)]
    pub(super) fn latency(&self, now: Instant) -> Duration {
        Duration::from_nanos((f64::from_bits(self.latency.load(Ordering::Relaxed)) * self.kept(now)) as u64)
    }

    fn at(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_nanos()).unwrap_or(u64::MAX)
    }

    /// What is left of what was seen last: near enough to `exp(-t / MEMORY)`, without computing that for every call.
    fn kept(&self, now: Instant) -> f64 {
        let since = self.at(now).saturating_sub(self.seen.load(Ordering::Relaxed));
        let eighth = 1.0 / (1.0 + since as f64 / (8.0 * MEMORY.as_nanos() as f64));
        let fourth = eighth * eighth;
        let half = fourth * fourth;
        half * half
    }
}
