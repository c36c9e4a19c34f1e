//! Who may call: what is decided holds for every client protocol alike, and before anything of a body is read.

#[path = "../support/mod.rs"]
mod support;

mod ask;
mod unnamed;
