//! Waiting for what happens on other threads.

use std::time::{Duration, Instant};

/// Long enough for a loaded machine; nothing that works takes nearly as long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
