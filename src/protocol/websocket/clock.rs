//! When something was last heard of a client, and when there was a message last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::WebSocketSettings;

/// Shared by the two directions of a session.
pub(super) struct Clock {
    born: Instant,
    /// Milliseconds since then.
    heard: AtomicU64,
    message: AtomicU64,
}

/// Why a session ends that nobody ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silent {
    /// Nothing was heard of the client.
    Gone,
    /// There was no message.
    Idle,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { born: Instant::now(), heard: AtomicU64::new(0), message: AtomicU64::new(0) }
    }

    /// The client is there.
    pub(super) fn heard(&self) {
        self.heard.store(self.now(), Ordering::Relaxed);
    }

    /// There is a message, in whichever direction.
    pub(super) fn message(&self) {
        self.message.store(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn since(&self, then: &AtomicU64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(then.load(Ordering::Relaxed)))
    }

    /// Waits until there was nothing for too long.
    pub(super) async fn silence(&self, settings: &WebSocketSettings) -> Silent {
        let gone = settings.ping.saturating_mul(2);
        loop {
            let (heard, message) = (self.since(&self.heard), self.since(&self.message));
            if heard >= gone {
                return Silent::Gone;
            }
            if message >= settings.idle {
                return Silent::Idle;
            }
            // A part of a millisecond is no reason to look again at once.
            sleep((gone - heard).min(settings.idle - message).max(Duration::from_millis(1))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_found_out() {
        let settings = WebSocketSettings { ping: Duration::from_secs(30), idle: Duration::from_secs(100) };
        let clock = Clock::new();
        assert_eq!(clock.silence(&settings).await, Silent::Gone);
        assert_eq!(clock.born.elapsed().as_secs(), 60);
        let clock = Clock::new();
        let pongs = async {
            loop {
                sleep(Duration::from_secs(30)).await;
                clock.heard();
            }
        };
        let silent =
            tokio::select! { silent = clock.silence(&settings) => silent, () = pongs => Silent::Gone };
        assert_eq!((silent, clock.born.elapsed().as_secs()), (Silent::Idle, 100));
    }
}
