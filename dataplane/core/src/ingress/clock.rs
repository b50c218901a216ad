//! Sender reports tie RTP time to wall-clock time, and the streams of a track to one time line.
//!
//! In: sender reports and capture times. Out: what to add to a stream's time stamps to reach the track's
//! line, and the line's tie to our own clock. The first stream that is tied is the reference, with offset 0;
//! every stream starts at a random RTP offset, so nothing is assumed before that.

use crate::drop::DropReason;
use crate::time::Time;

/// An estimate of the offset replaces the one in use when they differ by more than this part of a second:
/// less would only shake the time stamps.
const STEP_PER_SECOND: i64 = 1_000;

/// Clocks of two reports that disagree by more than this (ms), and by a fifth, were reset in between.
const RESET_MS: i64 = 100;

/// One second in 32.32 fixed point.
const SECOND: i64 = 1 << 32;

/// The same instant on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tie {
    /// NTP time, 32.32.
    pub ntp: u64,
    /// RTP time, unwrapped.
    pub rtp: u64,
}

/// `ticks` of `later.ntp - earlier.ntp` at `clock_rate`, rounded.
fn ticks_between(earlier: u64, later: u64, clock_rate: u32) -> i64 {
    let difference = i128::from(later.wrapping_sub(earlier) as i64) * i128::from(clock_rate);
    ((difference + (1 << 31)) >> 32) as i64
}

/// What one stream's sender reports say.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamClock {
    report: Option<Tie>,
    received: Time,
    line: Option<i64>,
    /// Up to this time stamp the offset was another one: a packet that comes late must get the offset that
    /// its picture's other packets got.
    before: Option<(u64, i64)>,
}

/// How a sender report was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It continues the clock of the one before.
    Continued,
    /// It is the first, or its clock was reset: the next one will tell more.
    Fresh,
}

impl StreamClock {
    /// A stream that needs no tie, being the only one of its track.
    pub fn alone() -> Self {
        Self { line: Some(0), ..Self::default() }
    }

    /// Takes a sender report whose RTP time was unwrapped.
    pub fn handle_report(
        &mut self,
        now: Time,
        tie: Tie,
        clock_rate: u32,
    ) -> Result<Report, DropReason> {
        let before = self.report;
        let Some(last) = before else {
            (self.report, self.received) = (Some(tie), now);
            return Ok(Report::Fresh);
        };
        let ntp_ticks = ticks_between(last.ntp, tie.ntp, clock_rate);
        let rtp_ticks = tie.rtp.wrapping_sub(last.rtp) as i64;
        let difference = (ntp_ticks - rtp_ticks).abs();
        let is_reset = difference > i64::from(clock_rate) * RESET_MS / 1_000
            && difference > ntp_ticks.abs().max(rtp_ticks.abs()) / 5;
        let is_older = ntp_ticks < 0 || rtp_ticks < 0;
        // A clock that was set back is older in one measure only.
        if (is_older && !is_reset) || (ntp_ticks <= 0 && rtp_ticks <= 0) {
            return Err(DropReason::SrAnachronous);
        }
        (self.report, self.received) = (Some(tie), now);
        Ok(if is_reset { Report::Fresh } else { Report::Continued })
    }

    /// Middle 32 bits of the last report's NTP time and the delay since, 1/65536 s, for report blocks.
    pub fn last_report(&self, now: Time) -> (u32, u32) {
        let Some(report) = self.report else { return (0, 0) };
        let delay = u128::from(now.0.saturating_sub(self.received.0)) * 65_536 / 1_000_000_000;
        ((report.ntp >> 16) as u32, delay.min(u128::from(u32::MAX)) as u32)
    }

    /// What to add to time stamp `t`.
    pub fn line_at(&self, t: u64) -> Option<i64> {
        match self.before {
            Some((until, offset)) if t <= until => Some(offset),
            _ => self.line,
        }
    }

    /// The stream restarted: its RTP clock is a new one.
    pub fn restart(&mut self, alone: bool) {
        *self = if alone { Self::alone() } else { Self::default() };
    }

    /// Uses `offset` for time stamps after `newest`, if it differs enough from the one in use.
    fn adopt(&mut self, offset: i64, newest: u64, clock_rate: u32) {
        let Some(current) = self.line else {
            self.line = Some(offset);
            return;
        };
        if (offset - current).abs() > i64::from(clock_rate) / STEP_PER_SECOND {
            self.before = Some((newest, current));
            self.line = Some(offset);
        }
    }
}

/// The time line that all streams of a track share.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeLine {
    /// Latest tie of the reference stream, on the line.
    anchor: Option<Tie>,
    reference: Option<u8>,
}

/// One observation of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// The stream.
    pub stream: u8,
    /// Its tie.
    pub tie: Tie,
    /// Its newest time stamp.
    pub newest: u64,
    /// Its clock rate.
    pub clock_rate: u32,
}

impl TimeLine {
    /// Ties `clock` to the line; returns the observation as a point of the line.
    pub fn tie(&mut self, clock: &mut StreamClock, seen: &Observation) -> Tie {
        let Observation { stream, tie, newest, clock_rate } = *seen;
        let reference = *self.reference.get_or_insert(stream);
        match (self.anchor, clock.line) {
            (None, line) => clock.line = line.or(Some(0)),
            // The reference defines the line: its offset stays.
            (Some(_), Some(_)) if reference == stream => {}
            (Some(anchor), _) => {
                let on_line = ticks_between(anchor.ntp, tie.ntp, clock_rate) + anchor.rtp as i64;
                clock.adopt(on_line - tie.rtp as i64, newest, clock_rate);
            }
        }
        let offset = clock.line_at(newest.saturating_add(1)).unwrap_or(0);
        let point = Tie { ntp: tie.ntp, rtp: tie.rtp.wrapping_add_signed(offset) };
        if reference == stream {
            self.anchor = Some(point);
        }
        point
    }

    /// Forgets everything: the only stream of the track restarted.
    pub fn restart(&mut self) {
        *self = Self::default();
    }
}

/// The publisher's NTP clock in terms of ours: one smoothed offset, so that all of its tracks agree.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublisherClock {
    /// Our NTP time minus theirs, 32.32.
    offset: Option<i64>,
}

impl PublisherClock {
    /// Takes the NTP time of a report that arrived when our clock showed `ours`, half a round trip (in the
    /// same unit) after it was sent.
    pub fn handle_report(&mut self, ntp: u64, ours: u64, half_rtt: i64) {
        let sample = (ours.wrapping_sub(ntp) as i64).saturating_sub(half_rtt);
        self.offset = Some(match self.offset {
            // Delay variation averages out; a clock that was set does not.
            Some(offset) if offset.abs_diff(sample) < SECOND as u64 => {
                offset + (sample - offset) / 16
            }
            _ => sample,
        });
    }

    /// Their NTP time on our clock.
    pub fn ours(&self, ntp: u64) -> u64 {
        ntp.wrapping_add_signed(self.offset.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const C: u32 = 90_000;

    fn ntp(seconds: f64) -> u64 {
        (3_900_000_000u64 << 32) + (seconds * SECOND as f64) as u64
    }

    #[test]
    fn reports_that_go_back_are_anachronous_and_set_clocks_are_resets() {
        let mut clock = StreamClock::default();
        let mut report = |seconds: f64, rtp: u64| {
            clock.handle_report(Time(0), Tie { ntp: ntp(seconds), rtp }, C)
        };
        assert_eq!(report(10.0, 900_000), Ok(Report::Fresh));
        assert_eq!(report(11.0, 990_000), Ok(Report::Continued));
        assert_eq!(report(10.5, 945_000), Err(DropReason::SrAnachronous));
        assert_eq!(report(11.0, 990_000), Err(DropReason::SrAnachronous));
        assert_eq!(report(5_000.0, 1_080_000), Ok(Report::Fresh));
        assert_eq!(report(5_001.0, 1_170_000), Ok(Report::Continued));
    }

    #[test]
    fn the_last_report_is_told_with_its_delay() {
        let mut clock = StreamClock::default();
        assert_eq!(clock.last_report(Time(0)), (0, 0));
        let tie = Tie { ntp: 0x1122_3344_5566_7788, rtp: 0 };
        clock.handle_report(Time::from_millis(1_000), tie, C).unwrap();
        assert_eq!(clock.last_report(Time::from_millis(1_500)), (0x3344_5566, 32_768));
    }

    #[test]
    fn a_new_offset_begins_after_the_newest_time_stamp() {
        let mut line = TimeLine::default();
        let (mut first, mut second) = (StreamClock::default(), StreamClock::default());
        let seen = |stream, seconds, rtp| Observation {
            stream,
            tie: Tie { ntp: ntp(seconds), rtp },
            newest: rtp,
            clock_rate: C,
        };
        line.tie(&mut first, &seen(0, 1.0, 90_000));
        line.tie(&mut second, &seen(1, 1.0, 500_000));
        assert_eq!(first.line_at(0), Some(0));
        assert_eq!(second.line_at(500_000), Some(-410_000));
        line.tie(&mut second, &seen(1, 2.0, 590_080));
        assert_eq!(second.line_at(600_000), Some(-410_000), "80 ticks are not worth a step");
        line.tie(&mut second, &seen(1, 3.0, 680_300));
        assert_eq!(second.line_at(680_300), Some(-410_000));
        assert_eq!(second.line_at(680_301), Some(-410_300));
    }

    #[test]
    fn a_restarted_reference_finds_the_line_again() {
        let mut line = TimeLine::default();
        let mut clock = StreamClock::default();
        let mut seen = Observation {
            stream: 0,
            tie: Tie { ntp: ntp(1.0), rtp: 90_000 },
            newest: 0,
            clock_rate: C,
        };
        line.tie(&mut clock, &seen);
        clock.restart(false);
        assert_eq!(clock.line_at(0), None);
        seen.tie = Tie { ntp: ntp(3.0), rtp: 7 };
        let point = line.tie(&mut clock, &seen);
        assert_eq!(point.rtp, 270_000);
        assert_eq!(clock.line_at(7), Some(269_993));
    }

    #[test]
    fn the_publishers_clock_is_smoothed_and_follows_when_it_is_set() {
        let mut clock = PublisherClock::default();
        clock.handle_report(ntp(100.0), ntp(350.02), SECOND / 100);
        let error = clock.ours(ntp(101.0)).abs_diff(ntp(351.01));
        assert!(error < 10_000, "{error}");
        clock.handle_report(ntp(102.0), ntp(352.18), SECOND / 100);
        let error = clock.ours(ntp(103.0)).abs_diff(ntp(353.02));
        assert!(error < 10_000, "one sixteenth of 0.16 s, off by {error}");
        clock.handle_report(ntp(900.0), ntp(354.0), 0);
        assert_eq!(clock.ours(ntp(900.0)), ntp(354.0));
    }

    proptest! {
        #[test]
        fn streams_with_random_origins_and_skew_meet_on_one_line(
            origins in any::<[u32; 2]>(),
            skews in proptest::array::uniform2(-50e-6f64..50e-6),
            phase in 0.0f64..1.0,
        ) {
            let rtp = |stream: usize, seconds: f64| {
                let ticks = (seconds * f64::from(C) * (1.0 + skews[stream])).round() as u64;
                (1 << 32) + u64::from(origins[stream]) + ticks
            };
            let mut line = TimeLine::default();
            let mut clocks = [StreamClock::default(); 2];
            for second in 0..600 {
                for (stream, clock) in clocks.iter_mut().enumerate() {
                    let at = f64::from(second) + if stream == 0 { 0.0 } else { phase };
                    let tie = Tie { ntp: ntp(at), rtp: rtp(stream, at) };
                    clock.handle_report(Time(0), tie, C).unwrap();
                    let seen = Observation { stream: stream as u8, tie, newest: tie.rtp, clock_rate: C };
                    line.tie(clock, &seen);
                }
                let capture = f64::from(second) + 1.0;
                let on_line = [0, 1].map(|stream: usize| {
                    let t = rtp(stream, capture);
                    t as i64 + clocks[stream].line_at(t).unwrap()
                });
                let difference = (on_line[0] - on_line[1]).abs();
                prop_assert!(difference < 180, "{difference} ticks apart after {second} s");
            }
        }
    }
}
