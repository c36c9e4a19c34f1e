//! What an operator says about the schema: where descriptors, sources and HTTP rules come from.

use std::path::PathBuf;
use std::time::Duration;

use crate::route::Selector;

/// Where the schema comes from and which part of it is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaSettings {
    /// Descriptor sets: files, folders (`*.binpb`, `*.pb`, `*.desc`, `*.protoset`, `*.bin`, at any
    /// depth) and globs.
    pub descriptors: Vec<String>,
    /// `.proto` sources: files, folders (`*.proto`, at any depth) and globs.
    pub protos: Vec<String>,
    /// The backends that are asked what they serve. None: no one is.
    pub reflect: Option<ReflectSettings>,
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
    /// Whether calls of methods that the schema does not have are passed to the upstream that the rules give them, by
    /// protocols that pass messages as they are.
    pub passes_unknown: bool,
    /// What two bindings with one HTTP method and one template mean.
    pub same_template: SameTemplate,
}

impl SchemaSettings {
    /// How long the start may wait for backends.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.reflect.as_ref().map_or(Duration::ZERO, |reflect| reflect.wait)
    }
}

/// Which backends say by server reflection what they serve, and when they are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReflectSettings {
    /// The names of the upstreams that are asked; at least one, none twice.
    pub upstreams: Vec<String>,
    /// How long after an answer the next one is asked for. None: only at the start and when told to.
    pub every: Option<Duration>,
    /// How long one upstream may take to tell everything.
    pub timeout: Duration,
    /// How long the start waits for upstreams that are not up yet.
    pub wait: Duration,
    /// The most that one upstream may tell, in bytes.
    pub max_size: usize,
}

impl ReflectSettings {
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
    pub const DEFAULT_WAIT: Duration = Duration::from_secs(30);
    pub const DEFAULT_MAX_SIZE: usize = 64 << 20;

    /// These upstreams are asked, and all else is as it stands by default.
    #[must_use]
    pub fn of(upstreams: Vec<String>) -> Self {
        Self {
            upstreams,
            every: None,
            timeout: Self::DEFAULT_TIMEOUT,
            wait: Self::DEFAULT_WAIT,
            max_size: Self::DEFAULT_MAX_SIZE,
        }
    }
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
