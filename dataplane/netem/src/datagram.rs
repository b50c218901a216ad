//! What anybody on the path can tell of a datagram: STUN and DTLS, RTCP, or RTP with its clear header fields
//! (RFC 7983, RFC 5761).

/// A datagram as a link sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// SRTP: its header is not encrypted (RFC 3711 section 3.1).
    Rtp {
        /// Payload type.
        payload_type: u8,
        /// Time stamp: one per frame of video, kept by retransmissions (RFC 4588 section 4).
        timestamp: u32,
    },
    /// SRTCP.
    Rtcp,
    /// Connectivity checks, handshakes, anything else.
    Other,
}

/// Least length of an RTP packet.
const RTP_HEADER: usize = 12;

impl Seen {
    /// Looks at the first bytes of `datagram`.
    pub fn of(datagram: &[u8]) -> Self {
        let Some(header) = datagram.first_chunk::<RTP_HEADER>() else { return Self::Other };
        match (header[0] >> 6, header[1] & 0x7F) {
            (2, 64..=95) => Self::Rtcp,
            (2, payload_type) => Self::Rtp {
                payload_type,
                timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            },
            _ => Self::Other,
        }
    }

    /// A name for counting: the payload type of RTP, else `rtcp` or `other`.
    pub fn label(self) -> String {
        match self {
            Self::Rtp { payload_type, .. } => payload_type.to_string(),
            Self::Rtcp => "rtcp".to_owned(),
            Self::Other => "other".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_clear_fields_of_a_header_are_read() {
        let rtp = [0x90, 0xE0, 0, 7, 1, 2, 3, 4, 0, 0, 0, 9];
        let seen = Seen::Rtp { payload_type: 96, timestamp: 0x0102_0304 };
        assert_eq!((Seen::of(&rtp), seen.label().as_str()), (seen, "96"));
        let rtcp = [0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 9];
        assert_eq!((Seen::of(&rtcp), Seen::Rtcp.label().as_str()), (Seen::Rtcp, "rtcp"));
    }

    #[test]
    fn a_packet_cut_short_is_nothing_known() {
        let rtp = [0x80, 96, 0, 7, 1, 2, 3, 4, 0, 0, 0, 9];
        for length in 0..rtp.len() {
            assert_eq!(Seen::of(&rtp[..length]), Seen::Other);
        }
    }

    proptest! {
        #[test]
        fn checks_and_handshakes_are_never_taken_for_media(
            first in 0u8..128, rest in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let datagram = [&[first][..], &rest].concat();
            prop_assert_eq!(Seen::of(&datagram), Seen::Other);
        }
    }
}
