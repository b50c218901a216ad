//! SRTP and SRTCP (RFC 3711, RFC 7714): between sealed bytes and authenticated plaintext, in place.
//!
//! In: master keys from the DTLS exporter, packets of one peer. Out: the same bytes opened or sealed, or
//! the reason why not. No packet allocates; state for an SSRC comes to be only after a packet of it was
//! authenticated, and the index of a sealed packet is never used twice.
//!
//! * [`kdf`]: master key to session keys (RFC 3711 section 4.3).
//! * [`Suite`]: the transforms, AEAD and counter mode, stateless.
//! * [`window`]: replay windows and the guess of the roll-over counter.
//! * `ssrcs`: which SSRCs have state, and what is kept of those that lost it.
//! * [`Inbound`], [`Outbound`]: one direction of one transport.

mod cm;
mod gcm;
mod inbound;
pub mod kdf;
mod outbound;
mod ssrcs;
mod suite;
pub mod window;

pub use inbound::{Inbound, Opened};
pub use outbound::Outbound;
pub use suite::{BadKey, Suite};

/// Longest SRTP trailer of any profile.
pub const MAX_RTP_OVERHEAD: usize = 16;

/// Longest SRTCP trailer of any profile: tag and index word.
pub const MAX_RTCP_OVERHEAD: usize = 20;

/// First SRTP packet index that does not exist (RFC 3711 section 9.2).
pub const RTP_INDEX_LIMIT: u64 = 1 << 48;

/// First SRTCP packet index that does not exist (RFC 3711 section 9.2).
pub const RTCP_INDEX_LIMIT: u32 = 1 << 31;

/// SSRC of an RTP packet whose header was checked.
fn rtp_ssrc(packet: &[u8]) -> u32 {
    u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]])
}

/// Sender's SSRC of an RTCP packet whose header was checked.
fn rtcp_ssrc(packet: &[u8]) -> u32 {
    u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]])
}

/// Sequence number of an RTP packet whose header was checked.
fn rtp_seq(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

#[cfg(test)]
mod tests;
