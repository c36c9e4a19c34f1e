//! Quotas in this process: so many in each window of the calendar.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use super::Standing;
use super::settings::{Quota, Window};
use super::table::Table;

/// One quota, for every key. The numbers of the table are a window's number and, below it, what was taken in it.
pub(super) struct Windows {
    table: Table,
    window: Window,
    most: u32,
    now: fn() -> Duration,
}

/// What is left of the window, and its number.
struct Present {
    number: u32,
    left: Duration,
}

impl Windows {
    /// `most` keys are remembered at once.
    pub(super) fn new(quota: &Quota, most: usize) -> Self {
        Self::with_clock(quota, most, since_epoch)
    }

    /// `now` is the time since the epoch.
    fn with_clock(quota: &Quota, most: usize, now: fn() -> Duration) -> Self {
        Self { table: Table::new(most), window: quota.window, most: quota.most.get(), now }
    }

    /// Takes `cost`, if there is that much.
    pub(super) fn take(&self, key: u64, cost: NonZeroU32) -> Standing {
        let present = self.present();
        let floor = u64::from(present.number) << 32;
        let decided: Result<u32, u32> = self.table.change(
            key,
            || floor,
            |value| {
                let (number, taken) = split(value.unwrap_or(floor));
                // A clock that was set back gives nothing again.
                let (number, taken) =
                    if number < present.number { (present.number, 0) } else { (number, taken) };
                match taken.checked_add(cost.get()) {
                    Some(sum) if sum <= self.most => {
                        Ok((self.most - sum, u64::from(number) << 32 | u64::from(sum)))
                    }
                    Some(_) | None => Err(self.most.saturating_sub(taken)),
                }
            },
        );
        match decided {
            Ok(remaining) => Standing { remaining, reset: present.left, retry: None },
            Err(remaining) => Standing { remaining, reset: present.left, retry: Some(present.left) },
        }
    }

    /// Gives back what a call took that another limit refused. `standing` is how it stood after that.
    pub(super) fn give_back(&self, key: u64, cost: NonZeroU32, standing: Standing) -> Standing {
        self.table.amend(key, |value| {
            let (number, taken) = split(value);
            u64::from(number) << 32 | u64::from(taken.saturating_sub(cost.get()))
        });
        Standing { remaining: standing.remaining.saturating_add(cost.get()).min(self.most), ..standing }
    }

    fn present(&self) -> Present {
        let now = (self.now)();
        let seconds = now.as_secs().saturating_add(self.window.before);
        let length = self.window.length.max(1);
        let left = length - seconds % length;
        let left = Duration::from_secs(left).saturating_sub(Duration::from_nanos(now.subsec_nanos().into()));
        // With windows of an hour and more, this lasts for half a million years.
        Present { number: u32::try_from(seconds / length).unwrap_or(u32::MAX), left }
    }
}

fn split(value: u64) -> (u32, u32) {
    // Both halves fit.
    ((value >> 32) as u32, value as u32)
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    const ONE: NonZeroU32 = NonZeroU32::MIN;
    const HOUR: u64 = 3600;

    fn windows(most: u32, length: u64, before: u64) -> Windows {
        let window = Window { length, before };
        Windows::with_clock(&Quota { most: NonZeroU32::new(most).unwrap(), window }, 100, || NOW.get())
    }

    #[test]
    fn each_window_has_its_own_quota_and_no_more() {
        let windows = windows(3, HOUR, 0);
        NOW.set(Duration::from_millis(1_000 * (5 * HOUR + 3_000) + 250));
        for remaining in [2, 1, 0] {
            let standing = windows.take(1, ONE);
            assert_eq!((standing.remaining, standing.retry), (remaining, None));
            assert_eq!(standing.reset, Duration::from_millis(599_750));
        }
        assert_eq!(windows.take(1, ONE).retry, Some(Duration::from_millis(599_750)));
        assert_eq!(windows.take(2, ONE).retry, None, "keys are apart");
        NOW.set(Duration::from_secs(6 * HOUR));
        assert_eq!(windows.take(1, ONE).remaining, 2);
    }

    #[test]
    fn a_clock_that_is_set_back_gives_nothing_again() {
        let windows = windows(1, HOUR, 0);
        NOW.set(Duration::from_secs(10 * HOUR));
        assert_eq!(windows.take(1, ONE).retry, None);
        NOW.set(Duration::from_secs(9 * HOUR));
        assert!(windows.take(1, ONE).retry.is_some());
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_costs_count() {
        let windows = windows(5, HOUR, 0);
        let three = NonZeroU32::new(3).unwrap();
        let standing = windows.take(1, three);
        assert_eq!(standing.remaining, 2);
        let refused = windows.take(1, three);
        assert_eq!((refused.remaining, refused.retry.is_some()), (2, true));
        assert_eq!(windows.give_back(1, three, standing).remaining, 5);
        assert_eq!(windows.take(1, three).remaining, 2);
    }

    #[test]
    fn weeks_begin_on_a_monday() {
        let windows = windows(1, 7 * 24 * HOUR, 3 * 24 * HOUR);
        // 2026-11-30.
        let monday = 1_795_996_800;
        assert_eq!((monday / (24 * HOUR) + 3) % 7, 0, "days since a Monday");
        NOW.set(Duration::from_secs(monday - 1));
        assert_eq!(windows.take(1, ONE).reset, Duration::from_secs(1));
        NOW.set(Duration::from_secs(monday));
        assert_eq!(windows.take(1, ONE).reset, Duration::from_secs(7 * 24 * HOUR));
    }
}
