//! Whether two readers understood the same. Floating-point numbers may differ in the last places, as serde_json without
//! `float_roundtrip` reads them a little wrong.

use prost_reflect::{DynamicMessage, ReflectMessage, Value};
use serde_json::Value as Json;

use super::schema::any_type;

/// Whether two messages of one type are the same.
pub(super) fn messages(a: &DynamicMessage, b: &DynamicMessage) -> bool {
    if a.descriptor().full_name() == "google.protobuf.Any"
        && let Some(same) = contents(a, b)
    {
        return same;
    }
    let (a, b): (Vec<_>, Vec<_>) = (a.fields().collect(), b.fields().collect());
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0.number() == b.0.number() && values(a.1, b.1))
}

/// Whether two `Any` hold the same. `None` if their type is not known.
fn contents(a: &DynamicMessage, b: &DynamicMessage) -> Option<bool> {
    let (url, other) = (a.get_field_by_name("type_url")?, b.get_field_by_name("type_url")?);
    let descriptor = any_type(url.as_str()?)?;
    let value = |any: &DynamicMessage| {
        let value = any.get_field_by_name("value")?;
        DynamicMessage::decode(descriptor.clone(), value.as_bytes()?.clone()).ok()
    };
    Some(url == other && messages(&value(a)?, &value(b)?))
}

fn values(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::F32(a), Value::F32(b)) => close(f64::from(*a), f64::from(*b)),
        (Value::F64(a), Value::F64(b)) => close(*a, *b),
        (Value::Message(a), Value::Message(b)) => messages(a, b),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| values(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| values(a, b)))
        }
        _ => a == b,
    }
}

/// Whether the JSON of the codec says the same as that of prost-reflect.
pub(super) fn json(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => {
            a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| close(a, b))
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| json(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            let mut both = a.iter().map(|(key, value)| (key, value, b.get(key)));
            // Only one of the two looks into what both have, as it would take twice as long on every level.
            both.all(|(key, value, other)| {
                is_odd_key(key) || other.map_or_else(|| is_odd(value), |other| json(value, other))
            }) && b.iter().all(|(key, value)| is_odd_key(key) || a.contains_key(key) || is_odd(value))
        }
        _ => a == b,
    }
}

/// prost-reflect takes a map's field of a wrong wire type, which is to be passed over, for an entry without key and
/// value, so entries of such a key say nothing.
fn is_odd_key(key: &str) -> bool {
    matches!(key, "" | "0" | "false")
}

/// Whether this may be a map that has no other entries.
fn is_odd(value: &Json) -> bool {
    value.as_object().is_some_and(|map| !map.is_empty() && map.keys().all(|key| is_odd_key(key)))
}

/// Subnormal floats have few digits, and the next one is far away.
fn close(a: f64, b: f64) -> bool {
    a == b
        || (a.is_nan() && b.is_nan())
        || a as f32 == b as f32
        || (a - b).abs() <= a.abs().max(b.abs()) * 1e-6
}
