//! What rules say of trying again, compiled into methods; and what they say to no effect, which is an error.

use super::snapshot::{Rules, Subject};
use crate::policy::{Retries, RetryRule, Rule};
use crate::problem::{Problem, Problems};
use crate::schema::{self, Idempotency, Schema};

/// How calls of this method are tried again.
pub(super) fn compile(subject: Subject<'_>, idempotency: Idempotency, rules: &Rules<'_>) -> Option<Retries> {
    let (_, rule) = deciding(subject, rules)?;
    Retries::of_method(rule.as_ref()?, idempotency, subject.client_streaming)
}

fn deciding<'r>(subject: Subject<'_>, rules: &Rules<'r>) -> Option<(&'r Rule, &'r Option<RetryRule>)> {
    rules.deciding(subject.service, subject.name, |rule| rule.retries.as_ref())
}

/// Reports rules whose methods are all such that no call of theirs may be made twice.
pub(super) fn report_inert(schema: &Schema, rules: &[Rule], problems: &mut Problems) {
    let sorted = Rules::new(rules);
    for rule in rules {
        let Some(Some(retries)) = &rule.retries else { continue };
        let decided = |method: &&schema::Method| {
            deciding((*method).into(), &sorted).is_some_and(|(by, _)| std::ptr::eq(by, rule))
        };
        let mut methods = schema.methods.iter().filter(decided).peekable();
        let may = |method: &schema::Method| {
            Retries::of_method(retries, method.idempotency(), method.client_streaming).is_some()
        };
        if methods.peek().is_none() || methods.any(may) {
            continue;
        }
        let what = format!(
            "`retries` of the rule `{}` do nothing: none of its methods may be called twice",
            rule.selector
        );
        let mut problem = Problem::error(what).help(
            "say `idempotency_level` in the schema; or `idempotent: true` or `idempotency_key: true` here, if it is so; \
             what no backend has begun with is tried again anyway",
        );
        problem.excerpts.extend(rule.excerpt.clone());
        problems.push(problem);
    }
}
