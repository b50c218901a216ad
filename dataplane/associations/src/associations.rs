//! The map: every association, found by its transport. In: messages from lanes, commands, time. Out, to be
//! drained after each call: datagrams, messages to lanes, events. A panic costs one association.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;

use conclave_core::association::{FromAssociation, ToAssociation};
use conclave_core::command::ChannelCommand;
use conclave_core::event::{CloseReason, Event};
use conclave_core::ids::{LaneId, TransportId};
use conclave_core::time::Time;

use crate::association::{Association, Shared};
use crate::config::{AssociationsConfig, Limits, SetupError};
use crate::dcep::Open;
use crate::dtls::AwsLcContext;
use crate::engine::DtlsContext;
use crate::messages;
use crate::outputs::{Outputs, Transmit};
use crate::refusal::Refusal;
use crate::stats::AssociationsStats;

/// Every association of the process. It belongs to the thread that made it.
pub struct Associations {
    members: HashMap<TransportId, Member>,
    /// Time-outs in order.
    due: BTreeSet<(Time, TransportId)>,
    /// Clients that wait for a handshake slot, in order of arrival.
    waiting: VecDeque<TransportId>,
    shared: Shared,
}

struct Member {
    association: Association,
    due: Option<Time>,
}

impl Associations {
    /// Takes certificate and key; no association yet. Seeds this thread's generator for SCTP.
    pub fn new(config: &AssociationsConfig) -> Result<Self, SetupError> {
        fastrand::seed(config.seed);
        Ok(Self::with_context(Box::new(AwsLcContext::new(config)?), config.limits))
    }

    /// With engines of another make.
    pub(crate) fn with_context(context: Box<dyn DtlsContext>, limits: Limits) -> Self {
        let outputs = Outputs::new(&limits);
        Self {
            members: HashMap::new(),
            due: BTreeSet::new(),
            waiting: VecDeque::new(),
            shared: Shared { context, limits, handshaking: 0, outputs },
        }
    }

    /// A message from a lane.
    pub fn handle_lane(&mut self, now: Time, lane: LaneId, message: ToAssociation) {
        match message {
            ToAssociation::Added { transport } => self.add(lane, transport),
            ToAssociation::Removed { transport } => self.remove(now, transport),
            ToAssociation::Remote { transport, remote } => {
                self.with(now, transport, |a, shared| a.handle_remote(now, remote, shared));
            }
            ToAssociation::Selected { transport, path } => {
                self.with(now, transport, |a, shared| a.handle_selected(now, path, shared));
            }
            ToAssociation::Datagram { transport, data } => {
                self.with(now, transport, |a, shared| a.handle_datagram(now, data, shared));
            }
            ToAssociation::Silenced { transport } => {
                self.with(now, transport, |a, _| a.handle_silenced());
            }
        }
    }

    /// A command from the control plane.
    pub fn handle_command(&mut self, now: Time, command: ChannelCommand) {
        match command {
            ChannelCommand::Open { transport, stream, parameters, negotiated } => {
                // A negotiated channel has its stream from signalling.
                match Open::from_parameters(parameters).filter(|_| !negotiated || stream.is_some())
                {
                    Some(open) => self.with(now, transport, |a, shared| {
                        a.open_channel(now, stream, (open, negotiated), shared);
                    }),
                    None => self.shared.outputs.refuse(Refusal::OpenInvalid),
                }
            }
            ChannelCommand::Send { to, data, binary } => {
                let (ppid, payload) = messages::encode(data, binary);
                let payload = Rc::new(payload);
                for (transport, stream) in to {
                    self.with(now, transport, |a, shared| {
                        a.send(now, stream, (ppid, &payload), shared);
                    });
                }
            }
            ChannelCommand::Close { transport, stream } => {
                self.with(now, transport, |a, shared| a.close_channel(now, stream, shared));
            }
        }
    }

    /// Time passed: everything that is due, is done.
    pub fn handle_timeout(&mut self, now: Time) {
        // What a step schedules for the same instant waits for the next call, so this ends.
        let due: Vec<TransportId> =
            self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        for transport in due {
            self.with(now, transport, |a, shared| a.handle_timeout(now, shared));
        }
    }

    /// When [`Associations::handle_timeout`] next has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.shared.outputs.poll_transmit()
    }

    /// The next message to a lane.
    pub fn poll_lane(&mut self) -> Option<(LaneId, FromAssociation)> {
        self.shared.outputs.poll_lane()
    }

    /// The next event: only `ChannelOpened`, `Message` and `ChannelClosed`. The end of a transport says the
    /// end of its channels as well.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.shared.outputs.poll_event()
    }

    /// A datagram that [`Associations::poll_transmit`] gave out found no room on its way.
    pub fn transmit_refused(&mut self) {
        self.shared.outputs.refuse(Refusal::TransmitQueueFull);
    }

    /// Sends close_notify to every peer and ends; the datagrams are still to be drained.
    pub fn close_all(&mut self, now: Time) {
        let all: Vec<TransportId> = self.members.keys().copied().collect();
        for transport in all {
            self.with(now, transport, |a, shared| a.close(now, shared));
        }
    }

    /// Counters and what exists now.
    pub fn stats(&self) -> AssociationsStats {
        let outputs = &self.shared.outputs;
        AssociationsStats {
            associations: self.members.len(),
            handshaking: self.shared.handshaking,
            channels: self.members.values().map(|m| m.association.open_channels()).sum(),
            handshakes_completed: outputs.handshakes_completed,
            handshakes_failed: outputs.handshakes_failed,
            retransmissions: outputs.retransmissions,
            messages_received: outputs.messages_received,
            messages_sent: outputs.messages_sent,
            refusals: outputs.refusals.clone(),
        }
    }

    fn add(&mut self, lane: LaneId, transport: TransportId) {
        let outputs = &mut self.shared.outputs;
        if self.members.contains_key(&transport) {
            outputs.refuse(Refusal::DuplicateTransport);
        } else if self.members.len() >= self.shared.limits.associations {
            outputs.refuse(Refusal::AssociationLimit);
            outputs.closed(lane, transport, CloseReason::HandshakeFailed);
        } else {
            let association = Association::new(lane, transport);
            self.members.insert(transport, Member { association, due: None });
        }
    }

    fn remove(&mut self, now: Time, transport: TransportId) {
        self.with(now, transport, |a, shared| a.close(now, shared));
        if let Some(member) = self.members.remove(&transport) {
            if let Some(at) = member.due {
                self.due.remove(&(at, transport));
            }
        }
        self.waiting.retain(|waiting| *waiting != transport);
    }

    /// Lets one association act, then keeps its time-out and hands free slots to those who wait.
    fn with(
        &mut self,
        now: Time,
        transport: TransportId,
        act: impl FnOnce(&mut Association, &mut Shared),
    ) {
        self.step(transport, act);
        while self.shared.handshaking < self.shared.limits.handshakes {
            let Some(next) = self.waiting.pop_front() else { break };
            self.step(next, |a, shared| a.handle_slot(now, shared));
        }
    }

    fn step(&mut self, transport: TransportId, act: impl FnOnce(&mut Association, &mut Shared)) {
        let Some(member) = self.members.get_mut(&transport) else {
            return self.shared.outputs.refuse(Refusal::UnknownTransport);
        };
        let waited = member.association.wants_slot();
        let shared = &mut self.shared;
        let result = catch_unwind(AssertUnwindSafe(|| act(&mut member.association, shared)));
        if result.is_err() {
            member.association.release(shared);
            shared.outputs.refuse(Refusal::Panicked);
            shared.outputs.closed(member.association.lane(), transport, CloseReason::Internal);
        }
        if !waited && member.association.wants_slot() {
            self.waiting.push_back(transport);
        }
        let due = member.association.poll_timeout();
        if due != member.due {
            if let Some(at) = member.due {
                self.due.remove(&(at, transport));
            }
            self.due.extend(due.map(|at| (at, transport)));
            member.due = due;
        }
    }
}
