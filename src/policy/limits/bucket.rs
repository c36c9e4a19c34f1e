//! Rates in this process: GCRA, by governor, on a [`Table`].

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use super::Standing;
use super::settings::Rate;
use super::table::Table;

/// One rate, for every key.
pub(super) struct Bucket<C: Clock = MonotonicClock> {
    limiter: RateLimiter<u64, Keys<C>, C, StateInformationMiddleware>,
    table: Arc<Table>,
    /// What one more takes, in nanoseconds.
    period: u64,
    burst: u32,
}

/// The table as governor sees it: the numbers are theoretical arrival times, in nanoseconds from the start.
struct Keys<C: Clock> {
    table: Arc<Table>,
    clock: C,
    start: C::Instant,
}

impl<C: Clock> StateStore for Keys<C> {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let now = || self.clock.now().duration_since(self.start).as_u64();
        self.table.change(*key, now, |tat| {
            decide(tat.map(Nanos::new)).map(|(outcome, tat)| (outcome, tat.as_u64()))
        })
    }
}

impl<C: Clock + Clone> Bucket<C> {
    /// `most` keys are remembered at once.
    pub(super) fn new(rate: &Rate, most: usize, clock: C) -> Self {
        let table = Arc::new(Table::new(most));
        let period = rate.period();
        // A period is never zero; and then one in a second is the strict reading.
        let quota = Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let keys = Keys { table: Arc::clone(&table), clock: clock.clone(), start: clock.now() };
        Self {
            limiter: RateLimiter::new(quota.allow_burst(rate.burst), keys, clock),
            table,
            period: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX),
            burst: rate.burst.get(),
        }
    }

    /// Takes `cost`, if there is that much.
    pub(super) fn take(&self, key: u64, cost: NonZeroU32) -> Standing {
        match self.limiter.check_key_n(&key, cost) {
            Ok(Ok(snapshot)) => self.standing(snapshot.remaining_burst_capacity(), None),
            Ok(Err(not_yet)) => {
                let wait = not_yet.wait_time_from(self.limiter.clock().now());
                // What is missing says what is there.
                let missing = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX).div_ceil(self.period);
                let missing = u32::try_from(missing).unwrap_or(u32::MAX);
                self.standing(cost.get().saturating_sub(missing), Some(wait))
            }
            // It never passes; that it can't be so was checked at load.
            Err(_) => self.standing(0, Some(Duration::from_nanos(self.period))),
        }
    }

    /// Gives back what a call took that another limit refused. `standing` is how it stood after that.
    pub(super) fn give_back(&self, key: u64, cost: NonZeroU32, standing: Standing) -> Standing {
        let taken = self.period.saturating_mul(u64::from(cost.get()));
        self.table.amend(key, |tat| tat.saturating_sub(taken));
        self.standing(standing.remaining.saturating_add(cost.get()).min(self.burst), None)
    }

    fn standing(&self, remaining: u32, retry: Option<Duration>) -> Standing {
        let missing = u64::from(self.burst.saturating_sub(remaining));
        let reset = Duration::from_nanos(self.period.saturating_mul(missing));
        Standing { remaining, reset, retry }
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.table.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn rate(count: u32, per: Duration, burst: u32) -> Rate {
        Rate { count: NonZeroU32::new(count).unwrap(), per, burst: NonZeroU32::new(burst).unwrap() }
    }

    const SECOND: Duration = Duration::from_secs(1);
    const ONE: NonZeroU32 = NonZeroU32::MIN;

    /// A bucket that drips: what GCRA has to agree with.
    struct Oracle {
        /// In nanoseconds' worth.
        level: u128,
        seen: u128,
    }

    #[test]
    fn it_decides_as_a_bucket_that_drips() {
        for (count, per, burst) in
            [(10, SECOND, 20), (3, SECOND, 1), (100, 10 * SECOND, 100), (7, 60 * SECOND, 5)]
        {
            let rate = rate(count, per, burst);
            let (period, burst) = (rate.period().as_nanos(), u128::from(burst));
            let clock = FakeRelativeClock::default();
            let bucket = Bucket::new(&rate, 1_000, clock.clone());
            let mut oracle: HashMap<u64, Oracle> = HashMap::new();
            let mut now: u128 = 0;
            for step in 0..20_000 {
                let pause = fastrand::u64(..u64::try_from(period).unwrap());
                clock.advance(Duration::from_nanos(pause));
                now += u128::from(pause);
                let key = fastrand::u64(..8);
                let cost = NonZeroU32::new(fastrand::u32(1..=u32::try_from(burst).unwrap().min(4))).unwrap();
                let known = oracle.entry(key).or_insert(Oracle { level: burst * period, seen: now });
                known.level = (known.level + now - known.seen).min(burst * period);
                known.seen = now;
                let wanted = u128::from(cost.get()) * period;
                let standing = bucket.take(key, cost);
                if known.level >= wanted {
                    known.level -= wanted;
                    assert_eq!(standing.retry, None, "step {step}");
                } else {
                    let wait = standing.retry.expect("refused").as_nanos();
                    assert_eq!(wait, wanted - known.level, "step {step}");
                }
                assert_eq!(u128::from(standing.remaining), known.level / period, "step {step}");
            }
        }
    }

    #[test]
    fn in_any_time_no_more_than_burst_and_rate_allow() {
        let clock = FakeRelativeClock::default();
        let bucket = Bucket::new(&rate(3, SECOND, 5), 10, clock.clone());
        let mut passed = 0;
        for _ in 0..100_000 {
            clock.advance(Duration::from_millis(1));
            passed += u32::from(bucket.take(1, ONE).retry.is_none());
        }
        assert_eq!(passed, 5 + 3 * 100 - 1, "a period that was rounded up gives no more");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let bucket = Bucket::new(&rate(1, SECOND, 3), 10, FakeRelativeClock::default());
        let two = NonZeroU32::new(2).unwrap();
        let standing = bucket.take(1, two);
        assert_eq!(standing.remaining, 1);
        let standing = bucket.give_back(1, two, standing);
        assert_eq!((standing.remaining, standing.reset), (3, Duration::ZERO));
        assert_eq!(bucket.take(1, ONE).remaining, 2);
        assert_eq!(bucket.take(2, ONE).remaining, 2, "keys are apart");
    }

    #[test]
    fn a_million_keys_stay_within_the_cap() {
        let clock = FakeRelativeClock::default();
        let bucket = Bucket::new(&rate(1, 60 * SECOND, 1), 100_000, clock.clone());
        let hasher = std::hash::RandomState::new();
        for number in 0..1_000_000_u64 {
            let key = std::hash::BuildHasher::hash_one(&hasher, number);
            assert_eq!(bucket.take(key, ONE).retry, None);
            assert!(bucket.take(key, ONE).retry.is_some(), "a key that was just used is known");
        }
        assert!(bucket.keys() <= 100_000);
        // All of them are as new, and make place one by one.
        clock.advance(120 * SECOND);
        for number in 0..1_000_000_u64 {
            bucket.take(std::hash::BuildHasher::hash_one(&hasher, number), ONE);
        }
        assert!(bucket.keys() <= 100_000);
    }
}
