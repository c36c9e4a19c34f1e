//! The weights that clients give to what they accept.

/// The weight (`q`) among the parameters of an item, in thousandths: 1000 without one, 0 for one that can't be read, as what
/// was not understood was not wished for (RFC 9110, section 12.4.2).
pub(super) fn weight(parameters: &str) -> u16 {
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then_some(value.trim())
    });
    weight.map_or(1000, |weight| thousandths(weight).unwrap_or(0))
}

/// `0`, `1`, and up to three digits behind the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    let fraction = fraction.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match (whole, fraction) {
        ("0", _) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights() {
        let cases: &[(&str, u16)] = &[
            ("", 1000),
            ("level=1", 1000),
            ("q=1", 1000),
            ("q=1.", 1000),
            ("q=1.000", 1000),
            ("q=0.5", 500),
            ("q=0.501", 501),
            ("q=0.001", 1),
            (" charset=utf-8 ; Q = 0.25 ", 250),
            ("q=0", 0),
            ("q=0.000", 0),
            // None that can be read.
            ("q=", 0),
            ("q=2", 0),
            ("q=1.001", 0),
            ("q=0.1234", 0),
            ("q=-1", 0),
            ("q=.5", 0),
            ("q=0.5e1", 0),
            ("q=x", 0),
        ];
        for (parameters, want) in cases {
            assert_eq!(weight(parameters), *want, "{parameters:?}");
        }
    }
}
