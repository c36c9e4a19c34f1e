//! Writes the JSON forms of the well-known types, all but `Any`. Their scalar fields are taken as merging says: the
//! last one wins; so most of them need no careful mode.

use super::super::careful::index;
use super::super::error::WireErrorKind;
use super::super::plan::WellKnown;
use super::super::tables::{FieldPlan, Kind, MessagePlan, Shape};
use super::super::wire::{FIXED64, LEN, VARINT, Wire};
use super::super::write::{Stop, Writer, Written};
use super::mask::push_json_path;
use super::time::{push_duration, push_timestamp};

impl<'w> Writer<'w> {
    pub(crate) fn well_known(
        &mut self,
        which: WellKnown,
        message: &'w MessagePlan,
        parts: &[&[u8]],
        depth: u32,
    ) -> Written {
        match which {
            WellKnown::Any => self.any(parts, depth),
            WellKnown::Timestamp => self.time(parts, push_timestamp, WireErrorKind::Timestamp),
            WellKnown::Duration => self.time(parts, push_duration, WireErrorKind::Duration),
            WellKnown::FieldMask => self.mask(parts),
            WellKnown::Wrapper => self.wrapped(message, parts, depth),
            WellKnown::Value => self.any_json(message, parts, depth),
            WellKnown::Struct => self.only_field(message, parts, b"{}", depth),
            WellKnown::ListValue => self.only_field(message, parts, b"[]", depth),
            WellKnown::Empty => {
                let start = self.out.len();
                self.members(message, parts, depth)?;
                self.close(start, b'{', b'}');
                Ok(())
            }
        }
    }

    fn time(
        &mut self,
        parts: &[&[u8]],
        push: fn(&mut Vec<u8>, i64, i32) -> Option<()>,
        wrong: WireErrorKind,
    ) -> Written {
        let (mut seconds, mut nanos) = (0, 0);
        for part in parts {
            let mut wire = Wire::new(part);
            while !wire.is_empty() {
                match wire.tag()? {
                    (1, VARINT) => seconds = wire.varint()? as i64,
                    (2, VARINT) => nanos = wire.varint()? as i32,
                    (number, wire_type) => {
                        wire.value(number, wire_type)?;
                    }
                }
            }
        }
        self.out.push(b'"');
        push(self.out, seconds, nanos).ok_or(wrong)?;
        self.out.push(b'"');
        Ok(())
    }

    fn mask(&mut self, parts: &[&[u8]]) -> Written {
        let start = self.out.len();
        each_record(parts, |number, wire_type, path| {
            if (number, wire_type) == (1, LEN) {
                if !path.is_ascii() {
                    simdutf8::basic::from_utf8(path).map_err(|_| WireErrorKind::Utf8)?;
                }
                self.out.push(b',');
                push_json_path(path, self.out).ok_or(WireErrorKind::FieldMask)?;
            }
            Ok(())
        })?;
        self.close(start, b'"', b'"');
        Ok(())
    }

    fn wrapped(&mut self, message: &'w MessagePlan, parts: &[&[u8]], depth: u32) -> Written {
        let Some(field) = message.fields.first() else {
            return Err(WireErrorKind::Tag.into());
        };
        let mut last = field.default_contents();
        each_record(parts, |number, wire_type, contents| {
            if number == field.number && wire_type == field.wire_type {
                last = contents;
            }
            Ok(())
        })?;
        self.contents(field, last, depth)
    }

    /// Struct and ListValue: their one field, a map or a list, stands for the message.
    fn only_field(&mut self, message: &'w MessagePlan, parts: &[&[u8]], empty: &[u8], depth: u32) -> Written {
        let Some(field) = message.fields.first() else {
            return Err(WireErrorKind::Tag.into());
        };
        let start = self.out.len();
        match parts {
            [wire] if !self.careful => {
                let mut wire = Wire::new(wire);
                if wire.take(field.tag) {
                    match field.shape {
                        Shape::Map => self.map_in_order(field, &mut wire, start, depth)?,
                        Shape::Single | Shape::Repeated => {
                            self.list_in_order(field, &mut wire, false, start, depth)?;
                        }
                    }
                }
                if !wire.is_empty() {
                    return Err(Stop::Careful);
                }
            }
            _ => {
                self.need_care()?;
                let records = index(Some(self.set), message, parts)?;
                if !records.is_empty() {
                    self.field_value(field, &records, start, depth)?;
                }
            }
        }
        if self.out.len() == start {
            self.out.extend_from_slice(empty);
        }
        Ok(())
    }

    /// `google.protobuf.Value`: whatever member of its oneof is set; `null` if none is.
    fn any_json(&mut self, message: &'w MessagePlan, parts: &[&[u8]], depth: u32) -> Written {
        let start = self.out.len();
        match parts {
            [wire] if !self.careful => {
                let mut wire = Wire::new(wire);
                if !wire.is_empty() {
                    let (number, wire_type) = wire.tag()?;
                    let contents = wire.value(number, wire_type)?;
                    let field = message.by_number(number).map(|id| message.field(id));
                    let Some(field) = field.filter(|field| field.wire_type == wire_type && wire.is_empty())
                    else {
                        return Err(Stop::Careful);
                    };
                    check_number(field, contents)?;
                    self.contents(field, contents, depth)?;
                }
            }
            _ => {
                self.need_care()?;
                let records = index(Some(self.set), message, parts)?;
                if let Some(last) = records.last() {
                    let field = message.field(last.id());
                    check_number(field, last.contents())?;
                    self.field_value(field, &records, start, depth)?;
                }
            }
        }
        if self.out.len() == start {
            self.out.extend_from_slice(b"null");
        }
        Ok(())
    }

    fn need_care(&self) -> Written {
        if self.careful { Ok(()) } else { Err(Stop::Careful) }
    }
}

/// A Value cannot hold NaN or infinities: their names would come back as strings.
fn check_number(field: &FieldPlan, contents: &[u8]) -> Result<(), WireErrorKind> {
    if field.kind == Kind::Double && field.wire_type == FIXED64 {
        let value = f64::from_le_bytes(Wire::new(contents).fixed64()?);
        if !value.is_finite() {
            return Err(WireErrorKind::Value);
        }
    }
    Ok(())
}

/// Calls `take` with the number, wire type and contents of each record.
pub(super) fn each_record<'a>(
    parts: &[&'a [u8]],
    mut take: impl FnMut(u32, u8, &'a [u8]) -> Result<(), WireErrorKind>,
) -> Result<(), WireErrorKind> {
    for part in parts {
        let mut wire = Wire::new(part);
        while !wire.is_empty() {
            let (number, wire_type) = wire.tag()?;
            let contents = wire.value(number, wire_type)?;
            take(number, wire_type, contents)?;
        }
    }
    Ok(())
}
