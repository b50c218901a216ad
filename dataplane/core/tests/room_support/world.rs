//! The room: lanes with rings between them, clients, and time in steps of a millisecond.

use std::collections::VecDeque;
use std::time::Duration;

use conclave_core::association::{FromAssociation, MasterKey};
use conclave_core::command::{
    AddLeg, AddTrack, CodecParameters, Command, LayerTarget, PayloadMap, StreamParameters,
};
use conclave_core::drop::DropReason;
use conclave_core::event::{Event, SrtpProfile};
use conclave_core::ids::{LaneId, LegId, TrackId};
use conclave_core::lane::{Lane, LaneConfig};
use conclave_core::media::{Codec, Extension, MediaKind, MediaPacket, PacketMeta};
use conclave_core::relay::{RelayControl, Relays};
use conclave_core::rtp::extension::ExtensionIds;
use conclave_core::stats::LaneStats;
use conclave_core::time::{NtpEpoch, Time};
use conclave_netem::LinkConfig;

use super::client::Client;
use super::encoder::{
    Encoder, AUDIO_PT, LEVEL_ID, MID_ID, REPAIRED_ID, RID_ID, SEND_TIME_ID, VIDEO_PT, VIDEO_RTX_PT,
    WIDE_ID,
};
use super::receiver::Receiver;
use crate::edge_support::{credentials, master, remote, Check, THEIRS};

const EPOCH: NtpEpoch = NtpEpoch(0xE000_0000_0000_0000);

/// What lies on a ring between two lanes.
enum Crossing {
    Media(Box<PacketMeta>, Vec<u8>),
    Control(RelayControl),
}

/// The rings out of one lane.
#[derive(Default)]
pub struct Rings {
    queues: Vec<VecDeque<Crossing>>,
    /// Media entries that a ring holds.
    capacity: usize,
    control_capacity: usize,
}

impl Rings {
    /// How many media entries each ring takes from now on.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// How many control messages each ring takes from now on.
    pub fn set_control_capacity(&mut self, capacity: usize) {
        self.control_capacity = capacity;
    }
}

impl Relays for Rings {
    fn media(&mut self, to: LaneId, packet: &MediaPacket<'_>) -> Result<(), DropReason> {
        let queue = &mut self.queues[usize::from(to.0)];
        if queue.len() >= self.capacity {
            return Err(DropReason::RelayFull);
        }
        queue.push_back(Crossing::Media(Box::new(*packet.meta), packet.bytes.to_vec()));
        Ok(())
    }

    fn control(&mut self, to: LaneId, message: RelayControl) -> Result<(), DropReason> {
        let queue = &mut self.queues[usize::from(to.0)];
        if queue.len() >= self.control_capacity {
            return Err(DropReason::RelayFull);
        }
        queue.push_back(Crossing::Control(message));
        Ok(())
    }
}

/// A published track.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    pub track: TrackId,
    pub client: usize,
    pub video: bool,
}

/// A subscription.
#[derive(Clone, Copy, Debug)]
pub struct Subscribed {
    pub leg: LegId,
    pub client: usize,
    pub ssrc: u32,
    pub track: TrackId,
}

pub struct World {
    pub now: Time,
    pub lanes: Vec<Lane>,
    pub rings: Vec<Rings>,
    pub clients: Vec<Client>,
    pub events: Vec<Event>,
    /// Bytes that left in runs of at least four packets, and all bytes.
    pub run_bytes: (u64, u64),
    next: u32,
    relays: Vec<(TrackId, usize, usize)>,
}

impl World {
    pub fn new(lanes: usize) -> Self {
        let config = |lane: usize| LaneConfig {
            lane: LaneId(lane as u8),
            epoch: EPOCH,
            seed: 11,
            consent: Duration::from_secs(30),
            max_transports: 64,
        };
        let rings = || Rings {
            queues: (0..lanes).map(|_| VecDeque::new()).collect(),
            capacity: 1_024,
            control_capacity: 1_024,
        };
        Self {
            now: Time::from_millis(1),
            lanes: (0..lanes).map(|lane| Lane::new(config(lane))).collect(),
            rings: (0..lanes).map(|_| rings()).collect(),
            clients: Vec::new(),
            events: Vec::new(),
            run_bytes: (0, 0),
            next: 0,
            relays: Vec::new(),
        }
    }

    /// A connected client behind links without loss, 10 ms each way.
    pub fn join(&mut self) -> usize {
        let link = || LinkConfig::perfect(10_000_000);
        self.join_over(link(), link())
    }

    /// A connected client; lanes are given out in turn.
    pub fn join_over(&mut self, up: LinkConfig, down: LinkConfig) -> usize {
        let index = self.clients.len();
        let lane = index % self.lanes.len();
        let client = Client::new(index as u32 + 1, lane, up, down);
        let (transport, path) = (client.transport, client.path);
        self.clients.push(client);
        let name = format!("client{index}");
        self.command(lane, Command::AddTransport { transport, local: credentials(&name) });
        self.command(lane, Command::SetRemote { transport, remote: remote(THEIRS) });
        let extensions = extensions();
        self.command(lane, Command::SetExtensions { transport, extensions });
        self.clients[index].ids = ExtensionIds::new(&extensions_down());
        let mut check = Check::flagged(&name, 1_000 + index as u64).bytes();
        let (now, rings) = (self.now, &mut self.rings[lane]);
        self.lanes[lane].handle_datagram(now, now, path, &mut check, rings);
        let keys = |seed: u8| -> MasterKey { master(seed + index as u8 + 1) };
        let profile = SrtpProfile::AeadAes128Gcm;
        let message =
            FromAssociation::Keys { transport, profile, local: keys(100), remote: keys(200) };
        self.lanes[lane].handle_association(now, message);
        index
    }

    /// The client publishes what the encoder makes.
    pub fn publish(&mut self, client: usize, encoder: Encoder) -> Published {
        self.next += 1;
        let track = TrackId(self.next);
        let video = encoder.video;
        let codec = if video { Codec::Vp8 } else { Codec::Opus };
        let codecs = vec![CodecParameters {
            payload_type: if video { VIDEO_PT } else { AUDIO_PT },
            codec,
            clock_rate: encoder.rate(),
            rtx: video.then_some(VIDEO_RTX_PT),
            nack: video,
        }];
        let streams = encoder.streams.iter().map(|stream| StreamParameters {
            rid: stream.rid.clone(),
            ssrc: stream.rid.is_none().then_some(stream.ssrc),
            rtx_ssrc: stream.rid.is_none().then_some(stream.rtx_ssrc),
        });
        let add = AddTrack {
            track,
            transport: self.clients[client].transport,
            kind: if video { MediaKind::Video } else { MediaKind::Audio },
            mid: encoder.mid.clone(),
            codecs,
            streams: streams.collect(),
            screen: false,
        };
        let lane = self.clients[client].lane;
        self.command(lane, Command::AddTrack(add));
        self.command(lane, Command::SetTrackOpen { track, open: true });
        self.clients[client].encoders.push(encoder);
        Published { track, client, video }
    }

    /// The client gets a track, at most these layers.
    pub fn subscribe(&mut self, client: usize, from: Published, layers: (u8, u8)) -> Subscribed {
        let subscribed = self.subscribe_paused(client, from, true);
        self.aim(subscribed, Some(layers));
        subscribed
    }

    /// A leg without a target yet, with or without retransmissions.
    pub fn subscribe_paused(&mut self, client: usize, from: Published, rtx: bool) -> Subscribed {
        self.next += 1;
        let ssrc = 50_000 + self.next * 10;
        self.subscribe_as(client, from, (ssrc, (from.video && rtx).then_some(ssrc + 1)))
    }

    /// A leg with SSRCs of the test's choice.
    pub fn subscribe_as(
        &mut self,
        client: usize,
        from: Published,
        (ssrc, rtx_ssrc): (u32, Option<u32>),
    ) -> Subscribed {
        self.next += 1;
        let leg = LegId(self.next);
        let (home, lane) = (self.clients[from.client].lane, self.clients[client].lane);
        let source = if from.video { VIDEO_PT } else { AUDIO_PT };
        let add = AddLeg {
            leg,
            track: from.track,
            home: LaneId(home as u8),
            transport: self.clients[client].transport,
            kind: if from.video { MediaKind::Video } else { MediaKind::Audio },
            mid: format!("{}", self.next),
            ssrc,
            rtx_ssrc,
            cname: "publisher".into(),
            payloads: vec![PayloadMap {
                source,
                target: source,
                rtx: rtx_ssrc.map(|_| VIDEO_RTX_PT),
                strip_red: false,
            }],
            extensions: extensions_down(),
        };
        self.command(lane, Command::AddLeg(add));
        self.relay(from, lane);
        let known = self.clients[client].receivers.iter().any(|receiver| receiver.ssrc == ssrc);
        if !known {
            let receiver = Receiver::new(ssrc, rtx_ssrc, from.video);
            self.clients[client].receivers.push(receiver);
        }
        Subscribed { leg, client, ssrc, track: from.track }
    }

    /// Tells a track's home that legs of it live on another lane.
    pub fn relay(&mut self, from: Published, lane: usize) {
        let home = self.clients[from.client].lane;
        if home != lane && !self.relays.contains(&(from.track, home, lane)) {
            self.relays.push((from.track, home, lane));
            let to = LaneId(lane as u8);
            self.command(home, Command::AddRelay { track: from.track, to });
        }
    }

    /// What a leg should carry.
    pub fn aim(&mut self, subscribed: Subscribed, layers: Option<(u8, u8)>) {
        let target = layers.map(|(spatial, temporal)| LayerTarget { spatial, temporal });
        let lane = self.clients[subscribed.client].lane;
        self.command(lane, Command::SetLeg { leg: subscribed.leg, target });
    }

    pub fn command(&mut self, lane: usize, command: Command) {
        self.lanes[lane].handle_command(self.now, command, &mut self.rings[lane]);
    }

    /// Lets time pass.
    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now = self.now + Duration::from_millis(1);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        for index in 0..self.clients.len() {
            self.clients[index].tick(now, EPOCH);
            self.check_path(index);
            let client = &mut self.clients[index];
            let (lane, rings) = (&mut self.lanes[client.lane], &mut self.rings[client.lane]);
            while let Some(mut datagram) = client.up.poll(now.0) {
                lane.handle_datagram(now, now, client.path, &mut datagram, rings);
            }
        }
        for lane in 0..self.lanes.len() {
            self.cross(lane);
        }
        for lane in 0..self.lanes.len() {
            // A turn settles what it caused; a few rounds reach the fixed point of a few lanes.
            for _ in 0..4 {
                if self.lanes[lane].poll_timeout().is_some_and(|due| due <= now) {
                    self.lanes[lane].handle_timeout(now, &mut self.rings[lane]);
                }
            }
            self.send(lane);
        }
        for client in &mut self.clients {
            while let Some(datagram) = client.down.poll(now.0) {
                client.handle(now, &datagram);
            }
        }
    }

    /// Clients check their path every two seconds.
    fn check_path(&mut self, index: usize) {
        let ms = self.now.as_millis();
        if ms % 2_000 == 0 && self.clients[index].checks {
            let name = format!("client{index}");
            let check = Check::new(&name, ms * 100 + index as u64).bytes();
            let client = &mut self.clients[index];
            client.up.send(self.now.0, check.len(), check);
        }
    }

    /// Takes everything off the rings of one lane.
    fn cross(&mut self, from: usize) {
        for to in 0..self.lanes.len() {
            while let Some(crossing) = self.rings[from].queues[to].pop_front() {
                let (now, lane) = (self.now, &mut self.lanes[to]);
                match crossing {
                    Crossing::Media(meta, bytes) => {
                        lane.handle_relayed_media(now, &MediaPacket { meta: &meta, bytes: &bytes });
                    }
                    Crossing::Control(message) => {
                        let from = LaneId(from as u8);
                        lane.handle_relayed_control(now, from, message, &mut self.rings[to]);
                    }
                }
            }
        }
    }

    fn send(&mut self, lane: usize) {
        let (now, clients) = (self.now, &mut self.clients);
        let totals = &mut self.run_bytes;
        self.lanes[lane].outbox().drain(|run| {
            let to = clients.iter_mut().find(|client| client.path == run.path);
            let to = to.expect("nothing goes to an address that nobody has");
            let run = run.packets;
            let bytes: usize = run.iter().map(|packet| packet.len()).sum();
            totals.0 += if run.len() >= 4 { bytes as u64 } else { 0 };
            totals.1 += bytes as u64;
            for packet in run {
                to.down.send(now.0, packet.len(), packet.to_vec());
            }
        });
        self.events.append(&mut self.lanes[lane].outputs().events);
        self.lanes[lane].outputs().associations.clear();
    }

    /// How often all lanes together dropped for a reason.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.stats().iter().map(|stats| stats.drops.get(reason)).sum()
    }

    /// Lets the lanes look at their tracks and transports, as their threads do once a second.
    pub fn observe(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.observe(self.now));
    }

    pub fn stats(&self) -> Vec<LaneStats> {
        self.lanes.iter().map(|lane| lane.stats(self.now)).collect()
    }

    pub fn receiver(&self, subscribed: Subscribed) -> &Receiver {
        self.clients[subscribed.client].receiver(subscribed.ssrc)
    }

    /// What the control plane was told about a leg, in order.
    pub fn told(&self, subscribed: Subscribed) -> Vec<Option<u8>> {
        let told = self.events.iter().filter_map(|event| match event {
            Event::LegChanged { leg, current } if *leg == subscribed.leg => Some(*current),
            _ => None,
        });
        told.collect()
    }
}

/// What publishers send.
fn extensions() -> Vec<(u8, Extension)> {
    let mut all = extensions_down();
    all.push((RID_ID, Extension::Rid));
    all.push((REPAIRED_ID, Extension::RepairedRid));
    all
}

/// What subscribers get.
fn extensions_down() -> Vec<(u8, Extension)> {
    vec![
        (MID_ID, Extension::Mid),
        (LEVEL_ID, Extension::AudioLevel),
        (SEND_TIME_ID, Extension::AbsSendTime),
        (WIDE_ID, Extension::TransportWideCc),
    ]
}
