//! When a message went last on a stream, in whichever direction, for streams that end when none goes for too long. What a
//! gateway or a client sends to show that it is there (pings, heartbeats) passes elsewhere, so it is no message.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Shared by the two directions of a call and by whoever ends it.
#[derive(Debug)]
pub struct Activity {
    longest: Duration,
    began: Instant,
    /// Microseconds since then.
    last: AtomicU64,
}

impl Activity {
    /// Of a call that begins now, and may be silent for so long.
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        Self { longest, began: Instant::now(), last: AtomicU64::new(0) }
    }

    /// A message goes, or a part of one.
    pub(super) fn message(&self) {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// When it has been silent for too long, if nothing more goes; none beyond what any clock tells.
    fn ends(&self) -> Option<Instant> {
        let last = Duration::from_micros(self.last.load(Ordering::Relaxed));
        self.began.checked_add(last)?.checked_add(self.longest)
    }

    /// Whether it has been silent for too long.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ends().is_some_and(|ends| ends <= Instant::now())
    }

    /// Ready once it has been.
    pub async fn silence(&self) {
        // A message only moves the end away, so nobody has to wake this.
        while !self.is_over() {
            match self.ends() {
                Some(ends) => sleep_until(ends).await,
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_message_begins_it_anew() {
        let seconds = Duration::from_secs;
        let activity = Activity::new(seconds(10));
        let began = Instant::now();
        let messages = async {
            for _ in 0..3 {
                sleep(seconds(9)).await;
                assert!(!activity.is_over());
                activity.message();
            }
        };
        tokio::join!(activity.silence(), messages);
        assert!(activity.is_over());
        assert_eq!(began.elapsed().as_secs(), 37);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_from_the_start_counts_and_no_end_is_none() {
        let activity = Activity::new(Duration::from_secs(10));
        let began = Instant::now();
        activity.silence().await;
        assert_eq!(began.elapsed().as_secs(), 10);
        let endless = Activity::new(Duration::MAX);
        assert!(!endless.is_over() && endless.ends().is_none());
    }
}
