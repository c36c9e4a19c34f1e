//! What a new schema breaks for clients of an old one.
//!
//! Only what clients can reach counts: methods that are served, their HTTP bindings, and the messages that these methods
//! take and give. A message that requests hold and one that replies hold break in different ways, so each is compared by
//! how it is used.

mod enums;
mod fields;
mod finding;
mod messages;
mod methods;
mod oneofs;
mod routes;
mod types;

pub use finding::{Audience, Change, Finding, Impact};

use super::Schema;

/// Every difference between what is served that clients may notice, the worst first.
#[must_use]
pub fn diff(old: &Schema, new: &Schema) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut pairs = methods::compare(old, new, &mut findings);
    routes::compare(old, new, &mut pairs, &mut findings);
    messages::compare(old, new, pairs, &mut findings);
    // What is found of one impact stays in the order in which it was found.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.impact));
    findings
}
