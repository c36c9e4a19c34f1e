//! What the admin address tells of reloads: what is in force, and what became of the last attempt to replace it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::problem::{Problem, Problems, Severity};

/// How many problems are told.
const MOST_TOLD: usize = 100;

/// Kept by who reloads, read by who asks.
#[derive(Debug, Default)]
pub struct ReloadReport {
    told: Mutex<Told>,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Told {
    /// The snapshot in force; 1 is what the process started with.
    generation: u64,
    /// Since when it is (RFC 3339).
    since: String,
    /// None until something is read again.
    last: Option<Attempt>,
}

/// An attempt to put something else in force.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// Why it was made: `told`, `files` or `reflection`.
    pub cause: &'static str,
    /// `done` or `refused`.
    pub result: &'static str,
    /// When it was over (RFC 3339).
    at: String,
    took_ms: u64,
    /// All errors of one that was refused, and all warnings.
    problems: Vec<Item>,
    /// Keys whose new values take a restart.
    restart_needed: Vec<&'static str>,
}

#[derive(Debug, Clone, Serialize)]
struct Item {
    severity: &'static str,
    what: String,
    /// File and line, where it has a place. The text there isn't told: it may hold secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    places: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl From<&Problem> for Item {
    fn from(problem: &Problem) -> Self {
        let excerpts = problem.excerpts.iter().map(|excerpt| format!("{}:{}", excerpt.origin, excerpt.line));
        let files = problem.files.iter().map(|file| file.display().to_string());
        Self {
            severity: match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            what: problem.what.clone(),
            places: excerpts.chain(files).collect(),
            help: problem.help.clone(),
        }
    }
}

impl Attempt {
    /// One that has just ended.
    #[must_use]
    pub fn new(
        cause: &'static str,
        result: &'static str,
        took: Duration,
        problems: &Problems,
        restart_needed: Vec<&'static str>,
    ) -> Self {
        Self {
            cause,
            result,
            at: now(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            problems: problems.iter().take(MOST_TOLD).map(Item::from).collect(),
            restart_needed,
        }
    }
}

impl ReloadReport {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This generation is in force from now on.
    pub fn in_force(&self, generation: u64) {
        let mut told = self.told();
        told.generation = generation;
        told.since = now();
    }

    pub fn attempted(&self, attempt: Attempt) {
        self.told().last = Some(attempt);
    }

    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&*self.told())
    }
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
