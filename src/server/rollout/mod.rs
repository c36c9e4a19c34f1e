//! What new rules and listeners mean for those who called by the old ones.
//!
//! Rules are compared by what they say of each method, not as texts: a rule that a method had may be wider now, or another
//! one. It is part of `check`, before the way of any request.

mod listeners;
mod rules;

use crate::config::Settings;
use crate::schema::Schema;
use crate::schema::diff::{Finding, diff};

/// One side of a comparison.
pub struct Side<'s> {
    pub schema: &'s Schema,
    /// None where there is a schema alone.
    pub settings: Option<&'s Settings>,
}

/// Every difference between schemas, rules and listeners, the worst first.
#[must_use]
pub fn compare(old: &Side<'_>, new: &Side<'_>) -> Vec<Finding> {
    let mut findings = diff(old.schema, new.schema);
    if let Some(settings) = new.settings {
        rules::targets(old.schema, new.schema, &settings.rules, &mut findings);
    }
    if let (Some(was), Some(is)) = (old.settings, new.settings) {
        rules::effects(old.schema, was, new.schema, is, &mut findings);
        listeners::compare(&was.listeners, &is.listeners, &mut findings);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.impact));
    findings
}
