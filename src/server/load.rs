//! How many requests a listener has under way. Above its limit new ones are refused by their head alone, so that they
//! take no memory for long, however slow everything behind is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fault::{Fault, Kind};

/// The requests of a listener, over all workers.
pub(super) struct Load {
    under_way: AtomicUsize,
    most: AtomicUsize,
}

/// A request that is counted until this is dropped.
pub(super) struct Counted(Arc<Load>);

impl Load {
    pub(super) fn new(most: usize) -> Self {
        Self { under_way: AtomicUsize::new(0), most: AtomicUsize::new(most) }
    }

    /// From now on there may be so many.
    pub(super) fn allow(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Counts a request.
    pub(super) fn begin(self: &Arc<Self>) -> Counted {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(self))
    }

    /// Whether a request that is counted already may go on.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.under_way.load(Ordering::Relaxed) <= self.most.load(Ordering::Relaxed) {
            return Ok(());
        }
        let fault = Fault::new(Kind::Overloaded, "OVERLOADED", "too many requests are under way");
        Err(fault.by_rule("limits.requests".into()))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_count_until_they_are_over() {
        let load = Arc::new(Load::new(2));
        let (first, second) = (load.begin(), load.begin());
        assert!(load.check().is_ok());
        let third = load.begin();
        assert_eq!(load.check().unwrap_err().reason(), "OVERLOADED");
        drop((third, first));
        let _fourth = load.begin();
        assert!(load.check().is_ok());
        drop(second);
        load.allow(0);
        assert!(load.check().is_err());
    }
}
