//! Plans, as other rooms see them: handles on what the codec knows of messages. They are compiled once per schema
//! snapshot (`compile.rs`) and never change; the tables behind them are in `tables.rs`.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::error::WireErrorKind;
use super::tables::{EnumId, EnumPlan, FieldPlan, Kind, MessageId, MessagePlan, Shape};
use super::wire::Wire;

/// All messages and enums of a descriptor pool.
pub struct PlanSet {
    pub(crate) messages: Box<[MessagePlan]>,
    pub(crate) enums: Box<[EnumPlan]>,
    pub(crate) by_name: FxHashMap<Box<str>, MessageId>,
}

impl PlanSet {
    /// The plan of the message with this full name, without a leading dot.
    pub fn message(self: &Arc<Self>, full_name: &str) -> Option<Plan> {
        let id = self.id_of(full_name)?;
        Some(Plan { set: Arc::clone(self), id })
    }

    pub(crate) fn id_of(&self, full_name: &str) -> Option<MessageId> {
        self.by_name.get(full_name).copied()
    }

    #[inline]
    pub(crate) fn get(&self, id: MessageId) -> &MessagePlan {
        // Ids are made by the compiler of this set only, one for each message.
        &self.messages[id.0 as usize]
    }

    /// The key and value fields of a map's entries.
    #[inline]
    pub(crate) fn entry_fields(&self, map: &FieldPlan) -> Option<(&FieldPlan, &FieldPlan)> {
        match &*self.get(map.message()?).fields {
            [key, value] => Some((key, value)),
            _ => None,
        }
    }

    /// Whether these contents are a value of the field: all are, but for a number that a closed enum does not know.
    pub(crate) fn has_value(&self, field: &FieldPlan, contents: &[u8]) -> Result<bool, WireErrorKind> {
        let Kind::Enum(id) = field.kind else { return Ok(true) };
        let plan = self.get_enum(id);
        // Enums are int32 on the wire, of which the upper half is cut off.
        Ok(!plan.closed || plan.quoted(Wire::new(contents).varint()? as i32).is_some())
    }

    #[inline]
    pub(crate) fn get_enum(&self, id: EnumId) -> &EnumPlan {
        // As above.
        &self.enums[id.0 as usize]
    }
}

impl fmt::Debug for PlanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanSet({} messages)", self.messages.len())
    }
}

/// The plan of one message: a handle that is cheap to clone.
#[derive(Clone)]
pub struct Plan {
    pub(crate) set: Arc<PlanSet>,
    pub(crate) id: MessageId,
}

impl Plan {
    /// Such as `google.protobuf.Timestamp`.
    pub fn full_name(&self) -> &str {
        &self.inner().full_name
    }

    /// How many fields the message has; they are numbered from 0 in the order of their field numbers.
    pub fn field_count(&self) -> usize {
        self.inner().fields.len()
    }

    /// All fields, extensions among them, in the order of their numbers.
    pub fn fields(&self) -> impl Iterator<Item = (FieldId, Field<'_>)> {
        let set = &*self.set;
        self.inner().fields.iter().enumerate().map(move |(id, plan)| {
            #[allow(clippy::cast_possible_truncation)] // field numbers have 29 bits
            (FieldId(id as u32), Field { set, plan })
        })
    }

    /// The field of this id.
    ///
    /// # Panics
    /// If `id` belongs to another message with more fields.
    pub fn field(&self, id: FieldId) -> Field<'_> {
        Field { set: &self.set, plan: self.inner().field(id) }
    }

    /// The field of this name: lowerCamelCase or as in the `.proto` file, `[full.name]` for an extension.
    pub fn field_by_name(&self, json_or_proto_name: &str) -> Option<FieldId> {
        self.inner().by_name.get(json_or_proto_name.as_bytes()).copied()
    }

    /// The plan of the field's message, if it has one: for a map, that of its entries (fields `key` and `value`).
    pub fn nested(&self, id: FieldId) -> Option<Plan> {
        Some(Plan { set: Arc::clone(&self.set), id: self.inner().field(id).message()? })
    }

    /// Which well-known type this is, if any.
    pub fn well_known(&self) -> Option<WellKnown> {
        self.inner().well_known
    }

    #[inline]
    pub(crate) fn inner(&self) -> &MessagePlan {
        self.set.get(self.id)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plan({})", self.full_name())
    }
}

impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.set, &other.set) && self.id == other.id
    }
}

impl Eq for Plan {}

/// A field of one message: its place among the fields in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub(crate) u32);

/// What can be told about a field.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    set: &'a PlanSet,
    plan: &'a FieldPlan,
}

impl<'a> Field<'a> {
    /// The name in the `.proto` file; `[full.name]` for an extension.
    pub fn name(&self) -> &'a str {
        &self.plan.name
    }

    /// The lowerCamelCase (or declared) JSON name; `[full.name]` for an extension.
    pub fn json_name(&self) -> &'a str {
        &self.plan.json_name
    }

    /// Whether it is an extension of the message.
    pub fn is_extension(&self) -> bool {
        self.plan.name.starts_with('[')
    }

    /// The number on the wire.
    pub fn number(&self) -> u32 {
        self.plan.number
    }

    /// A message that stands between a start and an end tag, not behind its length.
    pub fn is_delimited(&self) -> bool {
        matches!(self.plan.kind, Kind::Group(_))
    }

    /// A list; maps are not meant.
    pub fn is_repeated(&self) -> bool {
        self.plan.shape == Shape::Repeated
    }

    /// A map.
    pub fn is_map(&self) -> bool {
        self.plan.shape == Shape::Map
    }

    /// Whether the field, or each element of it, is a message. Map entries are not meant.
    pub fn is_message(&self) -> bool {
        self.plan.shape != Shape::Map && self.plan.message().is_some()
    }

    /// Whether an unset field can be told from one with its default value.
    pub fn has_presence(&self) -> bool {
        self.plan.presence
    }

    /// The oneof, as its place in the message. An `optional` field has none.
    pub fn oneof(&self) -> Option<u16> {
        u16::try_from(self.plan.oneof).ok()
    }

    /// The type of the field, or of each element of a list.
    pub fn kind(&self) -> FieldKind {
        match self.plan.kind {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => FieldKind::Int32,
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => FieldKind::Int64,
            Kind::Uint32 | Kind::Fixed32 => FieldKind::Uint32,
            Kind::Uint64 | Kind::Fixed64 => FieldKind::Uint64,
            Kind::Float => FieldKind::Float,
            Kind::Double => FieldKind::Double,
            Kind::Bool => FieldKind::Bool,
            Kind::String => FieldKind::String,
            Kind::Bytes => FieldKind::Bytes,
            Kind::Enum(_) => FieldKind::Enum,
            Kind::Message(_) | Kind::Group(_) if self.plan.shape == Shape::Map => FieldKind::Map,
            Kind::Message(id) | Kind::Group(id) => FieldKind::Message(self.set.get(id).well_known),
        }
    }
}

/// The type of a field as JSON sees it: the widths matter, the wire encodings do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// `int32`, `sint32`, `sfixed32`.
    Int32,
    /// `int64`, `sint64`, `sfixed64`.
    Int64,
    /// `uint32`, `fixed32`.
    Uint32,
    /// `uint64`, `fixed64`.
    Uint64,
    /// `float`.
    Float,
    /// `double`.
    Double,
    /// `bool`.
    Bool,
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// An enum.
    Enum,
    /// A message, and which well-known type it is, if any.
    Message(Option<WellKnown>),
    /// A map.
    Map,
}

/// The messages that ProtoJSON gives a form of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WellKnown {
    /// An object with an `@type`.
    Any,
    /// An RFC 3339 string.
    Timestamp,
    /// A string of seconds and an `s`.
    Duration,
    /// A string of paths.
    FieldMask,
    /// Any object.
    Struct,
    /// Any JSON value.
    Value,
    /// Any array.
    ListValue,
    /// An empty object.
    Empty,
    /// `google.protobuf.Int32Value` and its like: written as their one field.
    Wrapper,
}

impl WellKnown {
    /// Whether the JSON form is a string, number or boolean, so that it can stand in a path or query.
    pub fn is_scalar(self) -> bool {
        match self {
            Self::Timestamp | Self::Duration | Self::FieldMask | Self::Wrapper => true,
            Self::Any | Self::Struct | Self::Value | Self::ListValue | Self::Empty => false,
        }
    }
}
