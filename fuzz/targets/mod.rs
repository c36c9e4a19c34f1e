//! What the fuzzers run, one function for each target: it takes any bytes, and panics if the gateway breaks a promise.
//! `cargo fuzz` calls them by the small programs in `fuzz_targets/`; `cargo test --test fuzz_corpora` replays all that
//! was kept of seeds, corpora and findings.

// The fuzzers use one target each.
#![allow(dead_code)]

mod addresses;
mod codec;
mod inputs;
mod requests;
mod routes;
mod same;
mod schema;
mod selection;
mod streams;
mod tokens;

/// One target: any bytes are a fair input.
pub type Target = fn(&[u8]);

/// All targets by name, which is that of their program and of their folder of seeds.
pub const TARGETS: &[(&str, Target)] = &[
    ("addresses", addresses::addresses),
    ("config", inputs::config),
    ("deframer", streams::deframer),
    ("descriptors", inputs::descriptors),
    ("elements", streams::elements),
    ("json_reader", codec::json_reader),
    ("piece_writer", codec::piece_writer),
    ("query", requests::query),
    ("round_trip", codec::round_trip),
    ("selection", selection::selection),
    ("service_config", inputs::service_config),
    ("template", routes::template),
    ("token", tokens::token),
    ("wire_writer", codec::wire_writer),
];

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a known target");
    target(data);
}

/// Takes the first byte, which chooses among things; the rest is what is read.
fn choice(data: &[u8]) -> (usize, &[u8]) {
    match data.split_first() {
        Some((&first, rest)) => (usize::from(first), rest),
        None => (0, data),
    }
}

/// Cuts bytes into pieces whose lengths come out of one number.
fn pieces(mut data: &[u8], seed: usize) -> Vec<&[u8]> {
    let mut state = seed as u64;
    let mut pieces = Vec::new();
    while !data.is_empty() {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let len = 1 + (state >> 60) as usize;
        let (piece, rest) = data.split_at(len.min(data.len()));
        pieces.push(piece);
        data = rest;
    }
    pieces
}
