//! A set of small numbers: which fields and oneofs of the open message were met. Up to 64 need no heap.

/// A bit set that grows on first use of a higher bit.
#[derive(Clone, Default)]
pub(crate) struct Bits {
    first: u64,
    /// Those from 64 on.
    more: Vec<u64>,
}

impl Bits {
    /// An empty set.
    #[inline]
    pub(crate) const fn new() -> Self {
        Self { first: 0, more: Vec::new() }
    }

    /// Adds `bit` and tells whether it is new.
    #[inline]
    pub(crate) fn insert(&mut self, bit: u32) -> bool {
        if bit < 64 { add(&mut self.first, 1 << bit) } else { self.insert_more(bit - 64) }
    }

    fn insert_more(&mut self, bit: u32) -> bool {
        let (word, mask) = ((bit / 64) as usize, 1u64 << (bit % 64));
        if word >= self.more.len() {
            self.more.resize(word + 1, 0);
        }
        self.more.get_mut(word).is_some_and(|word| add(word, mask))
    }

    #[inline]
    pub(crate) fn contains(&self, bit: u32) -> bool {
        let (word, mask) = ((bit / 64) as usize, 1u64 << (bit % 64));
        let word = if word == 0 { Some(&self.first) } else { self.more.get(word - 1) };
        word.is_some_and(|word| word & mask != 0)
    }
}

/// Sets the bit `mask` and tells whether it is new.
#[inline]
fn add(word: &mut u64, mask: u64) -> bool {
    let new = *word & mask == 0;
    *word |= mask;
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserts_once_and_grows() {
        let mut bits = Bits::new();
        for bit in [0, 9, 63, 64, 127, 128, 1000] {
            assert!(!bits.contains(bit), "{bit}");
            assert!(bits.insert(bit), "{bit}");
            assert!(!bits.insert(bit), "{bit}");
            assert!(bits.contains(bit), "{bit}");
        }
        assert!(!bits.contains(1) && !bits.contains(5000));
    }
}
