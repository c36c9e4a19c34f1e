//! Whether two encodings of one file say the same, and if not, what differs.
//!
//! Compilers differ in the order of fields, in `json_name` and `syntax` where they are the
//! default, and in comments; releases of a file differ in where generated code goes. None of that
//! changes what a file means.

use bytes::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, ReflectMessage, Value};

use super::load::RawFile;

/// Compares files, with the options that are built in known by name.
pub(super) struct Comparer {
    pool: DescriptorPool,
}

impl Comparer {
    pub fn new(built_in: &[RawFile]) -> Self {
        let mut pool = DescriptorPool::global();
        for file in built_in {
            // One that can't be added leaves its options unknown: they are compared as bytes.
            let _ = pool.decode_file_descriptor_proto(file.encoded.clone());
        }
        Self { pool }
    }

    /// The first difference in meaning.
    pub fn difference(&self, left: &Bytes, right: &Bytes) -> Option<String> {
        if left == right {
            return None;
        }
        let file = self.pool.get_message_by_name("google.protobuf.FileDescriptorProto")?;
        let decode = |bytes: &Bytes| DynamicMessage::decode(file.clone(), bytes.clone());
        match (decode(left), decode(right)) {
            (Ok(left), Ok(right)) => messages(&left, &right, &mut Vec::new()),
            (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
        }
    }
}

/// The recursion is no deeper than the decoder's, which has a limit.
fn messages(left: &DynamicMessage, right: &DynamicMessage, path: &mut Vec<String>) -> Option<String> {
    for field in left.descriptor().fields() {
        // Of the options of a file, those that descriptor.proto declares are for code generators.
        if field.parent_message().full_name() == "google.protobuf.FileOptions" {
            break;
        }
        if field.name() == "source_code_info" {
            continue;
        }
        path.push(field.name().to_owned());
        let difference = match (value(left, &field), value(right, &field)) {
            (Some(left), Some(right)) => values(&left, &right, path),
            (None, None) => None,
            (left, right) => Some(told(path, left.as_ref(), right.as_ref())),
        };
        if difference.is_some() {
            return difference;
        }
        path.pop();
    }
    options(left, right, path)
}

/// The value that a field has, said or implied.
fn value(of: &DynamicMessage, field: &FieldDescriptor) -> Option<Value> {
    if of.has_field(field) {
        return Some(of.get_field(field).into_owned());
    }
    match field.full_name() {
        "google.protobuf.FileDescriptorProto.syntax" => Some(Value::String("proto2".to_owned())),
        "google.protobuf.FileDescriptorProto.options" => Some(of.get_field(field).into_owned()),
        "google.protobuf.FieldDescriptorProto.json_name" => Some(Value::String(json_name(&name(of)?))),
        _ => None,
    }
}

/// Extensions that are known, then fields that are not.
fn options(left: &DynamicMessage, right: &DynamicMessage, path: &[String]) -> Option<String> {
    let extensions = left.extensions().chain(right.extensions());
    for (extension, _) in extensions {
        let of = |message: &DynamicMessage| {
            message.has_extension(&extension).then(|| message.get_extension(&extension).into_owned())
        };
        let (left, right) = (of(left), of(right));
        if left != right {
            let mut path = path.to_vec();
            path.push(format!("({})", extension.full_name()));
            return Some(told(&path, left.as_ref(), right.as_ref()));
        }
    }
    let unknown = |message: &DynamicMessage| {
        let mut fields: Vec<_> = message.unknown_fields().cloned().collect();
        // Fields of one number keep their order.
        fields.sort_by_key(prost_reflect::UnknownField::number);
        fields
    };
    let (left, right) = (unknown(left), unknown(right));
    if left == right {
        return None;
    }
    let differing = left.iter().zip(&right).find(|(left, right)| left != right);
    let longer = if left.len() > right.len() { &left } else { &right };
    let number = differing.map(|(left, _)| left).or(longer.last()).map(|field| field.number());
    Some(format!("{}: field {}", path.join(" / "), number.unwrap_or_default()))
}

fn values(left: &Value, right: &Value, path: &mut Vec<String>) -> Option<String> {
    match (left, right) {
        (Value::Message(left), Value::Message(right)) => messages(left, right, path),
        (Value::List(lefts), Value::List(rights)) => {
            if lefts.len() != rights.len() {
                return Some(told_lists(path, lefts, rights));
            }
            for (left, right) in lefts.iter().zip(rights) {
                let named = left.as_message().and_then(name).is_some_and(|name| {
                    path.push(format!("`{name}`"));
                    true
                });
                let difference = values(left, right, path);
                if difference.is_some() {
                    return difference;
                }
                if named {
                    path.pop();
                }
            }
            None
        }
        (left, right) if left == right => None,
        (left, right) => Some(told(path, Some(left), Some(right))),
    }
}

/// What a descriptor calls itself.
fn name(of: &DynamicMessage) -> Option<String> {
    let field = of.descriptor().get_field_by_name("name")?;
    of.get_field(&field).as_str().map(str::to_owned)
}

/// The JSON name that protoc derives.
pub(super) fn json_name(name: &str) -> String {
    let mut json = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                json.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => json.push(c),
        }
    }
    json
}

fn told(path: &[String], left: Option<&Value>, right: Option<&Value>) -> String {
    let side = |value: Option<&Value>| match value {
        None => "nothing".to_owned(),
        Some(value) => {
            let text = value.to_string();
            let short: String = text.chars().take(60).collect();
            if short.len() < text.len() { format!("{short}…") } else { short }
        }
    };
    format!("{}: {} and {}", path.join(" / "), side(left), side(right))
}

/// Two lists of different lengths: by name if their elements have one.
fn told_lists(path: &[String], lefts: &[Value], rights: &[Value]) -> String {
    let names = |of: &[Value]| -> Vec<String> {
        of.iter().filter_map(|value| value.as_message().and_then(name)).collect()
    };
    let (left, right) = (names(lefts), names(rights));
    let (longer, shorter) = if left.len() > right.len() { (left, right) } else { (right, left) };
    let shorter: std::collections::BTreeSet<String> = shorter.into_iter().collect();
    match longer.into_iter().find(|name| !shorter.contains(name)) {
        Some(only) => format!("{}: only one has `{only}`", path.join(" / ")),
        None => format!("{}: {} and {} entries", path.join(" / "), lefts.len(), rights.len()),
    }
}
