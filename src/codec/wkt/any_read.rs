//! Reads `google.protobuf.Any`: an object with an `@type` somewhere in it, and either the members of that message or,
//! for a well-known type, its JSON form as `value`.

use std::borrow::Cow;

use super::super::error::{Fail, ReadErrorKind, Step};
use super::super::plan::WellKnown;
use super::super::read::{Outcome, Reader, TypeMember};
use super::super::splice::Leaves;
use super::super::tables::MessageId;
use super::super::wire::{Open, push_bytes};

/// The tag of `type_url`.
const TYPE_URL: u8 = 0x0a;
/// The tag of `value`.
const VALUE: u8 = 0x12;

/// Where objects have their `@type`: places in the JSON text.
#[derive(Default)]
pub(crate) struct TypeMembers {
    /// Of an object and of the value of its `@type`, sorted.
    found: Vec<(usize, usize)>,
    /// Up to here the text was scanned.
    end: usize,
}

impl TypeMembers {
    fn find(&self, object: usize) -> Option<usize> {
        let index = self.found.partition_point(|&(start, _)| start < object);
        self.found.get(index).filter(|&&(start, _)| start == object).map(|&(_, value)| value)
    }
}

impl<'j> Reader<'_, 'j> {
    pub(super) fn any(&mut self, depth: u32) -> Outcome {
        let inner = self.deeper(depth)?;
        let Some(url) = self.look_for_type(inner)? else {
            return Ok(());
        };
        let Some(id) = type_name(&url).and_then(|name| self.set.id_of(name)) else {
            return Err(self.lex.fail(ReadErrorKind::BadAny).within(Step::Member("@type".into())));
        };
        self.out.push(TYPE_URL);
        push_bytes(self.out, &url);
        let before = self.out.len();
        self.out.push(VALUE);
        let open = Open::begin(self.out);
        let message = self.set.get(id);
        match message.well_known {
            None => self.object(message, Leaves::NONE, depth, TypeMember::Expected)?,
            Some(which) => self.any_value(id, which, inner)?,
        }
        if open.is_empty(self.out) {
            self.out.truncate(before);
        } else {
            open.end(self.out);
        }
        Ok(())
    }

    /// The `@type` of the object that comes next, which is then read from its beginning; `None` for `{}`, which is
    /// taken. It is mostly the first member. Where it is not, the whole object is scanned ahead, once for all the `Any`
    /// in it.
    fn look_for_type(&mut self, depth: u32) -> Result<Option<Cow<'j, [u8]>>, Box<Fail>> {
        self.lex.peek();
        let start = self.lex.clone();
        self.lex.open(b'{')?;
        if self.lex.take(b'}') {
            return Ok(None);
        }
        if &*self.key_string()? == b"@type" {
            self.lex.colon()?;
            self.lex.peek();
            let url = self.lex.cow();
            self.lex = start;
            return url.map(Some);
        }
        self.lex = start;
        let object = self.lex.pos();
        if object >= self.types.end {
            self.scan_ahead(depth)?;
        }
        match self.types.find(object) {
            Some(value) => self.lex.at(value).cow().map(Some),
            None => Err(self.lex.fail(ReadErrorKind::BadAny)),
        }
    }

    /// Notes where each object within the next one has its `@type`.
    fn scan_ahead(&mut self, depth: u32) -> Outcome {
        let mut ahead = self.lex.clone();
        let found = &mut self.types.found;
        found.clear();
        ahead.skip_value_with(depth.saturating_add(1), &mut self.scratch, &mut |object, name, value| {
            if name == b"@type" {
                found.push((object, value));
            }
        })?;
        found.sort_unstable();
        self.types.end = ahead.pos();
        Ok(())
    }

    /// The members of an `Any` that holds a well-known type: `@type` and `value`.
    fn any_value(&mut self, id: MessageId, which: WellKnown, depth: u32) -> Outcome {
        self.lex.open(b'{')?;
        let (mut types, mut values) = (0, 0);
        loop {
            let name = self.key_string()?;
            self.lex.colon()?;
            self.lex.peek();
            let seen = match &*name {
                b"@type" => {
                    self.lex.skip_value(depth, &mut self.scratch)?;
                    types += 1;
                    types
                }
                b"value" => {
                    self.message(id, Leaves::NONE, depth)
                        .map_err(|fail| fail.within(Step::Member("value".into())))?;
                    values += 1;
                    values
                }
                _ => {
                    let name = String::from_utf8_lossy(&name);
                    if !self.options.unknown.ignores(&name) {
                        let fail = self.lex.fail(ReadErrorKind::UnknownMember);
                        return Err(fail.within(Step::Member(name.into())));
                    }
                    self.lex.skip_value(depth, &mut self.scratch)?;
                    0
                }
            };
            if seen > 1 {
                let name = String::from_utf8_lossy(&name).into();
                return Err(self.lex.fail(ReadErrorKind::DuplicateMember).within(Step::Member(name)));
            }
            if !self.lex.another(b'}')? {
                break;
            }
        }
        // An Empty has nothing to say, so its value may be missing.
        if values == 0 && which != WellKnown::Empty {
            return Err(self.lex.fail(ReadErrorKind::BadAny));
        }
        Ok(())
    }
}

/// The full name in a type URL: all after the last slash, of which there must be one.
pub(super) fn type_name(url: &[u8]) -> Option<&str> {
    let slash = memchr::memrchr(b'/', url)?;
    std::str::from_utf8(url.get(slash + 1..)?).ok()
}
