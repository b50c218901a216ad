//! The forwarding latency of a lane: from the kernel's receive stamp to the return of the send system call.
//!
//! A fixed ladder of buckets, plain counters, owned by one lane.

use std::time::Duration;

/// Upper bounds of the buckets, microseconds; one more bucket holds what is slower. Dense where the budget
/// lies (p50 30 us, p99 200 us), sparse above.
pub const LATENCY_BOUNDS_US: [u32; 30] = [
    5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 100, 120, 150, 200, 250, 300, 400, 500, 700,
    1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000,
];

/// Buckets of a [`Histogram`].
pub const BUCKETS: usize = LATENCY_BOUNDS_US.len() + 1;

/// Counts per bucket since the start, and all latencies added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], sum_ns: 0 }
    }
}

impl Histogram {
    /// Counts `times` packets that took `latency`.
    pub fn record(&mut self, latency: Duration, times: u64) {
        let micros = latency.as_nanos().div_ceil(1_000);
        let bucket = LATENCY_BOUNDS_US.partition_point(|&bound| u128::from(bound) < micros);
        self.counts[bucket] += times;
        // 584 years of latency fit.
        self.sum_ns = self.sum_ns.wrapping_add((latency.as_nanos() as u64).wrapping_mul(times));
    }

    /// Packets per bucket; the last entry counts what was slower than all bounds.
    pub fn counts(&self) -> &[u64; BUCKETS] {
        &self.counts
    }

    /// All latencies added up, nanoseconds.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// For each bound how many packets took at most that long; the last entry counts all.
    pub fn cumulative(&self) -> [u64; BUCKETS] {
        let mut total = 0;
        self.counts.map(|count| {
            total += count;
            total
        })
    }

    /// Smallest bound, microseconds, that at least `share` (0 to 1) of the packets met; `None` if nothing
    /// was recorded or the answer lies beyond the last bound.
    pub fn quantile(&self, share: f64) -> Option<u32> {
        let counts = self.cumulative();
        let total = counts[BUCKETS - 1];
        let needed = (total as f64 * share).ceil() as u64;
        let bucket = counts.iter().position(|&count| total > 0 && count >= needed)?;
        LATENCY_BOUNDS_US.get(bucket).copied()
    }

    /// What was recorded since `earlier`, a former state of this histogram.
    #[must_use]
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let mut counts = self.counts;
        counts.iter_mut().zip(earlier.counts).for_each(|(count, before)| *count -= before);
        Histogram { counts, sum_ns: self.sum_ns - earlier.sum_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_falls_into_the_bucket_whose_bound_it_meets() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_micros(5), 1);
        histogram.record(Duration::from_nanos(5_001), 2);
        histogram.record(Duration::from_secs(1), 1);
        let counts = histogram.cumulative();
        assert_eq!((counts[0], counts[1], counts[BUCKETS - 2], counts[BUCKETS - 1]), (1, 3, 3, 4));
        assert_eq!(histogram.counts()[1], 2);
        assert_eq!(histogram.sum_ns(), 5_000 + 2 * 5_001 + 1_000_000_000);
    }

    #[test]
    fn quantiles_name_the_bound_that_enough_packets_met() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.record(Duration::from_micros(18), 98);
        histogram.record(Duration::from_micros(180), 2);
        assert_eq!(histogram.quantile(0.5), Some(20));
        assert_eq!(histogram.quantile(0.99), Some(200));
        histogram.record(Duration::from_secs(1), 900);
        assert_eq!(histogram.quantile(0.99), None);
    }

    #[test]
    fn the_difference_of_two_states_is_what_came_between() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_micros(18), 98);
        let earlier = histogram.clone();
        histogram.record(Duration::from_micros(45), 7);
        let between = histogram.since(&earlier);
        assert_eq!(between.cumulative()[BUCKETS - 1], 7);
        assert_eq!(between.quantile(0.5), Some(50));
        assert_eq!(between.sum_ns(), 7 * 45_000);
    }

    #[test]
    fn bounds_rise() {
        assert!(LATENCY_BOUNDS_US.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
