//! Reproducible random numbers: SplitMix64 (Steele, Lea, Flood 2014), one generator per part of a link,
//! so that what one part draws never shifts another's.

/// A small seeded generator; good enough to shape traffic, useless for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator whose whole output follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// An independent generator for the part called `name`.
    #[must_use]
    pub fn fork(&self, name: &str) -> Self {
        let mixed = name.bytes().fold(self.0 ^ 0xA076_1D64_78BD_642F, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(17)
        });
        let mut random = Self(mixed);
        random.bits();
        random
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Uniform in `0..bound`; `bound` must not be zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_differ_by_name_and_repeat_by_seed() {
        let root = Random::new(7);
        let draw = |name: &str| root.fork(name).bits();
        assert_eq!(draw("loss"), draw("loss"));
        assert_ne!(draw("loss"), draw("delay"));
        assert_ne!(Random::new(8).fork("loss").bits(), draw("loss"));
    }

    #[test]
    fn unit_is_uniform() {
        let mut random = Random::new(1);
        let mean = (0..100_000).map(|_| random.unit()).sum::<f64>() / 100_000.0;
        assert!((mean - 0.5).abs() < 0.01, "mean {mean}");
    }
}
