//! A link of limited rate with a byte queue in front of it: tail drop and serialisation time.

use crate::{Nanos, SECOND};

/// The rate-limited part of a link.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    /// Bits per second from each point in time on, ascending; before the first the first applies.
    pub schedule: Vec<(Nanos, u64)>,
    /// Bytes that may wait, the packet on the wire included.
    pub queue_bytes: usize,
    free_at: Nanos,
}

impl Bottleneck {
    /// A constant rate in bits per second.
    pub fn new(rate_bps: u64, queue_bytes: usize) -> Self {
        Self::scheduled(vec![(0, rate_bps)], queue_bytes)
    }

    /// A rate that changes at given times; `schedule` must not be empty.
    pub fn scheduled(schedule: Vec<(Nanos, u64)>, queue_bytes: usize) -> Self {
        assert!(!schedule.is_empty(), "a bottleneck needs a rate");
        Self { schedule, queue_bytes, free_at: 0 }
    }

    /// The rate at `at`, bits per second.
    pub fn rate_bps(&self, at: Nanos) -> u64 {
        let passed = self.schedule.partition_point(|&(from, _)| from <= at);
        self.schedule[passed.saturating_sub(1)].1
    }

    /// When the last bit of a packet of `size` bytes leaves; `None` if the queue has no room for it.
    pub(crate) fn pass(&mut self, now: Nanos, size: usize) -> Option<Nanos> {
        let rate = self.rate_bps(now);
        let backlog_ns = self.free_at.saturating_sub(now);
        let backlog = u128::from(backlog_ns) * u128::from(rate) / 8 / u128::from(SECOND);
        if rate == 0 || backlog + size as u128 > self.queue_bytes as u128 {
            return None;
        }
        let on_wire = (size as u64 * 8 * SECOND).div_ceil(rate);
        self.free_at = self.free_at.max(now) + on_wire;
        Some(self.free_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MILLISECOND;

    #[test]
    fn packets_leave_one_serialisation_time_apart() {
        let mut link = Bottleneck::new(1_000_000, 10_000);
        assert_eq!(link.pass(0, 1_250), Some(10 * MILLISECOND));
        assert_eq!(link.pass(0, 1_250), Some(20 * MILLISECOND));
        assert_eq!(link.pass(100 * MILLISECOND, 125), Some(101 * MILLISECOND));
    }

    #[test]
    fn a_full_queue_drops_the_tail_and_drains_with_time() {
        let mut link = Bottleneck::new(1_000_000, 2_500);
        assert!(link.pass(0, 1_250).is_some());
        assert!(link.pass(0, 1_250).is_some());
        assert_eq!(link.pass(0, 1_250), None);
        assert!(link.pass(10 * MILLISECOND, 1_250).is_some());
    }

    #[test]
    fn the_schedule_changes_the_rate() {
        let link = Bottleneck::scheduled(vec![(0, 8_000), (SECOND, 16_000)], 1_000);
        assert_eq!([link.rate_bps(0), link.rate_bps(SECOND)], [8_000, 16_000]);
    }
}
