//! Transport-wide numbers (draft-holmer-rmcat-transport-wide-cc-extensions-01): one fresh number per packet
//! of a transport, given in wire order, and what was sent under it, so that feedback can be joined.

use std::time::Duration;

use crate::rtcp::twcc::Feedback;
use crate::time::Time;

/// Packets that are remembered: 1.5 s at 30 Mbit/s, and feedback comes every 100 ms.
const ENTRIES: usize = 4_096;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    number: u64,
    sent_at: Time,
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
        let entry = Entry { number: self.next, sent_at: now, bytes: bytes as u16, acknowledged: false };
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
            if number == 0 || entry.number != number {
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
            take(Joined { number, sent_at, bytes, arrived });
        }
    }

    /// Totals.
    pub fn counters(&self) -> WideCounters {
        self.counters
    }
}

/// The least round trip that one feedback packet proves: its newest arrival answered at once.
pub fn round_trip(now: Time, joined: impl Iterator<Item = Joined>) -> Option<Duration> {
    joined.filter(|packet| packet.arrived.is_some()).map(|packet| now.since(packet.sent_at)).min()
}
