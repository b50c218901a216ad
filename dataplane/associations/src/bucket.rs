//! A token bucket on simulated time: an allowance per second with one second of burst.

use std::time::Duration;

use conclave_core::time::Time;

/// Tokens in billionths, so that no refill is lost to rounding.
const SCALE: u128 = 1_000_000_000;

/// An allowance.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    per_second: u64,
    tokens: u128,
    refilled: Time,
}

impl Bucket {
    /// A full bucket.
    pub fn new(now: Time, per_second: u64) -> Self {
        Self { per_second, tokens: u128::from(per_second) * SCALE, refilled: now }
    }

    /// Takes `amount` if it is there, and says whether it was.
    pub fn take(&mut self, now: Time, amount: u64) -> bool {
        let full = u128::from(self.per_second) * SCALE;
        let gained = now.since(self.refilled).as_nanos() * u128::from(self.per_second);
        self.tokens = (self.tokens + gained).min(full);
        self.refilled = self.refilled.max(now);
        let wanted = u128::from(amount) * SCALE;
        let enough = self.tokens >= wanted;
        if enough {
            self.tokens -= wanted;
        }
        enough
    }

    /// When a single token will be there again, at the latest.
    pub fn next_token(&self, now: Time) -> Time {
        now + Duration::from_nanos((SCALE as u64).div_ceil(self.per_second.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_burst_then_the_rate_and_never_more() {
        let mut bucket = Bucket::new(Time::default(), 10);
        let taken = (0..100).filter(|_| bucket.take(Time::default(), 1)).count();
        assert_eq!(taken, 10);
        let taken = (0..1_000).filter(|&ms| bucket.take(Time::from_millis(ms), 1)).count();
        assert_eq!(taken, 9);
        assert!(!bucket.take(Time::from_millis(1_000), 2));
        assert!(bucket.take(bucket.next_token(Time::from_millis(1_000)), 1));
    }

    #[test]
    fn time_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::new(Time::from_millis(1_000), 10);
        assert!(bucket.take(Time::from_millis(1_000), 10));
        assert!(!bucket.take(Time::from_millis(0), 1));
        assert!(!bucket.take(Time::from_millis(1_000), 1));
    }
}
