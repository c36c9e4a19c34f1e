//! Whether a member may be called: what calls and checks have told of it. All workers see the same.
//!
//! For a member that is well this is one load when it is chosen, and one or two when a call to it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tracing::{info, warn};

use super::breaker::{Admission, Breaker, BreakerState, Change, Ticket, Verdict};
use super::ejection::Ejection;
use super::guard::{Guard, Ill, Ills};
use crate::telemetry::MemberStats;

/// What is known of how one member does.
pub(super) struct Standing {
    id: u64,
    guard: Arc<Guard>,
    endpoint: Arc<str>,
    ills: AtomicU8,
    ejection: Option<Ejection>,
    breaker: Option<Breaker>,
    stats: MemberStats,
}

/// What a call has from the breakers, for when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tickets {
    upstream: Ticket,
    member: Ticket,
}

/// Which breaker refuses a call, and for how long still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    ByUpstream(Duration),
    ByMember(Duration),
}

impl Standing {
    /// That of a further member, which is well until something else is known.
    pub(super) fn new(guard: Arc<Guard>, endpoint: &str) -> Self {
        Self {
            id: guard.joins(),
            stats: guard.stats.member(endpoint, guard.member_breaker.is_some()),
            endpoint: endpoint.into(),
            ills: AtomicU8::new(0),
            ejection: guard.ejection.map(Ejection::new),
            breaker: guard.member_breaker.map(Breaker::new),
            guard,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// How many calls may be under way at it.
    pub(super) fn max_requests(&self) -> Option<u32> {
        self.guard.limits.max_requests
    }

    /// How long its breaker refuses calls still, where it does.
    pub(super) fn breaker_left(&self) -> Option<Duration> {
        self.breaker.as_ref()?.left()
    }

    /// Asks the breakers for a call. What it gives goes back with [`Standing::record`].
    ///
    /// # Errors
    /// One of them is open.
    pub(super) fn admit(&self) -> Result<Tickets, Refused> {
        let upstream = self.guard.admit().map_err(Refused::ByUpstream)?;
        let member = match self.breaker.as_ref().map(Breaker::admit) {
            None | Some(Admission::Pass(Ticket::Plain)) => Ticket::Plain,
            Some(Admission::Pass(probe @ Ticket::Probe(_))) => {
                self.stats.breaker_probes();
                probe
            }
            Some(Admission::Refused(left)) => {
                self.guard.record(upstream, Verdict::Neutral);
                return Err(Refused::ByMember(left));
            }
        };
        Ok(Tickets { upstream, member })
    }

    /// Takes in what the end of a call says.
    pub(super) fn record(&self, tickets: Tickets, verdict: Verdict) {
        self.guard.record(tickets.upstream, verdict);
        if let Some(breaker) = &self.breaker {
            let (upstream, endpoint) = (&*self.guard.upstream, &*self.endpoint);
            match breaker.record(tickets.member, verdict) {
                Change::None => {}
                Change::Opened => {
                    self.stats.breaker_opened();
                    warn!(upstream, endpoint, "circuit breaker open: the endpoint gets no calls");
                }
                Change::Closed => {
                    self.stats.breaker_closed();
                    info!(upstream, endpoint, "circuit breaker closed");
                }
            }
        }
        if let Some(ejection) = &self.ejection
            && let Some(cause) = ejection.record(verdict, || self.guard.clock.now())
            && !self.ills().has(Ill::Ejected)
            && self.guard.reserve_ejection()
        {
            self.eject(ejection, cause.as_str());
        }
    }

    fn eject(&self, ejection: &Ejection, cause: &'static str) {
        if self.add(Ill::Ejected).has(Ill::Ejected) {
            // Another worker was first.
            self.guard.release_ejection();
            return;
        }
        let out = ejection.begin(self.guard.clock.now());
        self.stats.ejected(cause);
        let (upstream, endpoint) = (&*self.guard.upstream, &*self.endpoint);
        warn!(upstream, endpoint, cause, seconds = out.as_secs(), "endpoint ejected: its calls fail");
    }

    /// Whether it is among those that calls go to.
    pub(super) fn takes_calls(&self) -> bool {
        let ills = self.ills();
        (ills.is_well() || self.is_called_still(ills))
            && self.breaker.as_ref().is_none_or(Breaker::would_admit)
    }

    #[cold]
    fn is_called_still(&self, mut ills: Ills) -> bool {
        if ills.has(Ill::Ejected)
            && self.ejection.as_ref().is_none_or(|ejection| ejection.is_served(self.guard.clock.now()))
        {
            ills = self.readmit();
        }
        ills.is_well() || self.guard.is_in_panic()
    }

    fn readmit(&self) -> Ills {
        let was = self.remove(Ill::Ejected);
        if was.has(Ill::Ejected) {
            if let Some(ejection) = &self.ejection {
                ejection.forget();
            }
            self.stats.readmitted();
            info!(upstream = &*self.guard.upstream, endpoint = &*self.endpoint, "endpoint readmitted");
        }
        was.without(Ill::Ejected)
    }

    /// An active check has decided. Tells whether that is news.
    pub(super) fn is_found(&self, healthy: bool) -> bool {
        let was = if healthy { self.remove(Ill::Unhealthy) } else { self.add(Ill::Unhealthy) };
        let news = was.has(Ill::Unhealthy) == healthy;
        if news {
            self.stats.healthy(healthy);
        }
        news
    }

    /// An active check was made.
    pub(super) fn checked(&self, result: &'static str) {
        self.stats.checked(result);
    }

    pub(super) fn ills(&self) -> Ills {
        Ills(self.ills.load(Ordering::Relaxed))
    }

    /// [`Standing::ills`], without an ejection whose time is over.
    pub(super) fn ills_now(&self) -> Ills {
        let ills = self.ills();
        let served = self.ejection.as_ref().is_none_or(|ejection| ejection.is_served(self.guard.clock.now()));
        if served { ills.without(Ill::Ejected) } else { ills }
    }

    /// The state of its own breaker, where it has one.
    pub(super) fn breaker_state(&self) -> Option<BreakerState> {
        self.breaker.as_ref().map(Breaker::state)
    }

    /// Adds what ails it, and gives what it was before.
    fn add(&self, ill: Ill) -> Ills {
        let was = Ills(self.ills.fetch_or(ill as u8, Ordering::SeqCst));
        if !was.has(ill) {
            self.guard.falls_ill(was, ill);
        }
        was
    }

    fn remove(&self, ill: Ill) -> Ills {
        let was = Ills(self.ills.fetch_and(!(ill as u8), Ordering::SeqCst));
        if was.has(ill) {
            self.guard.recovers(was.without(ill), ill);
        }
        was
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.guard.leaves(self.ills());
    }
}
