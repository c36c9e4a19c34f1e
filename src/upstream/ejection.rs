//! Outlier detection: a member whose calls fail is left out for a while, as long as others take its part.
//!
//! A member is ejected by `consecutive` failures in a row, or by a share of failures within a while. The first time it is
//! out for `base`, twice as long each time after that, up to `max`; once it has been in for as long as `max` it starts at
//! `base` again. At most `max_ejected` per cent of the members are out at once, but always one may be, and never the only
//! one. What it has counted begins anew with each ejection, so that calls which began before it say nothing after it.
//!
//! This is the part of one member. How many are out, and may be, the cluster's [`Guard`](super::guard::Guard) knows.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::breaker::{FailureRate, Verdict};
use super::clock::{doubled, millis};
use super::window::Window;

/// When a member is ejected, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EjectionSettings {
    /// Failures in a row that eject it.
    pub consecutive: Option<u32>,
    /// The share of failures that ejects it.
    pub rate: Option<FailureRate>,
    /// How long it is out the first time.
    pub base: Duration,
    /// The longest that it is out.
    pub max: Duration,
    /// How many per cent of the members may be out at once.
    pub max_ejected: u8,
}

impl Default for EjectionSettings {
    fn default() -> Self {
        Self {
            consecutive: Some(5),
            rate: None,
            base: Duration::from_secs(10),
            max: Duration::from_secs(300),
            max_ejected: 50,
        }
    }
}

impl EjectionSettings {
    /// How many of so many members may be out at once.
    pub(super) fn most(&self, members: usize) -> usize {
        if members < 2 { 0 } else { (members * usize::from(self.max_ejected) / 100).max(1) }
    }
}

/// What made a member an outlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Consecutive,
    Rate,
}

impl Cause {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Consecutive => "consecutive",
            Self::Rate => "rate",
        }
    }
}

/// What is counted of one member.
pub(super) struct Ejection {
    settings: EjectionSettings,
    streak: AtomicU32,
    window: Option<(FailureRate, Window)>,
    /// Up to when it is out, or was the last time.
    until: AtomicU64,
    /// How often it was ejected in a row.
    times: AtomicU32,
}

impl Ejection {
    pub(super) fn new(settings: EjectionSettings) -> Self {
        Self {
            settings,
            streak: AtomicU32::new(0),
            window: settings.rate.map(|rate| (rate, Window::new(rate.window))),
            until: AtomicU64::new(0),
            times: AtomicU32::new(0),
        }
    }

    /// Takes in how a call ended. A cause: the member is an outlier.
    pub(super) fn record(&self, verdict: Verdict, now: impl Fn() -> u64) -> Option<Cause> {
        let failed = match verdict {
            Verdict::Neutral => return None,
            Verdict::Success => {
                if self.streak.load(Ordering::Relaxed) != 0 {
                    self.streak.store(0, Ordering::Relaxed);
                }
                false
            }
            Verdict::Failure => true,
        };
        let mut cause = None;
        if failed {
            let streak = self.streak.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            let too_many = self.settings.consecutive.is_some_and(|most| streak >= most);
            cause = too_many.then_some(Cause::Consecutive);
        }
        if let Some((rate, window)) = &self.window {
            let now = now();
            window.add(now, failed);
            if failed && cause.is_none() && window.counts(now).reach(rate.percent, rate.min_calls) {
                cause = Some(Cause::Rate);
            }
        }
        cause
    }

    /// The member is out from `now` on; gives for how long.
    pub(super) fn begin(&self, now: u64) -> Duration {
        let last = self.until.load(Ordering::Relaxed);
        let well_since = last != 0 && now.saturating_sub(last) >= millis(self.settings.max);
        let before = if well_since { 0 } else { self.times.load(Ordering::Relaxed) };
        let out = doubled(self.settings.base, before, self.settings.max);
        self.times.store(before.saturating_add(1), Ordering::Relaxed);
        self.until.store(now.saturating_add(millis(out)), Ordering::Relaxed);
        self.forget();
        out
    }

    /// Whether the time of the last ejection is over.
    pub(super) fn is_served(&self, now: u64) -> bool {
        now >= self.until.load(Ordering::Relaxed)
    }

    /// What is counted begins anew.
    pub(super) fn forget(&self) {
        self.streak.store(0, Ordering::Relaxed);
        if let Some((_, window)) = &self.window {
            window.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_one_may_be_out_but_never_the_only_one() {
        for (members, max_ejected, want) in [
            (0, 50, 0),
            (1, 100, 0),
            (2, 10, 1),
            (3, 50, 1),
            (4, 50, 2),
            (10, 25, 2),
            (10, 100, 10),
            (2, 0, 1),
        ] {
            let settings = EjectionSettings { max_ejected, ..EjectionSettings::default() };
            assert_eq!(settings.most(members), want, "{members} {max_ejected}");
        }
    }

    #[test]
    fn a_success_ends_a_row_and_what_says_nothing_does_not() {
        let ejection =
            Ejection::new(EjectionSettings { consecutive: Some(2), ..EjectionSettings::default() });
        for (verdict, want) in [
            (Verdict::Failure, None),
            (Verdict::Success, None),
            (Verdict::Failure, None),
            (Verdict::Neutral, None),
            (Verdict::Failure, Some(Cause::Consecutive)),
        ] {
            assert_eq!(ejection.record(verdict, || 1), want);
        }
    }

    #[test]
    fn a_share_counts_where_there_are_enough_calls() {
        let rate = FailureRate { percent: 50, min_calls: 4, window: Duration::from_secs(10) };
        let ejection = Ejection::new(EjectionSettings {
            consecutive: None,
            rate: Some(rate),
            ..EjectionSettings::default()
        });
        for (now, verdict, want) in [
            (1, Verdict::Failure, None),
            (2, Verdict::Success, None),
            (3, Verdict::Failure, None),
            (4, Verdict::Success, None),
            (5, Verdict::Failure, Some(Cause::Rate)),
            // What was before is too old.
            (20_000, Verdict::Failure, None),
        ] {
            assert_eq!(ejection.record(verdict, || now), want, "{now}");
        }
    }

    #[test]
    fn each_time_is_longer_up_to_the_maximum_and_a_good_while_makes_up_for_it() {
        let settings = EjectionSettings {
            base: Duration::from_secs(10),
            max: Duration::from_secs(30),
            ..EjectionSettings::default()
        };
        let ejection = Ejection::new(settings);
        let mut now = 1;
        for out in [10, 20, 30, 30] {
            assert_eq!(ejection.begin(now), Duration::from_secs(out));
            assert!(!ejection.is_served(now + out * 1000 - 1));
            now += out * 1000;
            assert!(ejection.is_served(now));
        }
        assert_eq!(ejection.begin(now + 29_999), Duration::from_secs(30));
        assert_eq!(ejection.begin(now + 29_999 + 60_000), Duration::from_secs(10));
    }
}
