//! The part `cors` of a listener or a rule: which pages may use it.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::reader::{Map, Value};
use super::values::{self, Wrong};
use crate::policy::{Cors, CorsSettings, Origin, Origins};
use crate::problem::Problem;

const DEFAULT_MAX_AGE: Duration = Duration::from_secs(2 * 3600);

/// Reads `cors`; `None` where it is left out or bad.
pub(super) fn read(value: &Value<'_>) -> Option<CorsSettings> {
    value.map(settings).flatten()
}

/// `cors` of a rule: choices of its own, or `off`.
pub(super) fn of_rule(value: &Value<'_>) -> Option<Option<Arc<Cors>>> {
    if value.is_map() {
        return read(value).map(|settings| Some(Arc::new(Cors::new(&settings))));
    }
    value.parse(|text| values::choice(text, &[("off", ())])).map(|()| None)
}

fn settings(map: &mut Map<'_>) -> Option<CorsSettings> {
    let origins = map.required("origins", "list the origins of the pages, as in `[https://app.example.com]`");
    let origins = origins.and_then(|value| self::origins(&value));
    let headers = match map.get("headers") {
        Some(value) if !value.is_list() && value.text() == Some("*") => None,
        Some(value) => Some(names(&value)),
        None => Some(Vec::new()),
    };
    let expose = map.get("expose").map(|value| names(&value)).unwrap_or_default();
    let mut credentials = false;
    let said = map.get("credentials");
    if let Some(value) = &said {
        credentials =
            value.parse(|text| values::choice(text, &[("false", false), ("true", true)])).unwrap_or_default();
    }
    let mut max_age = DEFAULT_MAX_AGE;
    map.set("max_age", &mut max_age, values::duration_or_zero);
    let origins = origins?;
    if credentials && origins == Origins::Any {
        if let Some(value) = said {
            let what = "every page of the web could act for its visitors with `origins: \"*\"`";
            value.report(
                Problem::error(format!("`{}`: {what}", value.path()))
                    .help("list the origins, or leave credentials out"),
            );
        }
        return None;
    }
    Some(CorsSettings { origins, headers, expose, credentials, max_age })
}

fn origins(value: &Value<'_>) -> Option<Origins> {
    if !value.is_list() && value.text() == Some("*") {
        return Some(Origins::Any);
    }
    let items = value.items();
    let listed: Vec<Origin> =
        items.iter().filter_map(|item| item.parse(|text| Origin::parse(text).map_err(Wrong::new))).collect();
    (listed.len() == items.len()).then_some(Origins::Listed(listed))
}

fn names(value: &Value<'_>) -> Vec<HeaderName> {
    let name = |text: &str| {
        HeaderName::try_from(text).map_err(|_| Wrong::new(format!("`{text}` is no name of a header")))
    };
    value.items().iter().filter_map(|item| item.parse(name)).collect()
}
