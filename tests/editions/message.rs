//! Random messages of any schema, as wire bytes.

use prost_reflect::{Kind, MessageDescriptor};

/// A small generator of numbers (splitmix64), so that one seed names one message.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn text(&mut self) -> String {
        ["", "a", "text", "é\n\"", "😀"][self.below(5) as usize].to_owned()
    }
}

pub fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn tag(field: u32, wire_type: u8, out: &mut Vec<u8>) {
    varint(u64::from(field) << 3 | u64::from(wire_type), out);
}

/// The wire type of a scalar and its bytes.
fn scalar(dice: &mut Dice, kind: &Kind) -> (u8, Vec<u8>) {
    let mut out = Vec::new();
    let small = dice.below(3);
    let shift = dice.below(64);
    let number = if small == 0 { 0 } else { dice.next() >> shift };
    let wire_type = match kind {
        Kind::Int32 | Kind::Sint32 => {
            varint(
                i64::from(number as i32) as u64 & if *kind == Kind::Int32 { u64::MAX } else { 0xffff_ffff },
                &mut out,
            );
            0
        }
        Kind::Uint32 => {
            varint(number & 0xffff_ffff, &mut out);
            0
        }
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 => {
            varint(number, &mut out);
            0
        }
        Kind::Bool => {
            varint(dice.below(2), &mut out);
            0
        }
        Kind::Enum(_) => {
            let number = [0i64, 1, 2, 3, 4, 5, -1, 99][dice.below(8) as usize];
            varint(number as u64, &mut out);
            0
        }
        Kind::Fixed64 | Kind::Sfixed64 => {
            out.extend_from_slice(&number.to_le_bytes());
            1
        }
        Kind::Double => {
            out.extend_from_slice(&(dice.below(1000) as f64 / 8.0).to_le_bytes());
            1
        }
        Kind::Fixed32 | Kind::Sfixed32 => {
            out.extend_from_slice(&(number as u32).to_le_bytes());
            5
        }
        Kind::Float => {
            out.extend_from_slice(&(dice.below(1000) as f32 / 8.0).to_le_bytes());
            5
        }
        Kind::String => {
            let text = dice.text();
            varint(text.len() as u64, &mut out);
            out.extend_from_slice(text.as_bytes());
            2
        }
        Kind::Bytes => {
            let len = dice.below(5);
            varint(len, &mut out);
            out.extend((0..len).map(|_| dice.next() as u8));
            2
        }
        Kind::Message(message) => panic!("{} is no scalar", message.full_name()),
    };
    (wire_type, out)
}

/// One value with its tag.
fn single(dice: &mut Dice, number: u32, delimited: bool, kind: &Kind, depth: u32, out: &mut Vec<u8>) {
    let Kind::Message(inner) = kind else {
        let (wire_type, bytes) = scalar(dice, kind);
        tag(number, wire_type, out);
        out.extend_from_slice(&bytes);
        return;
    };
    let contents = message(dice, inner, depth);
    if delimited {
        tag(number, 3, out);
        out.extend_from_slice(&contents);
        tag(number, 4, out);
    } else {
        tag(number, 2, out);
        varint(contents.len() as u64, out);
        out.extend_from_slice(&contents);
    }
}

/// A field, or an extension.
struct Declared {
    number: u32,
    kind: Kind,
    many: bool,
    delimited: bool,
    required: bool,
}

impl Declared {
    fn all(message: &MessageDescriptor) -> Vec<Self> {
        let fields = message.fields().map(|field| Self {
            number: field.number(),
            kind: field.kind(),
            many: field.is_list() || field.is_map(),
            delimited: field.is_group(),
            required: field.is_required() || message.is_map_entry(),
        });
        // An extension has presence whatever its file prefers; buffa takes the file's word. See the golden tables.
        let known = message.extensions().filter(|known| known.full_name() != "ed24.extended_int32");
        let extensions = known.map(|extension| Self {
            number: extension.number(),
            kind: extension.kind(),
            many: extension.is_list(),
            delimited: extension.is_group(),
            required: false,
        });
        fields.chain(extensions).collect()
    }
}

fn field(dice: &mut Dice, field: &Declared, depth: u32, out: &mut Vec<u8>) {
    let Declared { number, kind, many, delimited, .. } = field;
    let number = *number;
    let packable = !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_));
    match (many, packable) {
        // Now and then twice: the last one stands, messages are merged.
        (false, _) => {
            for _ in 0..=u64::from(dice.below(8) == 0) {
                single(dice, number, *delimited, kind, depth, out);
            }
        }
        (true, true) if dice.below(2) == 0 => {
            let run: Vec<u8> = (0..dice.below(4)).flat_map(|_| scalar(dice, kind).1).collect();
            tag(number, 2, out);
            varint(run.len() as u64, out);
            out.extend_from_slice(&run);
        }
        (true, _) => {
            for _ in 0..dice.below(4) {
                single(dice, number, *delimited, kind, depth, out);
            }
        }
    }
}

/// The bytes of a message with random fields, some of them as encoders rarely write them.
pub fn message(dice: &mut Dice, descriptor: &MessageDescriptor, depth: u32) -> Vec<u8> {
    let mut out = Vec::new();
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            tag(1, 0, &mut out);
            varint(dice.below(253_402_300_800), &mut out);
        }
        _ => {
            let rare = if descriptor.fields().len() > 20 { 3 } else { 1 };
            for declared in Declared::all(descriptor) {
                let ends = depth == 0 && matches!(declared.kind, Kind::Message(_));
                if declared.required || (!ends && dice.below(rare + 1) == 0) {
                    field(dice, &declared, depth.saturating_sub(1), &mut out);
                }
            }
        }
    }
    out
}
