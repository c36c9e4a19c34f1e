//! All limits of a call at once: each has room and gives the cost, or none gives anything.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::Standing;
use super::fields::{Told, standings as standings_of};
use super::limiter::Limiter;
use super::set::{Group, Keys};
use super::settings::{Limit, Measure, OnFailure};
use super::shared::SharedStore;
use crate::fault::{Detail, Fault, Kind, QuotaFailure, QuotaViolation};

/// How each limit stands, in the order of the limits; none where it was not asked.
type Standings = SmallVec<[Option<Standing>; 4]>;

/// Asks the limits that are counted in this process. What the call took of them is given back where one refuses.
///
/// # Errors
/// The refusal.
pub(super) fn ask_local(group: &Group, keys: &Keys, cost: NonZeroU32) -> Result<Asked, Fault> {
    let mut asked = Asked { standings: SmallVec::new() };
    for (at, (limiter, key)) in group.limiters.iter().zip(keys).enumerate() {
        let standing = (!limiter.limit.shared).then(|| limiter.take(key.local, cost));
        asked.standings.push(standing);
        if standing.is_some_and(|standing| standing.retry.is_some()) {
            asked.give_back(group, keys, cost);
            return Err(asked.refusal(group, at));
        }
    }
    Ok(asked)
}

/// What the limits that were asked said.
pub(super) struct Asked {
    standings: Standings,
}

impl Asked {
    /// Asks the limits that gateways share, after those of this process had room.
    ///
    /// # Errors
    /// The refusal, or that nobody can be asked, where that refuses calls.
    pub(super) async fn ask_shared(
        mut self,
        group: &Group,
        keys: &Keys,
        cost: NonZeroU32,
        store: &SharedStore,
        worker: usize,
    ) -> Result<Self, Fault> {
        let shared =
            || group.limiters.iter().zip(keys).enumerate().filter(|(_, (limiter, _))| limiter.limit.shared);
        let questions =
            shared().filter_map(|(_, (limiter, key))| Some((&limiter.limit.measure, key.shared.as_ref()?)));
        match store.take(worker, questions, cost).await {
            Ok(standings) => {
                let mut first_refusal = None;
                for ((at, _), standing) in shared().zip(standings) {
                    if let Some(slot) = self.standings.get_mut(at) {
                        *slot = Some(standing);
                    }
                    if standing.retry.is_some() {
                        first_refusal = first_refusal.or(Some(at));
                    }
                }
                match first_refusal {
                    Some(at) => {
                        // The store took nothing of any.
                        self.give_back_local(group, keys, cost);
                        Err(self.refusal(group, at))
                    }
                    None => Ok(self),
                }
            }
            Err(error) => {
                shared().for_each(|(_, (limiter, _))| limiter.stats.unshared());
                match store.on_failure() {
                    OnFailure::Allow => Ok(self),
                    OnFailure::Refuse => {
                        self.give_back_local(group, keys, cost);
                        let message = "how often this was called can't be found out at the moment";
                        Err(Fault::new(Kind::Overloaded, "LIMITS_UNAVAILABLE", message).because(error))
                    }
                    OnFailure::Local => self.ask_alone(group, keys, cost),
                }
            }
        }
    }

    /// Counts shared limits in this process.
    fn ask_alone(mut self, group: &Group, keys: &Keys, cost: NonZeroU32) -> Result<Self, Fault> {
        for (at, (limiter, key)) in group.limiters.iter().zip(keys).enumerate() {
            if !limiter.limit.shared {
                continue;
            }
            let standing = limiter.take(key.local, cost);
            if let Some(slot) = self.standings.get_mut(at) {
                *slot = Some(standing);
            }
            if standing.retry.is_some() {
                self.give_back(group, keys, cost);
                return Err(self.refusal(group, at));
            }
        }
        Ok(self)
    }

    /// Gives back what this process counted and the call took.
    fn give_back(&mut self, group: &Group, keys: &Keys, cost: NonZeroU32) {
        let limiters = group.limiters.iter().zip(keys);
        for ((limiter, key), standing) in limiters.zip(&mut self.standings) {
            if let Some(standing) = standing
                && standing.retry.is_none()
            {
                *standing = limiter.give_back(key.local, cost, *standing);
            }
        }
    }

    /// The same, where the store has taken nothing of what is shared.
    fn give_back_local(&mut self, group: &Group, keys: &Keys, cost: NonZeroU32) {
        let limiters = group.limiters.iter().zip(keys);
        for ((limiter, key), standing) in limiters.zip(&mut self.standings) {
            if let Some(standing) = standing
                && !limiter.limit.shared
            {
                *standing = limiter.give_back(key.local, cost, *standing);
            }
        }
    }

    /// The call passes.
    pub(super) fn passed(self, group: &Group) -> Told {
        for limiter in &group.limiters {
            limiter.stats.passed();
        }
        self.told(group)
    }

    fn told(&self, group: &Group) -> Told {
        let standings = group.limiters.iter().zip(&self.standings);
        let standing =
            standings_of(standings.filter_map(|(limiter, at)| Some((&*limiter.told_name, at.as_ref()?))));
        Told { policy: group.policy.clone(), standing }
    }

    /// The limit at `at` refuses.
    fn refusal(&self, group: &Group, at: usize) -> Fault {
        let told = self.told(group);
        match (group.limiters.get(at), self.standings.get(at)) {
            (Some(limiter), Some(Some(standing))) => {
                let mut fault = refused(limiter, standing.retry.unwrap_or(Duration::ZERO));
                told.put(fault.headers_mut());
                fault
            }
            // It is asked about a limit that has answered.
            (_, _) => Fault::new(Kind::Bug, "INTERNAL", "internal error"),
        }
    }
}

/// What a call becomes that this limit has no room for.
pub(super) fn refused(limiter: &Arc<Limiter>, retry: Duration) -> Fault {
    limiter.stats.refused();
    let (reason, message) = reason(&limiter.limit);
    let violation = QuotaViolation { subject: limiter.limit.name.clone(), description: message.to_owned() };
    Fault::new(Kind::RateLimited, reason, message)
        .retry_after(retry)
        .detailed(QuotaFailure { violations: vec![violation] }.pack())
        .by_rule(Arc::clone(&limiter.label))
}

fn reason(limit: &Limit) -> (&'static str, &'static str) {
    match limit.measure {
        Measure::Rate(_) => ("RATE_LIMITED", "too many calls in too short a time"),
        Measure::Quota(_) => ("QUOTA_EXCEEDED", "the quota of calls is used up"),
    }
}
