//! The retry budget of an upstream: retries are a share of its calls, so that they never multiply the load on a backend
//! that fails everything.
//!
//! It is a bucket of tokens. Each call puts in `share`, time puts in `per_second`, a retry takes one, and without one there
//! is no retry. It starts full and holds what ten seconds put in by time alone, at least [`LEAST`]. So within any time the
//! retries are at most `share` of the calls, `per_second` of the seconds, and one bucket.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::clock::Clock;

/// What retries may take of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BudgetSettings {
    /// Retries for each hundred calls.
    pub percent: u8,
    /// Retries for each second, for upstreams that are rarely called.
    pub per_second: u32,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self { percent: 20, per_second: 10 }
    }
}

/// Tokens that a bucket holds where little comes by time.
const LEAST: i64 = 10;
/// A token, in the units that are counted.
const TOKEN: i64 = 1000;

pub(super) struct Budget {
    settings: BudgetSettings,
    /// The most that it holds.
    full: i64,
    clock: Clock,
    held: AtomicI64,
    /// Up to when time has put in its part.
    filled: AtomicU64,
}

impl Budget {
    pub(super) fn new(settings: BudgetSettings) -> Self {
        let full = TOKEN * LEAST.max(10 * i64::from(settings.per_second));
        let clock = Clock::new();
        Self { settings, full, clock, held: AtomicI64::new(full), filled: AtomicU64::new(clock.now()) }
    }

    /// A call was made. While nobody retries, the bucket is full, and this costs one load.
    pub(super) fn called(&self) {
        if self.held.load(Ordering::Relaxed) < self.full {
            self.put(TOKEN * i64::from(self.settings.percent) / 100);
        }
    }

    /// Takes what a retry costs, if it is there.
    pub(super) fn take(&self) -> bool {
        let now = self.clock.now();
        let before = self.filled.swap(now, Ordering::Relaxed);
        // A thousand units a second are one a millisecond.
        let passed = i64::try_from(now.saturating_sub(before)).unwrap_or(i64::MAX);
        self.put(passed.saturating_mul(i64::from(self.settings.per_second)).min(self.full));
        let take = |held: i64| (held >= TOKEN).then(|| held - TOKEN);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn put(&self, more: i64) {
        let put = |held: i64| Some((held + more).min(self.full));
        // It never gives up, so it never fails.
        let _ = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, put);
    }

    /// Whole tokens that are there, for the admin address.
    pub(super) fn left(&self) -> i64 {
        self.held.load(Ordering::Relaxed) / TOKEN
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn drained(settings: BudgetSettings) -> Budget {
        let budget = Budget::new(settings);
        while budget.take() {}
        budget
    }

    fn taken(budget: &Budget) -> usize {
        (0..10_000).take_while(|_| budget.take()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn it_starts_full_and_holds_ten_seconds() {
        assert_eq!(taken(&Budget::new(BudgetSettings { percent: 20, per_second: 10 })), 100);
        assert_eq!(taken(&Budget::new(BudgetSettings { percent: 20, per_second: 0 })), 10);
        assert_eq!(taken(&Budget::new(BudgetSettings { percent: 0, per_second: 2 })), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_put_in_their_share() {
        let budget = drained(BudgetSettings { percent: 20, per_second: 0 });
        for calls in [5, 10, 100] {
            (0..calls).for_each(|_| budget.called());
            assert_eq!(taken(&budget), (calls / 5).min(10));
        }
        (0..4).for_each(|_| budget.called());
        assert!(!budget.take(), "four fifths are none");
        budget.called();
        assert!(budget.take());
    }

    #[tokio::test(start_paused = true)]
    async fn time_puts_in_its_part_and_no_more_than_fits() {
        let budget = drained(BudgetSettings { percent: 0, per_second: 10 });
        for (passed, want) in [(99, 0), (1, 1), (1000, 10), (250, 2), (50, 1), (3_600_000, 100)] {
            advance(Duration::from_millis(passed)).await;
            assert_eq!(taken(&budget), want, "{passed}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_fails_everything_gets_a_fifth_more_at_most() {
        let budget = drained(BudgetSettings { percent: 20, per_second: 0 });
        let retries = (0..10_000)
            .filter(|_| {
                budget.called();
                budget.take()
            })
            .count();
        assert_eq!(retries, 2000);
    }
}
