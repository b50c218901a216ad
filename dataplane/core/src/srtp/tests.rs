use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::kdf::{Kdf, Label};
use super::window::{estimate, Verdict, Window};
use super::*;
use crate::association::MasterKey;
use crate::drop::DropReason;
use crate::event::SrtpProfile;
use crate::hash::Keyed;
use crate::time::Time;

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

// -- vectors --

#[test]
fn key_derivation_gives_the_keys_of_rfc_3711_appendix_b_3() {
    let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
    let kdf = Kdf::new(&key, &hex("0EC675AD498AFEEBB6960B3AABE6")).unwrap();
    for (label, expected) in [
        (Label::RtpKey, "C61E7A93744F39EE10734AFE3FF7A087"),
        (Label::RtpSalt, "30CBBC08863D8C85D49DB34A9AE1"),
        (Label::RtpAuth, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"),
    ] {
        let mut out = vec![0; hex(expected).len()];
        kdf.derive(label, &mut out).unwrap();
        assert_eq!(out, hex(expected), "{label:?}");
    }
}

#[test]
fn the_key_stream_is_that_of_rfc_3711_appendix_b_2() {
    // The generator of session keys is AES in counter mode with the salt as its IV, label 0.
    let key = hex("2B7E151628AED2A6ABF7158809CF4F3C");
    let kdf = Kdf::new(&key, &hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")).unwrap();
    let mut stream = [0u8; 48];
    kdf.derive(Label::RtpKey, &mut stream).unwrap();
    let expected = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB \
                    41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(stream.to_vec(), hex(expected));
}

#[test]
fn counter_mode_with_hmac_gives_the_reference_packet() {
    // The packet that libsrtp's driver checks against: keys of RFC 3711 appendix B.3, roll-over counter 0.
    let master = MasterKey {
        key: hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        salt: hex("0EC675AD498AFEEBB6960B3AABE6"),
    };
    let suite = Suite::derive(SrtpProfile::Aes128CmSha1_80, &master).unwrap();
    let plain = hex("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let sealed = hex(
        "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb",
    );
    assert_eq!(seal_at(&suite, 0x1234, &plain), sealed);
    let mut packet = sealed;
    let len = suite.open_rtp(0x1234, 12, &mut packet).unwrap();
    assert_eq!(packet[..len], plain);
}

const QUID_PRO_QUO: [u8; 12] = *b"Quid pro quo";
const SESSION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn gcm_gives_the_srtp_packets_of_rfc_7714_section_16() {
    let plain =
        hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 \
         696e2070 61727465 73207472 6573");
    for (key_len, sealed) in [
        (
            16,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f \
             42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            32,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 \
             b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ] {
        let suite = Suite::gcm_session(&hex(SESSION_KEY)[..key_len], QUID_PRO_QUO);
        assert_eq!(seal_at(&suite, 0xF17B, &plain), hex(sealed));
        let mut packet = hex(sealed);
        let len = suite.open_rtp(0xF17B, 12, &mut packet).unwrap();
        assert_eq!(packet[..len], plain);
    }
}

#[test]
fn gcm_gives_the_srtcp_packets_of_rfc_7714_section_17() {
    let plain =
        hex("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef \
         deadbeef deadbeef deadbeef deadbeef");
    for (key_len, sealed) in [
        (
            16,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 \
             730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        ),
        (
            32,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 \
             110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ),
    ] {
        let suite = Suite::gcm_session(&hex(SESSION_KEY)[..key_len], QUID_PRO_QUO);
        let mut buf = plain.clone();
        buf.resize(plain.len() + suite.rtcp_overhead(), 0);
        suite.seal_rtcp(0x5d4, &mut buf, plain.len());
        assert_eq!(buf, hex(sealed));
        assert_eq!(suite.rtcp_word(&buf), Some((true, 0x5d4)));
        let len = suite.open_rtcp(0x5d4, &mut buf).unwrap();
        assert_eq!(buf[..len], plain);
    }
}

// -- round trips and damage --

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

// -- replay --

#[test]
fn an_authentic_repetition_is_a_duplicate_and_a_forged_one_is_not() {
    let (mut outbound, mut inbound) = pair(SrtpProfile::AeadAes128Gcm);
    let sealed = seal(&mut outbound, &rtp(5, 1, b"x")).unwrap();
    assert!(!open(&mut inbound, &sealed).unwrap().duplicate);
    assert!(open(&mut inbound, &sealed).unwrap().duplicate);
    let mut forged = sealed;
    forged[12] ^= 1;
    assert_eq!(open(&mut inbound, &forged), Err(DropReason::SrtpAuth));
}

#[test]
fn repetitions_beyond_the_budget_are_not_even_authenticated() {
    let (mut outbound, mut inbound) = pair(SrtpProfile::AeadAes128Gcm);
    let sealed = seal(&mut outbound, &rtp(5, 1, b"x")).unwrap();
    open(&mut inbound, &sealed).unwrap();
    let answers: Vec<_> = (0..70).map(|_| open(&mut inbound, &sealed)).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 64);
    assert_eq!(answers.last(), Some(&Err(DropReason::SrtpReplay)));
    for seq in 2..22 {
        let fresh = seal(&mut outbound, &rtp(5, seq, b"x")).unwrap();
        open(&mut inbound, &fresh).unwrap();
    }
    assert!(open(&mut inbound, &sealed).unwrap().duplicate);
    assert_eq!(open(&mut inbound, &sealed), Err(DropReason::SrtpReplay));
}

#[test]
fn a_packet_behind_the_window_is_too_old() {
    let suite = suite(SrtpProfile::AeadAes128Gcm);
    let (_, mut inbound) = pair(SrtpProfile::AeadAes128Gcm);
    open(&mut inbound, &seal_at(&suite, 3_000, &rtp(5, 3_000, b""))).unwrap();
    let at_edge = seal_at(&suite, 953, &rtp(5, 953, b""));
    assert!(!open(&mut inbound, &at_edge).unwrap().duplicate);
    let behind = seal_at(&suite, 952, &rtp(5, 952, b""));
    assert_eq!(open(&mut inbound, &behind), Err(DropReason::SrtpTooOld));
    let before_the_first = rtp(5, 60_000, &[0; 20]);
    assert_eq!(open(&mut inbound, &before_the_first), Err(DropReason::SrtpTooOld));
}

#[test]
fn srtcp_refuses_repetitions_plain_packets_and_forgeries_by_name() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let sealed: Vec<_> =
            (0..200).map(|_| seal_rtcp(&mut outbound, &rtcp(5, b"abcd")).unwrap()).collect();
        let mut open = |sealed: &[u8]| inbound.open_rtcp(Time(0), &mut sealed.to_vec());
        open(&sealed[1]).unwrap();
        open(&sealed[0]).unwrap();
        assert_eq!(open(&sealed[0]), Err(DropReason::SrtcpReplay));
        open(&sealed[199]).unwrap();
        open(&sealed[72]).unwrap();
        assert_eq!(open(&sealed[71]), Err(DropReason::SrtcpReplay));
        let mut plain = sealed[150].clone();
        let word = plain.len() - if profile == SrtpProfile::Aes128CmSha1_80 { 14 } else { 4 };
        plain[word] &= 0x7F;
        assert_eq!(open(&plain), Err(DropReason::SrtcpPlain));
        let mut forged = sealed[151].clone();
        forged[9] ^= 1;
        assert_eq!(open(&forged), Err(DropReason::SrtcpAuth));
    }
}

// -- roll-over --

#[test]
fn a_first_packet_just_behind_a_lost_wrap_is_found() {
    for profile in PROFILES {
        let suite = suite(profile);
        let (_, mut inbound) = pair(profile);
        assert!(open(&mut inbound, &seal_at(&suite, 1 << 16 | 3, &rtp(5, 3, b"x"))).is_ok());
        assert!(open(&mut inbound, &seal_at(&suite, 0xFFFF, &rtp(5, 0xFFFF, b"x"))).is_ok());
        let two_wraps = seal_at(&suite, 2 << 16 | 3, &rtp(6, 3, b"x"));
        assert_eq!(open(&mut inbound, &two_wraps), Err(DropReason::SrtpAuth));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_index_follows_a_48_bit_counter_over_ten_wraps(
        start in 0u64..0x8000,
        steps in proptest::collection::vec((1u64..2_000, 0u64..0x3000), 400..600),
    ) {
        let mut truth = start;
        let mut newest = start;
        for (advance, back) in steps {
            truth += advance;
            let index = truth.saturating_sub(back);
            prop_assert_eq!(estimate(newest, index as u16), Some(index));
            newest = newest.max(index);
        }
        prop_assert!(truth >> 16 >= 3);
    }

    #[test]
    fn packets_with_loss_and_reorder_open_over_ten_wraps(
        start in 1u64..0x8000,
        seed: u64,
    ) {
        let suite = suite(SrtpProfile::AeadAes128Gcm);
        let (_, mut inbound) = pair(SrtpProfile::AeadAes128Gcm);
        let (mut truth, mut newest, mut random) = (start, start, seed | 1);
        let mut accepted = HashSet::new();
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random >> 40
        };
        while truth < start + (10 << 16) {
            truth += 1 + next() % 600;
            let index = truth.saturating_sub(next() % 3_000);
            let answer = open(&mut inbound, &seal_at(&suite, index, &rtp(5, index as u16, b"x")));
            let fresh = accepted.is_empty() || (newest < index + 2_048 && !accepted.contains(&index));
            if fresh {
                prop_assert_eq!(answer, Ok(Opened { len: 13, duplicate: false }));
                newest = if accepted.is_empty() { index } else { newest.max(index) };
                accepted.insert(index);
            } else {
                prop_assert_ne!(answer.map(|opened| opened.duplicate), Ok(false));
            }
        }
        prop_assert!(newest >> 16 >= 9);
    }

    #[test]
    fn a_window_agrees_with_a_set(
        start in 0u64..1_000_000,
        steps in proptest::collection::vec(0u64..400, 1..300),
    ) {
        let mut window = Window::<2>::starting_at(start);
        let (mut seen, mut newest) = (HashSet::from([start]), start);
        for step in steps {
            let index = (newest + step).saturating_sub(150);
            let expected = if index + 128 <= newest {
                Verdict::TooOld
            } else if seen.contains(&index) {
                Verdict::Seen
            } else {
                Verdict::Fresh
            };
            prop_assert_eq!(window.check(index), expected);
            window.commit(index);
            seen.insert(index);
            newest = newest.max(index);
            prop_assert_eq!(window.newest(), newest);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_leave_no_state(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        for profile in PROFILES {
            let (mut outbound, mut inbound) = pair(profile);
            prop_assert!(inbound.open_rtp(Time(0), &mut bytes.clone()).is_err());
            prop_assert!(inbound.open_rtcp(Time(0), &mut bytes.clone()).is_err());
            prop_assert_eq!(inbound.ssrcs(), 0);
            let (mut buf, len) = (bytes.clone(), bytes.len().saturating_sub(20));
            let _ = outbound.seal_rtp(&mut buf, len);
            let _ = outbound.seal_rtcp(&mut buf, len);
            let _ = outbound.seal_rtp(&mut buf, usize::MAX);
        }
    }

    /// The nonce ledger: whatever a caller asks for, no (SSRC, index) is ever used for two packets.
    #[test]
    fn no_index_is_sealed_twice(
        calls in proptest::collection::vec((0u32..3, prop_oneof![0u16..40, 0x7FF0u16..0x8010, 0xFFE0u16..]), 1..300),
    ) {
        let suite = suite(SrtpProfile::AeadAes128Gcm);
        let (mut outbound, _) = pair(SrtpProfile::AeadAes128Gcm);
        let mut ledger = HashSet::new();
        let mut refused = HashMap::new();
        for (number, (ssrc, seq)) in calls.into_iter().enumerate() {
            match seal(&mut outbound, &rtp(ssrc, seq, &(number as u32).to_be_bytes())) {
                Ok(sealed) => {
                    let index = (0..40)
                        .map(|roc| roc << 16 | u64::from(seq))
                        .find(|&index| suite.open_rtp(index, 12, &mut sealed.clone()).is_some());
                    prop_assert!(ledger.insert((ssrc, index.unwrap())), "{ssrc} {index:?}");
                }
                Err(reason) => *refused.entry(reason).or_insert(0) += 1,
            }
        }
        prop_assert!(refused.keys().all(|&reason| reason == DropReason::SealReuse));
    }
}

// -- limits --

#[test]
fn sealing_refuses_a_used_number_even_for_equal_bytes() {
    let (mut outbound, _) = pair(SrtpProfile::AeadAes128Gcm);
    seal(&mut outbound, &rtp(5, 10, b"a")).unwrap();
    assert_eq!(seal(&mut outbound, &rtp(5, 10, b"a")), Err(DropReason::SealReuse));
    assert_eq!(seal(&mut outbound, &rtp(5, 10, b"b")), Err(DropReason::SealReuse));
    seal(&mut outbound, &rtp(5, 1_500, b"a")).unwrap();
    seal(&mut outbound, &rtp(5, 477, b"late but inside the window")).unwrap();
    assert_eq!(seal(&mut outbound, &rtp(5, 476, b"behind it")), Err(DropReason::SealReuse));
    seal(&mut outbound, &rtp(6, 10, b"another stream")).unwrap();
}

#[test]
fn a_stream_that_lost_its_window_goes_on_behind_its_last_number() {
    let (mut outbound, _) = pair(SrtpProfile::AeadAes128Gcm);
    seal(&mut outbound, &rtp(0, 100, b"")).unwrap();
    for ssrc in 1..=600 {
        seal(&mut outbound, &rtp(ssrc, 1, b"")).unwrap();
    }
    assert_eq!(seal(&mut outbound, &rtp(0, 100, b"")), Err(DropReason::SealReuse));
    assert_eq!(seal(&mut outbound, &rtp(0, 99, b"")), Err(DropReason::SealReuse));
    assert!(seal(&mut outbound, &rtp(0, 101, b"")).is_ok());
}

#[test]
fn the_packet_limits_of_a_key_hold() {
    let (mut outbound, mut inbound) = pair(SrtpProfile::AeadAes128Gcm);
    outbound.set_sent(5, RTP_INDEX_LIMIT - 2, RTCP_INDEX_LIMIT - 1);
    assert!(seal(&mut outbound, &rtp(5, 0xFFFF, b"")).is_ok());
    assert_eq!(seal(&mut outbound, &rtp(5, 0, b"")), Err(DropReason::KeyLimit));
    let last = seal_rtcp(&mut outbound, &rtcp(5, b"")).unwrap();
    assert!(inbound.open_rtcp(Time(0), &mut last.clone()).is_ok());
    assert_eq!(seal_rtcp(&mut outbound, &rtcp(5, b"")), Err(DropReason::KeyLimit));
}

#[test]
fn sealing_refuses_what_is_no_packet_or_has_no_room() {
    let (mut outbound, _) = pair(SrtpProfile::AeadAes128Gcm);
    let mut buf = rtp(5, 1, &[0; 40]);
    for len in [0, 11, buf.len() - 15, buf.len(), usize::MAX] {
        assert_eq!(outbound.seal_rtp(&mut buf, len), Err(DropReason::SealInvalid), "{len}");
    }
    for len in [0, 7, buf.len() - 19, usize::MAX] {
        assert_eq!(outbound.seal_rtcp(&mut buf, len), Err(DropReason::SealInvalid), "{len}");
    }
    buf[0] = 0;
    assert_eq!(outbound.seal_rtp(&mut buf, 20), Err(DropReason::SealInvalid));
}

#[test]
fn a_flood_of_forged_ssrcs_leaves_no_state_and_keeps_nobody_out() {
    let (mut outbound, mut inbound) = pair(SrtpProfile::AeadAes128Gcm);
    for ssrc in 0..20_000u32 {
        assert_eq!(open(&mut inbound, &rtp(ssrc, 50_000, &[1; 30])), Err(DropReason::SrtpAuth));
    }
    assert_eq!(inbound.ssrcs(), 0);
    let genuine = seal(&mut outbound, &rtp(9, 1, b"x")).unwrap();
    assert!(open(&mut inbound, &genuine).is_ok());
}

#[test]
fn new_ssrcs_with_valid_tags_are_limited_in_rate_and_number() {
    let (mut outbound, mut inbound) = pair(SrtpProfile::AeadAes128Gcm);
    let mut refused = 0;
    for ssrc in 0..1_000u32 {
        let sealed = seal(&mut outbound, &rtp(ssrc, 1, b"x")).unwrap();
        match open_at_ms(&mut inbound, u64::from(ssrc), &sealed) {
            Ok(_) => assert!(open_at_ms(&mut inbound, 0, &sealed).unwrap().duplicate),
            Err(reason) => {
                assert_eq!(reason, DropReason::SsrcRate);
                refused += 1;
            }
        }
    }
    assert_eq!(1_000 - refused, 32 + 19);
    for ssrc in 1_000..1_400u32 {
        let sealed = seal(&mut outbound, &rtp(ssrc, 1, b"x")).unwrap();
        open_at_ms(&mut inbound, u64::from(ssrc) * 50, &sealed).unwrap();
    }
    assert_eq!(inbound.ssrcs(), 128);
}

#[test]
fn an_ssrc_that_is_forwarded_keeps_its_window_and_others_their_last_number() {
    let (mut outbound, mut inbound) = pair(SrtpProfile::AeadAes128Gcm);
    let mut admit = |inbound: &mut Inbound, ssrc: u32| {
        let sealed = seal(&mut outbound, &rtp(ssrc, 7, b"x")).unwrap();
        let answer = open_at_ms(inbound, u64::from(ssrc) * 50, &sealed);
        (sealed, answer)
    };
    let (forwarded, _) = admit(&mut inbound, 0);
    assert!(inbound.pin(0) && !inbound.pin(4_000));
    let (passing, _) = admit(&mut inbound, 1);
    for ssrc in 2..200 {
        admit(&mut inbound, ssrc).1.unwrap();
    }
    assert!(open_at_ms(&mut inbound, 60_000, &forwarded).unwrap().duplicate);
    assert_eq!(open_at_ms(&mut inbound, 60_000, &passing), Err(DropReason::SrtpTooOld));
    for ssrc in 73..200 {
        assert!(inbound.pin(ssrc), "{ssrc}");
    }
    assert_eq!(admit(&mut inbound, 2_000).1, Err(DropReason::SsrcCap));
    let next = seal(&mut outbound, &rtp(1, 8, b"x")).unwrap();
    assert_eq!(open_at_ms(&mut inbound, 120_000, &next), Err(DropReason::SsrcCap));
}

#[test]
fn senders_of_reports_are_limited_like_those_of_media() {
    let (mut outbound, mut inbound) = pair(SrtpProfile::AeadAes128Gcm);
    let mut report = |ssrc, ms| {
        let mut sealed = seal_rtcp(&mut outbound, &rtcp(ssrc, b"abcd")).unwrap();
        inbound.open_rtcp(Time::from_millis(ms), &mut sealed)
    };
    let refused = (0..100).filter(|&ssrc| report(ssrc, 0) == Err(DropReason::SsrcRate)).count();
    assert_eq!(refused, 100 - 32);
    for ssrc in 1_000..1_300 {
        assert!(report(ssrc, u64::from(ssrc) * 50).is_ok());
    }
    assert!(report(0, 90_000).is_ok());
}
