//! A token bucket in one word: the time at which it would be full again (the generic cell rate algorithm).
//!
//! In: `now`. Out: whether one more may pass. It keeps no timer and counts nothing.

use crate::time::Time;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    interval: u64,
    tolerance: u64,
}

impl Limit {
    /// `per_second` on average and `burst` at once; both at least one.
    pub const fn new(per_second: u64, burst: u64) -> Self {
        let interval = 1_000_000_000 / per_second;
        Self { interval, tolerance: interval * (burst - 1) }
    }
}

/// The state of one bucket; the default is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// Whether a token is left.
    pub fn ready(&self, now: Time, limit: Limit) -> bool {
        self.full_at.saturating_sub(now.0) <= limit.tolerance
    }

    /// Takes a token, if one is left.
    pub fn take(&mut self, now: Time, limit: Limit) -> bool {
        let ready = self.ready(now, limit);
        if ready {
            self.full_at = self.full_at.max(now.0) + limit.interval;
        }
        ready
    }

    /// Gives a token back.
    pub fn refund(&mut self, limit: Limit) {
        self.full_at = self.full_at.saturating_sub(limit.interval);
    }

    /// Whether nothing was taken that time has not given back.
    pub fn is_full(&self, now: Time) -> bool {
        self.full_at <= now.0
    }

    /// When it is full again, nanoseconds.
    pub fn full_at(&self) -> u64 {
        self.full_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate_holds() {
        let limit = Limit::new(50, 10);
        let mut bucket = Bucket::default();
        let mut at = |ms| bucket.take(Time::from_millis(ms), limit);
        assert_eq!((0..20).filter(|_| at(1_000)).count(), 10);
        assert_eq!((1_000..2_000).filter(|&ms| at(ms)).count(), 49);
        assert_eq!((0..20).filter(|_| at(9_000)).count(), 10);
    }

    #[test]
    fn a_refund_lets_one_more_pass() {
        let limit = Limit::new(1, 1);
        let mut bucket = Bucket::default();
        assert!(bucket.take(Time(5), limit));
        assert!(!bucket.take(Time(5), limit));
        bucket.refund(limit);
        assert!(bucket.is_full(Time(5)));
        assert!(bucket.take(Time(5), limit));
    }
}
