//! Redundant audio (RFC 2198): earlier frames ride in front of the primary one.
//!
//! In: a payload. Out: its blocks as spans of the payload, the primary one last.

use crate::media::Span;
use crate::wire::{u24_at, u8_at};

/// Redundant blocks that are read of one packet; senders use one or two.
pub const MAX_REDUNDANT: usize = 8;

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its payload type.
    pub payload_type: u8,
    /// How much older than the packet's time stamp it is, RTP ticks; 0 for the primary.
    pub offset: u16,
    /// Its bytes inside the payload.
    pub data: Span,
}

/// The blocks of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    redundant: [Block; MAX_REDUNDANT],
    count: usize,
    /// The block that belongs to the packet's own time stamp.
    pub primary: Block,
}

impl Blocks {
    /// Reads the block headers of `payload`; `None` if they or their blocks overrun, or are too many.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut blocks =
            [Block { payload_type: 0, offset: 0, data: Span::default() }; MAX_REDUNDANT];
        let mut lengths = [0u16; MAX_REDUNDANT];
        let (mut at, mut count) = (0, 0);
        while u8_at(payload, at)? & 0x80 != 0 {
            let rest = u24_at(payload, at + 1)?;
            let block = blocks.get_mut(count)?;
            block.payload_type = payload[at] & 0x7F;
            block.offset = (rest >> 10) as u16;
            lengths[count] = (rest & 0x3FF) as u16;
            at += 4;
            count += 1;
        }
        let payload_type = payload[at];
        let mut start = at + 1;
        for (block, length) in blocks.iter_mut().zip(lengths).take(count) {
            let end = start + usize::from(length);
            block.data = Span { start: start as u16, end: end as u16 };
            start = end;
        }
        let end = u16::try_from(payload.len()).ok().filter(|_| start <= payload.len())?;
        let primary = Block { payload_type, offset: 0, data: Span { start: start as u16, end } };
        Some(Self { redundant: blocks, count, primary })
    }

    /// The redundant blocks, oldest first as senders order them.
    pub fn redundant(&self) -> &[Block] {
        &self.redundant[..self.count]
    }
}

/// The primary block's bytes inside `payload`: what a receiver without RED gets.
pub fn primary(payload: &[u8]) -> Option<Span> {
    Blocks::parse(payload).map(|blocks| blocks.primary.data)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One redundant block (type 111, 960 ticks older, 3 bytes), primary of 2 bytes.
    const GOLDEN: [u8; 10] = [0xEF, 0x0F, 0x00, 0x03, 0x6F, 1, 2, 3, 8, 9];

    #[test]
    fn a_packet_with_one_redundant_block_is_taken_apart() {
        let blocks = Blocks::parse(&GOLDEN).unwrap();
        let redundant = Block { payload_type: 111, offset: 960, data: Span { start: 5, end: 8 } };
        assert_eq!(blocks.redundant(), [redundant]);
        assert_eq!(blocks.primary.payload_type, 111);
        assert_eq!(blocks.primary.data.of(&GOLDEN), [8, 9]);
        assert_eq!(primary(&[0x6F, 7]).unwrap().of(&[0x6F, 7]), [7]);
    }

    #[test]
    fn truncation_before_the_primary_is_refused() {
        for length in 0..8 {
            assert_eq!(Blocks::parse(&GOLDEN[..length]), None, "{length}");
        }
        assert!(primary(&GOLDEN[..8]).unwrap().is_empty(), "an empty primary is legal (DTX)");
    }

    #[test]
    fn more_blocks_than_the_cap_are_refused() {
        let mut payload = [0xEF, 0, 0, 0].repeat(MAX_REDUNDANT + 1);
        payload.push(0x6F);
        assert_eq!(Blocks::parse(&payload), None);
    }

    proptest! {
        #[test]
        fn blocks_of_arbitrary_payloads_tile_what_follows_the_headers(
            payload in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let Some(blocks) = Blocks::parse(&payload) else { return Ok(()) };
            let mut at = blocks.redundant().len() * 4 + 1;
            for block in blocks.redundant().iter().chain([&blocks.primary]) {
                prop_assert_eq!(usize::from(block.data.start), at);
                at = usize::from(block.data.end);
            }
            prop_assert_eq!(at, payload.len());
        }
    }
}
