//! What is missing of one stream and when to ask for it (RFC 4585 section 6.2.1).
//!
//! In: gaps, arrivals, key frames, time. Out: the numbers that are due. It asks at once unless the network
//! reorders, repeats with growing patience, and gives up on what nobody can use any more.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// Numbers that may be missing at once: a second of video at 500 packets per second.
pub const MAX_MISSING: usize = 512;

/// Requests for one packet.
pub const MAX_TRIES: u8 = 10;

/// After this a packet is of no use.
pub const MAX_AGE: Duration = Duration::from_secs(1);

/// Largest delay before the first request.
const MAX_DELAY: Duration = Duration::from_millis(20);

/// How long a late arrival keeps the first request waiting.
const REORDER_MEMORY: Duration = Duration::from_secs(10);

/// Late arrivals whose lateness is remembered.
const SAMPLES: usize = 32;

/// Limits of the time between two requests for one packet.
const MIN_REPEAT: Duration = Duration::from_millis(20);
const MAX_REPEAT: Duration = Duration::from_millis(400);

#[derive(Clone, Copy, Debug)]
struct Missing {
    n: u64,
    first_seen: Time,
    due: Time,
    tries: u8,
}

/// The missing packets of one stream.
#[derive(Clone, Debug, Default)]
pub struct NackGenerator {
    /// Ordered by number.
    missing: VecDeque<Missing>,
    /// Lateness of late arrivals, newest last, with their times.
    lateness: VecDeque<(Time, Duration)>,
    next: Option<Time>,
}

impl NackGenerator {
    /// Numbers `from..to` were skipped. False, and all is forgotten, if too many are missing: then only a
    /// key frame helps.
    pub fn handle_gap(&mut self, now: Time, from: u64, to: u64) -> bool {
        let delay = self.delay(now);
        self.insert(now, from, to, delay)
    }

    /// The same for a gap in front of a packet that was repaired ahead of its originals, which may well
    /// still be on their way.
    pub fn handle_overtaken(&mut self, now: Time, from: u64, to: u64) -> bool {
        self.insert(now, from, to, MAX_DELAY)
    }

    fn insert(&mut self, now: Time, from: u64, to: u64, delay: Duration) -> bool {
        if self.missing.len() as u64 + (to - from) > MAX_MISSING as u64 {
            self.clear();
            return false;
        }
        // Once, at the first loss; it never grows beyond.
        self.missing.reserve_exact(MAX_MISSING - self.missing.len());
        let due = now + delay;
        self.missing.extend((from..to).map(|n| Missing { n, first_seen: now, due, tries: 0 }));
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
        true
    }

    /// A missing packet may have arrived. `reordered` says that it came by itself, not because of a request.
    /// Whether it had been asked for.
    pub fn handle_arrival(&mut self, now: Time, n: u64, reordered: bool) -> bool {
        let found = self.missing.binary_search_by_key(&n, |missing| missing.n).ok();
        let Some(missing) = found.and_then(|index| self.missing.remove(index)) else {
            return false;
        };
        if reordered || missing.tries == 0 {
            if self.lateness.len() == SAMPLES {
                self.lateness.pop_front();
            }
            self.lateness.push_back((now, now.since(missing.first_seen)));
        }
        self.next = self.earliest();
        missing.tries > 0
    }

    /// A key frame begins at `n`: nothing before it is needed.
    pub fn handle_keyframe(&mut self, n: u64) {
        let outdated = self.missing.partition_point(|missing| missing.n < n);
        if outdated > 0 {
            self.missing.drain(..outdated);
            self.next = self.earliest();
        }
    }

    /// How many packets may still come because they were asked for, or soon will be.
    pub fn outstanding(&self) -> u64 {
        self.missing.len() as u64
    }

    /// Forgets what is missing.
    pub fn clear(&mut self) {
        self.missing.clear();
        self.next = None;
    }

    /// When [`NackGenerator::take_due`] next has something to say.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.next
    }

    /// Writes due numbers into `out` as sequence numbers; returns how many. What does not fit stays due.
    pub fn take_due(
        &mut self,
        now: Time,
        rtt: Duration,
        jitter: Duration,
        out: &mut [u16],
    ) -> usize {
        if self.next.is_none_or(|next| next > now) {
            return 0;
        }
        self.missing.retain(|missing| {
            missing.tries < MAX_TRIES && now.since(missing.first_seen) <= MAX_AGE
        });
        let mut count = 0;
        for missing in self.missing.iter_mut().filter(|missing| missing.due <= now) {
            let Some(slot) = out.get_mut(count) else { break };
            *slot = missing.n as u16;
            missing.due = now + repeat_after(missing.tries, rtt, jitter);
            missing.tries += 1;
            count += 1;
        }
        self.next = self.earliest();
        count
    }

    fn earliest(&self) -> Option<Time> {
        self.missing.iter().map(|missing| missing.due).min()
    }

    /// Delay before the first request: none on a network that keeps order, else what covers the usual
    /// lateness.
    fn delay(&self, now: Time) -> Duration {
        let recent = self.lateness.iter().filter(|(at, _)| now.since(*at) <= REORDER_MEMORY);
        let mut recent: [Duration; SAMPLES] = {
            let mut sorted = [Duration::ZERO; SAMPLES];
            for (slot, (_, lateness)) in sorted.iter_mut().zip(recent) {
                *slot = *lateness;
            }
            sorted
        };
        // Empty slots are zero and sort to the front, so the 95th percentile is counted from the end.
        recent.sort_unstable();
        let filled = recent.iter().filter(|lateness| !lateness.is_zero()).count();
        let worst = recent[SAMPLES - 1 - filled / 20];
        (worst * 3 / 2).min(MAX_DELAY)
    }
}

/// Patience after the request number `tries` (counted from zero): the round trip, growing by a quarter.
fn repeat_after(tries: u8, rtt: Duration, jitter: Duration) -> Duration {
    let mut wait = rtt;
    for _ in 0..tries {
        wait = wait * 5 / 4;
    }
    (wait + jitter).clamp(MIN_REPEAT, MAX_REPEAT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn due(nack: &mut NackGenerator, now: Time) -> Vec<u16> {
        let mut out = [0; 64];
        let count = nack.take_due(now, RTT, Duration::ZERO, &mut out);
        out[..count].to_vec()
    }

    #[test]
    fn a_loss_trace_asks_for_exactly_what_is_lost_and_each_at_most_ten_times() {
        let mut nack = NackGenerator::default();
        let mut asked: BTreeMap<u16, u8> = BTreeMap::new();
        let lost = |n: u64| n % 17 == 3 || (200..210).contains(&n);
        let mut newest = 0;
        for n in 1..=400u64 {
            let now = Time::from_millis(n * 5);
            if !lost(n) {
                if n > newest + 1 {
                    assert!(nack.handle_gap(now, newest + 1, n));
                }
                newest = n;
            }
            for sequence in due(&mut nack, now) {
                *asked.entry(sequence).or_default() += 1;
            }
        }
        let expected: Vec<u16> = (1..400).filter(|&n| lost(n)).map(|n| n as u16).collect();
        assert_eq!(asked.keys().copied().collect::<Vec<_>>(), expected);
        assert!(asked.values().all(|&tries| tries <= MAX_TRIES));
        assert!(asked[&3] >= 5, "asked {} times within a second", asked[&3]);
    }

    #[test]
    fn repeats_wait_for_the_round_trip_and_grow() {
        let mut nack = NackGenerator::default();
        nack.handle_gap(Time::from_millis(0), 5, 6);
        let mut times = Vec::new();
        for ms in 0..1_100 {
            if !due(&mut nack, Time::from_millis(ms)).is_empty() {
                times.push(ms);
            }
        }
        assert_eq!(times[0..3], [0, 50, 113]);
        let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
        assert!(times.iter().all(|&ms| ms <= 1_000), "{times:?}");
    }

    #[test]
    fn what_arrives_is_not_asked_again_and_reordering_delays_the_first_request() {
        let mut nack = NackGenerator::default();
        nack.handle_gap(Time::from_millis(0), 5, 6);
        assert_eq!(due(&mut nack, Time::from_millis(0)), [5]);
        nack.handle_arrival(Time::from_millis(8), 5, true);
        assert!(due(&mut nack, Time::from_millis(500)).is_empty());
        nack.handle_gap(Time::from_millis(600), 9, 10);
        assert!(due(&mut nack, Time::from_millis(611)).is_empty());
        assert_eq!(due(&mut nack, Time::from_millis(612)), [9]);
        nack.clear();
        nack.handle_gap(Time::from_millis(11_000), 20, 21);
        assert_eq!(due(&mut nack, Time::from_millis(11_000)), [20], "order was kept for 10 s");
    }

    #[test]
    fn nothing_before_a_key_frame_is_asked_for() {
        let mut nack = NackGenerator::default();
        nack.handle_gap(Time::from_millis(0), 5, 8);
        nack.handle_keyframe(7);
        assert_eq!(due(&mut nack, Time::from_millis(0)), [7]);
    }

    #[test]
    fn too_many_missing_packets_are_given_up_together() {
        let mut nack = NackGenerator::default();
        assert!(nack.handle_gap(Time::from_millis(0), 0, MAX_MISSING as u64));
        assert!(!nack.handle_gap(Time::from_millis(1), 600, 601));
        assert_eq!(nack.poll_timeout(), None);
    }

    #[test]
    fn what_does_not_fit_one_message_stays_due() {
        let mut nack = NackGenerator::default();
        nack.handle_gap(Time::from_millis(0), 0, 100);
        assert_eq!(due(&mut nack, Time::from_millis(0)).len(), 64);
        assert_eq!(nack.poll_timeout(), Some(Time::from_millis(0)));
        assert_eq!(due(&mut nack, Time::from_millis(0)).len(), 36);
    }
}
