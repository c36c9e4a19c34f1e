//! Where calls go: the key `upstream` of a rule, one name or several with their shares.

use std::num::NonZeroU32;

use http::{HeaderName, HeaderValue};

use super::reader::{Map, Value};
use super::rules::known;
use super::upstreams::Named;
use super::values::{self, Wrong};
use crate::policy::{KeyPart, SplitRule, Stick, UpstreamRule, When};

const MOST_WEIGHT: usize = 1_000_000;

/// A name, or a map with `split`.
pub(super) fn read(value: &Value<'_>, upstreams: &[Named<'_>]) -> Option<UpstreamRule> {
    if !value.is_map() {
        return value.parse(|text| known(text, upstreams)).map(UpstreamRule::One);
    }
    value.map(|map| split(map, upstreams).map(UpstreamRule::Split)).flatten()
}

fn split(map: &mut Map<'_>, upstreams: &[Named<'_>]) -> Option<SplitRule> {
    let list = map.required("split", "write what each gets, as in `split: [{ to: orders, weight: 95 }]`");
    let mut is_good = list.is_some();
    let mut shares: Vec<(String, NonZeroU32)> = Vec::new();
    for item in list.as_ref().map_or_else(Vec::new, Value::items) {
        let share = item.map(|map| share(map, upstreams, &shares)).flatten();
        is_good &= share.is_some();
        shares.extend(share);
    }
    is_good &= !shares.is_empty();
    let mut when: Vec<When> = Vec::new();
    let conditions = map.get("when");
    for item in conditions.as_ref().map_or_else(Vec::new, Value::items) {
        let condition = item.map(|map| condition(map, upstreams)).flatten();
        is_good &= condition.is_some();
        let Some(condition) = condition else { continue };
        let is_same = |other: &When| other.header == condition.header && other.equals == condition.equals;
        if when.iter().any(is_same) {
            item.wrong("an earlier one has this header and value", "leave one of the two out");
        }
        when.push(condition);
    }
    let sticky = map.get("sticky");
    let stick = sticky.as_ref().map(|value| value.parse(stick));
    is_good &= stick != Some(None);
    if is_good && shares.len() == 1 {
        if let Some(sticky) = sticky {
            sticky.wrong("all calls go to the only one in `split`", "add another one, or leave this out");
        }
        if when.is_empty() {
            let help = "write its name alone, as in `upstream: orders`, or add another one";
            map.whole().wrong("nothing is split", help);
        }
    }
    is_good.then(|| SplitRule { shares, when, sticky: stick.flatten() })
}

fn share(
    map: &mut Map<'_>,
    upstreams: &[Named<'_>],
    others: &[(String, NonZeroU32)],
) -> Option<(String, NonZeroU32)> {
    let to = to(map, upstreams, |name| {
        if others.iter().any(|(other, _)| other == name) {
            let wrong = Wrong::new(format!("`{name}` is in the list already"));
            return Err(wrong.help("name it once, with the sum of both weights"));
        }
        Ok(())
    });
    let weight = map.required("weight", "write its share of all calls, as in `weight: 95`");
    let weight = weight.and_then(|value| value.parse(weight_of));
    Some((to?, weight?))
}

fn condition(map: &mut Map<'_>, upstreams: &[Named<'_>]) -> Option<When> {
    let header = map.required("header", "write which one decides, as in `header: x-canary`");
    let header = header.and_then(|value| value.parse(header_name));
    let equals = map.required("equals", "write the value that the header has then, as in `equals: \"1\"`");
    let equals = equals.and_then(|value| {
        value.parse(|text| {
            HeaderValue::from_str(text)
                .map_err(|_| Wrong::new("no header has such a value").help("write printable ASCII"))
        })
    });
    let to = to(map, upstreams, |_| Ok(()));
    Some(When { header: header?, equals: equals?, to: to? })
}

fn to(
    map: &mut Map<'_>,
    upstreams: &[Named<'_>],
    may: impl FnOnce(&str) -> Result<(), Wrong>,
) -> Option<String> {
    let to = map.required("to", "write the name of an upstream, as in `to: orders`");
    to?.parse(|text| {
        let name = known(text, upstreams)?;
        may(&name)?;
        Ok(name)
    })
}

fn weight_of(text: &str) -> Result<NonZeroU32, Wrong> {
    if text == "0" {
        let wrong = Wrong::new("no call goes there by chance");
        return Err(wrong.help("leave it out of `split`; `when` may name it all the same"));
    }
    let weight = values::positive(text, MOST_WEIGHT)?;
    // The range fits.
    Ok(NonZeroU32::try_from(weight).unwrap_or(NonZeroU32::MAX))
}

fn header_name(text: &str) -> Result<HeaderName, Wrong> {
    HeaderName::try_from(text).map_err(|_| Wrong::new(format!("`{text}` is no name of a header")))
}

fn stick(text: &str) -> Result<Stick, Wrong> {
    let part = match text.split_once(':') {
        Some(("header", name)) => KeyPart::Header(header_name(name)?),
        Some(_) | None => {
            let table = [("principal", KeyPart::Principal), ("address", KeyPart::Address)];
            values::choice(text, &table)
                .map_err(|wrong| wrong.help("write `principal`, `address` or `header:…`"))?
        }
    };
    Ok(Stick(part))
}
