//! Single messages, packed and unpacked at once.

use bytes::Bytes;

use super::coding::Coding;
use super::decoder::{Allowance, BLOCK, Decoder};
use super::encoder::Encoder;
use super::error::{PackError, UnpackError};
use super::settings::Level;

/// Packs one message.
///
/// # Errors
/// There is no memory for it.
pub fn compress(coding: Coding, level: Level, data: &[u8]) -> Result<Vec<u8>, PackError> {
    let mut encoder = Encoder::for_size(coding, level, data.len())?;
    encoder.write(data)?;
    encoder.finish()
}

/// Unpacks one message of at most `max` bytes, packed or unpacked. No data at all is an empty message.
///
/// # Errors
/// Data that can't be unpacked, or is more than allowed.
pub fn decompress(coding: Coding, data: Bytes, max: usize) -> Result<Bytes, UnpackError> {
    // Most messages become some four times larger, and then fit at once.
    let mut room = data.len().saturating_mul(4).clamp(256, BLOCK);
    let mut decoder = Decoder::new(coding, Allowance::Whole(max))?;
    decoder.push(data);
    let mut out = Vec::new();
    loop {
        let before = out.len();
        decoder.pull_into(&mut out, room)?;
        if out.len() - before < room {
            decoder.finish()?;
            return Ok(out.into());
        }
        // Twice as much each time, so that it is copied no more than twice.
        room = out.len();
    }
}
