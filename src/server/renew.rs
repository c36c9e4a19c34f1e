//! Looks after the certificates of all listeners while they serve, on a thread of its own: reading files and checking
//! keys would hold up a worker.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use super::tls::Served;
use crate::problem::Problem;
use crate::telemetry::Metrics;
use crate::tls::{Change, ListenerTls, Watched};

/// Between two looks. New files are taken after two of them.
const PAUSE: Duration = Duration::from_millis(500);

/// The listeners that have certificates.
pub(super) struct Renewal {
    metrics: Arc<Metrics>,
    listeners: Vec<Listener>,
}

struct Listener {
    name: String,
    watched: Watched,
    served: Served,
}

impl Renewal {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, listeners: Vec::new() }
    }

    /// Whether there is nothing to look after.
    pub(super) fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Takes a listener on, and gives what it serves.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub(super) fn add(&mut self, name: &str, tls: ListenerTls) -> Result<Served, Problem> {
        let (watched, config) = Watched::new(tls)
            .map_err(|unusable| Problem::error(format!("listener `{name}`: {}", unusable.what)))?;
        let served = Arc::new(ArcSwap::new(config));
        let listener = Listener { name: name.to_owned(), watched, served: Arc::clone(&served) };
        listener.tell_expiry(&self.metrics);
        self.listeners.push(listener);
        Ok(served)
    }

    /// Looks again and again, until the process is to stop.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                () = sleep(PAUSE) => {}
            }
            for listener in &mut self.listeners {
                listener.look(&self.metrics);
            }
        }
    }
}

impl Listener {
    fn look(&mut self, metrics: &Metrics) {
        let now = SystemTime::now();
        match self.watched.look(now) {
            Change::Unchanged | Change::Settling => {}
            Change::Renewed(config) => {
                self.served.store(config);
                metrics.tls().renewed(&self.name, true);
                self.tell_expiry(metrics);
                info!(listener = self.name, "new certificates are served");
                for (_, oddity) in self.watched.served().oddities(now) {
                    warn!(listener = self.name, oddity, "a certificate is probably not what is meant");
                }
            }
            Change::Refused(unusable) => {
                metrics.tls().renewed(&self.name, false);
                warn!(
                    listener = self.name,
                    error = unusable.what,
                    "new certificates are refused, the old ones serve on"
                );
            }
        }
    }

    fn tell_expiry(&self, metrics: &Metrics) {
        for identity in &self.watched.served().identities {
            let chain = identity.chain();
            metrics.tls().expiry(&self.name, &chain.path().display().to_string(), chain.not_after());
        }
    }
}
