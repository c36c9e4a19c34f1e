//! What the rest of a process sees of what is in force: the admin address, and whoever holds the running parts.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::snapshot::Snapshot;
use super::state::State;
use crate::admin::ReloadReport;
use crate::telemetry::Observer;
use crate::upstream::Clusters;

/// What others see of what is in force.
pub(super) struct Windows {
    pub snapshot: ArcSwap<Snapshot>,
    pub clusters: Arc<ArcSwap<Clusters>>,
    pub observer: ArcSwap<Observer>,
    pub report: Arc<ReloadReport>,
}

impl Windows {
    pub(super) fn new(state: &State) -> Self {
        let report = ReloadReport::default();
        report.in_force(state.snapshot.generation());
        Self {
            snapshot: ArcSwap::new(Arc::clone(&state.snapshot)),
            clusters: Arc::new(ArcSwap::new(Arc::clone(&state.clusters))),
            observer: ArcSwap::new(Arc::clone(&state.observer)),
            report: Arc::new(report),
        }
    }
}
