//! Whether a cluster can be reached: how many of its connections take calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// How many connections of a cluster take calls now.
pub(super) struct Reach {
    ready: AtomicUsize,
    /// Told when the first one is there, and when the last one is gone; of all clusters together.
    changed: watch::Sender<()>,
}

impl Reach {
    pub(super) fn new(changed: watch::Sender<()>) -> Arc<Self> {
        Arc::new(Self { ready: AtomicUsize::new(0), changed })
    }

    pub(super) fn is_reached(&self) -> bool {
        self.ready.load(Ordering::SeqCst) > 0
    }

    /// One more, until what is returned is dropped.
    pub(super) fn count(self: &Arc<Self>) -> Counted {
        if self.ready.fetch_add(1, Ordering::SeqCst) == 0 {
            self.changed.send_replace(());
        }
        Counted(Arc::clone(self))
    }
}

/// A connection that takes calls.
pub(super) struct Counted(Arc<Reach>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.ready.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.changed.send_replace(());
        }
    }
}
