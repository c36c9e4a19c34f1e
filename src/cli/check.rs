//! `transom check`: all that could be wrong before anything is served, in one go.

use std::process::ExitCode;

use super::flags::{self, CheckFlags};
use super::{against, report};
use crate::config::Settings;
use crate::problem::Problems;
use crate::server;

/// Reads everything that `serve` would, and prints what is wrong with it, or what there is; and what it breaks of an
/// older one, where there is one to compare with.
#[must_use]
pub fn run(flags: &CheckFlags) -> ExitCode {
    report::or_exit(flags::settings(&flags.gateway), |settings, warnings| compile(&settings, warnings, flags))
}

fn compile(settings: &Settings, mut problems: Problems, flags: &CheckFlags) -> ExitCode {
    let loaded = server::load_schema(&settings.schema, &settings.upstreams).and_then(|(schema, warnings)| {
        problems.extend(warnings);
        let (snapshot, warnings) = server::compile_schema(&schema, settings)?;
        problems.extend(warnings);
        Ok((schema, snapshot))
    });
    let (schema, snapshot) = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => {
            problems.extend(errors);
            return report::failed(&problems);
        }
    };
    report::print(&problems);
    if let Some(old) = &flags.against {
        return against::run(old, &schema, settings, flags.json);
    }
    let warned = if problems.is_empty() { String::new() } else { format!(" ({})", report::count(&problems)) };
    report::output(format_args!(
        "ok: {}, {}, {}{warned}\n",
        report::number(snapshot.methods(), "method"),
        report::number(snapshot.bindings(), "binding"),
        report::number(settings.upstreams.len(), "upstream"),
    ))
}
