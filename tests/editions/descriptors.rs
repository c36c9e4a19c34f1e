//! Random schemas in editions, with features on files, enums and fields wherever they are allowed.

use super::message::{Dice, tag, varint};

/// `google.protobuf.FieldDescriptorProto.Type`: all scalars, then enum and message.
const KINDS: [u8; 17] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 18, 14, 11];
const STRING: u8 = 9;
const MESSAGE: u8 = 11;
const BYTES: u8 = 12;
const ENUM: u8 = 14;

/// The features of one element by their numbers, from 1; 0 is unset.
type Features = [u8; 6];

const PRESENCE: usize = 0;
const ENUM_TYPE: usize = 1;
const LISTS: usize = 2;
const UTF8: usize = 3;
const MESSAGES: usize = 4;

const EXPLICIT: u8 = 1;
const IMPLICIT: u8 = 2;
const LEGACY_REQUIRED: u8 = 3;
const CLOSED: u8 = 2;

fn number(field: u32, value: u64, out: &mut Vec<u8>) {
    tag(field, 0, out);
    varint(value, out);
}

fn bytes(field: u32, value: &[u8], out: &mut Vec<u8>) {
    tag(field, 2, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Options of which only `features` is set, as field 8 or 3 of what has them.
fn options(place: u32, features_field: u32, features: Features, out: &mut Vec<u8>) {
    let mut set = Vec::new();
    for (feature, &value) in (1..).zip(&features) {
        if value != 0 {
            number(feature, u64::from(value), &mut set);
        }
    }
    if !set.is_empty() {
        let mut options = Vec::new();
        bytes(features_field, &set, &mut options);
        bytes(place, &options, out);
    }
}

/// Unset, or one of the values from `first` to the one after it.
fn some(dice: &mut Dice, first: u8) -> u8 {
    match dice.below(3) {
        0 => 0,
        1 => first,
        _ => first + 1,
    }
}

/// An enum with the values 0, 1 and 5, and whether it is closed.
fn enumeration(dice: &mut Dice, name: &str, defaults: Features, out: &mut Vec<u8>) -> bool {
    let mut features = Features::default();
    features[ENUM_TYPE] = some(dice, 1);
    let mut en = Vec::new();
    bytes(1, name.as_bytes(), &mut en);
    for value in [0, 1, 5] {
        let mut described = Vec::new();
        bytes(1, format!("{name}_{value}").as_bytes(), &mut described);
        number(2, value, &mut described);
        bytes(2, &described, &mut en);
    }
    options(3, 7, features, &mut en);
    bytes(5, &en, out);
    let resolved = if features[ENUM_TYPE] == 0 { defaults[ENUM_TYPE] } else { features[ENUM_TYPE] };
    resolved == CLOSED
}

fn field(dice: &mut Dice, place: u64, defaults: Features, closed: [bool; 2]) -> Vec<u8> {
    let kind = KINDS[dice.below(KINDS.len() as u64) as usize];
    let repeated = dice.below(3) == 0;
    let in_oneof = !repeated && dice.below(4) == 0;
    let which = dice.below(3);
    let mut features = Features::default();
    if repeated {
        features[LISTS] = if matches!(kind, STRING | BYTES | MESSAGE) { 0 } else { some(dice, 1) };
    } else if !in_oneof {
        features[PRESENCE] = match (kind, dice.below(4)) {
            (_, 0) => EXPLICIT,
            (MESSAGE, _) => 0,
            (_, 1) => IMPLICIT,
            // The number that is drawn may be none of a closed enum, and so be missing.
            (ENUM, _) => 0,
            (_, 2) => LEGACY_REQUIRED,
            (_, _) => 0,
        };
        let resolved = if features[PRESENCE] == 0 { defaults[PRESENCE] } else { features[PRESENCE] };
        if kind == ENUM && closed[which as usize % 2] && resolved == IMPLICIT {
            features[PRESENCE] = EXPLICIT;
        }
    }
    match kind {
        STRING => features[UTF8] = some(dice, 2),
        MESSAGE => features[MESSAGES] = some(dice, 1),
        _ => {}
    }

    let mut out = Vec::new();
    bytes(1, format!("field_{place}").as_bytes(), &mut out);
    number(3, place + 1, &mut out);
    number(4, if repeated { 3 } else { 1 }, &mut out);
    number(5, u64::from(kind), &mut out);
    match kind {
        MESSAGE => bytes(6, format!(".r.M{which}").as_bytes(), &mut out),
        ENUM => bytes(6, format!(".r.E{}", which % 2).as_bytes(), &mut out),
        _ => {}
    }
    options(8, 21, features, &mut out);
    if in_oneof {
        number(9, 0, &mut out);
    }
    bytes(10, format!("field{place}").as_bytes(), &mut out);
    out
}

/// A set of one file with the messages `r.M0`, `r.M1` and `r.M2`.
pub fn random_set(seed: u64) -> Vec<u8> {
    let dice = &mut Dice(seed);
    let mut defaults = Features::default();
    defaults[PRESENCE] = some(dice, 1);
    defaults[ENUM_TYPE] = some(dice, 1);
    defaults[LISTS] = some(dice, 1);
    defaults[UTF8] = some(dice, 2);
    defaults[MESSAGES] = some(dice, 1);

    let mut file = Vec::new();
    bytes(1, b"r.proto", &mut file);
    bytes(2, b"r", &mut file);
    let closed = [enumeration(dice, "E0", defaults, &mut file), enumeration(dice, "E1", defaults, &mut file)];
    for message in 0..3 {
        let mut described = Vec::new();
        bytes(1, format!("M{message}").as_bytes(), &mut described);
        for place in 0..1 + dice.below(12) {
            bytes(2, &field(dice, place, defaults, closed), &mut described);
        }
        bytes(8, b"\x0a\x06choice", &mut described);
        bytes(4, &described, &mut file);
    }
    options(8, 50, defaults, &mut file);
    bytes(12, b"editions", &mut file);
    number(14, 1000 + dice.below(2), &mut file);
    let mut set = Vec::new();
    bytes(1, &file, &mut set);
    set
}
