//! Whether two readers understood the same. Floating-point numbers may differ in the last places, as serde_json without
//! `float_roundtrip` reads them a little wrong.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};
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

/// Whether this may be a map that has no other entries, or a zero below zero: that is no default value, but for
/// prost-reflect.
fn is_odd(value: &Json) -> bool {
    let is_negative_zero = |number: f64| number == 0.0 && number.is_sign_negative();
    value.as_f64().is_some_and(is_negative_zero)
        || value.as_object().is_some_and(|map| !map.is_empty() && map.keys().all(|key| is_odd_key(key)))
}

/// Whether a map's field has a wrong wire type somewhere: where the bytes behind it happen to be an entry, prost-reflect
/// puts that into the map. `depth` is that of messages in messages, which both refuse from 100 on.
pub(super) fn has_odd_map(message: &MessageDescriptor, mut wire: &[u8], depth: usize) -> bool {
    while let Some((number, wire_type)) = take_varint(&mut wire).map(|tag| ((tag >> 3) as u32, tag & 7)) {
        let field = message.get_field(number);
        if wire_type != 2 && field.as_ref().is_some_and(FieldDescriptor::is_map) {
            return true;
        }
        let length = match wire_type {
            0 => take_varint(&mut wire).map(|_| 0),
            1 => Some(8),
            2 => take_varint(&mut wire).map(|length| usize::try_from(length).unwrap_or(usize::MAX)),
            5 => Some(4),
            // A group's fields follow, as if they were the message's own: enough to find one, at worst one too many.
            _ => Some(0),
        };
        let Some((value, rest)) = length.and_then(|length| wire.split_at_checked(length)) else {
            return false;
        };
        wire = rest;
        if wire_type == 2
            && depth < 100
            && let Some(Kind::Message(inner)) = field.map(|field| field.kind())
            && has_odd_map(&inner, value, depth + 1)
        {
            return true;
        }
    }
    false
}

fn take_varint(wire: &mut &[u8]) -> Option<u64> {
    let length = wire.iter().position(|byte| byte & 0x80 == 0).filter(|&at| at < 10)? + 1;
    let (varint, rest) = wire.split_at(length);
    *wire = rest;
    Some(varint.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f)))
}

/// Subnormal floats have few digits, and the next one is far away.
fn close(a: f64, b: f64) -> bool {
    a == b
        || (a.is_nan() && b.is_nan())
        || a as f32 == b as f32
        || (a - b).abs() <= a.abs().max(b.abs()) * 1e-6
}
