//! What limits remember in this process: one number for each key, in bounded memory.
//!
//! A number says how far a key is from being as new, and numbers below a floor (the present) say nothing any more. So what
//! can be forgotten, and what is forgotten with the least harm, is seen from the numbers alone: each new key looks at a few
//! old ones in turn and takes the place of one that says nothing. At the cap it takes the place of the one among them that
//! says least; that key gets its burst again a little early.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

/// Locks of a large table. A small one has fewer, so that its cap holds to the number.
const MOST_SHARDS: usize = 64;
/// Keys that a new one looks at to find a place.
const LOOKS: usize = 8;

/// A map from keys (hashes that nobody outside can foresee) to numbers, with at most so many entries.
pub(super) struct Table {
    /// A power of two.
    shards: Box<[Mutex<Shard>]>,
    /// Entries of one shard.
    most: usize,
}

#[derive(Default)]
struct Shard {
    /// Places in `entries`.
    index: HashTable<u32>,
    entries: Vec<Entry>,
    /// Where the next look begins.
    hand: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    key: u64,
    value: u64,
}

impl Table {
    /// A table of at most `most` keys; none have a place yet.
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, u32::MAX as usize);
        let shards = (most / (4 * LOOKS)).clamp(1, MOST_SHARDS);
        let shards = 1 << shards.ilog2();
        Self { shards: (0..shards).map(|_| Mutex::default()).collect(), most: (most / shards).max(1) }
    }

    /// How many keys it holds.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).entries.len()).sum()
    }

    /// The memory that it takes for keys, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let of = |shard: MutexGuard<'_, Shard>| {
            shard.entries.capacity() * size_of::<Entry>() + shard.index.allocation_size()
        };
        self.shards.iter().map(|shard| of(lock(shard))).sum()
    }

    /// Gives `change` the number of a key and keeps the one that it returns; an error changes nothing. `floor` is asked
    /// where a new key needs a place.
    pub(super) fn change<T, E>(
        &self,
        key: u64,
        floor: impl FnOnce() -> u64,
        change: impl FnOnce(Option<u64>) -> Result<(T, u64), E>,
    ) -> Result<T, E> {
        let mut shard = lock(self.shard(key));
        if let Some(entry) = shard.find(key) {
            let (result, value) = change(Some(entry.value))?;
            entry.value = value;
            return Ok(result);
        }
        let (result, value) = change(None)?;
        shard.insert(Entry { key, value }, floor(), self.most);
        Ok(result)
    }

    /// Changes the number of a key that is there.
    pub(super) fn amend(&self, key: u64, change: impl FnOnce(u64) -> u64) {
        if let Some(entry) = lock(self.shard(key)).find(key) {
            entry.value = change(entry.value);
        }
    }

    fn shard(&self, key: u64) -> &Mutex<Shard> {
        // The index of a shard uses the lowest and the highest bits.
        let at = (key >> 24) as usize & (self.shards.len() - 1);
        &self.shards[at]
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn find(&mut self, key: u64) -> Option<&mut Entry> {
        let entries = &self.entries;
        let place = *self.index.find(key, |place| key_at(entries, *place) == Some(key))?;
        self.entries.get_mut(place as usize)
    }

    fn insert(&mut self, entry: Entry, floor: u64, most: usize) {
        let free = self.free_place(floor, most);
        let place = free.unwrap_or(self.entries.len());
        // No shard has more places than fit.
        let Ok(number) = u32::try_from(place) else { return };
        match self.entries.get_mut(place) {
            Some(old) => {
                let gone = std::mem::replace(old, entry).key;
                if let Ok(found) = self.index.find_entry(gone, |other| *other == number) {
                    found.remove();
                }
            }
            None => self.entries.push(entry),
        }
        let entries = &self.entries;
        self.index.insert_unique(entry.key, number, |place| key_at(entries, *place).unwrap_or_default());
    }

    /// The place of a key that may go; none where there is room for one more.
    fn free_place(&mut self, floor: u64, most: usize) -> Option<usize> {
        let count = self.entries.len();
        let mut least: Option<(usize, u64)> = None;
        for _ in 0..LOOKS.min(count) {
            let at = self.hand % count;
            self.hand = at + 1;
            let value = self.entries.get(at)?.value;
            if value < floor {
                return Some(at);
            }
            if least.is_none_or(|(_, least)| value < least) {
                least = Some((at, value));
            }
        }
        if count < most { None } else { least.map(|(at, _)| at) }
    }
}

fn key_at(entries: &[Entry], place: u32) -> Option<u64> {
    entries.get(place as usize).map(|entry| entry.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(table: &Table, key: u64, value: u64, floor: u64) -> Option<u64> {
        let kept: Result<Option<u64>, ()> = table.change(key, || floor, |old| Ok((old, value)));
        kept.unwrap()
    }

    /// Keys are hashes: spread over all bits.
    fn key(number: u64) -> u64 {
        number
            .wrapping_add(1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(31)
            .wrapping_mul(0xD6E8_FEB8_6659_FD93)
    }

    #[test]
    fn it_remembers_like_a_map() {
        let table = Table::new(100_000);
        let mut map = std::collections::HashMap::new();
        for step in 0..50_000_u64 {
            let key = key(fastrand::u64(..5_000));
            assert_eq!(put(&table, key, step + 1, 0), map.insert(key, step + 1));
        }
        assert_eq!(table.len(), map.len());
    }

    #[test]
    fn an_error_changes_nothing() {
        let table = Table::new(10);
        let refused: Result<(), &str> = table.change(1, || 0, |_| Err("no"));
        assert_eq!((refused, table.len()), (Err("no"), 0));
        put(&table, 1, 5, 0);
        let refused: Result<(), &str> = table.change(1, || 0, |_| Err("no"));
        assert_eq!((refused, put(&table, 1, 6, 0)), (Err("no"), Some(5)));
    }

    #[test]
    fn millions_of_keys_take_no_more_places_than_there_are() {
        let most = 1 << 16;
        let table = Table::new(most);
        for number in 0..2_000_000 {
            put(&table, key(number), u64::MAX, 0);
        }
        assert!(table.len() <= most, "{}", table.len());
        assert!(table.len() > most / 2, "the cap is used: {}", table.len());
        let each = table.bytes() / table.len();
        assert!(each <= 50, "{each} bytes a key");
    }

    #[test]
    fn a_million_keys_that_all_count_are_remembered() {
        let table = Table::new(1 << 20);
        for number in 0..1_000_000 {
            put(&table, key(number), u64::MAX, 0);
        }
        assert!(table.len() > 990_000, "{}", table.len());
        assert!(table.bytes() < 50 << 20, "{}", table.bytes());
    }

    #[test]
    fn what_says_nothing_any_more_makes_place_before_the_table_grows() {
        let table = Table::new(1 << 20);
        for now in 0..1_000_000_u64 {
            // Each key matters for a thousand steps.
            put(&table, key(now), now + 1_000, now);
        }
        assert!(table.len() < 10_000, "{}", table.len());
    }

    #[test]
    fn at_the_cap_the_one_that_says_least_goes() {
        let table = Table::new(LOOKS);
        for number in 0..LOOKS as u64 {
            put(&table, key(number), 100 + number, 0);
        }
        assert_eq!(table.len(), LOOKS);
        put(&table, key(50), 500, 0);
        assert_eq!(table.len(), LOOKS);
        assert_eq!(put(&table, key(7), 107, 0), Some(107));
        assert_eq!(put(&table, key(0), 100, 0), None, "it went");
    }

    #[test]
    fn amending_needs_an_entry() {
        let table = Table::new(4);
        table.amend(1, |_| 9);
        assert_eq!(put(&table, 1, 5, 0), None);
        table.amend(1, |value| value - 2);
        assert_eq!(put(&table, 1, 5, 0), Some(3));
    }
}
