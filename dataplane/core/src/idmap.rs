//! A map keyed by identities. The control plane chooses every key, so a cheap hash needs no secret seed;
//! never use it for keys that come from the network.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from an identity of [`crate::ids`].
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Fibonacci hashing of the integers inside an identity.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        // The map takes its bucket from the low and its tag from the high bits: fold one into the other.
        let mixed = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LegId;

    #[test]
    fn consecutive_ids_spread_over_the_buckets() {
        let mut low = std::collections::HashSet::new();
        for id in 0..1_000u32 {
            let mut hasher = IdHasher::default();
            hasher.write_u32(id);
            low.insert(hasher.finish() & 1_023);
        }
        assert!(low.len() > 600, "{} distinct buckets", low.len());
    }

    #[test]
    fn what_was_put_in_is_found() {
        let mut map = IdMap::default();
        for id in 0..10_000 {
            map.insert(LegId(id), id);
        }
        assert!((0..10_000).all(|id| map.get(&LegId(id)) == Some(&id)));
    }
}
