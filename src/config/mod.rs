//! Configuration: one YAML file becomes checked [`Settings`], or every problem in it at once.
//!
//! This is before the way of any request. The text is read into a tree that remembers where each thing stands (`tree`),
//! the tree is walked key by key (`reader`, `values`), and one file for each part of the form says which keys there are.
//! Settings that come out are valid by themselves; what needs the schema is found out when it is compiled.

mod addresses;
mod api_keys;
mod authorization;
mod breakers;
mod compression;
mod cors;
mod health;
mod identity;
mod limits;
mod listeners;
mod measures;
mod names;
mod process;
mod reader;
mod reload;
mod retries;
mod rules;
mod schema;
mod security_headers;
mod shared_store;
mod split;
mod tls;
mod tree;
mod upstreams;
pub mod values;

use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::admin::AdminSettings;
use crate::policy::identity::IdentitySettings;
use crate::policy::{LimitSettings, Rule};
use crate::problem::{Problem, Problems};
use crate::schema::SchemaSettings;
use crate::server::{DrainSettings, ListenerSettings, ReloadSettings};
use crate::telemetry::AccessLogSettings;
use crate::tls::{Mark, note, noting};
use crate::upstream::UpstreamSettings;

pub use api_keys::{load as api_keys_of, moment};
pub use listeners::{error_form, free_address};
pub use process::{access_log_format, access_log_target, workers};
pub use rules::timeout;
pub use schema::same_template;
pub use upstreams::{Endpoints, Origin, Scheme, origin};

use reader::{Map, Reader, Source};

/// All that an operator chose.
#[derive(Debug, Clone)]
pub struct Settings {
    /// At least one; no two have the same address.
    pub listeners: Vec<ListenerSettings>,
    pub admin: Option<AdminSettings>,
    pub schema: SchemaSettings,
    /// At least one; no two have the same name. A single one serves what no rule gives to an upstream.
    pub upstreams: Vec<UpstreamSettings>,
    /// Who vouches for callers.
    pub identity: IdentitySettings,
    /// No two have the same selector; upstreams that they name exist.
    pub rules: Vec<Rule>,
    /// What concerns the limits of rules.
    pub limits: LimitSettings,
    pub access_log: AccessLogSettings,
    /// As many as there are cores where it isn't given.
    pub workers: Option<NonZeroUsize>,
    /// How long each part of the end may take once the process is told to stop.
    pub drain: DrainSettings,
    pub reload: ReloadSettings,
    /// The Unix socket at which a process takes over from the one that serves.
    pub handover: Option<PathBuf>,
    /// Where all this was read. Without it, reloads read the schema again and leave all else as it is.
    pub file: Option<ConfigFile>,
}

/// A configuration file.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    pub path: PathBuf,
    /// The file and all that it names, but for the schema, as they were before they were read.
    pub files: Vec<Mark>,
}

/// A larger file is taken for something else than a configuration.
const MAX_BYTES: u64 = 4 << 20;

/// Reads a configuration file, and the certificates and keys that it names. Warnings come beside the settings.
///
/// # Errors
/// Every problem in the file, in the order of its lines; or that it can't be read.
pub fn load(path: &Path) -> Result<(Settings, Problems), Problems> {
    let (loaded, files) = noting(|| load_noted(path));
    let (mut settings, warnings) = loaded?;
    settings.file = Some(ConfigFile { path: path.to_owned(), files });
    Ok((settings, warnings))
}

fn load_noted(path: &Path) -> Result<(Settings, Problems), Problems> {
    let bytes = read_bounded(path, MAX_BYTES)
        .map_err(|why| Problem::error(format!("the configuration can't be read: {why}")).in_file(path))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Problem::error("the configuration isn't UTF-8 text").in_file(path))?;
    parse(&text, path)
}

/// The bytes of a file that has no more than `most` of them, or why there are none.
fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    note(path);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 > most => Err(format!("it is larger than {} MiB", most >> 20)),
        Ok(_) => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a configuration from its text. Relative paths in it start at the folder of `origin`, the file that it is from.
///
/// # Errors
/// Every problem in the text, in the order of its lines.
pub fn parse(text: &str, origin: &Path) -> Result<(Settings, Problems), Problems> {
    let reader = Reader::new(Source::new(text, origin));
    let settings = tree::read(&reader).and_then(|tree| reader.root(&tree, settings));
    let problems = reader.into_problems();
    match settings.flatten() {
        Some(settings) => problems.into_result(settings),
        None => Err(problems),
    }
}

/// `None` is only returned beside a reported error.
fn settings(root: &mut Map<'_>) -> Option<Settings> {
    let (identity, mtls) = identity::read(root);
    let has_sources = identity.has_sources();
    let listeners = listeners::read(root, has_sources);
    if let Some(mtls) = mtls {
        identity::expect_certificates(&mtls, &listeners);
    }
    let admin = process::admin(root, &listeners);
    let schema = schema::find(root);
    let upstreams = upstreams::read(root);
    // It names upstreams.
    let schema = schema.and_then(|value| schema::read(&value, &upstreams));
    let (mut known_limits, store, tiers) = limits::read(root);
    let rules = rules::read(root, &upstreams, has_sources, &mut known_limits);
    let limits = known_limits.finish(store.as_ref(), tiers.as_ref());
    let access_log = process::access_log(root);
    let workers = root.value("workers", process::workers);
    let drain = process::drain(root);
    let folder = root.path("");
    let handover = root.value("handover", |text| values::text(text).map(|text| folder.join(text)));
    let reload = reload::read(root);
    let upstreams = upstreams.into_iter().filter_map(|upstream| upstream.settings).collect();
    Some(Settings {
        listeners,
        admin,
        schema: schema?,
        upstreams,
        identity,
        rules,
        limits,
        access_log,
        workers,
        drain,
        reload,
        handover,
        file: None,
    })
}

#[cfg(test)]
mod tests;
