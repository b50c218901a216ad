//! The way out: a place for plaintext packets that are sealed and queued to a transport's selected address.

use crate::drop::DropReason;
use crate::ids::TransportId;
use crate::media::MediaKind;

/// Largest plaintext RTP or RTCP packet that is ever built: the path MTU budget less the SRTP trailer.
pub const MAX_PACKET: usize = 1_452;

/// Where ingress and egress put what is to be sent.
///
/// `write` gets a slot of at least [`MAX_PACKET`] bytes and returns how many it filled; the sink seals in
/// place and queues. One call is one packet, in wire order per transport.
pub trait PacketSink {
    /// Sends one RTP packet; returns its sealed length in bytes. A way out that is too narrow for both gives
    /// up video before audio.
    fn send_rtp(
        &mut self,
        transport: TransportId,
        kind: MediaKind,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, DropReason>;

    /// Sends one compound or reduced-size RTCP packet (RFC 3550, RFC 5506); returns its sealed length.
    fn send_rtcp(
        &mut self,
        transport: TransportId,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, DropReason>;
}
