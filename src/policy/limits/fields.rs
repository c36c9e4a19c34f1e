//! The header fields by which clients learn how limits stand: `RateLimit-Policy` and `RateLimit`, as structured fields
//! (draft-ietf-httpapi-ratelimit-headers-10, sections 2 and 3).

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::Standing;
use super::settings::{Limit, Measure};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// `"name";q=20;w=2`: what a limit allows.
pub(super) fn policy(limit: &Limit) -> String {
    let (quota, window) = match &limit.measure {
        Measure::Rate(rate) => {
            // A burst, and how long it takes to come back. One that comes back in less than a second is no window of
            // whole seconds; then it is what comes in one.
            let (burst, count) = (u128::from(rate.burst.get()), u128::from(rate.count.get()));
            let (per, second) = (rate.per.as_nanos().max(1), Duration::from_secs(1).as_nanos());
            let back = per * burst / count;
            if back >= second { (burst, back.div_ceil(second)) } else { (count * second / per, 1) }
        }
        Measure::Quota(quota) => (u128::from(quota.most.get()), u128::from(quota.window.length)),
    };
    format!("{};q={quota};w={window}", name(limit))
}

/// `"name";r=5;t=3`, for each limit: what is left, and after how many seconds it is as new. Names are as [`name`] gives
/// them. This is done for every call.
pub(super) fn standings<'n>(all: impl Iterator<Item = (&'n str, &'n Standing)>) -> Option<HeaderValue> {
    let mut text = String::with_capacity(64);
    let mut number = itoa::Buffer::new();
    for (name, standing) in all {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(name);
        text.push_str(";r=");
        text.push_str(number.format(standing.remaining));
        text.push_str(";t=");
        text.push_str(number.format(whole_seconds(standing.reset)));
    }
    if text.is_empty() { None } else { HeaderValue::try_from(text).ok() }
}

/// A name as a String of structured fields (RFC 9651, section 3.3.3).
pub(super) fn name(limit: &Limit) -> String {
    let mut text = String::with_capacity(limit.name.len() + 24);
    text.push('"');
    for c in limit.name.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A list of structured fields.
pub(super) fn list(items: impl IntoIterator<Item = String>) -> Option<HeaderValue> {
    let items: Vec<String> = items.into_iter().collect();
    if items.is_empty() { None } else { HeaderValue::from_str(&items.join(", ")).ok() }
}

/// What clients are told: both fields.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub policy: Option<HeaderValue>,
    pub standing: Option<HeaderValue>,
}

impl Told {
    /// Adds the fields to those that a backend, or another limit, has put there: lists in several lines are one list.
    pub(super) fn put(self, headers: &mut HeaderMap) {
        for (name, value) in [(POLICY, self.policy), (RATE_LIMIT, self.standing)] {
            if let Some(value) = value {
                headers.append(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::policy::limits::settings::{KeyPart, Quota, Rate, Window};

    fn limit(name: &str, measure: Measure) -> Limit {
        Limit { measure, key: vec![KeyPart::Global], name: name.to_owned(), shared: false }
    }

    fn rate(count: u32, seconds: u64, burst: u32) -> Measure {
        let some = |number| NonZeroU32::new(number).unwrap();
        Measure::Rate(Rate { count: some(count), per: Duration::from_secs(seconds), burst: some(burst) })
    }

    #[test]
    fn policies() {
        let day =
            Quota { most: NonZeroU32::new(1000).unwrap(), window: Window { length: 86_400, before: 0 } };
        for (limit, want) in [
            (limit("10/s", rate(10, 1, 20)), "\"10/s\";q=20;w=2"),
            (limit("a \"b\\", rate(1, 60, 1)), "\"a \\\"b\\\\\";q=1;w=60"),
            (limit("x", rate(1000, 1, 20)), "\"x\";q=1000;w=1"),
            (limit("x", rate(3, 1, 3)), "\"x\";q=3;w=1"),
            (limit("day", Measure::Quota(day)), "\"day\";q=1000;w=86400"),
        ] {
            assert_eq!(policy(&limit), want);
        }
    }

    #[test]
    fn standings_are_rounded_up_to_seconds() {
        let at = |millis| Standing { remaining: 3, reset: Duration::from_millis(millis), retry: None };
        let (first, second) = (at(0), at(1001));
        let told = standings([("\"x\"", &first), ("\"y\"", &second)].into_iter());
        assert_eq!(told.unwrap(), "\"x\";r=3;t=0, \"y\";r=3;t=2");
        assert_eq!(standings([].into_iter()), None);
    }

    #[test]
    fn a_list_of_none_is_no_field() {
        assert_eq!(list([]), None);
        assert_eq!(list(["a".to_owned(), "b".to_owned()]).unwrap(), "a, b");
    }
}
