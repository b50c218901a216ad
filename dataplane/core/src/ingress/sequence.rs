//! Extended sequence numbers and time stamps of one RTP stream, duplicates, and proof of a restart.
//!
//! In: 16- and 32-bit wire fields of authenticated packets. Out: 64-bit numbers and a [`Placement`].
//! Restart follows RFC 3550 appendix A.1: a jump is believed when its successor arrives.

/// Numbers whose arrival is remembered.
pub const WINDOW: u64 = 2_048;

/// A forward gap from here on is suspicious.
pub const MAX_DROPOUT: u16 = 3_000;

/// A backward distance from here on is suspicious.
pub const MAX_MISORDER: u16 = 1_500;

/// Where the 64-bit numbers of a stream start, so that early reordering cannot go below zero.
const FIRST: u64 = 1 << 32;

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The highest number so far; `gap` numbers before it are missing.
    Newest {
        /// Its number.
        n: u64,
        /// How many numbers were skipped.
        gap: u64,
    },
    /// Behind the newest and not seen before.
    Late {
        /// Its number.
        n: u64,
    },
    /// Seen before.
    Duplicate,
    /// Behind the window.
    TooOld,
    /// A jump; the packet is given up unless its successor proves a restart.
    Held,
    /// The stream restarted with the packet before this one; numbers begin anew.
    Restart {
        /// Its number; the held packet, which is missing, has the one before.
        n: u64,
    },
}

/// Sequence numbers of one stream.
#[derive(Clone, Debug)]
pub struct Sequencer {
    newest: Option<u64>,
    seen: [u64; (WINDOW / 64) as usize],
    held: Option<u16>,
    generation: u8,
}

impl Default for Sequencer {
    fn default() -> Self {
        Self { newest: None, seen: [0; (WINDOW / 64) as usize], held: None, generation: 0 }
    }
}

impl Sequencer {
    /// Places an original packet. `stale` says that its time stamp belongs to what was sent a while ago:
    /// such a packet is late, never the start of something new.
    pub fn place(&mut self, sequence: u16, stale: bool) -> Placement {
        let Some(newest) = self.newest else {
            return Placement::Newest { n: self.begin(sequence), gap: 0 };
        };
        let step = sequence.wrapping_sub(newest as u16) as i16;
        let suspicious = match step {
            1.. => step.unsigned_abs() >= MAX_DROPOUT,
            _ => step.unsigned_abs() >= MAX_MISORDER && !stale,
        };
        if !suspicious {
            self.held = None;
            return self.put(newest, step);
        }
        if self.held.is_some_and(|held| sequence == held.wrapping_add(1)) {
            self.restart();
            self.newest = Some(FIRST + u64::from(sequence.wrapping_sub(1)));
            let n = FIRST + u64::from(sequence.wrapping_sub(1)) + 1;
            self.advance(n);
            return Placement::Restart { n };
        }
        self.held = Some(sequence);
        Placement::Held
    }

    /// Places a packet that came by retransmission: it cannot jump, so nothing is held.
    pub fn place_repaired(&mut self, sequence: u16) -> Placement {
        let Some(newest) = self.newest else { return Placement::TooOld };
        let step = sequence.wrapping_sub(newest as u16) as i16;
        if step > 0 && step.unsigned_abs() >= MAX_DROPOUT {
            return Placement::TooOld;
        }
        self.put(newest, step)
    }

    /// Forgets the numbers; the next packet begins a new generation.
    pub fn restart(&mut self) {
        let generation = self.generation.wrapping_add(1);
        *self = Self { generation, ..Self::default() };
    }

    /// Rises with each restart.
    pub fn generation(&self) -> u8 {
        self.generation
    }

    /// The highest number.
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    fn begin(&mut self, sequence: u16) -> u64 {
        let n = FIRST + u64::from(sequence);
        self.newest = Some(n - 1);
        self.advance(n);
        n
    }

    fn put(&mut self, newest: u64, step: i16) -> Placement {
        let n = newest.saturating_add_signed(i64::from(step));
        if step > 0 {
            self.advance(n);
            return Placement::Newest { n, gap: n - newest - 1 };
        }
        if newest - n >= WINDOW {
            return Placement::TooOld;
        }
        let (word, bit) = slot(n);
        if self.seen[word] & bit != 0 {
            return Placement::Duplicate;
        }
        self.seen[word] |= bit;
        Placement::Late { n }
    }

    /// Makes `n` the newest, forgetting the numbers that leave the window.
    fn advance(&mut self, n: u64) {
        let newest = self.newest.unwrap_or(n);
        if n - newest >= WINDOW {
            self.seen = [0; (WINDOW / 64) as usize];
        } else {
            for skipped in newest + 1..n {
                let (word, bit) = slot(skipped);
                self.seen[word] &= !bit;
            }
        }
        let (word, bit) = slot(n);
        self.seen[word] |= bit;
        self.newest = Some(n);
    }
}

fn slot(n: u64) -> (usize, u64) {
    let index = n % WINDOW;
    ((index / 64) as usize, 1 << (index % 64))
}

/// Time stamps of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timestamps {
    newest: Option<u64>,
}

impl Timestamps {
    /// The 64-bit form of `timestamp`; remembers it if it is ahead.
    pub fn unwrap(&mut self, timestamp: u32) -> u64 {
        let t = self.near(timestamp).unwrap_or(FIRST + u64::from(timestamp));
        self.newest = Some(self.newest.map_or(t, |newest| newest.max(t)));
        t
    }

    /// The 64-bit form of a time stamp that lies around the newest one; `None` before any packet.
    pub fn near(&self, timestamp: u32) -> Option<u64> {
        self.newest.map(|newest| newest.saturating_add_signed(self.step(timestamp)))
    }

    /// How far `timestamp` lies ahead of the newest, RTP ticks.
    pub fn step(&self, timestamp: u32) -> i64 {
        self.newest.map_or(0, |newest| i64::from(timestamp.wrapping_sub(newest as u32) as i32))
    }

    /// The newest time stamp.
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_single_jump_is_held_and_its_successor_proves_a_restart() {
        let mut sequencer = Sequencer::default();
        assert!(matches!(sequencer.place(100, false), Placement::Newest { gap: 0, .. }));
        assert_eq!(sequencer.place(40_000, false), Placement::Held);
        assert!(matches!(sequencer.place(101, false), Placement::Newest { gap: 0, .. }));
        assert_eq!(sequencer.place(40_001, false), Placement::Held, "the proof was interrupted");
        let Placement::Restart { n } = sequencer.place(40_002, false) else { panic!("no restart") };
        assert_eq!((n & 0xFFFF, sequencer.generation()), (40_002, 1));
        assert_eq!(sequencer.place_repaired(40_001), Placement::Late { n: n - 1 });
    }

    #[test]
    fn gaps_up_to_the_limit_are_gaps_and_beyond_are_jumps() {
        let mut sequencer = Sequencer::default();
        sequencer.place(0, false);
        let gap = u64::from(MAX_DROPOUT) - 2;
        assert!(
            matches!(sequencer.place(MAX_DROPOUT - 1, false), Placement::Newest { gap: g, .. } if g == gap)
        );
        assert_eq!(sequencer.place(2 * MAX_DROPOUT - 1, false), Placement::Held);
    }

    #[test]
    fn stale_packets_are_late_and_never_a_restart() {
        let mut sequencer = Sequencer::default();
        sequencer.place(10_000, false);
        for sequence in [7_000, 7_001, 7_002] {
            assert_eq!(sequencer.place(sequence, true), Placement::TooOld);
        }
        assert_eq!(sequencer.place(7_003, false), Placement::Held);
        assert_eq!(sequencer.generation(), 0);
    }

    #[test]
    fn a_backward_restart_is_believed_when_time_stamps_do_not_fit_the_past() {
        let mut sequencer = Sequencer::default();
        sequencer.place(10_000, false);
        assert_eq!(sequencer.place(5, false), Placement::Held);
        assert!(matches!(sequencer.place(6, false), Placement::Restart { .. }));
        assert_eq!(sequencer.place(6, false), Placement::Duplicate);
    }

    #[test]
    fn the_first_of_original_and_repair_wins() {
        let mut sequencer = Sequencer::default();
        sequencer.place(1, false);
        sequencer.place(3, false);
        assert!(matches!(sequencer.place_repaired(2), Placement::Late { .. }));
        assert_eq!(sequencer.place(2, false), Placement::Duplicate);
        assert!(matches!(sequencer.place(5, false), Placement::Newest { gap: 1, .. }));
        assert!(matches!(sequencer.place(4, false), Placement::Late { .. }));
        assert_eq!(sequencer.place_repaired(4), Placement::Duplicate);
    }

    #[test]
    fn a_repair_before_any_original_or_far_ahead_is_refused() {
        let mut sequencer = Sequencer::default();
        assert_eq!(sequencer.place_repaired(7), Placement::TooOld);
        sequencer.place(7, false);
        assert_eq!(sequencer.place_repaired(7 + MAX_DROPOUT), Placement::TooOld);
    }

    #[test]
    fn time_stamps_unwrap_in_both_directions() {
        let mut timestamps = Timestamps::default();
        let first = timestamps.unwrap(u32::MAX - 10);
        assert_eq!(timestamps.unwrap(5), first + 16);
        assert_eq!(timestamps.unwrap(u32::MAX - 20), first - 10);
        assert_eq!(timestamps.newest(), Some(first + 16));
        assert_eq!(timestamps.near(6), Some(first + 17));
    }

    proptest! {
        #[test]
        fn numbers_agree_with_a_model_under_reordering_loss_and_duplication(
            start: u16, steps in proptest::collection::vec((-40i64..60, any::<bool>()), 1..600),
        ) {
            let mut sequencer = Sequencer::default();
            let mut model = HashSet::new();
            let mut head = 1_000_000 + i64::from(start);
            let origin = head;
            let mut newest = head;
            for (index, (step, ahead)) in steps.into_iter().enumerate() {
                let n = if index == 0 { head } else if ahead { head + step.abs() } else { head + step };
                head = head.max(n);
                let placement = sequencer.place((n - 1_000_000) as u16, false);
                let expected = FIRST.saturating_add_signed(n - origin + i64::from(start));
                match placement {
                    Placement::Newest { n: got, gap } => {
                        prop_assert_eq!(got, expected);
                        prop_assert!(index == 0 || n > newest);
                        prop_assert_eq!(gap as i64, (n - newest - 1).max(0));
                        newest = n;
                    }
                    Placement::Late { n: got } => {
                        prop_assert_eq!(got, expected);
                        prop_assert!(n < newest && !model.contains(&n));
                    }
                    Placement::Duplicate => prop_assert!(model.contains(&n)),
                    other => prop_assert!(false, "{other:?}"),
                }
                model.insert(n);
            }
        }
    }
}
