//! What an upstream does about endpoints that fail: the keys `breaker`, `ejection`, `panic`, `retry_budget` and `limits`
//! of an upstream.

use std::time::Duration;

use super::health;
use super::reader::{Map, Value};
use super::values::{self, Wrong};
use crate::upstream::{
    BreakerSettings, BudgetSettings, EjectionSettings, EndpointLimits, FailureRate, Resilience,
};

/// More failures in a row than anybody waits for.
const MOST_CALLS: u32 = 1_000_000;

/// The keys of an upstream that say what is done about endpoints that fail.
pub(super) fn resilience(map: &mut Map<'_>) -> Resilience {
    let health = map.get("health").and_then(|value| health::read(&value));
    let mut resilience = Resilience { health, ..Resilience::default() };
    if let Some(value) = map.get("ejection") {
        resilience.ejection = or_off(&value, ejection);
    }
    resilience.breaker = map.get("breaker").and_then(|value| or_off(&value, breaker));
    resilience.endpoint_breaker = map.get("endpoint_breaker").and_then(|value| or_off(&value, breaker));
    if let Some(value) = map.get("panic") {
        if resilience.health.is_none() && resilience.ejection.is_none() {
            value.wrong("no endpoint is ever left out", "add `health` or `ejection`, or leave `panic` out");
        }
        let panic = value.parse(|text| if text == "off" { Ok(0) } else { percent(text) });
        resilience.panic = panic.unwrap_or(resilience.panic);
    }
    if let Some(value) = map.get("retry_budget") {
        resilience.budget = value.map(budget).unwrap_or_default();
    }
    resilience.limits = map.get("limits").and_then(|value| value.map(limits)).unwrap_or_default();
    resilience
}

/// A map, or `off`.
fn or_off<T>(value: &Value<'_>, read: impl FnOnce(&mut Map<'_>) -> Option<T>) -> Option<T> {
    if value.is_map() {
        return value.map(read).flatten();
    }
    value.parse(|text| values::choice(text, &[("off", ())]));
    None
}

fn ejection(map: &mut Map<'_>) -> Option<EjectionSettings> {
    let mut settings = EjectionSettings::default();
    let (consecutive, rate) = failures(map);
    settings.consecutive = consecutive.unwrap_or(settings.consecutive);
    settings.rate = rate;
    map.set("base", &mut settings.base, values::duration);
    settings.max = settings.max.max(settings.base);
    longest(map, "max", "base", settings.base, &mut settings.max);
    map.set("max_ejected", &mut settings.max_ejected, percent);
    if settings.consecutive.is_none() && settings.rate.is_none() {
        map.whole()
            .wrong("nothing ejects an endpoint", "write `ejection: off`, or when an endpoint is ejected");
        return None;
    }
    Some(settings)
}

fn breaker(map: &mut Map<'_>) -> Option<BreakerSettings> {
    let (consecutive, rate) = failures(map);
    let by_default = Some(BreakerSettings::DEFAULT_CONSECUTIVE);
    let mut settings = BreakerSettings {
        // One that is told a share alone is told all of it.
        consecutive: consecutive.unwrap_or(if rate.is_some() { None } else { by_default }),
        rate,
        open: BreakerSettings::DEFAULT_OPEN,
        max_open: BreakerSettings::DEFAULT_MAX_OPEN,
        probes: BreakerSettings::DEFAULT_PROBES,
    };
    map.set("open", &mut settings.open, values::duration);
    settings.max_open = settings.max_open.max(settings.open);
    longest(map, "max_open", "open", settings.open, &mut settings.max_open);
    map.set("probes", &mut settings.probes, |text| values::number(text, &(1..=1000)));
    if settings.consecutive.is_none() && settings.rate.is_none() {
        map.whole().wrong("nothing opens the breaker", "leave it out, or write when it opens");
        return None;
    }
    Some(settings)
}

/// The longest of something that grows, which is not below what it begins with.
fn longest(map: &mut Map<'_>, key: &'static str, first: &'static str, begins: Duration, slot: &mut Duration) {
    map.set(key, slot, |text| {
        let longest = values::duration(text)?;
        if longest < begins {
            return Err(Wrong::new(format!("{text} is less than `{first}`")).help("write a longer time"));
        }
        Ok(longest)
    });
}

/// When calls have failed too often: in a row (`Some(None)` for never), and by their share.
fn failures(map: &mut Map<'_>) -> (Option<Option<u32>>, Option<FailureRate>) {
    let consecutive = map.value("consecutive", |text| match text {
        "off" => Ok(None),
        _ => values::number(text, &(1..=MOST_CALLS)).map(Some),
    });
    let share = map.value("failures", percent);
    let (min_calls, window) = (map.get("min_calls"), map.get("window"));
    let Some(percent) = share else {
        for value in [min_calls, window].into_iter().flatten() {
            value.wrong(
                "no share of failures is asked for",
                "add one, as in `failures: 50%`, or leave this out",
            );
        }
        return (consecutive, None);
    };
    let min_calls = min_calls.and_then(|value| value.parse(|text| values::number(text, &(1..=MOST_CALLS))));
    let rate = FailureRate {
        percent,
        min_calls: min_calls.unwrap_or(FailureRate::DEFAULT_MIN_CALLS),
        window: window.and_then(|value| value.parse(values::duration)).unwrap_or(FailureRate::DEFAULT_WINDOW),
    };
    (consecutive, Some(rate))
}

fn budget(map: &mut Map<'_>) -> BudgetSettings {
    let mut settings = BudgetSettings::default();
    map.set("share", &mut settings.percent, |text| share(text, 0));
    map.set("min_per_second", &mut settings.per_second, |text| values::number(text, &(0..=MOST_CALLS)));
    if map.whole().is_empty_map() {
        map.whole().wrong("the budget sets nothing", "give it a `share` or a `min_per_second`");
    }
    settings
}

fn limits(map: &mut Map<'_>) -> EndpointLimits {
    let limits = EndpointLimits {
        max_requests: map.value("max_requests", |text| values::number(text, &(1..=MOST_CALLS))),
        max_pending: map.value("max_pending", |text| values::number(text, &(1..=1_000_000))),
    };
    if map.whole().is_empty_map() {
        map.whole().wrong("the limits set nothing", "give them `max_requests` or `max_pending`");
    }
    limits
}

/// A share of something, from 1% to 100%.
fn percent(text: &str) -> Result<u8, Wrong> {
    share(text, 1)
}

fn share(text: &str, least: u8) -> Result<u8, Wrong> {
    let help = || format!("write a share from {least}% to 100%, as in `50%`");
    let wrong = || Wrong::new(format!("`{text}` is no share")).help(help());
    let number = text.strip_suffix('%').ok_or_else(wrong)?;
    values::number(number, &(least..=100)).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        assert_eq!(percent("50%"), Ok(50));
        assert_eq!(percent("100%"), Ok(100));
        assert_eq!(share("0%", 0), Ok(0));
        for text in ["0%", "101%", "50", "%", "-1%", "5.5%", "half", "50 %"] {
            let wrong = percent(text).unwrap_err();
            assert_eq!(wrong.help.as_deref(), Some("write a share from 1% to 100%, as in `50%`"), "{text}");
        }
    }
}
