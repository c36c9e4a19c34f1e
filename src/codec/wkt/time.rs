//! Timestamp and Duration as text: RFC 3339, and seconds with an `s`. Ranges as in the comments of
//! `google/protobuf/timestamp.proto` and `google/protobuf/duration.proto`.

use super::super::digits::{padded, push_front, push_unsigned};

/// 0001-01-01T00:00:00Z
const TIMESTAMP_MIN: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z
const TIMESTAMP_MAX: i64 = 253_402_300_799;
/// Ten thousand years: the most seconds, whatever the nanoseconds beside them.
const DURATION_MAX: i64 = 315_576_000_000;
const NANOS: i32 = 1_000_000_000;

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counting years from March so that the leap day
/// is the last one.
const fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse: year, month, day.
const fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Takes `len` digits off the front.
fn digits(text: &mut &[u8], len: usize) -> Option<i64> {
    let (front, rest) = text.split_at_checked(len)?;
    *text = rest;
    front.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn byte(text: &mut &[u8], wanted: u8) -> Option<()> {
    *text = text.strip_prefix(&[wanted])?;
    Some(())
}

/// Takes `.` and one to nine digits off the front, as nanoseconds; zero if there is no point.
fn fraction(text: &mut &[u8]) -> Option<i32> {
    if byte(text, b'.').is_none() {
        return Some(0);
    }
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 || len > 9 {
        return None;
    }
    let value = digits(text, len)?;
    i32::try_from(value * 10i64.pow(9 - len as u32)).ok()
}

/// Seconds since the epoch and nanoseconds of an RFC 3339 timestamp with any offset.
pub(crate) fn parse_timestamp(text: &[u8]) -> Option<(i64, i32)> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    byte(&mut rest, b'-')?;
    let month = digits(&mut rest, 2)?;
    byte(&mut rest, b'-')?;
    let day = digits(&mut rest, 2)?;
    byte(&mut rest, b'T')?;
    let hour = digits(&mut rest, 2)?;
    byte(&mut rest, b':')?;
    let minute = digits(&mut rest, 2)?;
    byte(&mut rest, b':')?;
    let second = digits(&mut rest, 2)?;
    let nanos = fraction(&mut rest)?;
    let offset = match *rest {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), ref zone @ ..] => {
            let mut zone = zone;
            let hours = digits(&mut zone, 2)?;
            byte(&mut zone, b':')?;
            let minutes = digits(&mut zone, 2)?;
            if !zone.is_empty() || hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    let valid = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 59;
    let seconds = days_from_date(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    (valid && (TIMESTAMP_MIN..=TIMESTAMP_MAX).contains(&seconds)).then_some((seconds, nanos))
}

/// `.` and 3, 6 or 9 digits; nothing for zero.
fn push_fraction(out: &mut Vec<u8>, nanos: u32) {
    if nanos == 0 {
        return;
    }
    let [a, b, c, d, e, f, g, h] = padded(nanos / 10);
    let digits = [b'.', a, b, c, d, e, f, g, h, b'0' + (nanos % 10) as u8];
    let len = if nanos.is_multiple_of(1_000_000) {
        4
    } else if nanos.is_multiple_of(1000) {
        7
    } else {
        10
    };
    push_front(out, &digits, len);
}

/// Appends an RFC 3339 timestamp in UTC, without quotes; `None` if out of range.
pub(crate) fn push_timestamp(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> Option<()> {
    if !(TIMESTAMP_MIN..=TIMESTAMP_MAX).contains(&seconds) || !(0..NANOS).contains(&nanos) {
        return None;
    }
    let (year, month, day) = date_from_days(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400) as u32;
    let [y0, y1, y2, y3, m0, m1, d0, d1] = padded((year * 10_000 + month * 100 + day) as u32);
    let [_, _, h0, h1, n0, n1, s0, s1] = padded(time / 3600 * 10_000 + time / 60 % 60 * 100 + time % 60);
    out.extend_from_slice(&[
        y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1,
    ]);
    push_fraction(out, nanos.unsigned_abs());
    out.push(b'Z');
    Some(())
}

/// Seconds and nanoseconds, of one sign, of a duration such as `-1.5s`.
pub(crate) fn parse_duration(text: &[u8]) -> Option<(i64, i32)> {
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 || len > 18 {
        return None;
    }
    let seconds = digits(&mut rest, len)?;
    let nanos = fraction(&mut rest)?;
    if rest != b"s" || seconds > DURATION_MAX {
        return None;
    }
    Some(if negative { (-seconds, -nanos) } else { (seconds, nanos) })
}

/// Appends a duration, without quotes; `None` if out of range or of mixed signs.
pub(crate) fn push_duration(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> Option<()> {
    let whole = seconds.unsigned_abs();
    let valid = whole <= DURATION_MAX as u64
        && nanos.unsigned_abs() < NANOS as u32
        && !(seconds > 0 && nanos < 0)
        && !(seconds < 0 && nanos > 0);
    if !valid {
        return None;
    }
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    push_unsigned(out, whole);
    push_fraction(out, nanos.unsigned_abs());
    out.push(b's');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timestamp(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        push_timestamp(&mut out, seconds, nanos)?;
        Some(String::from_utf8(out).unwrap())
    }

    fn duration(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        push_duration(&mut out, seconds, nanos)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn timestamps() {
        let table = [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("0001-01-01T00:00:00Z", Some((TIMESTAMP_MIN, 0))),
            ("9999-12-31T23:59:59.999999999Z", Some((TIMESTAMP_MAX, 999_999_999))),
            ("2000-02-29T12:34:56.100Z", Some((951_827_696, 100_000_000))),
            ("1969-12-31T23:59:59.500Z", Some((-1, 500_000_000))),
            ("2024-05-01T02:00:00+02:00", Some((1_714_521_600, 0))),
            ("2024-04-30T22:30:00-01:30", Some((1_714_521_600, 0))),
            ("2023-02-29T00:00:00Z", None),
            ("1900-02-29T00:00:00Z", None),
            ("2024-13-01T00:00:00Z", None),
            ("2024-00-01T00:00:00Z", None),
            ("2024-01-00T00:00:00Z", None),
            ("2024-01-01T24:00:00Z", None),
            ("2024-01-01T00:60:00Z", None),
            ("2024-01-01T00:00:60Z", None),
            ("2024-01-01t00:00:00Z", None),
            ("2024-01-01T00:00:00z", None),
            ("2024-01-01T00:00:00", None),
            ("2024-01-01 00:00:00Z", None),
            ("2024-01-01T00:00:00.Z", None),
            ("2024-01-01T00:00:00.1234567890Z", None),
            ("2024-01-01T00:00:00+24:00", None),
            ("2024-01-01T00:00:00+0200", None),
            ("2024-01-01T00:00:00ZZ", None),
            ("0000-12-31T23:59:59Z", None),
            ("0001-01-01T00:00:00+00:01", None),
            ("9999-12-31T23:59:59-00:01", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_timestamp(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(timestamp(951_827_696, 100_000_000).as_deref(), Some("2000-02-29T12:34:56.100Z"));
        assert_eq!(timestamp(0, 1000).as_deref(), Some("1970-01-01T00:00:00.000001Z"));
        assert_eq!(timestamp(TIMESTAMP_MIN - 1, 0), None);
        assert_eq!(timestamp(TIMESTAMP_MAX + 1, 0), None);
        assert_eq!(timestamp(0, -1), None);
        assert_eq!(timestamp(0, NANOS), None);
    }

    #[test]
    fn durations() {
        let table = [
            ("0s", Some((0, 0))),
            ("1s", Some((1, 0))),
            ("-1.5s", Some((-1, -500_000_000))),
            ("-0.5s", Some((0, -500_000_000))),
            ("0.000000001s", Some((0, 1))),
            ("315576000000s", Some((DURATION_MAX, 0))),
            ("-315576000000s", Some((-DURATION_MAX, 0))),
            ("315576000000.999999999s", Some((DURATION_MAX, 999_999_999))),
            ("-315576000000.999999999s", Some((-DURATION_MAX, -999_999_999))),
            ("315576000001s", None),
            ("1", None),
            ("s", None),
            (".5s", None),
            ("1.s", None),
            ("+1s", None),
            ("1.0000000000s", None),
            ("1 s", None),
            ("99999999999999999999s", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_duration(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(duration(-1, -500_000_000).as_deref(), Some("-1.500s"));
        assert_eq!(duration(0, -1).as_deref(), Some("-0.000000001s"));
        assert_eq!(duration(1, -1), None);
        assert_eq!(duration(-1, 1), None);
        assert_eq!(duration(DURATION_MAX + 1, 0), None);
        assert_eq!(duration(i64::MIN, i32::MIN), None);
    }

    proptest! {
        #[test]
        fn timestamps_come_back(seconds in TIMESTAMP_MIN..=TIMESTAMP_MAX, nanos in 0..NANOS) {
            let text = timestamp(seconds, nanos).unwrap();
            prop_assert_eq!(parse_timestamp(text.as_bytes()), Some((seconds, nanos)));
        }

        #[test]
        fn durations_come_back(seconds in -DURATION_MAX..=DURATION_MAX, nanos in 0..NANOS) {
            let nanos = if seconds < 0 { -nanos } else { nanos };
            let text = duration(seconds, nanos).unwrap();
            prop_assert_eq!(parse_duration(text.as_bytes()), Some((seconds, nanos)));
        }
    }
}
