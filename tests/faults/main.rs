//! Backends that die, hang, fail and move, under steady load: real processes on both sides of the gateway. Clients lose
//! nothing that could be saved, nothing hangs past its deadline, and the gateway is afterwards what it was before.
//!
//! `cargo test --test faults` runs all scenarios one after the other and prints a table; words choose some of them.
#![allow(clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod backend;
mod beside;
mod ends;
mod load;
mod moves;
mod process;
mod report;
mod sick;
mod site;
mod streams;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use report::{Report, millis};

/// A name, and what it shows.
type Scenario = (&'static str, fn(&mut Report));

const SCENARIOS: [Scenario; 10] = [
    ("killed", ends::killed),
    ("goaway", ends::goaway),
    ("black_hole", sick::black_hole),
    ("black_hole_without_retries", sick::black_hole_without_retries),
    ("slow", sick::slow),
    ("half_fails", sick::half_fails),
    ("resets", streams::resets),
    ("names", moves::names),
    ("certificates", moves::certificates),
    ("beside", beside::beside),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == process::WORD) {
        backend::run(&words[1..]);
        return ExitCode::SUCCESS;
    }
    if words.iter().any(|word| word == "--list") {
        SCENARIOS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if !Path::new("/proc/self/status").exists() {
        println!("skipped: there is no /proc");
        return if std::env::var_os("CI").is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let chosen: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let (mut report, mut failed) = (Report::default(), Vec::new());
    let began = Instant::now();
    for (name, scenario) in SCENARIOS {
        if !chosen.is_empty() && !chosen.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        if catch_unwind(AssertUnwindSafe(|| scenario(&mut report))).is_err() {
            println!("{name}: FAILED");
            failed.push(name);
        }
    }
    report.print();
    println!("\n{} in all", millis(began.elapsed()));
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {}", failed.join(", "));
    ExitCode::FAILURE
}
