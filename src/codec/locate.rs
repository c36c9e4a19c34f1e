//! Where bytes from a backend are at fault: the field and the offset of a `WireError`. Runs only after the writer has
//! refused a message, so that no place needs to be kept while messages are written; it looks through the records once,
//! and asks the writer about each value alone.

use super::error::{Step, WireError, WireErrorKind, path_of};
use super::options::JsonStyle;
use super::plan::{FieldId, Plan};
use super::tables::{FieldPlan, Kind, MessageId, Shape};
use super::wire::{DEPTH, LEN, Wire};
use super::write::{Writer, Written, write};

/// The error about `wire`, a message of `plan`, with its place.
#[cold]
pub(super) fn locate(plan: &Plan, wire: &[u8], kind: WireErrorKind) -> WireError {
    let mut search = Search { plan, kind, scratch: Vec::new() };
    match search.message(plan.id, wire, 0, DEPTH) {
        Some(place) => WireError { kind, path: path_of(&place.steps), offset: place.offset },
        None => WireError::from(kind),
    }
}

/// A place at fault, on its way out of the open messages.
struct Place {
    offset: usize,
    /// Innermost first.
    steps: Vec<Step>,
}

impl Place {
    fn at(offset: usize) -> Self {
        Self { offset, steps: Vec::new() }
    }

    fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

struct Search<'p> {
    plan: &'p Plan,
    kind: WireErrorKind,
    /// What the writer makes of single values.
    scratch: Vec<u8>,
}

impl<'p> Search<'p> {
    /// Looks through a message that begins at the byte `offset`.
    fn message(&mut self, id: MessageId, bytes: &[u8], offset: usize, depth: u32) -> Option<Place> {
        let Some(depth) = depth.checked_sub(1) else {
            return self.is(WireErrorKind::Depth).then(|| Place::at(offset));
        };
        let plan: &'p Plan = self.plan;
        let message = plan.set.get(id);
        if message.well_known.is_some() || message.message_set {
            let bad = self.refuses(|writer| writer.message(id, &[bytes], depth + 1));
            return bad.then(|| Place::at(offset));
        }
        let mut wire = Wire::new(bytes);
        // How many elements of each list were met.
        let mut counts = Vec::new();
        while !wire.is_empty() {
            let record = offset + (bytes.len() - wire.len());
            let (number, wire_type) = match wire.tag() {
                Ok(tag) => tag,
                Err(kind) => return self.is(kind).then(|| Place::at(record)),
            };
            let value = offset + (bytes.len() - wire.len());
            let known = message.by_number(number);
            let step = |id: FieldId| Step::Member(message.field(id).json_name.clone());
            let contents = match wire.value(number, wire_type) {
                Ok(contents) => contents,
                Err(kind) => {
                    let place = Place::at(record);
                    return self.is(kind).then(|| match known {
                        Some(id) => place.within(step(id)),
                        None => place,
                    });
                }
            };
            let Some(id) = known else { continue };
            let field = message.field(id);
            let run = wire_type == LEN && field.shape != Shape::Single && field.packable();
            if wire_type != field.wire_type && !run {
                continue;
            }
            // The contents of what is length-delimited stand behind a length.
            let value =
                if wire_type == LEN { offset + (bytes.len() - wire.len()) - contents.len() } else { value };
            let place = if run {
                self.run(field, contents, value)
            } else {
                self.value(field, contents, value, depth)
            };
            // The elements of a run are not told apart.
            let index = match field.shape {
                Shape::Repeated if !run => count(&mut counts, id),
                Shape::Repeated | Shape::Single | Shape::Map => None,
            };
            if let Some(place) = place {
                let place = match index {
                    Some(index) => place.within(Step::Index(index)),
                    None => place,
                };
                return Some(place.within(step(id)));
            }
        }
        None
    }

    /// One value, or one entry of a map.
    fn value(&mut self, field: &FieldPlan, contents: &[u8], offset: usize, depth: u32) -> Option<Place> {
        match (field.shape, field.kind) {
            (Shape::Map, Kind::Message(id) | Kind::Group(id)) => {
                let mut place = self.message(id, contents, offset, depth + 1)?;
                // What an entry calls its fields does not stand in the JSON.
                place.steps.pop();
                Some(match self.entry_key(field, contents) {
                    Some(key) => place.within(Step::Key(key)),
                    None => place,
                })
            }
            (_, Kind::Message(id) | Kind::Group(id)) => self.message(id, contents, offset, depth),
            _ => {
                let bad = self.refuses(|writer| writer.contents(field, contents, depth));
                bad.then(|| Place::at(offset))
            }
        }
    }

    /// A packed list.
    fn run(&mut self, field: &FieldPlan, contents: &[u8], offset: usize) -> Option<Place> {
        self.refuses(|writer| writer.packed(field, contents)).then(|| Place::at(offset))
    }

    /// The key of a map's entry as JSON has it, if it can be told.
    fn entry_key(&mut self, map: &FieldPlan, entry: &[u8]) -> Option<Box<str>> {
        let plan: &'p Plan = self.plan;
        let (key_field, _) = plan.set.entry_fields(map)?;
        let mut key = key_field.default_contents();
        let mut wire = Wire::new(entry);
        while let Ok((number, wire_type)) = wire.tag() {
            match wire.value(number, wire_type) {
                Ok(contents) if number == key_field.number && wire_type == key_field.wire_type => {
                    key = contents
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        if key_field.kind == Kind::String {
            return Some(String::from_utf8_lossy(key).into());
        }
        self.scratch.clear();
        write(plan, JsonStyle::default(), &mut self.scratch, |writer| Ok(writer.map_key(key_field, key)?))
            .ok()?;
        Some(String::from_utf8_lossy(&self.scratch).trim_matches('"').into())
    }

    /// Whether the writer refuses a value for the reason that is looked for.
    fn refuses(&mut self, value: impl Fn(&mut Writer<'_>) -> Written) -> bool {
        self.scratch.clear();
        let written = write(self.plan, JsonStyle::default(), &mut self.scratch, value);
        written.is_err_and(|error| self.is(error.kind))
    }

    fn is(&self, kind: WireErrorKind) -> bool {
        self.kind == kind
    }
}

/// How many elements of this list came before.
fn count(counts: &mut Vec<usize>, id: FieldId) -> Option<usize> {
    let place = id.0 as usize;
    if counts.len() <= place {
        counts.resize(place + 1, 0);
    }
    let count = counts.get_mut(place)?;
    *count += 1;
    count.checked_sub(1)
}
