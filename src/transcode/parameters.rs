//! The parameters of a query or a form: pairs of name and value, each of them a leaf or a wish about the answer.

use std::borrow::Cow;

use super::binding::{Binding, BodyRule};
use super::leaves::{Leaves, Path, Place};
use super::name::{Name, Target, find};
use super::settings::{QueryIntoBody, RequestRules};
use super::split::{Split, split_once};
use super::system::SystemParameters;
use super::wishes::Wishes;
use crate::codec::{Plan, Rank};
use crate::fault::{Fault, Kind};
use crate::route::{DecodeError, Plus, decode_query};

/// Reads all parameters of `query`.
///
/// # Errors
/// The first parameter that can't be understood or is not allowed.
pub(super) fn read_query(
    query: &str,
    binding: &Binding,
    leaves: &mut Leaves<'_>,
    rules: &RequestRules,
) -> Result<Wishes, Fault> {
    let plan = leaves.plan();
    let mut system = SystemParameters::new(binding, rules);
    for pair in pairs(query, rules.plus) {
        let (name, value) = pair.counted("query", rules)?;
        if system.take(plan, &name.whole, &value)? {
            continue;
        }
        match find(plan, &[], &name, rules)? {
            Target::Field { path, owner, key } => {
                if rules.query_into_body == QueryIntoBody::Reject && is_bodys(binding.body, &path) {
                    let message = format!("`{}` belongs to the request's body", name.whole);
                    return Err(Fault::invalid_argument("QUERY_INTO_BODY", message).at(name.whole));
                }
                let owner = owner.as_ref().unwrap_or(plan);
                leaves.set(Place { path: &path, owner, key, name: &name.whole }, Rank::Query, &value)?;
            }
            Target::Unknown => unknown(name, rules)?,
        }
    }
    Ok(system.wishes())
}

/// The system parameters of `query` alone: for answers that begin before the request's message is made.
///
/// # Errors
/// A system parameter that can't be understood or is not allowed.
pub fn wishes_of(
    plan: &Plan,
    binding: &Binding,
    query: Option<&str>,
    rules: &RequestRules,
) -> Result<Wishes, Fault> {
    let mut system = SystemParameters::new(binding, rules);
    for pair in pairs(query.unwrap_or_default(), rules.plus) {
        let (name, value) = pair.counted("query", rules)?;
        system.take(plan, &name.whole, &value)?;
    }
    Ok(system.wishes())
}

/// Reads a form, whose names start at the body's message, and gives the ways from the request's message to what it
/// names.
///
/// # Errors
/// As for a query, and 415 where the body is a field that has no fields of its own.
pub(super) fn read_form(
    form: &[u8],
    body: BodyRule,
    leaves: &mut Leaves<'_>,
    rules: &RequestRules,
) -> Result<Vec<Path>, Fault> {
    let request = leaves.plan();
    let (start, base): (Cow<'_, Plan>, _) = match body {
        BodyRule::None => return Ok(Vec::new()),
        BodyRule::Whole => (Cow::Borrowed(request), Path::new()),
        BodyRule::Field(field) => {
            let known = request.field(field);
            let nested = request
                .nested(field)
                .filter(|nested| !known.is_repeated() && !known.is_map() && nested.well_known().is_none());
            let Some(nested) = nested else {
                let message = format!("a form can't be `{}`, which is no message: send JSON", known.name());
                return Err(Fault::new(Kind::MediaType, "NOT_FOR_A_FORM", message).at("content-type"));
            };
            (Cow::Owned(nested), Path::from_slice(&[field]))
        }
    };
    let Ok(form) = std::str::from_utf8(form) else {
        return Err(Fault::invalid_argument("BAD_ENCODING", "the form is not UTF-8"));
    };
    let mut named = Vec::new();
    for pair in pairs(form, Plus::Space) {
        let (name, value) = pair.counted("form", rules)?;
        match find(&start, &base, &name, rules)? {
            Target::Field { path, owner, key } => {
                let owner = owner.as_ref().unwrap_or(&start);
                leaves.set(Place { path: &path, owner, key, name: &name.whole }, Rank::Body, &value)?;
                named.push(path);
            }
            Target::Unknown => unknown(name, rules)?,
        }
    }
    Ok(named)
}

/// One parameter as it is written.
struct Pair<'q> {
    index: usize,
    text: &'q str,
    plus: Plus,
}

fn pairs(text: &str, plus: Plus) -> impl Iterator<Item = Pair<'_>> {
    let texts = Split::new(text, b'&').filter(|pair| !pair.is_empty()).enumerate();
    texts.map(move |(index, text)| Pair { index, text, plus })
}

impl<'q> Pair<'q> {
    /// Name and value, decoded; one of too many is an error.
    fn counted(&self, of: &str, rules: &RequestRules) -> Result<(Name<'q>, Cow<'q, str>), Fault> {
        if self.index >= rules.max_parameters {
            let message = format!("the {of} has more than {} parameters", rules.max_parameters);
            return Err(Fault::invalid_argument("TOO_MANY_PARAMETERS", message));
        }
        let (raw, value) = split_once(self.text, b'=').unwrap_or((self.text, ""));
        let name = Name::decode(raw, self.plus).map_err(|error| undecodable(raw, error))?;
        let value = decode_query(value, self.plus).map_err(|error| undecodable(&name.whole, error))?;
        Ok((name, value))
    }
}

fn unknown(name: Name<'_>, rules: &RequestRules) -> Result<(), Fault> {
    if rules.unknown_parameters.ignores(&name.whole) {
        return Ok(());
    }
    let message = format!("there is no field `{}` for this parameter", name.whole);
    Err(Fault::invalid_argument("UNKNOWN_PARAMETER", message).at(name.whole))
}

fn is_bodys(body: BodyRule, path: &[crate::codec::FieldId]) -> bool {
    match body {
        BodyRule::None => false,
        BodyRule::Whole => true,
        BodyRule::Field(field) => path.first() == Some(&field),
    }
}

pub(super) fn undecodable(name: &str, error: DecodeError) -> Fault {
    Fault::invalid_argument("BAD_ENCODING", format!("`{name}`: {error}")).at(name)
}
