//! SRTP that came before the keys: the peer finishes the handshake first, and its first packets must not
//! be lost. Copies of a few datagrams for a moment; nothing is allocated for a transport that needs none.

use std::collections::VecDeque;
use std::time::Duration;

use crate::association::Path;
use crate::time::Time;

/// Datagrams that are held: a first frame of video.
const MAX_DATAGRAMS: usize = 8;
/// Bytes that are held.
const MAX_BYTES: usize = 16 * 1_024;
/// How long: the last flight of a handshake, sent again once.
const MAX_AGE: Duration = Duration::from_millis(500);

/// A datagram that came before the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// When.
    pub arrival: Time,
    /// Where from.
    pub path: Path,
    /// Its bytes, still sealed.
    pub data: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Hold {
    queue: VecDeque<Held>,
    bytes: usize,
}

impl Hold {
    /// Keeps a copy; `false` if there is no room.
    pub fn push(&mut self, arrival: Time, path: Path, datagram: &[u8]) -> bool {
        if self.queue.len() >= MAX_DATAGRAMS || self.bytes + datagram.len() > MAX_BYTES {
            return false;
        }
        self.bytes += datagram.len();
        self.queue.push_back(Held { arrival, path, data: datagram.to_vec() });
        true
    }

    /// The oldest.
    pub fn pop(&mut self) -> Option<Held> {
        let held = self.queue.pop_front()?;
        self.bytes -= held.data.len();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(held)
    }

    /// Drops what is too old; how many.
    pub fn expire(&mut self, now: Time) -> u64 {
        let mut dropped = 0;
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            self.pop();
            dropped += 1;
        }
        dropped
    }

    /// Drops all; how many.
    pub fn clear(&mut self) -> u64 {
        let dropped = self.queue.len() as u64;
        *self = Self::default();
        dropped
    }

    /// When the oldest is too old.
    pub fn deadline(&self) -> Option<Time> {
        self.queue.front().map(|held| held.arrival + MAX_AGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(hold: &mut Hold, ms: u64, len: usize) -> bool {
        let path = Path::udp(0, ([192, 0, 2, 1], 1).into());
        hold.push(Time::from_millis(ms), path, &vec![0; len])
    }

    #[test]
    fn eight_datagrams_and_sixteen_kibibytes_are_the_limit() {
        let mut hold = Hold::default();
        assert_eq!((0..20).filter(|_| push(&mut hold, 0, 100)).count(), 8);
        assert_eq!(hold.clear(), 8);
        assert_eq!((0..20).filter(|_| push(&mut hold, 0, 4_000)).count(), 4);
        assert!(hold.pop().is_some());
        assert!(push(&mut hold, 0, 4_000));
    }

    #[test]
    fn what_is_half_a_second_old_is_dropped() {
        let mut hold = Hold::default();
        push(&mut hold, 0, 10);
        push(&mut hold, 100, 10);
        assert_eq!(hold.expire(Time::from_millis(499)), 0);
        assert_eq!(hold.expire(Time::from_millis(500)), 1);
        assert_eq!(hold.deadline(), Some(Time::from_millis(600)));
    }
}
