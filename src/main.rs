//! The program `transom`.

use std::process::ExitCode;

use clap::Parser;

use transom::cli::{Cli, Command, check, flags, report, routes, serve};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(flags) => report::or_exit(flags::settings(&flags), serve::run),
        Command::Check(flags) => check::run(&flags),
        Command::Routes(flags) => routes::run(&flags),
    }
}
