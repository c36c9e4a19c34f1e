//! Whether all required fields of a message are there (proto2's `required`, `LEGACY_REQUIRED` in editions). It looks at
//! the wire bytes of a finished message, where body, path and query have come together, and only if the schema has such
//! fields at all.

use smallvec::SmallVec;

use super::careful::{index, of_field};
use super::error::{Fail, ReadError, ReadErrorKind, Step, WireErrorKind};
use super::plan::{Plan, PlanSet};
use super::tables::{MessageId, MessagePlan, Shape};
use super::wire::DEPTH;

/// Checks that the message in `wire` and all messages in it have their required fields. What an `Any` holds is not
/// looked at.
///
/// # Errors
/// The first field that is missing, with its path, where an entry of a map counts as an element; or bytes that are no
/// message.
pub fn check_complete(plan: &Plan, wire: &[u8]) -> Result<(), ReadError> {
    match first_missing(plan, wire) {
        Ok(None) => Ok(()),
        Ok(Some(fail)) => Err(fail.finish()),
        Err(WireErrorKind::Depth) => Err(Fail::new(ReadErrorKind::Depth, 0).finish()),
        Err(_) => Err(Fail::new(ReadErrorKind::WrongType, 0).finish()),
    }
}

/// The first required field that is missing.
pub(super) fn first_missing(plan: &Plan, wire: &[u8]) -> Result<Option<Box<Fail>>, WireErrorKind> {
    missing(&plan.set, plan.id, &[wire], DEPTH)
}

/// One message, whose contents are `parts`, one after the other.
fn missing(
    set: &PlanSet,
    id: MessageId,
    parts: &[&[u8]],
    depth: u32,
) -> Result<Option<Box<Fail>>, WireErrorKind> {
    let message = set.get(id);
    if !message.may_lack {
        return Ok(None);
    }
    let depth = depth.checked_sub(1).ok_or(WireErrorKind::Depth)?;
    let records = index(Some(set), message, parts)?;
    for &id in &message.required {
        let field = message.field(id);
        if of_field(&records, id).is_empty() {
            let step = Step::Member(field.json_name.clone());
            return Ok(Some(Fail::new(ReadErrorKind::MissingRequired, 0).within(step)));
        }
    }
    for group in records.chunk_by(|a, b| a.id() == b.id()) {
        let Some(field) = group.first().map(|first| message.field(first.id())) else { continue };
        let Some(inner) = field.message().filter(|&inner| set.get(inner).may_lack) else { continue };
        let parts: SmallVec<[&[u8]; 4]> = group.iter().map(|record| record.contents()).collect();
        let fail = match field.shape {
            Shape::Single => missing(set, inner, &parts, depth)?,
            Shape::Repeated | Shape::Map => {
                let mut found = None;
                for (place, &element) in parts.iter().enumerate() {
                    found =
                        missing(set, inner, &[element], depth)?.map(|fail| fail.within(Step::Index(place)));
                    if found.is_some() {
                        break;
                    }
                }
                found
            }
        };
        if let Some(fail) = fail {
            return Ok(Some(fail.within(Step::Member(field.json_name.clone()))));
        }
    }
    Ok(None)
}

/// Finds the messages that have a required field, or hold a message that may lack one.
pub(super) fn mark(messages: &mut [MessagePlan]) {
    let mut open: Vec<usize> = (0..messages.len()).filter(|&id| !messages[id].required.is_empty()).collect();
    if open.is_empty() {
        return;
    }
    let mut holders: Vec<Vec<usize>> = vec![Vec::new(); messages.len()];
    for (holder, message) in messages.iter().enumerate() {
        for MessageId(held) in message.fields.iter().filter_map(|field| field.message()) {
            holders[held as usize].push(holder);
        }
    }
    while let Some(id) = open.pop() {
        if !std::mem::replace(&mut messages[id].may_lack, true) {
            open.extend_from_slice(&holders[id]);
        }
    }
}
