//! Which fields of an answer the client wants (`$fields`): read from text and checked by the answer's plan before the
//! backend is called, applied to the finished JSON after.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::error::{Fail, ReadError};
use super::lexer::Lexer;
use super::plan::{FieldId, Plan, PlanSet};
use super::read::Outcome;
use super::tables::{FieldPlan, MessageId, Shape};

/// How deep answers nest at most: messages of 100 levels, each of them in a list.
const MAX_DEPTH: u32 = 1_000;

/// Fields to keep, as a tree. It holds for both spellings of names and for each element of a list.
#[derive(Clone)]
pub struct Selection {
    set: Arc<PlanSet>,
    ground: Ground,
    root: Node,
}

/// What is kept of one value.
#[derive(Clone)]
enum Node {
    All,
    Some(BTreeMap<Step, Node>),
}

/// One step of a path: a field of a message, or the key of a map.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Field(FieldId),
    Key(Box<str>),
}

/// What a step can lead into.
#[derive(Clone, Copy)]
enum Ground {
    /// Nothing: a scalar, or a well-known type.
    Leaf,
    Message(MessageId),
    /// The entries of this map: a message and its field.
    Map(MessageId, FieldId),
}

impl Ground {
    /// The step of this name, and what it leads into.
    fn step(self, set: &PlanSet, name: &[u8]) -> Option<(Step, Self)> {
        match self {
            Self::Leaf => None,
            Self::Message(id) => {
                let field = *set.get(id).by_name.get(name)?;
                Some((Step::Field(field), ground_of(set, id, field)))
            }
            Self::Map(id, field) => {
                let key = String::from_utf8_lossy(name);
                Some((Step::Key(key.into()), ground_in(set, set.get(id).field(field))))
            }
        }
    }
}

/// Why a text selects nothing of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectError {
    /// No path at all, or an empty one between two commas.
    Empty,
    /// The answer has no such field.
    Unknown(Box<str>),
    /// A path of more steps than allowed.
    TooDeep(Box<str>),
}

impl Selection {
    /// Reads paths of field names (in lowerCamelCase or as in the `.proto` file) or map keys, joined by dots, and
    /// separated by commas. `*` as the last step is all there is. They start at the message of `plan` or, where the
    /// answer is only one field of it, at that field's value.
    ///
    /// # Errors
    /// The first path that is not understood.
    pub fn parse(
        plan: &Plan,
        answer: Option<FieldId>,
        text: &str,
        max_steps: usize,
    ) -> Result<Self, SelectError> {
        let ground = match answer {
            Some(field) => ground_of(&plan.set, plan.id, field),
            None if plan.well_known().is_some() => Ground::Leaf,
            None => Ground::Message(plan.id),
        };
        let mut root = Node::Some(BTreeMap::new());
        for path in text.split(',') {
            if path.is_empty() {
                return Err(SelectError::Empty);
            }
            keep(&mut root, &steps(&plan.set, ground, path, max_steps)?);
        }
        Ok(Self { set: Arc::clone(&plan.set), ground, root })
    }

    /// Appends what is selected of `json`, an answer that the codec has written.
    ///
    /// # Errors
    /// A text that is no JSON, or nested deeper than any answer.
    pub fn apply(&self, json: &[u8], out: &mut Vec<u8>) -> Result<(), ReadError> {
        let text = std::str::from_utf8(json)
            .map_err(|error| Fail::new(super::ReadErrorKind::Utf8, error.valid_up_to()).finish())?;
        let mut filter = Filter { set: &self.set, json, lex: Lexer::new(text), scratch: Vec::new(), out };
        filter.value(&self.root, self.ground).map_err(|fail| fail.finish())
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Selection")
    }
}

/// What a step from the value of a field leads into; from each element, for a list.
fn ground_of(set: &PlanSet, message: MessageId, id: FieldId) -> Ground {
    let field = set.get(message).field(id);
    match (field.shape, field.message()) {
        (Shape::Map, _) => Ground::Map(message, id),
        (Shape::Single | Shape::Repeated, Some(id)) if set.get(id).well_known.is_none() => {
            Ground::Message(id)
        }
        (Shape::Single | Shape::Repeated, _) => Ground::Leaf,
    }
}

/// As above, for the value of a map's entries.
fn ground_in(set: &PlanSet, map: &FieldPlan) -> Ground {
    // Entries have the fields `key` and `value`.
    map.message().map_or(Ground::Leaf, |entry| ground_of(set, entry, FieldId(1)))
}

/// The steps of one path.
fn steps(set: &PlanSet, start: Ground, path: &str, max: usize) -> Result<Vec<Step>, SelectError> {
    let mut ground = start;
    let mut steps = Vec::new();
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        if part == "*" && parts.peek().is_none() {
            break;
        }
        if steps.len() >= max {
            return Err(SelectError::TooDeep(path.into()));
        }
        let Some((step, inside)) = ground.step(set, part.as_bytes()) else {
            return Err(SelectError::Unknown(path.into()));
        };
        steps.push(step);
        ground = inside;
    }
    Ok(steps)
}

/// Adds what `steps` lead to. As deep as a path has steps.
fn keep(node: &mut Node, steps: &[Step]) {
    let Node::Some(children) = node else { return };
    match steps.split_first() {
        None => *node = Node::All,
        Some((step, deeper)) => {
            let child = children.entry(step.clone()).or_insert_with(|| Node::Some(BTreeMap::new()));
            keep(child, deeper);
        }
    }
}

struct Filter<'r, 'j> {
    set: &'r PlanSet,
    json: &'j [u8],
    lex: Lexer<'j>,
    scratch: Vec<u8>,
    out: &'r mut Vec<u8>,
}

impl Filter<'_, '_> {
    /// What is kept of the next value. As deep as the selection, as lists of lists have no names in them.
    fn value(&mut self, node: &Node, ground: Ground) -> Outcome {
        let Node::Some(children) = node else { return self.copy() };
        match self.lex.peek() {
            Some(b'{') => self.object(children, ground),
            Some(b'[') => {
                self.lex.open(b'[')?;
                self.out.push(b'[');
                if !self.lex.take(b']') {
                    loop {
                        match self.lex.peek() {
                            Some(b'{') => self.object(children, ground)?,
                            _ => self.copy()?,
                        }
                        if !self.lex.another(b']')? {
                            break;
                        }
                        self.out.push(b',');
                    }
                }
                self.out.push(b']');
                Ok(())
            }
            _ => self.copy(),
        }
    }

    fn object(&mut self, children: &BTreeMap<Step, Node>, ground: Ground) -> Outcome {
        self.lex.open(b'{')?;
        self.out.push(b'{');
        let mut first = true;
        if !self.lex.take(b'}') {
            loop {
                self.lex.peek();
                let start = self.lex.pos();
                let name = self.lex.cow()?;
                let written = start..self.lex.pos();
                self.lex.colon()?;
                let step = ground.step(self.set, &name);
                match step.and_then(|(step, inside)| Some((children.get(&step)?, inside))) {
                    Some((child, inside)) => {
                        if !std::mem::take(&mut first) {
                            self.out.push(b',');
                        }
                        self.out.extend_from_slice(self.json.get(written).unwrap_or_default());
                        self.out.push(b':');
                        self.value(child, inside)?;
                    }
                    None => self.lex.skip_value(MAX_DEPTH, &mut self.scratch)?,
                }
                if !self.lex.another(b'}')? {
                    break;
                }
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The next value as it is.
    fn copy(&mut self) -> Outcome {
        self.lex.peek();
        let start = self.lex.pos();
        self.lex.skip_value(MAX_DEPTH, &mut self.scratch)?;
        self.out.extend_from_slice(self.json.get(start..self.lex.pos()).unwrap_or_default());
        Ok(())
    }
}
