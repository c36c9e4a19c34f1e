//! From inputs to the raw bytes of single files.
//!
//! A descriptor set is cut into its files without decoding them whole: prost's own types drop
//! options that they don't know, and `google.api.http` is one of those.

use std::path::Path;

use bytes::{Buf, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{DecodeError, Message};

use super::inputs::{self, InputKind};
use super::outline::Outline;
use super::{FileOrigin, Reflected, SchemaSettings, builtin, sources};
use crate::problem::{Problem, Problems};

/// One file before it is in a pool.
#[derive(Debug, Clone)]
pub(super) struct RawFile {
    pub encoded: Bytes,
    pub origin: FileOrigin,
    pub outline: Outline,
}

impl RawFile {
    pub fn decode(encoded: Bytes, origin: FileOrigin) -> Result<Self, DecodeError> {
        let outline = Outline::decode(encoded.clone())?;
        Ok(Self { encoded, origin, outline })
    }

    pub fn name(&self) -> &str {
        &self.outline.name
    }
}

/// The files of all inputs and the built-in ones.
pub(super) struct RawFiles {
    /// In the order of the inputs; a name may be there several times.
    pub given: Vec<RawFile>,
    pub built_in: Vec<RawFile>,
}

/// Reads all inputs.
pub(super) fn read(settings: &SchemaSettings, reflected: &[Reflected], problems: &mut Problems) -> RawFiles {
    let mut given = Vec::new();
    for found in inputs::expand(&settings.descriptors, InputKind::DescriptorSets, problems) {
        match descriptor_set(&found.path) {
            Ok(files) => given.extend(files),
            Err(problem) => problems.push(problem),
        }
    }
    for upstream in reflected {
        given.extend(upstream.raw_files(problems));
    }
    let built_in = builtin::files(problems);
    let protos = inputs::expand(&settings.protos, InputKind::Sources, problems);
    if !protos.is_empty() {
        let known = given.iter().chain(&built_in);
        let compiled = sources::compile(&protos, &settings.imports, known, problems);
        given.extend(compiled);
    }
    RawFiles { given, built_in }
}

/// Runs a part of the descriptor library that panics on some malformed descriptors, such as a default
/// value `\777` of a bytes field. `None`: it did, and what it was changing is of no more use.
pub(super) fn shielded<T>(run: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).ok()
}

/// The files of one descriptor set.
fn descriptor_set(path: &Path) -> Result<Vec<RawFile>, Problem> {
    let bytes = Bytes::from(inputs::read(path)?);
    let not_a_set = || {
        let (like, help) = looks_like(&bytes);
        Problem::error(format!("`{}` is not a descriptor set: {like}", path.display())).help(help)
    };
    let files = split_set(&bytes).ok_or_else(not_a_set)?;
    if files.is_empty() {
        return Err(not_a_set());
    }
    let mut raw = Vec::with_capacity(files.len());
    for encoded in files {
        match RawFile::decode(encoded, FileOrigin::DescriptorSet(path.to_owned())) {
            Ok(file) if !file.name().is_empty() => raw.push(file),
            Ok(_) | Err(_) => return Err(not_a_set()),
        }
    }
    Ok(raw)
}

/// The encoded files of an encoded `FileDescriptorSet`, or `None` if it is none: field 1 is all
/// that a set has, but for extensions, whose numbers are above all that descriptors use.
pub(super) fn split_set(set: &Bytes) -> Option<Vec<Bytes>> {
    const FILE: u32 = 1;
    const FIRST_EXTENSION: u32 = 1000;
    let mut rest = set.clone();
    let mut files = Vec::new();
    while rest.has_remaining() {
        let (number, wire_type) = decode_key(&mut rest).ok()?;
        if number == FILE && wire_type == WireType::LengthDelimited {
            let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
            if length > rest.len() {
                return None;
            }
            files.push(rest.split_to(length));
        } else if number >= FIRST_EXTENSION {
            skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?;
        } else {
            return None;
        }
    }
    Some(files)
}

/// An encoded file without its `source_code_info`: comments and places are most of many files, and
/// a pool keeps them twice.
pub(super) fn without_source_info(file: &Bytes) -> Bytes {
    const SOURCE_CODE_INFO: u32 = 9;
    let mut rest = file.clone();
    let mut kept = Vec::new();
    while rest.has_remaining() {
        let start = file.len() - rest.len();
        let field = decode_key(&mut rest).and_then(|(number, wire_type)| {
            skip_field(wire_type, number, &mut rest, DecodeContext::default()).map(|()| number)
        });
        match field {
            Ok(SOURCE_CODE_INFO) => {}
            Ok(_) => kept.extend_from_slice(&file[start..file.len() - rest.len()]),
            // Whoever decodes it says what is wrong.
            Err(_) => return file.clone(),
        }
    }
    Bytes::from(kept)
}

/// What a file that is no descriptor set seems to be, and what to do.
fn looks_like(bytes: &[u8]) -> (&'static str, &'static str) {
    const MAKE: &str = "make one with `buf build -o api.binpb`, or with \
                        `protoc --include_imports --descriptor_set_out=api.binpb`";
    if bytes.is_empty() {
        return ("it is empty", MAKE);
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return ("it is compressed with gzip", "decompress it with `gunzip`");
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return ("it is a zip archive", "unpack it, and name the descriptor sets in it");
    }
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return ("it is compressed with zstd", "decompress it with `unzstd`");
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        let start = text.trim_start();
        if start.starts_with(['{', '[']) {
            return ("it is JSON", MAKE);
        }
        if ["syntax", "edition", "package", "import", "message", "//", "/*"]
            .iter()
            .any(|word| start.starts_with(word))
        {
            return ("it is a .proto source", "name it under `protos`");
        }
        return ("it is text", MAKE);
    }
    let name_first = bytes.first() == Some(&0x0a);
    if name_first && Outline::decode(bytes).is_ok_and(|one| one.name.ends_with(".proto")) {
        return ("it is a single file descriptor, without the set around it", MAKE);
    }
    if name_first {
        return ("it starts like one, but is cut short or damaged", "make or copy it again");
    }
    ("its bytes are no protobuf of that kind", MAKE)
}
