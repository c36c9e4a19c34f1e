//! Every upstream of a process.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::cluster::Cluster;
use super::report::UpstreamReport;
use super::settings::UpstreamSettings;
use crate::problem::Problems;
use crate::telemetry::Metrics;

/// Every upstream of a process.
pub struct Clusters {
    all: Vec<Arc<Cluster>>,
    /// Those that stand in for each other; each is in one at least.
    groups: Vec<Vec<Arc<Cluster>>>,
    workers: usize,
    /// Told when one of them is reached, or no longer.
    reach_changed: watch::Sender<()>,
}

impl Clusters {
    /// One cluster for each upstream, with connections of their own for each of `workers` workers. Nothing is
    /// connected yet, and nothing is asked of anyone before [`Clusters::look_after`].
    ///
    /// # Errors
    /// TLS settings that can't be used.
    pub fn new(settings: &[UpstreamSettings], workers: usize, metrics: &Metrics) -> Result<Self, Problems> {
        let none =
            Self { all: Vec::new(), groups: Vec::new(), workers, reach_changed: watch::Sender::new(()) };
        none.renew(settings, metrics)
    }

    /// The clusters of other settings. One whose settings are as they were is the same: it keeps its connections and all
    /// that is known of it. What is left out goes on for as long as calls are under way.
    ///
    /// # Errors
    /// TLS settings that can't be used.
    pub fn renew(&self, settings: &[UpstreamSettings], metrics: &Metrics) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let mut all = Vec::with_capacity(settings.len());
        for settings in settings {
            if let Some(known) = self.all.iter().find(|known| known.settings() == Some(settings)) {
                all.push(Arc::clone(known));
                continue;
            }
            match Cluster::new(settings, self.workers, self.reach_changed.clone(), metrics) {
                Ok(cluster) => all.push(Arc::new(cluster)),
                Err(found) => problems.extend(found),
            }
        }
        let groups = all.iter().map(|cluster| vec![Arc::clone(cluster)]).collect();
        let renewed = Self { all, groups, workers: self.workers, reach_changed: self.reach_changed.clone() };
        problems.into_result(renewed).map(|(clusters, _)| clusters)
    }

    /// The same clusters, where those of a group stand in for each other. One that is in no group has nobody who does.
    #[must_use]
    pub fn grouped<'n, G: Iterator<Item = &'n str>>(mut self, groups: impl Iterator<Item = G>) -> Self {
        self.groups =
            groups.map(|names| names.filter_map(|name| self.get(name).cloned()).collect()).collect();
        for cluster in &self.all {
            let is_in = |group: &Vec<Arc<Cluster>>| group.iter().any(|other| Arc::ptr_eq(cluster, other));
            if !self.groups.iter().any(is_in) {
                self.groups.push(vec![Arc::clone(cluster)]);
            }
        }
        self
    }

    /// How many of these clusters are those of `others`.
    #[must_use]
    pub fn shared_with(&self, others: &Self) -> usize {
        let is_there = |cluster: &&Arc<Cluster>| others.all.iter().any(|other| Arc::ptr_eq(cluster, other));
        self.all.iter().filter(is_there).count()
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

    /// How each of them stands now.
    #[must_use]
    pub fn report(&self) -> Vec<UpstreamReport> {
        self.all.iter().map(|cluster| cluster.report()).collect()
    }

    /// Whether at least one connection of each cluster, or of one that stands in for it, takes calls.
    #[must_use]
    pub fn all_reachable(&self) -> bool {
        self.groups.iter().all(|group| group.iter().any(|cluster| cluster.is_reachable()))
    }

    /// Hears when a cluster is reached that was not, or the other way round.
    #[must_use]
    pub fn reach_changed(&self) -> watch::Receiver<()> {
        self.reach_changed.subscribe()
    }

    /// Begins to connect, on the caller's runtime, the connections of this worker.
    pub fn warm(&self, worker: usize) {
        for cluster in &self.all {
            cluster.warm(worker);
        }
    }
}
