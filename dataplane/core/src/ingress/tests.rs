//! The whole ingress against hand-made publishers: packets in on one side, facts and feedback out on the
//! other, on simulated time.

mod feedback;
mod packets;
mod refusals;
mod resolution;

use std::time::Duration;

use super::*;
use crate::command::{CodecParameters, StreamParameters};
use crate::media::{Codec, MediaKind};
use crate::rtp::write::{Fields, HeaderWriter};
use crate::rtp::ExtensionForm;
use crate::sink::MAX_PACKET;

const MID: u8 = 1;
const RID: u8 = 2;
const REPAIRED_RID: u8 = 3;
const LEVEL: u8 = 4;
const NUMBER: u8 = 5;
const DESCRIPTOR: u8 = 6;
const CAPTURED: u8 = 7;

const IDS: [(u8, Extension); 7] = [
    (MID, Extension::Mid),
    (RID, Extension::Rid),
    (REPAIRED_RID, Extension::RepairedRid),
    (LEVEL, Extension::AudioLevel),
    (NUMBER, Extension::TransportWideCc),
    (DESCRIPTOR, Extension::DependencyDescriptor),
    (CAPTURED, Extension::AbsCaptureTime),
];

const ALICE: TransportId = TransportId(1);
const BOB: TransportId = TransportId(2);
const AUDIO: TrackId = TrackId(10);
const VIDEO: TrackId = TrackId(20);
const OPUS_PT: u8 = 111;
const VP8_PT: u8 = 96;
const VP8_RTX: u8 = 97;
const AV1_PT: u8 = 45;

/// A VP8 key frame, and a frame that depends on others, each in one packet.
const KEY: &[u8] = &[0x10, 0x00, 1, 2, 3];
const DELTA: &[u8] = &[0x10, 0x01, 1, 2, 3];

/// What the ingress sent.
#[derive(Debug, Default)]
struct Sent(Vec<(TransportId, Vec<u8>)>);

impl PacketSink for Sent {
    fn send_rtp(
        &mut self,
        _: TransportId,
        _: MediaKind,
        _: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, DropReason> {
        panic!("ingress sends no RTP")
    }

    fn send_rtcp(
        &mut self,
        transport: TransportId,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, DropReason> {
        let mut slot = vec![0; MAX_PACKET];
        let length = write(&mut slot);
        slot.truncate(length);
        self.0.push((transport, slot));
        Ok(length)
    }
}

/// One RTP packet to be built.
#[derive(Clone, Debug)]
struct Rtp {
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    elements: Vec<(u8, Vec<u8>)>,
    payload: Vec<u8>,
}

impl Rtp {
    fn new(ssrc: u32, payload_type: u8, sequence: u16) -> Self {
        Self {
            ssrc,
            payload_type,
            sequence,
            timestamp: u32::from(sequence) * 3_000,
            marker: true,
            elements: Vec::new(),
            payload: DELTA.to_vec(),
        }
    }

    fn with(mut self, id: u8, data: &[u8]) -> Self {
        self.elements.push((id, data.to_vec()));
        self
    }

    fn at(mut self, timestamp: u32) -> Self {
        self.timestamp = timestamp;
        self
    }

    fn carrying(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// The retransmission of this packet.
    fn repaired_by(&self, ssrc: u32, payload_type: u8, sequence: u16) -> Self {
        let mut payload = self.sequence.to_be_bytes().to_vec();
        payload.extend(&self.payload);
        Self { ssrc, payload_type, sequence, payload, ..self.clone() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = [0; MAX_PACKET];
        let fields = Fields {
            marker: self.marker,
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        let form =
            if self.elements.is_empty() { ExtensionForm::None } else { ExtensionForm::OneByte };
        let mut writer = HeaderWriter::new(&mut out, &fields, form).unwrap();
        for (id, data) in &self.elements {
            writer.element(*id, data).unwrap();
        }
        let start = writer.finish().unwrap();
        out[start..start + self.payload.len()].copy_from_slice(&self.payload);
        out[..start + self.payload.len()].to_vec()
    }
}

fn codec(payload_type: u8, codec: Codec, rtx: Option<u8>) -> CodecParameters {
    let clock_rate = if matches!(codec, Codec::Opus | Codec::Red) { 48_000 } else { 90_000 };
    CodecParameters { payload_type, codec, clock_rate, rtx, nack: true }
}

fn audio() -> AddTrack {
    AddTrack {
        track: AUDIO,
        transport: ALICE,
        kind: MediaKind::Audio,
        mid: "a".into(),
        codecs: vec![codec(OPUS_PT, Codec::Opus, None), codec(63, Codec::Red, None)],
        streams: vec![StreamParameters::default()],
        screen: false,
    }
}

fn video(streams: Vec<StreamParameters>) -> AddTrack {
    AddTrack {
        track: VIDEO,
        transport: ALICE,
        kind: MediaKind::Video,
        mid: "v".into(),
        codecs: vec![codec(VP8_PT, Codec::Vp8, Some(VP8_RTX)), codec(AV1_PT, Codec::Av1, Some(46))],
        streams,
        screen: false,
    }
}

fn by_rid() -> Vec<StreamParameters> {
    ["q", "h", "f"]
        .map(|rid| StreamParameters { rid: Some(rid.into()), ..StreamParameters::default() })
        .to_vec()
}

/// An ingress with its surroundings.
#[derive(Debug)]
struct World {
    ingress: Ingress,
    out: IngressOut,
    sent: Sent,
    now: Time,
}

impl World {
    /// One open audio track and one open, fully wanted video track with `streams`.
    fn new(streams: Vec<StreamParameters>) -> Self {
        let config = IngressConfig { epoch: NtpEpoch(3_900_000_000 << 32), seed: 7 };
        let mut world = Self {
            ingress: Ingress::new(config),
            out: IngressOut::default(),
            sent: Sent::default(),
            now: Time::from_millis(10_000),
        };
        world.ingress.set_extensions(ALICE, &IDS);
        for track in [audio(), video(streams)] {
            world.ingress.add_track(&track);
            world.ingress.set_track_open(track.track, true);
            world.ingress.set_wanted(track.track, 0xFF);
        }
        world
    }

    fn single() -> Self {
        Self::new(vec![StreamParameters::default()])
    }

    fn arrived(&self, transport: TransportId) -> Arrived {
        Arrived { now: self.now, at: self.now, transport, duplicate: false }
    }

    /// Feeds a packet of Alice's.
    fn rtp(&mut self, packet: &Rtp) -> Option<PacketMeta> {
        let arrived = self.arrived(ALICE);
        self.ingress.handle_rtp(arrived, &mut packet.bytes(), &mut self.out)
    }

    fn rtcp(&mut self, bytes: &[u8]) {
        let compound = Compound::parse(bytes).unwrap();
        self.ingress.handle_rtcp(self.now, ALICE, &compound, &mut self.out);
    }

    /// Feeds a packet that must be refused, for exactly one reason.
    fn refuses(&mut self, packet: &Rtp, reason: DropReason) {
        self.refuses_bytes(&mut packet.bytes(), reason);
    }

    fn refuses_bytes(&mut self, packet: &mut [u8], reason: DropReason) {
        let before = self.ingress.drops().clone();
        let arrived = self.arrived(ALICE);
        let meta = self.ingress.handle_rtp(arrived, packet, &mut self.out);
        assert!(meta.is_none(), "{packet:?} passed");
        self.counted_once(&before, reason);
    }

    fn counted_once(&self, before: &DropCounters, reason: DropReason) {
        let changed: Vec<_> = self
            .ingress
            .drops()
            .iter()
            .filter(|&(reason, count)| count != before.get(reason))
            .map(|(reason, count)| (reason.name(), count - before.get(reason)))
            .collect();
        assert_eq!(changed, [(reason.name(), 1)]);
    }

    /// Lets time pass, doing what is due exactly when it is due.
    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(due) = self.ingress.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.ingress.handle_timeout(self.now, &mut self.sent, &mut self.out);
            let next = self.ingress.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timer that is due again at once");
        }
        self.now = end;
    }

    fn advance_ms(&mut self, ms: u64) {
        self.advance(Duration::from_millis(ms));
    }

    /// Everything that was sent so far, packet by packet, as (type, format or count).
    fn take_sent(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sent.0).into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// How many PLIs were sent, forgetting all that was sent.
    fn take_plis(&mut self) -> usize {
        let sent = self.take_sent();
        let is_pli =
            |packet: &crate::rtcp::Packet<'_>| matches!(packet, crate::rtcp::Packet::Pli(_));
        sent.iter()
            .map(|bytes| Compound::parse(bytes).unwrap().iter().flatten().filter(is_pli).count())
            .sum()
    }

    /// Sequence numbers that were NACKed, forgetting all that was sent.
    fn take_nacks(&mut self) -> Vec<u16> {
        let mut found = Vec::new();
        for bytes in self.take_sent() {
            for packet in Compound::parse(&bytes).unwrap().iter().flatten() {
                if let crate::rtcp::Packet::Nack(nack) = packet {
                    found.extend(nack.sequences());
                }
            }
        }
        found
    }

    fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.out.events)
    }
}
