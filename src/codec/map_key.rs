//! Which keys of a map were met: JSON refuses a second entry of the same key, the wire format lets the last one win.

use std::borrow::Cow;
use std::collections::HashSet;

use smallvec::SmallVec;

use super::error::WireErrorKind;
use super::tables::Kind;
use super::wire::Wire;

/// A map key; numbers of every type by their bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MapKey<'a> {
    Text(Cow<'a, [u8]>),
    Number(u64),
}

impl<'a> MapKey<'a> {
    /// The key in the contents of a map entry's key field.
    pub(crate) fn from_wire(kind: Kind, contents: &'a [u8]) -> Result<Self, WireErrorKind> {
        Ok(match kind {
            Kind::String => Self::Text(Cow::Borrowed(contents)),
            _ => Self::Number(number(kind, contents)?),
        })
    }
}

/// The bits of a number, whatever its spelling.
pub(crate) fn number(kind: Kind, contents: &[u8]) -> Result<u64, WireErrorKind> {
    let mut wire = Wire::new(contents);
    Ok(match kind {
        Kind::Int32 | Kind::Uint32 | Kind::Sint32 => wire.varint()? & 0xffff_ffff,
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 => wire.varint()?,
        Kind::Bool => u64::from(wire.varint()? != 0),
        Kind::Fixed32 | Kind::Sfixed32 => u64::from(u32::from_le_bytes(wire.fixed32()?)),
        Kind::Fixed64 | Kind::Sfixed64 => u64::from_le_bytes(wire.fixed64()?),
        // No other type can be a key.
        Kind::String
        | Kind::Bytes
        | Kind::Float
        | Kind::Double
        | Kind::Enum(_)
        | Kind::Message(_)
        | Kind::Group(_) => return Err(WireErrorKind::Tag),
    })
}

/// A set of keys: a short list first, hashed (with random seeds, as keys come from outside) when it grows.
#[derive(Default)]
pub(crate) struct KeySet<'a> {
    few: SmallVec<[MapKey<'a>; 8]>,
    many: Option<HashSet<MapKey<'a>>>,
}

impl<'a> KeySet<'a> {
    /// Adds `key` and tells whether it is new.
    pub(crate) fn insert(&mut self, key: MapKey<'a>) -> bool {
        if let Some(many) = &mut self.many {
            return many.insert(key);
        }
        if self.few.contains(&key) {
            return false;
        }
        if self.few.len() < 8 {
            self.few.push(key);
        } else {
            let mut many: HashSet<_> = self.few.drain(..).collect();
            many.insert(key);
            self.many = Some(many);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_once_also_when_there_are_many() {
        let mut keys = KeySet::default();
        for round in [true, false] {
            for number in 0..100 {
                assert_eq!(keys.insert(MapKey::Number(number)), round, "{number}");
            }
        }
        assert!(keys.insert(MapKey::Text(Cow::Borrowed(b"1"))));
        assert!(!keys.insert(MapKey::Text(Cow::Owned(b"1".to_vec()))));
    }

    #[test]
    fn spellings_of_one_number_are_one_key() {
        let key = |kind, bytes: &'static [u8]| MapKey::from_wire(kind, bytes).unwrap();
        assert_eq!(key(Kind::Int64, &[0x05]), key(Kind::Int64, &[0x85, 0x00]));
        assert_eq!(
            key(Kind::Int32, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            key(Kind::Int32, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        );
        assert_eq!(key(Kind::Bool, &[0x01]), key(Kind::Bool, &[0x02]));
    }
}
