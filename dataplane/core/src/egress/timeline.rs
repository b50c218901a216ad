//! Which time stamp a packet gets on a leg: the publisher's, shifted by a constant that changes only where
//! the leg changes its source.
//!
//! In: packets that start a source, with the offset to the track's common time line where it is known.
//! Out: unwrapped output time stamps that never go back from one frame start to the next.

use std::time::Duration;

use crate::drop::DropReason;
use crate::media::{MediaKind, PacketMeta};
use crate::time::Time;

/// A candidate may lie this far behind what was sent: simulcast encoders finish their layers in any order.
const BEHIND: Duration = Duration::from_millis(50);

/// Refusals of a candidate that lies behind, after which its time is forced.
const MAX_REFUSALS: u8 = 3;

/// After a pause longer than this beyond the publisher's own time, wall clock counts.
const RESUME_GAP: Duration = Duration::from_secs(2);

/// Frames per second to assume for the least step between two frames.
const FRAME_RATE: u64 = 60;

/// Audio stays on the grid of its frames: 20 ms.
const AUDIO_GRID: u64 = 50;

/// How a source comes onto the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// Another stream of the same track.
    Layer {
        /// The old stream is still on the wire: better refuse than guess.
        patient: bool,
    },
    /// The same stream after a pause.
    Resume,
    /// Another life of the publisher's stream: its numbers mean nothing to the old ones.
    Source,
}

/// The time stamps of one leg.
#[derive(Debug)]
pub struct TimeLine {
    /// `output = input + shift`, wrapping.
    shift: u64,
    /// The shift of the source before the last switch.
    previous_shift: u64,
    /// What leads from the current source's input to the track's line.
    line: Option<i64>,
    /// Newest output.
    last: u64,
    last_sent: Time,
    refusals: u8,
    started: bool,
}

impl TimeLine {
    /// The first packet will get the time stamp `first`; or if that was sent before, under the same SSRC for
    /// another leg, the one that wall clock leads to from there.
    pub fn new(first: u64, sent_at: Option<Time>) -> Self {
        Self {
            shift: first,
            previous_shift: 0,
            line: None,
            last: first,
            last_sent: sent_at.unwrap_or(Time(0)),
            refusals: 0,
            started: sent_at.is_some(),
        }
    }

    /// The output for an input time stamp of the current (or draining) source.
    pub fn map(&self, t: u64, draining: bool) -> u64 {
        t.wrapping_add(if draining { self.previous_shift } else { self.shift })
    }

    /// The newest time stamp sent, or the first to be sent.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// When the newest time stamp was sent.
    pub fn last_sent(&self) -> Option<Time> {
        self.started.then_some(self.last_sent)
    }

    /// Notes that the newest packet went out with `t`.
    pub fn sent(&mut self, now: Time, meta: &PacketMeta, t: u64) {
        self.last = t;
        self.last_sent = now;
        self.line = meta.line.or(self.line);
    }

    /// The output for a time stamp on the track's common line; `None` until the current source is tied to it.
    pub fn on_line(&self, t: u64) -> Option<u64> {
        let line = self.line.filter(|_| self.started)?;
        Some(t.wrapping_sub(line as u64).wrapping_add(self.shift))
    }

    /// Puts the source of `meta` on the line; its packets get `t + shift` from now on.
    pub fn join(
        &mut self,
        now: Time,
        kind: MediaKind,
        meta: &PacketMeta,
        joint: Joint,
    ) -> Result<(), DropReason> {
        let target = if self.started { self.target(now, kind, meta, joint)? } else { self.last };
        self.previous_shift = self.shift;
        self.shift = target.wrapping_sub(meta.t);
        self.line = meta.line;
        self.started = true;
        self.refusals = 0;
        Ok(())
    }

    /// The output time stamp of a source's first packet.
    fn target(
        &mut self,
        now: Time,
        kind: MediaKind,
        meta: &PacketMeta,
        joint: Joint,
    ) -> Result<u64, DropReason> {
        let rate = meta.clock_rate.max(1);
        let after_last = self.last + 1;
        let expected = self.expected(now, kind, rate).max(after_last);
        match joint {
            Joint::Source => Ok(expected),
            Joint::Resume => {
                let own = meta.t.wrapping_add(self.shift);
                let behind = expected.saturating_sub(own) > ticks(RESUME_GAP, rate);
                let wild = own > expected + ticks(RESUME_GAP, rate);
                Ok(if behind || wild { expected } else { own.max(after_last) })
            }
            Joint::Layer { patient } => {
                let Some(own) = self.across(meta) else {
                    let refused = Err(DropReason::SwitchNoSenderReport);
                    return if patient { refused } else { Ok(expected) };
                };
                if own + ticks(BEHIND, rate) >= self.last {
                    return Ok(own.max(after_last));
                }
                self.refusals += 1;
                if patient && self.refusals < MAX_REFUSALS {
                    return Err(DropReason::SwitchBehind);
                }
                Ok(self.last + u64::from(rate) / FRAME_RATE)
            }
        }
    }

    /// The candidate's time stamp by the common line, as the leg has it now.
    fn across(&self, meta: &PacketMeta) -> Option<u64> {
        let onto = meta.line? as u64;
        let from = self.line? as u64;
        Some(meta.t.wrapping_add(onto).wrapping_sub(from).wrapping_add(self.shift))
    }

    /// Where the leg's clock would stand now had it never stopped.
    fn expected(&self, now: Time, kind: MediaKind, rate: u32) -> u64 {
        let elapsed = ticks(now.since(self.last_sent), rate);
        match kind {
            MediaKind::Video => self.last + elapsed,
            MediaKind::Audio => {
                let grid = (u64::from(rate) / AUDIO_GRID).max(1);
                self.last + elapsed.div_ceil(grid).max(1) * grid
            }
        }
    }
}

/// `span` in units of an RTP clock.
pub fn ticks(span: Duration, rate: u32) -> u64 {
    (span.as_nanos() * u128::from(rate) / 1_000_000_000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::test_support::video;

    const RATE: u64 = 90_000;

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    fn packet(t: u64, line: Option<i64>) -> PacketMeta {
        PacketMeta { t, line, ..video(0, 0) }
    }

    /// A line whose newest packet went out at `ms` with input `t` and output 1,000,000.
    fn running(ms: u64, t: u64, line: Option<i64>) -> TimeLine {
        let mut times = TimeLine::new(1_000_000, None);
        let first = packet(t, line);
        times.join(at(ms), MediaKind::Video, &first, Joint::Source).unwrap();
        times.sent(at(ms), &first, times.map(t, false));
        times
    }

    fn join(times: &mut TimeLine, ms: u64, meta: &PacketMeta, joint: Joint) -> Option<u64> {
        times.join(at(ms), MediaKind::Video, meta, joint).ok()?;
        Some(times.map(meta.t, false))
    }

    #[test]
    fn a_layer_switch_keeps_capture_time_across_unrelated_clocks() {
        let mut times = running(0, 500, Some(0));
        let other = packet(70_000, Some(500 + 3_000 - 70_000));
        let joint = Joint::Layer { patient: true };
        assert_eq!(join(&mut times, 10, &other, joint), Some(1_003_000));
        assert_eq!(times.map(500, true), 1_000_000, "late packets keep the old shift");
    }

    #[test]
    fn a_layer_without_sender_report_is_refused_while_the_old_one_lasts() {
        let mut times = running(0, 500, Some(0));
        let joint = Joint::Layer { patient: true };
        let refused = times.join(at(5_000), MediaKind::Video, &packet(9, None), joint);
        assert_eq!(refused, Err(DropReason::SwitchNoSenderReport));
        let joint = Joint::Layer { patient: false };
        assert_eq!(join(&mut times, 5_000, &packet(9, None), joint), Some(1_000_000 + 5 * RATE));
    }

    #[test]
    fn a_layer_that_lies_behind_is_refused_twice_and_then_forced() {
        let mut times = running(0, 500_000, Some(0));
        let behind = packet(500_000 - 51 * 90, Some(0));
        let joint = Joint::Layer { patient: true };
        for _ in 0..2 {
            let refused = times.join(at(1), MediaKind::Video, &behind, joint);
            assert_eq!(refused, Err(DropReason::SwitchBehind));
        }
        assert_eq!(join(&mut times, 1, &behind, joint), Some(1_000_000 + RATE / 60));
    }

    #[test]
    fn a_layer_slightly_behind_moves_just_past_what_was_sent() {
        let mut times = running(0, 500_000, Some(0));
        let joint = Joint::Layer { patient: true };
        assert_eq!(join(&mut times, 1, &packet(499_000, Some(0)), joint), Some(1_000_001));
    }

    #[test]
    fn a_resumed_stream_keeps_its_own_time_unless_it_stood_still() {
        let mut honest = running(0, 500, None);
        let later = packet(500 + 10 * RATE, None);
        assert_eq!(join(&mut honest, 10_000, &later, Joint::Resume), Some(1_000_000 + 10 * RATE));
        let mut frozen = running(0, 500, None);
        let same = packet(600, None);
        assert_eq!(join(&mut frozen, 10_000, &same, Joint::Resume), Some(1_000_000 + 10 * RATE));
    }

    #[test]
    fn a_restarted_source_goes_on_where_wall_clock_stands() {
        let mut times = running(0, 500, Some(0));
        assert_eq!(join(&mut times, 100, &packet(7, None), Joint::Source), Some(1_009_000));
        assert_eq!(times.on_line(7), None, "no sender report ties the new source yet");
    }

    #[test]
    fn another_leg_of_the_same_ssrc_goes_on_where_wall_clock_stands() {
        let mut times = TimeLine::new(1_000_000, Some(at(0)));
        let joint = Joint::Layer { patient: false };
        assert_eq!(join(&mut times, 5_000, &packet(7, Some(0)), joint), Some(1_000_000 + 5 * RATE));
    }

    #[test]
    fn audio_restarts_on_its_frame_grid() {
        let mut times = running(0, 500, None);
        let restarted = PacketMeta { clock_rate: 48_000, ..packet(7, None) };
        times.join(at(33), MediaKind::Audio, &restarted, Joint::Source).unwrap();
        assert_eq!(times.map(7, false), 1_000_000 + 2 * 960);
    }
}
