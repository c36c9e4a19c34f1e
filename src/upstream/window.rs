//! How many calls failed of how many, over the last while: counted by all workers in a few atomics.
//!
//! The while is cut into slices. A slice that is over gives way to a new one, so what is counted spans between nine tenths
//! of the while and all of it.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::millis;

const SLICES: u64 = 10;
/// Bits of each count of a slice; above both stands the number of the slice.
const BITS: u32 = 20;
const MOST: u64 = (1 << BITS) - 1;
const NUMBERS: u64 = (1 << (u64::BITS - 2 * BITS)) - 1;

/// Counts over a while that goes along with the time.
pub(super) struct Window {
    /// Milliseconds of a slice.
    slice: u64,
    slices: [AtomicU64; SLICES as usize],
}

/// What a window holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub total: u64,
    pub failed: u64,
}

impl Counts {
    /// Whether at least `percent` of at least `min_calls` failed.
    pub(super) fn reach(self, percent: u8, min_calls: u32) -> bool {
        self.failed > 0
            && self.total >= u64::from(min_calls)
            && self.failed * 100 >= u64::from(percent) * self.total
    }
}

impl Window {
    pub(super) fn new(span: Duration) -> Self {
        Self { slice: (millis(span) / SLICES).max(1), slices: array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// The slice of a moment: its place, and its number as it is kept.
    fn slice_at(&self, now: u64) -> (usize, u64) {
        let number = now / self.slice;
        // The remainder of a small number.
        (usize::try_from(number % SLICES).unwrap_or(0), number & NUMBERS)
    }

    /// Counts one call that ended at `now`, milliseconds of one clock.
    pub(super) fn add(&self, now: u64, failed: bool) {
        let (place, number) = self.slice_at(now);
        let Some(slice) = self.slices.get(place) else { return };
        let add = |packed: u64| {
            let (mut counts, of) = unpack(packed);
            if of != number {
                counts = Counts::default();
            }
            if counts.total == MOST {
                // What counts is the share.
                counts = Counts { total: counts.total / 2, failed: counts.failed / 2 };
            }
            Some(pack(Counts { total: counts.total + 1, failed: counts.failed + u64::from(failed) }, number))
        };
        // It never gives up, so it never fails.
        let _ = slice.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// What was counted in the while before `now`.
    pub(super) fn counts(&self, now: u64) -> Counts {
        let newest = now / self.slice;
        let mut sum = Counts::default();
        for slice in &self.slices {
            let (counts, of) = unpack(slice.load(Ordering::Relaxed));
            if (newest.wrapping_sub(of)) & NUMBERS < SLICES {
                sum.total += counts.total;
                sum.failed += counts.failed;
            }
        }
        sum
    }

    pub(super) fn clear(&self) {
        for slice in &self.slices {
            slice.store(0, Ordering::Relaxed);
        }
    }
}

fn pack(counts: Counts, number: u64) -> u64 {
    number << (2 * BITS) | counts.failed << BITS | counts.total
}

fn unpack(packed: u64) -> (Counts, u64) {
    (Counts { total: packed & MOST, failed: packed >> BITS & MOST }, packed >> (2 * BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_is_forgotten_slice_by_slice() {
        let window = Window::new(Duration::from_secs(10));
        for second in 0..10 {
            window.add(second * 1000 + 1, second % 2 == 0);
        }
        assert_eq!(window.counts(9_999), Counts { total: 10, failed: 5 });
        assert_eq!(window.counts(10_000), Counts { total: 9, failed: 4 });
        window.add(10_000, false);
        assert_eq!(window.counts(10_000), Counts { total: 10, failed: 4 });
        assert_eq!(window.counts(15_000), Counts { total: 5, failed: 2 });
        assert_eq!(window.counts(60_000), Counts::default());
        window.clear();
        assert_eq!(window.counts(10_000), Counts::default());
    }

    #[test]
    fn a_full_slice_keeps_its_share() {
        let window = Window::new(Duration::from_secs(10));
        for call in 0..3 * MOST {
            window.add(1, call % 4 == 0);
        }
        let Counts { total, failed } = window.counts(1);
        assert!(total > MOST / 2 && failed.abs_diff(total / 4) < 10, "{total} {failed}");
    }

    #[test]
    fn a_share_needs_calls_and_failures() {
        for (total, failed, percent, min_calls, want) in [
            (20, 10, 50, 20, true),
            (19, 19, 50, 20, false),
            (20, 9, 50, 20, false),
            (0, 0, 50, 0, false),
            (1, 1, 100, 1, true),
            (1, 0, 1, 1, false),
        ] {
            let counts = Counts { total, failed };
            assert_eq!(counts.reach(percent, min_calls), want, "{counts:?}");
        }
    }
}
