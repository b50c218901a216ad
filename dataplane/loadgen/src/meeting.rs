//! Rooms on a data plane: every subscriber of a room gets every track of it.

use std::io;
use std::time::Duration;

use conclave_core::command::{
    AddLeg, AddTrack, CodecParameters, Command, DtlsRole, LayerTarget, PayloadMap,
    RemoteParameters, StreamParameters,
};
use conclave_core::ids::{LaneId, LegId, TrackId, TransportId};
use conclave_core::media::{Codec, Extension, MediaKind};
use conclave_io::clock::Clock;
use conclave_io::error::PlaneError;
use conclave_io::plane::{Plane, PlaneConfig};
use conclave_io::socket::Buffers;
use conclave_io::wait::Waiter;

use crate::client::{connect, Client};
use crate::identity::Identity;
use crate::scenario::Scenario;

/// Payload type of video, and of its retransmissions.
pub const VIDEO_TYPE: u8 = 96;
const VIDEO_RTX_TYPE: u8 = 97;
/// Payload type of audio.
pub const AUDIO_TYPE: u8 = 111;
/// Header extension ids.
pub const TRANSPORT_CC_ID: u8 = 3;
/// RFC 6464.
pub const AUDIO_LEVEL_ID: u8 = 1;
const MID_ID: u8 = 4;

/// How long a lane may take to make room for commands.
const PATIENCE: Duration = Duration::from_secs(2);

/// Wakes until the commands of the largest scenario are with the lanes, with a wide margin.
const MAX_WAKES: usize = 10_000;

const EXTENSIONS: [(u8, Extension); 3] = [
    (AUDIO_LEVEL_ID, Extension::AudioLevel),
    (TRANSPORT_CC_ID, Extension::TransportWideCc),
    (MID_ID, Extension::Mid),
];

/// A data plane with connected people.
#[derive(Debug)]
pub struct Meeting {
    /// The data plane.
    pub plane: Plane,
    /// Publishers of all rooms, in order.
    pub publishers: Vec<Client>,
    /// Subscribers of all rooms, in order.
    pub subscribers: Vec<Client>,
    /// The time of the clients.
    pub clock: Clock,
}

impl Meeting {
    /// Starts a plane and connects everybody; publishers live on lane 0, subscribers on the last one.
    pub fn open(scenario: &Scenario, lanes: usize) -> io::Result<Self> {
        let (server, crowd) = (identity()?, identity()?);
        let mut plane = start_plane(lanes, &server).map_err(io::Error::other)?;
        let addresses = plane.addresses();
        let clock = Clock::start();
        let last = LaneId(lanes as u8 - 1);
        let first_subscriber = 1 + scenario.all_publishers();
        let end = first_subscriber + scenario.all_subscribers();
        let mut people = Vec::new();
        for number in 1..end {
            let lane = if number < first_subscriber { LaneId(0) } else { last };
            let id = TransportId(number);
            invite(&mut plane, id, lane, &crowd).map_err(io::Error::other)?;
            people.push(Client::new(id, addresses[usize::from(lane.0)][0])?);
        }
        hand_over(&mut plane)?;
        connect(&mut people, &crowd, &server.fingerprint(), clock)?;
        let subscribers = people.split_off(scenario.all_publishers() as usize);
        let mut meeting = Self { plane, publishers: people, subscribers, clock };
        meeting.furnish(scenario).map_err(io::Error::other)?;
        hand_over(&mut meeting.plane)?;
        Ok(meeting)
    }

    /// The track of publisher number `publisher`.
    pub fn track(publisher: u32) -> TrackId {
        TrackId(publisher + 1)
    }

    /// Keeps everybody's consent and throws away what the plane has to tell.
    pub fn keep_alive(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        for client in self.publishers.iter_mut().chain(&mut self.subscribers) {
            client.check(now)?;
        }
        while !self.plane.drain(1_024).is_empty() {}
        Ok(())
    }

    fn furnish(&mut self, scenario: &Scenario) -> Result<(), PlaneError> {
        let mut leg = 0;
        for publisher in 0..scenario.all_publishers() {
            let track = Self::track(publisher);
            let transport = self.publishers[publisher as usize].id;
            self.plane.command(Command::AddTrack(add_track(track, transport, scenario.kind)))?;
            self.plane.command(Command::SetTrackOpen { track, open: true })?;
            let first = scenario.room_of(publisher) * scenario.subscribers;
            for subscriber in first..first + scenario.subscribers {
                leg += 1;
                let transport = self.subscribers[subscriber as usize].id;
                let add = add_leg(LegId(leg), track, transport, scenario.kind);
                self.plane.command(Command::AddLeg(add))?;
                let target = Some(LayerTarget { spatial: 0, temporal: 3 });
                self.plane.command(Command::SetLeg { leg: LegId(leg), target })?;
            }
        }
        Ok(())
    }
}

/// Waits until the lanes have taken every command, as an event loop would: woken when there is room.
fn hand_over(plane: &mut Plane) -> io::Result<()> {
    plane.flush();
    let mut waiter = Waiter::new(&[plane.fd()]);
    for _ in 0..MAX_WAKES {
        if plane.is_flushed() {
            return Ok(());
        }
        waiter.wait(Some(PATIENCE))?;
        plane.drain(1_024);
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn identity() -> io::Result<Identity> {
    Identity::new().map_err(io::Error::other)
}

fn start_plane(lanes: usize, identity: &Identity) -> Result<Plane, PlaneError> {
    Plane::start(&PlaneConfig {
        lanes,
        addresses: vec![std::net::Ipv4Addr::LOCALHOST.into()],
        port: 0,
        tcp_port: Some(0),
        certificate: identity.certificate.clone(),
        private_key: identity.key.clone(),
        consent: Duration::from_secs(30),
        max_transports: 16_384,
        buffers: Buffers { receive: 16 << 20, send: 16 << 20 },
    })
}

fn invite(
    plane: &mut Plane,
    transport: TransportId,
    lane: LaneId,
    crowd: &Identity,
) -> Result<(), PlaneError> {
    plane.add_transport(transport, lane, Client::server_credentials(transport))?;
    let remote = RemoteParameters {
        ufrag: Client::ufrag(transport),
        pwd: String::new(),
        fingerprints: vec![crowd.fingerprint()],
        role: DtlsRole::Server,
        sctp: None,
    };
    plane.command(Command::SetRemote { transport, remote })?;
    plane.command(Command::SetExtensions { transport, extensions: EXTENSIONS.to_vec() })
}

fn add_track(track: TrackId, transport: TransportId, kind: MediaKind) -> AddTrack {
    let codec = match kind {
        MediaKind::Audio => CodecParameters {
            payload_type: AUDIO_TYPE,
            codec: Codec::Opus,
            clock_rate: 48_000,
            rtx: None,
            nack: false,
        },
        MediaKind::Video => CodecParameters {
            payload_type: VIDEO_TYPE,
            codec: Codec::Vp8,
            clock_rate: 90_000,
            rtx: Some(VIDEO_RTX_TYPE),
            nack: true,
        },
    };
    let ssrc = crate::publisher::Publisher::ssrc(track);
    let stream = StreamParameters { rid: None, ssrc: Some(ssrc), rtx_ssrc: None };
    AddTrack {
        track,
        transport,
        kind,
        mid: "0".into(),
        codecs: vec![codec],
        streams: vec![stream],
        screen: false,
    }
}

fn add_leg(leg: LegId, track: TrackId, transport: TransportId, kind: MediaKind) -> AddLeg {
    let (source, rtx) = match kind {
        MediaKind::Audio => (AUDIO_TYPE, None),
        MediaKind::Video => (VIDEO_TYPE, Some(VIDEO_RTX_TYPE)),
    };
    AddLeg {
        leg,
        track,
        home: LaneId(0),
        transport,
        kind,
        mid: (track.0 % 1_000).to_string(),
        ssrc: 0x2000_0000 + leg.0,
        rtx_ssrc: rtx.map(|_| 0x3000_0000 + leg.0),
        cname: "publisher".into(),
        payloads: vec![PayloadMap { source, target: source, rtx, strip_red: false }],
        extensions: EXTENSIONS.to_vec(),
    }
}
