//! A worker: a thread with a runtime of its own, on which its part of every listener is served.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use super::drain::{Drain, FAREWELL, Signs};
use crate::policy::SharedStore;
use crate::problem::{Problem, Problems};
use crate::telemetry::{AccessLog, Metrics, flush_lines, flush_when_idle};
use crate::upstream::Clusters;

/// A thread with a runtime of its own.
pub(super) fn spawn<F>(
    name: String,
    stopped: watch::Receiver<bool>,
    run: impl FnOnce(watch::Receiver<bool>) -> F + Send + 'static,
) -> Result<thread::JoinHandle<()>, Problems>
where
    F: Future<Output = ()>,
{
    let cannot =
        |error: io::Error| Problems::from(Problem::error(format!("a thread can't be started: {error}")));
    // One runtime a thread, of one thread each: a call never waits for another core.
    let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    thread::Builder::new().name(name).spawn(move || runtime.block_on(run(stopped))).map_err(cannot)
}

/// What a worker is told while it serves.
pub(super) enum Order {
    /// To serve its part of a listener, by this task. The worker ends once what the task is given is dropped, wherever it
    /// went; the sender tells the task to end.
    Serve(Box<dyn FnOnce(mpsc::Sender<()>) + Send>, watch::Sender<bool>),
    /// To begin to connect to backends, before the first call needs them.
    Warm(Arc<Clusters>, Option<Arc<SharedStore>>),
    /// To count itself, which it does as soon as it does anything.
    Count(Arc<AtomicUsize>),
    /// To gather its lines for another access log.
    Log(Option<Arc<AccessLog>>),
}

/// One thread that serves.
pub(super) struct Worker {
    pub number: usize,
    pub orders: mpsc::UnboundedReceiver<Order>,
    pub metrics: Arc<Metrics>,
    /// How long calls that are under way may still take at the end.
    pub drain: Arc<Drain>,
    pub signs: Signs,
}

/// The lines that a worker gathers.
struct Log {
    log: Arc<AccessLog>,
    flushing: JoinHandle<()>,
}

impl Log {
    fn begin(log: Arc<AccessLog>) -> Self {
        let flushing = tokio::spawn(flush_when_idle(Arc::clone(&log)));
        Self { log, flushing }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flushing.abort();
        flush_lines(&self.log);
    }
}

impl Worker {
    /// Serves until it is stopped, and until what is under way then has ended.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        self.metrics.worker(self.number, Handle::current().metrics());
        let (alive, mut gone) = mpsc::channel(1);
        let mut closing: Vec<watch::Sender<bool>> = Vec::new();
        let mut log = None;
        loop {
            let order = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => break,
                Some(order) = self.orders.recv() => order,
            };
            match order {
                Order::Serve(serve, close) => {
                    closing.retain(|close| close.receiver_count() > 0);
                    closing.push(close);
                    serve(alive.clone());
                }
                Order::Warm(clusters, store) => {
                    clusters.warm(self.number);
                    if let Some(store) = store {
                        store.warm(self.number);
                    }
                }
                Order::Count(alive) => {
                    alive.fetch_add(1, Ordering::Relaxed);
                }
                Order::Log(new) => {
                    // The old one first: the gathered lines are its own.
                    drop(log.take());
                    log = new.map(Log::begin);
                }
            }
        }
        for close in closing {
            close.send_replace(true);
        }
        drop(alive);
        // Connections end by themselves; WebSockets are told to, and have a moment to say so.
        let drained = timeout(self.drain.get().timeout + FAREWELL, gone.recv());
        let drained = tokio::select! {
            drained = drained => drained.is_ok(),
            () = self.signs.cut() => false,
        };
        if !drained {
            warn!(worker = self.number, "calls that were under way are cut off");
        }
        drop(log);
    }
}
