//! A worker: a thread with a runtime of its own, on which its part of every listener is served.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{error, warn};

use super::listener::Acceptor;
use super::settings::ListenerSettings;
use super::stack::{Shared, stack};
use super::tls::Served;
use crate::policy::SharedStore;
use crate::problem::{Problem, Problems};
use crate::telemetry::{AccessLog, Metrics, flush_lines, flush_when_idle};
use crate::upstream::Clusters;

/// A thread with a runtime of its own.
pub(super) fn spawn<F>(
    name: String,
    stopped: watch::Receiver<bool>,
    run: impl FnOnce(watch::Receiver<bool>) -> F + Send + 'static,
) -> Result<JoinHandle<()>, Problems>
where
    F: Future<Output = ()>,
{
    let cannot =
        |error: io::Error| Problems::from(Problem::error(format!("a thread can't be started: {error}")));
    // One runtime a thread, of one thread each: a call never waits for another core.
    let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    std::thread::Builder::new().name(name).spawn(move || runtime.block_on(run(stopped))).map_err(cannot)
}

/// How workers end.
pub(super) struct Ending {
    /// How long calls that are under way may still take.
    pub drain: Duration,
    pub access_log: Option<Arc<AccessLog>>,
}

/// What one worker has of a listener.
pub(super) struct Socket {
    pub socket: TcpListener,
    pub settings: ListenerSettings,
    pub tls: Option<Served>,
    pub room: Arc<Semaphore>,
    pub shared: Shared,
}

/// One thread that serves.
pub(super) struct Worker {
    pub number: usize,
    pub sockets: Vec<Socket>,
    pub clusters: Arc<Clusters>,
    pub limit_store: Option<Arc<SharedStore>>,
    pub metrics: Arc<Metrics>,
    pub ending: Arc<Ending>,
}

impl Worker {
    /// Serves until it is stopped, and until what is under way then has ended.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) {
        self.metrics.worker(self.number, Handle::current().metrics());
        if let Some(log) = &self.ending.access_log {
            tokio::spawn(flush_when_idle(Arc::clone(log)));
        }
        self.clusters.warm(self.number);
        if let Some(store) = &self.limit_store {
            store.warm(self.number);
        }
        let (alive, mut gone) = mpsc::channel(1);
        for socket in self.sockets {
            let acceptor = Acceptor {
                room: socket.room,
                metrics: Arc::clone(&self.metrics),
                stop: stopped.clone(),
                alive: alive.clone(),
                settings: socket.settings,
                tls: socket.tls,
            };
            let stack = stack(&socket.shared);
            tokio::spawn(async move {
                let name = acceptor.settings.name.clone();
                if let Err(error) = acceptor.run(socket.socket, stack).await {
                    error!(listener = name, %error, "a listener failed");
                }
            });
        }
        drop(alive);
        let _ = stopped.wait_for(|stopped| *stopped).await;
        if tokio::time::timeout(self.ending.drain, gone.recv()).await.is_err() {
            warn!(worker = self.number, "calls that were under way are cut off");
        }
        if let Some(log) = &self.ending.access_log {
            flush_lines(log);
        }
    }
}
