//! BYE (RFC 3550 section 6.6): sources that end. The reason text is not read.

use super::{head, kind, Write};
use crate::wire::{put, u32_at};

/// The sources that left.
#[derive(Clone, Copy, Debug)]
pub struct Bye<'a>(&'a [u8]);

impl<'a> Bye<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        body.get(..usize::from(count) * 4).map(Self)
    }

    /// Each SSRC in turn.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + 'a {
        self.0.chunks_exact(4).filter_map(|chunk| u32_at(chunk, 0))
    }
}

/// The end of one of our sources.
#[derive(Clone, Copy, Debug)]
pub struct ByeOut {
    /// The source.
    pub ssrc: u32,
}

impl Write for ByeOut {
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        put(out, 4, &self.ssrc.to_be_bytes())?;
        head(out, 1, kind::BYE, 8)
    }
}
