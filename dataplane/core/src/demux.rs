//! What kind of datagram is this? (RFC 7983, RFC 9443, RFC 5761)
//!
//! In: the bytes of one datagram. Out: its class or the reason to drop it. It looks at lengths and fixed
//! fields only; it verifies nothing and keeps nothing.

use crate::drop::DropReason;

/// Longest datagram that is looked at: nothing legitimate is longer than an Ethernet frame.
pub const MAX_DATAGRAM: usize = 2_048;

/// Longest connectivity check that is parsed. RFC 8489 keeps checks under the path MTU; browsers may add
/// optional attributes with parts of a DTLS flight, so the usual 548 bytes would lose first checks.
pub const MAX_STUN: usize = 1_500;

/// STUN magic cookie (RFC 8489 section 5).
pub const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// Fixed header of a STUN message.
pub const STUN_HEADER: usize = 20;

/// Header of a DTLS record up to its payload.
const DTLS_HEADER: usize = 13;

/// Fixed header of an RTP packet.
pub const RTP_HEADER: usize = 12;

/// Fixed header of an RTCP packet with its sender's SSRC.
pub const RTCP_HEADER: usize = 8;

/// The protocols that share a transport's 5-tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A STUN message with right cookie and length.
    Stun,
    /// A DTLS record.
    Dtls,
    /// An RTP packet with a complete header.
    Rtp,
    /// An RTCP packet.
    Rtcp,
}

/// Classifies a datagram by its first byte and checks the fields that the class promises.
pub fn classify(datagram: &[u8]) -> Result<Class, DropReason> {
    let Some(&first) = datagram.first() else { return Err(DropReason::DemuxEmpty) };
    if datagram.len() > MAX_DATAGRAM {
        return Err(DropReason::DemuxTooLong);
    }
    match first {
        0..=3 => stun(datagram),
        20..=63 => dtls(datagram),
        128..=191 => rtp_or_rtcp(datagram),
        // ZRTP, TURN channel data, QUIC.
        16..=19 | 64..=127 | 192..=255 => Err(DropReason::DemuxUnsupported),
        4..=15 => Err(DropReason::DemuxUnknown),
    }
}

/// Length of an RTP header with its contributing sources and its extension, if all of it is there.
pub fn rtp_header_len(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let fixed = RTP_HEADER + 4 * usize::from(first & 0x0F);
    let len = if first & 0x10 == 0 {
        fixed
    } else {
        let words = packet.get(fixed + 2..fixed + 4)?;
        fixed + 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]))
    };
    (first >> 6 == 2 && len <= packet.len()).then_some(len)
}

fn stun(datagram: &[u8]) -> Result<Class, DropReason> {
    if datagram.len() < STUN_HEADER {
        return Err(DropReason::DemuxShort);
    }
    let length = usize::from(u16::from_be_bytes([datagram[2], datagram[3]]));
    let sound = datagram[4..8] == STUN_COOKIE
        && length % 4 == 0
        && length == datagram.len() - STUN_HEADER
        && datagram.len() <= MAX_STUN;
    if sound {
        Ok(Class::Stun)
    } else {
        Err(DropReason::DemuxBadStun)
    }
}

fn dtls(datagram: &[u8]) -> Result<Class, DropReason> {
    if datagram.len() < DTLS_HEADER {
        return Err(DropReason::DemuxShort);
    }
    // DTLS 1.3 records have a unified header 0b001x_xxxx (RFC 9147 section 4); older ones carry a version.
    let unified = datagram[0] & 0xE0 == 0x20;
    if unified || (datagram[1] == 0xFE && matches!(datagram[2], 0xFD | 0xFF)) {
        Ok(Class::Dtls)
    } else {
        Err(DropReason::DemuxBadDtls)
    }
}

fn rtp_or_rtcp(datagram: &[u8]) -> Result<Class, DropReason> {
    match datagram.get(1) {
        // RTP payload types 64 to 95 are left to RTCP (RFC 5761 section 4).
        Some(192..=223) if datagram.len() >= RTCP_HEADER => Ok(Class::Rtcp),
        Some(192..=223) | None => Err(DropReason::DemuxShort),
        Some(_) if rtp_header_len(datagram).is_some() => Ok(Class::Rtp),
        Some(_) => Err(DropReason::DemuxShort),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 7983 with RFC 9443, written out a second time.
    fn expected(first: u8, len: usize) -> Result<Class, DropReason> {
        let by_minimum = |minimum: usize, class| {
            if len >= minimum {
                Ok(class)
            } else {
                Err(DropReason::DemuxShort)
            }
        };
        match first {
            0..=3 => by_minimum(20, Class::Stun),
            20..=31 if len >= 13 => Err(DropReason::DemuxBadDtls),
            20..=63 => by_minimum(13, Class::Dtls),
            128..=191 => {
                let sources = usize::from(first & 0x0F);
                let extension = if first & 0x10 == 0 { 0 } else { 4 };
                by_minimum(12 + 4 * sources + extension, Class::Rtp)
            }
            4..=15 => Err(DropReason::DemuxUnknown),
            _ => Err(DropReason::DemuxUnsupported),
        }
    }

    #[test]
    fn every_first_byte_at_every_short_length_follows_the_table() {
        for first in 0..=255u8 {
            assert_eq!(classify(&[]), Err(DropReason::DemuxEmpty));
            for len in 1..=20usize {
                let mut datagram = vec![0; len];
                datagram[0] = first;
                if first < 4 && len == 20 {
                    datagram[4..8].copy_from_slice(&STUN_COOKIE);
                }
                assert_eq!(classify(&datagram), expected(first, len), "first {first} len {len}");
            }
        }
    }

    #[test]
    fn a_dtls_record_names_version_one_nought_or_one_two() {
        for (version, verdict) in [
            ([0xFE, 0xFF], Ok(Class::Dtls)),
            ([0xFE, 0xFD], Ok(Class::Dtls)),
            ([0xFE, 0xFE], Err(DropReason::DemuxBadDtls)),
            ([0x03, 0x03], Err(DropReason::DemuxBadDtls)),
        ] {
            let mut record = [0u8; 13];
            record[0] = 22;
            record[1..3].copy_from_slice(&version);
            assert_eq!(classify(&record), verdict);
        }
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_the_second_byte() {
        for second in 0..=255u8 {
            let mut packet = [0u8; 12];
            packet[0] = 0x80;
            packet[1] = second;
            let class = if (192..=223).contains(&second) { Class::Rtcp } else { Class::Rtp };
            assert_eq!(classify(&packet), Ok(class));
            assert_eq!(
                classify(&packet[..8]),
                if class == Class::Rtcp { Ok(class) } else { Err(DropReason::DemuxShort) }
            );
        }
    }

    #[test]
    fn stun_needs_cookie_and_exact_length() {
        let mut message = [0u8; 24];
        message[1] = 1;
        message[3] = 4;
        message[4..8].copy_from_slice(&STUN_COOKIE);
        assert_eq!(classify(&message), Ok(Class::Stun));
        for (at, value) in [(4, 0x22), (7, 0), (3, 0), (3, 3), (3, 8), (2, 1)] {
            let mut bad = message;
            bad[at] = value;
            assert_eq!(classify(&bad), Err(DropReason::DemuxBadStun), "byte {at}");
        }
        let mut long = vec![0u8; MAX_STUN + 4];
        long[4..8].copy_from_slice(&STUN_COOKIE);
        let length = (MAX_STUN + 4 - STUN_HEADER) as u16;
        long[2..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(classify(&long), Err(DropReason::DemuxBadStun));
    }

    #[test]
    fn the_longest_datagram_is_accepted_and_one_byte_more_is_not() {
        let mut packet = vec![0u8; MAX_DATAGRAM + 1];
        packet[0] = 0x80;
        assert_eq!(classify(&packet), Err(DropReason::DemuxTooLong));
        assert_eq!(classify(&packet[..MAX_DATAGRAM]), Ok(Class::Rtp));
    }

    #[test]
    fn an_rtp_extension_must_lie_inside_the_packet() {
        let mut packet = [0u8; 24];
        packet[0] = 0x90;
        packet[15] = 2;
        assert_eq!(rtp_header_len(&packet), Some(24));
        packet[15] = 3;
        assert_eq!(rtp_header_len(&packet), None);
        assert_eq!(classify(&packet), Err(DropReason::DemuxShort));
    }
}
