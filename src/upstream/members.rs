//! The members that a cluster has at a moment. The set is never changed, but swapped as a whole.

use std::sync::Arc;

use super::balance::Urn;
use super::member::Member;
use super::peer::Peer;

/// Peers, with what choosing among them looks at.
pub(super) struct Members {
    pub(super) peers: Box<[Arc<Peer>]>,
    /// Those of `peers`, in the same order.
    pub(super) members: Box<[Arc<Member>]>,
    pub(super) urn: Urn,
}

impl Members {
    pub(super) fn new(peers: Vec<Arc<Peer>>) -> Self {
        let members: Box<[Arc<Member>]> = peers.iter().map(|peer| Arc::clone(&peer.member)).collect();
        Self { urn: Urn::new(&members), peers: peers.into(), members }
    }
}
