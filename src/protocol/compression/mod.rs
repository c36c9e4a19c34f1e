//! Content codings and message encodings: gzip, Brotli and Zstandard, both ways.
//!
//! Beside the way of a request: the protocols unpack with it what a client sent, within limits, and pack what it is sent.
//! Streams go through a [`Decoder`] and an [`Encoder`], single messages through [`decompress`] and [`compress`].

mod answer;
mod coding;
mod decoder;
mod encoder;
mod engine;
mod error;
mod negotiate;
mod pack;
mod settings;
mod unpack;
mod whole;

pub use answer::packed;
pub use coding::{Coding, Named};
pub use decoder::{Allowance, Decoder};
pub use encoder::Encoder;
pub use error::{PackError, UnpackError};
pub use negotiate::{Wanted, first_listed, wanted};
pub use settings::{Level, Packing, Unpacking};
pub use unpack::Unpacked;
pub use whole::{compress, decompress};

#[cfg(test)]
mod tests;
