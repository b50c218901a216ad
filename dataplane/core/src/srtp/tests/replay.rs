//! Replay windows and the roll-over counter, against sets and 48-bit counters.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::super::window::{estimate, Verdict, Window};
use super::*;

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
