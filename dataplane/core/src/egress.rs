//! What subscribers get: every leg whose subscriber's transport lives on this lane.
//!
//! In: media packets of tracks (from ingress here or from another lane), commands, feedback of subscribers,
//! time. Out: written packets in the [`PacketSink`], [`Ask`]s for the lane. It never looks into payload
//! beyond the codec descriptors that ingress parsed, and allocates nothing per packet.

mod block;
mod feedback;
mod gate;
mod history;
mod leg;
mod numbers;
mod packet;
mod reach;
mod repair;
mod report;
mod selector;
mod sequence;
mod store;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
mod timeline;
mod track;
mod transport;
mod wide;

use std::time::Duration;

use crate::command::{AddLeg, LayerTarget};
use crate::drop::{DropCounters, DropReason};
use crate::event::Event;
use crate::idmap::IdMap;
use crate::ids::{LaneId, LegId, TrackId, TransportId};
use crate::media::{Extension, MediaKind, MediaPacket, TrackClock};
use crate::sink::PacketSink;
use crate::stats::{layer_state, Flow, LaneStats};
use crate::time::{NtpEpoch, Time};

use leg::{Birth, Leg};
use track::Track;
use transport::{Moment, Retired, Transport};
use wide::Wide;

pub use wide::{Joined, WideCounters};

/// Least time between two rounds over all legs: what is due earlier waits for company.
const ROUND: Duration = Duration::from_millis(10);

/// What an [`Egress`] is told at birth.
#[derive(Clone, Copy, Debug)]
pub struct EgressConfig {
    /// Wall clock at time zero.
    pub epoch: NtpEpoch,
    /// Seed of first sequence numbers and time stamps.
    pub seed: u64,
}

/// What egress wants of the rest of the lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A key frame of a stream.
    Keyframe {
        /// Lane of the publisher.
        home: LaneId,
        /// The track.
        track: TrackId,
        /// Stream index.
        stream: u8,
    },
    /// The streams (bit per index) that legs here carry or wait for changed.
    Wanted {
        /// Lane of the publisher.
        home: LaneId,
        /// The track.
        track: TrackId,
        /// Bit per stream.
        streams: u8,
    },
    /// For the control plane.
    Tell(Event),
}

/// Totals of all legs since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EgressCounters {
    /// Media packets sent, retransmissions apart.
    pub forwarded: Flow,
    /// Packets that went by a leg before the late start of their frame, and were sent after it.
    pub replayed: u64,
    /// Packets that subscribers asked for again.
    pub nacks_received: u64,
    /// Retransmissions sent.
    pub retransmitted: u64,
    /// Empty packets sent for numbers that nothing will fill.
    pub closed: u64,
    /// Key-frame requests of subscribers.
    pub keyframe_requests: u64,
    /// Of these, FIR.
    pub firs: u64,
    /// Changes of a leg's layer to a lower and to a higher one.
    pub layer_switches: [u64; 2],
}

/// All legs of one lane.
#[derive(Debug)]
pub struct Egress {
    epoch: NtpEpoch,
    random: u64,
    tracks: IdMap<TrackId, Track>,
    transports: Vec<Option<Transport>>,
    transport_index: IdMap<TransportId, usize>,
    /// Track of a leg and its place in the track's list.
    leg_index: IdMap<LegId, (TrackId, usize)>,
    asks: Vec<Ask>,
    due: Option<Time>,
    drops: DropCounters,
    counters: EgressCounters,
}

impl Egress {
    /// An egress without legs.
    pub fn new(config: EgressConfig) -> Self {
        Self {
            epoch: config.epoch,
            random: config.seed,
            tracks: IdMap::default(),
            transports: Vec::new(),
            transport_index: IdMap::default(),
            leg_index: IdMap::default(),
            asks: Vec::new(),
            due: None,
            drops: DropCounters::default(),
            counters: EgressCounters::default(),
        }
    }

    /// Forwards a packet to every leg of its track on this lane.
    pub fn forward(&mut self, now: Time, packet: &MediaPacket<'_>, sink: &mut impl PacketSink) {
        let moment = Moment::new(self.epoch, now);
        let Some(track) = self.tracks.get_mut(&packet.meta.track) else {
            self.drops.count(DropReason::NoLegs);
            return;
        };
        let noted = track.note(packet);
        let mut attention = noted.first;
        if attention {
            let active = track.active;
            track.legs.iter_mut().for_each(|leg| {
                leg.selector.set_active(now, active);
                leg.attention = true;
            });
        }
        let Track { legs, stores, .. } = track;
        let store = stores.get(usize::from(packet.meta.stream)).and_then(Option::as_deref);
        for leg in legs {
            let Some(transport) = &mut self.transports[leg.transport] else { continue };
            match leg.forward(moment, packet, transport, sink) {
                Ok(length) => self.counters.forwarded.add(length),
                Err(reason) => self.drops.count(reason),
            }
            if noted.late && leg.starts_with(packet.meta) {
                let to = (transport, &mut *sink);
                self.counters.replayed +=
                    leg.replay(moment, packet.meta.n..noted.newest, store, to);
            }
            attention |= leg.attention;
        }
        if attention {
            settle(track, &self.transports, now, &mut self.asks, &mut self.due, &mut self.counters);
        }
    }

    /// A transport came to be.
    pub fn add_transport(&mut self, transport: TransportId) {
        if self.transport_index.contains_key(&transport) {
            return;
        }
        let free = self.transports.iter().position(Option::is_none);
        let index = free.unwrap_or(self.transports.len());
        if index == self.transports.len() {
            self.transports.push(None);
        }
        self.transports[index] = Some(Transport::new(transport));
        self.transport_index.insert(transport, index);
    }

    /// Ends a transport with its legs.
    pub fn remove_transport(&mut self, now: Time, transport: TransportId) {
        let Some(index) = self.transport_index.remove(&transport) else { return };
        let legs = self.tracks.values().flat_map(|track| &track.legs);
        let gone: Vec<LegId> =
            legs.filter(|leg| leg.transport == index).map(|leg| leg.id).collect();
        for leg in gone {
            self.remove_leg(now, leg);
        }
        self.transports[index] = None;
    }

    /// A subscriber gets a track; the leg starts paused. `active` tells the streams that arrive now.
    pub fn add_leg(&mut self, now: Time, command: &AddLeg, active: u8) {
        let known = self.leg_index.contains_key(&command.leg);
        let index = self.transport_index.get(&command.transport).copied();
        let (Some(index), false) = (index, known) else {
            self.drops.count(DropReason::CommandUnknown);
            return;
        };
        let birth = self.birth(command, index, active);
        let Some(transport) = &mut self.transports[index] else { return };
        for ssrc in [Some(command.ssrc), command.rtx_ssrc].into_iter().flatten() {
            transport.streams.insert(ssrc, (command.track, command.leg));
        }
        if command.extensions.iter().any(|&(_, ext)| ext == Extension::TransportWideCc) {
            transport.wide.get_or_insert_with(Wide::default);
        }
        let track = self
            .tracks
            .entry(command.track)
            .or_insert_with(|| Track::new(command.track, command.home, command.kind));
        track.active |= active;
        self.leg_index.insert(command.leg, (command.track, track.legs.len()));
        track.legs.push(Leg::new(command, Birth { active: track.active, ..birth }));
        if track.legs.last().is_some_and(Leg::can_repair) {
            track.keep_payload();
        }
        settle(track, &self.transports, now, &mut self.asks, &mut self.due, &mut self.counters);
    }

    /// What a leg should carry; `None` pauses it.
    pub fn set_leg(&mut self, now: Time, leg: LegId, target: Option<LayerTarget>) {
        let Some(&(track, place)) = self.leg_index.get(&leg) else {
            self.drops.count(DropReason::CommandUnknown);
            return;
        };
        let Some(track) = self.tracks.get_mut(&track) else { return };
        let leg = &mut track.legs[place];
        leg.selector.set_target(now, target);
        leg.attention = true;
        settle(track, &self.transports, now, &mut self.asks, &mut self.due, &mut self.counters);
    }

    /// Ends a leg; where its numbers stood is kept as long as its transport.
    pub fn remove_leg(&mut self, now: Time, leg: LegId) {
        let Some((track_id, place)) = self.leg_index.remove(&leg) else {
            self.drops.count(DropReason::CommandUnknown);
            return;
        };
        let Some(track) = self.tracks.get_mut(&track_id) else { return };
        let gone = track.legs.swap_remove(place);
        if let Some(moved) = track.legs.get(place) {
            self.leg_index.insert(moved.id, (track_id, place));
        }
        if let Some(transport) = &mut self.transports[gone.transport] {
            transport.streams.retain(|_, &mut (_, owner)| owner != leg);
            gone.retire_into(transport);
        }
        settle(track, &self.transports, now, &mut self.asks, &mut self.due, &mut self.counters);
        if track.legs.is_empty() {
            self.tracks.remove(&track_id);
        }
    }

    /// A stream of a track starts or stops to arrive.
    pub fn set_active(&mut self, now: Time, track: TrackId, stream: u8, active: bool) {
        let Some(track) = self.tracks.get_mut(&track) else { return };
        let bit = 1u8.checked_shl(u32::from(stream)).unwrap_or(0);
        track.active = if active { track.active | bit } else { track.active & !bit };
        for leg in &mut track.legs {
            leg.selector.set_active(now, track.active);
            leg.attention = true;
        }
        if track.legs.iter().any(Leg::can_repair) {
            track.keep_payload();
        }
        settle(track, &self.transports, now, &mut self.asks, &mut self.due, &mut self.counters);
    }

    /// The publisher ended the track: its legs wait for nothing more.
    pub fn track_ended(&mut self, now: Time, track: TrackId) {
        let Some(track) = self.tracks.get_mut(&track) else { return };
        track.active = 0;
        track.clock = None;
        for leg in &mut track.legs {
            leg.selector.set_active(now, 0);
            leg.selector.interrupt(now);
            leg.attention = true;
        }
        settle(track, &self.transports, now, &mut self.asks, &mut self.due, &mut self.counters);
    }

    /// The track's time line on our clock was renewed.
    pub fn set_clock(&mut self, clock: TrackClock) {
        if let Some(track) = self.tracks.get_mut(&clock.track) {
            track.clock = Some(clock);
        }
    }

    /// When [`Egress::handle_timeout`] next has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// Sends the reports and asks for the key frames that are due.
    pub fn handle_timeout(&mut self, now: Time, sink: &mut impl PacketSink) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        let moment = Moment::new(self.epoch, now);
        for track in self.tracks.values_mut() {
            let (clock, rate) = (track.clock, track.clock_rate);
            for leg in &mut track.legs {
                leg.attention = true;
                let Some(transport) = &mut self.transports[leg.transport] else { continue };
                let sent = leg.report(moment, clock.as_ref(), rate, (transport, sink));
                if let Err(reason) = sent {
                    self.drops.count(reason);
                }
            }
            settle(track, &self.transports, now, &mut self.asks, &mut self.due, &mut self.counters);
        }
        self.due = self.due.map(|due| due.max(now + ROUND));
    }

    /// Sends about `bytes` of padding to a transport, to measure what its path carries; returns how many
    /// bytes were sent, none while nothing fit for padding is on the wire.
    pub fn pad(
        &mut self,
        now: Time,
        transport: TransportId,
        bytes: usize,
        sink: &mut impl PacketSink,
    ) -> usize {
        let Some(&index) = self.transport_index.get(&transport) else { return 0 };
        let moment = Moment::new(self.epoch, now);
        let legs = self.tracks.values_mut().flat_map(|track| &mut track.legs);
        let mut sent = 0;
        for leg in legs.filter(|leg| leg.transport == index) {
            let Some(transport) = &mut self.transports[index] else { break };
            while sent < bytes {
                match leg.pad(moment, (transport, sink)) {
                    Ok(length) => sent += length,
                    Err(reason) => {
                        self.drops.count(reason);
                        break;
                    }
                }
            }
        }
        sent
    }

    /// What egress wants of the lane; to be drained after each call that takes `now`.
    pub fn drain_asks(&mut self) -> std::vec::Drain<'_, Ask> {
        self.asks.drain(..)
    }

    /// Whether something waits for [`Egress::drain_asks`].
    pub fn has_asks(&self) -> bool {
        !self.asks.is_empty()
    }

    /// Whether legs of a track live here.
    pub fn has_legs(&self, track: TrackId) -> bool {
        self.tracks.contains_key(&track)
    }

    /// The round trip to a subscriber, by its reports.
    pub fn rtt(&self, transport: TransportId) -> Option<Duration> {
        self.transport(transport)?.rtt()
    }

    /// What transport-wide feedback of a subscriber said so far.
    pub fn wide(&self, transport: TransportId) -> Option<WideCounters> {
        self.transport(transport)?.wide.as_ref().map(Wide::counters)
    }

    /// The receiver's own estimate of its bandwidth (REMB), bits per second.
    pub fn remb(&self, transport: TransportId) -> Option<u64> {
        self.transport(transport)?.remb
    }

    /// Drops by reason.
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }

    /// Totals.
    pub fn counters(&self) -> EgressCounters {
        self.counters
    }

    /// Appends one entry per leg, and counts video legs by layer.
    pub fn stats(&self, out: &mut LaneStats) {
        for leg in self.tracks.values().flat_map(|track| &track.legs) {
            if leg.kind == MediaKind::Video {
                let (wanted, served) = (leg.selector.wanted_layer(), leg.visible());
                out.video_legs[layer_state(wanted)][layer_state(served)] += 1;
            }
            if let Some(transport) = &self.transports[leg.transport] {
                out.legs.push(leg.stats(transport));
            }
        }
    }

    fn transport(&self, transport: TransportId) -> Option<&Transport> {
        self.transports[*self.transport_index.get(&transport)?].as_ref()
    }

    /// First numbers of a leg: random ones (RFC 3550 section 5.1), or those that its SSRC stood at before.
    fn birth(&mut self, command: &AddLeg, transport: usize, active: u8) -> Birth {
        // Half of the number space is left before the first wrap: receivers that join late, and an SRTP
        // receiver that misses the first packets, must not guess a roll-over.
        let mut number = || 1 + self.random() % 0x7FFF;
        let (n, rtx) = (number(), number());
        let t = (1 << 32) + u64::from(self.random() as u32);
        let fresh = Retired::fresh(n, t);
        let Some(state) = &mut self.transports[transport] else {
            return Birth { active, transport, media: fresh, rtx };
        };
        let media = state.revive(command.ssrc).unwrap_or(fresh);
        let revived = command.rtx_ssrc.and_then(|ssrc| state.revive(ssrc));
        Birth { active, transport, media, rtx: revived.map_or(rtx, |retired| retired.next) }
    }

    /// SplitMix64: numbers that need to differ, not to be secret.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Looks after the legs that ask for attention: key frames, news for the control plane, wanted streams,
/// the next deadline.
fn settle(
    track: &mut Track,
    transports: &[Option<Transport>],
    now: Time,
    asks: &mut Vec<Ask>,
    due: &mut Option<Time>,
    counters: &mut EgressCounters,
) {
    let (home, id) = (track.home, track.id);
    let mut streams = 0;
    for leg in &mut track.legs {
        let Some(transport) = &transports[leg.transport] else { continue };
        if transport.ready {
            streams |= leg.selector.wanted();
        }
        if !std::mem::take(&mut leg.attention) {
            continue;
        }
        let rtt = transport.rtt().unwrap_or_default();
        let reached = transport.takes(leg.kind).is_ok();
        while let Some(stream) = reached.then(|| leg.selector.poll_wish(now, rtt)).flatten() {
            let ask = Ask::Keyframe { home, track: id, stream };
            if !asks.contains(&ask) {
                asks.push(ask);
            }
        }
        let current = leg.visible();
        if leg.told != current {
            if let (Some(before), Some(now)) = (leg.told, current) {
                counters.layer_switches[usize::from(now > before)] += 1;
            }
            leg.told = current;
            asks.push(Ask::Tell(Event::LegChanged { leg: leg.id, current }));
        }
        let wish = leg.selector.poll_timeout().filter(|_| reached);
        *due = [*due, wish, leg.report_due()].into_iter().flatten().min();
    }
    if track.wanted != streams {
        track.wanted = streams;
        asks.push(Ask::Wanted { home, track: id, streams });
    }
}
