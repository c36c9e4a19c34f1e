//! The part `rules` of a configuration: what holds for RPCs, by selector.

use std::time::Duration;

use super::addresses;
use super::authorization;
use super::cors;
use super::identity;
use super::limits;
use super::listeners::size;
use super::reader::Map;
use super::retries;
use super::split;
use super::upstreams::Named;
use super::values::{self, Wrong};
use crate::policy::Rule;
use crate::problem::{Problem, nearest};
use crate::route::Selector;

/// The rules in the order of the text; the upstreams that they name exist. `has_sources` says whether anybody vouches for
/// callers.
pub(super) fn read(
    root: &mut Map<'_>,
    upstreams: &[Named<'_>],
    has_sources: bool,
    known_limits: &mut limits::Known,
) -> Vec<Rule> {
    let entries = root.get("rules").map_or_else(Vec::new, |all| all.entries(values::selector));
    let mut rules = Vec::new();
    let mut all_known = true;
    for (selector, value) in entries {
        let rule = value.map(|map| {
            let upstream = map.get("upstream").map(|value| split::read(&value, upstreams));
            all_known &= upstream != Some(None);
            // The keys of a bad selector are read for what is wrong with them.
            let mut rule = Rule::new(selector.clone().unwrap_or(Selector::All));
            rule.excerpt = Some(value.excerpt());
            rule.upstream = upstream.flatten();
            rule.addresses = map.get("addresses").and_then(|value| addresses::of_rule(&value));
            rule.cors = map.get("cors").and_then(|value| cors::of_rule(&value));
            rule.auth = map.value("auth", |text| identity::auth(text, has_sources));
            authorization::read(map, &mut rule, has_sources);
            rule.timeout = map.value("timeout", timeout);
            rule.idle_timeout = map.value("idle_timeout", timeout);
            rule.max_body = map.value("max_body", size);
            rule.max_reply = map.value("max_reply", size);
            rule.limits = map.get("limits").map(|value| known_limits.of_rule(&value));
            rule.cost = map.value("cost", limits::cost);
            rule.retries = map.get("retries").and_then(|value| retries::read(&value));
            rule.concurrency = map.get("concurrency").and_then(|value| limits::concurrency(&value));
            rule
        });
        if value.is_empty_map() {
            let help = "give it an `upstream`, `addresses`, `cors`, `auth`, `scopes`, `claims`, `deny`, `fields`, `limits`, `concurrency`, `retries`, a `timeout`, an `idle_timeout`, a `max_body` or a `max_reply`";
            value.wrong("the rule sets nothing", help);
        }
        rules.extend(rule.filter(|_| selector.is_some()));
    }
    // A single upstream needs no rule, and one that a rule misspells isn't unused as well.
    if upstreams.len() > 1 && all_known {
        upstreams.iter().filter(|upstream| !is_used(upstream, &rules)).for_each(warn_unused);
    }
    rules
}

/// A duration, or `off` for none.
///
/// # Errors
/// As [`values::duration`].
pub fn timeout(text: &str) -> Result<Duration, Wrong> {
    if text == "off" { Ok(Rule::NO_TIMEOUT) } else { values::duration(text) }
}

/// The name of an upstream that there is.
pub(super) fn known(text: &str, upstreams: &[Named<'_>]) -> Result<String, Wrong> {
    let names = || upstreams.iter().map(|upstream| upstream.name.as_str());
    if names().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let wrong = Wrong::new(format!("there is no upstream `{text}`"));
    Err(match nearest(text, names()) {
        Some(name) => wrong.help(format!("did you mean `{name}`?")),
        None => wrong.help("name it under `upstreams`"),
    })
}

fn is_used(upstream: &Named<'_>, rules: &[Rule]) -> bool {
    rules.iter().flat_map(|rule| &rule.upstream).any(|rule| rule.names().any(|name| name == upstream.name))
}

/// One of several upstreams serves nothing that no rule gives it.
fn warn_unused(upstream: &Named<'_>) {
    let problem = Problem::warning(format!("`{}`: no rule names this upstream", upstream.value.path()));
    let help =
        format!("give it methods, as in `rules: {{ pkg.Service/*: {{ upstream: {} }} }}`", upstream.name);
    upstream.value.report(problem.help(help));
}
