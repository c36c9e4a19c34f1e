//! The well-known types, which ProtoJSON gives forms of their own: the forms themselves (`time`, `mask`), reading them
//! (`read`, `any_read`) and writing them (`write`, `any_write`).

mod any_read;
mod any_write;
mod mask;
mod read;
mod time;
mod write;

pub(crate) use any_read::TypeMembers;
pub(crate) use mask::{mask_from_json, mask_from_text};
pub(crate) use read::{duration_from_text, timestamp_from_text};
use time::{parse_duration, parse_timestamp};
