//! Generic NACK (RFC 4585 section 6.2.1): lost sequence numbers as (PID, BLP) pairs.

use super::{feedback_head, format, head, kind, Write};
use crate::wire::{put, u16_at};

/// Most (PID, BLP) items that are read of one NACK: each costs the sender up to 17 packets.
pub const MAX_ITEMS: usize = 256;

/// Sequence numbers that the receiver of `media` misses.
#[derive(Clone, Copy, Debug)]
pub struct Nack<'a> {
    /// Who asks.
    pub sender: u32,
    /// The source whose packets are missing.
    pub media: u32,
    items: &'a [u8],
}

impl<'a> Nack<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, media) = feedback_head(body)?;
        let items = &body[8..];
        (!items.is_empty() && items.len() % 4 == 0).then_some(Self { sender, media, items })
    }

    /// The missing sequence numbers, in the order asked; at most `17 * MAX_ITEMS`.
    pub fn sequences(&self) -> impl Iterator<Item = u16> + 'a {
        self.items.chunks_exact(4).take(MAX_ITEMS).flat_map(|item| {
            let pid = u16_at(item, 0).unwrap_or(0);
            let blp = u16_at(item, 2).unwrap_or(0);
            let following = (0..16u16).filter(move |bit| blp >> bit & 1 == 1);
            std::iter::once(pid).chain(following.map(move |bit| pid.wrapping_add(bit + 1)))
        })
    }
}

/// A NACK to be sent.
#[derive(Clone, Copy, Debug)]
pub struct NackOut<'a> {
    /// Who asks.
    pub sender: u32,
    /// The source whose packets are missing.
    pub media: u32,
    /// Missing sequence numbers, ascending modulo wrap.
    pub sequences: &'a [u16],
}

impl Write for NackOut<'_> {
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        put(out, 4, &self.sender.to_be_bytes())?;
        put(out, 8, &self.media.to_be_bytes())?;
        let mut at = 12;
        let mut rest = self.sequences;
        while let [pid, following @ ..] = rest {
            let mut blp = 0u16;
            let mut taken = 0;
            for sequence in following {
                let distance = sequence.wrapping_sub(*pid);
                if !(1..=16).contains(&distance) {
                    break;
                }
                blp |= 1 << (distance - 1);
                taken += 1;
            }
            put(out, at, &pid.to_be_bytes())?;
            put(out, at + 2, &blp.to_be_bytes())?;
            at += 4;
            rest = &following[taken..];
        }
        head(out, format::NACK, kind::RTPFB, at)
    }
}
