//! Every reason for which a publisher's packet goes no further, by name.

use super::*;

fn media(sequence: u16) -> Rtp {
    Rtp::new(100, VP8_PT, sequence)
}

/// A world whose video stream has packet 10.
fn started() -> World {
    let mut world = World::single();
    world.rtp(&media(10).carrying(KEY)).unwrap();
    world
}

#[test]
fn headers_that_cannot_be_read() {
    let mut world = started();
    world.refuses_bytes(&mut [0x80, 96, 0], DropReason::Malformed);
    let mut many_sources = media(11).bytes();
    many_sources[0] |= 0x0F;
    world.refuses_bytes(&mut many_sources, DropReason::CsrcOverflow);
    let mut no_extension = media(11).bytes();
    no_extension[0] |= 0x10;
    world.refuses_bytes(&mut no_extension, DropReason::ExtMalformed);
}

#[test]
fn packets_that_belong_nowhere() {
    let mut world = started();
    world.refuses(&media(11).with(MID, b"x"), DropReason::MidUnknown);
    world.refuses(&Rtp::new(7, 33, 1).with(MID, b"v"), DropReason::PtUnknown);
    world.refuses(&Rtp::new(100, 33, 11), DropReason::PtUnknown);
    world.refuses(&Rtp::new(7, VP8_PT, 1).with(MID, b"v").with(RID, b"z"), DropReason::RidUnknown);
    world.refuses(&Rtp::new(0, 33, 1), DropReason::ProbeOnly);
    world.ingress.add_track(&video(by_rid()));
    world.refuses(&Rtp::new(6, VP8_RTX, 2), DropReason::ProbeOnly);
    world.ingress.remove_track(VIDEO);
    world.refuses(&Rtp::new(9, 33, 1), DropReason::SsrcUnknown);
}

#[test]
fn retransmissions_of_no_use() {
    let mut world = started();
    world.rtp(&media(12)).unwrap();
    let mut number = 0;
    let mut rtx = |packet: &Rtp| {
        number += 1;
        packet.repaired_by(900, VP8_RTX, number)
    };
    world.refuses(&rtx(&media(12)), DropReason::RtxRedundant);
    assert!(world.rtp(&rtx(&media(11))).is_some());
    world.refuses(&rtx(&media(11)), DropReason::RtxRedundant);
    world.refuses(&media(11), DropReason::Duplicate);
    world.refuses(&rtx(&media(13)).carrying(&[0, 13]), DropReason::RtxEmpty);
    world.refuses(&rtx(&media(13)).carrying(&[]), DropReason::RtxEmpty);
    let mut wrong = rtx(&media(13));
    wrong.payload_type = VP8_PT;
    world.refuses(&wrong, DropReason::RtxNoApt);
}

#[test]
fn numbers_out_of_place() {
    let mut world = started();
    world.refuses(&media(10), DropReason::Duplicate);
    let base = media(10).timestamp;
    world.rtp(&media(2_900).at(base + 9_000)).unwrap();
    world.refuses(&media(20).at(base + 100), DropReason::LateIngress);
    world.refuses(&media(30_000).at(base), DropReason::JumpHeld);
}

#[test]
fn a_packet_that_srtp_has_seen_counts_for_feedback_only() {
    let mut world = started();
    let before = world.ingress.drops().clone();
    let arrived = Arrived { duplicate: true, ..world.arrived(ALICE) };
    let mut packet = media(11).with(NUMBER, &[0, 7]).bytes();
    assert!(world.ingress.handle_rtp(arrived, &mut packet, &mut world.out).is_none());
    world.counted_once(&before, DropReason::SrtpDuplicate);
    assert!(world.rtp(&media(11)).is_some(), "the number of the stream was not used up");
    world.advance_ms(150);
    let sent = world.take_sent();
    assert_eq!(sent[0][..2], [0xAF, 205]);
}

#[test]
fn descriptors_that_cannot_be_read() {
    let mut world = started();
    world.refuses(&media(11).carrying(&[0x80]), DropReason::DescriptorMalformed);
    let av1 = |sequence| Rtp { payload_type: AV1_PT, ..media(sequence) };
    world.refuses(&av1(12).with(DESCRIPTOR, &[0x80]), DropReason::DdMalformed);
    world.refuses(&av1(13).with(DESCRIPTOR, &[0x80, 0, 1]), DropReason::DdUnknownTemplate);
    world.refuses(&Rtp::new(5, 63, 1).carrying(&[0xFF]), DropReason::RedMalformed);
}

#[test]
fn a_structure_that_stays_away_is_asked_for_with_a_key_frame() {
    let mut world = started();
    world.take_sent();
    let av1 = Rtp { payload_type: AV1_PT, ..media(11) }.with(DESCRIPTOR, &[0x80, 0, 1]);
    world.refuses(&av1, DropReason::DdUnknownTemplate);
    world.advance_ms(199);
    assert_eq!(world.take_plis(), 0);
    world.advance_ms(1);
    assert_eq!(world.take_plis(), 1);
}

#[test]
fn a_closed_gate_lets_nothing_pass_but_everything_is_accounted_for() {
    let mut world = started();
    world.ingress.set_track_open(VIDEO, false);
    world.refuses(&media(11), DropReason::TrackClosed);
    world.refuses(&media(13), DropReason::TrackClosed);
    world.advance_ms(100);
    assert!(world.take_nacks().is_empty());
    world.ingress.set_track_open(VIDEO, true);
    assert!(world.rtp(&media(14)).is_some());
    let mut stats = Vec::new();
    world.ingress.stats(world.now, &mut stats);
    let track = stats.iter().find(|stats| stats.track == VIDEO).unwrap();
    assert_eq!((track.received.packets, track.lost), (4, 1));
}

#[test]
fn more_new_ssrcs_than_the_rate_allows() {
    let mut world = World::new(by_rid());
    let mut refused = 0;
    for ssrc in 0..100 {
        let packet = Rtp::new(1_000 + ssrc, VP8_PT, 1).with(MID, b"v").with(RID, b"q");
        refused += u64::from(world.rtp(&packet).is_none());
    }
    assert_eq!(refused, 36);
    assert_eq!(world.ingress.drops().get(DropReason::SsrcRate), refused);
}

#[test]
fn more_ssrcs_at_once_than_a_transport_may_have() {
    let mut world = World::new(by_rid());
    for ssrc in 0..128 {
        let packet = Rtp::new(1_000 + ssrc, VP8_PT, 1).with(MID, b"v").with(RID, b"q");
        assert!(world.rtp(&packet).is_some());
        world.now = world.now + Duration::from_millis(100);
    }
    let packet = Rtp::new(2_000, VP8_PT, 1).with(MID, b"v").with(RID, b"q");
    world.refuses(&packet, DropReason::SsrcCap);
}

#[test]
fn rtcp_that_cannot_be_read_or_believed() {
    let mut world = started();
    let report = |ntp: u8, rtp: u32| {
        let mut bytes = vec![0x80, 200, 0, 6, 0, 0, 0, 100, 0, 0, 0, ntp, 0, 0, 0, 0];
        bytes.extend(rtp.to_be_bytes());
        bytes.extend([0; 8]);
        bytes
    };
    let timestamp = media(10).timestamp;
    world.rtcp(&report(9, timestamp));
    let cases: [(&[u8], DropReason); 4] = [
        (&report(8, timestamp.wrapping_sub(90_000)), DropReason::SrAnachronous),
        (&[0x81, 203, 0, 1, 0, 0, 0, 77], DropReason::ByeIgnored),
        (&[0x81, 201, 0, 1, 0, 0, 0, 1], DropReason::RtcpMalformed),
        (&[0x80, 204, 0, 1, 0, 0, 0, 1], DropReason::RtcpUnknownType),
    ];
    for (bytes, reason) in cases {
        let before = world.ingress.drops().clone();
        world.rtcp(bytes);
        world.counted_once(&before, reason);
    }
    assert_eq!(Compound::parse(&[0x80, 200]).map(|_| ()), Err(DropReason::RtcpMalformed));
}
