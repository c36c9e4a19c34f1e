//! Wire bytes to JSON: the entry point and the fast pass. It takes each message in one go, as encoders write it: each
//! singular field once, the elements of a list side by side. Where the bytes are legal but otherwise, the whole call
//! starts again in the careful mode (`careful.rs`), so that no bytes can make it try again and again.

use super::bits::Bits;
use super::error::{WireError, WireErrorKind};
use super::locate::locate;
use super::map_key::{KeySet, MapKey};
use super::options::{JsonStyle, MAX_MESSAGE_LEN};
use super::plan::{Plan, PlanSet};
use super::required::first_missing;
use super::tables::{FieldPlan, Kind, MessageId, MessagePlan, Shape};
use super::wire::{DEPTH, LEN, Wire};

/// Writes the message in `wire` as JSON and appends it to `out`. Fields come in the order of the wire, or of their
/// numbers where the wire splits or repeats them. After an error `out` is as it was.
pub fn write_message(plan: &Plan, wire: &[u8], style: JsonStyle, out: &mut Vec<u8>) -> Result<(), WireError> {
    if wire.len() > MAX_MESSAGE_LEN {
        return Err(WireErrorKind::TooLarge.into());
    }
    // What JSON takes for the messages of most schemas; more is no error.
    out.reserve(wire.len().saturating_mul(2));
    refuse_incomplete(plan, wire)?;
    write(plan, style, out, |writer| writer.message(plan.id, &[wire], DEPTH))
        .map_err(|error| locate(plan, wire, error.kind))
}

/// A message without its required fields is none.
#[inline]
pub(super) fn refuse_incomplete(plan: &Plan, wire: &[u8]) -> Result<(), WireError> {
    match first_missing(plan, wire) {
        Ok(None) => Ok(()),
        Ok(Some(fail)) => {
            Err(WireError { kind: WireErrorKind::Incomplete, path: fail.finish().path, offset: 0 })
        }
        Err(kind) => Err(locate(plan, wire, kind)),
    }
}

/// Runs `value` in the fast mode and, if need be, once more in the careful one. Errors come without a place.
pub(super) fn write(
    plan: &Plan,
    style: JsonStyle,
    out: &mut Vec<u8>,
    value: impl Fn(&mut Writer<'_>) -> Written,
) -> Result<(), WireError> {
    let start = out.len();
    let mut result = Err(Stop::Careful);
    for careful in [false, true] {
        out.truncate(start);
        let mut writer = Writer { set: &plan.set, style, careful, out };
        result = value(&mut writer);
        if !matches!(result, Err(Stop::Careful)) {
            break;
        }
    }
    result.map_err(|stop| {
        out.truncate(start);
        WireError::from(match stop {
            Stop::Bad(kind) => kind,
            // The careful mode never asks for itself.
            Stop::Careful => WireErrorKind::Truncated,
        })
    })
}

/// Why a pass stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The bytes need the careful mode.
    Careful,
    /// The bytes are no message.
    Bad(WireErrorKind),
}

impl From<WireErrorKind> for Stop {
    #[cold]
    fn from(kind: WireErrorKind) -> Self {
        Self::Bad(kind)
    }
}

/// Ok, or why the pass stopped.
pub(super) type Written = Result<(), Stop>;

/// One message being written as JSON.
pub(crate) struct Writer<'w> {
    pub(super) set: &'w PlanSet,
    pub(super) style: JsonStyle,
    pub(super) careful: bool,
    pub(super) out: &'w mut Vec<u8>,
}

impl<'w> Writer<'w> {
    /// A message whose contents are `parts`, one after the other: more than one where the wire splits it.
    pub(super) fn message(&mut self, id: MessageId, parts: &[&[u8]], depth: u32) -> Written {
        let depth = depth.checked_sub(1).ok_or(WireErrorKind::Depth)?;
        let message = self.set.get(id);
        match message.well_known {
            None => {
                let start = self.out.len();
                self.members(message, parts, depth)?;
                self.close(start, b'{', b'}');
                Ok(())
            }
            Some(which) => self.well_known(which, message, parts, depth),
        }
    }

    /// A message that the wire does not split.
    fn whole_message(&mut self, id: MessageId, contents: &[u8], depth: u32) -> Written {
        let message = self.set.get(id);
        if self.careful || message.well_known.is_some() {
            return self.message(id, &[contents], depth);
        }
        let depth = depth.checked_sub(1).ok_or(WireErrorKind::Depth)?;
        let start = self.out.len();
        self.members_in_order(message, Wire::new(contents), depth)?;
        self.close(start, b'{', b'}');
        Ok(())
    }

    /// The members of an object, each with a comma before it.
    pub(super) fn members(&mut self, message: &'w MessagePlan, parts: &[&[u8]], depth: u32) -> Written {
        match parts {
            [] => self.members_in_order(message, Wire::new(&[]), depth),
            [wire] if !self.careful => self.members_in_order(message, Wire::new(wire), depth),
            _ => self.members_with_care(message, parts, depth),
        }
    }

    /// Ends an object or array that began at `start` and whose elements all have a comma before them: the first one
    /// becomes the opening bracket.
    #[inline]
    pub(super) fn close(&mut self, start: usize, open: u8, close: u8) {
        match self.out.get_mut(start) {
            Some(first) => *first = open,
            None => self.out.push(open),
        }
        self.out.push(close);
    }

    fn members_in_order(&mut self, message: &'w MessagePlan, mut wire: Wire<'_>, depth: u32) -> Written {
        if message.message_set {
            return Err(Stop::Careful);
        }
        let mut met = Bits::new();
        while !wire.is_empty() {
            let start = wire;
            let (number, wire_type) = wire.any_tag()?;
            let Some(field) = message.by_number(number).map(|id| message.field(id)) else {
                wire = start;
                wire.skip()?;
                continue;
            };
            let run = wire_type != field.wire_type;
            if run && !(wire_type == LEN && field.shape != Shape::Single && field.packable()) {
                // Not this field, whatever its number says.
                wire = start;
                wire.skip()?;
                continue;
            }
            if !met.insert(field.slot) {
                return Err(Stop::Careful);
            }
            let key = self.out.len();
            match field.shape {
                Shape::Single => {
                    if !field.presence && !self.style.defaults && wire.at_default(field.kind) {
                        wire.value(number, wire_type)?;
                        continue;
                    }
                    self.key(field);
                    let value = self.out.len();
                    self.single(field, &mut wire, depth)?;
                    self.drop_if_empty(key, value);
                }
                Shape::Repeated => {
                    self.key(field);
                    self.list_in_order(field, &mut wire, run, key, depth)?;
                }
                Shape::Map => {
                    self.key(field);
                    self.map_in_order(field, &mut wire, key, depth)?;
                }
            }
        }
        if self.style.defaults && message.has_implicit {
            self.defaults(message, &met)?;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn key(&mut self, field: &FieldPlan) {
        field.key(self.style.proto_names).push(self.out);
    }

    /// Takes back what was written from `from` if no value was written at `value`: an unknown number of a closed enum
    /// counts as no value.
    #[inline]
    pub(super) fn drop_if_empty(&mut self, from: usize, value: usize) {
        if self.out.len() == value {
            self.out.truncate(from);
        }
    }

    /// One value, its tag taken.
    #[inline(always)]
    fn single(&mut self, field: &FieldPlan, wire: &mut Wire<'_>, depth: u32) -> Written {
        match field.kind {
            Kind::String => self.next_string(wire, field.utf8)?,
            Kind::Bytes => self.base64(wire.bytes()?),
            Kind::Message(id) => self.whole_message(id, wire.bytes()?, depth)?,
            Kind::Group(id) => {
                let contents = wire.value(field.number, field.wire_type)?;
                self.message(id, &[contents], depth)?;
            }
            kind => self.number(kind, wire)?,
        }
        Ok(())
    }

    /// A value given as its contents: without length, or without the end of the group.
    pub(super) fn contents(&mut self, field: &FieldPlan, contents: &[u8], depth: u32) -> Written {
        match field.kind {
            Kind::String => self.string(contents, field.utf8)?,
            Kind::Bytes => self.base64(contents),
            Kind::Message(id) | Kind::Group(id) => self.message(id, &[contents], depth)?,
            kind => self.number(kind, &mut Wire::new(contents))?,
        }
        Ok(())
    }

    /// A list whose first tag was taken; `key` is where its name was written.
    pub(super) fn list_in_order(
        &mut self,
        field: &FieldPlan,
        wire: &mut Wire<'_>,
        mut run: bool,
        key: usize,
        depth: u32,
    ) -> Written {
        let start = self.out.len();
        loop {
            if run {
                self.packed(field, wire.bytes()?)?;
            } else {
                let comma = self.out.len();
                self.out.push(b',');
                self.single(field, wire, depth)?;
                self.drop_if_empty(comma, comma + 1);
            }
            if wire.take(field.tag) {
                run = false;
            } else if field.packable() && wire.take(field.packed_tag) {
                run = true;
            } else {
                break;
            }
        }
        self.close_list(start, key);
        Ok(())
    }

    /// Ends a list, and takes its name back if it is empty.
    pub(super) fn close_list(&mut self, start: usize, key: usize) {
        if self.out.len() == start && key != start && !self.style.defaults {
            self.out.truncate(key);
        } else {
            self.close(start, b'[', b']');
        }
    }

    /// The elements of a packed list, each with a comma before it.
    pub(super) fn packed(&mut self, field: &FieldPlan, run: &[u8]) -> Written {
        let mut run = Wire::new(run);
        if field.kind == Kind::Int32 {
            // Most lists of numbers.
            while !run.is_empty() {
                self.out.push(b',');
                self.int32(&mut run)?;
            }
            return Ok(());
        }
        while !run.is_empty() {
            let comma = self.out.len();
            self.out.push(b',');
            self.number(field.kind, &mut run)?;
            self.drop_if_empty(comma, comma + 1);
        }
        Ok(())
    }

    /// A map whose first tag was taken; `key` is where its name was written.
    pub(super) fn map_in_order(
        &mut self,
        field: &FieldPlan,
        wire: &mut Wire<'_>,
        key: usize,
        depth: u32,
    ) -> Written {
        let Some((key_field, value_field)) = self.set.entry_fields(field) else {
            return Err(WireErrorKind::Tag.into());
        };
        let start = self.out.len();
        let mut keys = KeySet::default();
        loop {
            let contents = wire.bytes()?;
            if let Some((key, mut value)) = usual_entry(key_field, value_field, contents) {
                if !keys.insert(MapKey::from_wire(key_field.kind, key)?) {
                    return Err(Stop::Careful);
                }
                self.map_entry(key_field, key, |writer| writer.single(value_field, &mut value, depth))?;
                if !value.is_empty() {
                    return Err(Stop::Careful);
                }
                if !wire.take(field.tag) {
                    break;
                }
                continue;
            }
            let mut entry = Wire::new(contents);
            let (mut key, mut value) = (None, None);
            while !entry.is_empty() {
                let (number, wire_type) = entry.tag()?;
                let contents = entry.value(number, wire_type)?;
                let place = if number == key_field.number && wire_type == key_field.wire_type {
                    &mut key
                } else if number == value_field.number && wire_type == value_field.wire_type {
                    &mut value
                } else {
                    continue;
                };
                if place.replace(contents).is_some() {
                    return Err(Stop::Careful);
                }
            }
            let key = key.unwrap_or(key_field.default_contents());
            if !keys.insert(MapKey::from_wire(key_field.kind, key)?) {
                return Err(Stop::Careful);
            }
            let value = value.unwrap_or(value_field.default_contents());
            self.map_entry(key_field, key, |writer| writer.contents(value_field, value, depth))?;
            if !wire.take(field.tag) {
                break;
            }
        }
        self.close_map(start, key);
        Ok(())
    }

    /// One entry with a comma before it; nothing if it has no value.
    pub(super) fn map_entry(
        &mut self,
        key_field: &FieldPlan,
        key: &[u8],
        value: impl FnOnce(&mut Self) -> Written,
    ) -> Written {
        let comma = self.out.len();
        self.out.push(b',');
        self.map_key(key_field, key)?;
        self.out.push(b':');
        let start = self.out.len();
        value(self)?;
        self.drop_if_empty(comma, start);
        Ok(())
    }

    /// Ends a map, and takes its name back if it is empty.
    pub(super) fn close_map(&mut self, start: usize, key: usize) {
        if self.out.len() == start && key != start && !self.style.defaults {
            self.out.truncate(key);
        } else {
            self.close(start, b'{', b'}');
        }
    }

    /// The fields without presence that were not met, with their default values.
    pub(super) fn defaults(&mut self, message: &'w MessagePlan, met: &Bits) -> Written {
        for field in &message.fields {
            if !field.presence && !met.contains(field.slot) {
                self.key(field);
                self.default_value(field)?;
            }
        }
        Ok(())
    }

    /// What an unset field without presence reads as.
    pub(super) fn default_value(&mut self, field: &FieldPlan) -> Written {
        match field.shape {
            Shape::Repeated => self.out.extend_from_slice(b"[]"),
            Shape::Map => self.out.extend_from_slice(b"{}"),
            Shape::Single => self.contents(field, field.default_contents(), DEPTH)?,
        }
        Ok(())
    }
}

/// The key of a map's entry, and where its value is read, if the entry is as encoders write it: key, value.
fn usual_entry<'a>(key: &FieldPlan, value: &FieldPlan, contents: &'a [u8]) -> Option<(&'a [u8], Wire<'a>)> {
    let mut entry = Wire::new(contents);
    if !entry.take(key.tag) {
        return None;
    }
    let contents = entry.value(key.number, key.wire_type).ok()?;
    entry.take(value.tag).then_some((contents, entry))
}
