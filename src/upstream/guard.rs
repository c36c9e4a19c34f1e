//! What the members of a cluster share: how many there are, how many of them are well, and what is asked of all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::breaker::{Admission, Breaker, BreakerSettings, Change, Ticket, Verdict};
use super::clock::Clock;
use super::ejection::EjectionSettings;
use super::resilience::{EndpointLimits, Resilience};
use crate::telemetry::{Metrics, UpstreamStats};

/// The members of one cluster together. Workers share it.
pub(super) struct Guard {
    pub(super) upstream: Arc<str>,
    pub(super) clock: Clock,
    pub(super) ejection: Option<EjectionSettings>,
    /// Of each member.
    pub(super) member_breaker: Option<BreakerSettings>,
    /// Of all of them together.
    breaker: Option<Breaker>,
    /// Below this share of members that are well, in per cent, all take calls.
    panic: u8,
    pub(super) limits: EndpointLimits,
    /// Calls that wait for a connection.
    waiting: AtomicUsize,
    /// The number of the next member.
    numbers: AtomicU64,
    members: AtomicUsize,
    /// Those that are neither ejected nor unhealthy.
    well: AtomicUsize,
    ejected: AtomicUsize,
    /// Those that an active check has found unhealthy.
    unhealthy: AtomicUsize,
    /// Told when the last healthy member is gone, and when there is one again; of all clusters together.
    changed: watch::Sender<()>,
    pub(super) stats: UpstreamStats,
}

impl Guard {
    pub(super) fn new(
        upstream: Arc<str>,
        settings: &Resilience,
        changed: watch::Sender<()>,
        stats: UpstreamStats,
    ) -> Self {
        Self {
            upstream,
            clock: Clock::new(),
            ejection: settings.ejection,
            member_breaker: settings.endpoint_breaker,
            breaker: settings.breaker.map(Breaker::new),
            panic: settings.panic,
            limits: settings.limits,
            waiting: AtomicUsize::new(0),
            numbers: AtomicU64::new(0),
            members: AtomicUsize::new(0),
            well: AtomicUsize::new(0),
            ejected: AtomicUsize::new(0),
            unhealthy: AtomicUsize::new(0),
            changed,
            stats,
        }
    }

    /// That of an upstream of which nothing is asked.
    pub(super) fn plain(upstream: &str) -> Arc<Self> {
        let nothing = Resilience { ejection: None, ..Resilience::default() };
        let stats = Metrics::default().upstream(upstream, false);
        Arc::new(Self::new(upstream.into(), &nothing, watch::Sender::new(()), stats))
    }

    /// One member more; gives its number.
    pub(super) fn joins(&self) -> u64 {
        self.members.fetch_add(1, Ordering::Relaxed);
        self.well.fetch_add(1, Ordering::Relaxed);
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A place among the calls that wait for a connection, if one is left.
    pub(super) fn wait(&self) -> Option<Waiting<'_>> {
        let waiting = Waiting(&self.waiting);
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        // What is dropped gives its place back.
        self.limits.max_pending.is_none_or(|most| before < most).then_some(waiting)
    }

    pub(super) fn leaves(&self, was: Ills) {
        self.members.fetch_sub(1, Ordering::Relaxed);
        if was.is_well() {
            self.well.fetch_sub(1, Ordering::Relaxed);
        }
        if was.has(Ill::Ejected) {
            self.ejected.fetch_sub(1, Ordering::Relaxed);
        }
        if was.has(Ill::Unhealthy) {
            self.unhealthy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A member that was as `was` has fallen ill so; an ejection was [reserved](Guard::reserve_ejection).
    pub(super) fn falls_ill(&self, was: Ills, ill: Ill) {
        if was.is_well() {
            self.well.fetch_sub(1, Ordering::Relaxed);
        }
        if ill == Ill::Unhealthy {
            self.unhealthy.fetch_add(1, Ordering::SeqCst);
            self.changed.send_replace(());
        }
    }

    /// A member that is as `now` is rid of this.
    pub(super) fn recovers(&self, now: Ills, ill: Ill) {
        if now.is_well() {
            self.well.fetch_add(1, Ordering::Relaxed);
        }
        match ill {
            Ill::Ejected => self.release_ejection(),
            Ill::Unhealthy => {
                self.unhealthy.fetch_sub(1, Ordering::SeqCst);
                self.changed.send_replace(());
            }
        }
    }

    /// Takes one of the places of members that are out, if one is left.
    pub(super) fn reserve_ejection(&self) -> bool {
        let Some(ejection) = &self.ejection else { return false };
        let most = ejection.most(self.members.load(Ordering::Relaxed));
        let one_more = |out: usize| (out < most).then_some(out + 1);
        self.ejected.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    pub(super) fn release_ejection(&self) {
        self.ejected.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether so few members are well that calling all of them is the lesser evil.
    pub(super) fn is_in_panic(&self) -> bool {
        let well = self.well.load(Ordering::Relaxed);
        well * 100 < usize::from(self.panic) * self.members.load(Ordering::Relaxed)
    }

    /// Whether checks have found at least one member healthy, or ask none.
    pub(super) fn has_healthy(&self) -> bool {
        let unhealthy = self.unhealthy.load(Ordering::SeqCst);
        unhealthy == 0 || unhealthy < self.members.load(Ordering::Relaxed)
    }

    /// Calls that wait for a connection.
    pub(super) fn pending(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The breaker of the whole upstream, where it has one.
    pub(super) fn breaker(&self) -> Option<&Breaker> {
        self.breaker.as_ref()
    }

    /// Asks the breaker of the whole upstream for a call.
    ///
    /// # Errors
    /// It is open, for so long still.
    pub(super) fn admit(&self) -> Result<Ticket, Duration> {
        let Some(breaker) = &self.breaker else { return Ok(Ticket::Plain) };
        match breaker.admit() {
            Admission::Pass(ticket) => {
                if let Ticket::Probe(_) = ticket {
                    self.stats.breaker_probes();
                }
                Ok(ticket)
            }
            Admission::Refused(left) => Err(left),
        }
    }

    pub(super) fn record(&self, ticket: Ticket, verdict: Verdict) {
        let Some(breaker) = &self.breaker else { return };
        match breaker.record(ticket, verdict) {
            Change::None => {}
            Change::Opened => {
                self.stats.breaker_opened();
                warn!(upstream = &*self.upstream, "circuit breaker open: calls fail at once");
            }
            Change::Closed => {
                self.stats.breaker_closed();
                info!(upstream = &*self.upstream, "circuit breaker closed");
            }
        }
    }
}

/// A place among the calls that wait, until it is dropped.
pub(super) struct Waiting<'r>(&'r AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a member is not among those that calls go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ill {
    Ejected = 1,
    Unhealthy = 2,
}

/// All that ails a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ills(pub u8);

impl Ills {
    pub(super) fn is_well(self) -> bool {
        self.0 == 0
    }

    pub(super) fn has(self, ill: Ill) -> bool {
        self.0 & ill as u8 != 0
    }

    pub(super) fn without(self, ill: Ill) -> Self {
        Self(self.0 & !(ill as u8))
    }
}
