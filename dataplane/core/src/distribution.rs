//! How often values fell between fixed bounds: the histograms of the metrics page, as plain counters.
//!
//! In: integers of one unit. Out: counts per bucket and a sum. Owned by one lane; recording allocates nothing.

/// Bounds that a [`Distribution`] may have.
pub const MAX_BOUNDS: usize = 12;

/// Losses, parts per million.
pub const LOSS_PPM: [u32; 9] = [0, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000];

/// Interarrival jitter, microseconds.
pub const JITTER_US: [u32; 9] =
    [1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 50_000, 100_000, 200_000];

/// Round trips, microseconds.
pub const ROUND_TRIP_US: [u32; 12] = [
    1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 150_000, 200_000, 300_000, 500_000,
    1_000_000,
];

/// Rates, bytes per second.
pub const RATE: [u32; 10] =
    [2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 1_000_000];

/// Counts since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    bounds: &'static [u32],
    counts: [u64; MAX_BOUNDS + 1],
    sum: u64,
}

impl Distribution {
    /// Nothing counted. `bounds` rise; those beyond [`MAX_BOUNDS`] are ignored.
    pub fn new(bounds: &'static [u32]) -> Self {
        let bounds = &bounds[..bounds.len().min(MAX_BOUNDS)];
        Self { bounds, counts: [0; MAX_BOUNDS + 1], sum: 0 }
    }

    /// Counts one value.
    pub fn record(&mut self, value: u32) {
        self.counts[self.bounds.partition_point(|&bound| bound < value)] += 1;
        self.sum += u64::from(value);
    }

    /// Upper bounds.
    pub fn bounds(&self) -> &'static [u32] {
        self.bounds
    }

    /// How many values lay above the bound before and at or below each bound; the last entry counts what
    /// lay above all of them.
    pub fn counts(&self) -> &[u64] {
        &self.counts[..=self.bounds.len()]
    }

    /// All values added up.
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_bucket_whose_bound_it_meets() {
        let mut loss = Distribution::new(&LOSS_PPM);
        for value in [0, 1, 1_000, 1_001, 1_000_000] {
            loss.record(value);
        }
        assert_eq!(loss.counts(), [1, 2, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(loss.sum(), 1_002_002);
    }

    #[test]
    fn bounds_rise_and_fit() {
        for bounds in [&LOSS_PPM[..], &JITTER_US, &ROUND_TRIP_US, &RATE] {
            assert!(bounds.len() <= MAX_BOUNDS);
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]));
            assert_eq!(Distribution::new(bounds).counts().len(), bounds.len() + 1);
        }
    }
}
