//! Retransmissions: what is sent again, how often, at what price; numbers that are declared empty; padding.

use super::*;
use crate::egress::test_support::video;
use crate::rtcp::nack::NackOut;
use crate::rtcp::pli::Pli;

/// A leg that sent a key frame and `count` packets behind it; the first sequence number.
fn sent(rig: &mut Rig, count: u64) -> u16 {
    assert!(rig.send(sized(start(0, 100), 1_000)));
    for n in 1..=count {
        assert!(rig.send(sized(video(0, 100 + n), 1_000)));
    }
    read(&rig.wire.rtp[0]).0
}

fn nack(rig: &mut Rig, sequences: &[u16]) -> usize {
    let before = rig.wire.rtp.len();
    rig.report(&NackOut { sender: 1, media: SSRC, sequences });
    rig.wire.rtp.len() - before
}

#[test]
fn a_lost_packet_comes_again_on_its_own_stream_with_its_old_number_inside() {
    let mut rig = Rig::video();
    let first = sent(&mut rig, 3);
    let original = read(&rig.wire.rtp[2]);
    assert_eq!(nack(&mut rig, &[first + 2]), 1);
    let packet = rig.wire.rtp.last().unwrap();
    let header = crate::rtp::Header::parse(packet).unwrap();
    assert_eq!((header.ssrc, header.payload_type), (RTX, RTX_PT));
    assert_eq!(header.timestamp, original.1);
    let payload = header.payload.of(packet);
    assert_eq!(payload[..2], (first + 2).to_be_bytes());
    assert_eq!(payload[2..], original.2);
    assert_eq!(rig.egress.counters().retransmitted, 1);
}

#[test]
fn a_question_within_a_round_trip_is_the_same_question() {
    let mut rig = Rig::video();
    let first = sent(&mut rig, 3);
    assert_eq!(nack(&mut rig, &[first + 1]), 1);
    rig.pass(94);
    assert_eq!(nack(&mut rig, &[first + 1]), 0);
    assert_eq!(rig.dropped(DropReason::NackDedupe), 1);
    rig.pass(1);
    assert_eq!(nack(&mut rig, &[first + 1]), 1);
}

#[test]
fn what_was_asked_for_before_a_late_packet_filled_its_hole_is_not_sent_again() {
    let mut rig = Rig::video();
    let first = sent(&mut rig, 2);
    assert!(rig.send(sized(video(0, 104), 1_000)));
    assert_eq!(nack(&mut rig, &[first + 3]), 0);
    assert_eq!(rig.dropped(DropReason::NackMiss), 1);
    assert!(rig.send(sized(video(0, 103), 1_000)));
    rig.pass(94);
    assert_eq!(nack(&mut rig, &[first + 3]), 0, "the question and the packet crossed");
    assert_eq!(rig.dropped(DropReason::NackDedupe), 1);
    rig.pass(1);
    assert_eq!(nack(&mut rig, &[first + 3]), 1);
}

#[test]
fn a_packet_is_sent_again_ten_times_at_most() {
    let mut rig = Rig::video();
    let first = sent(&mut rig, 3);
    for _ in 0..11 {
        nack(&mut rig, &[first + 1]);
        rig.pass(100);
    }
    assert_eq!(rig.egress.counters().retransmitted, 10);
    assert_eq!(rig.dropped(DropReason::NackTries), 1);
}

#[test]
fn what_is_too_old_to_be_played_is_not_sent_again() {
    let mut rig = Rig::video();
    let first = sent(&mut rig, 3);
    rig.pass(1_501);
    assert_eq!(nack(&mut rig, &[first + 1]), 0);
    assert_eq!(rig.dropped(DropReason::NackLate), 1);
}

#[test]
fn what_a_key_frame_made_superfluous_is_not_sent_again() {
    let mut rig = Rig::video();
    let first = sent(&mut rig, 3);
    assert!(rig.send(start(0, 104)));
    assert_eq!(nack(&mut rig, &[first + 1]), 0);
    assert_eq!(rig.dropped(DropReason::NackSuperseded), 1);
    assert_eq!(nack(&mut rig, &[first + 4]), 1);
}

#[test]
fn numbers_that_were_never_sent_are_a_miss() {
    let mut rig = Rig::video();
    let first = sent(&mut rig, 3);
    assert_eq!(nack(&mut rig, &[first.wrapping_sub(5), first + 4]), 0);
    assert_eq!(rig.dropped(DropReason::NackMiss), 2);
}

#[test]
fn the_budget_bounds_what_a_receiver_can_cause() {
    let mut rig = Rig::video();
    let first = sent(&mut rig, 200);
    let all: Vec<u16> = (0..=200).map(|step| first.wrapping_add(step)).collect();
    let again = nack(&mut rig, &all);
    // 64 KiB of credit, a thousand bytes each.
    assert_eq!(again, 65);
    assert_eq!(rig.dropped(DropReason::NackBudget), 201 - 65);
    for n in 0..20 {
        assert!(rig.send(sized(video(0, 301 + n), 1_000)));
    }
    assert_eq!(nack(&mut rig, &all[100..110]), 7, "thirty-five per cent of twenty thousand bytes");
}

#[test]
fn without_a_retransmission_stream_nothing_comes_again() {
    let mut rig = Rig::with(&command(MediaKind::Video, None));
    let first = sent(&mut rig, 3);
    assert_eq!(nack(&mut rig, &[first + 1]), 0);
    assert_eq!(rig.dropped(DropReason::NackNoRtx), 1);
}

#[test]
fn a_hole_that_nothing_will_fill_is_declared_empty_once_and_for_all() {
    let mut rig = Rig::video();
    let first = sent(&mut rig, 1);
    assert!(rig.send(video(0, 103)));
    // Number 102 comes late and turns out to be padding.
    let padding = PacketMeta { padding_only: true, ..video(0, 102) };
    assert!(!rig.send(padding));
    assert_eq!(nack(&mut rig, &[first + 2]), 1);
    let packet = rig.wire.rtp.last().unwrap().clone();
    let header = crate::rtp::Header::parse(&packet).unwrap();
    assert_eq!((header.ssrc, header.sequence), (SSRC, first + 2));
    assert!(header.payload.is_empty());
    assert_eq!(header.padding, 1);
    assert_eq!(header.timestamp, read(&rig.wire.rtp[1]).1, "the neighbour's time");
    assert_eq!(rig.egress.counters().closed, 1);
    assert_eq!(nack(&mut rig, &[first + 2]), 0);
    assert!(!rig.send(video(0, 102)));
    assert_eq!(rig.dropped(DropReason::HoleAlreadyClosed), 1);
}

#[test]
fn feedback_about_streams_that_nobody_gets_is_counted() {
    let mut rig = Rig::video();
    rig.report(&NackOut { sender: 1, media: 9_999, sequences: &[1, 2] });
    rig.report(&Pli { sender: 1, media: 9_999 });
    assert_eq!(rig.dropped(DropReason::FeedbackUnknownStream), 3);
}

#[test]
fn one_receiver_causes_three_key_frames_in_a_row_and_one_more_every_few_seconds() {
    let mut rig = Rig::video();
    sent(&mut rig, 1);
    rig.asks();
    let plead = |rig: &mut Rig| {
        rig.report(&Pli { sender: 1, media: SSRC });
        rig.asks().len()
    };
    let granted: usize = (0..10).map(|_| plead(&mut rig)).sum();
    assert_eq!((granted, rig.dropped(DropReason::KeyframeFlood)), (3, 7));
    rig.pass(3_333);
    assert_eq!([plead(&mut rig), plead(&mut rig)], [1, 0]);
    assert_eq!(rig.egress.counters().keyframe_requests, 12);
}

#[test]
fn padding_goes_on_the_retransmission_stream_and_takes_no_number_of_the_media() {
    let mut rig = Rig::video();
    let first = sent(&mut rig, 1);
    let bytes = rig.egress.pad(rig.now, TRANSPORT, 1_000, &mut rig.wire);
    assert!((1_000..1_300).contains(&bytes), "{bytes}");
    let padding = &rig.wire.rtp[2..];
    for packet in padding {
        let header = crate::rtp::Header::parse(packet).unwrap();
        assert_eq!((header.ssrc, header.payload.is_empty(), header.padding), (RTX, true, 240));
    }
    assert!(rig.send(video(0, 102)));
    assert_eq!(rig.last().0, first + 2);
}

#[test]
fn padding_without_a_retransmission_stream_waits_for_the_end_of_a_frame() {
    let mut rig = Rig::with(&command(MediaKind::Video, None));
    let first = sent(&mut rig, 1);
    let mut open = video(0, 102);
    open.frame.end = false;
    assert!(rig.send(open));
    assert_eq!(rig.egress.pad(rig.now, TRANSPORT, 100, &mut rig.wire), 0);
    assert_eq!(rig.dropped(DropReason::PaddingUnfit), 1);
    let mut end = video(0, 103);
    end.frame.start = false;
    assert!(rig.send(end));
    assert!(rig.egress.pad(rig.now, TRANSPORT, 100, &mut rig.wire) > 0);
    assert_eq!(rig.last().0, first + 4);
    assert!(rig.send(video(0, 104)));
    assert_eq!(rig.last().0, first + 5);
}
