//! `transom check`: all that could be wrong before anything is served, in one go.

use std::process::ExitCode;

use super::flags::{self, GatewayFlags};
use super::report;
use crate::config::Settings;
use crate::problem::Problems;
use crate::server;

/// Reads everything that `serve` would, and prints what is wrong with it, or what there is.
#[must_use]
pub fn run(flags: &GatewayFlags) -> ExitCode {
    report::or_exit(flags::settings(flags), compile)
}

fn compile(settings: Settings, mut problems: Problems) -> ExitCode {
    match server::compile(&settings) {
        Ok((snapshot, warnings)) => {
            problems.extend(warnings);
            report::print(&problems);
            let warned =
                if problems.is_empty() { String::new() } else { format!(" ({})", report::count(&problems)) };
            report::output(format_args!(
                "ok: {}, {}, {}{warned}\n",
                report::number(snapshot.methods(), "method"),
                report::number(snapshot.bindings(), "binding"),
                report::number(settings.upstreams.len(), "upstream"),
            ))
        }
        Err(errors) => {
            problems.extend(errors);
            report::failed(&problems)
        }
    }
}
