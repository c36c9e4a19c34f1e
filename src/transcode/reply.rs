//! A reply's message into JSON.

use super::binding::Binding;
use super::wishes::Wishes;
use crate::codec::{self, JsonStyle};
use crate::fault::{Code, Fault};

/// The JSON of a reply to a call of `binding`, or of its one field that is the answer, as the client wishes it.
///
/// # Errors
/// A message that its own schema can't read is the backend's fault (INTERNAL).
pub fn reply_json(
    binding: &Binding,
    message: &[u8],
    style: JsonStyle,
    wishes: &Wishes,
) -> Result<Vec<u8>, Fault> {
    let plan = &binding.output;
    let unreadable = |error: &dyn std::fmt::Display| {
        let what = "the backend's reply does not fit its schema";
        Fault::broken_backend(Code::Internal, "UNREADABLE_REPLY", what)
            .because(format!("{}: {error}", plan.full_name()))
    };
    let style = JsonStyle { enum_numbers: style.enum_numbers || wishes.enum_numbers, ..style };
    // JSON of small messages is about twice their size; that of large ones with long texts little more than it.
    let mut out = Vec::with_capacity(message.len() + message.len() / 2 + 128);
    match binding.response_body {
        None => codec::write_message(plan, message, style, &mut out),
        Some(field) => codec::write_field(plan, field, message, style, &mut out),
    }
    .map_err(|error| unreadable(&error))?;
    if let Some(fields) = &wishes.fields {
        let mut kept = Vec::with_capacity(out.len() / 2);
        fields.apply(&out, &mut kept).map_err(|error| unreadable(&error))?;
        out = kept;
    }
    if wishes.pretty {
        let mut laid_out = Vec::new();
        codec::indent(&out, &mut laid_out);
        out = laid_out;
    }
    Ok(out)
}
