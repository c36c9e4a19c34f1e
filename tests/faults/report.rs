//! What clients saw of each scenario, as a line at once and as a table at the end.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use crate::load::Load;
use crate::site::{Held, Site};

/// All lines of a run.
#[derive(Default)]
pub struct Report(Vec<String>);

const HEAD: &str = "| scenario | calls | failed | retried, recovered | longest | whole again | before (memory, tasks, files) | after |\n\
                    |---|---|---|---|---|---|---|---|";

impl Report {
    /// Checks that the gateway is back at what it held before, and notes all figures. `whole` says when it was whole again,
    /// and what that means.
    pub fn add(&mut self, scenario: &str, site: &Site, load: &Load, whole: &str, before: &Held) {
        let after = site.back_at(before);
        let kinds: Vec<_> = load.failures().iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
        let failed = if kinds.is_empty() { "0".to_owned() } else { kinds.join(", ") };
        let (tried, recovered) = site.retries();
        self.line(format!(
            "| {scenario} | {} | {failed} | {tried}, {recovered} | {} | {whole} | {before} | {after} |",
            load.calls(),
            millis(load.longest()),
        ));
    }

    pub fn line(&mut self, line: String) {
        println!("{line}");
        self.0.push(line);
    }

    pub fn print(&self) {
        println!("\n{HEAD}\n{}", self.0.join("\n"));
    }
}

pub fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
