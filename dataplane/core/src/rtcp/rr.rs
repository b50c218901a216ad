//! Receiver reports and the report blocks that sender reports share (RFC 3550 section 6.4).

use super::{head, kind, Write};
use crate::wire::{put, u24_at, u32_at, u8_at};

/// Report blocks that fit the 5-bit count of one report.
pub const MAX_BLOCKS: usize = 31;

/// Bytes of one report block.
pub(super) const BLOCK: usize = 24;

/// Reception quality of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source that is reported on.
    pub ssrc: u32,
    /// Fraction lost since the previous report, of 256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, 24 bits signed.
    pub lost: i32,
    /// Highest sequence number with its count of wraps above it.
    pub highest: u32,
    /// Interarrival jitter, RTP ticks.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; 0 if none.
    pub last_sr: u32,
    /// Delay since that report, 1/65536 s.
    pub delay: u32,
}

impl ReportBlock {
    fn parse(block: &[u8]) -> Option<Self> {
        Some(Self {
            ssrc: u32_at(block, 0)?,
            fraction_lost: u8_at(block, 4)?,
            // Sign extension of the 24-bit field.
            lost: ((u24_at(block, 5)? << 8) as i32) >> 8,
            highest: u32_at(block, 8)?,
            jitter: u32_at(block, 12)?,
            last_sr: u32_at(block, 16)?,
            delay: u32_at(block, 20)?,
        })
    }

    pub(super) fn write(&self, out: &mut [u8]) -> Option<()> {
        let lost = self.lost.clamp(-0x80_0000, 0x7F_FFFF).to_be_bytes();
        put(out, 0, &self.ssrc.to_be_bytes())?;
        put(out, 4, &[self.fraction_lost, lost[1], lost[2], lost[3]])?;
        put(out, 8, &self.highest.to_be_bytes())?;
        put(out, 12, &self.jitter.to_be_bytes())?;
        put(out, 16, &self.last_sr.to_be_bytes())?;
        put(out, 20, &self.delay.to_be_bytes())
    }
}

/// The blocks of a report.
#[derive(Clone, Copy, Debug)]
pub struct ReportBlocks<'a>(&'a [u8]);

impl<'a> ReportBlocks<'a> {
    /// The first `count` blocks of `bytes`; `None` if they are cut off.
    pub(super) fn parse(count: u8, bytes: &'a [u8]) -> Option<Self> {
        bytes.get(..usize::from(count) * BLOCK).map(Self)
    }

    /// Each block in turn.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        self.0.chunks_exact(BLOCK).filter_map(ReportBlock::parse)
    }
}

/// A receiver report; profile-specific extensions are skipped.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub sender: u32,
    /// What it reports.
    pub blocks: ReportBlocks<'a>,
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let sender = u32_at(body, 0)?;
        Some(Self { sender, blocks: ReportBlocks::parse(count, &body[4..])? })
    }
}

/// A receiver report to be sent, with at most [`MAX_BLOCKS`] blocks.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReportOut<'a> {
    /// Who reports.
    pub sender: u32,
    /// What is reported.
    pub blocks: &'a [ReportBlock],
}

impl Write for ReceiverReportOut<'_> {
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        let length = 8 + self.blocks.len() * BLOCK;
        if self.blocks.len() > MAX_BLOCKS || length > out.len() {
            return None;
        }
        put(out, 4, &self.sender.to_be_bytes())?;
        for (block, slot) in self.blocks.iter().zip(out[8..].chunks_exact_mut(BLOCK)) {
            block.write(slot)?;
        }
        head(out, self.blocks.len() as u8, kind::RR, length)
    }
}
