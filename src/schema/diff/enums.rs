//! The values of two enums: numbers for those who speak protobuf, names for those who speak JSON.

use std::collections::BTreeMap;

use prost_reflect::EnumDescriptor;
use rustc_hash::FxHashMap;

use super::finding::{Change, Finding, Impact};
use super::messages::Uses;
use crate::schema::Schema;

/// Compares two enums that stand in each other's place.
pub(super) fn compare(
    (old_schema, old): (&Schema, &EnumDescriptor),
    (new_schema, new): (&Schema, &EnumDescriptor),
    uses: Uses,
    findings: &mut Vec<Finding>,
) {
    if old.full_name() == new.full_name() && old.full_name().starts_with("google.protobuf.") {
        return;
    }
    let was = Values::of(old);
    let is = Values::of(new);
    let file = new.parent_file();
    let finding = |change, impact, value: &str, what: &str| {
        let place = format!("{}.{value}", old.full_name());
        let what = format!("the enum value `{place}` {what}");
        Finding::new(change, impact, place, what).file(file.name())
    };
    for (name, number) in &was.by_name {
        if let Some(now) = is.number(name) {
            if now != *number {
                findings.push(
                    finding(
                        Change::EnumValueRenumbered,
                        Impact::Breaking,
                        name,
                        &format!("is {now} and no longer {number}"),
                    )
                    .rest("names are sent, so nothing changes for those who don't use numbers")
                    .grpc("clients mean, and read, another value")
                    .help(format!("give it the number {number} again")),
                );
            }
            continue;
        }
        let names: Vec<&str> = is.names(*number).collect();
        let mut rest = Vec::new();
        if uses.request {
            rest.push("requests that name it are refused");
        }
        if uses.reply && !names.is_empty() {
            rest.push("replies have the new name");
        }
        findings.push(match names.first() {
            // A name that is one of several is never written, if it isn't the first.
            Some(now) => finding(Change::EnumValueRenamed, Impact::Breaking, name, &format!("is called `{now}` now"))
                .rest(rest.join("; "))
                .grpc("only the number is sent, so nothing changes")
                .help("keep the old name beside the new one by `option allow_alias = true;`"),
            None => finding(Change::EnumValueRemoved, Impact::Breaking, name, &format!("is gone ({number})"))
                .rest(if uses.request { "requests that name it are refused" } else { "replies no longer have it" })
                .grpc("backends get a number that they don't know")
                .help(format!("keep it until no client uses it; then reserve its number and name: `reserved {number}; reserved \"{name}\";`")),
        });
    }
    let closed = old_schema.features.is_closed(old);
    if uses.reply {
        for (name, number) in &is.by_name {
            if was.number(name).is_some() || was.names(*number).next().is_some() {
                continue;
            }
            let (impact, grpc) = if closed {
                (Impact::Dangerous, "old clients take a value that they don't know for unset")
            } else {
                (Impact::Notice, "old clients get a number that they have no name for")
            };
            let place = format!("{}.{name}", new.full_name());
            findings.push(
                Finding::new(
                    Change::EnumValueAdded,
                    impact,
                    &*place,
                    format!("the enum value `{place}` is new ({number})"),
                )
                .file(file.name())
                .rest("replies may have a name that clients don't know")
                .grpc(grpc),
            );
        }
    }
    if !closed && new_schema.features.is_closed(new) {
        let name = new.full_name();
        findings.push(
            Finding::new(
                Change::EnumClosed,
                Impact::Dangerous,
                name,
                format!("the enum `{name}` is closed now"),
            )
            .file(file.name())
            .everyone("a number that it doesn't name is no longer kept: it is taken for unset or refused"),
        );
    }
}

/// What an enum names.
struct Values {
    /// In the order of the source, for reports.
    by_name: Vec<(String, i32)>,
    numbers: FxHashMap<String, i32>,
    /// Of aliases, the first is what is written.
    names: BTreeMap<i32, Vec<String>>,
}

impl Values {
    fn of(descriptor: &EnumDescriptor) -> Self {
        let proto = descriptor.enum_descriptor_proto();
        let by_name: Vec<(String, i32)> =
            proto.value.iter().map(|value| (value.name().to_owned(), value.number())).collect();
        let mut names: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for (name, number) in &by_name {
            names.entry(*number).or_default().push(name.clone());
        }
        Self { numbers: by_name.iter().cloned().collect(), by_name, names }
    }

    fn number(&self, name: &str) -> Option<i32> {
        self.numbers.get(name).copied()
    }

    fn names(&self, number: i32) -> impl Iterator<Item = &str> {
        self.names.get(&number).into_iter().flatten().map(String::as_str)
    }
}
