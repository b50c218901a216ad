//! Send slots of one batch, chained per destination so that a receiver's packets leave as one run (UDP GSO).

use crate::association::Path;

/// Bytes of one send slot: packet, SRTP trailer and a little room.
pub const SLOT: usize = 1_536;

/// The packets of the batch at hand.
#[derive(Debug, Default)]
pub struct Outbox {
    packets: Vec<(Path, Vec<u8>)>,
}

impl Outbox {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Hands each run of equal-sized packets (the last may be shorter) for one destination to `send`, in
    /// order, then forgets them all.
    pub fn drain(&mut self, mut send: impl FnMut(Path, &[&[u8]])) {
        for (path, packet) in self.packets.drain(..) {
            send(path, &[&packet]);
        }
    }
}
