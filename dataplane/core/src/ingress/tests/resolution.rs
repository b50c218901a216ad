//! Which stream a packet belongs to.

use super::*;

fn media(ssrc: u32, sequence: u16) -> Rtp {
    Rtp::new(ssrc, VP8_PT, sequence)
}

#[test]
fn simulcast_by_rid_stays_bound_when_the_extensions_vanish() {
    let mut world = World::new(by_rid());
    for (stream, rid) in [b"q", b"h", b"f"].into_iter().enumerate() {
        let ssrc = 100 + stream as u32;
        let meta = world.rtp(&media(ssrc, 1).with(MID, b"v").with(RID, rid)).unwrap();
        assert_eq!((meta.track, usize::from(meta.stream)), (VIDEO, stream));
        let meta = world.rtp(&media(ssrc, 2)).unwrap();
        assert_eq!(usize::from(meta.stream), stream);
    }
}

#[test]
fn a_rid_alone_is_enough_where_one_track_has_it() {
    let mut world = World::new(by_rid());
    assert_eq!(world.rtp(&media(100, 1).with(RID, b"h")).unwrap().stream, 1);
    let mut other = video(by_rid());
    (other.track, other.mid) = (TrackId(21), "w".into());
    world.ingress.add_track(&other);
    world.refuses(&media(101, 1).with(RID, b"h"), DropReason::SsrcUnknown);
}

#[test]
fn a_repaired_rid_binds_retransmissions_and_restores_the_original() {
    let mut world = World::new(by_rid());
    world.rtp(&media(100, 1).with(MID, b"v").with(RID, b"h")).unwrap();
    world.rtp(&media(100, 3)).unwrap();
    let lost = media(100, 2).with(MID, b"v").with(RID, b"h");
    let mut rtx = lost.repaired_by(900, VP8_RTX, 50);
    rtx.elements[1].0 = REPAIRED_RID;
    let mut bytes = rtx.bytes();
    let arrived = world.arrived(ALICE);
    let meta = world.ingress.handle_rtp(arrived, &mut bytes, &mut world.out).unwrap();
    assert!(meta.repaired);
    assert_eq!((meta.stream, meta.payload_type, meta.n & 0xFFFF), (1, VP8_PT, 2));
    assert_eq!(bytes[..usize::from(meta.payload.end)], lost.bytes());
    // And without extensions from now on; the number was never missing, which is legal.
    let next = media(100, 4).repaired_by(900, VP8_RTX, 51);
    assert_eq!(world.rtp(&next).map(|meta| meta.n & 0xFFFF), Some(4));
}

#[test]
fn a_retransmission_before_its_media_is_pending() {
    let mut world = World::new(by_rid());
    let rtx = media(100, 2).repaired_by(900, VP8_RTX, 1);
    let rtx = rtx.with(MID, b"v").with(REPAIRED_RID, b"h");
    world.refuses(&rtx, DropReason::RepairPending);
    world.rtp(&media(100, 1).with(MID, b"v").with(RID, b"h")).unwrap();
    assert!(world.rtp(&rtx).is_some());
}

#[test]
fn signalled_ssrcs_tell_streams_and_their_retransmissions() {
    let streams: Vec<_> = (0..3)
        .map(|index| StreamParameters {
            rid: None,
            ssrc: Some(100 + index),
            rtx_ssrc: Some(200 + index),
        })
        .collect();
    let mut world = World::new(streams);
    for index in 0..3u32 {
        assert_eq!(u32::from(world.rtp(&media(100 + index, 1)).unwrap().stream), index);
        world.rtp(&media(100 + index, 3)).unwrap();
        let rtx = media(100 + index, 2).repaired_by(200 + index, VP8_RTX, 1);
        let meta = world.rtp(&rtx).unwrap();
        assert_eq!((u32::from(meta.stream), meta.repaired), (index, true));
    }
    world.refuses(&media(103, 1).with(MID, b"v"), DropReason::RidUnknown);
}

#[test]
fn a_payload_type_of_one_section_is_enough_and_of_two_is_not() {
    let mut world = World::single();
    assert_eq!(world.rtp(&media(100, 1)).unwrap().track, VIDEO);
    assert_eq!(world.rtp(&Rtp::new(5, OPUS_PT, 1)).unwrap().track, AUDIO);
    let mut second = audio();
    (second.track, second.mid) = (TrackId(11), "b".into());
    world.ingress.add_track(&second);
    world.refuses(&Rtp::new(6, OPUS_PT, 1), DropReason::SsrcUnknown);
    assert!(world.rtp(&Rtp::new(5, OPUS_PT, 2)).is_some(), "what is bound stays bound");
}

#[test]
fn the_same_ssrc_on_another_transport_reaches_only_that_transports_tracks() {
    let mut world = World::single();
    let mut bobs = video(vec![StreamParameters::default()]);
    (bobs.track, bobs.transport) = (TrackId(30), BOB);
    world.ingress.add_track(&bobs);
    world.ingress.set_track_open(bobs.track, true);
    assert_eq!(world.rtp(&media(100, 1)).unwrap().track, VIDEO);
    let arrived = world.arrived(BOB);
    let meta = world.ingress.handle_rtp(arrived, &mut media(100, 9).bytes(), &mut world.out);
    assert_eq!(meta.unwrap().track, TrackId(30));
    let arrived = world.arrived(TransportId(3));
    assert!(world
        .ingress
        .handle_rtp(arrived, &mut media(100, 9).bytes(), &mut world.out)
        .is_none());
    assert_eq!(world.ingress.drops().get(DropReason::SsrcUnknown), 1);
}

#[test]
fn a_new_ssrc_for_a_stream_is_a_new_generation_and_the_old_one_is_late() {
    let mut world = World::new(by_rid());
    let first = world.rtp(&media(100, 1).with(MID, b"v").with(RID, b"h")).unwrap();
    let second = world.rtp(&media(500, 40_000).with(MID, b"v").with(RID, b"h")).unwrap();
    assert_eq!(second.generation, first.generation + 1);
    world.refuses(&media(100, 2), DropReason::LateIngress);
    world.advance_ms(5_001);
    let back = world.rtp(&media(100, 3).with(MID, b"v").with(RID, b"h")).unwrap();
    assert_eq!(back.generation, first.generation + 2);
}

#[test]
fn a_changed_mind_about_the_rid_moves_the_ssrc_if_the_packet_is_the_newest() {
    let mut world = World::new(by_rid());
    world.rtp(&media(100, 10).with(MID, b"v").with(RID, b"q")).unwrap();
    let late = world.rtp(&media(100, 9).with(MID, b"v").with(RID, b"h")).unwrap();
    assert_eq!(late.stream, 0);
    let moved = world.rtp(&media(100, 11).with(MID, b"v").with(RID, b"h")).unwrap();
    assert_eq!(moved.stream, 1);
    assert_eq!(world.rtp(&media(100, 12)).unwrap().stream, 1);
    let again = world.rtp(&media(101, 5).with(MID, b"v").with(RID, b"q")).unwrap();
    assert_eq!(again.generation, 1, "the stream that was left starts anew");
}

#[test]
fn new_parameters_keep_known_streams_and_forget_replaced_ones() {
    let mut world = World::new(by_rid());
    world.rtp(&media(100, 1).with(MID, b"v").with(RID, b"h")).unwrap();
    let mut known = by_rid();
    known[1].ssrc = Some(100);
    world.ingress.add_track(&video(known));
    let meta = world.rtp(&media(100, 2)).unwrap();
    assert_eq!((meta.stream, meta.generation), (1, 0));
    world.ingress.add_track(&video(vec![StreamParameters::default()]));
    world.refuses(&media(101, 3).with(MID, b"v").with(RID, b"h"), DropReason::RidUnknown);
    assert_eq!(world.rtp(&media(100, 3)).unwrap().stream, 0);
}

#[test]
fn removed_tracks_and_transports_are_forgotten() {
    let mut world = World::single();
    world.rtp(&media(100, 1)).unwrap();
    world.rtp(&Rtp::new(5, OPUS_PT, 1)).unwrap();
    world.ingress.remove_track(AUDIO);
    assert_eq!(world.rtp(&media(100, 2)).unwrap().track, VIDEO, "its index moved, its binding too");
    world.refuses(&Rtp::new(5, OPUS_PT, 2), DropReason::SsrcUnknown);
    assert_eq!(world.ingress.remove_transport(ALICE), [VIDEO]);
    assert!(world.rtp(&media(100, 3)).is_none());
    assert_eq!(world.ingress.poll_timeout(), None);
    let mut stats = Vec::new();
    world.ingress.stats(world.now, &mut stats);
    assert!(stats.is_empty());
}
