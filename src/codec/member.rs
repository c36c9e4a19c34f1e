//! The value of a field: single, a list or a map. The loop over an object's members (`read.rs`) calls this for each.

use super::bits::Bits;
use super::error::{Fail, ReadErrorKind, Step};
use super::map_key::KeySet;
use super::plan::{FieldId, WellKnown};
use super::read::{Outcome, Reader};
use super::read_scalar::push_map_key;
use super::splice::Leaves;
use super::tables::{FieldPlan, Kind, MessagePlan, Shape, Tag};
use super::wire;

impl<'r> Reader<'r, '_> {
    /// One member of an object, after its colon: sets the field, or says that it is unset.
    #[inline]
    pub(super) fn member(
        &mut self,
        message: &'r MessagePlan,
        id: FieldId,
        met: &mut Bits,
        leaves: Leaves<'_>,
        depth: u32,
    ) -> Outcome {
        let field = message.field(id);
        if self.lex.peek() == Some(b'n') && !self.takes_null(field, field.shape) {
            self.lex.literal("null").map_err(|fail| fail.within(Step::Member(field.json_name.clone())))?;
            return if leaves.is_empty() { Ok(()) } else { self.null_member(message, id, leaves) };
        }
        if let Some(bit) = message.oneof_bit(field)
            && !met.insert(bit)
        {
            return Err(self.at(field, ReadErrorKind::SecondOneofMember));
        }
        let result = if leaves.is_empty() {
            self.value(field, Leaves::NONE, depth)
        } else {
            self.spliced_member(message, id, leaves, depth)
        };
        result.map_err(|fail| fail.within(Step::Member(field.json_name.clone())))
    }

    /// Whether `null` is a value of the field, or of one of its elements, and not the lack of one.
    fn takes_null(&self, field: &FieldPlan, shape: Shape) -> bool {
        shape == Shape::Single
            && match field.kind {
                Kind::Enum(id) => self.set.get_enum(id).null_value,
                Kind::Message(id) | Kind::Group(id) => self.set.get(id).well_known == Some(WellKnown::Value),
                _ => false,
            }
    }

    /// The whole value of a field.
    #[inline]
    pub(super) fn value(&mut self, field: &'r FieldPlan, leaves: Leaves<'_>, depth: u32) -> Outcome {
        match field.shape {
            Shape::Single => self.single(field, leaves, depth, field.presence).map(|_| ()),
            Shape::Repeated => self.list(field, field.packed, depth),
            Shape::Map => self.map(field, depth),
        }
    }

    /// One value with its tag. Without `keep_zero` nothing is written for zero, as the field has no presence. False if
    /// the value was ignored.
    pub(super) fn single(
        &mut self,
        field: &'r FieldPlan,
        leaves: Leaves<'_>,
        depth: u32,
        keep_zero: bool,
    ) -> Result<bool, Box<Fail>> {
        let start = self.out.len();
        field.tag.push(self.out);
        let value = self.out.len();
        match field.kind {
            Kind::Message(id) => {
                self.delimited(|reader| reader.message(id, leaves, depth))?;
                if field.item {
                    self.out.push(wire::message_set::END);
                }
            }
            Kind::Group(id) => {
                self.message(id, leaves, depth)?;
                Tag::new(field.number, wire::END).push(self.out);
            }
            kind => {
                let written = self.scalar(kind)?;
                // Zero is all zero bytes in every encoding: a varint, a fixed number, the length of nothing.
                let zero = || self.out.iter().skip(value).all(|&byte| byte == 0);
                if !written || (!keep_zero && zero()) {
                    self.out.truncate(start);
                    return Ok(written);
                }
            }
        }
        Ok(true)
    }

    /// An array.
    pub(super) fn list(&mut self, field: &'r FieldPlan, packed: bool, depth: u32) -> Outcome {
        let depth = self.deeper(depth)?;
        self.lex.open(b'[')?;
        if self.lex.take(b']') {
            return Ok(());
        }
        if !packed {
            return self
                .elements(field, |reader| reader.single(field, Leaves::NONE, depth, true).map(|_| ()));
        }
        let start = self.out.len();
        field.packed_tag.push(self.out);
        let open = wire::Open::begin(self.out);
        self.elements(field, |reader| reader.scalar(field.kind).map(|_| ()))?;
        if open.is_empty(self.out) {
            // All elements were names of enum values that are to be ignored.
            self.out.truncate(start);
        } else {
            open.end(self.out);
        }
        Ok(())
    }

    #[inline]
    fn elements(&mut self, field: &'r FieldPlan, read: impl Fn(&mut Self) -> Outcome) -> Outcome {
        let mut index = 0;
        loop {
            let result = match self.lex.peek() {
                Some(b'n') if !self.takes_null(field, Shape::Single) => {
                    Err(self.null(ReadErrorKind::NullInArray))
                }
                _ => read(self),
            };
            result.map_err(|fail| fail.within(Step::Index(index)))?;
            index += 1;
            if !self.lex.another(b']')? {
                return Ok(());
            }
        }
    }

    /// A `null` where none may stand, or something that only begins like one.
    #[cold]
    fn null(&mut self, kind: ReadErrorKind) -> Box<Fail> {
        match self.lex.literal("null") {
            Ok(()) => self.lex.fail(kind),
            Err(fail) => fail,
        }
    }

    /// An object whose members are map entries.
    pub(super) fn map(&mut self, field: &'r FieldPlan, depth: u32) -> Outcome {
        let depth = self.deeper(depth)?;
        self.lex.open(b'{')?;
        if self.lex.take(b'}') {
            return Ok(());
        }
        let Some((key_field, value_field)) = self.set.entry_fields(field) else {
            return Err(self.lex.fail(ReadErrorKind::WrongType));
        };
        let mut keys = KeySet::default();
        loop {
            let start = self.out.len();
            field.tag.push(self.out);
            let text = self.key_string()?;
            let within = |fail: Box<Fail>| fail.within(Step::Key(String::from_utf8_lossy(&text).into()));
            let open = wire::Open::begin(self.out);
            key_field.tag.push(self.out);
            let key = push_map_key(key_field.kind, text.clone(), self.out)
                .map_err(|kind| within(self.lex.fail(kind)))?;
            if !keys.insert(key) {
                return Err(within(self.lex.fail(ReadErrorKind::DuplicateMember)));
            }
            self.lex.colon()?;
            let written = match self.lex.peek() {
                Some(b'n') if !self.takes_null(value_field, Shape::Single) => {
                    Err(self.null(ReadErrorKind::NullInMap))
                }
                _ => self.single(value_field, Leaves::NONE, depth, true),
            };
            if written.map_err(within)? {
                open.end(self.out);
            } else {
                self.out.truncate(start);
            }
            if !self.lex.another(b'}')? {
                return Ok(());
            }
        }
    }
}
