//! How calls that fail are tried again: the key `retries` of a rule.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::reader::Value;
use super::values::{self, Wrong};
use crate::fault::Code;
use crate::policy::RetryRule;
use crate::upstream::{Backoff, Codes, RetryPolicy};

/// A map, or `off`.
pub(super) fn read(value: &Value<'_>) -> Option<Option<RetryRule>> {
    if !value.is_map() {
        return value.parse(|text| values::choice(text, &[("off", None)]));
    }
    value.map(|map| {
        let mut attempts = RetryPolicy::DEFAULT_ATTEMPTS;
        map.set("attempts", &mut attempts, self::attempts);
        let codes = map.list("codes", code).map_or_else(Codes::default, Codes::of);
        let per_try_timeout = map.value("per_try_timeout", values::duration);
        let mut backoff = Backoff::default();
        map.map("backoff", |map| {
            map.set("base", &mut backoff.base, values::duration);
            backoff.max = backoff.max.max(backoff.base);
            let base = backoff.base;
            map.set("max", &mut backoff.max, |text| {
                let max = values::duration(text)?;
                if max < base {
                    return Err(Wrong::new(format!("{text} is less than `base`")).help("write a longer time"));
                }
                Ok(max)
            });
        });
        let idempotent = map.value("idempotent", values::boolean).unwrap_or(false);
        let by_key = map.value("idempotency_key", values::boolean).unwrap_or(false);
        if idempotent && by_key {
            let help =
                "leave `idempotency_key` out, or `idempotent` if only calls with a key may be made twice";
            value.wrong("calls that may be made twice need no key", help);
        }
        let policy = Arc::new(RetryPolicy { attempts, codes, per_try_timeout, backoff });
        Some(RetryRule { policy, idempotent, by_key })
    })
}

fn attempts(text: &str) -> Result<NonZeroU32, Wrong> {
    let range = 2..=RetryPolicy::MOST_ATTEMPTS;
    let attempts = values::number(text, &range).map_err(|wrong| match text {
        "0" | "1" => Wrong::new(format!("{text} is no further try")).help("write `retries: off`"),
        _ => wrong,
    })?;
    // The range starts at 2, so the default is never put in.
    Ok(NonZeroU32::new(attempts).unwrap_or(RetryPolicy::DEFAULT_ATTEMPTS))
}

/// The name of a code that a further try may help against.
fn code(text: &str) -> Result<Code, Wrong> {
    let table: Vec<(&str, Code)> = Code::ALL.iter().map(|code| (code.name(), *code)).collect();
    values::choice(text, &table)
}
