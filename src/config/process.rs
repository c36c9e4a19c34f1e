//! The parts of a configuration that hold for the whole process: admin address, access log, workers.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::listeners::free_address;
use super::reader::{Map, Value};
use super::values::{self, Wrong};
use crate::admin::AdminSettings;
use crate::problem::nearest;
use crate::server::{DrainSettings, ListenerSettings};
use crate::telemetry::{AccessLogFormat, AccessLogSettings, AccessLogTarget};

const MAX_WORKERS: usize = 1024;

/// The number of workers.
///
/// # Errors
/// Anything but a whole number from 1 to 1024.
pub fn workers(text: &str) -> Result<NonZeroUsize, Wrong> {
    values::positive(text, MAX_WORKERS)
}

/// The admin address, one that no listener has.
pub(super) fn admin(root: &mut Map<'_>, listeners: &[ListenerSettings]) -> Option<AdminSettings> {
    root.get("admin")?.map(|map| {
        let address = map.required("address", "write where to listen, as in `address: 127.0.0.1:9090`")?;
        address.parse(|text| free_address(text, listeners)).map(|address| AdminSettings { address })
    })?
}

/// `drain: 30s`, or a map with `delay` and `timeout`.
pub(super) fn drain(root: &mut Map<'_>) -> DrainSettings {
    let mut drain = DrainSettings::default();
    let Some(value) = root.get("drain") else { return drain };
    if value.is_map() {
        value.map(|map| {
            map.set("delay", &mut drain.delay, values::duration_or_zero);
            map.set("timeout", &mut drain.timeout, values::duration_or_zero);
        });
    } else if let Some(timeout) = value.parse(values::duration_or_zero) {
        drain.timeout = timeout;
    }
    drain
}

/// `access_log: off`, or a map with `to` and `format`.
pub(super) fn access_log(root: &mut Map<'_>) -> AccessLogSettings {
    let mut log = AccessLogSettings::default();
    let Some(value) = root.get("access_log") else { return log };
    let folder = root.path("");
    if value.is_map() {
        value.map(|map| read_map(map, &folder, &mut log));
    } else if let Some(target) = target(&value, &folder) {
        log.target = target;
    }
    log
}

fn read_map(map: &mut Map<'_>, folder: &Path, log: &mut AccessLogSettings) {
    if let Some(target) = map.get("to").and_then(|value| target(&value, folder)) {
        log.target = target;
    }
    let target = log.target.clone();
    map.set("format", &mut log.format, |text| access_log_format(text, &target));
}

fn target(value: &Value<'_>, folder: &Path) -> Option<AccessLogTarget> {
    value.parse(|text| access_log_target(text, folder))
}

/// Where the access log goes. A path, which has a `/` in it, starts at `folder`.
///
/// # Errors
/// A word that is neither `stdout`, `stderr`, `off` nor a path.
pub fn access_log_target(text: &str, folder: &Path) -> Result<AccessLogTarget, Wrong> {
    let table = [
        ("stdout", AccessLogTarget::Stdout),
        ("stderr", AccessLogTarget::Stderr),
        ("off", AccessLogTarget::Off),
    ];
    if let Some((_, target)) = table.iter().find(|(name, _)| *name == text) {
        return Ok(target.clone());
    }
    // A slip of a word isn't the name of a file.
    if text.contains('/') {
        return Ok(AccessLogTarget::File(folder.join(PathBuf::from(text))));
    }
    let wrong = Wrong::new(format!("`{text}` is none of `stdout`, `stderr`, `off`, and no path"));
    Err(match nearest(text, table.iter().map(|(name, _)| *name)) {
        Some(name) => wrong.help(format!("did you mean `{name}`?")),
        None => wrong.help(format!("a file in the same folder is `./{text}`")),
    })
}

/// What a line of the access log at `target` looks like.
///
/// # Errors
/// Any other text than `text` or `json`, and any where there is no log.
pub fn access_log_format(text: &str, target: &AccessLogTarget) -> Result<AccessLogFormat, Wrong> {
    let format = values::choice(text, &[("text", AccessLogFormat::Text), ("json", AccessLogFormat::Json)])?;
    match target {
        AccessLogTarget::Off => {
            Err(Wrong::new("the access log is off, so it has no format").help("leave the format out"))
        }
        AccessLogTarget::Stdout | AccessLogTarget::Stderr | AccessLogTarget::File(_) => Ok(format),
    }
}
