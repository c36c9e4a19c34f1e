//! What backends say of themselves by server reflection: files as raw as those of a descriptor set, and which of the
//! services in them are served at all.
//!
//! Asking them is not this room's job; see `introspection`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use prost::{DecodeError, Message};
use rustc_hash::FxHashMap;

use super::load::RawFile;
use super::outline::Outline;
use super::{FileOrigin, builtin};
use crate::problem::{Problem, Problems};

/// What one upstream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reflected {
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// The full names of the services that it serves, sorted.
    pub services: Vec<String>,
    /// Encoded `FileDescriptorProto`s, in an order that is always the same.
    pub files: Vec<Bytes>,
}

impl Reflected {
    pub(super) fn raw_files(&self, problems: &mut Problems) -> Vec<RawFile> {
        let origin = || FileOrigin::Reflected(Arc::clone(&self.upstream));
        let mut files = Vec::with_capacity(self.files.len());
        for encoded in &self.files {
            match RawFile::decode(encoded.clone(), origin()) {
                Ok(file) => files.push(file),
                Err(error) => problems.push(Problem::error(format!(
                    "the upstream `{}` reflects a file that can't be read: {error}",
                    self.upstream
                ))),
            }
        }
        files
    }
}

/// The names in an encoded `FileDescriptorProto` that tell what else is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNames {
    /// The file's own.
    pub name: String,
    /// Of the files that it imports.
    pub imports: Vec<String>,
    /// The full names of its services.
    pub services: Vec<String>,
}

impl FileNames {
    /// Reads them.
    ///
    /// # Errors
    /// It is no such message.
    pub fn read(encoded: &Bytes) -> Result<Self, DecodeError> {
        let outline = Outline::decode(encoded.clone())?;
        let services = outline.services.iter().map(|service| outline.full_name(&service.name)).collect();
        Ok(Self { services, name: outline.name, imports: outline.dependency })
    }
}

/// Whether a file of this name need not be brought along.
#[must_use]
pub fn is_built_in(name: &str) -> bool {
    builtin::names().contains(name)
}

/// Which upstreams serve which service, as far as reflection tells.
pub(super) struct Homes<'r>(FxHashMap<&'r str, BTreeSet<Arc<str>>>);

impl<'r> Homes<'r> {
    pub(super) fn new(reflected: &'r [Reflected]) -> Self {
        let mut homes: FxHashMap<&str, BTreeSet<Arc<str>>> = FxHashMap::default();
        for told in reflected {
            for service in &told.services {
                homes.entry(service).or_default().insert(Arc::clone(&told.upstream));
            }
        }
        Self(homes)
    }

    /// Whether the service of a file is meant to be served: a backend's files hold more than it implements.
    pub(super) fn serve(&self, service: &str, origin: &FileOrigin) -> bool {
        match origin {
            FileOrigin::Reflected(_) => self.0.contains_key(service),
            FileOrigin::DescriptorSet(_) | FileOrigin::Source(_) | FileOrigin::BuiltIn => true,
        }
    }

    /// The upstreams that say that they serve it.
    pub(super) fn of(&self, service: &str) -> Vec<Arc<str>> {
        self.0.get(service).map_or_else(Vec::new, |homes| homes.iter().cloned().collect())
    }
}
