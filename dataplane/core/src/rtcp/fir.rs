//! Full intra request (RFC 5104 section 4.3.1): a key frame, counted so that a repeat is known as one.

use super::{feedback_head, format, head, kind, Write};
use crate::wire::{put, u32_at};

/// Bytes of one entry.
const ENTRY: usize = 8;

/// A full intra request; the media SSRC of its head is unused, each entry names its own.
#[derive(Clone, Copy, Debug)]
pub struct Fir<'a> {
    /// Who asks.
    pub sender: u32,
    entries: &'a [u8],
}

impl<'a> Fir<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let (sender, _) = feedback_head(body)?;
        let entries = &body[8..];
        (!entries.is_empty() && entries.len() % ENTRY == 0).then_some(Self { sender, entries })
    }

    /// Requested sources with the command sequence number of each request.
    pub fn entries(&self) -> impl Iterator<Item = (u32, u8)> + 'a {
        self.entries.chunks_exact(ENTRY).filter_map(|entry| Some((u32_at(entry, 0)?, entry[4])))
    }
}

/// A request for one source.
#[derive(Clone, Copy, Debug)]
pub struct FirOut {
    /// Who asks.
    pub sender: u32,
    /// The video source.
    pub media: u32,
    /// Rises by one with each new request, not with a repeat.
    pub command: u8,
}

impl Write for FirOut {
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        put(out, 4, &self.sender.to_be_bytes())?;
        put(out, 8, &[0; 4])?;
        put(out, 12, &self.media.to_be_bytes())?;
        put(out, 16, &[self.command, 0, 0, 0])?;
        head(out, format::FIR, kind::PSFB, 20)
    }
}
