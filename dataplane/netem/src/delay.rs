//! How long a packet travels: base latency plus correlated jitter, order kept unless told otherwise.

use crate::random::Random;
use crate::Nanos;

/// Latency of one direction.
#[derive(Clone, Debug)]
pub struct Delay {
    /// Base latency.
    pub base: Nanos,
    /// Jitter: uniform in plus or minus this (never below zero latency).
    pub jitter: Nanos,
    /// Weight of the previous packet's jitter, 0 (independent) to below 1.
    pub correlation: f64,
    /// No packet overtakes another. Without it jitter silently means reordering.
    pub keep_order: bool,
    last_unit: f64,
    last_arrival: Nanos,
}

impl Delay {
    /// A constant latency.
    pub fn constant(base: Nanos) -> Self {
        Self::jittered(base, 0)
    }

    /// Uniform jitter of plus or minus `jitter`, in order.
    pub fn jittered(base: Nanos, jitter: Nanos) -> Self {
        Self { base, jitter, correlation: 0.0, keep_order: true, last_unit: 0.0, last_arrival: 0 }
    }

    /// When a packet that enters at `at` arrives.
    pub(crate) fn arrival(&mut self, at: Nanos, random: &mut Random) -> Nanos {
        let fresh = random.unit() * 2.0 - 1.0;
        self.last_unit = self.correlation * self.last_unit + (1.0 - self.correlation) * fresh;
        let shift = (self.last_unit * self.jitter as f64) as i64;
        let arrival = at + self.base.saturating_add_signed(shift);
        if !self.keep_order {
            return arrival;
        }
        self.last_arrival = self.last_arrival.max(arrival);
        self.last_arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MILLISECOND;

    #[test]
    fn jitter_stays_within_its_bounds_and_in_order() {
        let mut delay = Delay::jittered(20 * MILLISECOND, 10 * MILLISECOND);
        let mut random = Random::new(3);
        let mut last = 0;
        for step in 0..10_000 {
            let sent = step * 50 * MILLISECOND;
            let arrival = delay.arrival(sent, &mut random);
            assert!((10 * MILLISECOND..=30 * MILLISECOND).contains(&(arrival - sent)));
            assert!(arrival >= last);
            last = arrival;
        }
    }

    #[test]
    fn without_order_jitter_lets_packets_overtake() {
        let mut delay = Delay::jittered(20 * MILLISECOND, 10 * MILLISECOND);
        delay.keep_order = false;
        let mut random = Random::new(3);
        let arrivals: Vec<_> =
            (0..100).map(|step| delay.arrival(step * MILLISECOND, &mut random)).collect();
        assert!(arrivals.windows(2).any(|pair| pair[1] < pair[0]));
    }

    #[test]
    fn correlation_smooths_the_jitter() {
        let roughness = |correlation: f64| {
            let mut delay = Delay::jittered(100 * MILLISECOND, 50 * MILLISECOND);
            delay.correlation = correlation;
            delay.keep_order = false;
            let mut random = Random::new(5);
            let travel: Vec<_> = (0..1_000).map(|_| delay.arrival(0, &mut random)).collect();
            travel.windows(2).map(|pair| pair[1].abs_diff(pair[0])).sum::<u64>()
        };
        assert!(roughness(0.9) * 3 < roughness(0.0));
    }
}
