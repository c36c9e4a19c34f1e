//! Instructions instead of time, counted by valgrind: the figures are the same on every machine that runs the same code,
//! however busy it is. Each case runs in a process of its own.

use std::process::Command;

use transom::codec::{JsonStyle, Plan, ReadOptions, Splice, read_message, write_message};

use super::kinds::{self, KINDS};
use super::schema::plan;

struct Case {
    plan: Plan,
    json: String,
    wire: Vec<u8>,
}

impl Case {
    fn of(kind: &str) -> Self {
        let kind = KINDS.iter().find(|known| known.0 == kind).expect("a kind of the table");
        let (plan, json) = (plan(kinds::message(kind.1)), kinds::json(kind));
        let mut wire = Vec::new();
        read_message(&plan, json.as_bytes(), &Splice::new(), &ReadOptions::default(), &mut wire)
            .expect("the cases are valid");
        Self { plan, json, wire }
    }
}

/// What is counted: nothing else has this in its name.
#[inline(never)]
fn counted_read(case: &Case, out: &mut Vec<u8>) {
    read_message(&case.plan, case.json.as_bytes(), &Splice::new(), &ReadOptions::default(), out)
        .expect("the cases are valid");
}

#[inline(never)]
fn counted_write(case: &Case, out: &mut Vec<u8>) {
    write_message(&case.plan, &case.wire, JsonStyle::default(), out).expect("the cases are valid");
}

/// Runs one case in both directions.
pub(super) fn run(kind: &str) {
    let case = Case::of(kind);
    let mut out = Vec::with_capacity(case.json.len() * 2);
    counted_read(&case, &mut out);
    out.clear();
    counted_write(&case, &mut out);
}

/// The instructions of one function in one case.
fn count(kind: &str, function: &str) -> u64 {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg(format!("--toggle-collect=*{function}*"))
        .arg(program)
        .args(["instructions", kind])
        .output()
        .expect("valgrind is installed");
    let report = String::from_utf8_lossy(&output.stderr);
    let line = report.lines().find_map(|line| line.split_once("Collected : ")).expect("callgrind reports");
    line.1.trim().parse().expect("a number")
}

pub(super) fn table() {
    println!("| kind | in: instructions for each byte of JSON | out |");
    println!("|---|---:|---:|");
    for kind in KINDS {
        let len = Case::of(kind.0).json.len() as f64;
        let (read, write) = (count(kind.0, "counted_read"), count(kind.0, "counted_write"));
        println!("| {} | {:.2} | {:.2} |", kind.0, read as f64 / len, write as f64 / len);
    }
}
