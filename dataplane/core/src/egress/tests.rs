//! The egress side as a whole with plaintext in sight: every reason to drop, by name; repair; reports.

mod drops;
mod repair;
mod report;

use super::*;
use crate::command::PayloadMap;
use crate::egress::test_support::key;
use crate::media::{MediaKind, PacketMeta, Span};
use crate::rtcp::{Builder, Compound, Write};
use crate::stats::Downstream;

const TRACK: TrackId = TrackId(1);
const TRANSPORT: TransportId = TransportId(7);
const LEG: LegId = LegId(3);
const SSRC: u32 = 500;
const RTX: u32 = 501;
const PT: u8 = 96;
const RTX_PT: u8 = 97;

/// A sink that keeps what is sent in clear, or refuses it.
#[derive(Default)]
struct Wire {
    rtp: Vec<Vec<u8>>,
    rtcp: Vec<Vec<u8>>,
    refuse: Option<DropReason>,
}

impl PacketSink for Wire {
    fn send_rtp(
        &mut self,
        transport: TransportId,
        _kind: MediaKind,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, DropReason> {
        assert_eq!(transport, TRANSPORT);
        let mut slot = vec![0; crate::sink::MAX_PACKET];
        let length = write(&mut slot);
        slot.truncate(length);
        if let Some(reason) = self.refuse {
            return Err(reason);
        }
        self.rtp.push(slot);
        Ok(length + 16)
    }

    fn send_rtcp(
        &mut self,
        _: TransportId,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, DropReason> {
        let mut slot = vec![0; crate::sink::MAX_PACKET];
        let length = write(&mut slot);
        slot.truncate(length);
        self.rtcp.push(slot);
        Ok(length + 20)
    }
}

/// One subscriber of one track.
struct Rig {
    egress: Egress,
    wire: Wire,
    down: [Downstream; 2],
    now: Time,
}

impl Rig {
    /// A ready video leg with retransmissions that wants everything.
    fn video() -> Self {
        Self::with(&command(MediaKind::Video, Some(RTX)))
    }

    fn with(command: &AddLeg) -> Self {
        let mut rig = Self::paused(command);
        rig.aim(Some((2, 2)));
        rig
    }

    fn paused(command: &AddLeg) -> Self {
        let config = EgressConfig { epoch: NtpEpoch(0xE000_0000_0000_0000), seed: 5 };
        let mut egress = Egress::new(config);
        let now = Time::from_millis(10_000);
        egress.add_transport(TRANSPORT);
        egress.set_ready(now, TRANSPORT, true);
        egress.add_leg(now, command, 0);
        let down = std::array::from_fn(|_| Downstream::default());
        Self { egress, wire: Wire::default(), down, now }
    }

    fn aim(&mut self, layers: Option<(u8, u8)>) {
        let target = layers.map(|(spatial, temporal)| LayerTarget { spatial, temporal });
        self.egress.set_leg(self.now, LEG, target);
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
    }

    /// Forwards a packet whose payload repeats its number; whether it was sent.
    fn send(&mut self, meta: PacketMeta) -> bool {
        let length = usize::from(meta.payload.end);
        let mut bytes = vec![meta.n as u8; length];
        bytes[..12].fill(0);
        if let crate::media::CodecFacts::Vp9(_) = meta.frame.codec {
            bytes[13..15].copy_from_slice(&(meta.n as u16 | 0x8000).to_be_bytes());
        }
        let before = self.wire.rtp.len();
        let packet = MediaPacket { meta: &meta, bytes: &bytes };
        self.egress.forward(self.now, &packet, &mut self.wire);
        self.wire.rtp.len() > before
    }

    /// RTCP of the subscriber.
    fn report(&mut self, packet: &impl Write) {
        let mut bytes = [0; 1_400];
        let mut builder = Builder::new(&mut bytes);
        assert!(builder.add(packet));
        let length = builder.length();
        let compound = Compound::parse(&bytes[..length]).unwrap();
        let wire = &mut self.wire;
        self.egress.handle_feedback(self.now, TRANSPORT, &compound, &mut self.down, wire);
    }

    fn tick(&mut self) {
        self.egress.handle_timeout(self.now, &mut self.wire);
    }

    fn asks(&mut self) -> Vec<Ask> {
        self.egress.drain_asks().collect()
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.egress.drops().get(reason)
    }

    /// Sequence number, time stamp and payload of the last packet.
    fn last(&self) -> (u16, u32, Vec<u8>) {
        read(self.wire.rtp.last().unwrap())
    }
}

fn read(packet: &[u8]) -> (u16, u32, Vec<u8>) {
    let header = crate::rtp::Header::parse(packet).unwrap();
    (header.sequence, header.timestamp, header.payload.of(packet).to_vec())
}

fn command(kind: MediaKind, rtx_ssrc: Option<u32>) -> AddLeg {
    AddLeg {
        leg: LEG,
        track: TRACK,
        home: LaneId(0),
        transport: TRANSPORT,
        kind,
        mid: "0".into(),
        ssrc: SSRC,
        rtx_ssrc,
        cname: "someone".into(),
        payloads: vec![PayloadMap {
            source: PT,
            target: 102,
            rtx: rtx_ssrc.map(|_| RTX_PT),
            strip_red: false,
        }],
        extensions: vec![(3, Extension::TransportWideCc), (4, Extension::Mid)],
    }
}

/// A key frame of one packet with a given number, of `stream`.
fn start(stream: u8, n: u64) -> PacketMeta {
    key(stream, n)
}

fn sized(meta: PacketMeta, length: u16) -> PacketMeta {
    PacketMeta { payload: Span { start: 12, end: 12 + length }, ..meta }
}
