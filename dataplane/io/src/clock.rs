//! The only place of the data plane that reads a clock.
//!
//! Out: monotonic [`Time`] since the start, the wall clock's reading at time zero, and the kernel's receive
//! stamps converted to [`Time`]. Everything else takes `now` as an argument.

use std::time::Duration;

use conclave_core::time::{NtpEpoch, Time};

/// Seconds from 1900 (NTP era 0) to 1970 (RFC 5905 figure 4).
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// Longest time that a datagram can credibly have waited in a socket. A wall clock that is stepped between
/// a datagram's stamp and its reading shows as a longer wait.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// A monotonic clock that starts with the data plane.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: u64,
    epoch: NtpEpoch,
}

impl Clock {
    /// A clock at time zero.
    pub fn start() -> Self {
        let start = read(libc::CLOCK_MONOTONIC);
        let wall = read(libc::CLOCK_REALTIME);
        let fraction = (u128::from(wall % 1_000_000_000) << 32) / 1_000_000_000;
        let seconds = wall / 1_000_000_000 + NTP_TO_UNIX;
        Self { start, epoch: NtpEpoch((seconds << 32).wrapping_add(fraction as u64)) }
    }

    /// Time since the start.
    pub fn now(self) -> Time {
        Time(read(libc::CLOCK_MONOTONIC).saturating_sub(self.start))
    }

    /// The wall clock at time zero.
    pub fn epoch(self) -> NtpEpoch {
        self.epoch
    }

    /// Reads both clocks once, for a batch of receive stamps.
    pub fn arrivals(self) -> Arrivals {
        Arrivals { now: self.now(), wall: read(libc::CLOCK_REALTIME) }
    }
}

/// Turns the kernel's wall-clock stamps of one batch into monotonic time.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals {
    now: Time,
    wall: u64,
}

impl Arrivals {
    /// When the batch was taken.
    pub fn now(self) -> Time {
        self.now
    }

    /// When a datagram arrived that the kernel stamped `stamp` (nanoseconds since 1970); `now` without one.
    pub fn at(self, stamp: Option<u64>) -> Time {
        let waited = stamp.map_or(0, |stamp| self.wall.saturating_sub(stamp));
        self.now - Duration::from_nanos(waited).min(MAX_WAIT)
    }
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the duration of the call, which writes nothing else.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(result, 0, "invariant: both clocks exist on every Linux");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_becomes_the_time_that_the_datagram_waited_before_now() {
        let batch = Arrivals { now: Time(5_000_000_000), wall: 1_700_000_000_000_000_000 };
        assert_eq!(batch.at(Some(1_700_000_000_000_000_000 - 40_000)), Time(4_999_960_000));
        assert_eq!(batch.at(None), Time(5_000_000_000));
    }

    #[test]
    fn a_stepped_wall_clock_moves_an_arrival_by_a_second_at_most_and_never_past_now() {
        let batch = Arrivals { now: Time(5_000_000_000), wall: 1_700_000_000_000_000_000 };
        assert_eq!(batch.at(Some(0)), Time(4_000_000_000));
        assert_eq!(batch.at(Some(u64::MAX)), Time(5_000_000_000));
    }

    #[test]
    fn time_starts_at_zero_and_the_epoch_lies_in_ntp_era_zero() {
        let clock = Clock::start();
        assert!(clock.now() < Time(60_000_000_000));
        assert!(clock.epoch().0 >> 32 > NTP_TO_UNIX);
    }
}
