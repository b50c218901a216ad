//! Bits per second of one stream by layer, over a sliding window: what a layer costs.
//!
//! In: payload packets. Out: cumulative rates. Plain sums over buckets, because whoever allocates bandwidth
//! needs honest peaks and not an average that lags.

use std::time::Duration;

use crate::time::Time;

/// Layers that are told apart; higher ones count as the highest.
const SPATIAL: usize = 4;
const TEMPORAL: usize = 4;

/// Complete buckets of a window.
const BUCKETS: u64 = 10;

/// Window of camera and audio streams.
const WINDOW: Duration = Duration::from_secs(1);

/// Window of screen shares, which send in rare bursts.
const SCREEN_WINDOW: Duration = Duration::from_secs(4);

/// Bytes of the recent past, by layer.
#[derive(Clone, Debug)]
pub struct LayerRates {
    bucket: Duration,
    /// One more than a window: the current one is incomplete.
    bytes: [[u32; SPATIAL * TEMPORAL]; BUCKETS as usize + 1],
    /// Index of the newest bucket since time zero.
    newest: u64,
    /// Index of the bucket of the first packet.
    first: Option<u64>,
}

impl LayerRates {
    /// No bytes yet.
    pub fn new(screen: bool) -> Self {
        let window = if screen { SCREEN_WINDOW } else { WINDOW };
        Self {
            bucket: window / BUCKETS as u32,
            bytes: [[0; SPATIAL * TEMPORAL]; BUCKETS as usize + 1],
            newest: 0,
            first: None,
        }
    }

    /// Counts a packet.
    pub fn add(&mut self, now: Time, (spatial, temporal): (u8, u8), bytes: usize) {
        let index = self.index(now).max(self.newest);
        let stale = (index - self.newest).min(BUCKETS + 1);
        for skipped in index + 1 - stale..=index {
            self.bytes[slot(skipped)] = [0; SPATIAL * TEMPORAL];
        }
        self.newest = index;
        self.first.get_or_insert(index);
        let layer = usize::from(spatial).min(SPATIAL - 1) * TEMPORAL
            + usize::from(temporal).min(TEMPORAL - 1);
        self.bytes[slot(index)][layer] += bytes as u32;
    }

    /// Bits per second of all layers up to and including the given ones.
    pub fn cumulative(&self, now: Time, (spatial, temporal): (u8, u8)) -> u32 {
        let Some(first) = self.first else { return 0 };
        let current = self.index(now);
        let from = current.saturating_sub(BUCKETS).max(first);
        let complete = from..current.min(self.newest + 1);
        let bytes: u64 = complete
            .filter(|index| index + BUCKETS >= self.newest)
            .map(|index| sum(&self.bytes[slot(index)], spatial, temporal))
            .sum();
        let nanos = self.bucket.as_nanos() as u64 * (current.saturating_sub(from)).max(1);
        (u128::from(bytes) * 8 * 1_000_000_000 / u128::from(nanos)) as u32
    }

    fn index(&self, now: Time) -> u64 {
        now.0 / self.bucket.as_nanos() as u64
    }
}

fn slot(index: u64) -> usize {
    (index % (BUCKETS + 1)) as usize
}

fn sum(layers: &[u32; SPATIAL * TEMPORAL], spatial: u8, temporal: u8) -> u64 {
    let rows = layers.chunks_exact(TEMPORAL).take(usize::from(spatial) + 1);
    rows.flat_map(|row| row.iter().take(usize::from(temporal) + 1)).map(|&b| u64::from(b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_add_up_over_lower_layers_and_forget_the_past() {
        let mut rates = LayerRates::new(false);
        for packet in 0..200u64 {
            let layer = (0, (packet % 2) as u8);
            rates.add(Time::from_millis(packet * 10), layer, 1_000);
        }
        let now = Time::from_millis(2_000);
        assert_eq!(rates.cumulative(now, (0, 0)), 400_000);
        assert_eq!(rates.cumulative(now, (0, 1)), 800_000);
        assert_eq!(rates.cumulative(now, (3, 3)), 800_000);
        assert_eq!(rates.cumulative(Time::from_millis(2_500), (3, 3)), 400_000);
        assert_eq!(rates.cumulative(Time::from_millis(9_000), (3, 3)), 0);
    }

    #[test]
    fn a_young_stream_is_measured_over_its_own_age() {
        let mut rates = LayerRates::new(false);
        for packet in 0..30u64 {
            rates.add(Time::from_millis(5_000 + packet * 10), (1, 0), 1_250);
        }
        assert_eq!(rates.cumulative(Time::from_millis(5_300), (1, 0)), 1_000_000);
        assert_eq!(rates.cumulative(Time::from_millis(5_300), (0, 3)), 0);
    }

    #[test]
    fn a_silence_longer_than_the_window_leaves_no_trace() {
        let mut rates = LayerRates::new(true);
        rates.add(Time::from_millis(0), (0, 0), 50_000);
        rates.add(Time::from_millis(60_000), (9, 9), 1_000);
        assert_eq!(rates.cumulative(Time::from_millis(64_000), (3, 3)), 2_000);
    }
}
