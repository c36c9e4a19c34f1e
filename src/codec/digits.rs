//! Whole numbers as decimal digits, eight at a time and without a table, for the writer and its times.

const ZEROS: u64 = 0x3030_3030_3030_3030;
/// One more than eight digits can say.
const EIGHT: u64 = 100_000_000;

/// The digits of a number below 10^8, leading zeros included: the first digit is the lowest byte. Each step splits all
/// lanes in two by a multiplication with the inverse.
#[inline]
const fn eight(value: u32) -> u64 {
    let halves = (value / 10_000) as u64 | ((value % 10_000) as u64) << 32;
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (halves - hundreds * 100) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (pairs - tens * 10) << 8
}

/// The same for a number below 10^4.
#[inline]
const fn four(value: u32) -> u32 {
    let hundreds = (value * 10_486) >> 20;
    let pairs = hundreds | (value - hundreds * 100) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f;
    tens | (pairs - tens * 10) << 8
}

/// The digits of a number below 10^8 as text, with leading zeros.
#[inline]
pub(crate) const fn padded(value: u32) -> [u8; 8] {
    (eight(value) | ZEROS).to_le_bytes()
}

/// Appends the first `len` of `bytes`: a copy of fixed length is cheaper than one of any length.
#[inline]
pub(crate) fn push_front<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N], len: usize) {
    let end = out.len() + len;
    out.extend_from_slice(bytes);
    out.truncate(end);
}

/// Appends a number without leading zeros.
#[inline(always)]
pub(crate) fn push_unsigned(out: &mut Vec<u8>, value: u64) {
    if value < 10_000 {
        let digits = four(value as u32);
        // The last digit counts even if it is zero.
        let zeros = (digits | 1 << 24).trailing_zeros() / 8;
        push_front(out, &((digits | ZEROS as u32) >> (8 * zeros)).to_le_bytes(), 4 - zeros as usize);
    } else if value < EIGHT {
        push_short(out, value as u32);
    } else {
        push_long(out, value);
    }
}

/// A number from 1 to 10^8 - 1.
#[inline(never)]
fn push_short(out: &mut Vec<u8>, value: u32) {
    let digits = eight(value);
    let zeros = digits.trailing_zeros() / 8;
    push_front(out, &((digits | ZEROS) >> (8 * zeros)).to_le_bytes(), 8 - zeros as usize);
}

/// A number of more than eight digits.
#[inline(never)]
fn push_long(out: &mut Vec<u8>, value: u64) {
    let (high, low) = (value / EIGHT, value % EIGHT);
    if high < EIGHT {
        push_short(out, high as u32);
    } else {
        push_short(out, (high / EIGHT) as u32);
        out.extend_from_slice(&padded((high % EIGHT) as u32));
    }
    out.extend_from_slice(&padded(low as u32));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(value: u64) {
        let mut out = b"x".to_vec();
        push_unsigned(&mut out, value);
        assert_eq!(out, format!("x{value}").into_bytes());
    }

    #[test]
    fn numbers_of_every_length() {
        for power in 0..20 {
            let power = 10u64.pow(power);
            for value in [power - 1, power, power + 1, power.saturating_mul(9), u64::MAX / power] {
                check(value);
                check(value.wrapping_neg());
            }
        }
    }

    #[test]
    fn every_half() {
        for value in 0..10_000 {
            check(value.into());
            assert_eq!(
                padded(value * 10_000 + (9999 - value)),
                *format!("{value:04}{:04}", 9999 - value).as_bytes()
            );
        }
    }

    proptest! {
        #[test]
        fn any_number(value: u64, shift in 0..64) {
            check(value >> shift);
        }
    }
}
