//! Which members a JSON body has, as the paths of a field mask: what a PATCH without a mask means to change (AIP-134).
//! Runs after the body was read, beside the message that came of it.

use super::error::{Fail, ReadError, ReadErrorKind};
use super::lexer::Lexer;
use super::plan::{FieldId, Plan, PlanSet};
use super::read::Outcome;
use super::read_splice::Ending;
use super::tables::{FieldPlan, MessageId, Shape};
use super::wire::Open;

/// The most bytes that all paths may have together: nested members repeat the names of those around them.
const MAX_BYTES: usize = 1 << 20;

/// The tag of `FieldMask.paths`.
const PATHS: u8 = 0x0a;

/// The paths of the members of `json`, an object of the message of `plan`, in their order and by the names of the
/// `.proto` file. An object that is a plain message is followed inside; a member with any other value (null, a scalar,
/// a list, a map, a well-known type, an empty object) ends its path. Unknown members are left out, and `null` has none.
///
/// # Errors
/// What is no such object, is nested deeper than `depth`, or has too many members.
pub fn member_paths(plan: &Plan, json: &[u8], depth: u32) -> Result<Vec<String>, ReadError> {
    let text = simdutf8::compat::from_utf8(json)
        .map_err(|error| Fail::new(ReadErrorKind::Utf8, error.valid_up_to()).finish())?;
    let mut walk = Walk {
        set: &plan.set,
        lex: Lexer::new(text),
        scratch: Vec::new(),
        path: String::new(),
        paths: Vec::new(),
        left: MAX_BYTES,
    };
    if walk.lex.peek() != Some(b'n') {
        walk.object(plan.id, depth).map_err(|fail| fail.finish())?;
    }
    Ok(walk.paths)
}

/// Appends the singular FieldMask `field` with these paths, and with its tag.
pub fn write_mask(plan: &Plan, field: FieldId, paths: &[String], out: &mut Vec<u8>) {
    let mask = Ending::begin(plan.inner().field(field), out);
    for path in paths {
        out.push(PATHS);
        let open = Open::begin(out);
        out.extend_from_slice(path.as_bytes());
        open.end(out);
    }
    mask.end(out);
}

struct Walk<'r, 'j> {
    set: &'r PlanSet,
    lex: Lexer<'j>,
    scratch: Vec<u8>,
    /// The way to the open object.
    path: String,
    paths: Vec<String>,
    /// How many bytes further paths may have.
    left: usize,
}

impl Walk<'_, '_> {
    fn object(&mut self, id: MessageId, depth: u32) -> Outcome {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.lex.fail(ReadErrorKind::Depth));
        };
        self.lex.open(b'{')?;
        if self.lex.take(b'}') {
            return Ok(());
        }
        loop {
            self.lex.peek();
            let name = self.lex.cow()?;
            self.lex.colon()?;
            let message = self.set.get(id);
            match message.by_name.get(&*name) {
                Some(&field) => self.member(message.field(field), depth)?,
                None => self.lex.skip_value(depth, &mut self.scratch)?,
            }
            if !self.lex.another(b'}')? {
                return Ok(());
            }
        }
    }

    fn member(&mut self, field: &FieldPlan, depth: u32) -> Outcome {
        let outer = self.path.len();
        if outer > 0 {
            self.path.push('.');
        }
        self.path.push_str(&field.name);
        let before = self.paths.len();
        match plain_message(self.set, field) {
            Some(id) if self.lex.peek() == Some(b'{') => self.object(id, depth)?,
            Some(_) | None => self.lex.skip_value(depth, &mut self.scratch)?,
        }
        if self.paths.len() == before {
            self.left = self
                .left
                .checked_sub(self.path.len())
                .ok_or_else(|| self.lex.fail(ReadErrorKind::MaskTooLarge))?;
            self.paths.push(self.path.clone());
        }
        self.path.truncate(outer);
        Ok(())
    }
}

/// The message of a field that a path of a mask may lead through.
fn plain_message(set: &PlanSet, field: &FieldPlan) -> Option<MessageId> {
    field.message().filter(|&id| field.shape == Shape::Single && set.get(id).well_known.is_none())
}
