//! Unpacking, a block at a time, and never more than was allowed.

use bytes::{Buf, Bytes};

use super::coding::Coding;
use super::engine::Engine;
use super::error::UnpackError;

/// The largest piece that comes out at once, in bytes.
pub(super) const BLOCK: usize = 32 << 10;

/// How much data may come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// No more than so many bytes altogether, packed or unpacked.
    Whole(usize),
    /// Any amount of a stream whose messages have limits of their own, but nothing out of proportion to what came in
    /// once these first bytes are used up.
    Stream(usize),
}

/// No data that anybody means to send for long unpacks to more for each byte.
const LARGEST_RATIO: u64 = 200;

/// Unpacks what is pushed into it.
///
/// Push a piece, pull blocks until there is none, and so on; after the last piece, [`Decoder::finish`] tells whether it was
/// all. Several gzip members or zstd frames one behind the other are one text (RFC 1952, section 2.2; RFC 8878,
/// section 3). No data at all is an empty text.
pub struct Decoder {
    engine: Engine,
    coding: Coding,
    allowance: Allowance,
    input: Bytes,
    taken: u64,
    given: u64,
    place: Place,
    /// The last step filled its block, so there may be more where it came from.
    full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Inside,
    /// Behind a whole member or frame.
    Behind,
}

impl Decoder {
    /// # Errors
    /// [`UnpackError::Memory`].
    pub fn new(coding: Coding, allowance: Allowance) -> Result<Self, UnpackError> {
        Ok(Self {
            engine: Engine::new(coding).map_err(|_| UnpackError::Memory)?,
            coding,
            allowance,
            input: Bytes::new(),
            taken: 0,
            given: 0,
            place: Place::Start,
            full: false,
        })
    }

    /// Adds a piece of packed data. What could be pulled before must have been.
    pub fn push(&mut self, data: Bytes) {
        debug_assert!(self.input.is_empty(), "there is data to be pulled");
        self.input = data;
    }

    /// The next block of unpacked data; none where more has to be pushed first.
    ///
    /// # Errors
    /// Data that can't be unpacked, or is more than allowed. The decoder is of no use then.
    pub fn pull(&mut self) -> Result<Option<Bytes>, UnpackError> {
        // JSON becomes some four times larger.
        let room = if self.full { BLOCK } else { self.input.len().saturating_mul(4).clamp(256, BLOCK) };
        let mut out = Vec::new();
        self.pull_into(&mut out, room)?;
        Ok((!out.is_empty()).then(|| out.into()))
    }

    /// Puts up to `room` bytes behind `out`. Where it was less, more has to be pushed first.
    ///
    /// # Errors
    /// As [`Decoder::pull`].
    pub(super) fn pull_into(&mut self, out: &mut Vec<u8>, room: usize) -> Result<(), UnpackError> {
        let mut end = out.len();
        // One byte over the limit is enough to see that it is.
        let room = room.min(usize::try_from(self.left()?).unwrap_or(usize::MAX).saturating_add(1));
        out.resize(end + room, 0);
        while end < out.len() && (self.full || !self.input.is_empty()) {
            if self.place == Place::Behind {
                self.engine.further()?;
            }
            let block = &mut out[end..];
            let step = self.engine.step(&self.input, block)?;
            self.full = step.given == block.len() && !step.ended;
            self.input.advance(step.taken);
            self.taken += step.taken as u64;
            self.given += step.given as u64;
            self.left()?;
            end += step.given;
            if step.ended {
                self.place = Place::Behind;
            } else if step.taken > 0 {
                self.place = Place::Inside;
            } else if step.given == 0 && !self.input.is_empty() {
                // It neither takes nor gives, so it never will.
                return Err(UnpackError::Corrupt(self.coding));
            }
        }
        out.truncate(end);
        Ok(())
    }

    /// After the last piece.
    ///
    /// # Errors
    /// [`UnpackError::Truncated`] where there should be more.
    pub fn finish(&self) -> Result<(), UnpackError> {
        match self.place {
            Place::Start | Place::Behind => Ok(()),
            Place::Inside => Err(UnpackError::Truncated(self.coding)),
        }
    }

    /// How many bytes may still come out.
    fn left(&self) -> Result<u64, UnpackError> {
        let (allowed, error) = match self.allowance {
            // What is packed can be endless, too: empty members, one behind the other.
            Allowance::Whole(max) if self.taken > max as u64 => return Err(UnpackError::TooLarge(max)),
            Allowance::Whole(max) => (max as u64, UnpackError::TooLarge(max)),
            Allowance::Stream(free) => {
                let earned = self.taken.saturating_mul(LARGEST_RATIO);
                (earned.saturating_add(free as u64), UnpackError::Bomb(self.coding))
            }
        };
        allowed.checked_sub(self.given).ok_or(error)
    }
}
