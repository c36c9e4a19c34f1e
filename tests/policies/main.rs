//! What is decided about a call is the same in every protocol, and no spelling of a path gets past it.
//!
//! A policy is one entry in `matrix.rs`: a configuration, and callers with what becomes of each.

#[path = "../support/mod.rs"]
mod support;

mod ask;
mod certificates;
mod configurations;
mod fields;
mod keys;
mod matrix;
mod site;
mod spellings;
mod tokens;
