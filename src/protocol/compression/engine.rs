//! The three unpackers behind one small interface.

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, InBuffer, Operation, OutBuffer};

use super::coding::Coding;
use super::error::UnpackError;

/// 32 KiB, all that deflate has.
const GZIP_WINDOW_LOG: u8 = 15;
/// 8 MiB, which every decoder on the web takes and no encoder may pass (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

/// Unpacks one member or frame after the other.
pub(super) enum Engine {
    Gzip(Decompress),
    Br(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(zstd::stream::raw::Decoder<'static>),
}

/// What one step did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Bytes of the input that it used up.
    pub taken: usize,
    /// Bytes that it wrote.
    pub given: usize,
    /// A member or frame ended, and all of it has come out.
    pub ended: bool,
}

impl Engine {
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(coding: Coding) -> std::io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(Decompress::new_gzip(GZIP_WINDOW_LOG)),
            Coding::Br => {
                let alloc = StandardAlloc::default();
                // Strict: no windows beyond those of RFC 7932, up to 16 MiB. It grows into them only as data comes out.
                Self::Br(Box::new(BrotliState::new_strict(alloc, alloc, alloc)))
            }
            Coding::Zstd => {
                let mut state = zstd::stream::raw::Decoder::new()?;
                state.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
                Self::Zstd(state)
            }
        })
    }

    /// Makes it ready for what stands behind the end of a member or frame.
    ///
    /// # Errors
    /// Brotli has an end that nothing stands behind.
    pub(super) fn further(&mut self) -> Result<(), UnpackError> {
        match self {
            Self::Gzip(state) => {
                state.reset(true);
                Ok(())
            }
            Self::Br(_) => Err(UnpackError::Trailing(Coding::Br)),
            Self::Zstd(_) => Ok(()),
        }
    }

    /// Unpacks from `input` into `out`, as far as the one or the other lasts.
    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, UnpackError> {
        match self {
            Self::Gzip(state) => {
                let before = (state.total_in(), state.total_out());
                let status = state
                    .decompress(input, out, FlushDecompress::None)
                    .map_err(|_| UnpackError::Corrupt(Coding::Gzip))?;
                let since = |now: u64, then: u64| usize::try_from(now - then).unwrap_or(usize::MAX);
                Ok(Step {
                    taken: since(state.total_in(), before.0),
                    given: since(state.total_out(), before.1),
                    ended: status == Status::StreamEnd,
                })
            }
            Self::Br(state) => {
                let (mut input_left, mut taken) = (input.len(), 0);
                let (mut room_left, mut given, mut total) = (out.len(), 0, 0);
                let result = BrotliDecompressStream(
                    &mut input_left,
                    &mut taken,
                    input,
                    &mut room_left,
                    &mut given,
                    out,
                    &mut total,
                    state,
                );
                let ended = match result {
                    BrotliResult::ResultSuccess => true,
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => false,
                    BrotliResult::ResultFailure => return Err(UnpackError::Corrupt(Coding::Br)),
                };
                Ok(Step { taken, given, ended })
            }
            Self::Zstd(state) => {
                let mut source = InBuffer::around(input);
                let mut target = OutBuffer::around(out);
                let hint =
                    state.run(&mut source, &mut target).map_err(|_| UnpackError::Corrupt(Coding::Zstd))?;
                Ok(Step { taken: source.pos(), given: target.pos(), ended: hint == 0 })
            }
        }
    }
}
