//! What the tests with other people's clients share: the programs that `install` puts beside the target's other things,
//! and a gateway before two backends.

// Each test file uses its own part of it.
#![allow(dead_code, unused_imports, unreachable_pub)]

mod mirror;
mod place;
mod programs;

pub use mirror::Mirror;
pub use place::{Place, Sites};
pub use programs::{Program, bundle, program, run};
