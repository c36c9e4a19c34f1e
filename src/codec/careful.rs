//! Wire bytes to JSON where they are legal but not as encoders write them: split messages, repeated singular fields,
//! lists in pieces, two members of a oneof, map keys that come twice. Each message first indexes its records and then
//! writes its fields in the order of their numbers; a record is indexed once on its level, so the work stays linear.

use smallvec::SmallVec;

use super::bits::Bits;
use super::error::WireErrorKind;
use super::map_key::{KeySet, MapKey};
use super::plan::{FieldId, PlanSet};
use super::tables::{FieldPlan, Kind, MessagePlan, NONE, Shape};
use super::wire::{LEN, START, Wire, message_set};
use super::write::{Stop, Writer, Written};

/// One occurrence of a field.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    id: FieldId,
    /// A packed list.
    run: bool,
    /// As `Wire::value` gives them.
    contents: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn id(&self) -> FieldId {
        self.id
    }

    pub(super) fn contents(&self) -> &'a [u8] {
        self.contents
    }
}

/// The records of known fields, by field and then in the order of the wire. Of a oneof only the member stays that was
/// set last, from where it was set last. With `enums` at hand, what a closed enum does not know sets nothing.
pub(super) fn index<'a>(
    enums: Option<&PlanSet>,
    message: &MessagePlan,
    parts: &[&'a [u8]],
) -> Result<Vec<Record<'a>>, WireErrorKind> {
    let mut records = Vec::new();
    // Per oneof: the member that is set, and the place of the first record that counts.
    let oneofs = message.bits.saturating_sub(message.fields.len());
    let mut set: SmallVec<[(u32, usize); 4]> = SmallVec::from_elem((NONE, 0), oneofs);
    for part in parts {
        let mut wire = Wire::new(part);
        while !wire.is_empty() {
            let (number, mut wire_type) = wire.tag()?;
            let mut contents = wire.value(number, wire_type)?;
            let mut known = message.by_number(number);
            if message.message_set && (number, wire_type) == (message_set::ITEM, START) {
                let (type_id, extension) = item(contents)?;
                (known, wire_type, contents) = (message.by_number(type_id), LEN, extension);
            }
            let Some(id) = known else {
                continue;
            };
            let field = message.field(id);
            let run = wire_type == LEN && field.shape != Shape::Single && field.packable();
            if wire_type != field.wire_type && !run {
                continue;
            }
            if field.shape == Shape::Single
                && let Some(enums) = enums
                && !enums.has_value(field, contents)?
            {
                continue;
            }
            if let Some(state) = set.get_mut(field.oneof as usize)
                && state.0 != id.0
            {
                *state = (id.0, records.len());
            }
            records.push(Record { id, run, contents });
        }
    }
    let mut place = 0;
    records.retain(|record| {
        let current = place;
        place += 1;
        set.get(message.field(record.id).oneof as usize)
            .is_none_or(|&(member, first)| member == record.id.0 && current >= first)
    });
    records.sort_by_key(|record| record.id);
    Ok(records)
}

/// The number and the contents of the extension in an item of a MessageSet. The first ones count, as in C++.
fn item(contents: &[u8]) -> Result<(u32, &[u8]), WireErrorKind> {
    let (mut type_id, mut message) = (None, None);
    let mut wire = Wire::new(contents);
    while !wire.is_empty() {
        let (number, wire_type) = wire.tag()?;
        let tag = number << 3 | u32::from(wire_type);
        if tag == u32::from(message_set::TYPE_ID) {
            type_id.get_or_insert(wire.varint()?);
        } else if tag == u32::from(message_set::MESSAGE) {
            message.get_or_insert(wire.bytes()?);
        } else {
            wire.value(number, wire_type)?;
        }
    }
    // No field has the number 0.
    Ok((type_id.and_then(|id| u32::try_from(id).ok()).unwrap_or(0), message.unwrap_or_default()))
}

/// The records of one field.
pub(super) fn of_field<'r, 'a>(records: &'r [Record<'a>], id: FieldId) -> &'r [Record<'a>] {
    let from = records.partition_point(|record| record.id < id);
    let rest = records.get(from..).unwrap_or_default();
    let len = rest.partition_point(|record| record.id == id);
    rest.get(..len).unwrap_or_default()
}

impl<'w> Writer<'w> {
    /// The members of an object, each with a comma before it.
    pub(super) fn members_with_care(
        &mut self,
        message: &'w MessagePlan,
        parts: &[&[u8]],
        depth: u32,
    ) -> Written {
        if !self.careful {
            return Err(Stop::Careful);
        }
        self.records(message, &index(Some(self.set), message, parts)?, Bits::new(), depth)
    }

    /// The members whose records these are, each with a comma before it. `met` are fields that were written already.
    pub(super) fn records(
        &mut self,
        message: &'w MessagePlan,
        records: &[Record<'_>],
        mut met: Bits,
        depth: u32,
    ) -> Written {
        for group in records.chunk_by(|a, b| a.id == b.id) {
            let Some(first) = group.first() else {
                continue;
            };
            let field = message.field(first.id);
            met.insert(field.slot);
            let key = self.out.len();
            self.key(field);
            self.field_value(field, group, key, depth)?;
        }
        if self.style.defaults && message.has_implicit {
            self.defaults(message, &met)?;
        }
        Ok(())
    }

    /// The value of a field from all its records; `key` is where its name was written, which is taken back if there is
    /// no value after all.
    pub(super) fn field_value(
        &mut self,
        field: &'w FieldPlan,
        records: &[Record<'_>],
        key: usize,
        depth: u32,
    ) -> Written {
        let start = self.out.len();
        match field.shape {
            Shape::Single => {
                if let Kind::Message(id) | Kind::Group(id) = field.kind {
                    let parts: SmallVec<[&[u8]; 4]> = records.iter().map(|record| record.contents).collect();
                    return self.message(id, &parts, depth);
                }
                // The last one wins, but an unknown number of a closed enum is none.
                for record in records.iter().rev() {
                    let implicit = !field.presence && !self.style.defaults && key != start;
                    if implicit && is_zero(field, record.contents) {
                        break;
                    }
                    self.contents(field, record.contents, depth)?;
                    if self.out.len() > start {
                        return Ok(());
                    }
                }
                self.out.truncate(key);
            }
            Shape::Repeated => {
                for record in records {
                    if record.run {
                        self.packed(field, record.contents)?;
                    } else {
                        let comma = self.out.len();
                        self.out.push(b',');
                        self.contents(field, record.contents, depth)?;
                        self.drop_if_empty(comma, comma + 1);
                    }
                }
                self.close_list(start, key);
            }
            Shape::Map => {
                self.map_entries(field, records, depth)?;
                self.close_map(start, key);
            }
        }
        Ok(())
    }

    /// The entries of a map, each with a comma before it. Of entries with the same key the last one wins.
    fn map_entries(&mut self, field: &'w FieldPlan, records: &[Record<'_>], depth: u32) -> Written {
        let Some((key_field, value_field)) = self.set.entry_fields(field) else {
            return Err(WireErrorKind::Tag.into());
        };
        let Some(entry_plan) = field.message().map(|id| self.set.get(id)) else {
            return Err(WireErrorKind::Tag.into());
        };
        let mut keys = KeySet::default();
        let mut entries = Vec::new();
        for record in records.iter().rev() {
            let fields = index(None, entry_plan, &[record.contents])?;
            // An entry whose value a closed enum does not know is none, and takes no other's place.
            if let Some(value) = of_field(&fields, FieldId(1)).last()
                && !self.set.has_value(value_field, value.contents)?
            {
                continue;
            }
            let key = of_field(&fields, FieldId(0))
                .last()
                .map_or(key_field.default_contents(), |record| record.contents);
            if keys.insert(MapKey::from_wire(key_field.kind, key)?) {
                entries.push((key, fields));
            }
        }
        for (key, fields) in entries.iter().rev() {
            let value = of_field(fields, FieldId(1));
            self.map_entry(key_field, key, |writer| {
                if value.is_empty() {
                    writer.contents(value_field, value_field.default_contents(), depth)
                } else {
                    let start = writer.out.len();
                    writer.field_value(value_field, value, start, depth)
                }
            })?;
        }
        Ok(())
    }
}

/// Whether these contents are the value of an unset field.
fn is_zero(field: &FieldPlan, contents: &[u8]) -> bool {
    match field.kind {
        // Text of NUL characters is not empty.
        Kind::String | Kind::Bytes => contents.is_empty(),
        kind => Wire::new(contents).at_default(kind),
    }
}
