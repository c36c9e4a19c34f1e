//! Which fields exclude each other.

use std::collections::BTreeSet;

use prost_reflect::FieldDescriptor;

use super::finding::{Change, Finding, Impact};
use super::messages::Pair;

/// Compares, for each field that kept its number, the old fields that can't be set beside it.
pub(super) fn compare(pair: &Pair, findings: &mut Vec<Finding>) {
    let kept = |number: &u32| pair.old.get_field(*number).is_some() && pair.new.get_field(*number).is_some();
    for was in pair.old.fields() {
        let Some(is) = pair.new.get_field(was.number()) else { continue };
        let excluded: BTreeSet<u32> = others(&was).filter(kept).collect();
        let excludes: BTreeSet<u32> = others(&is).filter(kept).collect();
        let name = was.full_name();
        let mut found = |impact, what: &str, effect: &str| {
            let what = format!("the field `{name}` {what}");
            findings.push(
                Finding::new(Change::FieldOneofChanged, impact, name, what)
                    .file(is.parent_file().name())
                    .everyone(effect),
            );
        };
        let listed = |numbers: &mut dyn Iterator<Item = &u32>| -> Option<String> {
            let names = numbers.filter_map(|number| pair.old.get_field(*number));
            let names: Vec<String> = names.map(|field| format!("`{}`", field.name())).collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        if let Some(others) = listed(&mut excludes.difference(&excluded)) {
            found(
                Impact::Breaking,
                &format!("can no longer be set beside {others}: they are in one oneof"),
                "in JSON both are refused; on the wire the last one stands and the other is lost",
            );
        }
        if let Some(others) = listed(&mut excluded.difference(&excludes)) {
            found(
                Impact::Dangerous,
                &format!("may be set beside {others} now: they are no longer in one oneof"),
                "clients that expect one of them at most may get several; old clients keep the last",
            );
        }
    }
}

/// The numbers of the other members of its oneof. That of an `optional` field has none.
fn others(field: &FieldDescriptor) -> impl Iterator<Item = u32> + use<> {
    let number = field.number();
    let members: Vec<u32> = field
        .containing_oneof()
        .iter()
        .flat_map(|oneof| oneof.fields())
        .map(|field| field.number())
        .collect();
    members.into_iter().filter(move |other| *other != number)
}
