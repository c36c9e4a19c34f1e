//! `grpc-timeout`: what is left of a call's time, for its backend.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Tells the backend what is left of a call's time.
pub fn put_timeout(headers: &mut HeaderMap, deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        headers.insert(GRPC_TIMEOUT, grpc_timeout_value(left));
    }
}

/// `left` as the value of `grpc-timeout`: rounded down to three digits, never nothing.
#[must_use]
fn grpc_timeout_value(left: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let left = rounded(left);
    let (number, unit) =
        [(left.as_micros(), b'u'), (left.as_millis(), b'm'), (u128::from(left.as_secs()), b'S')]
            .into_iter()
            .find(|(number, _)| *number <= MOST)
            .unwrap_or((MOST, b'S'));
    let mut buffer = itoa::Buffer::new();
    let mut text = smallvec::SmallVec::<[u8; 9]>::new();
    text.extend_from_slice(buffer.format(number.max(1)).as_bytes());
    text.push(unit);
    // Digits and a letter are always a header value.
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("1u"))
}

/// Rounds down to three digits, so that most calls say the same and HPACK has it in its table.
fn rounded(left: Duration) -> Duration {
    let micros = left.as_micros();
    let digits = micros.checked_ilog10().unwrap_or(0).saturating_sub(2);
    let step = 10_u128.pow(digits);
    u64::try_from(micros / step * step).map_or(left, Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_fits_eight_digits() {
        for (left, want) in [
            (Duration::ZERO, "1u"),
            (Duration::from_millis(1500), "1500000u"),
            (Duration::from_micros(29_999_870), "29900000u"),
            (Duration::from_secs(200), "200000m"),
            (Duration::from_secs(1_000_000), "1000000S"),
            (Duration::MAX, "99999999S"),
        ] {
            assert_eq!(grpc_timeout_value(left), want);
        }
    }
}
