//! Brings in what path and query have set: path variables are stronger than the body, query parameters weaker. Each
//! singular message is written once, so leaves are written into the message that the body has open.

use std::borrow::Cow;
use std::collections::HashMap;

use super::bits::Bits;
use super::error::{ReadErrorKind, Step};
use super::map_key::MapKey;
use super::options::Overrides;
use super::plan::{FieldId, PlanSet};
use super::read::{Outcome, Reader};
use super::splice::{FieldLeaves, Leaves, Rank};
use super::tables::{FieldPlan, Kind, MessagePlan, Shape, Tag};
use super::wire::{self, Open, Wire};

impl<'r> Reader<'r, '_> {
    fn refuses_different(&self) -> bool {
        match self.options.overrides {
            Overrides::Stronger => false,
            Overrides::RejectDifferent => true,
        }
    }

    /// The body says that a field is unset. A query leaf is weaker, a path leaf is not; lists start empty either way.
    pub(super) fn null_member(
        &mut self,
        message: &'r MessagePlan,
        id: FieldId,
        leaves: Leaves<'_>,
    ) -> Outcome {
        let field = message.field(id);
        let own = leaves.of(id);
        if own.is_empty() {
            return Ok(());
        }
        let only_path = field.shape == Shape::Single;
        if only_path && self.refuses_different() {
            return Err(self.at(field, ReadErrorKind::OverrideDiffers));
        }
        if only_path && !own.has(Rank::Path) {
            return Ok(());
        }
        write_field_leaves(self.set, field, own, only_path, self.out);
        Ok(())
    }

    /// The body has a value for a field, and there are leaves in this message.
    pub(super) fn spliced_member(
        &mut self,
        message: &'r MessagePlan,
        id: FieldId,
        leaves: Leaves<'_>,
        depth: u32,
    ) -> Outcome {
        let field = message.field(id);
        let start = self.out.len();
        if has_rival(message, id, leaves) {
            // The path has set another member of the oneof: the body's is checked and dropped.
            self.value(field, Leaves::NONE, depth)?;
            self.out.truncate(start);
            return if self.refuses_different() {
                Err(self.lex.fail(ReadErrorKind::OverrideDiffers))
            } else {
                Ok(())
            };
        }
        let own = leaves.of(id);
        if own.is_empty() {
            return self.value(field, Leaves::NONE, depth);
        }
        match field.shape {
            Shape::Single if self.opens(field, own) => self.value(field, own.inside(), depth),
            Shape::Single => {
                let written = self.single(field, Leaves::NONE, depth, true)?;
                self.override_from(start, field, own, written)
            }
            Shape::Repeated => {
                // Leaves of lists are not packed; only in that form can the two be compared.
                let packed = field.packed && !own.has(Rank::Path);
                self.list(field, packed, depth)?;
                if own.has(Rank::Path) {
                    let given: Vec<u8> = own.exact(Rank::Path).flatten().copied().collect();
                    self.check_same(start, &given)?;
                    self.out.truncate(start);
                }
                write_field_leaves(self.set, field, own, false, self.out);
                Ok(())
            }
            Shape::Map => {
                self.map(field, depth)?;
                self.merge_map(start, field, own)
            }
        }
    }

    /// Whether the leaves go into the object that the body gives for this message.
    fn opens(&self, field: &FieldPlan, own: FieldLeaves<'_>) -> bool {
        field.message().is_some_and(|id| self.set.get(id).well_known.is_none())
            && own.exact(Rank::Path).chain(own.exact(Rank::Query)).next().is_none()
    }

    /// The body's value of a field stands in `out` from `start`: the path's takes its place, the query's does not.
    fn override_from(
        &mut self,
        start: usize,
        field: &FieldPlan,
        own: FieldLeaves<'_>,
        written: bool,
    ) -> Outcome {
        if self.refuses_different() {
            let mut given = Vec::new();
            write_field_leaves(self.set, field, own, false, &mut given);
            if !written {
                return Err(self.lex.fail(ReadErrorKind::OverrideDiffers));
            }
            self.check_same(start, &given)?;
        }
        if own.has(Rank::Path) {
            self.out.truncate(start);
            write_field_leaves(self.set, field, own, true, self.out);
        }
        Ok(())
    }

    fn check_same(&self, start: usize, given: &[u8]) -> Outcome {
        if self.refuses_different() && self.out.get(start..) != Some(given) {
            return Err(self.lex.fail(ReadErrorKind::OverrideDiffers));
        }
        Ok(())
    }

    /// Adds the entries that the body's map, which stands in `out` from `start`, does not have.
    fn merge_map(&mut self, start: usize, field: &FieldPlan, own: FieldLeaves<'_>) -> Outcome {
        let Some((key_field, _)) = self.set.entry_fields(field) else {
            return Ok(());
        };
        let mut entries = HashMap::new();
        let mut wire = Wire::new(self.out.get(start..).unwrap_or_default());
        while !wire.is_empty() {
            let Some((key, entry)) = map_entry(&mut wire, key_field) else {
                break;
            };
            entries.insert(key, entry);
        }
        let mut added = Vec::new();
        for leaf in own.exact(Rank::Path).chain(own.exact(Rank::Query)) {
            match map_entry(&mut Wire::new(leaf), key_field) {
                Some((key, entry)) => match entries.get(&key) {
                    Some(body) if *body != entry && self.refuses_different() => {
                        let fail = self.lex.fail(ReadErrorKind::OverrideDiffers);
                        return Err(match key {
                            MapKey::Text(key) => fail.within(Step::Key(String::from_utf8_lossy(&key).into())),
                            MapKey::Number(_) => fail,
                        });
                    }
                    Some(_) => {}
                    None => added.extend_from_slice(leaf),
                },
                None => added.extend_from_slice(leaf),
            }
        }
        self.out.extend_from_slice(&added);
        Ok(())
    }

    /// At the end of an object: the leaves of fields that it did not mention.
    pub(super) fn rest_of_splice(
        &mut self,
        message: &MessagePlan,
        met: &Bits,
        leaves: Leaves<'_>,
    ) -> Outcome {
        if self.refuses_different() {
            let refused = leaves.fields().find(|&(id, own)| {
                !met.contains(id.0)
                    && !own.has(Rank::Path)
                    && message
                        .oneof_bit(message.field(id))
                        .is_some_and(|bit| met.contains(bit) || has_rival(message, id, leaves))
            });
            if let Some((id, _)) = refused {
                return Err(self.at(message.field(id), ReadErrorKind::OverrideDiffers));
            }
        }
        write_leaves(self.set, message, leaves, met.clone(), false, self.out);
        Ok(())
    }
}

/// Takes a map entry: its key and its bytes.
fn map_entry<'a>(wire: &mut Wire<'a>, key_field: &FieldPlan) -> Option<(MapKey<'a>, &'a [u8])> {
    wire.tag().ok()?;
    let entry = wire.bytes().ok()?;
    let mut fields = Wire::new(entry);
    let mut key = MapKey::Text(Cow::Borrowed(b""));
    while !fields.is_empty() {
        let (number, wire_type) = fields.tag().ok()?;
        let contents = fields.value(number, wire_type).ok()?;
        if number == key_field.number {
            key = MapKey::from_wire(key_field.kind, contents).ok()?;
        }
    }
    Some((key, entry))
}

/// Whether the path has set another member of the field's oneof.
fn has_rival(message: &MessagePlan, id: FieldId, leaves: Leaves<'_>) -> bool {
    let oneof = message.oneof_bit(message.field(id));
    oneof.is_some()
        && leaves.fields().any(|(other, own)| {
            other != id && message.oneof_bit(message.field(other)) == oneof && own.has(Rank::Path)
        })
}

/// What is written of a field without a body: its own leaves, or a message around deeper ones.
enum Written<'s> {
    Exact(&'s [u8]),
    Inside(Leaves<'s>),
    Nothing,
}

/// The strongest leaf of the field itself or inside its message; of one rank the field itself.
fn choose(own: FieldLeaves<'_>, only_path: bool) -> Written<'_> {
    let inside = own.inside();
    for rank in Rank::ALL {
        if let Some(leaf) = own.exact(rank).last() {
            return Written::Exact(leaf);
        }
        if inside.any(rank) {
            return Written::Inside(inside);
        }
        if only_path {
            break;
        }
    }
    Written::Nothing
}

/// Writes the leaves at or below one field, of the path only where `only_path`.
fn write_field_leaves(
    set: &PlanSet,
    field: &FieldPlan,
    own: FieldLeaves<'_>,
    only_path: bool,
    out: &mut Vec<u8>,
) {
    match field.shape {
        Shape::Single => match choose(own, only_path) {
            Written::Exact(leaf) => out.extend_from_slice(leaf),
            Written::Inside(leaves) => {
                if let Some(id) = field.message() {
                    let end = Ending::begin(field, out);
                    write_leaves(set, set.get(id), leaves, Bits::default(), only_path, out);
                    end.end(out);
                }
            }
            Written::Nothing => {}
        },
        Shape::Repeated | Shape::Map => {
            for rank in Rank::ALL {
                // As with a list in JSON, the path's takes the place of the body's; the query's is added to either.
                if rank == Rank::Body && field.shape == Shape::Repeated && own.has(Rank::Path) {
                    continue;
                }
                for leaf in own.exact(rank) {
                    out.extend_from_slice(leaf);
                }
            }
        }
    }
}

/// How an open message is closed.
pub(super) enum Ending {
    Length(Open),
    Group(Tag),
}

impl Ending {
    pub fn begin(field: &FieldPlan, out: &mut Vec<u8>) -> Self {
        field.tag.push(out);
        match field.kind {
            Kind::Group(_) => Self::Group(Tag::new(field.number, wire::END)),
            _ => Self::Length(Open::begin(out)),
        }
    }

    pub fn end(self, out: &mut Vec<u8>) {
        match self {
            Self::Length(open) => open.end(out),
            Self::Group(tag) => tag.push(out),
        }
    }
}

/// Writes the leaves of all fields that are not in `met`. Of the members of a oneof the strongest stands.
pub(super) fn write_leaves(
    set: &PlanSet,
    message: &MessagePlan,
    leaves: Leaves<'_>,
    mut met: Bits,
    only_path: bool,
    out: &mut Vec<u8>,
) {
    for (id, own) in leaves.fields() {
        let field = message.field(id);
        if met.contains(id.0) || (only_path && !own.has(Rank::Path)) {
            continue;
        }
        if let Some(bit) = message.oneof_bit(field)
            && !own.has(Rank::Path)
            && (has_rival(message, id, leaves) || !met.insert(bit))
        {
            continue;
        }
        write_field_leaves(set, field, own, only_path, out);
    }
}
