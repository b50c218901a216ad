//! What leaves the associations: datagrams, messages to lanes, events, and the counts of what did not.

use std::collections::VecDeque;

use conclave_core::association::{FromAssociation, Path};
use conclave_core::event::{CloseReason, Event};
use conclave_core::ids::{LaneId, TransportId};

use crate::config::{Limits, MAX_TRANSMITS, MESSAGE_OVERHEAD};
use crate::refusal::{Refusal, Refusals};

/// A datagram for a lane's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Whose socket.
    pub lane: LaneId,
    /// Which of its sockets, and to whom.
    pub path: Path,
    /// On behalf of.
    pub transport: TransportId,
    /// Its bytes.
    pub datagram: Vec<u8>,
}

/// Queues that the caller drains after each call, and counters.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    transmits: VecDeque<Transmit>,
    lanes: VecDeque<(LaneId, FromAssociation)>,
    events: VecDeque<Event>,
    event_bytes: usize,
    event_limit: usize,
    /// Refusals by reason.
    pub refusals: Refusals,
    /// Handshakes that ended with keys.
    pub handshakes_completed: u64,
    /// Handshakes that ended without.
    pub handshakes_failed: u64,
    /// Flights sent again.
    pub retransmissions: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Messages handed to SCTP.
    pub messages_sent: u64,
}

impl Outputs {
    /// Empty queues.
    pub fn new(limits: &Limits) -> Self {
        Self { event_limit: limits.event_bytes, ..Self::default() }
    }

    /// Counts one refusal.
    pub fn refuse(&mut self, reason: Refusal) {
        self.refusals.count(reason);
    }

    /// Queues a datagram.
    pub fn transmit(&mut self, transmit: Transmit) {
        if self.transmits.len() >= MAX_TRANSMITS {
            self.refuse(Refusal::TransmitQueueFull);
        } else {
            self.transmits.push_back(transmit);
        }
    }

    /// Queues a message to a lane: at most two in an association's life.
    pub fn lane(&mut self, lane: LaneId, message: FromAssociation) {
        self.lanes.push_back((lane, message));
    }

    /// Tells a lane that an association ended.
    pub fn closed(&mut self, lane: LaneId, transport: TransportId, reason: CloseReason) {
        self.lane(lane, FromAssociation::Closed { transport, reason });
    }

    /// Queues an event. Messages ask [`Outputs::has_room`] first.
    pub fn event(&mut self, event: Event) {
        self.event_bytes += cost(&event);
        self.events.push_back(event);
    }

    /// Whether another message may be queued.
    pub fn has_room(&self) -> bool {
        self.event_bytes < self.event_limit
    }

    /// The next datagram.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next message to a lane.
    pub fn poll_lane(&mut self) -> Option<(LaneId, FromAssociation)> {
        self.lanes.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.event_bytes -= cost(&event);
        Some(event)
    }
}

fn cost(event: &Event) -> usize {
    match event {
        Event::Message { data, .. } => data.len() + MESSAGE_OVERHEAD,
        _ => MESSAGE_OVERHEAD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn datagrams_that_nobody_collects_are_dropped_by_name() {
        let mut outputs = Outputs::new(&Limits::default());
        let transmit = Transmit {
            lane: LaneId(0),
            path: Path::udp(0, SocketAddr::from(([192, 0, 2, 1], 9))),
            transport: TransportId(0),
            datagram: vec![],
        };
        for _ in 0..MAX_TRANSMITS + 3 {
            outputs.transmit(transmit.clone());
        }
        assert_eq!(outputs.refusals.get(Refusal::TransmitQueueFull), 3);
        assert_eq!(std::iter::from_fn(|| outputs.poll_transmit()).count(), MAX_TRANSMITS);
    }
}
