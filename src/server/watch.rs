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
}

impl Watch {
    /// A request's head is whole.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.unread.store(false, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
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
}

/// Looks at a [`Watch`] each time that half the head's time-out has passed.
pub(super) struct Inspector {
    timeouts: Timeouts,
    /// Whether partial heads can be told from other traffic; HTTP/2 has frames of other kinds.
    sees_heads: bool,
    requests: u64,
    slow: u32,
    idle: Duration,
}

impl Inspector {
    pub(super) fn new(timeouts: Timeouts, sees_heads: bool) -> Self {
        Self { timeouts, sees_heads, requests: 0, slow: 0, idle: Duration::ZERO }
    }

    /// How long to wait before the next look.
    pub(super) fn interval(&self) -> Duration {
        (self.timeouts.head / 2).min(self.timeouts.idle / 2).max(Duration::from_millis(1))
    }

    pub(super) fn look(&mut self, watch: &Watch) -> Verdict {
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
        if self.idle > self.timeouts.idle { Verdict::Idle } else { Verdict::Fine }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspector(sees_heads: bool) -> Inspector {
        let second = Duration::from_secs(1);
        Inspector::new(Timeouts { head: 2 * second, body: second, idle: 4 * second }, sees_heads)
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
    fn a_head_that_trickles_in_is_cut_off() {
        let watch = Arc::new(Watch::default());
        let mut inspector = inspector(true);
        for want in [Verdict::Fine, Verdict::Fine, Verdict::SlowHead] {
            watch.read();
            assert_eq!(inspector.look(&watch), want);
        }
    }
}
