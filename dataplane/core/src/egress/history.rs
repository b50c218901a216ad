//! What a leg sent under each of its last numbers, in few bytes: the payload stays in the stream's
//! [`super::store::Store`], shared by all legs.

use super::gate::Patch;
use super::sequence::Source;
use crate::time::Time;

/// Entries per leg: four seconds at 2.5 Mbit/s in packets of 1,200 bytes.
const ENTRIES: usize = 1_024;

/// One packet that was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Low bits of the output number.
    n: u32,
    /// Low bits of the input number.
    pub input: u32,
    /// Output time stamp.
    pub t: u32,
    /// Codec numbers.
    pub patch: Patch,
    /// When it was first sent, milliseconds.
    pub first_ms: u32,
    /// When it was last sent again; meaningful once `tries` is not 0.
    pub again_ms: u32,
    /// Where it came from.
    pub source: Source,
    /// Index of its payload type in the leg's table, marker in the highest bit.
    format: u8,
    /// How often it was sent again.
    pub tries: u8,
    /// It filled a hole that the receiver had seen: what is asked meanwhile was asked before it came.
    pub late: bool,
}

const MARKER: u8 = 0x80;

impl Sent {
    /// An entry for a packet that goes out now.
    pub fn new(now: Time, place: (u64, u64), t: u64, patch: Patch) -> Self {
        let (n, input) = place;
        let source = Source { stream: 0, generation: 0 };
        Self {
            n: n as u32,
            input: input as u32,
            t: t as u32,
            patch,
            first_ms: now.as_millis() as u32,
            again_ms: 0,
            source,
            format: 0,
            tries: 0,
            late: false,
        }
    }

    /// When it was last sent, milliseconds, if a question about it may have crossed it on its way.
    pub fn crossing_ms(&self) -> Option<u32> {
        match (self.tries, self.late) {
            (0, false) => None,
            (0, true) => Some(self.first_ms),
            _ => Some(self.again_ms),
        }
    }

    /// The same with its source and form.
    #[must_use]
    pub fn from(mut self, source: Source, payload: usize, marker: bool) -> Self {
        self.source = source;
        self.format = payload as u8 | if marker { MARKER } else { 0 };
        self
    }

    /// Index into the leg's payload types.
    pub fn payload(&self) -> usize {
        usize::from(self.format & !MARKER)
    }

    /// Marker bit as sent.
    pub fn marker(&self) -> bool {
        self.format & MARKER != 0
    }
}

/// The last packets of one leg, by output number.
#[derive(Debug)]
pub struct History {
    entries: Box<[Option<Sent>]>,
}

impl Default for History {
    fn default() -> Self {
        Self { entries: vec![None; ENTRIES].into_boxed_slice() }
    }
}

impl History {
    /// Notes a packet under its output number.
    pub fn put(&mut self, sent: Sent) {
        self.entries[sent.n as usize % ENTRIES] = Some(sent);
    }

    /// What was sent under `n`, if it is still known.
    pub fn get(&mut self, n: u64) -> Option<&mut Sent> {
        self.entries[n as u32 as usize % ENTRIES].as_mut().filter(|sent| sent.n == n as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_no_more_than_forty_bytes() {
        assert!(std::mem::size_of::<Option<Sent>>() <= 40);
    }

    #[test]
    fn a_number_finds_its_packet_until_a_later_one_takes_the_place() {
        let mut history = History::default();
        let sent = |n| Sent::new(Time(0), (n, n + 7), 0, Patch::None);
        let source = Source { stream: 2, generation: 1 };
        history.put(sent(5).from(source, 3, true));
        let found = history.get(5).copied().unwrap();
        assert_eq!((found.input, found.payload(), found.marker()), (12, 3, true));
        assert_eq!(found.source, source);
        assert!(history.get(6).is_none());
        history.put(sent(5 + ENTRIES as u64));
        assert!(history.get(5).is_none());
    }
}
