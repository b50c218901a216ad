//! Picture loss indication (RFC 4585 section 6.3.1): please send a key frame.

use super::{feedback_head, format, head, kind, Write};
use crate::wire::put;

/// A picture loss indication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pli {
    /// Who asks.
    pub sender: u32,
    /// The video source.
    pub media: u32,
}

impl Pli {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let (sender, media) = feedback_head(body)?;
        Some(Self { sender, media })
    }
}

impl Write for Pli {
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        put(out, 4, &self.sender.to_be_bytes())?;
        put(out, 8, &self.media.to_be_bytes())?;
        head(out, format::PLI, kind::PSFB, 12)
    }
}
