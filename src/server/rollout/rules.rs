//! Rules: which methods they are about now, and what they say of each.

use std::fmt::Debug;
use std::time::Duration;

use rustc_hash::FxHashSet;

use crate::config::Settings;
use crate::policy::identity::Auth;
use crate::policy::{Rule, UpstreamRule};
use crate::route::Selector;
use crate::schema::diff::{Change, Finding, Impact};
use crate::schema::{Method, Schema};
use crate::server::snapshot::Rules;

/// Most names that a finding lists.
const LISTED: usize = 3;

/// New rules that matched methods of the old schema and match other ones now.
pub(super) fn targets(old: &Schema, new: &Schema, rules: &[Rule], findings: &mut Vec<Finding>) {
    let known: FxHashSet<&str> = old.methods.iter().map(|method| method.path.as_str()).collect();
    for rule in rules {
        let matches = |method: &&Method| rule.selector.matches(method.service(), method.name());
        let had: Vec<&Method> = old.methods.iter().filter(matches).collect();
        let has: Vec<&Method> = new.methods.iter().filter(matches).collect();
        if had.is_empty() {
            continue;
        }
        if has.is_empty() {
            findings.push(lost(rule, &had));
            continue;
        }
        let more: Vec<&Method> =
            has.into_iter().filter(|method| !known.contains(method.path.as_str())).collect();
        findings.extend(matches_more(rule, &more));
    }
}

fn about(rule: &Rule, change: Change, impact: Impact, what: String) -> Finding {
    let mut finding = Finding::new(change, impact, rule.selector.to_string(), what);
    finding.excerpt.clone_from(&rule.excerpt);
    finding
}

fn lost(rule: &Rule, had: &[&Method]) -> Finding {
    let what = format!("the rule `{}` lost its target: it matched {}", rule.selector, listed(had));
    let (impact, effect) = if guards(rule) {
        (
            Impact::Dangerous,
            "what it asks is asked of no call; a method that took the old one's place has wider rules",
        )
    } else {
        (Impact::Notice, "what it says holds for no call")
    };
    about(rule, Change::RuleLostTarget, impact, what)
        .everyone(effect)
        .help("give the rule the name that the methods have now, or take it out")
}

/// Whether a rule keeps anybody out.
fn guards(rule: &Rule) -> bool {
    matches!(rule.auth, Some(Auth::Required | Auth::Optional))
        || rule.scopes.is_some()
        || rule.claims.is_some()
        || rule.deny.is_some()
        || rule.fields.is_some()
        || rule.addresses.is_some()
        || rule.limits.is_some()
        || rule.concurrency.is_some()
}

fn matches_more(rule: &Rule, more: &[&Method]) -> Option<Finding> {
    if more.is_empty() {
        return None;
    }
    let what = format!("the rule `{}` matches what was not there before: {}", rule.selector, listed(more));
    let opens = rule.auth == Some(Auth::None);
    // Everything is a rule for what is new as well; that goes without saying, unless it opens a door.
    match (opens, &rule.selector) {
        (true, _) => Some(
            about(rule, Change::RuleMatchesMore, Impact::Dangerous, what)
                .everyone("the new methods are open to everybody, unless a narrower rule says something else")
                .help("write a rule for the new methods"),
        ),
        (false, Selector::All) => None,
        (false, Selector::Package(_) | Selector::Service(_) | Selector::Method { .. }) => Some(
            about(rule, Change::RuleMatchesMore, Impact::Notice, what)
                .everyone("the new methods have this rule, unless a narrower one says something else"),
        ),
    }
}

fn listed(methods: &[&Method]) -> String {
    let names: Vec<String> =
        methods.iter().take(LISTED).map(|method| format!("`{}`", name(method))).collect();
    let names = names.join(", ");
    match methods.len().saturating_sub(LISTED) {
        0 => names,
        others => format!("{names} and {others} more"),
    }
}

fn name(method: &Method) -> &str {
    method.path.trim_start_matches('/')
}

/// What the rules of a side say of one method under one key.
struct Said<'r> {
    /// None where no rule says anything.
    rule: Option<&'r Rule>,
    value: Value,
}

/// A value that can be compared with another of the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Auth(Auth),
    /// What callers or calls have to be, as text; none for anything.
    Guard(Option<String>),
    Limit(Option<String>),
    Time(Option<Duration>),
    Size(Option<usize>),
    Upstream(Option<UpstreamRule>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Auth,
    Scopes,
    Claims,
    Deny,
    Fields,
    Addresses,
    Origins,
    Limits,
    Concurrency,
    MaxBody,
    MaxReply,
    Timeout,
    Upstream,
}

impl Key {
    const ALL: [Self; 13] = [
        Self::Auth,
        Self::Scopes,
        Self::Claims,
        Self::Deny,
        Self::Fields,
        Self::Addresses,
        Self::Origins,
        Self::Limits,
        Self::Concurrency,
        Self::MaxBody,
        Self::MaxReply,
        Self::Timeout,
        Self::Upstream,
    ];

    /// As in a configuration.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Scopes => "scopes",
            Self::Claims => "claims",
            Self::Deny => "deny",
            Self::Fields => "fields",
            Self::Addresses => "addresses",
            Self::Origins => "cors",
            Self::Limits => "limits",
            Self::Concurrency => "concurrency",
            Self::MaxBody => "max_body",
            Self::MaxReply => "max_reply",
            Self::Timeout => "timeout",
            Self::Upstream => "upstream",
        }
    }

    fn said<'r>(self, rules: &Rules<'r>, method: &Method, settings: &Settings) -> Said<'r> {
        let (service, name) = (method.service(), method.name());
        let guard = |of: fn(&Rule) -> Option<Option<String>>| {
            let found = rules.deciding(service, name, of);
            (found.as_ref().map(|(rule, _)| *rule), found.and_then(|(_, value)| value))
        };
        let with = |(rule, text), value: fn(Option<String>) -> Value| Said { rule, value: value(text) };
        match self {
            Self::Auth => {
                let found = rules.deciding(service, name, |rule| rule.auth);
                Said {
                    rule: found.map(|(rule, _)| rule),
                    value: Value::Auth(found.map_or_else(|| default_auth(settings), |(_, auth)| auth)),
                }
            }
            Self::Scopes => with(guard(|rule| rule.scopes.as_ref().map(text)), Value::Guard),
            Self::Claims => with(guard(|rule| rule.claims.as_ref().map(text)), Value::Guard),
            Self::Deny => with(guard(|rule| rule.deny.as_ref().map(text)), Value::Guard),
            Self::Fields => with(guard(|rule| rule.fields.as_ref().map(|fields| list(fields))), Value::Guard),
            Self::Addresses => with(guard(|rule| rule.addresses.as_ref().map(text)), Value::Guard),
            Self::Origins => with(guard(|rule| rule.cors.as_ref().map(text)), Value::Guard),
            Self::Limits => with(guard(|rule| rule.limits.as_ref().map(|limits| list(limits))), Value::Limit),
            Self::Concurrency => with(guard(|rule| rule.concurrency.as_ref().map(text)), Value::Limit),
            Self::MaxBody => size(rules.deciding(service, name, |rule| rule.max_body)),
            Self::MaxReply => size(rules.deciding(service, name, |rule| rule.max_reply)),
            Self::Timeout => {
                let found = rules.deciding(service, name, |rule| rule.timeout);
                Said { rule: found.map(|(rule, _)| rule), value: Value::Time(found.map(|(_, value)| value)) }
            }
            Self::Upstream => {
                let found = rules.deciding(service, name, |rule| rule.upstream.as_ref());
                let only = match settings.upstreams.as_slice() {
                    [only] => Some(UpstreamRule::One(only.name.clone())),
                    _ => None,
                };
                let upstream = found.map(|(_, upstream)| upstream.clone()).or(only);
                Said { rule: found.map(|(rule, _)| rule), value: Value::Upstream(upstream) }
            }
        }
    }
}

/// Settings have no other form that can be compared; they print all that they say.
fn text<T: Debug>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(|value| format!("{value:?}"))
}

fn list<T: Debug>(values: &[T]) -> Option<String> {
    (!values.is_empty()).then(|| format!("{values:?}"))
}

fn size(found: Option<(&Rule, usize)>) -> Said<'_> {
    Said { rule: found.map(|(rule, _)| rule), value: Value::Size(found.map(|(_, value)| value)) }
}

/// One key that says something else of methods, all of which had one rule and have one rule.
struct Group<'r> {
    key: Key,
    was: Said<'r>,
    is: Said<'r>,
    methods: Vec<&'r Method>,
}

/// What rules say of the methods that both sides have.
pub(super) fn effects<'r>(
    old_schema: &Schema,
    old: &'r Settings,
    new_schema: &'r Schema,
    new: &'r Settings,
    findings: &mut Vec<Finding>,
) {
    let known: FxHashSet<&str> = old_schema.methods.iter().map(|method| method.path.as_str()).collect();
    let (was, is) = (Rules::new(&old.rules), Rules::new(&new.rules));
    let mut groups: Vec<Group<'r>> = Vec::new();
    for method in new_schema.methods.iter().filter(|method| known.contains(method.path.as_str())) {
        for key in Key::ALL {
            let had = key.said(&was, method, old);
            let has = key.said(&is, method, new);
            if had.value == has.value {
                continue;
            }
            let same_rule = |left: Option<&Rule>, right: Option<&Rule>| {
                left.map(|rule| &rule.selector) == right.map(|rule| &rule.selector)
            };
            // One group for each pair of rules, of which there are few.
            let group = groups.iter_mut().find(|group| {
                group.key == key && same_rule(group.was.rule, had.rule) && same_rule(group.is.rule, has.rule)
            });
            match group {
                Some(group) => group.methods.push(method),
                None => groups.push(Group { key, was: had, is: has, methods: vec![method] }),
            }
        }
    }
    findings.extend(groups.iter().map(Group::finding));
}

/// What listeners say of methods without a rule: the least strict of them.
fn default_auth(settings: &Settings) -> Auth {
    let strictness = |auth: &Auth| strictness(*auth);
    settings
        .listeners
        .iter()
        .map(|listener| listener.defaults.auth)
        .min_by_key(strictness)
        .unwrap_or_default()
}

const fn strictness(auth: Auth) -> u8 {
    match auth {
        Auth::None => 0,
        Auth::Optional => 1,
        Auth::Required => 2,
    }
}

impl Group<'_> {
    fn finding(&self) -> Finding {
        let key = self.key.as_str();
        let (change, impact, effect) = self.judged();
        let place = self.is.rule.or(self.was.rule).map_or_else(String::new, |rule| rule.selector.to_string());
        let said =
            |rule: Option<&Rule>| rule.map_or("no rule".to_owned(), |rule| format!("`{}`", rule.selector));
        let what = format!(
            "`{key}` of {} is something else: {} says it now, {} did",
            listed(&self.methods),
            said(self.is.rule),
            said(self.was.rule)
        );
        let mut finding = Finding::new(change, impact, place, what).everyone(effect);
        finding.excerpt = self.is.rule.and_then(|rule| rule.excerpt.clone());
        finding
    }

    fn judged(&self) -> (Change, Impact, &'static str) {
        match (&self.was.value, &self.is.value) {
            (Value::Auth(was), Value::Auth(is)) if strictness(*is) > strictness(*was) => {
                (Change::AuthChanged, Impact::Breaking, "callers that don't say who they are may be refused")
            }
            (Value::Auth(_), _) => {
                (Change::AuthChanged, Impact::Dangerous, "callers are let in that were refused")
            }
            (Value::Guard(None), _) => (
                Change::GuardChanged,
                Impact::Breaking,
                "calls are refused that don't meet what is asked now",
            ),
            (Value::Guard(Some(_)), Value::Guard(None)) => {
                (Change::GuardChanged, Impact::Dangerous, "calls pass that were refused")
            }
            (Value::Guard(Some(_)), _) => (
                Change::GuardChanged,
                Impact::Dangerous,
                "some calls may be refused that passed, and some pass that were refused",
            ),
            (Value::Limit(_), Value::Limit(None)) => {
                (Change::LimitChanged, Impact::Notice, "calls are no longer limited")
            }
            (Value::Limit(_), _) => {
                (Change::LimitChanged, Impact::Dangerous, "calls may be refused as too many that passed")
            }
            (Value::Time(was), Value::Time(is)) if shorter(*was, *is) => {
                (Change::TimeoutChanged, Impact::Dangerous, "slow calls may end with DEADLINE_EXCEEDED")
            }
            (Value::Time(_), _) => (Change::TimeoutChanged, Impact::Notice, "calls may take longer"),
            (Value::Size(was), Value::Size(is)) if shorter(*was, *is) => {
                (Change::LimitChanged, Impact::Dangerous, "large messages may be refused that passed")
            }
            (Value::Size(_), _) => (Change::LimitChanged, Impact::Notice, "larger messages pass"),
            (Value::Upstream(_), _) => {
                (Change::UpstreamChanged, Impact::Notice, "another upstream is called")
            }
        }
    }
}

/// Whether the new limit may be less; where one of both is the default, nobody knows.
fn shorter<T: PartialOrd>(was: Option<T>, is: Option<T>) -> bool {
    match (was, is) {
        (Some(was), Some(is)) => is < was,
        (None, _) | (_, None) => true,
    }
}
