//! The files that every schema may import without bringing them along: google/protobuf/*,
//! google/api/* and google/rpc/*.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use bytes::Bytes;
use prost_reflect::DescriptorPool;

use super::FileOrigin;
use super::load::{RawFile, split_set};
use crate::problem::{Problem, Problems};

/// google/api and google/rpc with what they import, compiled from `proto/` by the build script.
const GOOGLE_APIS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/builtin.binpb"));

/// The well-known files, of which the set above has only those that it imports.
const WELL_KNOWN: [&str; 11] = [
    "google/protobuf/any.proto",
    "google/protobuf/api.proto",
    "google/protobuf/descriptor.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/source_context.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/type.proto",
    "google/protobuf/wrappers.proto",
];

/// All built-in files.
pub(super) fn files(problems: &mut Problems) -> Vec<RawFile> {
    let global = DescriptorPool::global();
    let well_known = WELL_KNOWN
        .iter()
        .filter_map(|name| global.get_file_by_name(name))
        .map(|file| Bytes::from(file.encode_to_vec()));
    let apis = split_set(&Bytes::from_static(GOOGLE_APIS)).unwrap_or_default();
    let mut files: Vec<RawFile> = Vec::new();
    for encoded in well_known.chain(apis) {
        match RawFile::decode(encoded, FileOrigin::BuiltIn) {
            Ok(file) if files.iter().any(|known| known.outline.name == file.outline.name) => {}
            Ok(file) => files.push(file),
            Err(error) => {
                problems.push(Problem::error(format!("a built-in descriptor is damaged: {error}")));
            }
        }
    }
    files
}

/// The names of all built-in files.
pub(super) fn names() -> &'static BTreeSet<String> {
    static NAMES: OnceLock<BTreeSet<String>> = OnceLock::new();
    NAMES.get_or_init(|| files(&mut Problems::new()).into_iter().map(|file| file.outline.name).collect())
}

/// google/api and google/rpc alone, for what the gateway itself says in their terms.
#[must_use]
pub fn builtin_pool() -> DescriptorPool {
    // The build script has just compiled it; without it, details of errors print in base64.
    DescriptorPool::decode(GOOGLE_APIS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brings_what_apis_import() {
        let mut problems = Problems::new();
        let files = files(&mut problems);
        assert!(problems.is_empty(), "{problems}");
        let names: Vec<&str> = files.iter().map(|file| file.outline.name.as_str()).collect();
        let apis = [
            "google/api/annotations.proto",
            "google/api/field_behavior.proto",
            "google/api/http.proto",
            "google/api/httpbody.proto",
            "google/rpc/code.proto",
            "google/rpc/error_details.proto",
            "google/rpc/status.proto",
        ];
        for wanted in WELL_KNOWN.iter().chain(&apis) {
            assert_eq!(names.iter().filter(|name| *name == wanted).count(), 1, "{wanted}");
        }
    }
}
