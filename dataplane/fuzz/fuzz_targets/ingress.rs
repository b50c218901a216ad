//! Invariant: whatever authenticated publishers send, in whatever order, at whatever times: a packet that
//! comes out names only bytes of its own buffer and a track of its own transport; every packet comes out or
//! is counted under exactly one reason; sequence numbers of one generation are never repeated; and after
//! each time-out the next one lies in the future.
#![no_main]

use std::collections::HashSet;
use std::time::Duration;

use arbitrary::Arbitrary;
use conclave_core::command::{AddTrack, CodecParameters, StreamParameters};
use conclave_core::drop::DropReason;
use conclave_core::ids::{TrackId, TransportId};
use conclave_core::ingress::{Arrived, Ingress, IngressConfig, IngressOut};
use conclave_core::media::{Codec, Extension, MediaKind, PacketMeta};
use conclave_core::rtcp::Compound;
use conclave_core::rtp::write::{Fields, HeaderWriter};
use conclave_core::rtp::ExtensionForm;
use conclave_core::sink::{PacketSink, MAX_PACKET};
use conclave_core::time::{NtpEpoch, Time};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Step {
    /// A well-formed packet with chosen fields.
    Packet {
        bob: bool,
        fields: Chosen,
        elements: Vec<(u8, Vec<u8>)>,
        payload: Vec<u8>,
    },
    /// A packet of any bytes.
    Raw {
        bob: bool,
        bytes: Vec<u8>,
    },
    /// An RTCP datagram.
    Rtcp {
        bob: bool,
        bytes: Vec<u8>,
    },
    Advance {
        millis: u16,
    },
    Open {
        track: u8,
        open: bool,
    },
    Wanted {
        track: u8,
        streams: u8,
    },
    Keyframe {
        track: u8,
        stream: u8,
    },
    Describe {
        track: u8,
        single: bool,
    },
    Remove {
        track: u8,
    },
}

#[derive(Arbitrary, Debug)]
struct Chosen {
    ssrc: u8,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    duplicate: bool,
}

const PAYLOAD_TYPES: [(u8, Codec, u8); 6] = [
    (96, Codec::Vp8, 97),
    (98, Codec::Vp9, 99),
    (102, Codec::H264, 103),
    (45, Codec::Av1, 46),
    (49, Codec::H265, 50),
    (63, Codec::Red, 64),
];

const EXTENSIONS: [Extension; 7] = [
    Extension::Mid,
    Extension::Rid,
    Extension::RepairedRid,
    Extension::AudioLevel,
    Extension::TransportWideCc,
    Extension::DependencyDescriptor,
    Extension::AbsCaptureTime,
];

struct Sink;

impl PacketSink for Sink {
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
        _: TransportId,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, DropReason> {
        let mut slot = [0; MAX_PACKET];
        let length = write(&mut slot);
        let compound = Compound::parse(&slot[..length]).expect("what is sent is well-formed");
        assert!(compound.iter().all(|packet| packet.is_ok()));
        Ok(length)
    }
}

fn transport(bob: bool) -> TransportId {
    TransportId(u32::from(bob))
}

/// Tracks 0 and 1 are Alice's, 2 and 3 are Bob's.
fn home(track: u8) -> (TrackId, TransportId) {
    (TrackId(u32::from(track % 4)), transport(track % 4 >= 2))
}

fn describe(track: u8, single: bool) -> AddTrack {
    let (id, transport) = home(track);
    let streams = if single { vec![None] } else { vec![Some("q"), Some("h"), Some("f")] };
    AddTrack {
        track: id,
        transport,
        kind: if track % 2 == 0 { MediaKind::Audio } else { MediaKind::Video },
        mid: (id.0 % 2).to_string(),
        codecs: PAYLOAD_TYPES
            .map(|(payload_type, codec, rtx)| CodecParameters {
                payload_type,
                codec,
                clock_rate: 90_000,
                rtx: Some(rtx),
                nack: true,
            })
            .to_vec(),
        streams: streams
            .into_iter()
            .map(|rid| StreamParameters { rid: rid.map(str::to_owned), ssrc: None, rtx_ssrc: None })
            .collect(),
        screen: false,
    }
}

struct World {
    ingress: Ingress,
    out: IngressOut,
    now: Time,
    seen: HashSet<(TrackId, u8, u8, u64)>,
}

impl World {
    fn new() -> Self {
        let config = IngressConfig { epoch: NtpEpoch(3_900_000_000 << 32), seed: 1 };
        let mut ingress = Ingress::new(config);
        let ids: Vec<_> = (1..).zip(EXTENSIONS).collect();
        for bob in [false, true] {
            ingress.set_extensions(transport(bob), &ids);
        }
        for track in 0..4 {
            ingress.add_track(&describe(track, track >= 2));
            ingress.set_track_open(home(track).0, true);
            ingress.set_wanted(home(track).0, 0xFF);
        }
        let out = IngressOut::default();
        Self { ingress, out, now: Time::from_millis(1), seen: HashSet::new() }
    }

    fn drops(&self) -> u64 {
        self.ingress.drops().iter().map(|(_, count)| count).sum()
    }

    fn packet(&mut self, bob: bool, duplicate: bool, bytes: &mut [u8]) {
        let before = self.drops();
        let arrived = Arrived { now: self.now, at: self.now, transport: transport(bob), duplicate };
        let meta = self.ingress.handle_rtp(arrived, bytes, &mut self.out);
        assert_eq!(self.drops() - before, u64::from(meta.is_none()));
        if let Some(meta) = meta {
            assert!(!duplicate);
            assert_eq!(meta.track.0 >= 2, bob, "a track of another transport");
            self.check(&meta, bytes.len());
        }
    }

    fn check(&mut self, meta: &PacketMeta, length: usize) {
        let inside =
            |span: conclave_core::media::Span| span.is_empty() || usize::from(span.end) <= length;
        assert!(inside(meta.payload));
        assert!(inside(meta.extensions.dependency_descriptor));
        assert!(inside(meta.extensions.abs_capture_time));
        assert!(inside(meta.extensions.color_space));
        assert_eq!(meta.padding_only, meta.payload.is_empty());
        let name = (meta.track, meta.stream, meta.generation, meta.n);
        assert!(self.seen.insert(name), "{name:?} came twice");
    }

    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(due) = self.ingress.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.ingress.handle_timeout(self.now, &mut Sink, &mut self.out);
            assert!(self.ingress.poll_timeout().is_none_or(|next| next > self.now));
        }
        self.now = end;
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Packet { bob, fields, elements, payload } => {
                if let Some(mut bytes) = build(&fields, &elements, &payload) {
                    self.packet(bob, fields.duplicate, &mut bytes);
                }
            }
            Step::Raw { bob, mut bytes } => self.packet(bob, false, &mut bytes),
            Step::Rtcp { bob, bytes } => {
                if let Ok(compound) = Compound::parse(&bytes) {
                    let transport = transport(bob);
                    self.ingress.handle_rtcp(self.now, transport, &compound, &mut self.out);
                }
            }
            Step::Advance { millis } => self.advance(Duration::from_millis(u64::from(millis))),
            Step::Open { track, open } => self.ingress.set_track_open(home(track).0, open),
            Step::Wanted { track, streams } => self.ingress.set_wanted(home(track).0, streams),
            Step::Keyframe { track, stream } => {
                self.ingress.request_keyframe(self.now, home(track).0, stream);
            }
            Step::Describe { track, single } => {
                self.ingress.add_track(&describe(track, single));
                // Streams may be new ones, whose numbers begin anew.
                self.seen.retain(|name| name.0 != home(track).0);
            }
            Step::Remove { track } => {
                self.ingress.remove_track(home(track).0);
                self.seen.retain(|name| name.0 != home(track).0);
            }
        }
        self.out.events.clear();
        self.out.clocks.clear();
    }
}

/// A packet of few SSRCs and payload types, so that streams come about.
fn build(fields: &Chosen, elements: &[(u8, Vec<u8>)], payload: &[u8]) -> Option<Vec<u8>> {
    let (media, _, rtx) = PAYLOAD_TYPES[usize::from(fields.payload_type) % PAYLOAD_TYPES.len()];
    let header = Fields {
        marker: fields.marker,
        payload_type: if fields.payload_type & 0x80 == 0 { media } else { rtx },
        sequence: fields.sequence,
        timestamp: fields.timestamp,
        ssrc: u32::from(fields.ssrc % 16),
    };
    let mut out = [0; MAX_PACKET];
    let mut writer = HeaderWriter::new(&mut out, &header, ExtensionForm::TwoByte)?;
    for (id, data) in elements.iter().take(4) {
        writer.element(id % 8, data);
    }
    let start = writer.finish()?;
    let end = start + payload.len();
    out.get_mut(start..end)?.copy_from_slice(payload);
    Some(out[..end].to_vec())
}

fuzz_target!(|steps: Vec<Step>| {
    let mut world = World::new();
    for step in steps.into_iter().take(256) {
        world.step(step);
    }
});
