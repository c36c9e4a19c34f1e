//! What may go wrong with compressed data.

use std::fmt;

use super::coding::Coding;
use crate::fault::{Fault, Kind};

/// Why data could not be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnpackError {
    /// It is, or unpacks to, more than this many bytes.
    TooLarge(usize),
    /// An endless stream unpacks to more than any honest one does.
    Bomb(Coding),
    /// It is not of this coding, damaged, or needs a larger window than the coding allows on the web.
    Corrupt(Coding),
    /// It ends too early.
    Truncated(Coding),
    /// There is something behind its end.
    Trailing(Coding),
    /// There is no memory for the decoder.
    Memory,
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(max) => write!(f, "unpacked it is over {max} bytes"),
            Self::Bomb(coding) => write!(f, "so much data does not fit into so little {}", coding.name()),
            Self::Corrupt(coding) => write!(f, "it can't be unpacked as {}", coding.name()),
            Self::Truncated(coding) => write!(f, "the {} data ends too early", coding.name()),
            Self::Trailing(coding) => write!(f, "there is something behind the {} data", coding.name()),
            Self::Memory => f.write_str("there is no memory to unpack it"),
        }
    }
}

impl std::error::Error for UnpackError {}

impl From<UnpackError> for Fault {
    /// The fault of a client that sent such data.
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::TooLarge(max) => Self::body_too_large(max),
            UnpackError::Bomb(_)
            | UnpackError::Corrupt(_)
            | UnpackError::Truncated(_)
            | UnpackError::Trailing(_) => {
                Self::invalid_argument("BAD_COMPRESSION", format!("the request's body is damaged: {error}"))
            }
            UnpackError::Memory => Self::new(Kind::Bug, "OUT_OF_MEMORY", "out of memory"),
        }
    }
}

/// Data could not be packed: there was no memory for it.
#[derive(Debug)]
pub struct PackError(pub(super) std::io::Error);

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data can't be compressed: {}", self.0)
    }
}

impl std::error::Error for PackError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
