//! Receiver estimated maximum bit rate (draft-alvestrand-rmcat-remb-03): fallback of peers without
//! transport-wide feedback.

use super::{feedback_head, format, head, kind, Write};
use crate::wire::{put, u24_at, u32_at, u8_at};

/// Identifies REMB among application layer feedback.
const NAME: &[u8; 4] = b"REMB";

/// A receiver's estimate.
#[derive(Clone, Copy, Debug)]
pub struct Remb<'a> {
    /// Who estimates.
    pub sender: u32,
    /// Bits per second for all of `ssrcs` together.
    pub bitrate: u64,
    ssrcs: &'a [u8],
}

impl<'a> Remb<'a> {
    /// Whether application layer feedback calls itself REMB.
    pub(super) fn claims(body: &[u8]) -> bool {
        body.get(8..12) == Some(NAME)
    }

    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, _) = feedback_head(body)?;
        let count = usize::from(u8_at(body, 12)?);
        let word = u24_at(body, 13)?;
        let (exponent, mantissa) = (word >> 18, u64::from(word & 0x3_FFFF));
        // An exponent that shifts bits out of 64 means "no limit".
        let bitrate = if exponent > 46 { u64::MAX } else { mantissa << exponent };
        Some(Self { sender, bitrate, ssrcs: body.get(16..16 + 4 * count)? })
    }

    /// The sources that the estimate covers.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + 'a {
        self.ssrcs.chunks_exact(4).filter_map(|chunk| u32_at(chunk, 0))
    }
}

/// An estimate to be sent.
#[derive(Clone, Copy, Debug)]
pub struct RembOut<'a> {
    /// Who estimates.
    pub sender: u32,
    /// Bits per second; the wire form keeps 18 significant bits and rounds down.
    pub bitrate: u64,
    /// The sources, at most 255.
    pub ssrcs: &'a [u32],
}

impl Write for RembOut<'_> {
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        let count = u8::try_from(self.ssrcs.len()).ok()?;
        let exponent = (64 - self.bitrate.leading_zeros()).saturating_sub(18);
        let word = (exponent << 18) | (self.bitrate >> exponent) as u32;
        put(out, 4, &self.sender.to_be_bytes())?;
        put(out, 8, &[0; 4])?;
        put(out, 12, NAME)?;
        put(out, 16, &[count, (word >> 16) as u8, (word >> 8) as u8, word as u8])?;
        for (index, ssrc) in self.ssrcs.iter().enumerate() {
            put(out, 20 + 4 * index, &ssrc.to_be_bytes())?;
        }
        head(out, format::APPLICATION, kind::PSFB, 20 + 4 * self.ssrcs.len())
    }
}
