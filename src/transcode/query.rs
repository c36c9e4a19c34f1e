//! Query parameters: names to fields, values to leaves.

use smallvec::SmallVec;

use super::binding::BodyRule;
use super::settings::{QueryIntoBody, RequestRules};
use crate::codec::{FieldId, Overrides, Plan, Rank, Splice, TextError, Unknown, takes_text, write_text};
use crate::fault::Fault;
use crate::route::decode_query;

/// The way from the request message to a field; seldom deep.
type Path = SmallVec<[FieldId; 4]>;

/// The leaves that the URL has set so far, and what must not be set again.
pub(super) struct Leaves<'p> {
    plan: &'p Plan,
    splice: Splice,
    /// Singular fields that are set.
    set: SmallVec<[SetField; 8]>,
    members: SmallVec<[Member; 2]>,
}

struct SetField {
    path: Path,
    rank: Rank,
    /// The encoded value, kept only where it may have to be compared.
    value: Vec<u8>,
}

/// A member of a oneof on the way to what is set.
struct Member {
    /// The way to the message of the oneof.
    message: Path,
    oneof: u16,
    field: FieldId,
}

impl<'p> Leaves<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self { plan, splice: Splice::new(), set: SmallVec::new(), members: SmallVec::new() }
    }

    /// The leaves, ready to be spliced.
    pub(super) fn seal(mut self) -> Splice {
        self.splice.seal();
        self.splice
    }

    /// Sets the field at `path`, whose message is `owner`, to `text`.
    ///
    /// # Errors
    /// The text is no value of the field, or the field (or another one of its oneof) is set already.
    pub(super) fn set(
        &mut self,
        path: &[FieldId],
        owner: &Plan,
        rank: Rank,
        name: &str,
        text: &str,
        overrides: Overrides,
    ) -> Result<(), Fault> {
        let Some(field) = path.last().copied() else { return Ok(()) };
        self.note_members(path, name)?;
        let write =
            |out: &mut Vec<u8>| write_text(owner, field, text, out).map_err(|error| bad_value(name, &error));
        if owner.field(field).is_repeated() {
            return self.splice.push(path, rank, write);
        }
        if let Some(before) = self.set.iter().find(|set| set.path.as_slice() == path) {
            let mut value = Vec::new();
            write(&mut value)?;
            return match (before.rank, rank, overrides) {
                // What a path variable set stands.
                (Rank::Path, Rank::Query, Overrides::Stronger) => Ok(()),
                (Rank::Path, Rank::Query, Overrides::RejectDifferent) if before.value == value => Ok(()),
                (Rank::Path, Rank::Query, Overrides::RejectDifferent) => Err(differs(name)),
                (Rank::Path | Rank::Query, Rank::Path, _) | (Rank::Query, Rank::Query, _) => Err(twice(name)),
            };
        }
        let mut value = Vec::new();
        if overrides == Overrides::RejectDifferent {
            write(&mut value)?;
        }
        self.set.push(SetField { path: Path::from_slice(path), rank, value });
        self.splice.push(path, rank, write)
    }

    /// Refuses a second member of a oneof anywhere on the way.
    fn note_members(&mut self, path: &[FieldId], name: &str) -> Result<(), Fault> {
        let Some((first, deeper)) = path.split_first() else { return Ok(()) };
        if let Some(oneof) = self.plan.field(*first).oneof() {
            self.note_member(&[], oneof, *first, name)?;
        }
        let mut owner = if deeper.is_empty() { None } else { self.plan.nested(*first) };
        for (depth, field) in deeper.iter().enumerate() {
            let Some(message) = owner else { break };
            if let Some(oneof) = message.field(*field).oneof() {
                self.note_member(path.get(..=depth).unwrap_or_default(), oneof, *field, name)?;
            }
            owner = message.nested(*field);
        }
        Ok(())
    }

    fn note_member(
        &mut self,
        message: &[FieldId],
        oneof: u16,
        field: FieldId,
        name: &str,
    ) -> Result<(), Fault> {
        let same = |member: &&Member| member.oneof == oneof && member.message.as_slice() == message;
        match self.members.iter().find(same) {
            Some(member) if member.field != field => {
                let message = format!("`{name}` is in a oneof of which another member is set");
                Err(Fault::invalid_argument("ONEOF_CONFLICT", message).at(name))
            }
            Some(_) => Ok(()),
            None => {
                self.members.push(Member { message: Path::from_slice(message), oneof, field });
                Ok(())
            }
        }
    }
}

/// Reads all parameters of `query`.
///
/// # Errors
/// The first parameter that can't be understood or is not allowed.
pub(super) fn read(
    query: &str,
    body: BodyRule,
    leaves: &mut Leaves<'_>,
    rules: &RequestRules,
) -> Result<(), Fault> {
    let mut count = 0;
    for pair in Split::new(query, b'&').filter(|pair| !pair.is_empty()) {
        count += 1;
        if count > rules.max_parameters {
            let message = format!("the query has more than {} parameters", rules.max_parameters);
            return Err(Fault::invalid_argument("TOO_MANY_PARAMETERS", message));
        }
        let (name, value) = split_once(pair, b'=').unwrap_or((pair, ""));
        let name = decode_query(name, rules.plus).map_err(|error| undecodable(name, error))?;
        let value = decode_query(value, rules.plus).map_err(|error| undecodable(&name, error))?;
        match find(leaves.plan, &name, rules)? {
            Target::Field { path, owner } => {
                if rules.query_into_body == QueryIntoBody::Reject && is_bodys(body, &path) {
                    let message = format!("`{name}` belongs to the request's body");
                    return Err(Fault::invalid_argument("QUERY_INTO_BODY", message).at(name));
                }
                let owner = owner.as_ref().unwrap_or(leaves.plan);
                leaves.set(&path, owner, Rank::Query, &name, &value, rules.conflicts)?;
            }
            Target::Unknown => match &rules.unknown_parameters {
                Unknown::Ignore => {}
                Unknown::IgnoreNamed(names) if names.iter().any(|known| **known == *name) => {}
                Unknown::Reject | Unknown::IgnoreNamed(_) => {
                    let message = format!("there is no field `{name}` for this query parameter");
                    return Err(Fault::invalid_argument("UNKNOWN_PARAMETER", message).at(name));
                }
            },
        }
    }
    Ok(())
}

fn is_bodys(body: BodyRule, path: &[FieldId]) -> bool {
    match body {
        BodyRule::None => false,
        BodyRule::Whole => true,
        BodyRule::Field(field) => path.first() == Some(&field),
    }
}

/// `str::split` for one ASCII byte; that one's set-up costs more than most parameters.
struct Split<'q> {
    rest: Option<&'q str>,
    by: u8,
}

impl<'q> Split<'q> {
    fn new(text: &'q str, by: u8) -> Self {
        Self { rest: Some(text), by }
    }
}

impl<'q> Iterator for Split<'q> {
    type Item = &'q str;

    fn next(&mut self) -> Option<&'q str> {
        let rest = self.rest?;
        match split_once(rest, self.by) {
            Some((part, rest)) => {
                self.rest = Some(rest);
                Some(part)
            }
            None => self.rest.take(),
        }
    }
}

/// `str::split_once` for one ASCII byte.
fn split_once(text: &str, by: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == by)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

enum Target {
    Field {
        path: Path,
        /// The message that the field is in, where that isn't the request's.
        owner: Option<Plan>,
    },
    Unknown,
}

/// Follows a dotted name from the request message.
fn find(plan: &Plan, name: &str, rules: &RequestRules) -> Result<Target, Fault> {
    let mut path = Path::new();
    let mut owner: Option<Plan> = None;
    let mut parts = Split::new(name, b'.').peekable();
    while let Some(part) = parts.next() {
        if path.len() >= rules.max_parameter_depth {
            let message = format!("the parameter's name has more than {} parts", rules.max_parameter_depth);
            return Err(Fault::invalid_argument("PARAMETER_TOO_DEEP", message).at(name));
        }
        let message = owner.as_ref().unwrap_or(plan);
        let Some(field) = message.field_by_name(part) else { return Ok(Target::Unknown) };
        path.push(field);
        if parts.peek().is_none() {
            return if takes_text(message, field) {
                Ok(Target::Field { path, owner })
            } else {
                Err(not_a_leaf(name))
            };
        }
        let known = message.field(field);
        if known.is_repeated() || known.is_map() {
            let message = format!("`{name}` leads through `{part}`, which has many elements");
            return Err(Fault::invalid_argument("PARAMETER_INTO_REPEATED", message).at(name));
        }
        match message.nested(field) {
            Some(nested) => owner = Some(nested),
            None => return Ok(Target::Unknown),
        }
    }
    Ok(Target::Unknown)
}

pub(super) fn undecodable(name: &str, error: crate::route::DecodeError) -> Fault {
    Fault::invalid_argument("BAD_ENCODING", format!("`{name}`: {error}")).at(name)
}

fn not_a_leaf(name: &str) -> Fault {
    let message = format!("`{name}` is a message or a map and can't be set by one parameter");
    Fault::invalid_argument("NOT_A_SCALAR", message).at(name)
}

fn bad_value(name: &str, error: &TextError) -> Fault {
    match error {
        TextError::NotALeaf => not_a_leaf(name),
        TextError::Invalid(kind) => {
            Fault::invalid_argument(kind.reason(), format!("`{name}`: {}", kind.message())).at(name)
        }
    }
}

fn twice(name: &str) -> Fault {
    Fault::invalid_argument("PARAMETER_TWICE", format!("`{name}` takes one value and has several")).at(name)
}

fn differs(name: &str) -> Fault {
    let message = format!("path and query give `{name}` different values");
    Fault::invalid_argument("OVERRIDE_DIFFERS", message).at(name)
}
