//! Which member of a cluster a call goes to.
//!
//! The choice is made over an immutable list of members by what their atomics say, so it takes no lock and waits for
//! nobody. Members that are no good right now are skipped, and who is asked for often by chance is asked for again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use super::member::Member;

/// How calls are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Balance {
    /// Of two members that are drawn by weight, the one that is less loaded, by calls under way and by time.
    #[default]
    LeastLoaded,
    /// One after the other, by weight.
    RoundRobin,
}

/// How often is drawn again where what was drawn is no good. After that it is looked for one that is.
const DRAWS: usize = 4;

/// What is drawn from.
pub(super) struct Urn {
    /// Sums of weights up to each member, itself included; empty where all weights are the same.
    sums: Box<[u64]>,
    mean: f64,
    heaviest: f64,
    count: usize,
}

impl Urn {
    pub(super) fn new(members: &[Arc<Member>]) -> Self {
        let mut sum = 0;
        let sums: Box<[u64]> = members
            .iter()
            .map(|member| {
                sum += u64::from(member.weight());
                sum
            })
            .collect();
        let weights = || members.iter().map(|member| member.weight());
        let same = weights().min() == weights().max();
        Self {
            sums: if same { Box::default() } else { sums },
            mean: sum as f64 / members.len().max(1) as f64,
            heaviest: f64::from(weights().max().unwrap_or(1)),
            count: members.len(),
        }
    }

    /// One by chance, where there is any.
    fn draw(&self) -> usize {
        match self.sums.last() {
            None => fastrand::usize(..self.count.max(1)),
            Some(all) => {
                let at = fastrand::u64(..(*all).max(1));
                self.sums.partition_point(|sum| *sum <= at)
            }
        }
    }
}

/// Where a worker is in its round.
pub(super) struct Turn(AtomicU64);

impl Default for Turn {
    /// Anywhere, so that workers do not go in step.
    fn default() -> Self {
        Self(AtomicU64::new(u64::from(fastrand::u16(..))))
    }
}

/// The index of the member that the next call goes to, of those that are `usable`.
pub(super) fn choose(
    balance: Balance,
    members: &[Arc<Member>],
    urn: &Urn,
    turn: &Turn,
    now: Instant,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    match members {
        [] => return None,
        [_] => return usable(0).then_some(0),
        _ => {}
    }
    match balance {
        Balance::LeastLoaded => least_loaded(members, urn, now, usable),
        Balance::RoundRobin => round_robin(members, urn, turn, now, usable),
    }
}

fn least_loaded(
    members: &[Arc<Member>],
    urn: &Urn,
    now: Instant,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    let share = |index: usize| members.get(index).map_or(0.0, |member| member.share(now));
    let first = draw(urn, share, &usable)?;
    let Some(second) = draw(urn, share, |index| index != first && usable(index)) else {
        return Some(first);
    };
    let cost = |index: usize| {
        members.get(index).map_or(f64::INFINITY, |member| {
            let room = f64::from(member.weight()) * member.share(now) / urn.mean;
            member.load.cost(now, room)
        })
    };
    Some(if cost(second) < cost(first) { second } else { first })
}

/// One by weight and chance of those that will do. Of those that warm up, only their share is taken where it falls on them.
fn draw(urn: &Urn, share: impl Fn(usize) -> f64, usable: impl Fn(usize) -> bool) -> Option<usize> {
    let is_due = |index: usize| {
        let share = share(index);
        share >= 1.0 || fastrand::f64() < share
    };
    let drawn = (0..DRAWS).map(|_| urn.draw()).find(|index| is_due(*index) && usable(*index));
    drawn.or_else(|| any(urn.count, usable))
}

/// One by chance of all that will do.
fn any(count: usize, usable: impl Fn(usize) -> bool) -> Option<usize> {
    let mut seen = 0;
    (0..count).filter(|index| usable(*index)).fold(None, |kept, index| {
        seen += 1;
        if fastrand::usize(..seen) == 0 { Some(index) } else { kept }
    })
}

/// Every turn is the next member's. One that has a part of the heaviest one's weight takes that part of its turns, spread
/// as evenly as can be, and leaves the others to the next; so nothing has to be kept but the number of the turn.
fn round_robin(
    members: &[Arc<Member>],
    urn: &Urn,
    turn: &Turn,
    now: Instant,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    let count = members.len();
    for _ in 0..2 * count {
        let number = turn.0.fetch_add(1, Ordering::Relaxed);
        let (round, index) = (number / count as u64, (number % count as u64) as usize);
        let Some(member) = members.get(index) else { continue };
        let part = f64::from(member.weight()) * member.share(now) / urn.heaviest;
        // Members of the same weight do not all skip the same rounds.
        let offset = index as f64 * GOLDEN;
        let turns = |round: u64| (round as f64 * part + offset).floor();
        if turns(round + 1) > turns(round) && usable(index) {
            return Some(index);
        }
    }
    // The heavy ones are no good.
    any(count, usable)
}

/// Its multiples are spread evenly over the fractions.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

#[cfg(test)]
mod tests;
