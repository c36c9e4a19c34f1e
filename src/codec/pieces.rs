//! A large message as JSON while its bytes still arrive, so that it need not lie in memory as a whole.
//!
//! JSON that is sent can't be taken back, and the wire format lets any field come again later: a scalar replaces what
//! came before, a message merges, a list goes on. So only one list is written as it comes, element by element, and it
//! stays open to the end of the message. All other fields wait in their wire form and are written behind it, by the
//! same rules as in any other message. The list is the one that the message is busy with after its first bytes, however
//! these were cut: as a rule all that is large of a reply. It may stand in submessages.

use super::bits::Bits;
use super::careful::index;
use super::error::{WireError, WireErrorKind};
use super::locate::locate;
use super::options::JsonStyle;
use super::plan::{FieldId, Plan};
use super::tables::{Kind, MessageId, NONE, Shape};
use super::wire::{DEPTH, LEN, START, Wire};
use super::write::{Writer, Written, write};

/// How deep in submessages the list may be.
const LEVELS: usize = 8;

/// Writes one message whose bytes arrive in pieces.
pub struct PieceWriter {
    plan: Plan,
    style: JsonStyle,
    /// From the message itself to the one that has the list.
    levels: Vec<Level>,
    /// The place of the innermost level that is open.
    open: usize,
    /// How many of the levels are not written, since one field of them is all that is wanted.
    hidden: usize,
    /// What comes before the next element; the whole beginning of the JSON before the first one.
    before: Vec<u8>,
    /// A record that is not whole yet.
    partial: Vec<u8>,
    /// How many bytes it must have before it is worth another look.
    wanted: usize,
    /// How many bytes of the message came before it.
    read: usize,
    /// How many elements were written.
    elements: usize,
}

/// One message on the way to the list.
struct Level {
    message: MessageId,
    /// The list, or the submessage that leads to it.
    way: FieldId,
    /// How many bytes of it, or of its present part, are still to come.
    left: usize,
    /// The records of its other fields.
    others: Vec<u8>,
}

/// The front of some bytes.
enum Front {
    /// A whole record of this field, this long, and its contents if it is length-delimited.
    Record { number: u32, wire_type: u8, len: usize },
    /// No whole record; it has at least so many bytes.
    Part(usize),
}

impl PieceWriter {
    /// How many bytes tell whether, and around which list, a message is written in pieces.
    pub const LOOK: usize = 8 << 10;

    /// Prepares to write the message of `plan` that has `length` bytes and begins with `head`, or only its field
    /// `field`. `None` if it is not in the middle of a list by then, so that there is nothing to gain. Only the first
    /// [`PieceWriter::LOOK`] bytes of `head` matter, and all of it is still to be pushed.
    pub fn begin(
        plan: &Plan,
        field: Option<FieldId>,
        style: JsonStyle,
        length: usize,
        head: &[u8],
    ) -> Option<Self> {
        let mut levels = Vec::new();
        let (mut id, mut head) = (plan.id, head.get(..Self::LOOK).unwrap_or(head));
        loop {
            let message = plan.set.get(id);
            if message.well_known.is_some() || message.message_set || levels.len() == LEVELS {
                return None;
            }
            if message.may_lack {
                // A message without its required fields is none, and only the whole of it tells.
                return None;
            }
            let (number, contents) = last_record(head)?;
            let way = message.by_number(number)?;
            if levels.is_empty() && field.is_some_and(|field| field != way) {
                return None;
            }
            levels.push(Level { message: id, way, left: 0, others: Vec::new() });
            let found = message.field(way);
            match (found.shape, found.kind) {
                (Shape::Repeated, Kind::Message(_) | Kind::String | Kind::Bytes) => break,
                // A member of a oneof may be taken back by another one.
                (Shape::Single, Kind::Message(inner)) if found.oneof == NONE => {
                    (id, head) = (inner, contents)
                }
                _ => return None,
            }
        }
        levels.first_mut()?.left = length;
        let hidden = usize::from(field.is_some());
        let mut before = Vec::new();
        for level in levels.iter().skip(hidden) {
            let start = before.len();
            plan.set.get(level.message).field(level.way).key(style.proto_names).push(&mut before);
            if let Some(comma) = before.get_mut(start) {
                *comma = b'{';
            }
        }
        before.push(b'[');
        Some(Self {
            plan: plan.clone(),
            style,
            levels,
            open: 0,
            hidden,
            before,
            partial: Vec::new(),
            wanted: 0,
            read: 0,
            elements: 0,
        })
    }

    /// Takes the next bytes of the message, and appends to `out` what can be written by them.
    ///
    /// # Errors
    /// Bytes that are no message of this type. Nothing more can be written then.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        while !self.partial.is_empty() && !bytes.is_empty() {
            let missing = self.wanted.saturating_sub(self.partial.len()).min(bytes.len());
            let (front, rest) = bytes.split_at(missing);
            self.partial.extend_from_slice(front);
            bytes = rest;
            if self.partial.len() >= self.wanted {
                let mut partial = std::mem::take(&mut self.partial);
                let taken = self.take(&partial, out)?;
                partial.drain(..taken);
                self.partial = partial;
            }
        }
        if !bytes.is_empty() {
            let taken = self.take(bytes, out)?;
            self.partial.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        }
        Ok(())
    }

    /// Writes what comes behind the list, once all bytes were pushed.
    ///
    /// # Errors
    /// Bytes that are no message of this type, or that are too few. What waited for the end of the list has no offset
    /// but the end of the message.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), WireError> {
        // A group may be whole although more bytes of it were hoped for.
        let partial = std::mem::take(&mut self.partial);
        let taken = self.take(&partial, out)?;
        if taken < partial.len() || self.levels.iter().any(|level| level.left > 0) {
            return Err(self.at(WireErrorKind::Truncated, self.read));
        }
        if self.before != b"," {
            // No element came after all.
            out.append(&mut self.before);
        }
        out.push(b']');
        for (place, level) in self.levels.iter().enumerate().skip(self.hidden).rev() {
            let depth = depth_of(place, self.hidden);
            write(&self.plan, self.style, out, |writer| level.write_others(writer, depth))
                .map_err(|error| self.in_others(place, error.kind))?;
            out.push(b'}');
        }
        Ok(())
    }

    /// Takes all whole records off the front of `bytes`: how many bytes they are. What is left wants `wanted` bytes.
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, WireError> {
        let innermost = self.levels.len().saturating_sub(1);
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            let Some(level) = self.levels.get_mut(self.open) else { return Ok(taken) };
            if level.left == 0 && self.open > 0 {
                self.open -= 1;
                continue;
            }
            if rest.is_empty() {
                return Ok(taken);
            }
            let rest = rest.get(..level.left).unwrap_or(rest);
            let start = self.read;
            let message = self.plan.set.get(level.message);
            let way = message.field(level.way);
            if self.open < innermost
                && let Some((header, length)) = way_down(rest, way.number)
            {
                let behind = level.left.checked_sub(header).and_then(|left| left.checked_sub(length));
                let Some(behind) = behind else { return Err(self.at(WireErrorKind::Truncated, start)) };
                level.left = behind;
                taken += header;
                self.read += header;
                self.open += 1;
                if let Some(inner) = self.levels.get_mut(self.open) {
                    inner.left = length;
                }
                continue;
            }
            let (number, wire_type, len) = match front(rest) {
                Ok(Front::Record { number, wire_type, len }) => (number, wire_type, len),
                Ok(Front::Part(_)) if rest.len() == level.left => {
                    return Err(self.at(WireErrorKind::Truncated, start));
                }
                Ok(Front::Part(wanted)) => {
                    self.wanted = wanted.min(level.left);
                    return Ok(taken);
                }
                Err(kind) => return Err(self.at(kind, start)),
            };
            let record = rest.get(..len).unwrap_or_default();
            level.left -= record.len();
            taken += record.len();
            self.read += record.len();
            if self.open == innermost && (number, wire_type) == (way.number, LEN) {
                let mut wire = Wire::new(record);
                wire.tag()?;
                let contents = wire.bytes()?;
                out.append(&mut self.before);
                self.before.push(b',');
                let depth = depth_of(self.open, self.hidden);
                write(&self.plan, self.style, out, |writer| writer.contents(way, contents, depth))
                    .map_err(|error| self.in_element(contents, error.kind))?;
                self.elements += 1;
            } else if self.open >= self.hidden && message.by_number(number).is_some() {
                level.others.extend_from_slice(record);
            }
        }
    }
}

/// Places of errors, as [`WireError`] tells them.
impl PieceWriter {
    /// In what leads to the list, or between its elements.
    #[cold]
    fn at(&self, kind: WireErrorKind, offset: usize) -> WireError {
        WireError { kind, path: self.path(self.open), offset }
    }

    /// In the element whose `contents` were just taken.
    #[cold]
    fn in_element(&self, contents: &[u8], kind: WireErrorKind) -> WireError {
        let innermost = self.levels.len().saturating_sub(1);
        let path = format!("{}[{}]", self.path(innermost + 1), self.elements);
        let begin = self.read.saturating_sub(contents.len());
        let list = self.levels.last().map(|level| self.plan.set.get(level.message).field(level.way));
        let inner = match list.and_then(|list| list.message()) {
            Some(id) => locate(&Plan { set: self.plan.set.clone(), id }, contents, kind),
            None => kind.into(),
        };
        WireError { kind, path: joined(path, &inner.path), offset: begin + inner.offset }
    }

    /// In the other fields of the level at this place.
    #[cold]
    fn in_others(&self, place: usize, kind: WireErrorKind) -> WireError {
        let inner = match self.levels.get(place) {
            Some(level) => {
                let plan = Plan { set: self.plan.set.clone(), id: level.message };
                locate(&plan, &level.others, kind)
            }
            None => kind.into(),
        };
        WireError { kind, path: joined(self.path(place), &inner.path), offset: self.read }
    }

    /// The names of the fields that lead to the level at this place; behind the last one, to the list.
    fn path(&self, place: usize) -> String {
        let names = self.levels.iter().take(place).map(|level| {
            let field = self.plan.set.get(level.message).field(level.way);
            &*field.json_name
        });
        names.collect::<Vec<_>>().join(".")
    }
}

/// A path within another one.
fn joined(outer: String, inner: &str) -> String {
    if outer.is_empty() || inner.is_empty() { outer + inner } else { format!("{outer}.{inner}") }
}

impl Level {
    /// The members of all other fields, each with a comma before it.
    fn write_others(&self, writer: &mut Writer<'_>, depth: u32) -> Written {
        let message = writer.set.get(self.message);
        let mut met = Bits::new();
        met.insert(message.field(self.way).slot);
        writer.records(message, &index(Some(writer.set), message, &[&self.others])?, met, depth)
    }
}

/// The depth that is left for the fields of the level at this place.
fn depth_of(place: usize, hidden: usize) -> u32 {
    DEPTH.saturating_sub(u32::try_from((place + 1).saturating_sub(hidden)).unwrap_or(DEPTH))
}

/// The length-delimited record that the end of `head` is in, or that ends there: its field, and what there is of its
/// contents.
fn last_record(head: &[u8]) -> Option<(u32, &[u8])> {
    let mut wire = Wire::new(head);
    loop {
        let (number, wire_type) = wire.tag().ok()?;
        if wire_type == LEN {
            let mut rest = wire;
            let length = usize::try_from(rest.varint().ok()?).ok()?;
            if length >= rest.len() {
                return Some((number, rest.rest()));
            }
        }
        wire.value(number, wire_type).ok()?;
    }
}

/// The lengths of the head and the contents of a part of the message `number` that begins here.
fn way_down(bytes: &[u8], number: u32) -> Option<(usize, usize)> {
    let mut wire = Wire::new(bytes);
    if wire.tag().ok()? != (number, LEN) {
        return None;
    }
    let length = usize::try_from(wire.varint().ok()?).ok()?;
    Some((bytes.len() - wire.len(), length))
}

/// Looks at the record that begins here.
fn front(bytes: &[u8]) -> Result<Front, WireErrorKind> {
    let mut wire = Wire::new(bytes);
    let (number, wire_type) = match wire.tag() {
        Ok(tag) => tag,
        Err(WireErrorKind::Truncated) => return Ok(Front::Part(bytes.len() + 1)),
        Err(error) => return Err(error),
    };
    if wire_type == LEN {
        let mut header = wire;
        if let Ok(length) = header.varint() {
            let length = usize::try_from(length).map_err(|_| WireErrorKind::Truncated)?;
            let end = (bytes.len() - header.len()).checked_add(length).ok_or(WireErrorKind::Truncated)?;
            if end > bytes.len() {
                return Ok(Front::Part(end));
            }
        }
    }
    match wire.value(number, wire_type) {
        Ok(_) => Ok(Front::Record { number, wire_type, len: bytes.len() - wire.len() }),
        // A group says nowhere how long it is. It is read again only when it has doubled, so that small pieces do not
        // make it quadratic.
        Err(WireErrorKind::Truncated) if wire_type == START => Ok(Front::Part(bytes.len().saturating_mul(2))),
        Err(WireErrorKind::Truncated) => Ok(Front::Part(bytes.len() + 1)),
        Err(error) => Err(error),
    }
}
