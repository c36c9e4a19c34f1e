//! Compiles the plans out of a descriptor pool, once per schema snapshot and off the way of requests.

use std::sync::Arc;

use prost_reflect::{DescriptorPool, EnumDescriptor, MessageDescriptor, Value};
use rustc_hash::FxHashMap;

use super::declared::Declared;
use super::features::{Features, FieldFeatures, Presence};
use super::plan::{FieldId, PlanSet, WellKnown};
use super::required;
use super::scan::push_json_string;
use super::tables::{EnumId, EnumPlan, FieldPlan, Key, Kind, MessageId, MessagePlan, NONE, Shape, Tag};
use super::wire::{self, push_varint, zigzag32, zigzag64};

/// Field and enum numbers below this always get a place in a dense table.
const DENSE: usize = 256;

/// What compiling any part needs: the numbers given to messages and enums, by full name, and the features.
struct Context<'f> {
    features: &'f Features,
    messages: FxHashMap<Box<str>, MessageId>,
    enums: FxHashMap<Box<str>, EnumId>,
}

impl PlanSet {
    /// Compiles all messages and enums of `pool`, all of them in proto2 and proto3.
    pub fn compile(pool: &DescriptorPool) -> Arc<PlanSet> {
        Self::compile_with(pool, &Features::default())
    }

    /// Compiles all messages and enums of `pool`, some of them lowered from editions with these `features`.
    pub fn compile_with(pool: &DescriptorPool, features: &Features) -> Arc<PlanSet> {
        let context = Context {
            features,
            messages: pool
                .all_messages()
                .zip(0..)
                .map(|(message, id)| (message.full_name().into(), MessageId(id)))
                .collect(),
            enums: pool.all_enums().zip(0..).map(|(en, id)| (en.full_name().into(), EnumId(id))).collect(),
        };
        let mut messages: Box<[MessagePlan]> =
            pool.all_messages().map(|message| compile_message(&message, &context)).collect();
        required::mark(&mut messages);
        Arc::new(PlanSet {
            messages,
            enums: pool.all_enums().map(|en| compile_enum(&en, &context)).collect(),
            by_name: context.messages,
        })
    }
}

fn compile_message(message: &MessageDescriptor, context: &Context<'_>) -> MessagePlan {
    let descriptors = Declared::all(message);
    let field_count = u32::try_from(descriptors.len()).unwrap_or(NONE);
    let mut oneofs = FxHashMap::default();
    for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let place = oneofs.len();
        oneofs.insert(oneof.full_name().to_owned(), u32::try_from(place).unwrap_or(NONE));
    }

    let mut fields: Vec<FieldPlan> = (0..)
        .zip(&descriptors)
        .map(|(index, field)| {
            let oneof = field.oneof().and_then(|oneof| oneofs.get(&oneof).copied()).unwrap_or(NONE);
            compile_field(field, context, index, oneof, field_count)
        })
        .collect();

    if is_message_set(message) {
        let is_item =
            |field: &&mut FieldPlan| field.shape == Shape::Single && matches!(field.kind, Kind::Message(_));
        for field in fields.iter_mut().filter(is_item) {
            field.tag = Tag::item(field.number);
            field.item = true;
        }
    }

    let mut declared: Vec<usize> = (0..descriptors.len()).collect();
    declared.sort_by_key(|&index| descriptors[index].place());
    for pair in declared.windows(2) {
        fields[pair[0]].next = u32::try_from(pair[1]).unwrap_or(NONE);
    }

    let mut by_name = FxHashMap::default();
    for (index, field) in (0..).zip(&fields) {
        by_name.insert(field.name.as_bytes().into(), FieldId(index));
    }
    // A JSON name goes before the proto name of another field.
    for (index, field) in (0..).zip(&fields) {
        by_name.insert(field.json_name.as_bytes().into(), FieldId(index));
    }

    let dense_len = dense_len(fields.iter().map(|field| i64::from(field.number)), fields.len());
    let mut dense = vec![NONE; dense_len];
    for (index, field) in (0..).zip(&fields) {
        if let Some(place) = dense.get_mut(field.number as usize) {
            *place = index;
        }
    }

    MessagePlan {
        full_name: message.full_name().into(),
        dense: dense.into_boxed_slice(),
        by_name,
        first: declared.first().and_then(|&index| u32::try_from(index).ok()).unwrap_or(NONE),
        bits: fields.len() + oneofs.len(),
        well_known: well_known(message.full_name()),
        required: (0..)
            .zip(&descriptors)
            .filter(|(_, field)| field.features(context.features).presence == Presence::Required)
            .map(|(index, _)| FieldId(index))
            .collect(),
        may_lack: false,
        has_implicit: fields.iter().any(|field| !field.presence),
        message_set: is_message_set(message),
        fields: fields.into_boxed_slice(),
    }
}

fn is_message_set(message: &MessageDescriptor) -> bool {
    let options = message.descriptor_proto().options.as_ref();
    options.is_some_and(|options| options.message_set_wire_format())
}

/// How long a dense table should be: up to the greatest number that is small or not wasteful.
fn dense_len(numbers: impl Iterator<Item = i64>, count: usize) -> usize {
    let limit = DENSE.max(count.saturating_mul(4));
    numbers
        .filter_map(|number| usize::try_from(number).ok())
        .filter(|&number| number < limit)
        .max()
        .map_or(0, |greatest| greatest + 1)
}

fn compile_field(
    field: &Declared,
    context: &Context<'_>,
    index: u32,
    oneof: u32,
    field_count: u32,
) -> FieldPlan {
    let features = field.features(context.features);
    let kind = compile_kind(field, features, context);
    let shape = match (field.is_map(), field.is_list()) {
        (true, _) => Shape::Map,
        (false, true) => Shape::Repeated,
        (false, false) => Shape::Single,
    };
    FieldPlan {
        kind,
        shape,
        presence: features.presence != Presence::Implicit || field.is_extension(),
        packed: features.packed,
        wire_type: wire::type_of(kind),
        utf8: features.utf8,
        tag: Tag::new(field.number(), wire::type_of(kind)),
        item: false,
        packed_tag: Tag::new(field.number(), wire::LEN),
        number: field.number(),
        slot: if oneof == NONE { index } else { field_count.saturating_add(oneof) },
        oneof,
        next: NONE,
        json_key: key(field.json_name()),
        proto_key: key(field.name()),
        name: field.name().into(),
        json_name: field.json_name().into(),
        default: if shape == Shape::Map { Box::default() } else { default_bytes(field, kind) },
    }
}

fn compile_kind(field: &Declared, features: FieldFeatures, context: &Context<'_>) -> Kind {
    use prost_reflect::Kind as Type;
    match field.kind() {
        Type::Double => Kind::Double,
        Type::Float => Kind::Float,
        Type::Int32 => Kind::Int32,
        Type::Int64 => Kind::Int64,
        Type::Uint32 => Kind::Uint32,
        Type::Uint64 => Kind::Uint64,
        Type::Sint32 => Kind::Sint32,
        Type::Sint64 => Kind::Sint64,
        Type::Fixed32 => Kind::Fixed32,
        Type::Fixed64 => Kind::Fixed64,
        Type::Sfixed32 => Kind::Sfixed32,
        Type::Sfixed64 => Kind::Sfixed64,
        Type::Bool => Kind::Bool,
        Type::String => Kind::String,
        Type::Bytes => Kind::Bytes,
        // A pool holds every type that its fields refer to.
        Type::Message(message) => {
            let id = context.messages[message.full_name()];
            if features.delimited { Kind::Group(id) } else { Kind::Message(id) }
        }
        Type::Enum(en) => Kind::Enum(context.enums[en.full_name()]),
    }
}

/// `,"name":`
fn key(name: &str) -> Key {
    let mut key = vec![b','];
    push_json_string(&mut key, name);
    key.push(b':');
    Key::new(key)
}

/// The default value of one element as on the wire, without tag.
fn default_bytes(field: &Declared, kind: Kind) -> Box<[u8]> {
    let declared = if field.is_list() { Value::default_value(&field.kind()) } else { field.default_value() };
    let mut out = Vec::new();
    match declared {
        Value::Bool(value) => push_varint(&mut out, u64::from(value)),
        Value::I32(value) => match kind {
            Kind::Sint32 => push_varint(&mut out, u64::from(zigzag32(value))),
            Kind::Sfixed32 => out.extend_from_slice(&value.to_le_bytes()),
            _ => push_varint(&mut out, i64::from(value) as u64),
        },
        Value::I64(value) => match kind {
            Kind::Sint64 => push_varint(&mut out, zigzag64(value)),
            Kind::Sfixed64 => out.extend_from_slice(&value.to_le_bytes()),
            _ => push_varint(&mut out, value as u64),
        },
        Value::U32(value) => match kind {
            Kind::Fixed32 => out.extend_from_slice(&value.to_le_bytes()),
            _ => push_varint(&mut out, u64::from(value)),
        },
        Value::U64(value) => match kind {
            Kind::Fixed64 => out.extend_from_slice(&value.to_le_bytes()),
            _ => push_varint(&mut out, value),
        },
        Value::F32(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::F64(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::EnumNumber(value) => push_varint(&mut out, i64::from(value) as u64),
        Value::String(text) => wire::push_bytes(&mut out, text.as_bytes()),
        Value::Bytes(bytes) => wire::push_bytes(&mut out, &bytes),
        Value::Message(_) | Value::List(_) | Value::Map(_) => {}
    }
    out.into_boxed_slice()
}

fn compile_enum(en: &EnumDescriptor, context: &Context<'_>) -> EnumPlan {
    // The first name of a number is the one written; the others (aliases) are only read.
    let mut quoted: FxHashMap<i32, Box<[u8]>> = FxHashMap::default();
    let mut values: Vec<_> = en.values().collect();
    values.sort_by_key(|value| value.path().last().copied());
    for value in &values {
        quoted.entry(value.number()).or_insert_with(|| {
            let mut name = Vec::new();
            push_json_string(&mut name, value.name());
            name.into_boxed_slice()
        });
    }
    let dense_len = dense_len(quoted.keys().map(|&number| i64::from(number)), quoted.len());
    let dense = (0..).take(dense_len).map(|number| quoted.remove(&number).unwrap_or_default()).collect();
    EnumPlan {
        by_name: values.iter().map(|value| (value.name().into(), value.number())).collect(),
        dense,
        sparse: quoted,
        closed: context.features.is_closed(en),
        null_value: en.full_name() == "google.protobuf.NullValue",
    }
}

fn well_known(full_name: &str) -> Option<WellKnown> {
    Some(match full_name.strip_prefix("google.protobuf.")? {
        "Any" => WellKnown::Any,
        "Timestamp" => WellKnown::Timestamp,
        "Duration" => WellKnown::Duration,
        "FieldMask" => WellKnown::FieldMask,
        "Struct" => WellKnown::Struct,
        "Value" => WellKnown::Value,
        "ListValue" => WellKnown::ListValue,
        "Empty" => WellKnown::Empty,
        "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value"
        | "BoolValue" | "StringValue" | "BytesValue" => WellKnown::Wrapper,
        _ => return None,
    })
}
