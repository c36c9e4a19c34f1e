//! What an operator says of logs.

use std::path::PathBuf;

/// Where the access log goes and what its lines look like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessLogSettings {
    pub target: AccessLogTarget,
    pub format: AccessLogFormat,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AccessLogTarget {
    #[default]
    Stdout,
    Stderr,
    File(PathBuf),
    Off,
}

/// One line a call in either form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessLogFormat {
    /// `key=value` pairs (logfmt).
    #[default]
    Text,
    /// One JSON object.
    Json,
}
