//! A reply's message into JSON.

use crate::codec::{self, FieldId, JsonStyle, Plan};
use crate::fault::{Code, Fault};

/// The JSON of a reply of type `plan`, or of its one field that is the answer.
///
/// # Errors
/// A message that its own schema can't read is the backend's fault (INTERNAL).
pub fn reply_json(
    plan: &Plan,
    response_body: Option<FieldId>,
    message: &[u8],
    style: JsonStyle,
) -> Result<Vec<u8>, Fault> {
    // JSON of small messages is about twice their size; that of large ones with long texts little more than it.
    let mut out = Vec::with_capacity(message.len() + message.len() / 2 + 128);
    write_reply(plan, response_body, message, style, &mut out)?;
    Ok(out)
}

/// [`reply_json`] behind what `out` has already. After an error `out` may hold a part of it.
///
/// # Errors
/// As there.
pub fn write_reply(
    plan: &Plan,
    response_body: Option<FieldId>,
    message: &[u8],
    style: JsonStyle,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let written = match response_body {
        None => codec::write_message(plan, message, style, out),
        Some(field) => codec::write_field(plan, field, message, style, out),
    };
    written.map_err(|error| {
        Fault::broken_backend(
            Code::Internal,
            "UNREADABLE_REPLY",
            "the backend's reply does not fit its schema",
        )
        .because(format!("{}: {error}", plan.full_name()))
    })
}
