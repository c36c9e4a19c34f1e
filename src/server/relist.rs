//! Looks after the files of address lists while the process serves.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

use super::settings::ListenerSettings;
use crate::policy::Rule;
use crate::policy::address::{AddressLists, WatchedLists};
use crate::telemetry::Metrics;
use crate::tls::Look;

/// Between two looks. New files are taken after two of them.
const PAUSE: Duration = Duration::from_millis(500);

/// All lists that have files.
pub(super) struct Relisting {
    metrics: Arc<Metrics>,
    watched: Vec<WatchedLists>,
}

impl Relisting {
    /// Over the lists of these listeners and rules.
    pub(super) fn new(listeners: &[ListenerSettings], rules: &[Rule], metrics: Arc<Metrics>) -> Self {
        let all = listeners.iter().filter_map(|listener| listener.addresses.as_ref());
        let all = all.chain(rules.iter().filter_map(|rule| rule.addresses.as_ref()?.as_ref()));
        let mut watched = Vec::new();
        for lists in all {
            tell_sizes(lists, &metrics);
            if lists.has_files() {
                watched.push(WatchedLists::new(Arc::clone(lists)));
            }
        }
        Self { watched, metrics }
    }

    /// Looks again and again, without an end. `changed` hears when other lists are in force.
    pub(super) async fn run(&mut self, changed: impl Fn()) {
        loop {
            sleep(PAUSE).await;
            for watched in &mut self.watched {
                if look(watched, &self.metrics) {
                    changed();
                }
            }
        }
    }
}

/// Whether other lists are in force than before.
fn look(watched: &mut WatchedLists, metrics: &Metrics) -> bool {
    let found = watched.look();
    let lists = watched.lists();
    match found {
        Look::Unchanged | Look::Settling => false,
        Look::Read(()) => {
            metrics.addresses().loaded(lists.place(), true);
            tell_sizes(lists, metrics);
            info!(list = lists.place(), "new address lists are in force");
            true
        }
        Look::Refused(unusable) => {
            metrics.addresses().loaded(lists.place(), false);
            warn!(
                list = lists.place(),
                error = unusable.what,
                "new address lists are refused, the old ones stay"
            );
            false
        }
    }
}

fn tell_sizes(lists: &AddressLists, metrics: &Metrics) {
    for (name, ranges) in lists.sizes() {
        metrics.addresses().has(&name, ranges);
    }
}
