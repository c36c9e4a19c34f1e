//! Numbers in the spellings that ProtoJSON accepts: integers also with a fraction of zeros or an exponent, and all of
//! them in JSON's grammar whether quoted or not.

use super::error::ReadErrorKind;
use super::options::MAX_NUMBER_LEN;

/// The length of the JSON number at the start of `bytes`.
pub(crate) fn number_len(bytes: &[u8]) -> Option<usize> {
    let digits =
        |from: usize| -> usize { bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count() };
    let mut len = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(len);
    if whole == 0 {
        return None;
    }
    // A zero in front stands alone; a digit after it is no longer part of the number.
    len += if bytes.get(len) == Some(&b'0') { 1 } else { whole };
    if bytes.get(len) == Some(&b'.') {
        let fraction = digits(len + 1);
        if fraction == 0 {
            return None;
        }
        len += 1 + fraction;
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits(len + 1 + sign);
        if exponent == 0 {
            return None;
        }
        len += 1 + sign + exponent;
    }
    Some(len)
}

/// Whether `text` is one JSON number and nothing else.
fn check(text: &[u8]) -> Result<&str, ReadErrorKind> {
    if text.len() > MAX_NUMBER_LEN {
        return Err(ReadErrorKind::NumberTooLong);
    }
    if number_len(text) != Some(text.len()) {
        return Err(ReadErrorKind::BadNumber);
    }
    std::str::from_utf8(text).map_err(|_| ReadErrorKind::BadNumber)
}

/// Sign and magnitude of an integer spelled as a JSON number: `12`, `1.0`, `1e3`.
pub(crate) fn parse_integer(text: &[u8]) -> Result<(bool, u64), ReadErrorKind> {
    let text = check(text)?;
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = whole.bytes().chain(fraction.bytes()).map(|byte| u64::from(byte - b'0'));
    if digits.clone().all(|digit| digit == 0) {
        return Ok((negative, 0));
    }
    // An exponent that does not fit moves the point further than any text is long.
    let exponent = match exponent {
        None => 0,
        Some(text) => match text.parse::<i32>() {
            Ok(exponent) => i64::from(exponent),
            Err(_) if text.starts_with('-') => return Err(ReadErrorKind::BadNumber),
            Err(_) => return Err(ReadErrorKind::OutOfRange),
        },
    };
    // How many digits stand before the point.
    let point = whole.len() as i64 + exponent;
    let mut value = 0u64;
    for _ in 0..point.max(0) {
        let digit = digits.next();
        if value == 0 && digit.is_none() {
            // The digits left of the point were all zeros; that was answered above.
            break;
        }
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(digit.unwrap_or(0)))
            .ok_or(ReadErrorKind::OutOfRange)?;
    }
    let rest_is_zero = if point < 0 { false } else { digits.all(|digit| digit == 0) };
    if rest_is_zero { Ok((negative, value)) } else { Err(ReadErrorKind::BadNumber) }
}

/// A signed integer of `bits` bits.
pub(crate) fn signed(negative: bool, magnitude: u64, bits: u32) -> Result<i64, ReadErrorKind> {
    let limit = 1u64 << (bits - 1);
    if negative && magnitude <= limit {
        Ok((magnitude as i64).wrapping_neg())
    } else if !negative && magnitude < limit {
        Ok(magnitude as i64)
    } else {
        Err(ReadErrorKind::OutOfRange)
    }
}

/// An unsigned integer of `bits` bits.
pub(crate) fn unsigned(negative: bool, magnitude: u64, bits: u32) -> Result<u64, ReadErrorKind> {
    if (negative && magnitude != 0) || magnitude > u64::MAX >> (64 - bits) {
        return Err(ReadErrorKind::OutOfRange);
    }
    Ok(magnitude)
}

/// A number in a few plain digits, perhaps with a fraction: what most numbers look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    /// All digits, without the point.
    digits: u64,
    /// How many of them stand behind the point.
    fraction: u8,
}

/// Up to here every integer is a double.
const EXACT_DOUBLES: u64 = 1 << 53;
/// Up to here every integer is a float.
const EXACT_FLOATS: u64 = 1 << 24;
/// The powers of ten for the digits that a `Decimal` may have. All of them are doubles, the first eleven floats, too.
const POWERS: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

impl Decimal {
    /// The number at the start of `bytes`, and its length. `None` for what has an exponent, too many digits, or a form
    /// that JSON has not.
    #[inline]
    pub(crate) fn take(bytes: &[u8]) -> Option<(Self, usize)> {
        let negative = bytes.first() == Some(&b'-');
        let start = usize::from(negative);
        let (mut digits, mut at, mut point) = (0u64, start, None);
        while let Some(&byte) = bytes.get(at) {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
            } else if byte == b'.' && point.is_none() {
                point = Some(at);
            } else if matches!(byte, b'e' | b'E') {
                return None;
            } else {
                break;
            }
            at += 1;
        }
        let whole = point.unwrap_or(at) - start;
        let fraction = point.map_or(0, |point| at - point - 1);
        let zero_first = whole > 1 && bytes.get(start) == Some(&b'0');
        let ends_in_point = point.is_some() && fraction == 0;
        if whole == 0 || zero_first || ends_in_point || whole + fraction >= POWERS.len() {
            return None;
        }
        Some((Self { negative, digits, fraction: fraction as u8 }, at))
    }

    /// The double next to it, where one division of two exact doubles gives that (Clinger, "How to read floating point
    /// numbers accurately").
    #[inline]
    pub(crate) fn double(self) -> Option<f64> {
        let power = POWERS.get(usize::from(self.fraction))?;
        let value = (self.digits <= EXACT_DOUBLES).then(|| self.digits as f64 / power)?;
        Some(if self.negative { -value } else { value })
    }

    /// The float next to it, in the same way.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // exact up to 1e10
    pub(crate) fn float(self) -> Option<f32> {
        let power = *POWERS.get(..=10)?.get(usize::from(self.fraction))? as f32;
        let value = (self.digits <= EXACT_FLOATS).then(|| self.digits as f32 / power)?;
        Some(if self.negative { -value } else { value })
    }
}

/// A double spelled as a JSON number.
pub(crate) fn parse_double(text: &[u8]) -> Result<f64, ReadErrorKind> {
    let value: f64 = check(text)?.parse().map_err(|_| ReadErrorKind::BadNumber)?;
    if value.is_finite() { Ok(value) } else { Err(ReadErrorKind::OutOfRange) }
}

/// A float spelled as a JSON number.
pub(crate) fn parse_float(text: &[u8]) -> Result<f32, ReadErrorKind> {
    let value: f32 = check(text)?.parse().map_err(|_| ReadErrorKind::BadNumber)?;
    if value.is_finite() { Ok(value) } else { Err(ReadErrorKind::OutOfRange) }
}

/// The numbers that JSON has no number for, by their names in ProtoJSON.
pub(crate) fn named_double(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A double in text: a number or one of the names.
pub(crate) fn text_double(text: &[u8]) -> Result<f64, ReadErrorKind> {
    named_double(text).map_or_else(|| parse_double(text), Ok)
}

/// A float in text: a number or one of the names.
#[allow(clippy::cast_possible_truncation)] // the named values have their like in both types
pub(crate) fn text_float(text: &[u8]) -> Result<f32, ReadErrorKind> {
    named_double(text).map_or_else(|| parse_float(text), |value| Ok(value as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers() {
        use ReadErrorKind::{BadNumber, OutOfRange};
        let table = [
            ("0", Ok((false, 0))),
            ("-0", Ok((true, 0))),
            ("12", Ok((false, 12))),
            ("-12", Ok((true, 12))),
            ("1.0", Ok((false, 1))),
            ("1.5", Err(BadNumber)),
            ("1.5e1", Ok((false, 15))),
            ("150e-1", Ok((false, 15))),
            ("15e-1", Err(BadNumber)),
            ("1e3", Ok((false, 1000))),
            ("1E+3", Ok((false, 1000))),
            ("0e999999999999", Ok((false, 0))),
            ("0.0001e4", Ok((false, 1))),
            ("0.0001e3", Err(BadNumber)),
            ("0.01e1", Err(BadNumber)),
            ("1e-2", Err(BadNumber)),
            ("100e-2", Ok((false, 1))),
            ("1e999999999999", Err(OutOfRange)),
            ("1e2000000000", Err(OutOfRange)),
            ("1e-999999999999", Err(BadNumber)),
            ("18446744073709551615", Ok((false, u64::MAX))),
            ("18446744073709551616", Err(OutOfRange)),
            ("1.8446744073709551615e19", Ok((false, u64::MAX))),
            ("", Err(BadNumber)),
            ("-", Err(BadNumber)),
            ("+1", Err(BadNumber)),
            ("01", Err(BadNumber)),
            (" 1", Err(BadNumber)),
            ("1 ", Err(BadNumber)),
            ("1.", Err(BadNumber)),
            (".5", Err(BadNumber)),
            ("1e", Err(BadNumber)),
            ("0x1", Err(BadNumber)),
            ("NaN", Err(BadNumber)),
        ];
        for (text, expected) in table {
            assert_eq!(parse_integer(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(signed(true, 1 << 31, 32), Ok(i64::from(i32::MIN)));
        assert_eq!(signed(false, 1 << 31, 32), Err(ReadErrorKind::OutOfRange));
        assert_eq!(signed(true, 1 << 63, 64), Ok(i64::MIN));
        assert_eq!(signed(true, (1 << 63) + 1, 64), Err(ReadErrorKind::OutOfRange));
        assert_eq!(unsigned(true, 0, 32), Ok(0));
        assert_eq!(unsigned(true, 1, 32), Err(ReadErrorKind::OutOfRange));
        assert_eq!(unsigned(false, 1 << 32, 32), Err(ReadErrorKind::OutOfRange));
        assert_eq!(unsigned(false, u64::MAX, 64), Ok(u64::MAX));
    }

    #[test]
    fn doubles() {
        assert_eq!(parse_double(b"1e400"), Err(ReadErrorKind::OutOfRange));
        assert_eq!(parse_float(b"1e39"), Err(ReadErrorKind::OutOfRange));
        assert_eq!(parse_double(b"inf"), Err(ReadErrorKind::BadNumber));
        assert_eq!(text_double(b"-Infinity"), Ok(f64::NEG_INFINITY));
        assert!(text_float(b"NaN").unwrap().is_nan());
        assert_eq!(text_double(b"nan"), Err(ReadErrorKind::BadNumber));
        assert_eq!(text_double(b"-1.5e3"), Ok(-1500.0));
    }

    fn short(text: &str) -> Option<(Option<f64>, Option<f32>, usize)> {
        Decimal::take(text.as_bytes()).map(|(decimal, len)| (decimal.double(), decimal.float(), len))
    }

    #[test]
    fn decimals() {
        assert_eq!(short("4.375,"), Some((Some(4.375), Some(4.375), 5)));
        assert_eq!(short("-0.1]"), Some((Some(-0.1), Some(-0.1), 4)));
        assert_eq!(short("0"), Some((Some(0.0), Some(0.0), 1)));
        assert_eq!(short("-0").unwrap().0.map(f64::to_bits), Some((-0.0f64).to_bits()));
        assert_eq!(short("1.2.3"), Some((Some(1.2), Some(1.2), 3)));
        assert_eq!(short("9007199254740992"), Some((Some(9_007_199_254_740_992.0), None, 16)));
        assert_eq!(short("9007199254740993"), Some((None, None, 16)));
        assert_eq!(short("16777217"), Some((Some(16_777_217.0), None, 8)));
        for text in ["", "-", ".5", "1.", "01", "1e3", "1.5E3", "1234567890123456789", "-.1", "1.,", "NaN"] {
            assert_eq!(short(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn decimals_agree_with_the_full_parser(text in "-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,9})?") {
            if let Some((double, float, len)) = short(&text) {
                prop_assert_eq!(len, text.len());
                let full = (text.parse::<f64>().unwrap(), text.parse::<f32>().unwrap());
                prop_assert_eq!(double.unwrap_or(full.0).to_bits(), full.0.to_bits());
                prop_assert_eq!(float.unwrap_or(full.1).to_bits(), full.1.to_bits());
            }
        }

        #[test]
        fn number_grammar_agrees_with_a_json_parser(text in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?") {
            let valid = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(number_len(text.as_bytes()) == Some(text.len()), valid);
        }

        #[test]
        fn shifted_integers_come_back(value in any::<u64>(), zeros in 0..5i32) {
            let text = format!("{value}.{:0>width$}e0", 0, width = zeros as usize + 1);
            prop_assert_eq!(parse_integer(text.as_bytes()), Ok((false, value)));
            let text = format!("{}e-{zeros}", u128::from(value) * 10u128.pow(zeros as u32));
            prop_assert_eq!(parse_integer(text.as_bytes()), Ok((false, value)));
        }
    }
}
