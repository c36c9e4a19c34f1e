//! The value of one field, found by its path in wire bytes, as whoever parses all of the message reads it. For policies
//! that look into a request.
//!
//! The last occurrence counts, the parts of a message that comes in parts are one, and a member of a oneof is gone once
//! another one comes. What parsers are known to read differently is refused: a value of another wire type than the
//! field's, which some skip.

use std::error::Error;
use std::fmt;

use super::error::WireErrorKind;
use super::plan::{FieldId, Plan};
use super::tables::{FieldPlan, Kind, MessageId, NONE, Shape};
use super::wire::{self, DEPTH, Wire};

/// The way to a text, a whole number or a bool, through messages that are not repeated.
#[derive(Debug, Clone)]
pub struct FieldPath {
    plan: Plan,
    /// The last is a scalar, the others are messages. At least one.
    steps: Vec<FieldId>,
}

/// What such a field is compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparable {
    Text,
    Integer,
    Bool,
}

/// Why a text is no [`FieldPath`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldPathError {
    /// No message there has a field of this name.
    NoField { name: String, message: String },
    /// It has several values, so that none of them is meant.
    Several { name: String },
    /// It is a message, and the path ends.
    Message { name: String },
    /// It is no message, and the path goes on.
    NoMessage { name: String },
    /// Bytes, floats and enums are not compared.
    Incomparable { name: String },
}

impl fmt::Display for FieldPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoField { name, message } => write!(f, "`{message}` has no field `{name}`"),
            Self::Several { name } => write!(f, "the field `{name}` can have several values"),
            Self::Message { name } => write!(f, "the field `{name}` is a message; name one of its fields"),
            Self::NoMessage { name } => write!(f, "the field `{name}` is no message that has fields"),
            Self::Incomparable { name } => {
                write!(f, "the field `{name}` is no text, no whole number and no bool")
            }
        }
    }
}

impl Error for FieldPathError {}

impl FieldPath {
    /// Finds the way from a message to a field, as in `book.author`, by the names of the `.proto` file or those of JSON.
    ///
    /// # Errors
    /// There is none, or it leads to something else.
    pub fn parse(plan: &Plan, text: &str) -> Result<Self, FieldPathError> {
        let mut steps = Vec::new();
        let mut at = Some(plan.clone());
        let mut last = "";
        for name in text.split('.') {
            let message = at.ok_or_else(|| FieldPathError::NoMessage { name: last.to_owned() })?;
            let id = message.field_by_name(name).ok_or_else(|| FieldPathError::NoField {
                name: name.to_owned(),
                message: message.full_name().to_owned(),
            })?;
            let field = message.inner().field(id);
            if field.shape != Shape::Single {
                return Err(FieldPathError::Several { name: name.to_owned() });
            }
            if field.message().is_none() && comparable(field.kind).is_none() {
                return Err(FieldPathError::Incomparable { name: name.to_owned() });
            }
            steps.push(id);
            at = message.nested(id);
            last = name;
        }
        match at {
            None => Ok(Self { plan: plan.clone(), steps }),
            Some(_) => Err(FieldPathError::Message { name: last.to_owned() }),
        }
    }

    /// What the field is compared as.
    #[must_use]
    pub fn comparable(&self) -> Comparable {
        // `parse` lets no other kind through.
        self.leaf().and_then(|field| comparable(field.kind)).unwrap_or(Comparable::Text)
    }

    fn leaf(&self) -> Option<&FieldPlan> {
        let set = &*self.plan.set;
        let (last, way) = self.steps.split_last()?;
        let id = way.iter().try_fold(self.plan.id, |id, step| set.get(id).field(*step).message())?;
        Some(set.get(id).field(*last))
    }

    /// The value that the field has in a message, as text: numbers in decimal, bools as `true` and `false`. Where it is not
    /// set, its default.
    ///
    /// # Errors
    /// The message can't be read, or not in one way only.
    pub fn value(&self, message: &[u8]) -> Result<Vec<u8>, WireErrorKind> {
        let Some(leaf) = self.leaf() else { return Ok(Vec::new()) };
        let mut found = None;
        self.search(self.plan.id, &self.steps, message, DEPTH, &mut found)?;
        text(leaf, found.unwrap_or_else(|| leaf.default_contents()))
    }

    /// Walks over all of a message; `found` holds the contents of the last value.
    fn search<'m>(
        &self,
        id: MessageId,
        steps: &[FieldId],
        bytes: &'m [u8],
        depth: u32,
        found: &mut Option<&'m [u8]>,
    ) -> Result<(), WireErrorKind> {
        let depth = depth.checked_sub(1).ok_or(WireErrorKind::Depth)?;
        let Some((step, rest)) = steps.split_first() else { return Ok(()) };
        let message = self.plan.set.get(id);
        let wanted = message.field(*step);
        let mut wire = Wire::new(bytes);
        while !wire.is_empty() {
            let (number, wire_type) = wire.tag()?;
            let contents = wire.value(number, wire_type)?;
            if number == wanted.number {
                if wire_type != wanted.wire_type {
                    return Err(WireErrorKind::Tag);
                }
                match wanted.message() {
                    Some(nested) => self.search(nested, rest, contents, depth, found)?,
                    None => *found = Some(contents),
                }
            } else if wanted.oneof != NONE
                && message.by_number(number).is_some_and(|other| message.field(other).oneof == wanted.oneof)
            {
                // Another member takes its place, with all that it held.
                *found = None;
            }
        }
        Ok(())
    }
}

const fn comparable(kind: Kind) -> Option<Comparable> {
    match kind {
        Kind::String => Some(Comparable::Text),
        Kind::Bool => Some(Comparable::Bool),
        Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Fixed32
        | Kind::Fixed64
        | Kind::Sfixed32
        | Kind::Sfixed64 => Some(Comparable::Integer),
        Kind::Float | Kind::Double | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) | Kind::Group(_) => None,
    }
}

/// A value as text. Of a varint that is longer than its type, parsers take the lower bits.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
fn text(field: &FieldPlan, contents: &[u8]) -> Result<Vec<u8>, WireErrorKind> {
    let varint = || Wire::new(contents).varint();
    let four = || Wire::new(contents).fixed32();
    let eight = || Wire::new(contents).fixed64();
    let text = match field.kind {
        Kind::Bool => (varint()? != 0).to_string(),
        Kind::Int32 => (varint()? as i32).to_string(),
        Kind::Int64 => (varint()? as i64).to_string(),
        Kind::Uint32 => (varint()? as u32).to_string(),
        Kind::Uint64 => varint()?.to_string(),
        Kind::Sint32 => wire::unzigzag32(varint()? as u32).to_string(),
        Kind::Sint64 => wire::unzigzag64(varint()?).to_string(),
        Kind::Fixed32 => u32::from_le_bytes(four()?).to_string(),
        Kind::Sfixed32 => i32::from_le_bytes(four()?).to_string(),
        Kind::Fixed64 => u64::from_le_bytes(eight()?).to_string(),
        Kind::Sfixed64 => i64::from_le_bytes(eight()?).to_string(),
        Kind::String
        | Kind::Float
        | Kind::Double
        | Kind::Bytes
        | Kind::Enum(_)
        | Kind::Message(_)
        | Kind::Group(_) => return Ok(contents.to_vec()),
    };
    Ok(text.into_bytes())
}
