//! Every upstream of a process.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::cluster::Cluster;
use super::settings::UpstreamSettings;
use crate::problem::Problems;
use crate::telemetry::Metrics;

/// Every upstream of a process.
pub struct Clusters {
    all: Vec<Arc<Cluster>>,
    /// Told when one of them is reached, or no longer.
    reach_changed: watch::Receiver<()>,
}

impl Clusters {
    /// One cluster for each upstream, with connections of their own for each of `workers` workers. Nothing is
    /// connected yet, and nothing is asked of anyone before [`Clusters::look_after`].
    ///
    /// # Errors
    /// TLS settings that can't be used.
    pub fn new(settings: &[UpstreamSettings], workers: usize, metrics: &Metrics) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let mut all = Vec::with_capacity(settings.len());
        let (changed, reach_changed) = watch::channel(());
        for settings in settings {
            match Cluster::new(settings, workers, changed.clone(), metrics) {
                Ok(cluster) => all.push(Arc::new(cluster)),
                Err(found) => problems.extend(found),
            }
        }
        problems.into_result(Self { all, reach_changed }).map(|(clusters, _)| clusters)
    }

    /// Starts what goes on beside the calls, as tasks on `background`, where it isn't started. They end with their
    /// cluster.
    pub fn look_after(&self, background: &Handle) {
        for cluster in &self.all {
            cluster.look_after(background);
        }
    }

    /// Looks one up by name; at load only.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Cluster>> {
        self.all.iter().find(|cluster| &**cluster.name() == name)
    }

    /// The only one there is, if there is only one.
    #[must_use]
    pub fn only(&self) -> Option<&Arc<Cluster>> {
        match self.all.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether at least one connection of each cluster takes calls.
    #[must_use]
    pub fn all_reachable(&self) -> bool {
        self.all.iter().all(|cluster| cluster.is_reachable())
    }

    /// Hears when a cluster is reached that was not, or the other way round.
    #[must_use]
    pub fn reach_changed(&self) -> watch::Receiver<()> {
        self.reach_changed.clone()
    }

    /// Begins to connect, on the caller's runtime, the connections of this worker.
    pub fn warm(&self, worker: usize) {
        for cluster in &self.all {
            cluster.warm(worker);
        }
    }
}
