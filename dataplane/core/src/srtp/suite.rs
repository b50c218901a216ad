//! One direction's transforms, whichever profile was negotiated.
//!
//! In: a packet, its index, room behind it. Out: the packet sealed or opened in place. Stateless: which
//! index a packet has, and whether it may be used, is decided by [`super::Inbound`] and [`super::Outbound`].

use super::cm::{self, Cm};
use super::gcm::{self, Gcm};
use super::{MAX_RTCP_OVERHEAD, MAX_RTP_OVERHEAD};
use crate::association::MasterKey;
use crate::demux::RTCP_HEADER;
use crate::event::SrtpProfile;

/// Key or salt of a length that the profile does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKey;

/// Session keys of one direction. Erased on drop, never printed.
pub struct Suite(Kind);

enum Kind {
    Gcm(Gcm),
    Cm(Box<Cm>),
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Suite(redacted)")
    }
}

impl Suite {
    /// Derives the session keys of `profile`.
    pub fn derive(profile: SrtpProfile, master: &MasterKey) -> Result<Self, BadKey> {
        Ok(Self(match profile {
            SrtpProfile::AeadAes128Gcm => Kind::Gcm(Gcm::derive(master, 16)?),
            SrtpProfile::AeadAes256Gcm => Kind::Gcm(Gcm::derive(master, 32)?),
            SrtpProfile::Aes128CmSha1_80 => Kind::Cm(Box::new(Cm::derive(master)?)),
        }))
    }

    /// A suite of given session keys, as in the examples of RFC 7714.
    #[cfg(test)]
    pub(super) fn gcm_session(key: &[u8], salt: [u8; 12]) -> Self {
        Self(Kind::Gcm(Gcm::from_session(key, salt).unwrap()))
    }

    /// Bytes that sealing adds behind an RTP packet.
    pub fn rtp_overhead(&self) -> usize {
        match &self.0 {
            Kind::Gcm(_) => gcm::TAG,
            Kind::Cm(_) => cm::TAG,
        }
    }

    /// Bytes that sealing adds behind an RTCP packet: tag and index word.
    pub fn rtcp_overhead(&self) -> usize {
        self.rtp_overhead() + 4
    }

    /// Seals the RTP packet `buf[..len]` with a header of `header` bytes; room for the tag must lie behind.
    pub fn seal_rtp(&self, index: u64, header: usize, buf: &mut [u8], len: usize) -> usize {
        debug_assert!(self.rtp_overhead() <= MAX_RTP_OVERHEAD);
        match &self.0 {
            Kind::Gcm(gcm) => gcm.seal_rtp(index, header, buf, len),
            Kind::Cm(cm) => cm.seal_rtp(index, header, buf, len),
        }
    }

    /// Opens an SRTP packet of at least header and tag; its plaintext length, or `None` if the tag is
    /// wrong, in which case the payload bytes are lost.
    pub fn open_rtp(&self, index: u64, header: usize, packet: &mut [u8]) -> Option<usize> {
        match &self.0 {
            Kind::Gcm(gcm) => gcm.open_rtp(index, header, packet),
            Kind::Cm(cm) => cm.open_rtp(index, header, packet),
        }
    }

    /// Seals the RTCP packet `buf[..len]`; room for tag and index must lie behind.
    pub fn seal_rtcp(&self, index: u32, buf: &mut [u8], len: usize) -> usize {
        debug_assert!(self.rtcp_overhead() <= MAX_RTCP_OVERHEAD);
        match &self.0 {
            Kind::Gcm(gcm) => gcm.seal_rtcp(index, buf, len),
            Kind::Cm(cm) => cm.seal_rtcp(index, buf, len),
        }
    }

    /// Opens an SRTCP packet that [`Suite::rtcp_word`] accepted; its plaintext length, or `None` if the tag
    /// is wrong.
    pub fn open_rtcp(&self, index: u32, packet: &mut [u8]) -> Option<usize> {
        match &self.0 {
            Kind::Gcm(gcm) => gcm.open_rtcp(index, packet),
            Kind::Cm(cm) => cm.open_rtcp(index, packet),
        }
    }

    /// E bit and index of an SRTCP packet; `None` if it is too short to have them.
    pub fn rtcp_word(&self, packet: &[u8]) -> Option<(bool, u32)> {
        if packet.len() < RTCP_HEADER + self.rtcp_overhead() {
            return None;
        }
        let at = match &self.0 {
            Kind::Gcm(_) => packet.len() - 4,
            Kind::Cm(_) => packet.len() - 4 - cm::TAG,
        };
        let word = u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        Some((word >> 31 == 1, word & 0x7FFF_FFFF))
    }
}
