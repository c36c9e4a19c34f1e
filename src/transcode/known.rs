//! A table that is a short list first, and hashed (with random seeds, as requests fill it) when it grows.

use std::collections::HashMap;
use std::hash::Hash;

use smallvec::SmallVec;

const FEW: usize = 8;

/// Values by keys that come once each.
pub(super) struct Known<K, V> {
    few: SmallVec<[(K, V); FEW]>,
    many: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Known<K, V> {
    pub(super) fn new() -> Self {
        Self { few: SmallVec::new(), many: HashMap::new() }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.few.iter().find(|(known, _)| known == key).map(|(_, value)| value).or_else(|| self.many.get(key))
    }

    /// The value of a key, added where it is not there.
    pub(super) fn entry(&mut self, key: K) -> &mut V
    where
        K: Clone,
        V: Default,
    {
        if self.few.len() < FEW && self.few.iter().all(|(known, _)| *known != key) {
            self.few.push((key.clone(), V::default()));
        }
        match self.few.iter_mut().find(|(known, _)| *known == key) {
            Some((_, value)) => value,
            None => self.many.entry(key).or_default(),
        }
    }

    /// Adds a key that is not there.
    pub(super) fn add(&mut self, key: K, value: V) {
        if self.few.len() < FEW {
            self.few.push((key, value));
        } else {
            self.many.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many() {
        let mut known = Known::new();
        for key in 0..100 {
            assert_eq!(known.get(&key), None);
            known.add(key, key * 2);
            assert!((0..=key).all(|key| known.get(&key) == Some(&(key * 2))), "{key}");
        }
    }

    #[test]
    fn entries_are_changed_in_place() {
        let mut known = Known::new();
        for round in 1..=2 {
            for key in 0..100 {
                *known.entry(key) += 1;
                assert_eq!(known.get(&key), Some(&round), "{key}");
            }
        }
    }
}
