//! The example's backend keeps what its API promises, so that tests of the gateway can rest on it.

mod shop;
mod streams;
mod unary;
