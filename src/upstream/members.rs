//! The members that a cluster has: a set that is never changed, but swapped as a whole when others are found.

use std::ops::Range;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::balance::Urn;
use super::dial::Purpose;
use super::member::Member;
use super::peer::Peer;

/// Peers, with what choosing among them looks at.
pub(super) struct Members {
    /// In order of their tiers.
    pub(super) peers: Box<[Arc<Peer>]>,
    /// Those of `peers`, in the same order.
    pub(super) members: Box<[Arc<Member>]>,
    pub(super) tiers: Box<[Tier]>,
}

/// Members that calls go to as long as none of a tier before can take them.
pub(super) struct Tier {
    number: u16,
    pub(super) range: Range<usize>,
    pub(super) urn: Urn,
}

impl Members {
    /// With the number of each peer's tier, of which the lowest comes first.
    pub(super) fn new(mut peers: Vec<(u16, Arc<Peer>)>) -> Self {
        peers.sort_by_key(|(tier, _)| *tier);
        let members: Box<[Arc<Member>]> = peers.iter().map(|(_, peer)| Arc::clone(&peer.member)).collect();
        let mut tiers = Vec::new();
        let mut start = 0;
        for same in peers.chunk_by(|(one, _), (other, _)| one == other) {
            let range = start..start + same.len();
            start = range.end;
            let urn = Urn::new(members.get(range.clone()).unwrap_or_default());
            let number = same.first().map_or(0, |(number, _)| *number);
            tiers.push(Tier { number, range, urn });
        }
        Self { peers: peers.into_iter().map(|(_, peer)| peer).collect(), members, tiers: tiers.into() }
    }

    /// The number of the tier that the peer at `index` is in.
    pub(super) fn priority(&self, index: usize) -> Option<u16> {
        self.tiers.iter().find(|tier| tier.range.contains(&index)).map(|tier| tier.number)
    }
}

/// What is known of who the members are.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// Nobody has told yet.
    NotYet,
    /// Nobody ever told, for this reason.
    Failed(Arc<str>),
    Yes,
}

/// The members of a cluster from its start to its end.
pub(super) struct Roster {
    current: ArcSwap<Members>,
    /// Told each time that others are found, or none.
    known: watch::Sender<Known>,
}

impl Roster {
    /// One whose members are known.
    pub(super) fn of(peers: Vec<Arc<Peer>>) -> Self {
        let peers = peers.into_iter().map(|peer| (0, peer)).collect();
        Self { current: ArcSwap::from_pointee(Members::new(peers)), known: watch::Sender::new(Known::Yes) }
    }

    /// One whose members are still to be found.
    pub(super) fn empty() -> Self {
        let members = Members::new(Vec::new());
        Self { current: ArcSwap::from_pointee(members), known: watch::Sender::new(Known::NotYet) }
    }

    pub(super) fn load(&self) -> Guard<Arc<Members>> {
        self.current.load()
    }

    /// From now on these are the members. Calls at those that are left out go on.
    pub(super) fn replace(&self, members: Members) {
        self.current.store(Arc::new(members));
        self.known.send_replace(Known::Yes);
    }

    /// The members could not be found. Those that there are stay.
    pub(super) fn failed(&self, why: &str) {
        self.known.send_if_modified(|known| match known {
            Known::Yes => false,
            Known::NotYet | Known::Failed(_) => {
                *known = Known::Failed(why.into());
                true
            }
        });
    }

    pub(super) fn known(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// Begins to connect, on the caller's runtime, the connections of this worker for unary calls. Those for streams connect
    /// when the first stream comes.
    pub(super) fn warm(&self, worker: usize) {
        for peer in &self.load().peers {
            if let Some(lines) = peer.lines(worker, Purpose::Unary) {
                lines.warm();
            }
        }
    }
}
