//! What is sent back to publishers, and when.

use super::*;
use crate::rtcp::xr::{Block, Delay, ExtendedReportOut};
use crate::rtcp::{Packet, Write};

fn media(sequence: u16) -> Rtp {
    Rtp::new(100, VP8_PT, sequence)
}

fn started() -> World {
    let mut world = World::single();
    world.rtp(&media(1).carrying(KEY)).unwrap();
    world
}

/// Sends XR from Alice.
fn extended(world: &mut World, sender: u32, reference: Option<u64>, delays: &[Delay]) {
    let mut bytes = [0; 200];
    let report = ExtendedReportOut { sender, reference, delays };
    let length = report.write(&mut bytes).unwrap();
    world.rtcp(&bytes[..length]);
}

#[test]
fn a_gap_is_asked_for_at_once_and_the_answer_ends_it() {
    let mut world = started();
    // The rest of one picture: no jitter that would add to the patience.
    let media = |sequence| media(sequence).at(3_000).carrying(&[0x00, 9]);
    world.rtp(&media(4)).unwrap();
    assert_eq!(world.ingress.poll_timeout(), Some(world.now));
    world.advance_ms(0);
    assert_eq!(world.take_nacks(), [2, 3]);
    world.rtp(&media(2).repaired_by(900, VP8_RTX, 1)).unwrap();
    world.advance_ms(99);
    assert!(world.take_nacks().is_empty());
    world.advance_ms(1);
    assert_eq!(world.take_nacks(), [3], "again after the assumed round trip");
    assert_eq!(world.ingress.counters().nacks_sent, 3);
}

#[test]
fn nothing_is_asked_for_that_nobody_wants_or_that_red_covers() {
    let mut world = started();
    world.ingress.set_wanted(VIDEO, 0);
    world.rtp(&media(4)).unwrap();
    for sequence in [1, 5] {
        world.rtp(&Rtp::new(5, 63, sequence).carrying(&[OPUS_PT, 1])).unwrap();
    }
    world.advance_ms(100);
    assert!(world.take_nacks().is_empty());
}

#[test]
fn opus_is_repaired_where_nack_was_negotiated() {
    let mut world = World::single();
    for sequence in [1, 3] {
        world.rtp(&Rtp::new(5, OPUS_PT, sequence)).unwrap();
    }
    world.advance_ms(0);
    assert_eq!(world.take_nacks(), [2]);
    assert_eq!(world.ingress.counters().repaired, 0);
    assert!(world.rtp(&Rtp::new(5, OPUS_PT, 2)).is_some_and(|meta| meta.repaired));
    assert_eq!(world.ingress.counters().repaired, 1, "its retransmission looks like the original");
}

#[test]
fn a_loss_too_large_to_repair_asks_for_a_key_frame_instead() {
    let mut world = started();
    world.rtp(&media(1_000)).unwrap();
    world.advance_ms(1);
    assert_eq!(world.take_plis(), 1);
    assert_eq!(world.ingress.counters().nacks_sent, 0);
}

#[test]
fn five_hundred_legs_that_ask_make_one_request() {
    let mut world = started();
    for _ in 0..500 {
        world.ingress.request_keyframe(world.now, VIDEO, 0);
        world.advance(Duration::from_micros(20));
    }
    assert_eq!(world.take_plis(), 1);
    world.rtp(&media(2).carrying(KEY)).unwrap();
    world.advance_ms(2_000);
    assert_eq!(world.take_plis(), 0);
}

#[test]
fn a_lost_request_is_repeated_after_two_round_trips() {
    let mut world = started();
    world.ingress.set_rtt(ALICE, Duration::from_millis(200));
    world.ingress.request_keyframe(world.now, VIDEO, 0);
    world.advance_ms(399);
    assert_eq!(world.take_plis(), 1);
    world.advance_ms(1);
    assert_eq!(world.take_plis(), 1);
}

#[test]
fn a_request_before_the_stream_is_known_waits_for_it_without_spinning() {
    let mut world = World::single();
    world.ingress.request_keyframe(world.now, VIDEO, 0);
    assert_eq!(world.ingress.poll_timeout(), None);
    world.rtp(&media(1)).unwrap();
    world.advance_ms(0);
    assert_eq!(world.take_plis(), 1);
}

#[test]
fn every_packet_of_a_transport_counts_for_its_feedback() {
    let mut world = started();
    world.rtp(&media(2).with(NUMBER, &[0, 10])).unwrap();
    world.refuses(&Rtp::new(0, 33, 1).with(NUMBER, &[0, 11]), DropReason::ProbeOnly);
    world.refuses(&media(2).with(NUMBER, &[0, 13]), DropReason::Duplicate);
    world.advance_ms(100);
    let sent = world.take_sent();
    let Some(Ok(Packet::TransportFeedback(feedback))) =
        Compound::parse(&sent[0]).unwrap().iter().next()
    else {
        panic!("no feedback")
    };
    let arrived: Vec<_> = feedback.arrivals().map(|(n, at)| (n, at.is_some())).collect();
    assert_eq!(arrived, [(10, true), (11, true), (12, false), (13, true)]);
    assert_eq!(feedback.sender, FEEDBACK_SSRC);
}

#[test]
fn reports_tell_reception_of_media_and_repairs_with_a_name_and_a_reference_time() {
    let mut world = started();
    world.rtcp(&[
        0x80, 200, 0, 6, 0, 0, 0, 100, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    let sent_at = world.now;
    for sequence in [2, 3, 5] {
        world.rtp(&media(sequence)).unwrap();
    }
    world.rtp(&media(4).repaired_by(900, VP8_RTX, 1)).unwrap();
    world.advance_ms(1_500);
    let sent = world.take_sent();
    let report = sent.iter().find(|bytes| bytes[1] == 201).unwrap();
    let packets: Vec<_> = Compound::parse(report).unwrap().iter().map(|p| p.unwrap()).collect();
    let Packet::ReceiverReport(receiver) = packets[0] else { panic!("no RR") };
    let blocks: Vec<_> = receiver.blocks.iter().collect();
    assert_eq!((blocks[0].ssrc, blocks[0].lost, blocks[0].last_sr), (100, 1, 0x0304_0506));
    assert_eq!((blocks[0].fraction_lost, blocks[1].ssrc, blocks[1].lost), (51, 900, 0));
    let delay = Duration::from_secs(u64::from(blocks[0].delay)) / 65_536;
    assert!(delay >= Duration::from_millis(499) && world.now.since(sent_at) >= delay);
    let Packet::Sdes(sdes) = packets[1] else { panic!("no SDES") };
    let (ssrc, name) = sdes.cnames().next().unwrap();
    assert_eq!((ssrc, name.len()), (FEEDBACK_SSRC, 16));
    let Packet::Xr(extended) = packets[2] else { panic!("no XR") };
    assert!(matches!(extended.blocks().next(), Some(Block::ReceiverReference(_))));
}

#[test]
fn an_answered_reference_time_measures_the_round_trip() {
    let mut world = started();
    world.advance_ms(1_500);
    let sent = world.take_sent();
    let report = sent.iter().find(|bytes| bytes[1] == 201).unwrap();
    let reference =
        Compound::parse(report).unwrap().iter().flatten().find_map(|packet| match packet {
            Packet::Xr(report) => report.blocks().find_map(|block| match block {
                Block::ReceiverReference(ntp) => Some(ntp),
                Block::Delays(_) => None,
            }),
            _ => None,
        });
    let reference = reference.unwrap();
    let sent_at =
        Time(((u128::from(reference - (3_900_000_000 << 32)) * 1_000_000_000) >> 32) as u64);
    world.now = sent_at + Duration::from_millis(180);
    let middle = (reference >> 16) as u32;
    let delay = Delay { ssrc: FEEDBACK_SSRC, last_rr: middle, delay: 65_536 / 10 };
    extended(&mut world, 77, None, &[Delay { ssrc: 5, ..delay }, delay]);
    let rtt = world.ingress.rtt(ALICE).unwrap();
    assert!(rtt.abs_diff(Duration::from_millis(80)) < Duration::from_millis(1), "{rtt:?}");
}

#[test]
fn a_peers_reference_time_is_answered() {
    let mut world = World::single();
    extended(&mut world, 77, Some(0x0000_1234_5678_0000), &[]);
    world.advance_ms(1_500);
    let sent = world.take_sent();
    let packets: Vec<_> = Compound::parse(&sent[0]).unwrap().iter().map(|p| p.unwrap()).collect();
    let Packet::Xr(report) = packets[2] else { panic!("no XR") };
    let Some(Block::Delays(delays)) = report.blocks().nth(1) else { panic!("no DLRR") };
    let delay = delays.iter().next().unwrap();
    assert_eq!((delay.ssrc, delay.last_rr), (77, 0x1234_5678));
    assert!((32_000..=98_304).contains(&delay.delay), "{}", delay.delay);
}

#[test]
fn more_streams_than_one_report_holds_are_told_in_several() {
    let mut world = World::single();
    for index in 0..20u32 {
        let mut track = video(vec![StreamParameters::default()]);
        (track.track, track.mid) = (TrackId(100 + index), format!("m{index}"));
        world.ingress.add_track(&track);
        world.ingress.set_track_open(track.track, true);
        let mid = track.mid.as_bytes();
        world.rtp(&Rtp::new(500 + index, VP8_PT, 1).with(MID, mid)).unwrap();
        world.rtp(&Rtp::new(500 + index, VP8_PT, 3)).unwrap();
        let lost = Rtp::new(500 + index, VP8_PT, 2).with(MID, mid);
        world.rtp(&lost.repaired_by(700 + index, VP8_RTX, 1)).unwrap();
    }
    world.advance_ms(1_500);
    let sent = world.take_sent();
    let blocks: Vec<_> = sent
        .iter()
        .flat_map(|bytes| Compound::parse(bytes).unwrap().iter().flatten().collect::<Vec<_>>())
        .filter_map(|packet| match packet {
            Packet::ReceiverReport(report) => Some(report.blocks.iter().count()),
            _ => None,
        })
        .collect();
    assert_eq!(blocks, [31, 9]);
}

#[test]
fn an_idle_transport_has_no_timer() {
    let mut world = started();
    world.rtp(&Rtp::new(5, OPUS_PT, 1).with(LEVEL, &[0x20])).unwrap();
    world.ingress.set_wanted(VIDEO, 0);
    world.advance_ms(20_000);
    assert_eq!(world.ingress.poll_timeout(), None);
}

#[test]
fn repeated_requests_cost_little_of_the_media_they_repair() {
    let mut world = started();
    world.ingress.set_rtt(ALICE, Duration::from_millis(200));
    let payload = [DELTA, &[0; 1_150]].concat();
    let (mut media_bytes, mut lost) = (0, Vec::new());
    for sequence in 2..3_000u16 {
        // Every fiftieth packet is lost; its retransmission arrives a round trip later.
        if sequence % 50 == 7 {
            lost.push(sequence);
        } else {
            let packet = media(sequence).at(u32::from(sequence) * 180).carrying(&payload);
            media_bytes += packet.bytes().len();
            world.rtp(&packet).unwrap();
        }
        if sequence >= 120 && lost.contains(&(sequence - 120)) {
            let repaired = media(sequence - 120).at(0).carrying(&payload);
            world.rtp(&repaired.repaired_by(900, VP8_RTX, sequence)).unwrap();
        }
        world.advance_ms(2);
    }
    let nack_bytes: usize =
        world.take_sent().iter().filter(|bytes| bytes[..2] == [0x81, 205]).map(Vec::len).sum();
    assert!(nack_bytes > 0 && nack_bytes * 100 <= media_bytes, "{nack_bytes} of {media_bytes}");
}
