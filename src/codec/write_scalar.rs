//! Scalars as JSON: numbers, strings, base64, enum names, and map keys, which are always strings.

use super::base64;
use super::digits::{push_front, push_unsigned};
use super::error::WireErrorKind;
use super::scan::{is_plain_ascii, push_escaped, push_escaped_ascii, push_plain_ascii};
use super::tables::{EnumId, FieldPlan, Kind};
use super::wire::{Wire, unzigzag32, unzigzag64};
use super::write::Writer;

impl Writer<'_> {
    /// A varint or fixed number. An unknown number of a closed enum writes nothing.
    pub(super) fn number(&mut self, kind: Kind, wire: &mut Wire<'_>) -> Result<(), WireErrorKind> {
        match kind {
            Kind::Int32 => self.int32(wire)?,
            Kind::Uint32 => self.integer((wire.varint()? as u32).into(), false),
            Kind::Sint32 => self.integer(unzigzag32(wire.varint()? as u32).into(), false),
            Kind::Fixed32 => self.integer(u32::from_le_bytes(wire.fixed32()?).into(), false),
            Kind::Sfixed32 => self.integer(i32::from_le_bytes(wire.fixed32()?).into(), false),
            Kind::Int64 => self.integer((wire.varint()? as i64).into(), true),
            Kind::Uint64 => self.integer(wire.varint()?.into(), true),
            Kind::Sint64 => self.integer(unzigzag64(wire.varint()?).into(), true),
            Kind::Fixed64 => self.integer(u64::from_le_bytes(wire.fixed64()?).into(), true),
            Kind::Sfixed64 => self.integer(i64::from_le_bytes(wire.fixed64()?).into(), true),
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

    #[inline(always)]
    pub(super) fn int32(&mut self, wire: &mut Wire<'_>) -> Result<(), WireErrorKind> {
        self.integer((wire.varint()? as i32).into(), false);
        Ok(())
    }

    /// An integer. One of 64 bits is a string, as JSON numbers are doubles for many readers.
    #[inline]
    fn integer(&mut self, value: Integer, is_long: bool) {
        let quoted = is_long && !self.style.int64_numbers;
        if quoted {
            self.out.push(b'"');
        }
        if value.negative {
            self.out.push(b'-');
        }
        push_unsigned(self.out, value.magnitude);
        if quoted {
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
            // Any number of it: in a Value another one would come back as a number.
            _ if plan.null_value => self.out.extend_from_slice(b"null"),
            None if plan.closed => {}
            Some(name) if !self.style.enum_numbers => self.out.extend_from_slice(name),
            Some(_) | None => self.integer(number.into(), false),
        }
    }

    /// A string. What is not UTF-8 is an error, or replaced where the schema does not promise UTF-8 (proto2).
    pub(super) fn string(&mut self, text: &[u8], utf8: bool) -> Result<(), WireErrorKind> {
        self.out.push(b'"');
        if !push_plain_ascii(self.out, text) {
            self.careful_string(text, utf8)?;
        }
        self.out.push(b'"');
        Ok(())
    }

    #[inline(never)]
    fn careful_string(&mut self, text: &[u8], utf8: bool) -> Result<(), WireErrorKind> {
        let rest = push_escaped_ascii(self.out, text);
        if !rest.is_empty() {
            match simdutf8::basic::from_utf8(rest) {
                Ok(rest) => push_escaped(self.out, rest.as_bytes()),
                Err(_) if utf8 => return Err(WireErrorKind::Utf8),
                Err(_) => push_escaped(self.out, String::from_utf8_lossy(rest).as_bytes()),
            }
        }
        Ok(())
    }

    /// The string that comes next on the wire.
    #[inline(always)]
    pub(super) fn next_string(&mut self, wire: &mut Wire<'_>, utf8: bool) -> Result<(), WireErrorKind> {
        if let Some((window, len)) = wire.short() {
            if is_plain_ascii(window, len) {
                self.out.push(b'"');
                push_front(self.out, window, len);
                self.out.push(b'"');
                return Ok(());
            }
            return self.string(window.get(..len).unwrap_or_default(), utf8);
        }
        self.string(wire.bytes()?, utf8)
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

/// An integer of any type.
struct Integer {
    negative: bool,
    magnitude: u64,
}

impl From<i64> for Integer {
    #[inline]
    fn from(value: i64) -> Self {
        Self { negative: value < 0, magnitude: value.unsigned_abs() }
    }
}

impl From<u64> for Integer {
    #[inline]
    fn from(value: u64) -> Self {
        Self { negative: false, magnitude: value }
    }
}

impl From<i32> for Integer {
    #[inline]
    fn from(value: i32) -> Self {
        i64::from(value).into()
    }
}

impl From<u32> for Integer {
    #[inline]
    fn from(value: u32) -> Self {
        u64::from(value).into()
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
