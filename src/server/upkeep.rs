//! What is kept as it is elsewhere while the process serves: certificates, keys and lists of addresses, on a thread of
//! their own. Reading files and checking keys would hold up a worker.

use std::sync::Arc;

use futures_util::future::join3;
use tokio::sync::{mpsc, watch};

use super::relist::Relisting;
use super::renew::Renewal;
use crate::policy::{Authenticator, Rechecks};

/// All of it, for what is in force.
pub(super) struct Upkeep {
    pub authenticator: Arc<Authenticator>,
    pub renewal: Renewal,
    pub relisting: Relisting,
    /// Told when fewer callers may be let in than before.
    pub rechecks: Arc<Rechecks>,
}

impl Upkeep {
    /// Without an end.
    async fn run(&mut self) {
        let Self { authenticator, renewal, relisting, rechecks } = self;
        let changed = || rechecks.again();
        join3(authenticator.keep_fresh(changed), renewal.run(), relisting.run(changed)).await;
        std::future::pending().await
    }
}

/// Keeps what came last, until the process is to stop or nobody is left to tell of more.
pub(super) async fn keep(mut upkeeps: mpsc::UnboundedReceiver<Upkeep>, mut stopped: watch::Receiver<bool>) {
    let mut next = upkeeps.recv().await;
    while let Some(mut upkeep) = next {
        next = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return,
            next = upkeeps.recv() => next,
            () = upkeep.run() => return,
        };
    }
}
