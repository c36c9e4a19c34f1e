//! What an operator says about the schema: where descriptors, sources and HTTP rules come from.

use std::path::PathBuf;

use crate::route::Selector;

/// Where the schema comes from and which part of it is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaSettings {
    /// Descriptor sets: files, folders (`*.binpb`, `*.pb`, `*.desc`, `*.protoset`, `*.bin`, at any
    /// depth) and globs.
    pub descriptors: Vec<String>,
    /// `.proto` sources: files, folders (`*.proto`, at any depth) and globs.
    pub protos: Vec<String>,
    /// The folders that `import` statements of the sources are relative to. None: every input of
    /// `protos` brings its own, the folder itself or the one that the file or the glob is in.
    pub imports: Vec<PathBuf>,
    /// Service configurations (`google.api.Service`, YAML or JSON) whose `http` section overrides
    /// the annotations. The last rule for a method stands.
    pub http_rules: Vec<PathBuf>,
    /// The methods that are served. None: all.
    pub services: Vec<Selector>,
    /// Whether a method without a rule is bound to `POST /pkg.Service/Method` with the body `*`.
    pub default_bindings: bool,
    /// What two bindings with one HTTP method and one template mean.
    pub same_template: SameTemplate,
}

/// What two bindings with the same HTTP method and the same template mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SameTemplate {
    /// An error that names both.
    #[default]
    Refuse,
    /// The one that comes first in the order of the input stands; a warning names both.
    FirstWins,
}
