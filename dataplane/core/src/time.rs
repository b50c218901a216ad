//! Time as an argument: nanoseconds on a monotonic clock that starts when the data plane starts.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A monotonic instant, nanoseconds since the data plane started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Time(pub u64);

impl Time {
    /// The instant `ms` milliseconds after the start.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// Whole milliseconds since the start.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, rhs: Duration) -> Time {
        Time(self.0.saturating_add(rhs.as_nanos() as u64))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, rhs: Duration) -> Time {
        Time(self.0.saturating_sub(rhs.as_nanos() as u64))
    }
}

/// Ties the monotonic clock to wall-clock time for RTCP: the NTP time (32.32 fixed point) at [`Time`] zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct NtpEpoch(pub u64);

impl NtpEpoch {
    /// The NTP time stamp (seconds since 1900 in 32.32 fixed point, RFC 3550 section 4) of `now`.
    pub fn ntp(self, now: Time) -> u64 {
        let seconds = now.0 / 1_000_000_000;
        let nanos = now.0 % 1_000_000_000;
        let fraction = (u128::from(nanos) << 32) / 1_000_000_000;
        self.0.wrapping_add(seconds << 32).wrapping_add(fraction as u64)
    }
}
