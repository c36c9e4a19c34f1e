//! What rules say of how often and how many, compiled into methods; and what they say to no effect, which is an error.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::snapshot::{Rules, Subject};
use crate::codec::{FieldPath, Plan};
use crate::config::Settings;
use crate::policy::{
    Auth, Gates, KeyPart, Limit, Limiters, Limits, Rule, RuleLimit, Stick, Tier, TierBy, UpstreamRule,
};
use crate::problem::{Problem, Problems};
use crate::schema;
use crate::telemetry::Metrics;

/// What limits are compiled with. One for the process, so that reloads find again what was counted.
pub(super) struct Limiting {
    pub limiters: Arc<Limiters>,
    tiers: Vec<Tier>,
    /// Whether some listener asks who calls where no rule says anything.
    asks_by_default: bool,
}

/// What is said of one method.
pub(super) struct Compiled {
    pub limits: Option<Arc<Limits>>,
    pub concurrency: Option<Arc<Gates>>,
}

impl Limiting {
    pub(super) fn new(settings: &Settings, metrics: &Arc<Metrics>) -> Self {
        let limiters = Limiters::new(settings.limits.keys.get(), Arc::clone(metrics));
        Self::with(settings, Arc::new(limiters))
    }

    /// By other settings, with the counts that there are.
    pub(super) fn renew(&self, settings: &Settings) -> Self {
        Self::with(settings, Arc::clone(&self.limiters))
    }

    fn with(settings: &Settings, limiters: Arc<Limiters>) -> Self {
        Self {
            limiters,
            tiers: settings.limits.tiers.clone(),
            asks_by_default: settings.listeners.iter().any(|listener| listener.defaults.auth != Auth::None),
        }
    }

    /// What the rules say of a method whose requests are `input`.
    pub(super) fn compile(
        &self,
        subject: Subject<'_>,
        input: &Plan,
        rules: &Rules<'_>,
        problems: &mut Problems,
    ) -> Compiled {
        let effective = Effective::of(subject, rules);
        let cost = effective.cost.map_or(NonZeroU32::MIN, |(_, cost)| cost);
        let limits = effective.limits.and_then(|(rule, limits)| {
            for limit in self.all_of(limits).filter(|limit| limit.measure.most() < cost) {
                let what = format!(
                    "a call of `{}` costs {cost}, and the limit `{}` never has room for it",
                    subject.shown, limit.name
                );
                report(
                    problems,
                    effective.cost.map_or(rule, |(rule, _)| rule),
                    what,
                    "make the cost smaller, or the limit larger",
                );
            }
            let fields = self.fields(subject, input, rule, limits, problems);
            let scope = rule.selector.to_string();
            Limits::compile(&scope, limits, &self.tiers, cost, fields, &self.limiters).map(Arc::new)
        });
        let concurrency = effective.concurrency.and_then(|rule| {
            let said = rule.concurrency.as_ref()?.as_ref()?;
            Some(self.limiters.gates(&rule.selector.to_string(), said))
        });
        Compiled { limits, concurrency }
    }

    /// All limits that calls may meet under these.
    fn all_of<'l>(&'l self, limits: &'l [RuleLimit]) -> impl Iterator<Item = &'l Limit> {
        let has_tiers = limits.iter().any(|limit| matches!(limit, RuleLimit::Tier { .. }));
        let own = limits.iter().filter_map(|limit| match limit {
            RuleLimit::Of(limit) => Some(limit),
            RuleLimit::Tier { .. } => None,
        });
        own.chain(self.tiers.iter().filter(move |_| has_tiers).flat_map(|tier| &tier.limits))
    }

    /// The fields that keys name.
    fn fields(
        &self,
        subject: Subject<'_>,
        input: &Plan,
        rule: &Rule,
        limits: &[RuleLimit],
        problems: &mut Problems,
    ) -> Vec<(String, FieldPath)> {
        let mut fields: Vec<(String, FieldPath)> = Vec::new();
        let parts = self.all_of(limits).flat_map(|limit| &limit.key);
        for path in parts.filter_map(|part| match part {
            KeyPart::Field(path) => Some(path),
            KeyPart::Global
            | KeyPart::Method
            | KeyPart::Address
            | KeyPart::Principal
            | KeyPart::ApiKey
            | KeyPart::Claim(_)
            | KeyPart::Header(_) => None,
        }) {
            let name = subject.shown;
            if subject.client_streaming {
                let what = format!("`{name}` takes a stream, and has no one message to find `{path}` in");
                report(problems, rule, what, "key limits by fields on methods that take one message");
                continue;
            }
            if fields.iter().any(|(known, _)| known == path) {
                continue;
            }
            match FieldPath::parse(input, path) {
                Ok(found) => fields.push((path.clone(), found)),
                Err(error) => {
                    let what = format!("a limit of `{name}` is keyed by `{path}`: {error}");
                    report(problems, rule, what, "name a text, a whole number or a bool of the request");
                }
            }
        }
        fields
    }

    /// Reports what rules say to no effect.
    pub(super) fn report_inert(&self, methods: &[&schema::Method], rules: &[Rule], problems: &mut Problems) {
        let sorted = Rules::new(rules);
        let effective: Vec<Effective<'_>> =
            methods.iter().map(|method| Effective::of((*method).into(), &sorted)).collect();
        for rule in rules {
            let is = |other: &Rule| std::ptr::eq(rule, other);
            if rule.cost.is_some() {
                let of = || effective.iter().filter(|one| one.cost.is_some_and(|(by, _)| is(by)));
                let has_limits =
                    |one: &Effective<'_>| one.limits.is_some_and(|(_, limits)| !limits.is_empty());
                if of().next().is_some() && !of().any(has_limits) {
                    let what = format!("the rule `{}` has a cost, but no limit takes it", rule.selector);
                    report(problems, rule, what, "add `limits`, or leave `cost` out");
                }
            }
            if rule.limits.as_ref().is_some_and(|limits| self.need_caller(limits)) {
                let asks = effective.iter().filter(|one| one.limits.is_some_and(|(by, _)| is(by)));
                self.report_unasked(asks, rule, "limits", problems);
            }
            if let Some(UpstreamRule::Split(split)) = &rule.upstream
                && split.sticky == Some(Stick(KeyPart::Principal))
            {
                let asks = effective.iter().filter(|one| one.upstream.is_some_and(is));
                self.report_unasked(asks, rule, "upstream.sticky", problems);
            }
            if let Some(Some(concurrency)) = &rule.concurrency
                && needs_caller(&concurrency.key)
            {
                let asks = effective.iter().filter(|one| one.concurrency.is_some_and(is));
                self.report_unasked(asks, rule, "concurrency", problems);
            }
        }
    }

    fn need_caller(&self, limits: &[RuleLimit]) -> bool {
        let by_tier = limits.iter().any(|limit| match limit {
            RuleLimit::Tier { by: TierBy::Principal | TierBy::Claim(_), .. } => true,
            RuleLimit::Of(_) => false,
        });
        by_tier || self.all_of(limits).any(|limit| needs_caller(&limit.key))
    }

    /// Nobody is asked who calls the methods of this rule, so what tells callers apart does nothing.
    fn report_unasked<'e>(
        &self,
        mut methods: impl Iterator<Item = &'e Effective<'e>> + Clone,
        rule: &Rule,
        key: &str,
        problems: &mut Problems,
    ) {
        let asks = |one: &Effective<'_>| one.auth.map_or(self.asks_by_default, |auth| auth != Auth::None);
        if methods.clone().next().is_some() && !methods.any(asks) {
            let what = format!(
                "`{key}` of the rule `{}` tell callers apart, but nobody is asked who calls its methods",
                rule.selector
            );
            report(problems, rule, what, "add `auth: required` or `auth: optional`, or use `key: address`");
        }
    }
}

/// Whether a key tells callers apart by who they are.
fn needs_caller(key: &[KeyPart]) -> bool {
    key.iter().any(|part| match part {
        KeyPart::Principal | KeyPart::ApiKey | KeyPart::Claim(_) => true,
        KeyPart::Global | KeyPart::Method | KeyPart::Address | KeyPart::Header(_) | KeyPart::Field(_) => {
            false
        }
    })
}

/// The rules that hold for a method.
struct Effective<'r> {
    limits: Option<(&'r Rule, &'r [RuleLimit])>,
    cost: Option<(&'r Rule, NonZeroU32)>,
    concurrency: Option<&'r Rule>,
    upstream: Option<&'r Rule>,
    auth: Option<Auth>,
}

impl<'r> Effective<'r> {
    fn of(subject: Subject<'_>, rules: &Rules<'r>) -> Self {
        let Subject { service, name, .. } = subject;
        Self {
            limits: rules.most_specific(service, name, |rule| Some((rule, rule.limits.as_deref()?))),
            cost: rules.most_specific(service, name, |rule| Some((rule, rule.cost?))),
            concurrency: rules.most_specific(service, name, |rule| rule.concurrency.as_ref().map(|_| rule)),
            upstream: rules.most_specific(service, name, |rule| rule.upstream.as_ref().map(|_| rule)),
            auth: rules.most_specific(service, name, |rule| rule.auth),
        }
    }
}

fn report(problems: &mut Problems, rule: &Rule, what: String, help: &'static str) {
    let mut problem = Problem::error(what).help(help);
    problem.excerpts.extend(rule.excerpt.clone());
    problems.push(problem);
}
