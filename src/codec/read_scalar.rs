//! One scalar: from JSON (`Reader::scalar`), and from plain text as it stands in a quoted number, a map key, a path or
//! a query (`push_text`, `push_map_key`). Values are appended without tag.

use std::borrow::Cow;

use super::base64;
use super::error::{Fail, ReadErrorKind};
use super::map_key::{self, MapKey};
use super::numbers::{
    Decimal, parse_double, parse_float, parse_integer, signed, text_double, text_float, unsigned,
};
use super::plan::PlanSet;
use super::read::Reader;
use super::tables::{EnumId, EnumPlan, Kind};
use super::wire::{Open, push_bytes, push_varint, zigzag32, zigzag64};

impl Reader<'_, '_> {
    /// One scalar. False if it is an enum value of unknown name that is to be ignored; then nothing was written.
    #[inline]
    pub(super) fn scalar(&mut self, kind: Kind) -> Result<bool, Box<Fail>> {
        match kind {
            Kind::String => self.lex.string_to_wire(self.out)?,
            Kind::Bytes => {
                let text = self.lex.string(&mut self.scratch)?;
                push_base64(text, self.out).map_err(|kind| self.lex.fail(kind))?;
            }
            Kind::Bool => {
                let value = match self.lex.peek() {
                    Some(b't') => self.lex.literal("true").map(|()| 1)?,
                    Some(b'f') => self.lex.literal("false").map(|()| 0)?,
                    _ => return Err(self.lex.wrong_type()),
                };
                self.out.push(value);
            }
            Kind::Double => {
                let value = if self.lex.peek() == Some(b'"') {
                    text_double(self.lex.string(&mut self.scratch)?)
                } else if let Some(value) = self.lex.decimal(Decimal::double) {
                    Ok(value)
                } else {
                    parse_double(self.lex.number()?)
                };
                let value = value.map_err(|kind| self.lex.fail(kind))?;
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Float => {
                let value = if self.lex.peek() == Some(b'"') {
                    text_float(self.lex.string(&mut self.scratch)?)
                } else if let Some(value) = self.lex.decimal(Decimal::float) {
                    Ok(value)
                } else {
                    parse_float(self.lex.number()?)
                };
                let value = value.map_err(|kind| self.lex.fail(kind))?;
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Enum(id) => return self.enum_value(id),
            Kind::Message(_) | Kind::Group(_) => return Err(self.lex.wrong_type()),
            Kind::Int32
            | Kind::Int64
            | Kind::Uint32
            | Kind::Uint64
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Fixed32
            | Kind::Fixed64
            | Kind::Sfixed32
            | Kind::Sfixed64 => {
                let (negative, magnitude) = self.integer()?;
                push_integer(kind, negative, magnitude, self.out).map_err(|kind| self.lex.fail(kind))?;
            }
        }
        Ok(true)
    }

    /// An integer, bare or quoted.
    #[inline]
    fn integer(&mut self) -> Result<(bool, u64), Box<Fail>> {
        match self.lex.small_integer() {
            Some(integer) => Ok(integer),
            None => self.quoted_integer(),
        }
    }

    fn quoted_integer(&mut self) -> Result<(bool, u64), Box<Fail>> {
        let start = self.lex.clone();
        if !self.lex.take_exact(b"\"") {
            let number = self.lex.number()?;
            return parse_integer(number).map_err(|kind| self.lex.fail(kind));
        }
        if let Some(integer) = self.lex.small_integer()
            && self.lex.take_exact(b"\"")
        {
            return Ok(integer);
        }
        self.lex = start;
        parse_integer(self.lex.string(&mut self.scratch)?).map_err(|kind| self.lex.fail(kind))
    }

    fn enum_value(&mut self, id: EnumId) -> Result<bool, Box<Fail>> {
        let plan = self.set.get_enum(id);
        let number = match self.lex.peek() {
            Some(b'"') => {
                let name = self.lex.text(&mut self.scratch)?;
                match plan.by_name.get(name) {
                    Some(&number) => number,
                    None if self.options.unknown.ignores_enum_names() => return Ok(false),
                    None => return Err(self.lex.fail(ReadErrorKind::BadEnum)),
                }
            }
            Some(b'n') if plan.null_value => self.lex.literal("null").map(|()| 0)?,
            Some(b'-' | b'0'..=b'9') => {
                let (negative, magnitude) = self.integer()?;
                enum_number(plan, negative, magnitude).map_err(|kind| self.lex.fail(kind))?
            }
            _ => return Err(self.lex.wrong_type()),
        };
        push_varint(self.out, i64::from(number) as u64);
        Ok(true)
    }
}

/// The number of an enum value, which must be known if the enum is closed.
fn enum_number(plan: &EnumPlan, negative: bool, magnitude: u64) -> Result<i32, ReadErrorKind> {
    let number = signed(negative, magnitude, 32)?;
    match i32::try_from(number) {
        Ok(number) if plan.closed && plan.quoted(number).is_none() => Err(ReadErrorKind::BadEnum),
        Ok(number) => Ok(number),
        Err(_) => Err(ReadErrorKind::OutOfRange),
    }
}

/// Appends an integer in the encoding of `kind`.
#[inline]
fn push_integer(kind: Kind, negative: bool, magnitude: u64, out: &mut Vec<u8>) -> Result<(), ReadErrorKind> {
    match kind {
        Kind::Int32 => push_varint(out, signed(negative, magnitude, 32)? as u64),
        Kind::Int64 => push_varint(out, signed(negative, magnitude, 64)? as u64),
        Kind::Uint32 => push_varint(out, unsigned(negative, magnitude, 32)?),
        Kind::Uint64 => push_varint(out, unsigned(negative, magnitude, 64)?),
        Kind::Sint32 => push_varint(out, u64::from(zigzag32(signed(negative, magnitude, 32)? as i32))),
        Kind::Sint64 => push_varint(out, zigzag64(signed(negative, magnitude, 64)?)),
        Kind::Fixed32 => out.extend_from_slice(&(unsigned(negative, magnitude, 32)? as u32).to_le_bytes()),
        Kind::Fixed64 => out.extend_from_slice(&unsigned(negative, magnitude, 64)?.to_le_bytes()),
        Kind::Sfixed32 => out.extend_from_slice(&(signed(negative, magnitude, 32)? as i32).to_le_bytes()),
        Kind::Sfixed64 => out.extend_from_slice(&signed(negative, magnitude, 64)?.to_le_bytes()),
        Kind::Float
        | Kind::Double
        | Kind::Bool
        | Kind::String
        | Kind::Bytes
        | Kind::Enum(_)
        | Kind::Message(_)
        | Kind::Group(_) => return Err(ReadErrorKind::WrongType),
    }
    Ok(())
}

fn push_base64(text: &[u8], out: &mut Vec<u8>) -> Result<(), ReadErrorKind> {
    let open = Open::begin(out);
    base64::decode(text, out).ok_or(ReadErrorKind::BadBase64)?;
    open.end(out);
    Ok(())
}

fn text_bool(text: &[u8]) -> Result<bool, ReadErrorKind> {
    match text {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(ReadErrorKind::BadBool),
    }
}

/// Appends a scalar given as plain text: integers in digits only, enum values by name or number.
pub(super) fn push_text(
    set: &PlanSet,
    kind: Kind,
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), ReadErrorKind> {
    let bytes = text.as_bytes();
    match kind {
        Kind::String => push_bytes(out, bytes),
        Kind::Bytes => push_base64(bytes, out)?,
        Kind::Bool => out.push(u8::from(text_bool(bytes)?)),
        Kind::Double => out.extend_from_slice(&text_double(bytes)?.to_le_bytes()),
        Kind::Float => out.extend_from_slice(&text_float(bytes)?.to_le_bytes()),
        Kind::Enum(id) => {
            let plan = set.get_enum(id);
            let number = match plan.by_name.get(text) {
                Some(&number) => number,
                None => {
                    let (negative, magnitude) = plain_integer(bytes).map_err(|_| ReadErrorKind::BadEnum)?;
                    enum_number(plan, negative, magnitude)?
                }
            };
            push_varint(out, i64::from(number) as u64);
        }
        Kind::Message(_) | Kind::Group(_) => return Err(ReadErrorKind::WrongType),
        Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Fixed32
        | Kind::Fixed64
        | Kind::Sfixed32
        | Kind::Sfixed64 => {
            let (negative, magnitude) = plain_integer(bytes)?;
            push_integer(kind, negative, magnitude, out)?;
        }
    }
    Ok(())
}

/// An integer without fraction or exponent.
fn plain_integer(text: &[u8]) -> Result<(bool, u64), ReadErrorKind> {
    if text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return Err(ReadErrorKind::BadNumber);
    }
    parse_integer(text)
}

/// Appends a map key given as text, and tells which one it is.
pub(super) fn push_map_key<'a>(
    kind: Kind,
    text: Cow<'a, [u8]>,
    out: &mut Vec<u8>,
) -> Result<MapKey<'a>, ReadErrorKind> {
    Ok(match kind {
        Kind::String => {
            push_bytes(out, &text);
            MapKey::Text(text)
        }
        Kind::Bool => {
            let value = text_bool(&text)?;
            out.push(u8::from(value));
            MapKey::Number(u64::from(value))
        }
        _ => {
            let start = out.len();
            let (negative, magnitude) = parse_integer(&text)?;
            push_integer(kind, negative, magnitude, out)?;
            let written = out.get(start..).unwrap_or_default();
            MapKey::Number(map_key::number(kind, written).map_err(|_| ReadErrorKind::BadNumber)?)
        }
    })
}
