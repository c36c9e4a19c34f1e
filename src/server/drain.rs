//! How a process ends: whoever sends it traffic is told first, then it accepts nothing more, then what is under way has its
//! time, and then the rest is cut off.
//!
//! The order is that of [`Running::stop`](super::Running::stop); here is what its steps tell the parts of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Builder;
use tokio::sync::watch;

/// What an operator says about the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainSettings {
    /// How long connections are still accepted once the process says that it is not ready any more.
    pub delay: Duration,
    /// How long calls that are under way may take after that.
    pub timeout: Duration,
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self { delay: Duration::ZERO, timeout: Duration::from_secs(30) }
    }
}

/// How long each part of the end may take. It may change until it begins.
pub(super) struct Drain(ArcSwap<DrainSettings>);

impl Drain {
    pub(super) fn new(settings: DrainSettings) -> Self {
        Self(ArcSwap::from_pointee(settings))
    }

    pub(super) fn get(&self) -> DrainSettings {
        **self.0.load()
    }

    pub(super) fn set(&self, settings: DrainSettings) {
        self.0.store(Arc::new(settings));
    }
}

/// How long connections of HTTP/1 have at least to leave by themselves where another process serves already: with an answer
/// that says so, so that no request meets the end of its connection.
pub(super) const LEAVING: Duration = Duration::from_secs(1);

/// How long a session that is told to end at the deadline may take to say so.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// Tells the parts of a process how near its end is.
pub(super) struct Life {
    leaving: watch::Sender<bool>,
    cut: watch::Sender<bool>,
    replaced: watch::Sender<bool>,
    /// As `leaving`, for those who ask with every answer.
    is_leaving: Arc<AtomicBool>,
}

impl Life {
    pub(super) fn new() -> Self {
        let [leaving, cut, replaced] = std::array::from_fn(|_| watch::Sender::new(false));
        Self { leaving, cut, replaced, is_leaving: Arc::default() }
    }

    /// For what is to be told.
    pub(super) fn signs(&self) -> Signs {
        Signs {
            cut: self.cut.subscribe(),
            replaced: self.replaced.subscribe(),
            is_leaving: Arc::clone(&self.is_leaving),
        }
    }

    /// Turns true when the process is not ready for new connections any more, which is before it refuses them.
    pub(super) fn leaving(&self) -> watch::Receiver<bool> {
        self.leaving.subscribe()
    }

    /// Lets others hurry the end.
    pub(super) fn cutter(&self) -> Cutter {
        Cutter(self.cut.clone())
    }

    /// Another process has the listening sockets, and accepts what comes.
    pub(super) fn replace(&self) {
        self.replaced.send_replace(true);
    }

    /// Says that the process is about to stop.
    pub(super) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
        self.leaving.send_replace(true);
    }

    /// Waits, unless the end is hurried.
    pub(super) fn wait(&self, delay: Duration) {
        if delay.is_zero() {
            return;
        }
        let mut cut = self.cut.subscribe();
        let Ok(runtime) = Builder::new_current_thread().enable_time().build() else {
            std::thread::sleep(delay);
            return;
        };
        // Either way it is over.
        let _ =
            runtime.block_on(async { tokio::time::timeout(delay, cut.wait_for(|cut| *cut)).await.is_ok() });
    }
}

/// Cuts off what is under way.
#[derive(Clone)]
pub struct Cutter(watch::Sender<bool>);

impl Cutter {
    /// Ends a drain at once.
    pub fn cut(&self) {
        self.0.send_replace(true);
    }
}

/// What a part of the process sees of the end.
#[derive(Clone)]
pub(super) struct Signs {
    cut: watch::Receiver<bool>,
    replaced: watch::Receiver<bool>,
    is_leaving: Arc<AtomicBool>,
}

impl Signs {
    /// Whether connections of HTTP/1 should end with the answer that is given next.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// Ready when everything is to be cut off.
    pub(super) async fn cut(&mut self) {
        sign(&mut self.cut).await;
    }

    /// Ready when another process accepts what comes.
    pub(super) async fn replaced(&mut self) {
        sign(&mut self.replaced).await;
    }
}

async fn sign(sign: &mut watch::Receiver<bool>) {
    if sign.wait_for(|given| *given).await.is_err() {
        // Nobody is left who could give it.
        std::future::pending().await
    }
}
