//! What the parts of a lane have to tell each other after an input: events of the edge and of ingress,
//! asks of egress, control messages for other lanes.

use std::collections::VecDeque;
use std::time::Duration;

use super::Lane;
use crate::edge::EdgeEvent;
use crate::egress::Ask;
use crate::event::Event;
use crate::ids::{LaneId, TrackId, TransportId};
use crate::media::TrackClock;
use crate::relay::{RelayControl, Relays};
use crate::time::Time;

/// Control messages that may wait for room on a ring; rings of control messages drain every turn.
const MAX_UNSENT: usize = 1_024;

/// How soon a refused control message is tried again.
const AGAIN: Duration = Duration::from_millis(2);

/// Control messages that found no room.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    queue: VecDeque<(LaneId, RelayControl)>,
    due: Time,
}

impl Unsent {
    /// When to try again.
    pub fn due(&self) -> Option<Time> {
        (!self.queue.is_empty()).then_some(self.due)
    }
}

impl Lane {
    /// Passes on everything that the input at hand caused.
    pub(super) fn settle(&mut self, now: Time, relays: &mut impl Relays) {
        while let Some(event) = self.edge.poll_event() {
            self.settle_edge(now, event, relays);
        }
        if !self.ingress_out.events.is_empty() || !self.ingress_out.clocks.is_empty() {
            self.settle_ingress(now, relays);
        }
        while self.egress.has_asks() {
            self.settle_egress(now, relays);
        }
        if self.unsent.due().is_some_and(|due| due <= now) {
            self.send_unsent(now, relays);
        }
    }

    fn settle_edge(&mut self, now: Time, event: EdgeEvent, relays: &mut impl Relays) {
        match event {
            EdgeEvent::Event(event) => {
                match event {
                    Event::TransportValidated { transport }
                    | Event::TransportMoved { transport }
                    | Event::TransportAlive { transport } => {
                        let traffic = self.traffic.get(&transport);
                        let ready = traffic.is_some_and(|traffic| traffic.keyed);
                        self.egress.set_ready(now, transport, ready);
                        // Whether another way is blocked will be told when it is.
                        self.egress.set_blocked(now, transport, false);
                    }
                    Event::TransportClosed { transport, .. } => {
                        self.egress.set_ready(now, transport, false);
                    }
                    _ => {}
                }
                self.connectivity.note(&event);
                self.outputs.events.push(event);
            }
            EdgeEvent::Question { path, bytes } => self.reply(path, &bytes),
            EdgeEvent::Association(message) => self.outputs.associations.push(message),
            EdgeEvent::Released(transport) => self.remove_media(now, transport, relays),
        }
    }

    fn settle_ingress(&mut self, now: Time, relays: &mut impl Relays) {
        let events = std::mem::take(&mut self.ingress_out.events);
        for event in events {
            if let Event::StreamChanged { track, stream, active, .. } = event {
                self.stream_changed(now, (track, stream), active, relays);
            }
            self.outputs.events.push(event);
        }
        let mut clocks = std::mem::take(&mut self.ingress_out.clocks);
        for clock in clocks.drain(..) {
            self.set_clock(now, clock, relays);
        }
        self.ingress_out.clocks = clocks;
    }

    fn stream_changed(
        &mut self,
        now: Time,
        (track, stream): (TrackId, u8),
        active: bool,
        relays: &mut impl Relays,
    ) {
        if let Some(home) = self.homes.get_mut(&track) {
            let bit = 1u8.checked_shl(u32::from(stream)).unwrap_or(0);
            home.active = if active { home.active | bit } else { home.active & !bit };
            let message = RelayControl::StreamActive { track, stream, active };
            let lanes: Vec<LaneId> = home.relays.iter().map(|relay| relay.lane).collect();
            for lane in lanes {
                self.tell(now, lane, message, relays);
            }
        }
        self.egress.set_active(now, track, stream, active);
    }

    fn set_clock(&mut self, now: Time, clock: TrackClock, relays: &mut impl Relays) {
        if let Some(home) = self.homes.get_mut(&clock.track) {
            home.clock = Some(clock);
            let lanes: Vec<LaneId> = home.relays.iter().map(|relay| relay.lane).collect();
            let message = RelayControl::Clock(clock);
            for lane in lanes {
                self.tell(now, lane, message, relays);
            }
        }
        self.egress.set_clock(clock);
    }

    fn settle_egress(&mut self, now: Time, relays: &mut impl Relays) {
        let asks: Vec<Ask> = self.egress.drain_asks().collect();
        for ask in asks {
            match ask {
                Ask::Tell(event) => self.outputs.events.push(event),
                Ask::Keyframe { home, track, stream } if home == self.id => {
                    self.ingress.request_keyframe(now, track, stream);
                }
                Ask::Keyframe { home, track, stream } => {
                    self.tell(now, home, RelayControl::Keyframe { track, stream }, relays);
                }
                Ask::Wanted { home, track, streams } if home == self.id => {
                    if let Some(home) = self.homes.get_mut(&track) {
                        home.wanted = streams;
                        self.ingress.set_wanted(track, home.wanted_by_all());
                    }
                }
                Ask::Wanted { home, track, streams } => {
                    self.tell(now, home, RelayControl::Wanted { track, streams }, relays);
                }
            }
        }
    }

    /// Streams that another lane wants of a track that lives here.
    pub(super) fn set_relay_wanted(
        &mut self,
        now: Time,
        (track, from): (TrackId, LaneId),
        streams: u8,
        relays: &mut impl Relays,
    ) {
        let Some(home) = self.homes.get_mut(&track) else { return };
        let known = home.relays.iter().any(|relay| relay.lane == from && relay.wanted != 0);
        if streams == 0 && !known {
            return;
        }
        home.relay_to(from).wanted = streams;
        self.ingress.set_wanted(track, home.wanted_by_all());
        if !known {
            self.describe(now, track, from, relays);
        }
    }

    /// Tells another lane what it must know of a track before its packets come.
    pub(super) fn describe(
        &mut self,
        now: Time,
        track: TrackId,
        to: LaneId,
        relays: &mut impl Relays,
    ) {
        let Some(home) = self.homes.get(&track) else { return };
        let (active, clock) = (home.active, home.clock);
        for stream in (0..8).filter(|stream| active >> stream & 1 == 1) {
            let message = RelayControl::StreamActive { track, stream, active: true };
            self.tell(now, to, message, relays);
        }
        if let Some(clock) = clock {
            self.tell(now, to, RelayControl::Clock(clock), relays);
        }
    }

    /// Sends a control message to another lane, later if there is no room now.
    pub(super) fn tell(
        &mut self,
        now: Time,
        to: LaneId,
        message: RelayControl,
        relays: &mut impl Relays,
    ) {
        // Messages to one lane keep their order.
        let behind = self.unsent.queue.iter().any(|&(lane, _)| lane == to);
        if !behind && relays.control(to, message).is_ok() {
            return;
        }
        if self.unsent.queue.len() == MAX_UNSENT {
            self.drops.count(crate::drop::DropReason::RelayFull);
            return;
        }
        if self.unsent.queue.is_empty() {
            self.unsent.due = now + AGAIN;
        }
        self.unsent.queue.push_back((to, message));
    }

    fn send_unsent(&mut self, now: Time, relays: &mut impl Relays) {
        let waiting = std::mem::take(&mut self.unsent.queue);
        for (to, message) in waiting {
            self.tell(now, to, message, relays);
        }
    }

    /// Ends what a transport publishes and gets.
    pub(super) fn remove_media(
        &mut self,
        now: Time,
        transport: TransportId,
        relays: &mut impl Relays,
    ) {
        for track in self.ingress.remove_transport(transport) {
            self.end_track(now, track, relays);
        }
        self.egress.remove_transport(now, transport);
    }

    /// Tells everybody who gets a track that nothing more comes.
    pub(super) fn end_track(&mut self, now: Time, track: TrackId, relays: &mut impl Relays) {
        self.egress.track_ended(now, track);
        let Some(home) = self.homes.remove(&track) else { return };
        for relay in home.relays {
            self.tell(now, relay.lane, RelayControl::Ended { track }, relays);
        }
    }
}
