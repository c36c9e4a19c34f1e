//! Reads the JSON forms of the well-known types, all but `Any`.

use super::super::error::ReadErrorKind;
use super::super::plan::WellKnown;
use super::super::read::{Outcome, Reader, TypeMember};
use super::super::splice::Leaves;
use super::super::tables::{FieldPlan, MessagePlan};
use super::super::wire::push_varint;
use super::{mask_from_json, parse_duration, parse_timestamp};

/// The tag of `seconds` in Timestamp and Duration.
const SECONDS: u8 = 0x08;
/// The tag of `nanos` in both.
const NANOS: u8 = 0x10;

impl<'r> Reader<'r, '_> {
    /// The contents of a well-known message.
    pub(crate) fn well_known(&mut self, which: WellKnown, message: &'r MessagePlan, depth: u32) -> Outcome {
        match which {
            WellKnown::Any => self.any(depth),
            WellKnown::Timestamp => self.parsed(ReadErrorKind::BadTimestamp, timestamp_from_text),
            WellKnown::Duration => self.parsed(ReadErrorKind::BadDuration, duration_from_text),
            WellKnown::FieldMask => self.parsed(ReadErrorKind::BadFieldMask, mask_from_json),
            WellKnown::Value => self.any_json(message, depth),
            WellKnown::Struct => match message.fields.first() {
                Some(fields) => self.map(fields, depth),
                None => Err(self.lex.wrong_type()),
            },
            WellKnown::ListValue => match message.fields.first() {
                Some(values) => self.list(values, false, depth),
                None => Err(self.lex.wrong_type()),
            },
            WellKnown::Wrapper => match message.fields.first() {
                Some(value) => self.wrapped(value, depth),
                None => Err(self.lex.wrong_type()),
            },
            WellKnown::Empty => self.object(message, Leaves::NONE, depth, TypeMember::None),
        }
    }

    fn wrapped(&mut self, value: &'r FieldPlan, depth: u32) -> Outcome {
        self.lex.peek();
        self.single(value, Leaves::NONE, depth, false).map(|_| ())
    }

    fn parsed(&mut self, wrong: ReadErrorKind, parse: fn(&[u8], &mut Vec<u8>) -> Option<()>) -> Outcome {
        if self.lex.peek() != Some(b'"') {
            return Err(self.lex.wrong_type());
        }
        let text = self.lex.string(&mut self.scratch)?;
        parse(text, self.out).ok_or_else(|| self.lex.fail(wrong))
    }

    /// `google.protobuf.Value`: any JSON value, as a member of its oneof.
    fn any_json(&mut self, message: &'r MessagePlan, depth: u32) -> Outcome {
        let number = match self.lex.peek() {
            Some(b'n') => 1,
            Some(b'-' | b'0'..=b'9') => 2,
            Some(b'"') => 3,
            Some(b't' | b'f') => 4,
            Some(b'{') => 5,
            Some(b'[') => 6,
            _ => return Err(self.lex.fail(ReadErrorKind::Syntax)),
        };
        let Some(field) = message.by_number(number).map(|id| message.field(id)) else {
            return Err(self.lex.wrong_type());
        };
        self.single(field, Leaves::NONE, depth, true).map(|_| ())
    }
}

fn push_time(out: &mut Vec<u8>, seconds: i64, nanos: i32) {
    if seconds != 0 {
        out.push(SECONDS);
        push_varint(out, seconds as u64);
    }
    if nanos != 0 {
        out.push(NANOS);
        push_varint(out, i64::from(nanos) as u64);
    }
}

/// Appends the contents of a Timestamp.
pub(crate) fn timestamp_from_text(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (seconds, nanos) = parse_timestamp(text)?;
    push_time(out, seconds, nanos);
    Some(())
}

/// Appends the contents of a Duration.
pub(crate) fn duration_from_text(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (seconds, nanos) = parse_duration(text)?;
    push_time(out, seconds, nanos);
    Some(())
}
