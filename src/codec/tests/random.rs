//! Random messages: both directions agree with prost-reflect's `DynamicMessage`, and no bytes make the codec panic.
//! What prost-reflect gets wrong (NaN in wrappers, for one) is left out here and stands in the golden tables.

use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use super::*;

/// A small generator of numbers (splitmix64), so that one seed names one message.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Small numbers, and now and then one of any size.
    fn number(&mut self) -> u64 {
        let shift = self.below(64);
        self.next() >> shift
    }

    /// Not of any size: serde_json without `float_roundtrip` reads those a little wrong.
    fn double(&mut self) -> f64 {
        self.below(1_000_000) as f64 / [1.0, 8.0, -1024.0][self.below(3) as usize]
    }

    fn float(&mut self) -> f32 {
        match self.below(3) {
            0 => f32::INFINITY,
            _ => self.below(1000) as f32 / 4.0,
        }
    }

    fn text(&mut self) -> String {
        let pieces = ["a", "plain text", "\"", "\\", "\n", "é", "😀", "\u{1}", "/", "0123456789abcdef"];
        (0..self.below(5)).map(|_| pieces[self.below(pieces.len() as u64) as usize]).collect()
    }
}

fn scalar(dice: &mut Dice, kind: &Kind, depth: u32) -> Value {
    match kind {
        Kind::Double => Value::F64(dice.double()),
        Kind::Float => Value::F32(dice.float()),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(dice.number() as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(dice.number() as i64),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(dice.number() as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(dice.number()),
        Kind::Bool => Value::Bool(dice.below(2) == 1),
        Kind::String => Value::String(dice.text()),
        Kind::Bytes => Value::Bytes((0..dice.below(70)).map(|_| dice.next() as u8).collect()),
        Kind::Enum(en) if en.full_name() == "google.protobuf.NullValue" => Value::EnumNumber(0),
        Kind::Enum(_) => Value::EnumNumber([0, 1, 2, -1, 100_000, 55][dice.below(6) as usize]),
        Kind::Message(message) => Value::Message(self::message(dice, message, depth)),
    }
}

fn map_key(dice: &mut Dice, kind: &Kind) -> MapKey {
    match scalar(dice, kind, 0) {
        Value::Bool(key) => MapKey::Bool(key),
        Value::I32(key) => MapKey::I32(key),
        Value::I64(key) => MapKey::I64(key),
        Value::U32(key) => MapKey::U32(key),
        Value::U64(key) => MapKey::U64(key),
        Value::String(key) => MapKey::String(key),
        other => panic!("{other:?} is no key"),
    }
}

fn value(dice: &mut Dice, field: &FieldDescriptor, depth: u32) -> Value {
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { panic!("a map without entries") };
        let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let len = if dice.below(10) == 0 { 20 } else { dice.below(3) };
        Value::Map((0..len).map(|_| (map_key(dice, &key), scalar(dice, &value, depth))).collect())
    } else if field.is_list() {
        Value::List((0..dice.below(4)).map(|_| scalar(dice, &field.kind(), depth)).collect())
    } else {
        scalar(dice, &field.kind(), depth)
    }
}

fn message(dice: &mut Dice, descriptor: &MessageDescriptor, depth: u32) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    let mut set = |name: &str, value: Value| message.set_field_by_name(name, value);
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            set("seconds", Value::I64(dice.below(315_537_897_600) as i64 - 62_135_596_800));
            set("nanos", Value::I32([0, 5_000_000, 5000, 5][dice.below(4) as usize]));
        }
        "google.protobuf.Duration" => {
            // All of one sign, as two of them may be merged.
            set("seconds", Value::I64(dice.below(315_576_000_000) as i64));
            set("nanos", Value::I32([0, 5_000_000, 5000, 5][dice.below(4) as usize]));
        }
        "google.protobuf.FieldMask" => {
            let paths = ["a", "foo_bar", "a.b_c", "x1"];
            let paths = (0..dice.below(3)).map(|_| Value::String(paths[dice.below(4) as usize].to_owned()));
            set("paths", Value::List(paths.collect()));
        }
        "google.protobuf.Any" => {
            let inner = POOL.get_message_by_name("t.Inner").unwrap();
            let inner = self::message(dice, &inner, depth.saturating_sub(1));
            set("type_url", Value::String("type.googleapis.com/t.Inner".to_owned()));
            set("value", Value::Bytes(inner.encode_to_vec().into()));
        }
        "google.protobuf.Value" => match (dice.below(6), depth) {
            (0, _) => set("null_value", Value::EnumNumber(0)),
            (1, _) => set("number_value", Value::F64(dice.double())),
            (2, 1..) => set("struct_value", scalar(dice, &kind_of(descriptor, "struct_value"), depth - 1)),
            (3, 1..) => set("list_value", scalar(dice, &kind_of(descriptor, "list_value"), depth - 1)),
            (4, _) => set("bool_value", Value::Bool(true)),
            _ => set("string_value", Value::String(dice.text())),
        },
        "google.protobuf.FloatValue" => set("value", Value::F32(dice.below(100) as f32 / 8.0)),
        name => {
            let many = name == "t.All";
            for field in descriptor.fields() {
                let recursive = matches!(field.kind(), Kind::Message(_));
                if (recursive && depth == 0) || (many && dice.below(3) > 0) || (!many && dice.below(4) == 0) {
                    continue;
                }
                let value = value(dice, &field, depth.saturating_sub(1));
                message.set_field(&field, value);
            }
        }
    }
    message
}

fn kind_of(descriptor: &MessageDescriptor, field: &str) -> Kind {
    descriptor.get_field_by_name(field).unwrap().kind()
}

pub(super) fn random_all(seed: u64) -> DynamicMessage {
    message(&mut Dice(seed), &POOL.get_message_by_name("t.All").unwrap(), 4)
}

/// A message as prost-reflect reads it from JSON, without the zeros that it keeps where there is no presence.
fn from_json(json: &str) -> DynamicMessage {
    let descriptor = POOL.get_message_by_name("t.All").unwrap();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(descriptor, &mut deserializer);
    decoded(&message.unwrap_or_else(|error| panic!("{error}: {json}")).encode_to_vec())
}

fn decoded(wire: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(POOL.get_message_by_name("t.All").unwrap(), wire).unwrap()
}

/// Two messages that are the same; their `Debug` form would be endless.
fn same(ours: &DynamicMessage, theirs: &DynamicMessage, json: &str) -> Result<(), TestCaseError> {
    prop_assert!(
        ours == theirs,
        "{json}\nours:   {}\ntheirs: {}",
        ours.to_text_format(),
        theirs.to_text_format()
    );
    Ok(())
}

proptest! {
    #[test]
    fn our_json_is_understood(seed in any::<u64>(), defaults: bool, proto_names: bool, enum_numbers: bool) {
        let message = random_all(seed);
        let style = JsonStyle { defaults, proto_names, enum_numbers, int64_numbers: false };
        let json = write_as("t.All", &message.encode_to_vec(), style).unwrap();
        let message = decoded(&message.encode_to_vec());
        same(&from_json(&json), &message, &json)?;
        // and by ourselves
        same(&decoded(&wire(&json)), &message, &json)?;
    }

    #[test]
    fn we_understand_other_json(seed in any::<u64>(), pretty: bool) {
        let message = random_all(seed);
        let json = if pretty { serde_json::to_string_pretty(&message) } else { serde_json::to_string(&message) }.unwrap();
        same(&decoded(&wire(&json)), &decoded(&message.encode_to_vec()), &json)?;
    }

    #[test]
    fn numbers_of_any_size_come_back(double in any::<f64>(), float in any::<f32>()) {
        // NaN is not like itself, and zero is not written.
        let double = if double.is_nan() || double.to_bits() == 0 { 0.1 } else { double };
        let float = if float.is_nan() || float.to_bits() == 0 { 0.1 } else { float };
        let mut wire = vec![0x5d];
        wire.extend_from_slice(&float.to_le_bytes());
        wire.push(0x61);
        wire.extend_from_slice(&double.to_le_bytes());
        let json = write(&wire).unwrap();
        let again = self::wire(&json);
        prop_assert_eq!(again, wire, "{}", json);
    }

    /// Two messages one after the other are one: most of its fields are split or come twice.
    #[test]
    fn merged_messages(first in any::<u64>(), second in any::<u64>()) {
        let wire = [random_all(first).encode_to_vec(), random_all(second).encode_to_vec()].concat();
        let json = write(&wire).unwrap();
        same(&from_json(&json), &decoded(&wire), &json)?;
    }

    #[test]
    fn damaged_wire_never_panics(seed in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut wire = random_all(seed).encode_to_vec();
        if !wire.is_empty() {
            let at = at.index(wire.len());
            wire[at] = byte;
            let _ = write(&wire);
            let _ = write(&wire[..at]);
        }
    }

    #[test]
    fn damaged_json_never_panics(seed in any::<u64>(), at in any::<prop::sample::Index>(), byte in prop_oneof![any::<u8>(), prop::sample::select(&b"{}[]\",:0n-\\"[..])]) {
        let mut json = serde_json::to_vec(&random_all(seed)).unwrap();
        let at = at.index(json.len());
        json[at] = byte;
        let _ = read_message(&all(), &json, &Splice::new(), &ReadOptions::default(), &mut Vec::new());
        let _ = read_message(&all(), &json[..at], &Splice::new(), &ReadOptions::default(), &mut Vec::new());
    }
}
