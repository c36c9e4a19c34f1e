//! Path, query and body into one framed request message.

use bytes::Bytes;

use super::binding::{Binding, BodyRule, Variable};
use super::leaves::{Leaves, Place};
use super::parameters::{self, undecodable};
use super::settings::{RequestRules, UnexpectedBody};
use super::split::Split;
use super::wishes::Wishes;
use crate::codec::{self, Plan, Rank, ReadError, ReadOptions};
use crate::fault::Fault;
use crate::route::{Captures, Decoding, decode};
use crate::upstream::{finish_frame, start_frame};

/// A request's body, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'b> {
    /// No bytes at all, or nothing but white space.
    None,
    Json(&'b [u8]),
    /// `application/x-www-form-urlencoded`.
    Form(&'b [u8]),
}

impl Input<'_> {
    fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Json(body) | Self::Form(body) => body.len(),
        }
    }
}

/// What was made of a request.
#[derive(Debug)]
pub struct Built {
    /// The message in its gRPC frame.
    pub message: Bytes,
    /// What the answer should be like.
    pub wishes: Wishes,
}

/// Builds the message of type `plan` that a bound request stands for, in its gRPC frame.
///
/// A field is set by the path, else by the body, else by the query. Without a body the message is empty but for them.
///
/// # Errors
/// A 400 that names the variable, parameter or field at fault; 415 for a form where a body can't be one.
pub fn request_message(
    plan: &Plan,
    binding: &Binding,
    path: &str,
    captures: &Captures,
    query: Option<&str>,
    input: Input<'_>,
    rules: &RequestRules,
) -> Result<Built, Fault> {
    let mut leaves = Leaves::new(plan, rules.conflicts);
    for (index, variable) in binding.variables.iter().enumerate() {
        let raw = captures.text(index, path).unwrap_or_default();
        let decoding = decoding(variable, binding, raw, rules);
        // A list is split before anything is decoded, so an escaped comma belongs to an element.
        let elements = if variable.list { Split::new(raw, b',') } else { Split::whole(raw) };
        for raw in elements {
            let text = decode(raw, decoding).map_err(|error| undecodable(&variable.name, error))?;
            leaves.set(variable.place(), Rank::Path, &text)?;
        }
    }
    let named = match input {
        Input::Form(form) => parameters::read_form(form, binding.body, &mut leaves, rules)?,
        Input::None | Input::Json(_) => Vec::new(),
    };
    let wishes = match query {
        Some(query) => parameters::read_query(query, binding, &mut leaves, rules)?,
        None => Wishes::default(),
    };
    let splice = leaves.seal()?;

    let options =
        ReadOptions { unknown: &rules.unknown_members, depth: rules.json_depth, overrides: rules.conflicts };
    let mut out = Vec::with_capacity(input.len() + 128);
    start_frame(&mut out);
    match (binding.body, input) {
        (BodyRule::None, Input::Json(_) | Input::Form(_))
            if rules.unexpected_body == UnexpectedBody::Reject =>
        {
            return Err(Fault::invalid_argument("UNEXPECTED_BODY", "this method takes no body"));
        }
        (BodyRule::None, _) | (_, Input::None | Input::Form(_)) => {
            codec::write_splice(plan, &splice, &mut out);
        }
        (BodyRule::Whole, Input::Json(body)) => {
            codec::read_message(plan, body, &splice, &options, &mut out).map_err(|error| bad_body(&error))?;
        }
        (BodyRule::Field(field), Input::Json(body)) => {
            codec::read_field(plan, field, body, &splice, &options, &mut out)
                .map_err(|error| bad_body(&error))?;
        }
    }
    if let Some(rule) = &binding.mask
        && !splice.touches(rule.mask)
    {
        let paths = match input {
            Input::None => Vec::new(),
            Input::Form(_) => rule.of_form(&named),
            Input::Json(body) => codec::member_paths(&rule.resource, body, rules.json_depth)
                .map_err(|error| bad_body(&error))?,
        };
        // The only occurrence of the field, as nothing else has set it.
        codec::write_mask(plan, rule.mask, &paths, &mut out);
    }
    Ok(Built { message: finish_frame(out)?, wishes })
}

impl Variable {
    fn place(&self) -> Place<'_> {
        Place { path: &self.path, owner: &self.owner, key: None, name: &self.name }
    }
}

/// How a capture is decoded: one segment wholly, several by choice, or as the service configuration says for all.
fn decoding(variable: &Variable, binding: &Binding, raw: &str, rules: &RequestRules) -> Decoding {
    match (variable.multi, binding.fully_decode) {
        (false, _) => Decoding::All,
        (true, false) => rules.path_decoding,
        // A slash stays escaped where it would be the only one, so that `a%2Fb` and `a/b` stay apart.
        (true, true) if raw.contains('/') => Decoding::All,
        (true, true) => Decoding::KeepSlash,
    }
}

fn bad_body(error: &ReadError) -> Fault {
    let fault = Fault::invalid_argument(error.kind.reason(), error.to_string());
    if error.path.is_empty() { fault } else { fault.at(error.path.clone()) }
}
