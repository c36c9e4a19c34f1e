//! Scalars as JSON: numbers, strings, base64, enum names, and map keys, which are always strings.

use super::base64;
use super::error::WireErrorKind;
use super::scan::{plain_ascii_len, push_escaped};
use super::tables::{EnumId, FieldPlan, Kind};
use super::wire::{Wire, unzigzag32, unzigzag64};
use super::write::Writer;

impl Writer<'_> {
    /// A varint or fixed number. An unknown number of a closed enum writes nothing.
    #[inline]
    pub(super) fn number(&mut self, kind: Kind, wire: &mut Wire<'_>) -> Result<(), WireErrorKind> {
        match kind {
            Kind::Int32 => self.integer(wire.varint()? as i32),
            Kind::Uint32 => self.integer(wire.varint()? as u32),
            Kind::Sint32 => self.integer(unzigzag32(wire.varint()? as u32)),
            Kind::Fixed32 => self.integer(u32::from_le_bytes(wire.fixed32()?)),
            Kind::Sfixed32 => self.integer(i32::from_le_bytes(wire.fixed32()?)),
            Kind::Int64 => self.long(wire.varint()? as i64),
            Kind::Uint64 => self.long(wire.varint()?),
            Kind::Sint64 => self.long(unzigzag64(wire.varint()?)),
            Kind::Fixed64 => self.long(u64::from_le_bytes(wire.fixed64()?)),
            Kind::Sfixed64 => self.long(i64::from_le_bytes(wire.fixed64()?)),
            Kind::Float => {
                let value = f32::from_le_bytes(wire.fixed32()?);
                match not_a_number(f64::from(value)) {
                    Some(name) => self.out.extend_from_slice(name),
                    None => self.shortest(zmij::Buffer::new().format_finite(value)),
                }
            }
            Kind::Double => {
                let value = f64::from_le_bytes(wire.fixed64()?);
                match not_a_number(value) {
                    Some(name) => self.out.extend_from_slice(name),
                    None => self.shortest(zmij::Buffer::new().format_finite(value)),
                }
            }
            Kind::Bool => {
                let text: &[u8] = if wire.varint()? != 0 { b"true" } else { b"false" };
                self.out.extend_from_slice(text);
            }
            Kind::Enum(id) => self.enum_value(id, wire.varint()? as i32),
            Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_) => return Err(WireErrorKind::Tag),
        }
        Ok(())
    }

    #[inline]
    fn integer(&mut self, value: impl itoa::Integer) {
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A 64-bit integer: a string, as JSON numbers are doubles for many readers.
    #[inline]
    fn long(&mut self, value: impl itoa::Integer) {
        if self.style.int64_numbers {
            self.integer(value);
        } else {
            self.out.push(b'"');
            self.integer(value);
            self.out.push(b'"');
        }
    }

    /// A finite number in its shortest form; whole numbers without a fraction.
    fn shortest(&mut self, text: &str) {
        let text = text.strip_suffix(".0").unwrap_or(text);
        self.out.extend_from_slice(text.as_bytes());
    }

    fn enum_value(&mut self, id: EnumId, number: i32) {
        let plan = self.set.get_enum(id);
        let name = plan.quoted(number);
        match name {
            None if plan.closed => {}
            Some(_) if plan.null_value => self.out.extend_from_slice(b"null"),
            Some(name) if !self.style.enum_numbers => self.out.extend_from_slice(name),
            Some(_) | None => self.integer(number),
        }
    }

    /// A string. What is not UTF-8 is an error, or replaced where the schema does not promise UTF-8 (proto2).
    #[inline]
    pub(super) fn string(&mut self, text: &[u8], utf8: bool) -> Result<(), WireErrorKind> {
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        if plain_ascii_len(text) == text.len() {
            self.out.extend_from_slice(text);
        } else {
            match simdutf8::basic::from_utf8(text) {
                Ok(text) => push_escaped(self.out, text.as_bytes()),
                Err(_) if utf8 => return Err(WireErrorKind::Utf8),
                Err(_) => push_escaped(self.out, String::from_utf8_lossy(text).as_bytes()),
            }
        }
        self.out.push(b'"');
        Ok(())
    }

    pub(super) fn base64(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        base64::encode(bytes, self.out);
        self.out.push(b'"');
    }

    /// A map key.
    #[inline]
    pub(super) fn map_key(&mut self, field: &FieldPlan, contents: &[u8]) -> Result<(), WireErrorKind> {
        if field.kind == Kind::String {
            return self.string(contents, field.utf8);
        }
        self.out.push(b'"');
        let style = self.style;
        self.style.int64_numbers = true;
        let written = self.number(field.kind, &mut Wire::new(contents));
        self.style = style;
        self.out.push(b'"');
        written
    }
}

/// The quoted names of what is no number in JSON.
#[inline]
fn not_a_number(value: f64) -> Option<&'static [u8]> {
    if value.is_finite() {
        None
    } else if value.is_nan() {
        Some(b"\"NaN\"")
    } else if value > 0.0 {
        Some(b"\"Infinity\"")
    } else {
        Some(b"\"-Infinity\"")
    }
}
