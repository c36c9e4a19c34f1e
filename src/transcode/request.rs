//! Path, query and body into one framed request message.

use bytes::Bytes;

use super::binding::{Binding, BodyRule, Variable};
use super::query::{self, Leaves};
use super::settings::{RequestRules, UnexpectedBody};
use crate::codec::{self, Plan, Rank, ReadError, ReadOptions};
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
    let splice = leaves.seal();

    let options =
        ReadOptions { unknown: &rules.unknown_members, depth: rules.json_depth, overrides: rules.conflicts };
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
        BodyRule::Whole => {
            codec::read_message(plan, body, &splice, &options, &mut out).map_err(|error| bad_body(&error))?;
        }
        BodyRule::Field(field) => {
            codec::read_field(plan, field, body, &splice, &options, &mut out)
                .map_err(|error| bad_body(&error))?;
        }
    }
    finish_frame(out)
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
