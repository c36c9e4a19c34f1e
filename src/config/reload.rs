//! The part `reload` of a configuration: whether files are watched, and how often they are looked at.

use std::time::Duration;

use super::reader::Map;
use super::values::{self, Wrong};
use crate::server::ReloadSettings;

/// A file that is looked at more often than this may never keep still.
const SHORTEST: Duration = Duration::from_millis(100);

pub(super) fn read(root: &mut Map<'_>) -> ReloadSettings {
    let mut settings = ReloadSettings::default();
    root.map("reload", |map| {
        map.set("watch", &mut settings.watch, values::boolean);
        let every = map.get("interval");
        if let Some(every) = every.as_ref().filter(|_| !settings.watch) {
            every.wrong("nothing is looked at with `watch: false`", "leave it out");
        }
        if let Some(interval) = every.and_then(|value| value.parse(interval)) {
            settings.interval = interval;
        }
    });
    settings
}

fn interval(text: &str) -> Result<Duration, Wrong> {
    let interval = values::duration(text)?;
    if interval < SHORTEST {
        return Err(Wrong::new(format!("`{text}` is too short")).help("write `100ms` or more"));
    }
    Ok(interval)
}
