//! Transport-wide numbers (draft-holmer-rmcat-transport-wide-cc-extensions-01): one fresh number per packet
//! of a transport, given in wire order, and what was sent under it, so that feedback can be joined.

use crate::rtcp::twcc::{Feedback, TICK_NS};
use crate::time::Time;

/// Packets that are remembered, 32 KiB: 0.7 s at 30 Mbit/s, and feedback comes every 100 ms.
const ENTRIES: usize = 2_048;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    sent_at: Time,
    /// Low bits of the number.
    number: u32,
    bytes: u16,
    acknowledged: bool,
}

/// A packet that feedback speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Unwrapped transport-wide number.
    pub number: u64,
    /// When it was sent.
    pub sent_at: Time,
    /// Sealed bytes.
    pub bytes: u16,
    /// When it arrived, on the receiver's clock of unknown origin, nanoseconds; `None` if it was reported
    /// missing.
    pub arrived: Option<i64>,
}

/// What feedback said in total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WideCounters {
    /// Packets that arrived.
    pub acknowledged: u64,
    /// Packets that were reported missing (and may have been reported again).
    pub missing: u64,
    /// Numbers that were never sent, or too long ago.
    pub unknown: u64,
}

/// The numbers of one transport.
#[derive(Debug)]
pub struct Wide {
    next: u64,
    entries: Box<[Entry]>,
    counters: WideCounters,
}

impl Default for Wide {
    fn default() -> Self {
        Self {
            next: 1,
            entries: vec![Entry::default(); ENTRIES].into_boxed_slice(),
            counters: WideCounters::default(),
        }
    }
}

impl Wide {
    /// The number for the next packet; it is used up by [`Wide::sent`].
    pub fn next(&self) -> u16 {
        self.next as u16
    }

    /// The packet with the next number went out.
    pub fn sent(&mut self, now: Time, bytes: usize) {
        let number = self.next as u32;
        let entry = Entry { sent_at: now, number, bytes: bytes as u16, acknowledged: false };
        self.entries[self.next as usize % ENTRIES] = entry;
        self.next += 1;
    }

    /// Hands every packet that `feedback` speaks of to `take`, in the order of sending. A packet that was
    /// reported to have arrived stays so.
    pub fn join(&mut self, feedback: &Feedback<'_>, mut take: impl FnMut(Joined)) {
        let step = feedback.base.wrapping_sub(self.next as u16) as i16;
        let base = self.next.saturating_add_signed(i64::from(step));
        for (offset, (_, arrived)) in (0..).zip(feedback.arrivals()) {
            let number = base + offset;
            let entry = &mut self.entries[number as usize % ENTRIES];
            if number == 0 || entry.number != number as u32 {
                self.counters.unknown += 1;
                continue;
            }
            if entry.acknowledged {
                continue;
            }
            entry.acknowledged = arrived.is_some();
            match arrived {
                Some(_) => self.counters.acknowledged += 1,
                None => self.counters.missing += 1,
            }
            let Entry { sent_at, bytes, .. } = *entry;
            let arrived = arrived.map(|ticks| ticks * TICK_NS as i64);
            take(Joined { number, sent_at, bytes, arrived });
        }
    }

    /// Totals.
    pub fn counters(&self) -> WideCounters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::twcc::FeedbackOut;

    fn joined(wide: &mut Wide, base: u16, arrivals: &[Option<u64>]) -> Vec<Joined> {
        let mut bytes = [0; 256];
        let feedback = FeedbackOut { sender: 1, media: 0, count: 0, base, arrivals };
        let length = crate::rtcp::Write::write(&feedback, &mut bytes).unwrap();
        let compound = crate::rtcp::Compound::parse(&bytes[..length]).unwrap();
        let mut found = Vec::new();
        for packet in &compound {
            if let Ok(crate::rtcp::Packet::TransportFeedback(feedback)) = packet {
                wide.join(&feedback, |packet| found.push(packet));
            }
        }
        found
    }

    fn sent(count: usize) -> Wide {
        let mut wide = Wide::default();
        for index in 0..count {
            wide.sent(Time::from_millis(index as u64), 1_000 + index % 100);
        }
        wide
    }

    #[test]
    fn feedback_finds_what_was_sent_under_each_number() {
        let mut wide = sent(10);
        let found = joined(&mut wide, 5, &[Some(4), None, Some(8)]);
        let numbers: Vec<_> = found.iter().map(|packet| packet.number).collect();
        assert_eq!(numbers, [5, 6, 7]);
        assert_eq!(found[0].sent_at, Time::from_millis(4));
        assert_eq!(found[2].arrived.unwrap() - found[0].arrived.unwrap(), 1_000_000);
        assert_eq!(found[1].arrived, None);
    }

    #[test]
    fn a_packet_reported_missing_may_be_reported_again_but_not_the_other_way_round() {
        let mut wide = sent(10);
        joined(&mut wide, 5, &[Some(4), None, Some(5)]);
        let again = joined(&mut wide, 5, &[None, Some(8), None]);
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].number, 6);
        let counters = wide.counters();
        assert_eq!((counters.acknowledged, counters.missing), (3, 1));
    }

    #[test]
    fn numbers_never_sent_or_long_forgotten_are_counted_as_unknown() {
        let mut wide = sent(70_000);
        assert_eq!(joined(&mut wide, (70_001 - ENTRIES - 2) as u16, &[Some(4); 2]), []);
        assert_eq!(wide.counters().unknown, 2);
        assert_eq!(joined(&mut wide, 70_000u32 as u16, &[Some(4); 2]).len(), 1);
        assert_eq!(wide.counters().unknown, 3);
    }
}
