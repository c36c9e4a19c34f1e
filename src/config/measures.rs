//! How many in which time, as limits of a configuration write it: `rate: 10/s` with its `burst`, `quota: 1000/day`.

use std::num::NonZeroU32;
use std::time::Duration;

use super::reader::Map;
use super::values::{self, Wrong};
use crate::policy::{Measure, Quota, Rate, Window};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Nothing is remembered for longer.
const YEAR: u64 = 366 * DAY;

/// Units of time with their seconds.
const UNITS: [(&str, u64); 12] = [
    ("s", 1),
    ("sec", 1),
    ("second", 1),
    ("m", 60),
    ("min", 60),
    ("minute", 60),
    ("h", HOUR),
    ("hour", HOUR),
    ("d", DAY),
    ("day", DAY),
    ("w", 7 * DAY),
    ("week", 7 * DAY),
];

/// A measure, and how it was written.
pub(super) type Written = (Measure, String);

/// One of `rate` (with `burst`) and `quota`.
pub(super) fn measure(map: &mut Map<'_>) -> Option<Written> {
    let rate = map.get("rate");
    let quota = map.get("quota");
    let burst = map.get("burst");
    match (rate, quota) {
        (Some(rate), None) => {
            let (text, per) = (rate.text()?, rate.parse(rate_text)?);
            let burst = match burst {
                Some(burst) => burst.parse(count)?,
                None => per.0,
            };
            let rate_of = Rate { count: per.0, per: Duration::from_secs(per.1), burst };
            if rate_of.period().as_secs_f64() * f64::from(burst.get()) > YEAR as f64 {
                rate.wrong("such a burst takes more than a year to come back", "write a smaller `burst`");
                return None;
            }
            Some((Measure::Rate(rate_of), text.to_owned()))
        }
        (None, Some(quota)) => {
            if let Some(burst) = burst {
                burst.wrong("a quota has no burst", "leave `burst` out");
            }
            let (most, length) = quota.parse(quota_text)?;
            // The epoch was a Thursday.
            let before = if length.is_multiple_of(7 * DAY) { 3 * DAY } else { 0 };
            Some((
                Measure::Quota(Quota { most, window: Window { length, before } }),
                quota.text()?.to_owned(),
            ))
        }
        (Some(_), Some(quota)) => {
            quota.wrong("a limit has a `rate` or a `quota`", "make two limits of them");
            None
        }
        (None, None) => {
            map.missing("rate", "write how many in which time, as in `rate: 10/s` or `quota: 1000/day`");
            None
        }
    }
}

/// A number from 1 on.
pub(super) fn count(text: &str) -> Result<NonZeroU32, Wrong> {
    // The range starts at 1, so the minimum is never put in.
    values::number(text, &(1..=u32::MAX)).map(|number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
}

/// `10/s`, `100/10s`: a number, and in how many seconds.
fn per(text: &str, example: &str) -> Result<(NonZeroU32, u64), Wrong> {
    let wrong = || {
        Wrong::new(format!("`{text}` does not say how many in which time"))
            .help(format!("write it as in `{example}`"))
    };
    let (number, time) = text.split_once('/').ok_or_else(wrong)?;
    let number = count(number).map_err(|_| wrong())?;
    let (many, unit) = time.split_at(time.find(|c: char| !c.is_ascii_digit()).unwrap_or(time.len()));
    let many: u64 = if many.is_empty() { 1 } else { many.parse().map_err(|_| wrong())? };
    let seconds = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds);
    let seconds = seconds.and_then(|seconds| seconds.checked_mul(many)).filter(|seconds| *seconds > 0);
    match seconds {
        Some(seconds) if seconds <= YEAR => Ok((number, seconds)),
        Some(_) => Err(Wrong::new(format!("{text} is about more than a year")).help("write a shorter time")),
        None => Err(wrong()),
    }
}

/// A number in less than an hour.
fn rate_text(text: &str) -> Result<(NonZeroU32, u64), Wrong> {
    let (number, seconds) = per(text, "10/s")?;
    if seconds >= HOUR {
        return Err(Wrong::new(format!(
            "{text} is no rate: it could all come in the first moment and again in the last"
        ))
        .help(format!("write `quota: {text}`, or a rate for less than an hour, as in `10/s`")));
    }
    // A call takes a nanosecond at least.
    if u64::from(number.get()) > seconds.saturating_mul(1_000_000) {
        return Err(
            Wrong::new(format!("{text} is more than a million in a second")).help("leave the limit out")
        );
    }
    Ok((number, seconds))
}

/// A number in an hour or more.
fn quota_text(text: &str) -> Result<(NonZeroU32, u64), Wrong> {
    let (number, seconds) = per(text, "1000/day")?;
    if seconds < HOUR {
        return Err(Wrong::new(format!("{text} is no quota: that is for an hour or more"))
            .help(format!("write `rate: {text}`")));
    }
    if !seconds.is_multiple_of(HOUR) {
        return Err(Wrong::new(format!("{text} is not about whole hours")).help("write it as in `1000/day`"));
    }
    Ok((number, seconds))
}
