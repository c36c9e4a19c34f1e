//! Looks after the certificates of all listeners while they serve.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::time::sleep;
use tracing::{info, warn};

use super::tls::Served;
use crate::telemetry::Metrics;
use crate::tls::{Change, Watched};

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

    /// Takes a listener on, and gives what it serves: `config` from now on, under connections that come by `served` as
    /// well.
    pub(super) fn add(
        &mut self,
        name: &str,
        watched: Watched,
        config: Arc<ServerConfig>,
        served: Option<Served>,
    ) -> Served {
        let served = served.unwrap_or_else(|| Arc::new(ArcSwap::new(Arc::clone(&config))));
        served.store(config);
        let listener = Listener { name: name.to_owned(), watched, served: Arc::clone(&served) };
        listener.tell_expiry(&self.metrics);
        self.listeners.push(listener);
        served
    }

    /// Looks again and again, without an end.
    pub(super) async fn run(&mut self) {
        loop {
            sleep(PAUSE).await;
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
