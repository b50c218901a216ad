//! Keys, packets and windows together: every profile, limits, repetitions, published vectors.

use super::*;
use crate::association::MasterKey;
use crate::drop::DropReason;
use crate::event::SrtpProfile;
use crate::hash::Keyed;
use crate::time::Time;

mod limits;
mod replay;
mod vectors;

const PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn master(profile: SrtpProfile) -> MasterKey {
    let (key, salt) = match profile {
        SrtpProfile::AeadAes128Gcm => (16, 12),
        SrtpProfile::AeadAes256Gcm => (32, 12),
        SrtpProfile::Aes128CmSha1_80 => (16, 14),
    };
    MasterKey { key: (1..=key).collect(), salt: (101..101 + salt).collect() }
}

fn suite(profile: SrtpProfile) -> Suite {
    Suite::derive(profile, &master(profile)).unwrap()
}

fn pair(profile: SrtpProfile) -> (Outbound, Inbound) {
    let keyed = Keyed::new(9);
    (Outbound::new(suite(profile), keyed), Inbound::new(suite(profile), keyed))
}

fn rtp(ssrc: u32, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(seq.to_be_bytes());
    packet.extend([0, 0, 0, 7]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn rtcp(ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn seal(outbound: &mut Outbound, packet: &[u8]) -> Result<Vec<u8>, DropReason> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + MAX_RTP_OVERHEAD, 0);
    let len = outbound.seal_rtp(&mut buf, packet.len())?;
    buf.truncate(len);
    Ok(buf)
}

fn seal_rtcp(outbound: &mut Outbound, packet: &[u8]) -> Result<Vec<u8>, DropReason> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + MAX_RTCP_OVERHEAD, 0);
    let len = outbound.seal_rtcp(&mut buf, packet.len())?;
    buf.truncate(len);
    Ok(buf)
}

/// Seals with an explicit index, as a sender with any history would.
fn seal_at(suite: &Suite, index: u64, packet: &[u8]) -> Vec<u8> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + suite.rtp_overhead(), 0);
    suite.seal_rtp(index, 12, &mut buf, packet.len());
    buf
}

fn open(inbound: &mut Inbound, sealed: &[u8]) -> Result<Opened, DropReason> {
    open_at_ms(inbound, 0, sealed)
}

fn open_at_ms(inbound: &mut Inbound, ms: u64, sealed: &[u8]) -> Result<Opened, DropReason> {
    inbound.open_rtp(Time::from_millis(ms), &mut sealed.to_vec())
}

#[test]
fn what_is_sealed_opens_under_every_profile() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        for (seq, len) in [(1, 0), (2, 1), (3, 160), (4, 1_200)] {
            let plain = rtp(5, seq, &vec![seq as u8; len]);
            let mut sealed = seal(&mut outbound, &plain).unwrap();
            let opened = inbound.open_rtp(Time(0), &mut sealed).unwrap();
            assert_eq!(opened, Opened { len: plain.len(), duplicate: false });
            assert_eq!(sealed[..opened.len], plain);
            let plain = rtcp(5, &vec![seq as u8; len]);
            let mut sealed = seal_rtcp(&mut outbound, &plain).unwrap();
            let len = inbound.open_rtcp(Time(0), &mut sealed).unwrap();
            assert_eq!(sealed[..len], plain);
        }
    }
}

#[test]
fn a_header_with_sources_and_extension_is_authenticated_and_not_encrypted() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let mut plain = rtp(5, 1, b"");
        plain[0] = 0x92;
        plain.extend([0, 0, 0, 1, 0, 0, 0, 2, 0xBE, 0xDE, 0, 1, 0x10, 0x77, 0, 0]);
        plain.extend(b"payload");
        let mut sealed = seal(&mut outbound, &plain).unwrap();
        assert_eq!(sealed[..28], plain[..28]);
        assert_ne!(sealed[28..35], plain[28..]);
        let mut forged = sealed.clone();
        forged[25] ^= 1;
        assert_eq!(open(&mut inbound, &forged), Err(DropReason::SrtpAuth));
        let opened = inbound.open_rtp(Time(0), &mut sealed).unwrap();
        assert_eq!(sealed[..opened.len], plain);
    }
}

#[test]
fn a_packet_with_any_byte_changed_does_not_open() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let sealed = seal(&mut outbound, &rtp(5, 40_000, b"some payload")).unwrap();
        // The first bytes are the header's form, which decides what is authenticated, so any reason will do.
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 0x40;
            assert!(open(&mut inbound, &forged).is_err(), "{profile:?} byte {at}");
        }
        let sealed = seal_rtcp(&mut outbound, &rtcp(5, b"some report!")).unwrap();
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 0x40;
            assert!(inbound.open_rtcp(Time(0), &mut forged).is_err(), "{profile:?} byte {at}");
        }
        assert_eq!(inbound.ssrcs(), 0);
    }
}

#[test]
fn a_packet_cut_at_any_length_is_short_or_not_authentic() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let sealed = seal(&mut outbound, &rtp(5, 1, b"payload")).unwrap();
        let overhead = suite(profile).rtp_overhead();
        for len in 0..sealed.len() {
            let expected =
                if len < 12 + overhead { DropReason::SrtpShort } else { DropReason::SrtpAuth };
            assert_eq!(open(&mut inbound, &sealed[..len]), Err(expected), "{len}");
        }
        let sealed = seal_rtcp(&mut outbound, &rtcp(5, b"report")).unwrap();
        for len in 0..sealed.len() {
            let refused = inbound.open_rtcp(Time(0), &mut sealed[..len].to_vec()).unwrap_err();
            if len < 8 + overhead + 4 {
                assert_eq!(refused, DropReason::SrtpShort);
            } else {
                assert!(matches!(refused, DropReason::SrtcpAuth | DropReason::SrtcpPlain));
            }
        }
    }
}

#[test]
fn keys_of_a_wrong_length_are_refused() {
    for profile in PROFILES {
        let good = master(profile);
        let short_key = MasterKey { key: good.key[1..].to_vec(), salt: good.salt.clone() };
        let short_salt = MasterKey { key: good.key.clone(), salt: good.salt[1..].to_vec() };
        for bad in [short_key, short_salt] {
            assert_eq!(Suite::derive(profile, &bad).err(), Some(BadKey));
        }
    }
}
