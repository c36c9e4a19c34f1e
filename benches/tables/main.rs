//! What the codec costs, as tables: `hostile` (does any input cost more than a constant for each byte?), `kinds` (is any
//! type of field a cliff?), `instructions` (the same figures on every machine; needs valgrind). Without a word, the first
//! two. `docs/codec.md` keeps what was measured.
//!
//! ```text
//! cargo bench --bench tables -- hostile
//! ```

// Printing is what it is for.
#![allow(clippy::print_stdout)]

mod hostile;
mod instructions;
mod kinds;
mod measure;
#[path = "../../fuzz/targets/schema.rs"]
#[allow(dead_code)] // the fuzzers need more of it
mod schema;
mod wire;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            hostile::table();
            kinds::table();
        }
        ["hostile"] => hostile::table(),
        ["kinds"] => kinds::table(),
        ["instructions"] => instructions::table(),
        ["instructions", case] => instructions::run(case),
        _ => panic!("tables are: hostile, kinds, instructions"),
    }
}
