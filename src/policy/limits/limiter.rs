//! One limit with its counts, and all limits of a process.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use governor::clock::MonotonicClock;

use super::Standing;
use super::bucket::Bucket;
use super::fields::name;
use super::key::Material;
use super::settings::{Limit, Measure};
use super::shared::Digest;
use super::windows::Windows;
use crate::policy::concurrency::{ConcurrencyRule, Gates};
use crate::telemetry::{LimitStats, Metrics};

/// A limit, and how it stands for every key.
pub(super) struct Limiter {
    pub limit: Limit,
    /// Where the limit is said and what it is called, for logs and metrics: `shop.v1.Orders/* 10/s`.
    pub label: Arc<str>,
    pub stats: LimitStats,
    /// Its name as header fields have it.
    pub told_name: String,
    /// What gateways that share it know it by.
    shared_name: String,
    local: Local,
    hasher: RandomState,
}

enum Local {
    Bucket(Box<Bucket<MonotonicClock>>),
    Windows(Windows),
}

impl Limiter {
    fn new(scope: &str, limit: &Limit, keys: usize, metrics: &Metrics) -> Self {
        let label: Arc<str> = format!("{scope} {}", limit.name).into();
        Self {
            local: match &limit.measure {
                Measure::Rate(rate) => Local::Bucket(Box::new(Bucket::new(rate, keys, MonotonicClock))),
                Measure::Quota(quota) => Local::Windows(Windows::new(quota, keys)),
            },
            // What was counted by other numbers says nothing of these.
            shared_name: match &limit.measure {
                Measure::Rate(rate) => format!("{label} {}/{}", rate.burst, rate.period().as_nanos()),
                Measure::Quota(quota) => format!("{label} {}@{}", quota.most, quota.window.length),
            },
            told_name: name(limit),
            limit: limit.clone(),
            stats: metrics.limit(&label),
            label,
            hasher: RandomState::new(),
        }
    }

    /// The key as this process knows it. Nobody outside can foresee it, so nobody can choose to share another's.
    pub(super) fn digest(&self, material: &Material) -> u64 {
        self.hasher.hash_one(material.as_slice())
    }

    /// The key as all gateways know it.
    pub(super) fn shared_digest(&self, material: &Material) -> Digest {
        Digest::of(&self.shared_name, material)
    }

    /// Takes `cost` of what this process counts, if there is that much.
    pub(super) fn take(&self, key: u64, cost: NonZeroU32) -> Standing {
        match &self.local {
            Local::Bucket(bucket) => bucket.take(key, cost),
            Local::Windows(windows) => windows.take(key, cost),
        }
    }

    /// Gives back what a call took that another limit refused. `standing` is how it stood after that.
    pub(super) fn give_back(&self, key: u64, cost: NonZeroU32, standing: Standing) -> Standing {
        match &self.local {
            Local::Bucket(bucket) => bucket.give_back(key, cost, standing),
            Local::Windows(windows) => windows.give_back(key, cost, standing),
        }
    }
}

/// Every limiter of a process, by where its limit is said and what it says. Limits that a reload leaves as they are go on
/// counting where they were.
pub struct Limiters {
    all: Mutex<HashMap<(String, Limit), Weak<Limiter>>>,
    gates: Mutex<HashMap<(String, ConcurrencyRule), Weak<Gates>>>,
    /// Keys that each remembers, at most.
    keys: usize,
    metrics: Arc<Metrics>,
}

impl Limiters {
    #[must_use]
    pub fn new(keys: usize, metrics: Arc<Metrics>) -> Self {
        Self { all: Mutex::default(), gates: Mutex::default(), keys, metrics }
    }

    /// The limiter of this limit, as it is said by `scope`: a selector, a tier, a listener.
    pub(super) fn get(&self, scope: &str, limit: &Limit) -> Arc<Limiter> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let said = (scope.to_owned(), limit.clone());
        if let Some(known) = all.get(&said).and_then(Weak::upgrade) {
            return known;
        }
        all.retain(|_, limiter| limiter.strong_count() > 0);
        let limiter = Arc::new(Limiter::new(scope, limit, self.keys, &self.metrics));
        all.insert(said, Arc::downgrade(&limiter));
        limiter
    }

    /// The gates of this rule, in the same way.
    #[must_use]
    pub fn gates(&self, scope: &str, rule: &ConcurrencyRule) -> Arc<Gates> {
        let mut all = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (scope.to_owned(), rule.clone());
        if let Some(known) = all.get(&name).and_then(Weak::upgrade) {
            return known;
        }
        all.retain(|_, gates| gates.strong_count() > 0);
        let gates = Arc::new(Gates::new(scope, rule.clone(), &self.metrics));
        all.insert(name, Arc::downgrade(&gates));
        gates
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::limits::settings::{KeyPart, Rate};

    pub(in crate::policy::limits) fn limit(count: u32, burst: u32) -> Limit {
        let some = |number| NonZeroU32::new(number).unwrap();
        let rate = Rate { count: some(count), per: Duration::from_secs(60), burst: some(burst) };
        Limit {
            measure: Measure::Rate(rate),
            key: vec![KeyPart::Global],
            name: format!("{count}/min"),
            shared: false,
        }
    }

    #[test]
    fn what_a_reload_leaves_as_it_is_goes_on_counting() {
        let limiters = Limiters::new(10, Arc::default());
        let first = limiters.get("*", &limit(1, 1));
        assert_eq!(first.take(0, NonZeroU32::MIN).retry, None);
        let again = limiters.get("*", &limit(1, 1));
        assert!(Arc::ptr_eq(&first, &again));
        assert!(again.take(0, NonZeroU32::MIN).retry.is_some());
        for (scope, limit) in [("*", limit(2, 1)), ("*", limit(1, 2)), ("a.B/*", limit(1, 1))] {
            assert_eq!(limiters.get(scope, &limit).take(0, NonZeroU32::MIN).retry, None, "{scope} {limit:?}");
        }
    }

    #[test]
    fn what_no_snapshot_has_any_more_is_forgotten() {
        let limiters = Limiters::new(10, Arc::default());
        drop(limiters.get("a", &limit(1, 1)));
        let kept = limiters.get("b", &limit(1, 1));
        assert_eq!(limiters.all.lock().unwrap().len(), 1);
        drop(kept);
    }
}
