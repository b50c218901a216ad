//! What is refused to be sealed, and how many SSRCs may be known.

use super::*;

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
