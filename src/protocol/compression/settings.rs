//! What an operator chooses about compression.

use super::coding::Coding;

/// Whether compressed requests are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unpacking {
    #[default]
    On,
    /// They are refused with 415.
    Off,
}

/// How answers are compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing {
    /// The one that stands first is taken where a client likes several as much. Never empty.
    pub algorithms: Vec<Coding>,
    /// The smallest body that is worth it, in bytes.
    pub min_size: usize,
    pub level: Level,
}

impl Default for Packing {
    /// Zstandard packs JSON as small as the others in a fraction of their time. Brotli is no better than gzip where it is not
    /// given several times as long, so it is for clients that prefer it.
    fn default() -> Self {
        Self {
            algorithms: vec![Coding::Zstd, Coding::Gzip, Coding::Br],
            min_size: 1 << 10,
            level: Level::default(),
        }
    }
}

/// How hard an encoder tries. Each coding has numbers of its own for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Level {
    Fast,
    #[default]
    Balanced,
    Small,
}

impl Level {
    /// 1 to 9.
    pub(super) const fn of_gzip(self) -> u32 {
        match self {
            Self::Fast => 1,
            Self::Balanced => 4,
            Self::Small => 9,
        }
    }

    /// 0 to 11. From 4 on each step takes twice the time and memory for some percent, and from 10 on it is for files.
    pub(super) const fn of_br(self) -> i32 {
        match self {
            Self::Fast => 1,
            Self::Balanced => 3,
            Self::Small => 5,
        }
    }

    /// 1 to 22; above 6 it takes 10 MiB for each stream.
    pub(super) const fn of_zstd(self) -> i32 {
        match self {
            Self::Fast => 1,
            Self::Balanced => 3,
            Self::Small => 6,
        }
    }
}
