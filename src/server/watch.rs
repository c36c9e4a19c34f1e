//! How long a connection may do nothing, or not enough: found out by one timer a connection, not one a request.
//!
//! A request only counts up; the timer looks at the counts when it fires and closes what stood still since the last
//! time. What is closed has therefore waited between the time-out and half of it more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::settings::Timeouts;

/// What happened on a connection, in counts.
#[derive(Default)]
pub(super) struct Watch {
    requests: AtomicU64,
    in_flight: AtomicU32,
    /// Bytes came since the last request began: part of a next head.
    reading: AtomicBool,
    /// Nobody will read the rest of the last request's body.
    unread: AtomicBool,
    /// The client's side takes no more bytes at the moment.
    blocked: AtomicBool,
    /// How often that began.
    blocks: AtomicU64,
    /// How often bytes were taken.
    writes: AtomicU64,
}

impl Watch {
    /// A request's head is whole.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.unread.store(false, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Bytes wait, since the client's side takes none.
    pub(super) fn block(&self) {
        if !self.blocked.swap(true, Ordering::Relaxed) {
            self.blocks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Bytes were taken.
    pub(super) fn written(&self) {
        self.blocked.store(false, Ordering::Relaxed);
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// How often the client's side has stopped to take bytes.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Bytes came in.
    pub(super) fn read(&self) {
        self.reading.store(true, Ordering::Relaxed);
    }

    /// A body is given up before its end.
    pub(super) fn give_up(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Whether the client may still send what nobody reads: the rest of a body, or of a head that is no good.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed) || self.reading.load(Ordering::Relaxed)
    }
}

/// A request under way, to the end of its answer.
pub(super) struct Busy(Arc<Watch>);

impl Drop for Busy {
    fn drop(&mut self) {
        // What was read up to here belonged to this request, or the flag is set again by the rest of the next one.
        self.0.reading.store(false, Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is to be done with a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// No request for too long: close it in an orderly way.
    Idle,
    /// A head that does not get whole: cut it off.
    SlowHead,
    /// Nothing of what is to be said is taken: cut it off.
    Unread,
}

/// Looks at a [`Watch`] each time that half the head's time-out has passed.
pub(super) struct Inspector {
    timeouts: Timeouts,
    /// Whether partial heads can be told from other traffic; HTTP/2 has frames of other kinds.
    sees_heads: bool,
    requests: u64,
    slow: u32,
    idle: Duration,
    writes: u64,
    unread: Duration,
}

impl Inspector {
    pub(super) fn new(timeouts: Timeouts, sees_heads: bool) -> Self {
        Self {
            timeouts,
            sees_heads,
            requests: 0,
            slow: 0,
            idle: Duration::ZERO,
            writes: 0,
            unread: Duration::ZERO,
        }
    }

    /// How long to wait before the next look.
    pub(super) fn interval(&self) -> Duration {
        let write = self.timeouts.write.unwrap_or(Duration::MAX);
        (self.timeouts.head.min(self.timeouts.idle).min(write) / 2).max(Duration::from_millis(1))
    }

    pub(super) fn look(&mut self, watch: &Watch) -> Verdict {
        if self.is_unread(watch) {
            return Verdict::Unread;
        }
        let requests = watch.requests.load(Ordering::Relaxed);
        if watch.in_flight.load(Ordering::Relaxed) > 0 || requests != self.requests {
            self.requests = requests;
            self.slow = 0;
            self.idle = Duration::ZERO;
            return Verdict::Fine;
        }
        let interval = self.interval();
        if self.sees_heads && watch.reading.load(Ordering::Relaxed) {
            self.slow += 1;
            if interval * self.slow > self.timeouts.head {
                return Verdict::SlowHead;
            }
        }
        self.idle += interval;
        if self.idle > self.timeouts.idle { self.idle_for_too_long() } else { Verdict::Fine }
    }

    /// A connection whose answers are all handed over ends in order, unless its client leaves the last of them in its
    /// windows: then there is no end to wait for.
    fn idle_for_too_long(&self) -> Verdict {
        match self.timeouts.write {
            Some(write) if self.idle > self.timeouts.idle.saturating_add(write) => Verdict::Unread,
            Some(_) | None => Verdict::Idle,
        }
    }

    fn is_unread(&mut self, watch: &Watch) -> bool {
        let Some(longest) = self.timeouts.write else { return false };
        let writes = watch.writes.load(Ordering::Relaxed);
        if !watch.is_blocked() || writes != self.writes {
            self.writes = writes;
            self.unread = Duration::ZERO;
            return false;
        }
        self.unread += self.interval();
        self.unread > longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspector(sees_heads: bool) -> Inspector {
        let second = Duration::from_secs(1);
        Inspector::new(
            Timeouts { head: 2 * second, body: second, idle: 4 * second, write: Some(3 * second) },
            sees_heads,
        )
    }

    #[test]
    fn a_connection_without_requests_is_idle_in_the_end() {
        let watch = Arc::new(Watch::default());
        let mut inspector = inspector(true);
        for _ in 0..4 {
            assert_eq!(inspector.look(&watch), Verdict::Fine);
        }
        assert_eq!(inspector.look(&watch), Verdict::Idle);
    }

    #[test]
    fn requests_start_the_clock_again_and_long_ones_stop_it() {
        let watch = Arc::new(Watch::default());
        let mut inspector = inspector(true);
        let busy = watch.begin();
        for _ in 0..20 {
            assert_eq!(inspector.look(&watch), Verdict::Fine);
        }
        drop(busy);
        for _ in 0..4 {
            assert_eq!(inspector.look(&watch), Verdict::Fine);
        }
        drop(watch.begin());
        assert_eq!(inspector.look(&watch), Verdict::Fine);
    }

    #[test]
    fn what_is_taken_in_part_is_taken() {
        let watch = Arc::new(Watch::default());
        let mut inspector = inspector(true);
        let _busy = watch.begin();
        for _ in 0..10 {
            watch.block();
            assert_eq!(inspector.look(&watch), Verdict::Fine);
            watch.written();
        }
        watch.block();
        for want in [Verdict::Fine, Verdict::Fine, Verdict::Fine, Verdict::Fine, Verdict::Unread] {
            assert_eq!(inspector.look(&watch), want);
        }
    }

    #[test]
    fn a_head_that_trickles_in_is_cut_off() {
        let watch = Arc::new(Watch::default());
        let mut inspector = inspector(true);
        for want in [Verdict::Fine, Verdict::Fine, Verdict::SlowHead] {
            watch.read();
            assert_eq!(inspector.look(&watch), want);
        }
    }
}
