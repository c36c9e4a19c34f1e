//! Single values as operators write them: sizes, durations, numbers, addresses, choices.
//!
//! The configuration file and the flags of the command line are read by the same functions, so that both take the same
//! spellings and complain in the same words. Each error says what is wrong with the text and what to write instead.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use super::reader::listed;
use crate::problem::{Problem, nearest};
use crate::route::Selector;
use crate::tls::Unusable;

/// Why a text isn't the value that it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong, in one line; quotes the text.
    pub what: String,
    /// What to write.
    pub help: Option<String>,
    /// The bytes of the text to blame; all of them where there is none.
    pub span: Option<Range<usize>>,
}

impl Wrong {
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None, span: None }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The error as a problem of what is named `name`, a key path or a flag.
    #[must_use]
    pub fn problem(self, name: &str) -> Problem {
        let problem = Problem::error(format!("`{name}`: {}", self.what));
        match self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

impl From<Unusable> for Wrong {
    fn from(unusable: Unusable) -> Self {
        Self { what: unusable.what, help: unusable.help.map(str::to_owned), span: None }
    }
}

/// One of the names in `table`.
pub fn choice<T: Clone>(text: &str, table: &[(&str, T)]) -> Result<T, Wrong> {
    if let Some((_, value)) = table.iter().find(|(name, _)| *name == text) {
        return Ok(value.clone());
    }
    let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    let wrong = Wrong::new(format!("`{text}` is none of {}", listed(&names)));
    Err(match nearest(text, names) {
        Some(name) => wrong.help(format!("did you mean `{name}`?")),
        None => wrong,
    })
}

/// `true` or `false`.
pub fn boolean(text: &str) -> Result<bool, Wrong> {
    choice(text, &[("true", true), ("false", false)])
}

/// A whole number in `range`.
pub fn number<T>(text: &str, range: &RangeInclusive<T>) -> Result<T, Wrong>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let help = || format!("write a number from {} to {}", range.start(), range.end());
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::new(format!("`{text}` is no whole number")).help(help()));
    }
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(Wrong::new(format!("{text} is out of range")).help(help())),
    }
}

/// A whole number from 1 to `most`.
pub fn positive(text: &str, most: usize) -> Result<NonZeroUsize, Wrong> {
    // The range starts at 1, so the minimum is never put in.
    number(text, &(1..=most)).map(|number| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN))
}

/// Units of sizes with their bytes, longest names first where one ends in another.
const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// A size in bytes in `range`: `4MiB`, `64KiB`, `1MB`, or bytes without a unit.
pub fn size(text: &str, range: &RangeInclusive<usize>) -> Result<usize, Wrong> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = unit.trim_start_matches(' ');
    let factor = if unit.is_empty() {
        Some(1)
    } else {
        SIZES.iter().find(|(name, _)| *name == unit).map(|size| size.1)
    };
    let (Ok(number), Some(factor)) = (digits.parse::<u64>(), factor) else {
        let wrong = Wrong::new(format!("`{text}` is no size"));
        let units = SIZES.iter().map(|size| size.0);
        let near =
            units.clone().find(|name| name.eq_ignore_ascii_case(unit)).or_else(|| nearest(unit, units));
        return Err(match near {
            Some(name) if !digits.is_empty() => wrong.help(format!("did you mean `{digits}{name}`?")),
            Some(_) | None => wrong.help("write a number and KiB, MiB, GiB, kB, MB or GB, as in `4MiB`"),
        });
    };
    let bytes = number.checked_mul(factor).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.filter(|bytes| range.contains(bytes)).ok_or_else(|| {
        let help =
            format!("write a size from {} to {}", bytes_text(*range.start()), bytes_text(*range.end()));
        Wrong::new(format!("{text} is out of range")).help(help)
    })
}

/// A size with the largest binary unit that it is a multiple of.
fn bytes_text(bytes: usize) -> String {
    for (unit, factor) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

/// Units of durations with their milliseconds.
const DURATIONS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Longer than anything waits; deadlines beyond it don't fit into every clock.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// `10s`, `500ms`, `5m`, `1h`, or several of these as in `1m30s`; more than nothing.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    match duration_or_zero(text)? {
        Duration::ZERO => {
            Err(Wrong::new(format!("{text} is no time at all")).help("write a duration such as `10s`"))
        }
        duration => Ok(duration),
    }
}

/// Like [`duration`], or nothing (`0s`).
pub fn duration_or_zero(text: &str) -> Result<Duration, Wrong> {
    let wrong = || Wrong::new(format!("`{text}` is no duration"));
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() || text.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let (Ok(number), Some((_, factor))) =
            (digits.parse::<u64>(), DURATIONS.iter().find(|(name, _)| *name == unit))
        else {
            return Err(if unit.is_empty() && !digits.is_empty() {
                wrong().help(format!("a duration has a unit, as in `{text}s`"))
            } else {
                wrong().help("write a number and ms, s, m or h, as in `10s`")
            });
        };
        total = total.saturating_add(number.saturating_mul(*factor));
        rest = after;
    }
    let duration = Duration::from_millis(total);
    if duration > LONGEST {
        return Err(Wrong::new(format!("{text} is more than a year")).help("write a duration such as `10s`"));
    }
    Ok(duration)
}

/// An address to listen at: an IP address and a port.
pub fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        let wrong = Wrong::new(format!("`{text}` is no address to listen at"));
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let known_port = port.parse::<u16>().is_ok();
        match host {
            "" | "*" if known_port => wrong.help(format!("did you mean `0.0.0.0:{port}`?")),
            "localhost" if known_port => wrong.help(format!("did you mean `127.0.0.1:{port}`?")),
            _ => wrong.help("write an IP address and a port, as in `0.0.0.0:8080` or `[::]:8080`"),
        }
    })
}

/// A selector of RPCs.
pub fn selector(text: &str) -> Result<Selector, Wrong> {
    Selector::parse(text).map_err(|error| Wrong {
        what: format!("`{text}` is no selector of RPCs: {error}"),
        help: Some(error.help().to_owned()),
        span: Some(error.span),
    })
}

/// Any text but an empty one.
pub fn text(text: &str) -> Result<String, Wrong> {
    if text.is_empty() { Err(Wrong::new("the text is empty")) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: RangeInclusive<usize> = 1..=usize::MAX;

    #[test]
    fn sizes() {
        for (text, want) in [
            ("1", 1),
            ("4MiB", 4 << 20),
            ("64KiB", 64 << 10),
            ("64 KiB", 64 << 10),
            ("1MB", 1_000_000),
            ("2kB", 2_000),
            ("3GB", 3_000_000_000),
            ("1GiB", 1 << 30),
            ("7B", 7),
        ] {
            assert_eq!(size(text, &ANY), Ok(want), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, want) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("8784h", 366 * 86_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(want)), "{text}");
        }
        assert_eq!(duration_or_zero("0s"), Ok(Duration::ZERO));
    }

    /// What the error says, help included.
    fn said<T: std::fmt::Debug>(result: Result<T, Wrong>) -> String {
        let wrong = result.expect_err("the text is wrong");
        format!("{} / {}", wrong.what, wrong.help.unwrap_or_default())
    }

    #[test]
    fn wrong_values_say_what_to_write() {
        let choices = [("stronger", 1), ("reject", 2)];
        for (got, want) in [
            (said(size("4mib", &ANY)), "`4mib` is no size / did you mean `4MiB`?"),
            (said(size("", &ANY)), "`` is no size / write a number and KiB, MiB"),
            (said(size("-1", &ANY)), "`-1` is no size / write a number"),
            (said(size("1.5MiB", &ANY)), "`1.5MiB` is no size"),
            (said(size("0", &ANY)), "0 is out of range / write a size from 1B"),
            (said(size("99999999999GiB", &ANY)), "out of range"),
            (said(size("99999999999999999999999B", &ANY)), "is no size"),
            (said(size("5GiB", &(8192..=2 << 30))), "5GiB is out of range / write a size from 8KiB to 2GiB"),
            (said(duration("10")), "`10` is no duration / a duration has a unit, as in `10s`"),
            (said(duration("10 s")), "`10 s` is no duration / write a number and ms, s, m or h"),
            (said(duration("")), "`` is no duration / write a number"),
            (said(duration("ten")), "`ten` is no duration"),
            (said(duration("-1s")), "`-1s` is no duration"),
            (said(duration("0s")), "0s is no time at all"),
            (said(duration("9999h")), "9999h is more than a year"),
            (said(duration("99999999999999999999h")), "is no duration"),
            (said(duration("18446744073709551615h1h")), "is more than a year"),
            (said(number("1001", &(1..=1000_u32))), "1001 is out of range / write a number from 1 to 1000"),
            (said(number("+1", &(1..=1000_u32))), "`+1` is no whole number"),
            (said(number("99999999999", &(1..=1000_u32))), "99999999999 is out of range"),
            (said(positive("0", 4)), "0 is out of range / write a number from 1 to 4"),
            (said(address(":8080")), "`:8080` is no address to listen at / did you mean `0.0.0.0:8080`?"),
            (said(address("8080")), "did you mean `0.0.0.0:8080`?"),
            (said(address("localhost:80")), "did you mean `127.0.0.1:80`?"),
            (said(address("localhost:99999")), "write an IP address and a port"),
            (said(address("::1:80:")), "write an IP address and a port"),
            (
                said(choice("stronge", &choices)),
                "`stronge` is none of `stronger`, `reject` / did you mean `stronger`?",
            ),
            (said(boolean("yes")), "`yes` is none of `true`, `false`"),
            (said(text("")), "the text is empty"),
            (
                said(selector("/a.B/C")),
                "`/a.B/C` is no selector of RPCs: a selector does not start with a slash",
            ),
        ] {
            assert!(got.contains(want), "{want}\nis not in\n{got}");
        }
    }
}
