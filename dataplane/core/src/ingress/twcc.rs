//! Arrivals of one transport for its sender's congestion control (transport-wide feedback).
//!
//! In: the transport-wide number and kernel arrival time of every authentic packet, whatever becomes of it.
//! Out: feedback packets. Numbers that arrive after they were reported lost are reported again.

use std::time::Duration;

use crate::rtcp::twcc::{FeedbackOut, MAX_STATUSES, TICK_NS};
use crate::rtcp::Write;
use crate::sink::MAX_PACKET;
use crate::time::Time;

/// Numbers that are remembered; a jump beyond begins a new window.
const CAPACITY: u64 = MAX_STATUSES as u64;

/// Where the 64-bit numbers start, so that early reordering cannot go below zero.
const FIRST: u64 = 1 << 16;

/// Packets that may wait before feedback goes out early.
const MAX_PENDING: u32 = 64;

/// Limits of the interval between two feedback packets.
const MIN_INTERVAL: Duration = Duration::from_millis(50);
const MAX_INTERVAL: Duration = Duration::from_millis(100);

/// How far back a late arrival is reported again.
const LATE_LIMIT: Duration = Duration::from_millis(500);

/// Feedback may use this share of the incoming rate: one part in 20. A feedback packet with its share of
/// headers is about 68 bytes.
const FEEDBACK_SHARE: u64 = 20;
const FEEDBACK_BITS: u64 = 8 * 68;

/// Records arrivals and turns them into feedback.
#[derive(Clone, Debug)]
pub struct FeedbackRecorder {
    /// Ticks by number modulo capacity; zero is "not arrived".
    arrivals: Box<[u64; CAPACITY as usize]>,
    window: Option<Window>,
    pending: u32,
    count: u8,
    due: Option<Time>,
    /// When the interval at hand began; unknown before the first one.
    interval_started: Option<Time>,
    interval_bytes: u64,
}

/// Numbers `base..=newest` are to be reported.
#[derive(Clone, Copy, Debug)]
struct Window {
    base: u64,
    newest: u64,
    media: u32,
}

impl Default for FeedbackRecorder {
    fn default() -> Self {
        Self {
            arrivals: Box::new([0; CAPACITY as usize]),
            window: None,
            pending: 0,
            count: 0,
            due: None,
            interval_started: None,
            interval_bytes: 0,
        }
    }
}

/// One packet that carried a transport-wide number.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    /// The number.
    pub number: u16,
    /// Kernel arrival time.
    pub arrival: Time,
    /// SSRC of the packet.
    pub ssrc: u32,
    /// Its size, bytes.
    pub size: usize,
}

impl FeedbackRecorder {
    /// Records a packet; a number that has arrived before changes nothing.
    pub fn handle_packet(&mut self, now: Time, packet: Numbered) {
        // One tick of offset keeps an arrival at time zero apart from "not arrived".
        let ticks = (packet.arrival.0 + TICK_NS / 2) / TICK_NS + 1;
        if !self.place(packet.number, ticks, packet.ssrc) {
            return;
        }
        self.pending += 1;
        self.interval_bytes += packet.size as u64;
        if self.due.is_none() {
            self.due = Some(now + self.interval(now));
        } else if self.pending > MAX_PENDING {
            self.due = Some(now);
        }
    }

    /// Stores an arrival; false if there is nothing new to report.
    fn place(&mut self, number: u16, ticks: u64, media: u32) -> bool {
        let Some(window) = self.window else {
            self.begin(FIRST + u64::from(number), ticks, media);
            return true;
        };
        let step = number.wrapping_sub(window.newest as u16) as i16;
        let n = window.newest.saturating_add_signed(i64::from(step));
        if step > 0 {
            if n - window.base.min(window.newest) >= CAPACITY {
                self.begin(n, ticks, media);
                return true;
            }
            for skipped in window.newest + 1..n {
                self.arrivals[slot(skipped)] = 0;
            }
            self.arrivals[slot(n)] = ticks;
            self.window = Some(Window { base: window.base, newest: n, media });
            return true;
        }
        if window.newest - n >= CAPACITY || self.arrivals[slot(n)] != 0 {
            return false;
        }
        if n < window.base && self.is_history(n, window.newest, ticks) {
            return false;
        }
        self.arrivals[slot(n)] = ticks;
        self.window = Some(Window { base: window.base.min(n), ..window });
        true
    }

    fn begin(&mut self, n: u64, ticks: u64, media: u32) {
        self.arrivals.fill(0);
        self.arrivals[slot(n)] = ticks;
        self.window = Some(Window { base: n, newest: n, media });
    }

    /// Whether what followed `n` arrived so long ago that the sender no longer cares.
    fn is_history(&self, n: u64, newest: u64, ticks: u64) -> bool {
        let limit = LATE_LIMIT.as_nanos() as u64 / TICK_NS;
        let next = (n + 1..=newest).map(|m| self.arrivals[slot(m)]).find(|&ticks| ticks != 0);
        next.is_some_and(|next| next + limit < ticks)
    }

    /// The interval at which feedback takes its share of the incoming rate.
    fn interval(&mut self, now: Time) -> Duration {
        let elapsed = self.interval_started.replace(now).map_or(Duration::ZERO, |at| now.since(at));
        let bits = std::mem::take(&mut self.interval_bytes) * 8;
        if bits == 0 || elapsed.is_zero() {
            return MAX_INTERVAL;
        }
        let nanos =
            u128::from(FEEDBACK_BITS * FEEDBACK_SHARE) * elapsed.as_nanos() / u128::from(bits);
        Duration::from_nanos(nanos.min(MAX_INTERVAL.as_nanos()) as u64)
            .clamp(MIN_INTERVAL, MAX_INTERVAL)
    }

    /// When [`FeedbackRecorder::take`] has something to send.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// Writes the next feedback packet into `out`; `None` once everything is reported. Call it until then.
    pub fn take(&mut self, sender: u32, out: &mut [u8]) -> Option<usize> {
        self.due = None;
        self.pending = 0;
        let window = self.window.as_mut()?;
        let mut statuses = [None; CAPACITY as usize];
        let mut length = 0;
        for n in window.base..=window.newest {
            let ticks = self.arrivals[slot(n)];
            statuses[length] = (ticks != 0).then_some(ticks);
            length += 1;
        }
        let reported = FeedbackOut {
            sender,
            media: window.media,
            base: window.base as u16,
            count: self.count,
            arrivals: &statuses[..length],
        };
        if !statuses[..length].iter().any(Option::is_some) {
            return None;
        }
        let covered = reported.fits(out.len().min(MAX_PACKET));
        let room = out.len().min(MAX_PACKET);
        let written = reported.write(&mut out[..room])?;
        window.base += covered as u64;
        self.count = self.count.wrapping_add(1);
        Some(written)
    }
}

fn slot(n: u64) -> usize {
    (n % CAPACITY) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::{Compound, Packet};

    fn packet(number: u16, arrival: Time) -> Numbered {
        Numbered { number, arrival, ssrc: 9, size: 1_200 }
    }

    /// Base, count, arrivals in ticks.
    type Told = (u16, u8, Vec<(u16, Option<i64>)>);

    /// Every feedback that is ready.
    fn drain(recorder: &mut FeedbackRecorder) -> Vec<Told> {
        let mut found = Vec::new();
        let mut out = [0; MAX_PACKET];
        while let Some(length) = recorder.take(1, &mut out) {
            let compound = Compound::parse(&out[..length]).unwrap();
            let Some(Ok(Packet::TransportFeedback(feedback))) = compound.iter().next() else {
                panic!("no feedback")
            };
            found.push((feedback.base, feedback.count, feedback.arrivals().collect()));
        }
        found
    }

    fn ticks(arrival: Time) -> i64 {
        ((arrival.0 + TICK_NS / 2) / TICK_NS + 1) as i64
    }

    #[test]
    fn losses_are_covered_and_late_arrivals_are_told_again() {
        let mut recorder = FeedbackRecorder::default();
        let at = Time::from_millis;
        for (number, ms) in [(10, 0), (11, 5), (13, 15)] {
            recorder.handle_packet(at(ms), packet(number, at(ms)));
        }
        assert_eq!(recorder.poll_timeout(), Some(at(100)));
        let first = drain(&mut recorder);
        let lost: Vec<_> = first[0].2.iter().map(|entry| entry.1.is_some()).collect();
        assert_eq!((first[0].0, lost), (10, vec![true, true, false, true]));
        recorder.handle_packet(at(120), packet(12, at(120)));
        recorder.handle_packet(at(121), packet(14, at(121)));
        let second = drain(&mut recorder);
        assert_eq!((second[0].0, second[0].1), (12, 1));
        assert_eq!(second[0].2[0], (12, Some(ticks(at(120)))));
        assert_eq!(second[0].2[1], (13, Some(ticks(at(15)))), "a negative delta follows");
        assert!(drain(&mut recorder).is_empty());
    }

    #[test]
    fn an_arrival_beyond_the_late_limit_is_not_told_again() {
        let mut recorder = FeedbackRecorder::default();
        let at = Time::from_millis;
        recorder.handle_packet(at(0), packet(1, at(0)));
        recorder.handle_packet(at(10), packet(3, at(10)));
        drain(&mut recorder);
        recorder.handle_packet(at(700), packet(2, at(700)));
        assert!(drain(&mut recorder).is_empty());
        assert_eq!(recorder.poll_timeout(), None);
    }

    #[test]
    fn many_pending_packets_go_out_early_and_duplicates_do_not_count() {
        let mut recorder = FeedbackRecorder::default();
        let at = Time::from_millis(1);
        for _ in 0..200 {
            recorder.handle_packet(at, packet(1, at));
        }
        assert_eq!(recorder.poll_timeout(), Some(Time::from_millis(101)));
        for number in 2..=65 {
            recorder.handle_packet(at, packet(number, at));
        }
        assert_eq!(recorder.poll_timeout(), Some(at));
    }

    #[test]
    fn a_fast_stream_is_reported_every_fifty_milliseconds() {
        let mut recorder = FeedbackRecorder::default();
        let mut sent = Vec::new();
        for packet_index in 0..600u64 {
            let now = Time(packet_index * 2_000_000);
            if recorder.poll_timeout().is_some_and(|due| due <= now) {
                sent.push(now.as_millis());
                drain(&mut recorder);
            }
            recorder.handle_packet(now, packet(packet_index as u16, now));
        }
        let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps[1..].iter().all(|gap| (50..=54).contains(gap)), "{gaps:?}");
    }

    #[test]
    fn a_jump_beyond_the_window_begins_a_new_one() {
        let mut recorder = FeedbackRecorder::default();
        let at = Time::from_millis;
        recorder.handle_packet(at(0), packet(0, at(0)));
        recorder.handle_packet(at(1), packet(5_000, at(1)));
        let reports = drain(&mut recorder);
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].2, [(5_000, Some(ticks(at(1))))]);
    }

    proptest! {
        #[test]
        fn the_last_report_of_each_number_equals_the_arrival_table(
            start: u16,
            steps in proptest::collection::vec((0u16..5, -30i64..400, 0u8..20), 1..500),
        ) {
            let mut recorder = FeedbackRecorder::default();
            let mut table = BTreeMap::new();
            let mut told = BTreeMap::new();
            let (mut head, mut clock) = (u64::from(start) + 1_000, 50_000_000u64);
            for (skip, advance, flush) in steps {
                // Jitter of arrivals goes both ways by up to 30 quarter milliseconds.
                head += u64::from(skip);
                clock = clock.saturating_add_signed(advance.max(0) * 100_000);
                let arrival = Time(clock.saturating_add_signed(advance.min(0) * TICK_NS as i64));
                recorder.handle_packet(Time(clock), packet(head as u16, arrival));
                table.entry(head).or_insert(ticks(arrival));
                if flush == 0 {
                    for (_, _, arrivals) in drain(&mut recorder) {
                        told.extend(arrivals);
                    }
                }
            }
            for (_, _, arrivals) in drain(&mut recorder) {
                told.extend(arrivals);
            }
            for (n, ticks) in table {
                prop_assert_eq!(told.get(&(n as u16)), Some(&Some(ticks)), "number {}", n);
            }
        }
    }
}
