//! Tokens that were found good, by their SHA-256, so that a client's many calls cost one signature. It never holds more
//! than it may: what was not used for a while makes room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::digest;
use rustc_hash::FxHashMap;

use crate::policy::identity::Identity;

/// The SHA-256 of a token. The token itself is kept nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(token: &str) -> Self {
        let mut own = [0; 32];
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        own.iter_mut().zip(digest.as_ref()).for_each(|(own, byte)| *own = *byte);
        Self(own)
    }
}

/// What was found out about a token, and by which keys.
#[derive(Debug, Clone)]
pub(in crate::policy::identity) struct Verified {
    pub identity: Arc<Identity>,
    /// The issuer's place among all.
    pub issuer: usize,
    /// Of the issuer's keys.
    pub generation: u64,
}

/// Workers seldom meet at one lock.
const SHARDS: usize = 16;

#[derive(Debug)]
pub(super) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    /// How many tokens each half of a shard holds.
    half: usize,
}

/// Two halves: when the young one is full, it becomes the old one, and the old one goes. What is used meanwhile moves to
/// the young one. Only tokens that an issuer signed are keys, so a fast hash is safe.
#[derive(Debug, Default)]
struct Shard {
    young: FxHashMap<Digest, Verified>,
    old: FxHashMap<Digest, Verified>,
}

impl Cache {
    /// For about `size` tokens; none at all for 0.
    pub(super) fn new(size: usize) -> Self {
        Self { shards: Default::default(), half: size.div_ceil(SHARDS * 2) }
    }

    fn shard(&self, digest: &Digest) -> Option<MutexGuard<'_, Shard>> {
        let [first, ..] = digest.0;
        let shard = self.shards.get(usize::from(first) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of a token, if `is_good` says that it still holds. What doesn't is forgotten.
    pub(super) fn get(&self, digest: &Digest, is_good: impl FnOnce(&Verified) -> bool) -> Option<Verified> {
        let mut shard = self.shard(digest)?;
        let found = match shard.young.get(digest) {
            Some(found) => found.clone(),
            None => {
                let found = shard.old.remove(digest)?;
                shard.put(self.half, *digest, found.clone());
                found
            }
        };
        if is_good(&found) {
            return Some(found);
        }
        shard.young.remove(digest);
        None
    }

    pub(super) fn put(&self, digest: Digest, verified: Verified) {
        if self.half == 0 {
            return;
        }
        if let Some(mut shard) = self.shard(&digest) {
            shard.put(self.half, digest, verified);
        }
    }
}

impl Shard {
    fn put(&mut self, half: usize, digest: Digest, verified: Verified) {
        if self.young.len() >= half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, verified);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::identity::Source;

    fn verified(subject: &str) -> Verified {
        let identity = Arc::new(Identity::new(Source::ApiKey, subject));
        Verified { identity, issuer: 0, generation: 1 }
    }

    fn size(cache: &Cache) -> usize {
        let sizes = cache.shards.iter().map(|shard| shard.lock().unwrap());
        sizes.map(|shard| shard.young.len() + shard.old.len()).sum()
    }

    #[test]
    fn it_never_holds_more_than_it_may_and_what_is_used_stays() {
        let cache = Cache::new(320);
        let used = Digest::of("used");
        cache.put(used, verified("used"));
        for number in 0..10_000 {
            cache.put(Digest::of(&number.to_string()), verified("other"));
            assert!(size(&cache) <= 320);
            assert_eq!(cache.get(&used, |_| true).unwrap().identity.subject, "used", "after {number}");
        }
        assert!(size(&cache) > 160);
    }

    #[test]
    fn what_does_not_hold_any_more_is_forgotten() {
        let cache = Cache::new(32);
        cache.put(Digest::of("a"), verified("a"));
        assert!(cache.get(&Digest::of("a"), |_| false).is_none());
        assert!(cache.get(&Digest::of("a"), |_| true).is_none());
        let none = Cache::new(0);
        none.put(Digest::of("a"), verified("a"));
        assert!(none.get(&Digest::of("a"), |_| true).is_none());
    }
}
