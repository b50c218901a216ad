//! Collects RTCP packets into as few datagrams as they fit.
//!
//! In: packets one by one. Out: full datagrams, handed to whoever sends. Nothing is sent by itself.

use crate::rtcp::Write;
use crate::sink::MAX_PACKET;

/// The datagram at hand.
#[derive(Debug)]
pub(super) struct Datagrams {
    buffer: [u8; MAX_PACKET],
    length: usize,
}

impl Datagrams {
    pub(super) fn new() -> Self {
        Self { buffer: [0; MAX_PACKET], length: 0 }
    }

    /// Appends `packet`; a datagram that has no room for it is sent first.
    pub(super) fn add(&mut self, packet: &impl Write, send: impl FnMut(&[u8])) {
        if let Some(written) = packet.write(&mut self.buffer[self.length..]) {
            self.length += written;
            return;
        }
        self.finish(send);
        self.length = packet.write(&mut self.buffer).unwrap_or(0);
    }

    /// Sends what was collected.
    pub(super) fn finish(&mut self, mut send: impl FnMut(&[u8])) {
        if self.length > 0 {
            send(&self.buffer[..self.length]);
            self.length = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::pli::Pli;

    #[test]
    fn a_full_datagram_is_sent_and_the_next_one_begins_with_what_did_not_fit() {
        let mut sent = Vec::new();
        let mut datagrams = Datagrams::new();
        for media in 0..200 {
            datagrams.add(&Pli { sender: 1, media }, |bytes| sent.push(bytes.len()));
        }
        datagrams.finish(|bytes| sent.push(bytes.len()));
        datagrams.finish(|bytes| sent.push(bytes.len()));
        assert_eq!(sent, [1_452, 200 * 12 - 1_452]);
    }
}
