//! Moments as numbers that fit into an atomic, for what is known of backends by all workers.

use std::time::Duration;

use tokio::time::Instant;

/// Counts milliseconds from 1, so that 0 can say that something has not happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    born: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { born: Instant::now() }
    }

    /// Milliseconds since a moment before this clock was made; at least 1.
    pub(super) fn now(&self) -> u64 {
        millis(self.born.elapsed()).saturating_add(1)
    }
}

/// Whole milliseconds, rounded down.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `base`, doubled `times`, and no more than `max`.
pub(super) fn doubled(base: Duration, times: u32, max: Duration) -> Duration {
    base.saturating_mul(1_u32.checked_shl(times.min(31)).unwrap_or(u32::MAX)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_stops_at_the_maximum() {
        let (base, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let got: Vec<u64> = (0..6).map(|times| millis(doubled(base, times, max))).collect();
        assert_eq!(got, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(doubled(base, u32::MAX, max), max);
        assert_eq!(doubled(Duration::MAX, 3, Duration::MAX), Duration::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn it_counts_from_one() {
        let clock = Clock::new();
        assert_eq!(clock.now(), 1);
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.now(), 251);
    }
}
