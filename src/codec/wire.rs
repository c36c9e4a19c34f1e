//! Protobuf's wire format: varints, tags, skipping, and messages whose length is known only once they are written.
//! <https://protobuf.dev/programming-guides/encoding/>

use smallvec::SmallVec;

use super::error::WireErrorKind;
use super::options::MAX_MESSAGE_DEPTH;
use super::tables::{Kind, Tag};

pub(crate) const VARINT: u8 = 0;
pub(crate) const FIXED64: u8 = 1;
pub(crate) const LEN: u8 = 2;
pub(crate) const START: u8 = 3;
pub(crate) const END: u8 = 4;
pub(crate) const FIXED32: u8 = 5;

/// The tags of a MessageSet's items, `repeated group Item = 1 { int32 type_id = 2; bytes message = 3; }`: the number of
/// an extension, and the extension itself.
pub(crate) mod message_set {
    pub(crate) const ITEM: u32 = 1;
    pub(crate) const START: u8 = 0x0b;
    pub(crate) const TYPE_ID: u8 = 0x10;
    pub(crate) const MESSAGE: u8 = 0x1a;
    pub(crate) const END: u8 = 0x0c;
}

/// How deep messages and groups may be nested.
pub(crate) const DEPTH: u32 = MAX_MESSAGE_DEPTH;

/// The wire type of one value, unpacked.
pub(crate) const fn type_of(kind: Kind) -> u8 {
    match kind {
        Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Bool
        | Kind::Enum(_) => VARINT,
        Kind::Fixed32 | Kind::Sfixed32 | Kind::Float => FIXED32,
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => FIXED64,
        Kind::String | Kind::Bytes | Kind::Message(_) => LEN,
        Kind::Group(_) => START,
    }
}

#[inline]
pub(crate) const fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

#[inline]
pub(crate) const fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
pub(crate) const fn unzigzag32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

#[inline]
pub(crate) const fn unzigzag64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[inline]
pub(crate) fn push_varint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.push(value as u8);
    } else {
        push_long_varint(out, value);
    }
}

fn push_long_varint(out: &mut Vec<u8>, mut value: u64) {
    let mut bytes = [0u8; 10];
    let mut len = 0;
    for byte in &mut bytes {
        len += 1;
        *byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
    }
    out.extend_from_slice(&bytes[..len]);
}

/// A length and the bytes.
#[inline]
pub(crate) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Where a length-delimited value began: one byte is kept free for its length.
#[derive(Clone, Copy)]
#[must_use]
pub(crate) struct Open(usize);

impl Open {
    #[inline]
    pub(crate) fn begin(out: &mut Vec<u8>) -> Self {
        out.push(0);
        Self(out.len())
    }

    /// Writes the length, and moves the value when that needs more than the byte kept free.
    #[inline]
    pub(crate) fn end(self, out: &mut Vec<u8>) {
        let Some(len) = out.len().checked_sub(self.0) else {
            return;
        };
        if len < 0x80 {
            if let Some(place) = out.get_mut(self.0 - 1) {
                *place = len as u8;
            }
        } else {
            self.end_long(out, len);
        }
    }

    fn end_long(self, out: &mut Vec<u8>, len: usize) {
        let mut prefix: SmallVec<[u8; 10]> = SmallVec::new();
        let mut rest = len;
        while rest >= 0x80 {
            prefix.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        prefix.push(rest as u8);
        let from = self.0;
        out.resize(from + len + prefix.len() - 1, 0);
        out.copy_within(from..from + len, from + prefix.len() - 1);
        if let Some(place) = out.get_mut(from - 1..from - 1 + prefix.len()) {
            place.copy_from_slice(&prefix);
        }
    }

    /// Whether nothing was written since `begin`.
    pub(crate) fn is_empty(self, out: &[u8]) -> bool {
        out.len() == self.0
    }
}

/// A reader over wire bytes.
#[derive(Clone, Copy)]
pub(crate) struct Wire<'a> {
    rest: &'a [u8],
}

impl<'a> Wire<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, WireErrorKind> {
        match *self.rest {
            [byte, ref rest @ ..] if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            [low, high, ref rest @ ..] if high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, WireErrorKind> {
        let mut value = 0u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            if index == 9 && byte > 1 {
                return Err(WireErrorKind::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { WireErrorKind::Truncated } else { WireErrorKind::Varint })
    }

    /// A field number and a wire type.
    #[inline(always)]
    pub(crate) fn tag(&mut self) -> Result<(u32, u8), WireErrorKind> {
        let (number, wire_type) = self.any_tag()?;
        if number == 0 || wire_type > FIXED32 {
            return Err(WireErrorKind::Tag);
        }
        Ok((number, wire_type))
    }

    /// A field number and a wire type, which may be none that there is.
    #[inline(always)]
    pub(crate) fn any_tag(&mut self) -> Result<(u32, u8), WireErrorKind> {
        let tag = u32::try_from(self.varint()?).map_err(|_| WireErrorKind::Tag)?;
        Ok((tag >> 3, (tag & 7) as u8))
    }

    /// Passes over a record.
    #[inline(never)]
    pub(crate) fn skip(&mut self) -> Result<(), WireErrorKind> {
        let (number, wire_type) = self.tag()?;
        self.value(number, wire_type).map(|_| ())
    }

    /// Takes `tag` if it comes next.
    #[inline]
    pub(crate) fn take(&mut self, tag: Tag) -> bool {
        let found = tag.starts(self.rest);
        if found {
            self.rest = self.rest.get(tag.bytes().len()..).unwrap_or_default();
        }
        found
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<[u8; 4], WireErrorKind> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireErrorKind::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<[u8; 8], WireErrorKind> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireErrorKind::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// A length and so many bytes.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireErrorKind> {
        let len = usize::try_from(self.varint()?).map_err(|_| WireErrorKind::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(WireErrorKind::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The contents of a short length-delimited value that comes next, and what is behind it up to 32 bytes: copies and
    /// comparisons of fixed length are cheap. `None` where it is longer, or where there are not so many bytes.
    #[inline(always)]
    pub(crate) fn short(&mut self) -> Option<(&'a [u8; 32], usize)> {
        let (&len, behind) = self.rest.split_first()?;
        let len = usize::from(len);
        let window = behind.first_chunk::<32>()?;
        if len > window.len() {
            return None;
        }
        self.rest = behind.get(len..)?;
        Some((window, len))
    }

    /// The value after a tag. For a length-delimited value or a group, its contents; else its own bytes.
    pub(crate) fn value(&mut self, number: u32, wire_type: u8) -> Result<&'a [u8], WireErrorKind> {
        let from = self.rest;
        let len = match wire_type {
            VARINT => {
                self.varint()?;
                from.len() - self.rest.len()
            }
            FIXED64 => self.fixed64()?.len(),
            FIXED32 => self.fixed32()?.len(),
            LEN => return self.bytes(),
            START => return self.group(number),
            END => return Err(WireErrorKind::Group),
            _ => return Err(WireErrorKind::Tag),
        };
        from.get(..len).ok_or(WireErrorKind::Truncated)
    }

    /// The contents of a group whose start tag was just read, up to its end tag, which is taken too.
    fn group(&mut self, number: u32) -> Result<&'a [u8], WireErrorKind> {
        let from = self.rest;
        let mut open: SmallVec<[u32; 8]> = SmallVec::from_slice(&[number]);
        loop {
            let len = from.len() - self.rest.len();
            if self.rest.is_empty() {
                return Err(WireErrorKind::Truncated);
            }
            let (number, wire_type) = self.tag()?;
            match wire_type {
                START if open.len() >= DEPTH as usize => return Err(WireErrorKind::Depth),
                START => open.push(number),
                END if open.pop() != Some(number) => return Err(WireErrorKind::Group),
                END if open.is_empty() => return from.get(..len).ok_or(WireErrorKind::Truncated),
                END => {}
                _ => {
                    self.value(number, wire_type)?;
                }
            }
        }
    }

    /// Whether the value of a field of this kind that comes next is zero, or empty, so that without presence it counts
    /// as unset.
    #[inline]
    pub(crate) fn at_default(&self, kind: Kind) -> bool {
        match type_of(kind) {
            FIXED64 => self.rest.first_chunk() == Some(&[0; 8]),
            FIXED32 => self.rest.first_chunk() == Some(&[0; 4]),
            _ => match self.rest.first() {
                Some(0) => true,
                Some(0x80) => self.at_long_zero(kind),
                Some(_) | None => false,
            },
        }
    }

    /// As above, for a varint of more bytes than it needs, or with bits that its kind has no room for.
    #[cold]
    fn at_long_zero(&self, kind: Kind) -> bool {
        let mut ahead = *self;
        let Ok(value) = ahead.varint() else { return false };
        match kind {
            Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Enum(_) => value as u32 == 0,
            _ => value == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back() {
        for value in (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, u64::MAX >> bit]) {
            let mut out = Vec::new();
            push_varint(&mut out, value);
            let mut wire = Wire::new(&out);
            assert_eq!(wire.varint(), Ok(value));
            assert!(wire.is_empty());
            for cut in 0..out.len() {
                assert_eq!(Wire::new(&out[..cut]).varint(), Err(WireErrorKind::Truncated));
            }
        }
        assert_eq!(Wire::new(&[0xff; 10]).varint(), Err(WireErrorKind::Varint));
        assert_eq!(Wire::new(&[0x80, 0x00]).varint(), Ok(0));
    }

    #[test]
    fn zigzag_comes_back() {
        for value in [0, 1, -1, i32::MAX, i32::MIN] {
            assert_eq!(unzigzag32(zigzag32(value)), value);
        }
        for value in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag64(zigzag64(value)), value);
        }
    }

    #[test]
    fn lengths_of_any_size() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let mut out = vec![7];
            let open = Open::begin(&mut out);
            out.extend(std::iter::repeat_n(b'x', len));
            open.end(&mut out);
            let mut expected = vec![7];
            push_bytes(&mut expected, &vec![b'x'; len]);
            assert!(out == expected, "{len}");
        }
    }

    /// What follows the start of group 1, and its contents.
    type Case<'a> = (&'a [u8], Result<&'a [u8], WireErrorKind>);

    #[test]
    fn groups_must_match() {
        let table: [Case<'_>; 6] = [
            (&[0x08, 0x01, 0x0c], Ok(&[0x08, 0x01])),
            (&[0x0c], Ok(&[])),
            (&[0x13, 0x14, 0x0c], Ok(&[0x13, 0x14])),
            (&[0x13, 0x0c], Err(WireErrorKind::Group)),
            (&[0x14], Err(WireErrorKind::Group)),
            (&[0x08, 0x01], Err(WireErrorKind::Truncated)),
        ];
        for (bytes, expected) in table {
            assert_eq!(Wire::new(bytes).value(1, START), expected, "{bytes:?}");
        }
        assert_eq!(Wire::new(&[0x0b; 200]).value(1, START), Err(WireErrorKind::Depth));
    }
}
