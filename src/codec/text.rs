//! One value given as plain text, as path variables and query parameters give it. The REST translation pushes what is
//! written here into a `Splice`.

use std::borrow::Cow;

use super::error::{ReadErrorKind, TextError};
use super::plan::{FieldId, Plan, PlanSet, WellKnown};
use super::read_scalar::{push_map_key, push_text};
use super::tables::{FieldPlan, Kind, MessagePlan, Shape, Tag};
use super::wire::{self, Open};
use super::wkt::{duration_from_text, mask_from_text, timestamp_from_text};

/// Appends one element of `field`, with its tag: a scalar, or a message whose JSON form is a scalar (wrappers,
/// Timestamp, Duration, FieldMask in either case). After an error `out` is as it was.
pub fn write_text(plan: &Plan, field: FieldId, text: &str, out: &mut Vec<u8>) -> Result<(), TextError> {
    let field = plan.inner().field(field);
    if field.shape == Shape::Map {
        return Err(TextError::NotALeaf);
    }
    whole(out, |out| push_element(&plan.set, field, text, out))
}

/// Appends one entry of the map `field`, with its tag. After an error `out` is as it was.
pub fn write_map_text(
    plan: &Plan,
    field: FieldId,
    key: &str,
    value: &str,
    out: &mut Vec<u8>,
) -> Result<(), TextError> {
    let field = plan.inner().field(field);
    let (Shape::Map, Some((key_field, value_field))) = (field.shape, plan.set.entry_fields(field)) else {
        return Err(TextError::NotALeaf);
    };
    whole(out, |out| {
        field.tag.push(out);
        let open = Open::begin(out);
        key_field.tag.push(out);
        push_map_key(key_field.kind, Cow::Borrowed(key.as_bytes()), out)?;
        push_element(&plan.set, value_field, value, out)?;
        open.end(out);
        Ok(())
    })
}

/// Appends the key of an entry of the map `field`, without a tag: spellings of one key are the same bytes. After an
/// error `out` is as it was.
pub fn write_map_key(plan: &Plan, field: FieldId, key: &str, out: &mut Vec<u8>) -> Result<(), TextError> {
    let field = plan.inner().field(field);
    let (Shape::Map, Some((key_field, _))) = (field.shape, plan.set.entry_fields(field)) else {
        return Err(TextError::NotALeaf);
    };
    whole(out, |out| {
        push_map_key(key_field.kind, Cow::Borrowed(key.as_bytes()), out)?;
        Ok(())
    })
}

/// Whether text can be a value of this field or of one of its elements: whether a path variable or query parameter
/// may end here.
pub fn takes_text(plan: &Plan, field: FieldId) -> bool {
    let field = plan.inner().field(field);
    field.shape != Shape::Map
        && field.message().is_none_or(|id| plan.set.get(id).well_known.is_some_and(WellKnown::is_scalar))
}

/// All that `write` appends, or nothing.
fn whole(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), TextError>,
) -> Result<(), TextError> {
    let start = out.len();
    write(out).inspect_err(|_| out.truncate(start))
}

/// One value with its tag.
fn push_element(set: &PlanSet, field: &FieldPlan, text: &str, out: &mut Vec<u8>) -> Result<(), TextError> {
    field.tag.push(out);
    match field.kind {
        Kind::Message(id) => {
            let open = Open::begin(out);
            push_message(set, set.get(id), text, out)?;
            open.end(out);
        }
        Kind::Group(id) => {
            push_message(set, set.get(id), text, out)?;
            Tag::new(field.number, wire::END).push(out);
        }
        kind => push_text(set, kind, text, out)?,
    }
    Ok(())
}

/// The contents of a message that has a scalar form.
fn push_message(
    set: &PlanSet,
    message: &MessagePlan,
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), TextError> {
    let bytes = text.as_bytes();
    let (written, wrong) = match message.well_known {
        Some(WellKnown::Timestamp) => (timestamp_from_text(bytes, out), ReadErrorKind::BadTimestamp),
        Some(WellKnown::Duration) => (duration_from_text(bytes, out), ReadErrorKind::BadDuration),
        Some(WellKnown::FieldMask) => (mask_from_text(bytes, out), ReadErrorKind::BadFieldMask),
        Some(WellKnown::Wrapper) => {
            let value = message.fields.first().ok_or(TextError::NotALeaf)?;
            value.tag.push(out);
            push_text(set, value.kind, text, out)?;
            return Ok(());
        }
        Some(
            WellKnown::Any | WellKnown::Struct | WellKnown::Value | WellKnown::ListValue | WellKnown::Empty,
        )
        | None => return Err(TextError::NotALeaf),
    };
    written.ok_or(TextError::Invalid(wrong))
}
