//! What comes out for a packet that passes, and what else it causes.

use super::*;
use crate::event::AudioLevel;
use crate::media::CodecFacts;

fn media(ssrc: u32, sequence: u16) -> Rtp {
    Rtp::new(ssrc, VP8_PT, sequence)
}

fn sender_report(ssrc: u32, ntp: u64, rtp: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 200, 0, 6];
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend(ntp.to_be_bytes());
    bytes.extend(rtp.to_be_bytes());
    bytes.extend([0; 8]);
    bytes
}

#[test]
fn a_packet_carries_its_facts() {
    let mut world = World::single();
    let packet = media(100, 7).at(5_000).carrying(KEY).with(NUMBER, &[0, 1]);
    let meta = world.rtp(&packet).unwrap();
    assert_eq!((meta.codec, meta.payload_type, meta.clock_rate), (Codec::Vp8, VP8_PT, 90_000));
    assert_eq!((meta.n & 0xFFFF, meta.t as u32, meta.generation), (7, 5_000, 0));
    assert!(meta.marker && !meta.padding_only && !meta.repaired);
    assert!(meta.frame.start && meta.frame.keyframe);
    assert!(matches!(meta.frame.codec, CodecFacts::Vp8(_)));
    assert_eq!(meta.payload.of(&packet.bytes()), KEY);
    assert_eq!(meta.line, Some(0), "the only stream of a track is the line");
}

#[test]
fn one_track_may_change_its_codec_from_packet_to_packet() {
    let mut world = World::single();
    assert_eq!(world.rtp(&media(100, 1)).unwrap().codec, Codec::Vp8);
    let av1 = Rtp { payload_type: AV1_PT, ..media(100, 2) }.carrying(&[0x18, 0]);
    let meta = world.rtp(&av1).unwrap();
    assert_eq!((meta.codec, meta.n & 0xFFFF), (Codec::Av1, 2));
    let codecs: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::StreamChanged { codec, active: true, .. } => Some(codec),
            _ => None,
        })
        .collect();
    assert_eq!(codecs, [Codec::Av1], "its key frame brought the stream up");
}

#[test]
fn padding_alone_consumes_a_number_and_nothing_else() {
    let mut world = World::single();
    world.rtp(&media(100, 1).carrying(KEY)).unwrap();
    let before = world.ingress.layer_rate(world.now + TICK * 100, VIDEO, 0, (9, 9));
    let mut padding = media(100, 2).carrying(&[0, 0, 0, 4]).bytes();
    padding[0] |= 0x20;
    let arrived = world.arrived(ALICE);
    let meta = world.ingress.handle_rtp(arrived, &mut padding, &mut world.out).unwrap();
    assert!(meta.padding_only && meta.payload.is_empty() && !meta.frame.start);
    let after = world.ingress.layer_rate(world.now + TICK * 100, VIDEO, 0, (9, 9));
    assert_eq!(before, after);
    world.rtp(&media(100, 3)).unwrap();
    world.advance_ms(50);
    assert!(world.take_nacks().is_empty());
}

#[test]
fn a_restarted_stream_is_a_new_generation_and_asks_for_a_key_frame() {
    let mut world = World::single();
    world.rtp(&media(100, 1).carrying(KEY)).unwrap();
    world.rtp(&media(100, 3)).unwrap();
    world.refuses(&media(100, 30_000).at(77), DropReason::JumpHeld);
    let meta = world.rtp(&media(100, 30_001).at(3_077)).unwrap();
    assert_eq!((meta.generation, meta.n & 0xFFFF, meta.t as u32), (1, 30_001, 3_077));
    world.advance_ms(1);
    let sent = world.take_sent();
    let kinds: Vec<_> = Compound::parse(&sent[0]).unwrap().iter().map(|p| p.unwrap()).collect();
    assert!(matches!(kinds[0], crate::rtcp::Packet::Pli(_)));
    let crate::rtcp::Packet::Nack(nack) = kinds[1] else { panic!("no NACK") };
    assert_eq!(nack.sequences().collect::<Vec<_>>(), [30_000], "the held packet, not the old gap");
}

#[test]
fn sender_reports_bring_simulcast_streams_onto_one_line() {
    let mut world = World::new(by_rid());
    let bind =
        |rid: &[u8], ssrc, timestamp| media(ssrc, 1).at(timestamp).with(MID, b"v").with(RID, rid);
    let low = world.rtp(&bind(b"q", 100, 1_000)).unwrap();
    world.rtp(&bind(b"f", 102, 4_000_000_000)).unwrap();
    assert_eq!(low.line, None);
    let ntp = 4_000_000_000u64 << 32;
    world.rtcp(&sender_report(100, ntp, 1_000));
    world.rtcp(&sender_report(102, ntp, 4_000_000_000));
    let low = world.rtp(&media(100, 2).at(10_000)).unwrap();
    let high = world.rtp(&media(102, 2).at(4_000_009_000)).unwrap();
    let on_line = |meta: &PacketMeta| meta.t as i64 + meta.line.unwrap();
    assert_eq!(low.line, Some(0));
    assert_eq!(on_line(&low), on_line(&high));

    let clocks = std::mem::take(&mut world.out.clocks);
    assert_eq!(clocks.len(), 2);
    assert_eq!(clocks[0], clocks[1]);
    let here = NtpEpoch(3_900_000_000 << 32).ntp(world.now);
    assert_eq!((clocks[0].track, clocks[0].ntp), (VIDEO, here));
    assert_eq!(clocks[0].rtp, (1 << 32) + 1_000);
}

#[test]
fn a_capture_time_ties_a_stream_until_its_first_report() {
    let mut world = World::new(by_rid());
    let captured = |second: u64| (second << 32).to_be_bytes();
    let packet = |ssrc, rid: &[u8], timestamp, second| {
        media(ssrc, 1)
            .at(timestamp)
            .with(MID, b"v")
            .with(RID, rid)
            .with(CAPTURED, &captured(second))
    };
    let low = world.rtp(&packet(100, b"q", 500, 10)).unwrap();
    let high = world.rtp(&packet(102, b"f", 900_000, 11)).unwrap();
    assert_eq!(low.line, Some(0));
    assert_eq!(high.t as i64 + high.line.unwrap(), low.t as i64 + 90_000);
}

#[test]
fn streams_come_up_and_go_down() {
    let mut world = World::new(by_rid());
    world.rtp(&media(101, 1).carrying(KEY).with(MID, b"v").with(RID, b"h")).unwrap();
    let changed =
        |active| Event::StreamChanged { track: VIDEO, stream: 1, active, codec: Codec::Vp8 };
    assert_eq!(world.events(), [changed(true)]);
    world.advance_ms(1_499);
    assert!(world.events().is_empty());
    world.advance_ms(2);
    assert_eq!(world.events(), [changed(false)]);
    world.rtp(&media(101, 2).carrying(KEY)).unwrap();
    world.rtcp(&[0x81, 203, 0, 1, 0, 0, 0, 101]);
    world.events();
    world.advance_ms(1_000);
    assert_eq!(world.events(), [changed(false)]);
}

#[test]
fn audio_levels_are_told_per_window_for_tracks_that_speak_through_an_open_gate() {
    let mut world = World::single();
    for sequence in 0..10u16 {
        let raw = [if sequence < 5 { 0x80 | 0x14 } else { 0x50 }];
        world.rtp(&Rtp::new(5, OPUS_PT, sequence).with(LEVEL, &raw)).unwrap();
        world.advance_ms(20);
    }
    let level = AudioLevel { track: AUDIO, loudest: 20, mean: 20, active: 5, packets: 10 };
    let levels: Vec<_> =
        world.events().into_iter().filter(|event| matches!(event, Event::AudioLevels(_))).collect();
    assert_eq!(levels, [Event::AudioLevels(vec![level])]);
    world.ingress.set_track_open(AUDIO, false);
    world.refuses(&Rtp::new(5, OPUS_PT, 10).with(LEVEL, &[0x80]), DropReason::TrackClosed);
    world.advance_ms(300);
    assert!(world.events().is_empty());
}

#[test]
fn stats_tell_rates_loss_after_repair_and_jitter() {
    let mut world = World::new(by_rid());
    let payload = [DELTA, &[0; 1_000]].concat();
    for sequence in 0..100u16 {
        if sequence % 10 == 5 {
            world.advance_ms(10);
            continue;
        }
        let packet = media(100, sequence).at(u32::from(sequence) * 900).carrying(&payload);
        let packet = if sequence == 0 { packet.with(MID, b"v").with(RID, b"q") } else { packet };
        world.rtp(&packet).unwrap();
        world.advance_ms(10);
    }
    let repaired = media(100, 95).at(95 * 900).carrying(&payload);
    let rtx = repaired.repaired_by(900, VP8_RTX, 1).with(MID, b"v").with(REPAIRED_RID, b"q");
    world.rtp(&rtx).unwrap();
    let stats = video_stats(&world);
    assert_eq!((stats.received.packets, stats.lost), (91, 0), "all are still being asked for");
    assert!(stats.jitter_us < 100, "{}", stats.jitter_us);
    let expected = 90 * 8 * (1_000 + 5 + 12);
    assert!(stats.stream_bps[0].abs_diff(expected) < expected / 20, "{:?}", stats.stream_bps);
    assert_eq!(stats.stream_bps[1..], [0, 0]);
    world.advance_ms(1_000);
    assert_eq!(video_stats(&world).lost, 9, "given up");
}

fn video_stats(world: &World) -> TrackStats {
    let mut stats = Vec::new();
    world.ingress.stats(world.now, &mut stats);
    *stats.iter().find(|stats| stats.track == VIDEO).unwrap()
}
