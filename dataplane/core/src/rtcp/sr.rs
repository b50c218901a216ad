//! Sender reports (RFC 3550 section 6.4.1): the tie between RTP time stamps and wall-clock time.

use super::rr::{ReportBlock, ReportBlocks, BLOCK, MAX_BLOCKS};
use super::{head, kind, Write};
use crate::wire::{put, u32_at, u64_at};

/// What a sender says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// The source.
    pub ssrc: u32,
    /// NTP time of the report, 32.32.
    pub ntp: u64,
    /// The same instant in RTP ticks.
    pub rtp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

/// A sender report; profile-specific extensions are skipped.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport<'a> {
    /// The sender's side.
    pub info: SenderInfo,
    /// Its reception of others.
    pub blocks: ReportBlocks<'a>,
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let info = SenderInfo {
            ssrc: u32_at(body, 0)?,
            ntp: u64_at(body, 4)?,
            rtp: u32_at(body, 12)?,
            packets: u32_at(body, 16)?,
            octets: u32_at(body, 20)?,
        };
        Some(Self { info, blocks: ReportBlocks::parse(count, &body[24..])? })
    }
}

/// A sender report to be sent, with at most [`MAX_BLOCKS`] blocks.
#[derive(Clone, Copy, Debug)]
pub struct SenderReportOut<'a> {
    /// Our side.
    pub info: SenderInfo,
    /// Our reception of others.
    pub blocks: &'a [ReportBlock],
}

impl Write for SenderReportOut<'_> {
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        let length = 28 + self.blocks.len() * BLOCK;
        if self.blocks.len() > MAX_BLOCKS || length > out.len() {
            return None;
        }
        put(out, 4, &self.info.ssrc.to_be_bytes())?;
        put(out, 8, &self.info.ntp.to_be_bytes())?;
        put(out, 16, &self.info.rtp.to_be_bytes())?;
        put(out, 20, &self.info.packets.to_be_bytes())?;
        put(out, 24, &self.info.octets.to_be_bytes())?;
        for (block, slot) in self.blocks.iter().zip(out[28..].chunks_exact_mut(BLOCK)) {
            block.write(slot)?;
        }
        head(out, self.blocks.len() as u8, kind::SR, length)
    }
}
