//! Requests that are kept while they may have to be sent again: so much of a call, and so much on a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most that is kept of one call, in bytes.
pub(super) const OF_CALL: usize = 64 << 10;
/// The most that is kept on one worker over all calls, in bytes.
const OF_WORKER: usize = 16 << 20;

thread_local! {
    /// Of the worker that runs here. A call stays on its worker, and what it holds goes back to where it was taken.
    static ROOM: Arc<AtomicUsize> = Arc::default();
}

/// Room that a call has taken, until this is dropped.
pub(super) struct Kept {
    room: Arc<AtomicUsize>,
    bytes: usize,
}

impl Kept {
    /// Takes room for so many bytes on this worker, if there is enough, and if a call may have it.
    pub(super) fn take(bytes: usize) -> Option<Self> {
        let mut kept = Self { room: ROOM.with(Arc::clone), bytes: 0 };
        kept.grow(bytes).then_some(kept)
    }

    /// Takes more, if there is enough. What was taken stays taken in any case.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let fits = self.bytes.checked_add(bytes).is_some_and(|all| all <= OF_CALL);
        if !fits {
            return false;
        }
        if self.room.fetch_add(bytes, Ordering::Relaxed) + bytes > OF_WORKER {
            self.room.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.room.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used() -> usize {
        ROOM.with(|room| room.load(Ordering::Relaxed))
    }

    #[test]
    fn a_call_has_its_part_and_gives_it_back() {
        let mut kept = Kept::take(OF_CALL - 10).unwrap();
        assert!(!kept.grow(11));
        assert!(kept.grow(10));
        assert!(!kept.grow(1));
        assert_eq!(used(), OF_CALL);
        drop(kept);
        assert_eq!(used(), 0);
        assert!(Kept::take(OF_CALL + 1).is_none());
        assert!(!Kept::take(1).unwrap().grow(usize::MAX));
        assert_eq!(used(), 0);
    }

    #[test]
    fn a_worker_has_no_more_than_its_room() {
        let all: Vec<Kept> = std::iter::from_fn(|| Kept::take(OF_CALL)).collect();
        assert_eq!(all.len(), OF_WORKER / OF_CALL);
        assert!(Kept::take(1).is_none());
        // Another worker has room of its own, and what goes over to it is given back here.
        std::thread::spawn(move || {
            assert!(Kept::take(OF_CALL).is_some());
            drop(all);
            assert_eq!(used(), 0);
        })
        .join()
        .unwrap();
        assert_eq!(used(), 0);
    }
}
