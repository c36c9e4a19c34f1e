//! A reply's message into JSON.

use std::fmt::Display;

use super::binding::Binding;
use super::wishes::Wishes;
use crate::codec::{self, JsonStyle, WireError};
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
    // JSON of small messages is about twice their size; that of large ones with long texts little more than it.
    let mut out = Vec::with_capacity(message.len() + message.len() / 2 + 128);
    write_reply(binding, message, style, wishes, &mut out)?;
    Ok(out)
}

/// [`reply_json`] behind what `out` has already. After an error `out` may hold a part of it.
///
/// # Errors
/// As there.
pub fn write_reply(
    binding: &Binding,
    message: &[u8],
    style: JsonStyle,
    wishes: &Wishes,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let style = JsonStyle { enum_numbers: style.enum_numbers || wishes.enum_numbers, ..style };
    if wishes.fields.is_none() && !wishes.pretty {
        return write(binding, message, style, out);
    }
    let mut json = Vec::new();
    write(binding, message, style, &mut json)?;
    if let Some(fields) = &wishes.fields {
        let mut kept = Vec::new();
        fields.apply(&json, &mut kept).map_err(|error| unreadable(binding, &error))?;
        json = kept;
    }
    if wishes.pretty {
        codec::indent(&json, out);
    } else {
        out.extend_from_slice(&json);
    }
    Ok(())
}

fn write(binding: &Binding, message: &[u8], style: JsonStyle, out: &mut Vec<u8>) -> Result<(), Fault> {
    match binding.response_body {
        None => codec::write_message(&binding.output, message, style, out),
        Some(field) => codec::write_field(&binding.output, field, message, style, out),
    }
    .map_err(|error| unwritten(binding, error))
}

/// The fault of a reply that could not be written as JSON.
fn unwritten(binding: &Binding, error: WireError) -> Fault {
    if !error.kind.has_no_json() {
        return unreadable(binding, &error);
    }
    let what = "the backend's reply has a value that JSON can't express";
    Fault::broken_backend(Code::Internal, "REPLY_WITHOUT_JSON", what)
        .because(format!("{}: {error}", binding.output.full_name()))
}

fn unreadable(binding: &Binding, error: &dyn Display) -> Fault {
    let what = "the backend's reply does not fit its schema";
    Fault::broken_backend(Code::Internal, "UNREADABLE_REPLY", what)
        .because(format!("{}: {error}", binding.output.full_name()))
}
