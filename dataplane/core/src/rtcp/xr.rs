//! Extended reports (RFC 3611), of which the round-trip blocks are spoken: RRTR (4.4) and DLRR (4.5).

use super::{head, kind, Write};
use crate::wire::{put, u16_at, u32_at, u64_at};

/// Block types.
const RECEIVER_REFERENCE: u8 = 4;
const DELAY_SINCE: u8 = 5;

/// Delay entries that are read of or written to one report.
pub const MAX_DELAYS: usize = 50;

/// A report block that is understood.
#[derive(Clone, Copy, Debug)]
pub enum Block<'a> {
    /// The receiver's NTP time, 32.32.
    ReceiverReference(u64),
    /// Answers to earlier receiver references.
    Delays(Delays<'a>),
}

/// The answer to one receiver reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The receiver that is answered.
    pub ssrc: u32,
    /// Middle 32 bits of the NTP time it sent.
    pub last_rr: u32,
    /// Delay since that arrived, 1/65536 s.
    pub delay: u32,
}

/// The entries of a DLRR block.
#[derive(Clone, Copy, Debug)]
pub struct Delays<'a>(&'a [u8]);

impl<'a> Delays<'a> {
    /// Each entry, at most [`MAX_DELAYS`].
    pub fn iter(&self) -> impl Iterator<Item = Delay> + 'a {
        self.0.chunks_exact(12).take(MAX_DELAYS).filter_map(|entry| {
            Some(Delay {
                ssrc: u32_at(entry, 0)?,
                last_rr: u32_at(entry, 4)?,
                delay: u32_at(entry, 8)?,
            })
        })
    }
}

/// An extended report.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedReport<'a> {
    /// Who reports.
    pub sender: u32,
    blocks: &'a [u8],
}

impl<'a> ExtendedReport<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let sender = u32_at(body, 0)?;
        let blocks = &body[4..];
        let mut rest = blocks;
        while !rest.is_empty() {
            rest = block(rest)?.2;
        }
        Some(Self { sender, blocks })
    }

    /// The blocks that are understood.
    pub fn blocks(&self) -> impl Iterator<Item = Block<'a>> {
        let mut rest = self.blocks;
        std::iter::from_fn(move || {
            let (kind, content, after) = block(rest)?;
            rest = after;
            Some(match kind {
                RECEIVER_REFERENCE => u64_at(content, 0).map(Block::ReceiverReference),
                DELAY_SINCE => Some(Block::Delays(Delays(content))),
                _ => None,
            })
        })
        .flatten()
    }
}

/// Type and content of the first block, and what follows it.
fn block(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let end = 4 + 4 * usize::from(u16_at(bytes, 2)?);
    Some((bytes[0], bytes.get(4..end)?, bytes.get(end..)?))
}

/// An extended report to be sent.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedReportOut<'a> {
    /// Who reports.
    pub sender: u32,
    /// Our NTP time, for the peer to answer.
    pub reference: Option<u64>,
    /// Our answers, at most [`MAX_DELAYS`].
    pub delays: &'a [Delay],
}

impl Write for ExtendedReportOut<'_> {
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        let delays = &self.delays[..self.delays.len().min(MAX_DELAYS)];
        put(out, 4, &self.sender.to_be_bytes())?;
        let mut at = 8;
        if let Some(ntp) = self.reference {
            put(out, at, &[RECEIVER_REFERENCE, 0, 0, 2])?;
            put(out, at + 4, &ntp.to_be_bytes())?;
            at += 12;
        }
        if !delays.is_empty() {
            put(out, at, &[DELAY_SINCE, 0, 0, (3 * delays.len()) as u8])?;
            at += 4;
        }
        for delay in delays {
            put(out, at, &delay.ssrc.to_be_bytes())?;
            put(out, at + 4, &delay.last_rr.to_be_bytes())?;
            put(out, at + 8, &delay.delay.to_be_bytes())?;
            at += 12;
        }
        head(out, 0, kind::XR, at)
    }
}
