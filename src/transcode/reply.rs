//! A reply's message into JSON.

use std::fmt::Display;
use std::sync::Arc;

use super::binding::Binding;
use super::wishes::Wishes;
use crate::codec::{self, JsonStyle, PieceWriter, Plan, WireError};
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
    let style = wishes.style(style);
    if wishes.are_plain() {
        return write(binding, message, style, out);
    }
    let mut json = Vec::new();
    write(binding, message, style, &mut json)?;
    if let Some(fields) = &wishes.fields {
        let mut kept = Vec::new();
        fields.apply(&json, &mut kept).map_err(|error| unreadable(&binding.output, &error))?;
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
    .map_err(|error| unwritten(&binding.output, error))
}

/// The fault of a reply that could not be written as JSON.
pub(super) fn unwritten(plan: &Plan, error: WireError) -> Fault {
    if !error.kind.has_no_json() {
        return unreadable(plan, &error);
    }
    let what = "the backend's reply has a value that JSON can't express";
    Fault::broken_backend(Code::Internal, "REPLY_WITHOUT_JSON", what)
        .because(format!("{}: {error}", plan.full_name()))
}

/// [`reply_json`] of a large message, written while its bytes arrive.
pub struct JsonPieces {
    binding: Arc<Binding>,
    writer: PieceWriter,
}

impl JsonPieces {
    /// How many bytes of the message there must be to begin with, unless it has fewer.
    pub const LOOK: usize = PieceWriter::LOOK;

    /// Begins with the JSON of a reply of `length` bytes, of which `head` has come; all of it is still to be pushed.
    /// `None` where this message, or this wish, needs all of the message at once.
    #[must_use]
    pub fn begin(
        binding: &Arc<Binding>,
        length: usize,
        head: &[u8],
        style: JsonStyle,
        wishes: &Wishes,
    ) -> Option<Self> {
        if !wishes.are_plain() {
            return None;
        }
        let style = wishes.style(style);
        let writer = PieceWriter::begin(&binding.output, binding.response_body, style, length, head)?;
        Some(Self { binding: Arc::clone(binding), writer })
    }

    /// Takes the next bytes of the message and appends to `out` what can be written by them.
    ///
    /// # Errors
    /// A message that its own schema can't read is the backend's fault (INTERNAL).
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.writer.push(bytes, out).map_err(|error| unwritten(&self.binding.output, error))
    }

    /// Appends the end, once all of the message was pushed.
    ///
    /// # Errors
    /// As [`JsonPieces::push`].
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.writer.finish(out).map_err(|error| unwritten(&self.binding.output, error))
    }
}

fn unreadable(plan: &Plan, error: &dyn Display) -> Fault {
    let what = "the backend's reply does not fit its schema";
    Fault::broken_backend(Code::Internal, "UNREADABLE_REPLY", what)
        .because(format!("{}: {error}", plan.full_name()))
}
