//! When a transport's reports are due, and whose reference times wait for an answer (RFC 3550 section 6,
//! RFC 3611 sections 4.4 and 4.5).
//!
//! In: receiver references, time. Out: due times and DLRR entries. The blocks themselves belong to streams.

use std::time::Duration;

use super::random::Random;
use crate::rtcp::xr::{Delay, MAX_DELAYS};
use crate::time::Time;

/// Interval of a transport that sends video, before randomisation.
const VIDEO_INTERVAL: Duration = Duration::from_secs(1);

/// The same for audio alone.
const AUDIO_INTERVAL: Duration = Duration::from_secs(5);

/// Report schedule of one transport.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    due: Option<Time>,
    references: Vec<Reference>,
}

/// A receiver's reference time that is not answered yet.
#[derive(Clone, Copy, Debug)]
struct Reference {
    ssrc: u32,
    middle: u32,
    arrived: Time,
}

impl Reports {
    /// When the next report is due.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// There is something to report; the first report comes soon, since it also tells the sender that its
    /// stream identification was understood.
    pub(super) fn arm(&mut self, now: Time, random: &mut Random) {
        if self.due.is_none() {
            self.due = Some(now + randomised(VIDEO_INTERVAL, random));
        }
    }

    /// The next report, or none while nothing arrives.
    pub(super) fn schedule(&mut self, now: Time, video: Option<bool>, random: &mut Random) {
        self.due = video.map(|video| {
            now + randomised(if video { VIDEO_INTERVAL } else { AUDIO_INTERVAL }, random)
        });
    }

    /// A receiver told its time; the newest of each receiver is answered, at most [`MAX_DELAYS`] of them.
    pub(super) fn handle_reference(&mut self, now: Time, ssrc: u32, ntp: u64) {
        let reference = Reference { ssrc, middle: (ntp >> 16) as u32, arrived: now };
        if let Some(known) = self.references.iter_mut().find(|known| known.ssrc == ssrc) {
            *known = reference;
        } else if self.references.len() < MAX_DELAYS {
            self.references.push(reference);
        }
    }

    /// Writes the answers into `out`; returns how many.
    pub(super) fn take_delays(&mut self, now: Time, out: &mut [Delay; MAX_DELAYS]) -> usize {
        let count = self.references.len();
        for (slot, reference) in out.iter_mut().zip(self.references.drain(..)) {
            let delay = u128::from(now.0.saturating_sub(reference.arrived.0)) * 65_536;
            *slot = Delay {
                ssrc: reference.ssrc,
                last_rr: reference.middle,
                delay: (delay / 1_000_000_000).min(u128::from(u32::MAX)) as u32,
            };
        }
        count
    }
}

/// Half to one and a half of `interval` (RFC 3550 section 6.3.1), so that reports do not fall into step.
fn randomised(interval: Duration, random: &mut Random) -> Duration {
    interval / 2 + Duration::from_nanos(random.below(interval.as_nanos() as u64))
}

/// The round trip that an answer to our own reference tells: `now` is the middle of our NTP time.
/// `None` if it cannot be true.
pub(super) fn round_trip(now: u32, delay: &Delay) -> Option<Duration> {
    let trip = now.wrapping_sub(delay.last_rr).wrapping_sub(delay.delay);
    let plausible = delay.last_rr != 0 && trip < MAX_ROUND_TRIP;
    plausible.then(|| Duration::from_nanos(u64::from(trip) * 1_000_000_000 / 65_536))
}

/// 30 s in 1/65536 s: a longer trip, or one that looks negative, is a mistake.
const MAX_ROUND_TRIP: u32 = 30 * 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: [Delay; MAX_DELAYS] = [Delay { ssrc: 0, last_rr: 0, delay: 0 }; MAX_DELAYS];

    #[test]
    fn intervals_are_spread_around_their_mean() {
        let mut random = Random::new(7);
        let mut reports = Reports::default();
        for _ in 0..200 {
            reports.schedule(Time::from_millis(0), Some(false), &mut random);
            let due = reports.poll_timeout().unwrap().as_millis();
            assert!((2_500..7_500).contains(&due), "{due}");
        }
        reports.schedule(Time::from_millis(0), None, &mut random);
        assert_eq!(reports.poll_timeout(), None);
    }

    #[test]
    fn the_newest_reference_of_each_receiver_is_answered_once() {
        let mut reports = Reports::default();
        reports.handle_reference(Time::from_millis(0), 5, 0x1111_2222_3333_4444);
        reports.handle_reference(Time::from_millis(100), 5, 0x1111_2223_3333_4444);
        for ssrc in 100..200 {
            reports.handle_reference(Time::from_millis(100), ssrc, 1 << 20);
        }
        let mut out = EMPTY;
        assert_eq!(reports.take_delays(Time::from_millis(600), &mut out), MAX_DELAYS);
        assert_eq!(out[0], Delay { ssrc: 5, last_rr: 0x2223_3333, delay: 32_768 });
        assert_eq!(reports.take_delays(Time::from_millis(600), &mut out), 0);
    }

    #[test]
    fn impossible_round_trips_are_ignored() {
        let delay = |last_rr, delay| Delay { ssrc: 1, last_rr, delay };
        let trip = round_trip(65_536 * 3, &delay(65_536, 65_536));
        assert_eq!(trip, Some(Duration::from_secs(1)));
        assert_eq!(round_trip(65_536, &delay(65_536, 10)), None, "negative");
        assert_eq!(round_trip(65_536, &delay(0, 0)), None, "no reference");
        assert_eq!(round_trip(65_536 * 40, &delay(65_536, 0)), None, "too long");
    }
}
