//! How long a call waits before it is tried again: exponential, with full jitter, so that calls which failed together do
//! not come back together.

use std::time::Duration;

use super::clock::doubled;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// The longest that the first pause takes.
    pub base: Duration,
    /// The longest that any pause takes.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(25), max: Duration::from_millis(250) }
    }
}

impl Backoff {
    /// The longest pause after so many that were before it: `base`, and each time twice as much, up to `max`.
    pub(super) fn longest(self, before: u32) -> Duration {
        doubled(self.base, before, self.max)
    }

    /// A pause: anything from nothing to [`Backoff::longest`], all alike.
    pub(super) fn pause(self, before: u32) -> Duration {
        self.longest(before).mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum_and_use_all_of_it() {
        let backoff = Backoff { base: Duration::from_millis(10), max: Duration::from_millis(50) };
        for (before, longest) in [(0, 10), (1, 20), (2, 40), (3, 50), (40, 50)] {
            let longest = Duration::from_millis(longest);
            assert_eq!(backoff.longest(before), longest);
            let pauses: Vec<Duration> = (0..1000).map(|_| backoff.pause(before)).collect();
            assert!(pauses.iter().all(|pause| *pause <= longest));
            // Each tenth of the span is hit; that one is missed has a chance below 1e-40.
            for tenth in 0..10 {
                let (from, to) = (longest * tenth / 10, longest * (tenth + 1) / 10);
                assert!(pauses.iter().any(|pause| (from..=to).contains(pause)), "{before} {tenth}");
            }
        }
    }
}
