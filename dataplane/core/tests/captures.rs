//! Packets that a browser really sent, through the whole ingress: every one is understood, frames are whole,
//! layers are what the encoder was asked for.

use conclave_core::command::{AddTrack, CodecParameters, StreamParameters};
use conclave_core::drop::DropReason;
use conclave_core::ids::{TrackId, TransportId};
use conclave_core::ingress::{Arrived, Ingress, IngressConfig, IngressOut};
use conclave_core::media::{Codec, CodecFacts, Extension, MediaKind, PacketMeta};
use conclave_core::time::{NtpEpoch, Time};

const TRANSPORT: TransportId = TransportId(1);
const AUDIO: TrackId = TrackId(1);
const VIDEO: TrackId = TrackId(2);
/// Ids as in the captured offers.
const EXTENSIONS: [(u8, Extension); 9] = [
    (1, Extension::AudioLevel),
    (2, Extension::AbsSendTime),
    (3, Extension::TransportWideCc),
    (4, Extension::Mid),
    (5, Extension::PlayoutDelay),
    (6, Extension::VideoContentType),
    (8, Extension::ColorSpace),
    (12, Extension::DependencyDescriptor),
    (13, Extension::VideoOrientation),
];

struct Capture {
    packets: Vec<Vec<u8>>,
    payload_type: u8,
    codec: Codec,
}

fn packets(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = bytes;
    let mut packets = Vec::new();
    while let [high, low, tail @ ..] = rest {
        let (packet, after) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        packets.push(packet.to_vec());
        rest = after;
    }
    packets
}

fn capture(codec: Codec) -> Capture {
    let (bytes, payload_type): (&[u8], u8) = match codec {
        Codec::Vp8 => (include_bytes!("../../../tests/captures/rtp/chromium-156-vp8.rtp"), 96),
        Codec::Vp9 => (include_bytes!("../../../tests/captures/rtp/chromium-156-vp9.rtp"), 98),
        Codec::Av1 => (include_bytes!("../../../tests/captures/rtp/chromium-156-av1.rtp"), 45),
        Codec::H264 => (include_bytes!("../../../tests/captures/rtp/chromium-156-h264.rtp"), 102),
        other => panic!("no capture of {other:?}"),
    };
    Capture { packets: packets(bytes), payload_type, codec }
}

fn ingress(capture: &Capture) -> Ingress {
    let mut ingress = Ingress::new(IngressConfig { epoch: NtpEpoch(0), seed: 1 });
    ingress.set_extensions(TRANSPORT, &EXTENSIONS);
    for (track, kind, mid, payload_type, codec, clock_rate) in [
        (AUDIO, MediaKind::Audio, "0", 111, Codec::Opus, 48_000),
        (VIDEO, MediaKind::Video, "1", capture.payload_type, capture.codec, 90_000),
    ] {
        ingress.add_track(&AddTrack {
            track,
            transport: TRANSPORT,
            kind,
            mid: mid.to_owned(),
            codecs: vec![CodecParameters {
                payload_type,
                codec,
                clock_rate,
                rtx: None,
                nack: true,
            }],
            streams: vec![StreamParameters::default()],
            screen: false,
        });
        ingress.set_track_open(track, true);
    }
    ingress
}

/// Facts of every packet, in order; the capture has no loss, so none may be dropped.
fn facts(codec: Codec) -> Vec<PacketMeta> {
    let capture = capture(codec);
    let mut ingress = ingress(&capture);
    let mut out = IngressOut::default();
    let mut all = Vec::new();
    for (index, mut packet) in capture.packets.into_iter().enumerate() {
        let now = Time::from_millis(1_000 + 5 * index as u64);
        let arrived = Arrived { now, at: now, transport: TRANSPORT, duplicate: false };
        if let Some(meta) = ingress.handle_rtp(arrived, &mut packet, &mut out) {
            all.push(meta);
        }
    }
    for (reason, count) in ingress.drops().iter() {
        // Browsers probe for bandwidth with packets that carry nothing.
        let padding = matches!(reason, DropReason::PaddingOnly | DropReason::ProbeOnly);
        assert!(count == 0 || padding, "{} x {}", count, reason.name());
    }
    all
}

fn video(codec: Codec) -> Vec<PacketMeta> {
    let all = facts(codec);
    assert!(all.iter().filter(|meta| meta.track == AUDIO).count() > 50, "sound was sent as well");
    let video: Vec<_> =
        all.into_iter().filter(|meta| meta.track == VIDEO && !meta.padding_only).collect();
    assert!(video.len() > 60);
    assert!(video[0].frame.start, "{codec:?} starts with the first packet of a frame");
    assert!(video[0].frame.keyframe, "{codec:?} starts with a key frame");
    video
}

/// Every frame begins with a start and finishes with an end, whatever lies between.
fn assert_frames_are_whole(video: &[PacketMeta]) {
    let mut open = false;
    for meta in video {
        assert_eq!(meta.frame.start, !open, "at {}", meta.n);
        open = !meta.frame.end;
    }
}

fn highest(video: &[PacketMeta]) -> (u8, u8) {
    let spatial = video.iter().map(|meta| meta.frame.spatial).max().expect("not empty");
    let temporal = video.iter().map(|meta| meta.frame.temporal).max().expect("not empty");
    (spatial, temporal)
}

#[test]
fn vp8_has_three_temporal_layers_and_gapless_pictures() {
    let video = video(Codec::Vp8);
    assert_frames_are_whole(&video);
    assert_eq!(highest(&video), (0, 2));
    let mut last = None;
    for meta in video.iter().filter(|meta| meta.frame.start) {
        if let CodecFacts::Vp8(vp8) = meta.frame.codec {
            let (id, bits) = vp8.picture_id.expect("browsers number their pictures");
            if let Some(last) = last {
                assert_eq!(id, (last + 1) & ((1 << bits) - 1));
            }
            last = Some(id);
        }
    }
}

#[test]
fn vp9_has_three_temporal_layers_and_numbered_pictures() {
    let video = video(Codec::Vp9);
    assert_frames_are_whole(&video);
    assert_eq!(highest(&video), (0, 2), "without feedback the encoder stays at its lowest size");
    for meta in &video {
        let CodecFacts::Vp9(vp9) = meta.frame.codec else { panic!("no VP9 facts at {}", meta.n) };
        assert!(vp9.picture_id.is_some());
    }
}

#[test]
fn av1_frames_are_told_apart_by_their_headers_alone() {
    let video = video(Codec::Av1);
    assert_frames_are_whole(&video);
}

#[test]
fn h264_starts_with_its_parameter_sets() {
    let video = video(Codec::H264);
    assert_frames_are_whole(&video);
}

#[test]
fn sound_brings_its_level() {
    for meta in facts(Codec::Vp8).iter().filter(|meta| meta.track == AUDIO) {
        assert!(meta.extensions.audio_level.is_some());
    }
}

#[test]
fn a_capture_cut_anywhere_is_dropped_by_name_or_understood() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264] {
        let capture = capture(codec);
        let mut ingress = ingress(&capture);
        let mut out = IngressOut::default();
        for packet in capture.packets.iter().take(12) {
            for length in 0..packet.len().min(120) {
                let now = Time::from_millis(1_000);
                let arrived = Arrived { now, at: now, transport: TRANSPORT, duplicate: false };
                let mut cut = packet[..length].to_vec();
                let _ = ingress.handle_rtp(arrived, &mut cut, &mut out);
            }
        }
        let dropped: u64 = ingress.drops().iter().map(|(_, count)| count).sum();
        assert!(dropped > 0);
    }
}
