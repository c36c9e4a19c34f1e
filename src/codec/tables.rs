//! The tables behind the plans: messages, fields and enums in flat vectors that refer to each other by number, with all
//! that the two directions need of a field prepared: tags, keys, defaults.

use rustc_hash::FxHashMap;

use super::plan::{FieldId, WellKnown};
use super::wire::{Wire, message_set, push_varint};

/// Stands for "none" in tables of numbers.
pub(crate) const NONE: u32 = u32::MAX;

/// Which message of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MessageId(pub(crate) u32);

/// Which enum of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EnumId(pub(crate) u32);

/// One message.
pub(crate) struct MessagePlan {
    pub(crate) full_name: Box<str>,
    /// By field number.
    pub(crate) fields: Box<[FieldPlan]>,
    /// Index in `fields` of each small field number, or `NONE`.
    pub(crate) dense: Box<[u32]>,
    /// By JSON name and by proto name.
    pub(crate) by_name: FxHashMap<Box<[u8]>, FieldId>,
    /// The field declared first, or `NONE`.
    pub(crate) first: u32,
    /// How many bits tell which fields and oneofs were met: one for each field, then one for each oneof.
    pub(crate) bits: usize,
    pub(crate) well_known: Option<WellKnown>,
    /// Whether any field has no presence: then there may be defaults to print.
    pub(crate) has_implicit: bool,
    /// Whether it is a MessageSet: all of its fields are extensions, each in an item of its own on the wire.
    pub(crate) message_set: bool,
    /// The fields without which a message is incomplete.
    pub(crate) required: Box<[FieldId]>,
    /// Whether it, or a message in it, has such fields.
    pub(crate) may_lack: bool,
}

impl MessagePlan {
    #[inline]
    pub(crate) fn field(&self, id: FieldId) -> &FieldPlan {
        // Ids of a message are made from its own plan.
        &self.fields[id.0 as usize]
    }

    /// Whether its JSON form is an object.
    pub(crate) fn is_object(&self) -> bool {
        match self.well_known {
            None | Some(WellKnown::Any | WellKnown::Struct | WellKnown::Empty) => true,
            Some(
                WellKnown::Timestamp
                | WellKnown::Duration
                | WellKnown::FieldMask
                | WellKnown::Value
                | WellKnown::ListValue
                | WellKnown::Wrapper,
            ) => false,
        }
    }

    /// The field of this number.
    #[inline]
    pub(crate) fn by_number(&self, number: u32) -> Option<FieldId> {
        match self.dense.get(number as usize) {
            Some(&NONE) => None,
            Some(&index) => Some(FieldId(index)),
            None => {
                let index = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
                u32::try_from(index).ok().map(FieldId)
            }
        }
    }

    /// The bit of a oneof, after those of the fields.
    #[inline]
    pub(crate) fn oneof_bit(&self, field: &FieldPlan) -> Option<u32> {
        (field.oneof != NONE).then(|| field.oneof.wrapping_add(self.fields.len() as u32))
    }
}

/// One or many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Single,
    Repeated,
    Map,
}

/// The type of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
    Bool,
    String,
    Bytes,
    Enum(EnumId),
    Message(MessageId),
    Group(MessageId),
}

/// One field.
pub(crate) struct FieldPlan {
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    pub(crate) presence: bool,
    /// Whether a list is written packed.
    pub(crate) packed: bool,
    /// The wire type of one value.
    pub(crate) wire_type: u8,
    /// Whether text must be UTF-8 on the wire.
    pub(crate) utf8: bool,
    /// The tag before one value; in a MessageSet all of the item that stands before it.
    pub(crate) tag: Tag,
    /// Whether the field is an item of a MessageSet, which has to be ended.
    pub(crate) item: bool,
    /// The tag before packed values.
    pub(crate) packed_tag: Tag,
    pub(crate) number: u32,
    /// The bit that two occurrences share: that of the oneof, or else of the field itself.
    pub(crate) slot: u32,
    /// The real oneof, or `NONE`.
    pub(crate) oneof: u32,
    /// The field declared after this one, or `NONE`.
    pub(crate) next: u32,
    pub(crate) json_key: Key,
    pub(crate) proto_key: Key,
    pub(crate) name: Box<str>,
    pub(crate) json_name: Box<str>,
    /// The default value as on the wire, without tag; empty for messages and maps.
    pub(crate) default: Box<[u8]>,
}

impl FieldPlan {
    #[inline]
    pub(crate) fn message(&self) -> Option<MessageId> {
        match self.kind {
            Kind::Message(id) | Kind::Group(id) => Some(id),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn key(&self, proto_names: bool) -> &Key {
        if proto_names { &self.proto_key } else { &self.json_key }
    }

    /// The default value as `Wire::value` gives it: text without its length.
    pub(crate) fn default_contents(&self) -> &[u8] {
        match self.kind {
            Kind::String | Kind::Bytes => Wire::new(&self.default).bytes().unwrap_or_default(),
            _ => &self.default,
        }
    }

    /// Whether values of this type can be packed.
    #[inline]
    pub(crate) fn packable(&self) -> bool {
        !matches!(self.kind, Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_))
    }
}

/// A member's name as JSON, ready for both directions: `,"name":`.
pub(crate) struct Key {
    text: Box<[u8]>,
    /// The text and zeros after it, as a copy of fixed length is cheaper than one of any length.
    padded: [u8; Key::PADDED],
    /// The text after its comma: the first and last eight bytes, and which of the first ones there are.
    first: u64,
    last: u64,
    mask: u64,
}

impl Key {
    const PADDED: usize = 24;

    /// From `,"name":`.
    pub(crate) fn new(text: Vec<u8>) -> Self {
        let name = text.get(1..).unwrap_or_default();
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            for (place, byte) in word.iter_mut().zip(bytes) {
                *place = *byte;
            }
            u64::from_le_bytes(word)
        };
        let mut padded = [0; Self::PADDED];
        for (place, byte) in padded.iter_mut().zip(&text) {
            *place = *byte;
        }
        Self {
            first: word(name),
            last: word(name.get(name.len().saturating_sub(8)..).unwrap_or_default()),
            mask: u64::MAX >> (8 * 8usize.saturating_sub(name.len())).min(63),
            padded,
            text: text.into_boxed_slice(),
        }
    }

    /// Appends the key with its comma.
    #[inline]
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        if self.text.len() <= Self::PADDED {
            let end = out.len() + self.text.len();
            out.extend_from_slice(&self.padded);
            out.truncate(end);
        } else {
            out.extend_from_slice(&self.text);
        }
    }

    /// The length of the key without its comma, if `json` begins with it.
    #[inline]
    pub(crate) fn starts(&self, json: &[u8]) -> Option<usize> {
        let name = self.text.get(1..)?;
        let len = name.len();
        let same = match json.first_chunk::<8>() {
            Some(first) if u64::from_le_bytes(*first) & self.mask != self.first => false,
            Some(_) if len <= 8 => true,
            Some(_) if len <= 16 => json
                .get(len - 8..)
                .and_then(|rest| rest.first_chunk::<8>())
                .is_some_and(|last| u64::from_le_bytes(*last) == self.last),
            _ => json.starts_with(name),
        };
        same.then_some(len)
    }
}

/// An encoded tag, or the several that begin an item of a MessageSet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag {
    bytes: [u8; 8],
    len: u8,
}

impl Tag {
    pub(crate) fn new(number: u32, wire_type: u8) -> Self {
        let mut rest = (number << 3) | u32::from(wire_type);
        let mut bytes = [0; 8];
        let mut len = 0;
        for byte in &mut bytes {
            len += 1;
            *byte = (rest & 0x7f) as u8;
            rest >>= 7;
            if rest == 0 {
                break;
            }
            *byte |= 0x80;
        }
        Self { bytes, len }
    }

    /// What stands before the message of an item of a MessageSet: the start of the item, its number, and the tag of
    /// the message.
    pub(crate) fn item(number: u32) -> Self {
        let mut text = vec![message_set::START, message_set::TYPE_ID];
        push_varint(&mut text, u64::from(number));
        text.push(message_set::MESSAGE);
        let mut bytes = [0; 8];
        for (place, byte) in bytes.iter_mut().zip(&text) {
            *place = *byte;
        }
        // A field number takes five bytes at most.
        Self { bytes, len: text.len().min(bytes.len()) as u8 }
    }

    /// Whether `wire` begins with this tag.
    #[inline]
    pub(crate) fn starts(&self, wire: &[u8]) -> bool {
        match (self.len, wire) {
            (1, [first, ..]) => *first == self.bytes[0],
            (2, [first, second, ..]) => [*first, *second] == [self.bytes[0], self.bytes[1]],
            _ => wire.starts_with(self.bytes()),
        }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        match self.len {
            1 => out.push(self.bytes[0]),
            2 => out.extend_from_slice(&[self.bytes[0], self.bytes[1]]),
            _ => out.extend_from_slice(self.bytes()),
        }
    }
}

/// One enum.
pub(crate) struct EnumPlan {
    pub(crate) by_name: FxHashMap<Box<str>, i32>,
    /// The names of 0, 1, 2 and so on with their quotes; empty where there is none.
    pub(crate) dense: Box<[Box<[u8]>]>,
    /// The quoted names of all other numbers.
    pub(crate) sparse: FxHashMap<i32, Box<[u8]>>,
    /// Unknown numbers are no values (proto2).
    pub(crate) closed: bool,
    /// `google.protobuf.NullValue`: written as `null`.
    pub(crate) null_value: bool,
}

impl EnumPlan {
    /// The name of a value with its quotes.
    #[inline]
    pub(crate) fn quoted(&self, number: i32) -> Option<&[u8]> {
        if let Ok(index) = usize::try_from(number)
            && let Some(name) = self.dense.get(index)
        {
            return (!name.is_empty()).then_some(&**name);
        }
        self.sparse.get(&number).map(|name| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_any_length() {
        for len in 0..40 {
            let name: String = ('a'..='z').cycle().take(len).collect();
            let text = format!(",\"{name}\":");
            let key = Key::new(text.clone().into_bytes());
            let mut out = b"{".to_vec();
            key.push(&mut out);
            assert_eq!(out, format!("{{{text}").into_bytes());
            for tail in ["", "1", "1234567890"] {
                let json = format!("{}{tail}", &text[1..]);
                assert_eq!(key.starts(json.as_bytes()), Some(text.len() - 1), "{json}");
                for cut in 0..text.len() - 1 {
                    assert_eq!(key.starts(&json.as_bytes()[..cut]), None, "{json} {cut}");
                    let mut other = json.clone().into_bytes();
                    other[cut] ^= 1;
                    assert_eq!(key.starts(&other), None, "{json} {cut}");
                }
            }
        }
    }

    #[test]
    fn tags_of_any_length() {
        for number in [1, 15, 16, 2047, 2048, 262_143, 536_870_911] {
            let tag = Tag::new(number, 2);
            let mut out = Vec::new();
            tag.push(&mut out);
            assert_eq!(Wire::new(&out).tag(), Ok((number, 2)));
            assert!(tag.starts(&out));
            for cut in 0..out.len() {
                assert!(!tag.starts(&out[..cut]));
                let mut other = out.clone();
                other[cut] ^= 1;
                assert!(!tag.starts(&other));
            }
        }
    }
}
