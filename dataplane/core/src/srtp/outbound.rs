//! What we send: plaintext packets in, sealed packets or a refusal out.
//!
//! Two packets sealed under one index would give the authentication key away (RFC 7714 section 8), and
//! header extensions are part of what is authenticated, so even a restamped repetition counts. Every index
//! is therefore sealed at most once for the life of the keys, whatever the caller does.

use super::ssrcs::{Caps, Known, Ssrcs};
use super::window::{estimate, Verdict, Window};
use super::{rtp_seq, rtp_ssrc, Suite, RTCP_INDEX_LIMIT, RTP_INDEX_LIMIT};
use crate::demux::{rtp_header_len, RTCP_HEADER};
use crate::drop::DropReason;
use crate::hash::Keyed;

/// Words of the window: 1024 packets are two seconds at 5 Mbit/s, longer than a late packet is waited for.
const WORDS: usize = 16;
/// A subscriber sees at most some hundred streams at once; every subscription of a long meeting leaves the
/// residue of its SSRCs behind.
const CAPS: Caps = Caps { active: 512, retired: 16_384 };

/// The sending direction of one transport's keys.
pub struct Outbound {
    suite: Suite,
    streams: Ssrcs<WORDS>,
    next_rtcp: u32,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("ssrcs", &self.streams.active()).finish_non_exhaustive()
    }
}

impl Outbound {
    /// Nothing sent yet.
    pub fn new(suite: Suite, keyed: Keyed) -> Self {
        Self { suite, streams: Ssrcs::new(CAPS, keyed), next_rtcp: 0 }
    }

    /// Seals the RTP packet `buf[..len]` in place; its sealed length.
    pub fn seal_rtp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, DropReason> {
        let packet = buf.get(..len).ok_or(DropReason::SealInvalid)?;
        let header = rtp_header_len(packet).ok_or(DropReason::SealInvalid)?;
        if buf.len() < len + self.suite.rtp_overhead() {
            return Err(DropReason::SealInvalid);
        }
        let index = self.claim(rtp_ssrc(buf), rtp_seq(buf))?;
        Ok(self.suite.seal_rtp(index, header, buf, len))
    }

    /// Seals the RTCP packet `buf[..len]` in place; its sealed length.
    pub fn seal_rtcp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, DropReason> {
        let room = buf.len().saturating_sub(self.suite.rtcp_overhead());
        if !(RTCP_HEADER..=room).contains(&len) {
            return Err(DropReason::SealInvalid);
        }
        let index = self.next_rtcp;
        if index >= RTCP_INDEX_LIMIT {
            return Err(DropReason::KeyLimit);
        }
        self.next_rtcp += 1;
        Ok(self.suite.seal_rtcp(index, buf, len))
    }

    /// Uses up the index of a packet.
    fn claim(&mut self, ssrc: u32, seq: u16) -> Result<u64, DropReason> {
        let known = self.streams.find(ssrc);
        let newest = match known {
            Known::Active(place) => self.streams.window(place).newest(),
            Known::Retired(newest) => newest,
            Known::Unknown => {
                self.streams.admit(ssrc, Window::starting_at(seq.into()))?;
                return Ok(seq.into());
            }
        };
        let index = estimate(newest, seq).ok_or(DropReason::SealReuse)?;
        if index >= RTP_INDEX_LIMIT {
            return Err(DropReason::KeyLimit);
        }
        if let Known::Active(place) = known {
            if self.streams.window(place).check(index) != Verdict::Fresh {
                return Err(DropReason::SealReuse);
            }
            self.streams.commit(place, index);
        } else {
            if index <= newest {
                return Err(DropReason::SealReuse);
            }
            let mut window = Window::sealed_at(newest);
            window.commit(index);
            self.streams.admit(ssrc, window)?;
        }
        Ok(index)
    }

    /// As if streams and reports had been sent up to these indexes.
    #[cfg(test)]
    pub(super) fn set_sent(&mut self, ssrc: u32, index: u64, next_rtcp: u32) {
        self.streams.admit(ssrc, Window::starting_at(index)).unwrap();
        self.next_rtcp = next_rtcp;
    }
}
