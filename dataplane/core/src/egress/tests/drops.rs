//! Every reason for which a leg does not send a packet, counted under its name.

use super::*;
use crate::egress::test_support::{video, vp8, vp9};
use crate::media::{CodecFacts, DependencyFacts};

/// Sends one packet that must be dropped, and asserts that exactly this reason was counted once.
fn refused(rig: &mut Rig, meta: PacketMeta, reason: DropReason) {
    let before: Vec<_> = rig.egress.drops().iter().collect();
    assert!(!rig.send(meta), "sent instead of {}", reason.name());
    for ((name, before), (_, after)) in before.into_iter().zip(rig.egress.drops().iter()) {
        assert_eq!(after - before, u64::from(name == reason), "{}", name.name());
    }
}

fn started() -> Rig {
    let mut rig = Rig::video();
    assert!(rig.send(start(0, 100)));
    rig
}

#[test]
fn a_track_without_legs() {
    let mut rig = Rig::video();
    let other = PacketMeta { track: TrackId(99), ..video(0, 1) };
    refused(&mut rig, other, DropReason::NoLegs);
}

#[test]
fn a_transport_without_keys() {
    let mut rig = Rig::video();
    rig.egress.set_ready(rig.now, TRANSPORT, false);
    refused(&mut rig, start(0, 100), DropReason::LegNotReady);
    rig.egress.set_ready(rig.now, TRANSPORT, true);
    assert!(rig.send(start(0, 101)));
}

#[test]
fn a_transport_that_loses_its_address_starts_anew_with_a_key_frame() {
    let mut rig = started();
    rig.wire.refuse = Some(DropReason::ConsentExpired);
    refused(&mut rig, video(0, 101), DropReason::ConsentExpired);
    rig.wire.refuse = None;
    refused(&mut rig, video(0, 102), DropReason::NotAKeyframe);
    assert!(rig.send(start(0, 103)));
}

#[test]
fn a_full_outbox_costs_one_packet_and_leaves_its_number_to_a_retransmission() {
    let mut rig = started();
    rig.wire.refuse = Some(DropReason::SendQueueFull);
    refused(&mut rig, video(0, 101), DropReason::SendQueueFull);
    rig.wire.refuse = None;
    assert!(rig.send(video(0, 102)));
    let (first, _, _) = read(&rig.wire.rtp[0]);
    assert_eq!(rig.last().0, first.wrapping_add(2));
}

#[test]
fn a_paused_leg() {
    let mut rig = Rig::video();
    rig.aim(None);
    refused(&mut rig, start(0, 100), DropReason::LegPaused);
}

#[test]
fn a_start_that_is_no_key_frame_or_not_its_first_packet() {
    let mut rig = Rig::video();
    refused(&mut rig, video(0, 100), DropReason::NotAKeyframe);
    let mut middle = start(0, 101);
    middle.frame.start = false;
    refused(&mut rig, middle, DropReason::SwitchNotStart);
}

#[test]
fn packets_that_went_by_before_the_late_start_of_their_frame_are_sent_after_it() {
    let mut rig = Rig::video();
    // The store is made when the stream shows up.
    refused(&mut rig, video(0, 90), DropReason::NotAKeyframe);
    refused(&mut rig, video(0, 101), DropReason::NotAKeyframe);
    refused(&mut rig, video(0, 103), DropReason::NotAKeyframe);
    assert!(rig.send(start(0, 100)));
    let numbers: Vec<_> = rig.wire.rtp.iter().map(|packet| read(packet).0).collect();
    let first = numbers[0];
    assert_eq!(numbers, [first, first + 1, first + 3]);
    assert_eq!(rig.egress.counters().replayed, 2);
    assert!(rig.send(video(0, 102)));
    assert_eq!(rig.last().0, first + 2);
}

#[test]
fn a_publisher_that_starts_over_before_its_key_frame_which_is_asked_for() {
    let mut rig = started();
    rig.asks();
    let restarted = PacketMeta { generation: 1, ..video(0, 50_000) };
    refused(&mut rig, restarted, DropReason::NotAKeyframe);
    let ask = Ask::Keyframe { home: LaneId(0), track: TRACK, stream: 0 };
    assert_eq!(rig.asks(), [ask]);
    assert!(rig.send(PacketMeta { generation: 1, ..start(0, 50_001) }));
}

#[test]
fn another_stream_than_the_one_on_the_wire() {
    let mut rig = started();
    rig.aim(Some((0, 2)));
    refused(&mut rig, video(1, 7), DropReason::LayerNotSelected);
}

#[test]
fn a_stream_whose_time_is_not_tied_to_ours() {
    let mut rig = started();
    let untied = PacketMeta { line: None, ..start(1, 7) };
    refused(&mut rig, untied, DropReason::SwitchNoSenderReport);
}

#[test]
fn a_stream_that_lies_behind() {
    let mut rig = started();
    let behind = PacketMeta { t: 100 * 3_000 - 9_000, ..start(1, 7) };
    refused(&mut rig, behind, DropReason::SwitchBehind);
}

#[test]
fn padding_of_the_publisher() {
    let mut rig = started();
    let padding = PacketMeta { padding_only: true, ..video(0, 101) };
    refused(&mut rig, padding, DropReason::PaddingOnly);
    assert!(rig.send(video(0, 102)));
    let (first, _, _) = read(&rig.wire.rtp[0]);
    assert_eq!(rig.last().0, first.wrapping_add(1), "padding takes no number");
}

#[test]
fn temporal_layers_above_the_target() {
    let mut rig = Rig::video();
    rig.aim(Some((0, 0)));
    let mut first = vp8(100, 5, 0);
    first.frame.keyframe = true;
    assert!(rig.send(first));
    refused(&mut rig, vp8(101, 6, 1), DropReason::TemporalDrop);
}

#[test]
fn spatial_layers_above_the_target() {
    let mut rig = Rig::video();
    rig.aim(Some((0, 0)));
    assert!(rig.send(vp9(100, (0, 0), false)));
    refused(&mut rig, vp9(101, (1, 0), false), DropReason::SpatialDrop);
}

/// A frame of a stream with one decode target and one chain.
fn chained(n: u64, frame: u64, diff: u16) -> PacketMeta {
    let facts = DependencyFacts {
        frame,
        dti: 2,
        targets: 1,
        frame_diffs: [diff, 0, 0, 0, 0, 0, 0, 0],
        chain_diffs: [diff as u8; 8],
        protected_by: [0; 32],
        target_layers: [0; 32],
        active_targets: 1,
        has_structure: diff == 0,
    };
    let mut meta = video(0, n);
    meta.frame.keyframe = diff == 0;
    meta.frame.codec = CodecFacts::Dependency(facts);
    meta
}

#[test]
fn frames_behind_a_frame_that_was_not_forwarded() {
    let mut rig = Rig::video();
    assert!(rig.send(chained(100, 1_000, 0)));
    // A frame that no decode target of the leg contains, and one that needs it all the same.
    let mut absent = chained(101, 1_001, 1);
    if let CodecFacts::Dependency(facts) = &mut absent.frame.codec {
        facts.dti = 0;
    }
    assert!(!rig.send(absent));
    refused(&mut rig, chained(102, 1_002, 1), DropReason::ChainBroken);
}

#[test]
fn packets_from_before_the_start() {
    let mut rig = started();
    refused(&mut rig, video(0, 99), DropReason::BeforeSwitch);
}

#[test]
fn late_packets_whose_place_was_given_up() {
    let mut rig = started();
    let padding = PacketMeta { padding_only: true, ..video(0, 101) };
    rig.send(padding);
    refused(&mut rig, video(0, 101), DropReason::LateExcluded);
}

#[test]
fn late_packets_beyond_the_memory_of_the_mapping() {
    let mut rig = started();
    assert!(rig.send(video(0, 102)));
    for step in 0..3_000 {
        assert!(rig.send(video(0, 103 + step)));
    }
    refused(&mut rig, video(0, 101), DropReason::LateNoMapping);
}

#[test]
fn packets_of_the_old_stream_after_a_switch() {
    let mut rig = started();
    let tied = PacketMeta { t: 100 * 3_000 + 10, ..start(1, 7) };
    assert!(rig.send(tied));
    refused(&mut rig, video(0, 101), DropReason::LateAfterSwitch);
    rig.pass(200);
    refused(&mut rig, video(0, 102), DropReason::LayerNotSelected);
}

#[test]
fn packets_that_were_sent_before() {
    let mut rig = started();
    assert!(rig.send(video(0, 101)));
    refused(&mut rig, video(0, 101), DropReason::LegDuplicate);
}

#[test]
fn codecs_that_the_subscriber_does_not_know() {
    let mut rig = started();
    let other = PacketMeta { payload_type: 33, ..video(0, 101) };
    refused(&mut rig, other, DropReason::PayloadUnmapped);
}

#[test]
fn packets_that_do_not_fit_the_path() {
    let mut rig = started();
    refused(&mut rig, sized(video(0, 101), 1_440), DropReason::TooBig);
    assert!(rig.send(sized(video(0, 102), 1_300)));
    let (first, _, _) = read(&rig.wire.rtp[0]);
    assert_eq!(rig.last().0, first.wrapping_add(2), "it looks lost, not joined over");
    let mut fresh = Rig::video();
    refused(&mut fresh, sized(start(0, 1), 1_440), DropReason::TooBig);
}

#[test]
fn redundant_audio_without_a_primary_block() {
    let mut audio = command(MediaKind::Audio, None);
    audio.payloads[0].strip_red = true;
    let mut rig = Rig::with(&audio);
    // The payload repeats the number: 0xFF announces a redundant block that is not there.
    refused(&mut rig, sized(video(0, 0xFF), 8), DropReason::RedWithoutPrimary);
    assert!(rig.send(sized(video(0, 0x16F), 8)));
    assert_eq!(rig.last().2, [0x6F; 7], "the block header is gone");
}

#[test]
fn commands_about_legs_and_transports_that_do_not_exist() {
    let mut rig = Rig::video();
    rig.egress.set_leg(rig.now, LegId(99), None);
    rig.egress.remove_leg(rig.now, LegId(99));
    let stranger = AddLeg { transport: TransportId(99), ..command(MediaKind::Video, None) };
    rig.egress.add_leg(rig.now, &AddLeg { leg: LegId(98), ..stranger }, 0);
    assert_eq!(rig.dropped(DropReason::CommandUnknown), 3);
}

#[test]
fn every_packet_of_a_leg_ends_as_sent_or_under_exactly_one_reason() {
    let mut rig = started();
    let mut legs = 1;
    for step in 0..2_000u64 {
        let stream = (step % 5 / 2) as u8;
        let mut meta = video(stream, 100 + step * 7 % 900);
        meta.frame.keyframe = step % 31 == 0;
        meta.padding_only = step % 17 == 0;
        meta.payload_type = if step % 43 == 0 { 1 } else { PT };
        rig.send(meta);
        rig.pass(1);
        legs += 1;
    }
    let dropped: u64 = rig.egress.drops().iter().map(|(_, count)| count).sum();
    assert_eq!(rig.egress.counters().forwarded.packets + dropped, legs);
}
