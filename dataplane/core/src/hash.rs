//! A cheap keyed hasher for small fixed-size keys that are looked up once per packet.
//!
//! In: a seed that peers do not know. Out: hashers for `HashMap`. Each word is folded into the state by a
//! 64 by 64 to 128 bit multiplication, so without the seed nobody can choose keys that collide. It is for
//! tables inside one process only: the values are no promise to anyone.

use std::hash::{BuildHasher, Hasher};

/// Derives independent secrets from one seed (the splitmix64 sequence).
pub fn split(seed: u64, stream: u64) -> u64 {
    let mut z = seed.wrapping_add((stream + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Builds hashers with the same key.
#[derive(Clone, Copy)]
pub struct Keyed {
    start: u64,
    factor: u64,
}

impl Keyed {
    /// Hashers keyed by `seed`.
    pub fn new(seed: u64) -> Self {
        Self { start: split(seed, 0), factor: split(seed, 1) | 1 }
    }

    /// A seed for another table, which tells nothing about this one.
    pub fn secret(&self) -> u64 {
        split(self.start ^ self.factor.rotate_left(32), 0)
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyed(redacted)")
    }
}

impl BuildHasher for Keyed {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        Fold { state: self.start, factor: self.factor }
    }
}

/// The state of one hash.
#[derive(Clone, Copy)]
pub struct Fold {
    state: u64,
    factor: u64,
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.state ^ value) * u128::from(self.factor);
        self.state = (product as u64) ^ ((product >> 64) as u64) ^ self.factor.rotate_left(23);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        let product = u128::from(self.state) * u128::from(self.factor);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn neighbouring_keys_spread_over_the_bits_a_table_reads() {
        let keyed = Keyed::new(7);
        let hashes: Vec<u64> = (0..4096u32).map(|key| keyed.hash_one(key)).collect();
        let low: HashSet<u64> = hashes.iter().map(|hash| hash & 0xFFF).collect();
        let high: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        // 4096 balls in 4096 bins fill 63 % of them if thrown at random.
        assert!(low.len() > 2_300, "{}", low.len());
        assert_eq!(high.len(), 128);
    }

    #[test]
    fn another_seed_gives_another_hash() {
        let distinct: HashSet<u64> =
            (0..64).map(|seed| Keyed::new(seed).hash_one([1u8, 2, 3])).collect();
        assert_eq!(distinct.len(), 64);
    }
}
