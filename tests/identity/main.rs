//! Who may call: what is decided holds for every client protocol alike, and before anything of a body is read.

#[path = "../support/mod.rs"]
mod support;

mod ask;
mod attacks;
mod documented;
mod issuer;
mod mint;
mod onward;
mod place;
mod rotation;
mod settings;
mod streams;
mod unnamed;
