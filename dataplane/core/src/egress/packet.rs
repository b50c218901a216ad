//! Writes one RTP packet of a leg: header, extension block, payload with its codec numbers rewritten.
//!
//! In: what the leg decided and the publisher's packet. Out: plaintext in a send slot, ready to be sealed.

use super::block::{Block, Stamps};
use super::gate::Patch;
use crate::codec::vp8::MAX_DESCRIPTOR;
use crate::media::{ExtensionFacts, Span};
use crate::rtp::FIXED_HEADER;
use crate::sink::MAX_PACKET;

/// What a payload grows by at most: a full VP8 descriptor for a minimal one, an original sequence number.
const MAX_GROWTH: usize = MAX_DESCRIPTOR + 2;

/// The fixed header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Marker bit.
    pub marker: bool,
    /// Payload type on the leg.
    pub payload_type: u8,
    /// Unwrapped sequence number; its low bits go out.
    pub n: u64,
    /// Unwrapped time stamp; its low bits go out.
    pub t: u64,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl Head {
    /// Writes the fixed header with `flags` (padding 0x20, extension 0x10).
    fn write(&self, out: &mut [u8], flags: u8) {
        out[0] = 0x80 | flags;
        out[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7F;
        out[2..4].copy_from_slice(&(self.n as u16).to_be_bytes());
        out[4..8].copy_from_slice(&(self.t as u32).to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// The publisher's packet, or what was kept of it.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// The decrypted packet.
    pub bytes: &'a [u8],
    /// Its payload.
    pub payload: Span,
    /// Its extensions.
    pub extensions: &'a ExtensionFacts,
}

/// A packet to be written.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Header.
    pub head: Head,
    /// Extension block of the leg.
    pub block: &'a Block,
    /// Source of payload and extensions.
    pub original: Original<'a>,
    /// Rewritten codec numbers.
    pub patch: Patch,
    /// Original sequence number, for a retransmission (RFC 4588 section 4).
    pub osn: Option<u16>,
}

impl Outgoing<'_> {
    /// Whether such a packet fits a path's MTU for certain, also as a retransmission.
    pub fn fits(block: &Block, original: Original<'_>) -> bool {
        let payload = usize::from(original.payload.end.saturating_sub(original.payload.start));
        FIXED_HEADER + block.bound(original.extensions) + payload + MAX_GROWTH <= MAX_PACKET
    }

    /// Writes the packet at the start of `out` and returns its length.
    pub fn write(&self, out: &mut [u8], stamps: Stamps) -> usize {
        let Original { bytes, payload, extensions } = self.original;
        let block = &mut out[FIXED_HEADER..];
        let block = self.block.write(block, stamps, extensions, bytes, self.patch);
        self.head.write(out, if block > 0 { 0x10 } else { 0 });
        let mut at = FIXED_HEADER + block;
        if let Some(osn) = self.osn {
            out[at..at + 2].copy_from_slice(&osn.to_be_bytes());
            at += 2;
        }
        at + write_payload(&mut out[at..], payload.of(bytes), self.patch)
    }
}

/// Writes a packet of `padding` bytes (1 to 255) and nothing else.
pub fn write_padding(
    out: &mut [u8],
    (head, block): (&Head, &Block),
    stamps: Stamps,
    padding: u8,
) -> usize {
    let facts = ExtensionFacts::default();
    let block = block.write(&mut out[FIXED_HEADER..], stamps, &facts, &[], Patch::None);
    head.write(out, if block > 0 { 0x30 } else { 0x20 });
    let end = FIXED_HEADER + block + usize::from(padding);
    out[FIXED_HEADER + block..end].fill(0);
    out[end - 1] = padding;
    end
}

fn write_payload(out: &mut [u8], payload: &[u8], patch: Patch) -> usize {
    match patch {
        Patch::Vp8 { skip, len, bytes } => {
            let (len, rest) = (usize::from(len), &payload[usize::from(skip)..]);
            out[..len].copy_from_slice(&bytes[..len]);
            out[len..len + rest.len()].copy_from_slice(rest);
            len + rest.len()
        }
        Patch::None | Patch::Dependency { .. } => {
            out[..payload.len()].copy_from_slice(payload);
            payload.len()
        }
        Patch::Vp9 { picture_at: (at, bits), picture, tl0 } => {
            out[..payload.len()].copy_from_slice(payload);
            let at = usize::from(at);
            match bits {
                7 => out[at] = picture as u8 & 0x7F,
                15 => out[at..at + 2].copy_from_slice(&(picture | 0x8000).to_be_bytes()),
                _ => {}
            }
            if let Some((at, value)) = tl0 {
                out[usize::from(at)] = value;
            }
            payload.len()
        }
    }
}
