//! A set of small numbers: which fields and oneofs of the open message were met. Up to 128 need no heap.

use smallvec::SmallVec;

/// A bit set that grows on first use of a higher bit.
#[derive(Clone, Default)]
pub(crate) struct Bits {
    words: SmallVec<[u64; 2]>,
}

impl Bits {
    /// A set with room for `len` bits.
    pub(crate) fn with_len(len: usize) -> Self {
        Self { words: SmallVec::from_elem(0, len.div_ceil(64)) }
    }

    /// Adds `bit` and tells whether it is new.
    #[inline]
    pub(crate) fn insert(&mut self, bit: u32) -> bool {
        let (word, mask) = ((bit / 64) as usize, 1u64 << (bit % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        match self.words.get_mut(word) {
            Some(word) => {
                let new = *word & mask == 0;
                *word |= mask;
                new
            }
            None => false,
        }
    }

    #[inline]
    pub(crate) fn contains(&self, bit: u32) -> bool {
        self.words.get((bit / 64) as usize).is_some_and(|word| word & (1u64 << (bit % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserts_once_and_grows() {
        let mut bits = Bits::with_len(10);
        for bit in [0, 9, 63, 64, 127, 128, 1000] {
            assert!(!bits.contains(bit), "{bit}");
            assert!(bits.insert(bit), "{bit}");
            assert!(!bits.insert(bit), "{bit}");
            assert!(bits.contains(bit), "{bit}");
        }
        assert!(!bits.contains(1) && !bits.contains(5000));
    }
}
