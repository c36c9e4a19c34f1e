//! The keys `scopes`, `claims`, `deny` and `fields` of rules: what a caller has to be, and what it may ask for.

use super::identity::list;
use super::reader::{Map, Value};
use super::values::{self, Wrong};
use crate::policy::{
    ClaimPath, ClaimRule, ClaimSets, ClaimTest, Deny, FieldRule, FieldTest, Pattern, Rule, Scopes, Template,
};

/// Takes away what a wider rule says.
const NONE: &str = "none";

/// Reads them into a rule. `has_sources` says whether anybody vouches for callers.
pub(super) fn read(map: &mut Map<'_>, rule: &mut Rule, has_sources: bool) {
    let (scopes_of, claims_of) = (map.get("scopes"), map.get("claims"));
    for value in [&scopes_of, &claims_of].into_iter().flatten().filter(|value| !is_none(value)) {
        if !has_sources {
            let help = "say under `identity` who does, as in `identity: { issuers: { … } }`";
            value.wrong("nobody vouches for callers", help);
        }
    }
    rule.scopes = scopes_of.and_then(|value| unless_none(&value, scopes));
    rule.claims = claims_of.and_then(|value| unless_none(&value, claim_sets));
    rule.deny = map.get("deny").and_then(|value| deny(&value, has_sources));
    let fields = map.get("fields").and_then(|value| unless_none(&value, fields));
    rule.fields = fields.map(Option::unwrap_or_default);
}

fn is_none(value: &Value<'_>) -> bool {
    !value.is_map() && !value.is_list() && value.text() == Some(NONE)
}

/// What a key says; none of it for `none`.
fn unless_none<'r, T>(value: &Value<'r>, read: impl FnOnce(&Value<'r>) -> Option<T>) -> Option<Option<T>> {
    if is_none(value) { Some(None) } else { read(value).map(Some) }
}

/// A list of those that are all needed, or `{ all: […], any: […] }`.
fn scopes(value: &Value<'_>) -> Option<Scopes> {
    if !value.is_map() {
        return Some(Scopes { all: list(value, scope)?, any: Vec::new() });
    }
    value.map(|map| {
        let (all, any) = (map.get("all"), map.get("any"));
        if all.is_none() && any.is_none() {
            map.missing("all` or `any", "write the scopes, as in `{ all: [orders.write] }`");
            return None;
        }
        let read = |value: Option<Value<'_>>| match value {
            Some(value) => list(&value, scope),
            None => Some(Vec::new()),
        };
        Some(Scopes { all: read(all)?, any: read(any)? })
    })?
}

/// RFC 6749, section 3.3.
fn scope(text: &str) -> Result<String, Wrong> {
    let is_fine = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if text.is_empty() || !text.bytes().all(is_fine) {
        return Err(Wrong::new(format!("`{text}` is no scope")).help("a scope has no spaces; write a list"));
    }
    Ok(text.to_owned())
}

/// A map of rules that all have to hold, or a list of such maps, of which one has to.
fn claim_sets(value: &Value<'_>) -> Option<ClaimSets> {
    if value.is_map() {
        return Some(ClaimSets(vec![claim_set(value)?]));
    }
    let items = value.items();
    let sets: Vec<Vec<ClaimRule>> = items.iter().filter_map(claim_set).collect();
    (sets.len() == items.len() && !sets.is_empty()).then_some(ClaimSets(sets))
}

fn claim_set(value: &Value<'_>) -> Option<Vec<ClaimRule>> {
    let entries = value.entries(|text| {
        ClaimPath::parse(text).ok_or_else(|| {
            Wrong::new(format!("`{text}` is no claim")).help("write a name, or `/outer/inner`")
        })
    });
    let count = entries.len();
    let mut rules = Vec::new();
    let mut good = 0;
    for (claim, value) in entries {
        let tests = claim_tests(&value);
        if let (Some(claim), Some(tests)) = (claim, tests) {
            good += 1;
            rules.extend(tests.into_iter().map(|test| ClaimRule { claim: claim.clone(), test }));
        }
    }
    (good == count && !rules.is_empty()).then_some(rules)
}

/// One value, a list of those that do, or a map of tests that all have to hold.
fn claim_tests(value: &Value<'_>) -> Option<Vec<ClaimTest>> {
    if value.is_list() {
        return Some(vec![ClaimTest::Any(list(value, values::text)?)]);
    }
    if !value.is_map() {
        return Some(vec![ClaimTest::Equals(value.parse(values::text)?)]);
    }
    value.map(|map| {
        let pattern = |text: &str| {
            Pattern::parse(text).map_err(|why| {
                Wrong::new(format!("`{text}` is no pattern: {why}"))
                    .help("write a regular expression without backreferences and look-around")
            })
        };
        let tests = [
            map.get("equals").map(|value| value.parse(values::text).map(ClaimTest::Equals)),
            map.get("contains").map(|value| value.parse(values::text).map(ClaimTest::Contains)),
            map.get("matches").map(|value| value.parse(pattern).map(ClaimTest::Matches)),
            map.get("any").map(|value| list(&value, values::text).map(ClaimTest::Any)),
            map.get("all").map(|value| list(&value, values::text).map(ClaimTest::All)),
        ];
        let tests: Option<Vec<ClaimTest>> = tests.into_iter().flatten().collect();
        if tests.as_ref().is_some_and(Vec::is_empty) {
            map.missing("equals", "write what the claim has to be, as in `{ equals: acme }`");
            return None;
        }
        tests
    })?
}

/// `true`, `false`, or claims of those to whom it is closed, as [`claim_sets`].
fn deny(value: &Value<'_>, has_sources: bool) -> Option<Option<Deny>> {
    if !value.is_map() && !value.is_list() {
        let everybody = value.parse(|text| values::choice(text, &[("true", true), ("false", false)]))?;
        return Some(everybody.then_some(Deny::Everybody));
    }
    if !has_sources {
        value.wrong("nobody vouches for callers", "say under `identity` who does, or write `deny: true`");
    }
    claim_sets(value).map(|claims| Some(Deny::Those(claims)))
}

/// Paths of fields with what each has to be.
fn fields(value: &Value<'_>) -> Option<Vec<FieldRule>> {
    let entries = value.entries(values::text);
    let count = entries.len();
    let rules: Vec<FieldRule> = entries
        .into_iter()
        .filter_map(|(path, value)| Some(FieldRule { path: path?, test: field_test(&value)? }))
        .collect();
    (rules.len() == count && !rules.is_empty()).then_some(rules)
}

/// One text, or `{ equals: … }`, `{ starts_with: … }`, `{ one_of: […] }`.
fn field_test(value: &Value<'_>) -> Option<FieldTest> {
    if !value.is_map() {
        return Some(FieldTest::Equals(value.parse(template)?));
    }
    value.map(|map| {
        let prefix = |text: &str| {
            if text.is_empty() {
                return Err(Wrong::new("every text starts with nothing").help("write how it has to start"));
            }
            template(text)
        };
        let tests = [
            map.get("equals").map(|value| value.parse(template).map(FieldTest::Equals)),
            map.get("starts_with").map(|value| value.parse(prefix).map(FieldTest::StartsWith)),
            map.get("one_of").map(|value| list(&value, template).map(FieldTest::OneOf)),
        ];
        let mut tests = tests.into_iter().flatten();
        match (tests.next(), tests.next()) {
            (Some(test), None) => test,
            (None, None) | (_, Some(_)) => {
                let help = "write one of `equals`, `starts_with`, `one_of`";
                map.whole().wrong("a field is asked one thing", help);
                None
            }
        }
    })?
}

fn template(text: &str) -> Result<Template, Wrong> {
    Template::parse(text).map_err(Wrong::new)
}
