//! Field paths of templates: from names to the descriptors that they lead through.

use std::ops::Range;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::problem::nearest;
use crate::route::Variable;

/// Why a variable can't be filled from a path, with the bytes of the template to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathError {
    pub span: Range<usize>,
    pub what: String,
    pub help: String,
}

/// The fields on the way from `request` to the value of a variable: singular messages, then one
/// that has a form as a single text, or a list of scalars, which a path separates by commas.
pub(super) fn resolve(
    variable: &Variable,
    request: &MessageDescriptor,
) -> Result<Vec<FieldDescriptor>, PathError> {
    let mut message = request.clone();
    let mut fields = Vec::with_capacity(variable.path.len());
    // Behind the opening brace.
    let mut at = variable.span.start + 1;
    for (index, name) in variable.path.iter().enumerate() {
        let span = at..at + name.len();
        at = span.end + 1;
        let error = |what, help| PathError { span: span.clone(), what, help };
        let Some(field) = message.get_field_by_name(name) else {
            let (what, help) = no_such_field(&message, name);
            return Err(error(what, help));
        };
        let last = index + 1 == variable.path.len();
        let is_scalar = field.kind().as_message().is_none();
        if field.is_map() || (field.is_list() && !(last && is_scalar)) {
            let shape = if field.is_map() { "a map" } else { "repeated" };
            let what = if last && field.is_list() {
                format!("the field `{name}` is a list of messages: a path has no form for it")
            } else if last {
                format!("the field `{name}` is {shape}: one path can't fill it")
            } else {
                format!("the field `{name}` is {shape}: nothing says which of its elements is meant")
            };
            return Err(error(what, "take it from the query or the body".to_owned()));
        }
        if last {
            if let Kind::Message(of) = field.kind()
                && !has_text_form(of.full_name())
            {
                let what = format!(
                    "the field `{name}` is the message `{}`: a path has no form for it",
                    of.full_name()
                );
                let help = match of.fields().find(|field| field.kind().as_message().is_none()) {
                    Some(inner) => {
                        format!(
                            "name one of its fields, as in `{{{}.{}}}`",
                            variable.path.join("."),
                            inner.name()
                        )
                    }
                    None => "take it from the query or the body".to_owned(),
                };
                return Err(error(what, help));
            }
        } else {
            match field.kind() {
                Kind::Message(of) if !has_text_form(of.full_name()) => message = of,
                kind => {
                    let what = format!(
                        "the field `{name}` is {}: it has no fields that a path \
                                        could name",
                        of_kind(&kind)
                    );
                    return Err(error(what, "end the field path here".to_owned()));
                }
            }
        }
        fields.push(field);
    }
    Ok(fields)
}

/// The member of a oneof that the later of two paths sets although the earlier one sets another:
/// its place in the later path. Both start at the same message.
pub(super) fn same_oneof(earlier: &[FieldDescriptor], later: &[FieldDescriptor]) -> Option<usize> {
    let parts = earlier.iter().zip(later).position(|(one, other)| one != other)?;
    let oneof = |fields: &[FieldDescriptor]| fields.get(parts)?.containing_oneof();
    let (one, other) = (oneof(earlier)?, oneof(later)?);
    (one == other).then_some(parts)
}

/// What to say about a name that no field of `message` has.
pub(super) fn no_such_field(message: &MessageDescriptor, name: &str) -> (String, String) {
    let what = format!("`{}` has no field `{name}`", message.full_name());
    if let Some(field) = message.get_field_by_json_name(name) {
        let help = format!("write `{}`: rules use the names of the .proto file", field.name());
        return (what, help);
    }
    let fields: Vec<FieldDescriptor> = message.fields().collect();
    let help = match nearest(name, fields.iter().map(FieldDescriptor::name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if fields.is_empty() => "it has no fields at all".to_owned(),
        None => {
            let mut names: Vec<&str> = fields.iter().take(MOST_NAMES).map(FieldDescriptor::name).collect();
            if fields.len() > MOST_NAMES {
                names.push("…");
            }
            format!("its fields are {}", names.join(", "))
        }
    };
    (what, help)
}

/// How many names a hint lists.
const MOST_NAMES: usize = 12;

/// The messages whose ProtoJSON form is one string, number or boolean.
fn has_text_form(message: &str) -> bool {
    matches!(
        message,
        "google.protobuf.Timestamp"
            | "google.protobuf.Duration"
            | "google.protobuf.FieldMask"
            | "google.protobuf.DoubleValue"
            | "google.protobuf.FloatValue"
            | "google.protobuf.Int64Value"
            | "google.protobuf.UInt64Value"
            | "google.protobuf.Int32Value"
            | "google.protobuf.UInt32Value"
            | "google.protobuf.BoolValue"
            | "google.protobuf.StringValue"
            | "google.protobuf.BytesValue"
    )
}

fn of_kind(kind: &Kind) -> String {
    match kind {
        Kind::Message(of) => format!("a `{}`", of.full_name()),
        Kind::Enum(of) => format!("the enum `{}`", of.full_name()),
        Kind::Double
        | Kind::Float
        | Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Fixed32
        | Kind::Fixed64
        | Kind::Sfixed32
        | Kind::Sfixed64
        | Kind::Bool
        | Kind::String
        | Kind::Bytes => format!("of type {kind:?}"),
    }
}
