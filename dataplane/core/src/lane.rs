//! The map: everything that can happen to a lane, each line leading to the file that handles it.
//!
//! In: datagrams, commands, messages from the associations thread and from other lanes, time.
//! Out: sealed datagrams in the [`Outbox`], events, messages to the associations thread, relayed packets.
//! What one input causes is settled before the call returns, except where a call has no way to other
//! lanes: then [`Lane::poll_timeout`] is due at once.

mod command;
mod home;
mod sender;
mod settle;

use std::time::Duration;

use crate::association::{FromAssociation, Path, ToAssociation};
use crate::command::Command;
use crate::drop::{DropCounters, DropReason};
use crate::edge::{Edge, EdgeConfig, Received};
use crate::egress::{Egress, EgressConfig};
use crate::event::{CloseReason, Event};
use crate::idmap::IdMap;
use crate::ids::{LaneId, TrackId, TransportId};
use crate::ingress::{Arrived, Ingress, IngressConfig, IngressOut};
use crate::media::MediaPacket;
use crate::outbox::{Load, Outbox, NO_TRANSPORT};
use crate::relay::{RelayControl, Relays};
use crate::rtcp::Compound;
use crate::stats::{Connectivity, Flow, LaneStats, Network, TransportStats};
use crate::time::{NtpEpoch, Time};

use home::Home;
use sender::{sender, Traffic};
use settle::Unsent;

/// Least time between two looks at tracks and transports; a lane's numbers are taken once a second.
const OBSERVE_EVERY: Duration = Duration::from_millis(900);

/// What a lane is told at birth.
#[derive(Clone, Copy, Debug)]
pub struct LaneConfig {
    /// Which lane this is.
    pub lane: LaneId,
    /// Wall clock at time zero.
    pub epoch: NtpEpoch,
    /// Seed of the lane's random numbers (first sequence numbers, report jitter).
    pub seed: u64,
    /// Consent time-out, RFC 7675.
    pub consent: Duration,
    /// Transports that may exist at once.
    pub max_transports: usize,
}

/// Messages that the caller collects after each batch of input.
#[derive(Debug, Default)]
pub struct LaneOutputs {
    /// For the control plane.
    pub events: Vec<Event>,
    /// For the associations thread.
    pub associations: Vec<ToAssociation>,
}

/// One lane's state: transports, tracks and legs that live here.
#[derive(Debug)]
pub struct Lane {
    id: LaneId,
    edge: Edge,
    ingress: Ingress,
    ingress_out: IngressOut,
    egress: Egress,
    outbox: Outbox,
    outputs: LaneOutputs,
    /// Tracks whose publisher is on this lane.
    homes: IdMap<TrackId, Home>,
    traffic: IdMap<TransportId, Traffic>,
    /// Transports whose keys came: what arrived before them is handled at the next time-out.
    unlocked: Vec<TransportId>,
    /// Control messages that found no room towards another lane.
    unsent: Unsent,
    received: Flow,
    drops: DropCounters,
    connectivity: Connectivity,
    network: Network,
    observed: Time,
}

impl Lane {
    /// An empty lane.
    pub fn new(config: LaneConfig) -> Self {
        let LaneConfig { lane, epoch, seed, consent, max_transports } = config;
        Self {
            id: lane,
            edge: Edge::new(EdgeConfig { seed, consent, max_transports }),
            ingress: Ingress::new(IngressConfig { epoch, seed }),
            ingress_out: IngressOut::default(),
            egress: Egress::new(EgressConfig { epoch, seed }),
            outbox: Outbox::default(),
            outputs: LaneOutputs::default(),
            homes: IdMap::default(),
            traffic: IdMap::default(),
            unlocked: Vec::new(),
            unsent: Unsent::default(),
            received: Flow::default(),
            drops: DropCounters::default(),
            connectivity: Connectivity::default(),
            network: Network::default(),
            observed: Time(0),
        }
    }

    /// A datagram from one of the lane's sockets. `arrival` is the kernel's receive time. The buffer is
    /// decrypted in place.
    pub fn handle_datagram(
        &mut self,
        now: Time,
        arrival: Time,
        path: Path,
        datagram: &mut [u8],
        relays: &mut impl Relays,
    ) {
        self.received.add(datagram.len());
        match self.edge.handle_datagram(now, path, datagram) {
            Received::Dropped(_) | Received::Held | Received::Answered => {}
            Received::Reply { path, bytes } => self.reply(path, bytes),
            Received::Dtls { transport, data } => {
                let data = data.to_vec();
                self.outputs.associations.push(ToAssociation::Datagram { transport, data });
            }
            Received::Rtp { transport, packet, duplicate } => {
                let arrived = Arrived { now, at: arrival, transport, duplicate };
                self.handle_rtp(arrived, packet, relays);
            }
            Received::Rtcp { transport, packet } => self.handle_rtcp(now, transport, packet),
        }
        self.settle(now, relays);
    }

    /// Ends the transport behind `path` because handling its datagram panicked: its state is not to be
    /// trusted. Tells the control plane `TransportClosed` with `Internal`; does nothing for an unknown path.
    pub fn discard(&mut self, now: Time, path: Path, relays: &mut impl Relays) {
        if let Some(transport) = self.edge.owner(path) {
            let closed = self.edge.close(now, transport, CloseReason::Internal);
            debug_assert!(closed.is_ok(), "an owner exists");
            self.remove_media(now, transport, relays);
        }
        self.settle(now, relays);
    }

    /// The connection behind `path` broke or was closed. Its transport goes on over what else is validated,
    /// or waits for a check.
    pub fn handle_disconnect(&mut self, now: Time, path: Path, relays: &mut impl Relays) {
        if let Some(transport) = self.edge.disconnect(path) {
            if self.edge.selected(now, transport).is_none() {
                self.egress.set_ready(now, transport, false);
            }
        }
        self.settle(now, relays);
    }

    /// The connection behind `path` gave up video (`blocked`), or has caught up since.
    pub fn set_blocked(&mut self, now: Time, path: Path, blocked: bool, relays: &mut impl Relays) {
        if let Some(transport) = self.edge.owner(path) {
            if self.edge.selected(now, transport) == Some(path) {
                self.egress.set_blocked(now, transport, blocked);
            }
        }
        self.settle(now, relays);
    }

    /// Whether a check has validated `path` and nothing has ended that.
    pub fn is_validated(&mut self, path: Path) -> bool {
        self.edge.owner(path).is_some()
    }

    /// A command from the control plane.
    pub fn handle_command(&mut self, now: Time, command: Command, relays: &mut impl Relays) {
        if let Err(reason) = self.execute(now, command, relays) {
            self.drops.count(reason);
        }
        self.settle(now, relays);
    }

    /// A message from the associations thread.
    pub fn handle_association(&mut self, now: Time, message: FromAssociation) {
        match message {
            FromAssociation::Keys { transport, profile, local, remote } => {
                if self.edge.install_keys(transport, profile, &local, &remote).is_err() {
                    self.drops.count(DropReason::CommandRefused);
                    return;
                }
                if let Some(traffic) = self.traffic.get_mut(&transport) {
                    traffic.keyed = true;
                }
                self.egress.set_ready(now, transport, true);
                self.unlocked.push(transport);
                self.outputs.events.push(Event::TransportConnected { transport, profile });
            }
            FromAssociation::Datagram { path, data } => self.reply(path, &data),
            FromAssociation::Closed { transport, reason } => {
                // The edge tells the control plane, unless it was over already.
                if self.edge.close(now, transport, reason).is_err() {
                    self.drops.count(DropReason::CommandUnknown);
                }
                self.egress.set_ready(now, transport, false);
            }
        }
    }

    /// A packet of a track that lives on another lane.
    pub fn handle_relayed_media(&mut self, now: Time, packet: &MediaPacket<'_>) {
        self.egress.forward(now, packet, &mut sender!(self, now));
    }

    /// A control message from another lane.
    pub fn handle_relayed_control(
        &mut self,
        now: Time,
        from: LaneId,
        message: RelayControl,
        relays: &mut impl Relays,
    ) {
        match message {
            RelayControl::Clock(clock) => self.egress.set_clock(clock),
            RelayControl::StreamActive { track, stream, active } => {
                self.egress.set_active(now, track, stream, active);
            }
            RelayControl::Ended { track } => self.egress.track_ended(now, track),
            RelayControl::Keyframe { track, stream } => {
                self.ingress.request_keyframe(now, track, stream);
            }
            RelayControl::Wanted { track, streams } => {
                self.set_relay_wanted(now, (track, from), streams, relays);
            }
        }
        self.settle(now, relays);
    }

    /// Time passed: everything that is due, is done.
    pub fn handle_timeout(&mut self, now: Time, relays: &mut impl Relays) {
        while let Some(transport) = self.unlocked.pop() {
            while let Some(mut held) = self.edge.take_held(now, transport) {
                self.handle_datagram(now, held.arrival, held.path, &mut held.data, relays);
            }
        }
        self.edge.handle_timeout(now);
        self.ingress.handle_timeout(now, &mut sender!(self, now), &mut self.ingress_out);
        self.egress.handle_timeout(now, &mut sender!(self, now));
        self.settle(now, relays);
    }

    /// When [`Lane::handle_timeout`] next has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        let at_once = self.egress.has_asks() || !self.unlocked.is_empty();
        let at_once = at_once.then_some(Time(0));
        let later = [
            self.edge.poll_timeout(),
            self.ingress.poll_timeout(),
            self.egress.poll_timeout(),
            self.unsent.due(),
        ];
        at_once.or_else(|| later.into_iter().flatten().min())
    }

    /// Sealed datagrams that wait to be sent; the caller drains it after each batch.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Messages that wait to be delivered; the caller drains them after each batch.
    pub fn outputs(&mut self) -> &mut LaneOutputs {
        &mut self.outputs
    }

    /// Takes what tracks and transports look like now into the distributions of [`Network`], unless it did
    /// so a moment ago: each thing is observed about once a second.
    pub fn observe(&mut self, now: Time) {
        if now.since(self.observed) < OBSERVE_EVERY {
            return;
        }
        self.observed = now;
        self.ingress.observe(now, &mut self.network.up);
        for &transport in self.traffic.keys() {
            if let Some(rtt) = self.rtt(transport) {
                self.network.round_trip.record(rtt.as_micros() as u32);
            }
        }
    }

    /// Plain numbers for the metrics page; called about once a second.
    pub fn stats(&self, now: Time) -> LaneStats {
        let mut drops = self.drops.clone();
        drops.merge(self.edge.drops());
        drops.merge(self.ingress.drops());
        drops.merge(self.egress.drops());
        let (publishers, subscribers) = (self.ingress.counters(), self.egress.counters());
        let mut stats = LaneStats {
            received: self.received,
            forwarded: subscribers.forwarded,
            drops,
            nacks_sent: publishers.nacks_sent,
            repaired: publishers.repaired,
            nacks_received: subscribers.nacks_received,
            retransmitted: subscribers.retransmitted,
            keyframes_requested: publishers.keyframes_requested,
            keyframe_requests_received: subscribers.keyframe_requests,
            firs_received: subscribers.firs,
            layer_switches: subscribers.layer_switches,
            connectivity: self.connectivity,
            connected: self.edge.connected(),
            ..LaneStats::default()
        };
        for (&transport, traffic) in &self.traffic {
            stats.sent.packets += traffic.sent.packets;
            stats.sent.bytes += traffic.sent.bytes;
            stats.transports.push(TransportStats {
                transport,
                rtt_us: self.rtt(transport).map(|rtt| rtt.as_micros() as u32),
                received: traffic.received,
                sent: traffic.sent,
            });
        }
        self.ingress.stats(now, &mut stats.tracks);
        self.egress.stats(&mut stats);
        stats.network = self.network.clone();
        stats
    }

    fn rtt(&self, transport: TransportId) -> Option<Duration> {
        self.egress.rtt(transport).or_else(|| self.ingress.rtt(transport))
    }

    /// From a publisher: what ingress lets through goes to the legs here and to the lanes that want it.
    fn handle_rtp(&mut self, arrived: Arrived, packet: &mut [u8], relays: &mut impl Relays) {
        let (now, transport) = (arrived.now, arrived.transport);
        if let Some(traffic) = self.traffic.get_mut(&transport) {
            traffic.received.add(packet.len());
        }
        let Some(meta) = self.ingress.handle_rtp(arrived, packet, &mut self.ingress_out) else {
            return;
        };
        let bytes = &packet[..packet.len().min(usize::from(meta.payload.end))];
        let packet = MediaPacket { meta: &meta, bytes };
        let Some(home) = self.homes.get_mut(&meta.track) else {
            self.drops.count(DropReason::NoLegs);
            return;
        };
        if let Some(ssrc) = home.unpinned(&packet) {
            self.edge.pin_ssrc(transport, ssrc);
        }
        let relayed = home.relay(&packet, relays, &mut self.drops);
        if relayed.broken {
            self.ingress.request_keyframe(now, meta.track, meta.stream);
        }
        if relayed.lanes == 0 || self.egress.has_legs(meta.track) {
            self.egress.forward(now, &packet, &mut sender!(self, now));
        }
    }

    /// From anybody: reports of what a publisher sends go to ingress, of what a subscriber gets to egress.
    fn handle_rtcp(&mut self, now: Time, transport: TransportId, packet: &[u8]) {
        if let Some(traffic) = self.traffic.get_mut(&transport) {
            traffic.received.add(packet.len());
        }
        let compound = match Compound::parse(packet) {
            Ok(compound) => compound,
            Err(reason) => return self.drops.count(reason),
        };
        self.ingress.handle_rtcp(now, transport, &compound, &mut self.ingress_out);
        let down = &mut self.network.down;
        self.egress.handle_feedback(now, transport, &compound, down, &mut sender!(self, now));
        if let Some(rtt) = self.egress.rtt(transport) {
            self.ingress.set_rtt(transport, rtt);
        }
    }

    /// An answer to a connectivity check, or a DTLS datagram for a connection.
    fn reply(&mut self, path: Path, bytes: &[u8]) {
        let queued = self.outbox.queue(NO_TRANSPORT, Load::Control, |slot| {
            slot.get_mut(..bytes.len()).ok_or(DropReason::TooBig)?.copy_from_slice(bytes);
            Ok((path, bytes.len()))
        });
        if let Err(reason) = queued {
            self.drops.count(reason);
        }
    }
}
