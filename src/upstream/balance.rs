//! Which member of a cluster a call goes to.
//!
//! The choice is made over an immutable list of members by what their atomics say, so it takes no lock and waits for
//! nobody. Members that are no good right now are skipped, and who is asked for often by chance is asked for again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
        let count = members.len();
        let same = members.windows(2).all(|pair| match pair {
            [one, other] => one.weight() == other.weight(),
            _ => true,
        });
        let mean = sum as f64 / count.max(1) as f64;
        Self { sums: if same { Box::default() } else { sums }, mean, count }
    }

    /// One by chance; `count` must not be 0.
    fn draw(&self) -> usize {
        match self.sums.last() {
            None => fastrand::usize(..self.count),
            Some(all) => {
                let at = fastrand::u64(..*all);
                self.sums.partition_point(|sum| *sum <= at)
            }
        }
    }
}

/// Where a worker is in its round.
#[derive(Default)]
pub(super) struct Turn(AtomicUsize);

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
        Balance::RoundRobin => round_robin(members, turn, usable),
    }
}

fn least_loaded(
    members: &[Arc<Member>],
    urn: &Urn,
    now: Instant,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    let first = draw(members, urn, &usable)?;
    let Some(second) = draw(members, urn, |index| index != first && usable(index)) else {
        return Some(first);
    };
    let cost = |index: usize| {
        members
            .get(index)
            .map_or(f64::INFINITY, |member| member.load.cost(now, f64::from(member.weight()) / urn.mean))
    };
    Some(if cost(second) < cost(first) { second } else { first })
}

/// One by weight and chance of those that will do.
fn draw(members: &[Arc<Member>], urn: &Urn, usable: impl Fn(usize) -> bool) -> Option<usize> {
    if let Some(drawn) = (0..DRAWS).map(|_| urn.draw()).find(|index| usable(*index)) {
        return Some(drawn);
    }
    let count = members.len();
    let start = fastrand::usize(..count);
    (0..count).map(|step| (start + step) % count).find(|index| usable(*index))
}

fn round_robin(members: &[Arc<Member>], turn: &Turn, usable: impl Fn(usize) -> bool) -> Option<usize> {
    let count = members.len();
    let start = turn.0.fetch_add(1, Ordering::Relaxed);
    (0..count).map(|step| start.wrapping_add(step) % count).find(|index| usable(*index))
}
