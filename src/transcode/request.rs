//! Path, query and body into one framed request message.

use bytes::Bytes;

use super::binding::{Binding, BodyRule, Variable};
use super::query::{self, Leaves};
use super::raw::{HttpBody, write_raw};
use super::settings::{RequestRules, UnexpectedBody};
use crate::codec::{self, Plan, Rank, ReadError, ReadOptions, Splice};
use crate::fault::Fault;
use crate::route::{Captures, Decoding, decode};
use crate::upstream::{finish_frame, start_frame};

/// Builds the message of type `plan` that a bound request stands for, in its gRPC frame.
///
/// A field is set by the path, else by the body, else by the query. `body` is JSON, or empty for an empty message.
///
/// # Errors
/// A 400 that names the variable, parameter or field at fault.
pub fn request_message(
    plan: &Plan,
    binding: &Binding,
    path: &str,
    captures: &Captures,
    query: Option<&str>,
    body: &[u8],
    rules: &RequestRules,
) -> Result<Bytes, Fault> {
    let splice = url_fields(plan, binding, path, captures, query, rules)?;
    let mut out = Vec::with_capacity(body.len() + 128);
    start_frame(&mut out);
    match binding.body {
        BodyRule::None => {
            if rules.unexpected_body == UnexpectedBody::Reject && !body.is_empty() {
                let message = "this method takes no body";
                return Err(Fault::invalid_argument("UNEXPECTED_BODY", message));
            }
            codec::write_splice(plan, &splice, &mut out);
        }
        BodyRule::Whole | BodyRule::Field(_) if body.iter().all(u8::is_ascii_whitespace) => {
            codec::write_splice(plan, &splice, &mut out);
        }
        BodyRule::Whole | BodyRule::Field(_) => {
            read_body(plan, binding.body, body, &splice, rules, &mut out)?
        }
    }
    finish_frame(out)
}

/// The message for a further element of a client stream: the URL has said what it has to say with the first one.
///
/// # Errors
/// A 400 that names the field at fault.
pub fn later_message(
    plan: &Plan,
    body: BodyRule,
    element: &[u8],
    rules: &RequestRules,
) -> Result<Bytes, Fault> {
    let mut out = Vec::with_capacity(element.len() + 128);
    start_frame(&mut out);
    read_body(plan, body, element, &Splice::new(), rules, &mut out)?;
    finish_frame(out)
}

/// The message for a raw body, or for a piece of one: the `HttpBody` is the message, or the field that the binding names.
/// The URL's fields are in it where `url` is given.
///
/// # Errors
/// A 400 that names the variable or parameter at fault.
pub fn raw_message(
    plan: &Plan,
    binding: &Binding,
    url: Option<(&str, &Captures, Option<&str>)>,
    body: &HttpBody,
    rules: &RequestRules,
) -> Result<Bytes, Fault> {
    let mut out = Vec::with_capacity(body.data.len() + 128);
    start_frame(&mut out);
    if let Some((path, captures, query)) = url {
        let splice = url_fields(plan, binding, path, captures, query, rules)?;
        codec::write_splice(plan, &splice, &mut out);
    }
    match binding.body {
        BodyRule::None => {}
        BodyRule::Whole => write_raw(None, body, &mut out),
        BodyRule::Field(field) => write_raw(Some(plan.field(field).number()), body, &mut out),
    }
    finish_frame(out)
}

fn read_body(
    plan: &Plan,
    rule: BodyRule,
    body: &[u8],
    splice: &Splice,
    rules: &RequestRules,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let options =
        ReadOptions { unknown: &rules.unknown_members, depth: rules.json_depth, overrides: rules.conflicts };
    let read = match rule {
        BodyRule::None => return Ok(()),
        BodyRule::Whole => codec::read_message(plan, body, splice, &options, out),
        BodyRule::Field(field) => codec::read_field(plan, field, body, splice, &options, out),
    };
    read.map_err(|error| bad_body(&error))
}

/// What path and query set.
fn url_fields(
    plan: &Plan,
    binding: &Binding,
    path: &str,
    captures: &Captures,
    query: Option<&str>,
    rules: &RequestRules,
) -> Result<Splice, Fault> {
    let mut leaves = Leaves::new(plan);
    for (index, variable) in binding.variables.iter().enumerate() {
        let raw = captures.text(index, path).unwrap_or_default();
        let decoding = decoding(variable, binding, raw, rules);
        let text = decode(raw, decoding).map_err(|error| query::undecodable(&variable.name, error))?;
        leaves.set(&variable.path, &variable.owner, Rank::Path, &variable.name, &text, rules.conflicts)?;
    }
    if let Some(query) = query {
        query::read(query, binding.body, &mut leaves, rules)?;
    }
    Ok(leaves.seal())
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
