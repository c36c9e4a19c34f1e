//! What is counted of upstreams and their endpoints: how they stand, what was refused because of it, and what was tried
//! again. Handles are resolved when an upstream or an endpoint comes; the numbers of an endpoint go with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, Arc<str>)>;

/// Everything that is counted about upstreams.
#[derive(Default, Clone)]
pub(super) struct UpstreamMetrics {
    healthy: Family<Labels, Gauge>,
    ejected: Family<Labels, Gauge>,
    breaker: Family<Labels, Gauge>,
    ejections: Family<Labels, Counter>,
    openings: Family<Labels, Counter>,
    checks: Family<Labels, Counter>,
    retries: Family<Labels, Counter>,
    /// How many have the numbers of an endpoint: while an upstream is replaced, the old one and the new one.
    holders: Arc<Mutex<HashMap<Labels, usize>>>,
}

/// What is counted of one upstream.
pub struct UpstreamStats {
    upstream: Arc<str>,
    all: UpstreamMetrics,
    breaker: Option<BreakerStats>,
    retries: [Counter; RetryResult::ALL.len()],
}

/// What is counted of one endpoint, for as long as it is there.
pub struct MemberStats {
    labels: Labels,
    all: UpstreamMetrics,
    healthy: Gauge,
    ejected: Gauge,
    breaker: Option<BreakerStats>,
}

struct BreakerStats {
    /// 0 closed, 1 half-open, 2 open.
    state: Gauge,
    openings: Counter,
}

/// What became of the wish to try a call again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryResult {
    /// One more try was made.
    Tried,
    /// The call ended well after more than one try.
    Recovered,
    /// The last try that there may be failed as well.
    Exhausted,
    /// The upstream's budget has nothing left.
    NoBudget,
    /// The next try would have begun when the call's time was over.
    NoTime,
    /// The backend did not want the call back.
    PushedBack,
    /// The request was too large to be kept, or too much was kept already.
    NotKept,
}

impl RetryResult {
    const ALL: [Self; 7] = [
        Self::Tried,
        Self::Recovered,
        Self::Exhausted,
        Self::NoBudget,
        Self::NoTime,
        Self::PushedBack,
        Self::NotKept,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Tried => "tried",
            Self::Recovered => "recovered",
            Self::Exhausted => "exhausted",
            Self::NoBudget => "no_budget",
            Self::NoTime => "no_time",
            Self::PushedBack => "pushed_back",
            Self::NotKept => "not_kept",
        }
    }
}

impl UpstreamMetrics {
    /// `has_breaker`: whether one holds all of its calls.
    pub(super) fn upstream(&self, name: &str, has_breaker: bool) -> UpstreamStats {
        let upstream: Arc<str> = name.into();
        let labels: Labels = vec![("upstream", Arc::clone(&upstream)), ("endpoint", "".into())];
        let retries = RetryResult::ALL.map(|result| {
            let labels = vec![("upstream", Arc::clone(&upstream)), ("result", result.as_str().into())];
            self.retries.get_or_create(&labels).clone()
        });
        UpstreamStats {
            breaker: has_breaker.then(|| self.breaker(&labels)),
            upstream,
            all: self.clone(),
            retries,
        }
    }

    fn breaker(&self, labels: &Labels) -> BreakerStats {
        BreakerStats {
            state: self.breaker.get_or_create(labels).clone(),
            openings: self.openings.get_or_create(labels).clone(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "upstream_endpoint_healthy",
            "1 where health checks find the endpoint healthy, or none are made; 0 otherwise",
            self.healthy.clone(),
        );
        registry.register(
            "upstream_endpoint_ejected",
            "1 while the endpoint is ejected because its calls failed",
            self.ejected.clone(),
        );
        registry.register(
            "upstream_breaker_state",
            "Circuit breakers, of an endpoint or of a whole upstream: 0 closed, 1 half-open, 2 open",
            self.breaker.clone(),
        );
        registry.register("upstream_ejections", "Ejections by endpoint and cause", self.ejections.clone());
        registry.register("upstream_breaker_openings", "How often breakers opened", self.openings.clone());
        registry.register("upstream_health_checks", "Health checks by result", self.checks.clone());
        registry.register("upstream_retries", "Calls tried again, by result", self.retries.clone());
    }
}

impl UpstreamStats {
    /// What is counted of one of its endpoints. `has_breaker`: whether it has one of its own.
    #[must_use]
    pub fn member(&self, endpoint: &str, has_breaker: bool) -> MemberStats {
        let labels: Labels = vec![("upstream", Arc::clone(&self.upstream)), ("endpoint", endpoint.into())];
        let healthy = self.all.healthy.get_or_create(&labels).clone();
        let ejected = self.all.ejected.get_or_create(&labels).clone();
        *lock(&self.all.holders).entry(labels.clone()).or_default() += 1;
        healthy.set(1);
        ejected.set(0);
        let breaker = has_breaker.then(|| self.all.breaker(&labels));
        MemberStats { labels, all: self.all.clone(), healthy, ejected, breaker }
    }

    /// Its breaker opened.
    pub fn breaker_opened(&self) {
        BreakerStats::opened(self.breaker.as_ref());
    }

    /// Its breaker lets a probe through.
    pub fn breaker_probes(&self) {
        BreakerStats::is(self.breaker.as_ref(), 1);
    }

    /// Its breaker closed.
    pub fn breaker_closed(&self) {
        BreakerStats::is(self.breaker.as_ref(), 0);
    }

    /// Something became of the wish to try a call again.
    pub fn retry(&self, result: RetryResult) {
        let found = RetryResult::ALL.iter().position(|one| *one == result);
        if let Some(counter) = found.and_then(|index| self.retries.get(index)) {
            counter.inc();
        }
    }
}

impl MemberStats {
    /// A health check was made.
    pub fn checked(&self, result: &'static str) {
        let mut labels = self.labels.clone();
        labels.push(("result", result.into()));
        self.all.checks.get_or_create(&labels).inc();
    }

    /// Health checks have decided.
    pub fn healthy(&self, healthy: bool) {
        self.healthy.set(i64::from(healthy));
    }

    /// It was ejected.
    pub fn ejected(&self, cause: &'static str) {
        self.ejected.set(1);
        let mut labels = self.labels.clone();
        labels.push(("cause", cause.into()));
        self.all.ejections.get_or_create(&labels).inc();
    }

    /// It is in again.
    pub fn readmitted(&self) {
        self.ejected.set(0);
    }

    /// Its breaker opened.
    pub fn breaker_opened(&self) {
        BreakerStats::opened(self.breaker.as_ref());
    }

    /// Its breaker lets a probe through.
    pub fn breaker_probes(&self) {
        BreakerStats::is(self.breaker.as_ref(), 1);
    }

    /// Its breaker closed.
    pub fn breaker_closed(&self) {
        BreakerStats::is(self.breaker.as_ref(), 0);
    }
}

impl BreakerStats {
    fn is(stats: Option<&Self>, state: i64) {
        if let Some(stats) = stats {
            stats.state.set(state);
        }
    }

    fn opened(stats: Option<&Self>) {
        Self::is(stats, 2);
        if let Some(stats) = stats {
            stats.openings.inc();
        }
    }
}

impl Drop for MemberStats {
    /// Addresses come and go; what is counted of those that are gone must not stay for ever.
    fn drop(&mut self) {
        let mut holders = lock(&self.all.holders);
        if let Some(others) = holders.get_mut(&self.labels)
            && *others > 1
        {
            *others -= 1;
            return;
        }
        holders.remove(&self.labels);
        self.all.healthy.remove(&self.labels);
        self.all.ejected.remove(&self.labels);
        self.all.breaker.remove(&self.labels);
        self.all.openings.remove(&self.labels);
        for (family, label, values) in [
            (&self.all.ejections, "cause", &["consecutive", "rate"][..]),
            (&self.all.checks, "result", &CHECK_RESULTS[..]),
        ] {
            for value in values {
                let mut labels = self.labels.clone();
                labels.push((label, Arc::from(*value)));
                family.remove(&labels);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What health checks can come to.
pub const CHECK_RESULTS: [&str; 3] = ["healthy", "unhealthy", "failed"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_an_endpoint_go_with_the_last_that_has_them() {
        let metrics = UpstreamMetrics::default();
        let shown = || {
            let mut registry = Registry::default();
            metrics.register(&mut registry);
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text.lines().filter(|line| line.contains("10.0.0.1:1")).count()
        };
        let (old, new) = (metrics.upstream("u", false), metrics.upstream("u", false));
        let one = old.member("10.0.0.1:1", true);
        one.ejected("rate");
        one.checked("healthy");
        one.breaker_opened();
        let other = new.member("10.0.0.1:1", true);
        assert_eq!(shown(), 6);
        drop(one);
        assert_eq!(shown(), 6);
        drop(other);
        assert_eq!(shown(), 0);
    }
}
