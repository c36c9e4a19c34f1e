//! Whole messages, where neither path nor query has a part in them.

use super::reply::unwritten;
use super::request::bad_body;
use super::settings::RequestRules;
use crate::codec::{self, JsonStyle, MAX_MESSAGE_LEN, Overrides, Plan, ReadOptions, Splice};
use crate::fault::Fault;

/// Reads JSON as the message of `plan` and appends its bytes to `out`.
///
/// # Errors
/// A 400 that names the field at fault; `out` is as it was then.
pub fn message_of(plan: &Plan, json: &[u8], rules: &RequestRules, out: &mut Vec<u8>) -> Result<(), Fault> {
    let options = ReadOptions {
        unknown: &rules.unknown_members,
        depth: rules.json_depth,
        // The text was limited before it was read.
        max_len: MAX_MESSAGE_LEN,
        max_string: rules.json_string,
        overrides: Overrides::Stronger,
        partial: false,
    };
    codec::read_message(plan, json, &Splice::new(), &options, out).map_err(|error| bad_body(&error))
}

/// Writes the message of `plan` as JSON and appends it to `out`.
///
/// # Errors
/// A message that its own schema can't read is the backend's fault (INTERNAL); `out` is as it was then.
pub fn write_json(plan: &Plan, message: &[u8], style: JsonStyle, out: &mut Vec<u8>) -> Result<(), Fault> {
    codec::write_message(plan, message, style, out).map_err(|error| unwritten(plan, error))
}
