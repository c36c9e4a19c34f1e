//! The thread on which upstreams are looked after beside the calls to them: what a worker does for one call must not wait
//! for it, nor do it once for each worker.

use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::error;

use super::worker::spawn;
use crate::problem::{Problem, Problems};

/// A thread that runs tasks of others. It ends when this is dropped.
pub(super) struct Background {
    handle: Handle,
    close: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Background {
    /// Starts the thread.
    ///
    /// # Errors
    /// There can't be one more.
    pub(super) fn start() -> Result<Self, Problems> {
        let (close, closed) = watch::channel(false);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = spawn("upstreams".into(), closed, move |mut closed| async move {
            // Whoever starts the thread waits for this.
            let _ = tell.send(Handle::current());
            let _ = closed.wait_for(|closed| *closed).await;
        })?;
        let gone = |_| Problem::error("the thread that looks after upstreams did not start");
        let handle = told.recv().map_err(gone)?;
        Ok(Self { handle, close, thread })
    }

    /// What tasks are put on.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends it, and waits for that.
    pub(super) fn stop(self) {
        self.close.send_replace(true);
        if self.thread.join().is_err() {
            error!("looking after upstreams ended with a panic");
        }
    }
}
