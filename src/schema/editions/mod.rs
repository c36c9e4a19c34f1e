//! Files in editions: their features are resolved from the raw descriptor and kept for the codec, and the file is
//! lowered to proto2 or proto3, the only two that the pool can read.
//!
//! Lowering says by label, type, `packed` and `proto3_optional` what the features say, so that the pool's own reading
//! is as near as it can be; the plans are compiled by the features themselves. The input's bytes are kept as they came.
//! Checked is what changes how messages are read and written; the rest is between the author and the compiler.

mod features;
mod lower;
mod raw;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind};

use super::load::{RawFile, without_source_info};
use crate::codec::{Features, Presence};
use crate::problem::Problem;
use features::{Edition, edition_name};
use lower::Lowering;

/// How many faults of one file are told.
const MAX_FAULTS: usize = 20;

/// A file as the pool can read it.
pub(super) struct Lowered {
    /// Its encoded descriptor, in proto2 or proto3.
    pub encoded: Bytes,
    /// What the pool can't tell of it.
    pub features: Features,
}

/// Lowers `file`, without its comments; one in proto2 or proto3 is passed on as it is.
///
/// # Errors
/// An edition that is not known, and features that contradict each other.
pub(super) fn lower(file: &RawFile) -> Result<Lowered, Vec<Problem>> {
    let encoded = without_source_info(&file.encoded);
    if !file.outline.in_editions() {
        return Ok(Lowered { encoded, features: Features::default() });
    }
    let name = file.name();
    let invalid = |what: String| Problem::error(format!("`{name}` is not valid: {what}"));
    let syntax = file.outline.syntax.as_str();
    if !["", "editions"].contains(&syntax) {
        return Err(vec![invalid(format!("it is in `{syntax}` and in an edition"))]);
    }
    let Some(number) = file.outline.edition else {
        return Err(vec![invalid("it does not say in which edition it is".to_owned())]);
    };
    let Some(edition) = Edition::from_number(number) else {
        let problem = Problem::error(format!("`{name}` is written in {}", edition_name(number)));
        return Err(vec![problem.help("what is known here is editions 2023 and 2024, proto2 and proto3")]);
    };
    let mut raw = raw::File::decode(encoded).map_err(|error| vec![invalid(error.to_string())])?;
    let lowering = Lowering::of_file(&mut raw, edition);
    if !lowering.faults.is_empty() {
        return Err(lowering.faults.into_iter().take(MAX_FAULTS).map(invalid).collect());
    }
    Ok(Lowered { encoded: Bytes::from(raw.encode_to_vec()), features: lowering.features })
}

/// What only the whole pool shows: a field without presence must be able to hold zero, which a closed enum may not
/// have.
pub(super) fn check(pool: &DescriptorPool, features: &Features) -> Vec<Problem> {
    if features.is_empty() {
        return Vec::new();
    }
    let wrong = |field: &FieldDescriptor| {
        let Kind::Enum(en) = field.kind() else { return false };
        !field.is_list()
            && features.says(field.full_name()).is_some_and(|said| said.presence == Presence::Implicit)
            && features.is_closed(&en)
    };
    pool.all_messages()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(wrong)
        .take(MAX_FAULTS)
        .map(|field| {
            let (file, name) = (field.parent_file(), field.full_name());
            Problem::error(format!(
                "`{}` is not valid: `{name}` has no presence and a closed enum as its type",
                file.name()
            ))
        })
        .collect()
}
