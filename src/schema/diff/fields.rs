//! The fields of two messages.
//!
//! A field is its number for those who speak protobuf, and its name for those who speak JSON. So fields are paired by
//! number first, and what has no partner by number is looked for by name.

use prost_reflect::{FieldDescriptor, Kind};

use super::finding::{Change, Finding, Impact};
use super::messages::{Inner, Pair, Uses};
use super::oneofs;
use super::types::{JsonForm, Reader, WireChange, misread, wire_change};
use crate::codec::Presence;
use crate::schema::Schema;

/// What became of a field of the old message.
enum Fate {
    /// The number is still its own; the name may be another.
    Kept(FieldDescriptor),
    /// It has another number, and nothing has its old one.
    Renumbered(FieldDescriptor),
    /// Its number is now that of a field which both messages have, or which is new beside it.
    Reused {
        by: FieldDescriptor,
        renumbered: Option<FieldDescriptor>,
    },
    Removed,
}

fn fate(field: &FieldDescriptor, pair: &Pair) -> Fate {
    let by_name = pair.new.get_field_by_name(field.name());
    let Some(by_number) = pair.new.get_field(field.number()) else {
        return by_name.map_or(Fate::Removed, Fate::Renumbered);
    };
    let same_name = by_number.name() == field.name();
    // A name that was there before was another field's.
    let was_another = !same_name && pair.old.get_field_by_name(by_number.name()).is_some();
    match by_name {
        _ if same_name => Fate::Kept(by_number),
        None if !was_another => Fate::Kept(by_number),
        renumbered => Fate::Reused { by: by_number, renumbered },
    }
}

/// The types that fields of both messages hold.
pub(super) fn inner(old: &Schema, new: &Schema, pair: &Pair) -> Inner {
    let mut inner = Inner::default();
    for field in pair.old.fields() {
        let now = match fate(&field, pair) {
            Fate::Kept(now) | Fate::Renumbered(now) | Fate::Reused { renumbered: Some(now), .. } => now,
            Fate::Reused { renumbered: None, .. } | Fate::Removed => continue,
        };
        if matches!(type_change(old, new, &field, &now), TypeChange::Same | TypeChange::Renamed) {
            inner.note(field.kind(), now.kind());
        }
    }
    inner
}

/// Compares the fields of a pair.
pub(super) fn compare(old: &Schema, new: &Schema, pair: &Pair, findings: &mut Vec<Finding>) {
    let at = Place { pair, old, new };
    for field in pair.old.fields() {
        match fate(&field, pair) {
            Fate::Kept(now) => {
                at.names(&field, &now, findings);
                at.types(&field, &now, findings);
                at.rest(&field, &now, findings);
            }
            Fate::Renumbered(now) => {
                findings.push(at.renumbered(&field, &now));
                at.types(&field, &now, findings);
                at.rest(&field, &now, findings);
            }
            Fate::Reused { by, renumbered } => {
                findings.push(at.reused(&field, &by));
                if renumbered.is_none() {
                    findings.push(at.removed(&field));
                }
            }
            Fate::Removed => findings.push(at.removed(&field)),
        }
    }
    for field in pair.new.fields() {
        let is_new = pair.old.get_field_by_name(field.name()).is_none()
            && pair.old.get_field(field.number()).is_none();
        if is_new {
            at.added(&field, findings);
        }
    }
    oneofs::compare(pair, findings);
}

/// What became of a type.
enum TypeChange {
    Same,
    /// It is another message or enum, which is compared by itself.
    Renamed,
    /// It is something else.
    Other,
}

fn type_change(old: &Schema, new: &Schema, was: &FieldDescriptor, is: &FieldDescriptor) -> TypeChange {
    let (old_kind, new_kind) = (was.kind(), is.kind());
    if wire_change(&old_kind, &new_kind) != WireChange::Same
        || old.features.of_field(was).delimited != new.features.of_field(is).delimited
    {
        return TypeChange::Other;
    }
    let (name, form) = (type_name(was), JsonForm::of(&old_kind));
    if name == type_name(is) || (was.is_map() && is.is_map()) {
        return TypeChange::Same;
    }
    let is_plain = |form| matches!(form, JsonForm::Object | JsonForm::EnumName);
    if is_plain(form) && is_plain(JsonForm::of(&new_kind)) { TypeChange::Renamed } else { TypeChange::Other }
}

/// As a source says it.
fn type_name(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(of) => of.full_name().to_owned(),
        Kind::Enum(of) => of.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_ascii_lowercase(),
    }
}

struct Place<'p> {
    pair: &'p Pair,
    old: &'p Schema,
    new: &'p Schema,
}

impl Place<'_> {
    fn uses(&self) -> Uses {
        self.pair.uses
    }

    fn finding(&self, change: Change, impact: Impact, field: &FieldDescriptor, what: &str) -> Finding {
        let name = field.full_name();
        let what = format!("the field `{name}` {what} (reached from `{}`)", self.pair.method);
        Finding::new(change, impact, name, what).file(field.parent_file().name())
    }

    fn names(&self, was: &FieldDescriptor, is: &FieldDescriptor, findings: &mut Vec<Finding>) {
        let renamed = was.name() != is.name();
        let (old_json, new_json) = (was.json_name(), is.json_name());
        if old_json == new_json {
            if renamed {
                findings.push(
                    self.finding(Change::FieldRenamed, Impact::Dangerous, was, &format!("is called `{}` now", is.name()))
                        .rest("its JSON name stays, but query parameters, field masks and bodies with the old name of the source are refused")
                        .grpc("only the number is sent, so nothing changes; field masks have the name")
                        .help("keep the name"),
                );
            }
            return;
        }
        // The gateway reads both names of a field.
        let still_read = [is.name(), new_json].contains(&old_json) && !renamed;
        let impact = if self.uses().reply || !still_read { Impact::Breaking } else { Impact::Notice };
        let mut effects = Vec::new();
        if self.uses().request {
            effects.push(if still_read {
                format!("requests may still say `{old_json}`")
            } else {
                format!("requests that say `{old_json}` are refused as having an unknown field")
            });
        }
        if self.uses().reply {
            effects.push(format!("replies say `{new_json}` instead of `{old_json}`"));
        }
        let (change, what) = if renamed {
            (Change::FieldRenamed, format!("is called `{}` now, in JSON `{new_json}`", is.name()))
        } else {
            (
                Change::FieldJsonNameChanged,
                format!("is called `{new_json}` in JSON and no longer `{old_json}`"),
            )
        };
        findings.push(
            self.finding(change, impact, was, &what)
                .rest(effects.join("; "))
                .grpc("only the number is sent, so nothing changes; field masks have the name")
                .help(format!("keep the name, or keep it in JSON by `[json_name = \"{old_json}\"]`")),
        );
    }

    fn renumbered(&self, was: &FieldDescriptor, is: &FieldDescriptor) -> Finding {
        let what = format!("has the number {} and no longer {}", is.number(), was.number());
        self.finding(Change::FieldRenumbered, Impact::Breaking, was, &what)
            .rest("only names are sent, so nothing changes")
            .grpc("what clients send in it is skipped, and they don't find it in replies")
            .help(format!("give it the number {} again", was.number()))
    }

    fn reused(&self, was: &FieldDescriptor, by: &FieldDescriptor) -> Finding {
        let what = format!("had the number {}, which is now that of `{}`", was.number(), by.name());
        self.finding(Change::FieldNumberReused, Impact::Breaking, was, &what)
            .grpc("one field is read as the other, in both directions")
            .help("give new fields new numbers, and reserve those that are no longer used")
    }

    fn removed(&self, field: &FieldDescriptor) -> Finding {
        let number = field.number();
        let is_reserved = self.pair.new.reserved_ranges().any(|range| range.contains(&number));
        let (mut rest, mut grpc) = (Vec::new(), Vec::new());
        if self.uses().request {
            rest.push("requests that set it are refused as having an unknown field");
            grpc.push("what clients set in it is lost without a word");
        }
        if self.uses().reply {
            rest.push("replies lack it");
            grpc.push("clients find its default in replies");
        }
        let help = if is_reserved {
            "keep it, with `[deprecated = true]`, until no client uses it".to_owned()
        } else {
            format!(
                "keep it, with `[deprecated = true]`, until no client uses it; then reserve its number and name: \
                 `reserved {number}; reserved \"{}\";`",
                field.name()
            )
        };
        self.finding(Change::FieldRemoved, Impact::Breaking, field, "is gone")
            .rest(rest.join("; "))
            .grpc(grpc.join("; "))
            .help(help)
    }

    fn added(&self, field: &FieldDescriptor, findings: &mut Vec<Finding>) {
        if self.uses().request && self.new.features.of_field(field).presence == Presence::Required {
            findings.push(self.required(field, "is new and required"));
        }
        let old = &self.pair.old;
        let number_reserved = old.reserved_ranges().any(|range| range.contains(&field.number()));
        if number_reserved || old.reserved_names().any(|name| name == field.name()) {
            let what = format!("takes a name or number that was reserved ({})", field.number());
            findings.push(
                self.finding(Change::FieldNumberReused, Impact::Dangerous, field, &what)
                    .everyone("clients that still send what it stood for once are misunderstood")
                    .help("choose a number and a name that were never used"),
            );
        }
    }

    fn required(&self, field: &FieldDescriptor, what: &str) -> Finding {
        self.finding(Change::FieldRequired, Impact::Breaking, field, what)
            .everyone("requests without it are refused")
            .help("make it optional, and check for it where it is needed")
    }

    fn types(&self, was: &FieldDescriptor, is: &FieldDescriptor, findings: &mut Vec<Finding>) {
        if was.is_map() != is.is_map() || was.is_list() != is.is_list() {
            findings.push(self.cardinality(was, is));
        }
        match type_change(self.old, self.new, was, is) {
            TypeChange::Same => {}
            TypeChange::Renamed => {
                let what = format!("is a `{}` and no longer a `{}`", type_name(is), type_name(was));
                findings.push(
                    self.finding(Change::FieldTypeRenamed, Impact::Notice, was, &what)
                        .everyone("the name of a type is not sent; what is in it is compared by itself"),
                );
            }
            TypeChange::Other => findings.extend(self.other_type(was, is)),
        }
    }

    fn cardinality(&self, was: &FieldDescriptor, is: &FieldDescriptor) -> Finding {
        let shown = |field: &FieldDescriptor| match (field.is_map(), field.is_list()) {
            (true, _) => "a map",
            (false, true) => "a list",
            (false, false) => "a single value",
        };
        let what = format!("is {} and no longer {}", shown(is), shown(was));
        // An element of a list and a single value are the same bytes, unless numbers are packed.
        let is_length_delimited = matches!(was.kind(), Kind::String | Kind::Bytes | Kind::Message(_));
        let grpc = if is_length_delimited {
            "the bytes are read, but of several values a reader of one keeps the last, or merges them"
        } else {
            "the bytes of a list are not those of a single value"
        };
        self.finding(Change::FieldCardinalityChanged, Impact::Breaking, was, &what)
            .rest("the JSON is of another form: an array, an object or a value")
            .grpc(grpc)
            .help("add a field of another name and number")
    }

    fn other_type(&self, was: &FieldDescriptor, is: &FieldDescriptor) -> Option<Finding> {
        let (old_kind, new_kind) = (was.kind(), is.kind());
        let (old_form, new_form) = (JsonForm::of(&old_kind), JsonForm::of(&new_kind));
        let asked = self.uses().request.then(|| misread(old_form, new_form, Reader::Gateway)).flatten();
        let told = self.uses().reply.then(|| misread(new_form, old_form, Reader::Client)).flatten();
        let delimited = self.old.features.of_field(was).delimited != self.new.features.of_field(is).delimited;
        let wire = match wire_change(&old_kind, &new_kind) {
            WireChange::Same if delimited => WireChange::Unread,
            change => change,
        };
        let by_wire = match wire {
            WireChange::Same => None,
            WireChange::Read => Some(Impact::Dangerous),
            WireChange::Unread => Some(Impact::Breaking),
        };
        let impact = [asked, told, by_wire].into_iter().flatten().max()?;
        let grpc = match wire {
            WireChange::Same => "the bytes are the same, and stand for something else",
            WireChange::Read => "the bytes are read, but values that don't fit the other type become others",
            WireChange::Unread => "what clients send is not understood, nor what they get",
        };
        let mut rest = Vec::new();
        match asked {
            Some(Impact::Breaking) => {
                rest.push(format!("requests need {}, {} is refused", new_form.shown(), old_form.shown()))
            }
            Some(Impact::Dangerous | Impact::Notice) => {
                rest.push("values of requests that don't fit the new type are refused".to_owned())
            }
            None => {}
        }
        match told {
            Some(Impact::Breaking) => rest.push(format!(
                "replies have {} where clients expect {}",
                new_form.shown(),
                old_form.shown()
            )),
            Some(Impact::Dangerous | Impact::Notice) => {
                rest.push("replies may have values that clients don't expect".to_owned())
            }
            None => {}
        }
        let what = if delimited && wire_change(&old_kind, &new_kind) == WireChange::Same {
            "is encoded in another way (as a group or behind its length)".to_owned()
        } else {
            format!("is of type `{}` and no longer `{}`", type_name(is), type_name(was))
        };
        let finding = self.finding(Change::FieldTypeChanged, impact, was, &what);
        let finding = if rest.is_empty() {
            finding.rest("the JSON stays as it was")
        } else {
            finding.rest(rest.join("; "))
        };
        Some(finding.grpc(grpc).help("add a field of another name and number, and fill both for a while"))
    }

    /// Presence and defaults.
    fn rest(&self, was: &FieldDescriptor, is: &FieldDescriptor, findings: &mut Vec<Finding>) {
        let is_many = |field: &FieldDescriptor| field.is_list() || field.is_map();
        let other_type = matches!(type_change(self.old, self.new, was, is), TypeChange::Other);
        // What is of another kind has other defaults as well; that is told already.
        if is_many(was) || is_many(is) || other_type {
            return;
        }
        let had = self.old.features.of_field(was).presence;
        let has = self.new.features.of_field(is).presence;
        match (had, has) {
            (Presence::Required, Presence::Required)
            | (Presence::Explicit, Presence::Explicit)
            | (Presence::Implicit, Presence::Implicit) => {}
            (Presence::Explicit | Presence::Implicit, Presence::Required) => {
                if self.uses().request {
                    findings.push(self.required(was, "is required now"));
                }
            }
            (Presence::Required, Presence::Explicit | Presence::Implicit) => {
                let impact = if self.uses().reply { Impact::Dangerous } else { Impact::Notice };
                findings.push(
                    self.finding(Change::FieldPresenceChanged, impact, was, "is no longer required")
                        .rest("replies may lack it")
                        .grpc("clients with the old code refuse a reply without it"),
                );
            }
            (Presence::Explicit, Presence::Implicit) => findings.push(
                self.finding(
                    Change::FieldPresenceChanged,
                    Impact::Dangerous,
                    was,
                    "no longer tells unset from its default",
                )
                .rest("a default that is set on purpose is left out of replies")
                .grpc("a default that is set on purpose is as if nothing was set"),
            ),
            (Presence::Implicit, Presence::Explicit) => findings.push(
                self.finding(
                    Change::FieldPresenceChanged,
                    Impact::Notice,
                    was,
                    "tells unset from its default now",
                )
                .rest("replies may have it with its default")
                .grpc("old clients don't send a default, which is now taken for unset"),
            ),
        }
        let has_default = !matches!(was.kind(), Kind::Message(_));
        if has_default && was.default_value() != is.default_value() {
            let what =
                format!("has the default {} and no longer {}", is.default_value(), was.default_value());
            findings.push(
                self.finding(Change::FieldDefaultChanged, Impact::Dangerous, was, &what)
                    .everyone("where it is unset, both sides take it for different values"),
            );
        }
    }
}
