//! The associations thread: DTLS handshakes and data channels beside the lanes.
//!
//! In: DTLS datagrams and news of transports from the lanes, channel commands from the control plane. Out:
//! datagrams on the lanes' sockets (through descriptors of its own; those for TCP connections go to the lane),
//! SRTP keys for the lanes, events. It can be as busy as it likes: no lane ever waits for it.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use conclave_associations::{Associations, AssociationsStats, Transmit};
use conclave_core::association::{FromAssociation, ToAssociation};
use conclave_core::command::ChannelCommand;
use conclave_core::event::Event;
use conclave_core::ids::LaneId;
use conclave_core::time::Time;
use rtrb::Consumer;

use crate::clock::Clock;
use crate::doorbell::Doorbell;
use crate::outlet::{Outlet, Worth};
use crate::parked::Parked;
use crate::send::{Sender, UdpWire};
use crate::snapshot::Latest;
use crate::starved::Starved;
use crate::thread::StopFlag;
use crate::wait::Waiter;

/// Messages that one turn takes from each lane: the datagrams of a few handshakes.
const MESSAGES_PER_TURN: usize = 64;

/// Commands that one turn takes.
const COMMANDS_PER_TURN: usize = 64;

/// Datagrams of one send batch.
const BATCH: usize = 64;

/// How often the thread publishes its numbers.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// When to try again to push into a ring that was full.
const RETRY: Duration = Duration::from_millis(5);

/// Everything the thread is given.
#[derive(Debug)]
pub struct AssociationsParts {
    /// The time.
    pub clock: Clock,
    /// Where this thread sleeps.
    pub bell: Arc<Doorbell>,
    /// From the control plane.
    pub commands: Consumer<ChannelCommand>,
    /// Whether the control plane has more commands than the ring took.
    pub starved: Starved,
    /// To the control plane.
    pub events: Outlet<Event>,
    /// One per lane.
    pub lanes: Vec<LaneSide>,
    /// Where the numbers go.
    pub snapshot: Latest<AssociationsStats>,
}

/// What connects the thread to one lane.
#[derive(Debug)]
pub struct LaneSide {
    /// From the lane.
    pub messages: Consumer<ToAssociation>,
    /// To the lane.
    pub keys: Outlet<FromAssociation>,
    /// The lane's sockets, by descriptors of our own.
    pub sockets: Vec<UdpSocket>,
}

/// Runs `associations` until `stop` is set, then says goodbye to every peer.
pub fn run(associations: Associations, parts: AssociationsParts, stop: &StopFlag) {
    let mut thread = AssociationsThread::new(associations, parts);
    while !stop.is_set() {
        thread.turn();
    }
    thread.say_goodbye();
}

struct AssociationsThread {
    parts: AssociationsParts,
    associations: Associations,
    parked: Parked,
    senders: Vec<Vec<Sender<UdpWire>>>,
    batch: Vec<Transmit>,
    waiter: Waiter,
    woke: Time,
    publish_at: Time,
}

impl AssociationsThread {
    fn new(associations: Associations, parts: AssociationsParts) -> Self {
        let sender = |socket: &UdpSocket| Sender::new(UdpWire(socket.as_raw_fd()));
        let senders =
            parts.lanes.iter().map(|lane| lane.sockets.iter().map(sender).collect()).collect();
        let now = parts.clock.now();
        Self {
            associations,
            parked: Parked::default(),
            senders,
            batch: Vec::with_capacity(BATCH),
            waiter: Waiter::new(&[parts.bell.fd()]),
            woke: now,
            publish_at: now,
            parts,
        }
    }

    fn turn(&mut self) {
        self.sleep();
        for lane in 0..self.parts.lanes.len() {
            self.hear(lane);
        }
        self.obey();
        self.expire();
        self.transmit();
        self.deliver();
        self.publish();
    }

    fn sleep(&mut self) {
        self.parts.bell.arm();
        let now = self.parts.clock.now();
        let timeout = if self.has_work() { Duration::ZERO } else { self.deadline().since(now) };
        // An interrupted or failed wait is an early one: the turn finds out what there is to do.
        let _ = self.waiter.wait(Some(timeout));
        self.parts.bell.disarm();
        if self.waiter.is_ready(0) {
            self.parts.bell.silence();
        }
        self.woke = self.parts.clock.now();
    }

    fn has_work(&self) -> bool {
        !self.parts.commands.is_empty()
            || self.parts.lanes.iter().any(|lane| !lane.messages.is_empty())
    }

    fn deadline(&self) -> Time {
        let timers = self.associations.poll_timeout();
        let full = self.parts.lanes.iter().any(|lane| lane.keys.has_backlog())
            || !self.parts.events.has_room();
        let retry = full.then(|| self.woke + RETRY);
        [timers, retry].into_iter().flatten().fold(self.publish_at, Time::min)
    }

    fn hear(&mut self, lane: usize) {
        for _ in 0..MESSAGES_PER_TURN {
            let Ok(message) = self.parts.lanes[lane].messages.pop() else { break };
            let (lane, now) = (LaneId(lane as u8), self.parts.clock.now());
            let added = match message {
                ToAssociation::Added { transport } => Some(transport),
                _ => None,
            };
            self.parked.note(&message);
            self.associations.handle_lane(now, lane, message);
            while let Some(command) = added.and_then(|added| self.parked.release(added)) {
                self.associations.handle_command(now, command);
            }
        }
    }

    fn obey(&mut self) {
        let mut obeyed = false;
        for _ in 0..COMMANDS_PER_TURN {
            let Ok(command) = self.parts.commands.pop() else { break };
            if let Some(command) = self.parked.admit(command) {
                self.associations.handle_command(self.parts.clock.now(), command);
            }
            obeyed = true;
        }
        if obeyed {
            self.parts.starved.feed();
        }
    }

    fn expire(&mut self) {
        let now = self.parts.clock.now();
        if self.associations.poll_timeout().is_some_and(|due| due <= now) {
            self.associations.handle_timeout(now);
        }
    }

    /// Sends what waits, in batches; consecutive datagrams of one peer leave as one run.
    fn transmit(&mut self) {
        loop {
            self.batch.clear();
            while self.batch.len() < BATCH {
                let Some(transmit) = self.associations.poll_transmit() else { break };
                self.batch.push(transmit);
            }
            if self.batch.is_empty() {
                return;
            }
            let same = |a: &Transmit, b: &Transmit| (a.lane, a.path) == (b.lane, b.path);
            for run in self.batch.chunk_by_mut(same) {
                let lane = usize::from(run[0].lane.0);
                if run[0].path.connection.is_some() {
                    // The lane alone writes to its connections.
                    let keys = self.parts.lanes.get_mut(lane).map(|lane| &mut lane.keys);
                    let untold = hand_over(run, keys);
                    (0..untold).for_each(|_| self.associations.transmit_refused());
                    continue;
                }
                let senders = self.senders.get_mut(lane);
                let socket = usize::from(run[0].path.socket);
                if let Some(sender) = senders.and_then(|senders| senders.get_mut(socket)) {
                    let datagrams: Vec<&[u8]> =
                        run.iter().map(|transmit| transmit.datagram.as_slice()).collect();
                    sender.batch().push(run[0].path.peer, &datagrams);
                }
            }
        }
    }

    fn deliver(&mut self) {
        while let Some((lane, message)) = self.associations.poll_lane() {
            self.tell(lane, message);
        }
        // Events stay with the associations while the ring is full: they slow the peers down in turn.
        while self.parts.events.has_room() {
            let Some(event) = self.associations.poll_event() else { break };
            let _ = self.parts.events.push(event, Worth::Keep);
        }
        self.parts.events.flush();
        self.parts.lanes.iter_mut().for_each(|lane| lane.keys.flush());
    }

    fn tell(&mut self, lane: LaneId, message: FromAssociation) {
        if let Some(lane) = self.parts.lanes.get_mut(usize::from(lane.0)) {
            // Two messages in an association's life at most: the backlog holds them for every transport.
            let _ = lane.keys.push(message, Worth::Keep);
        }
    }

    fn publish(&mut self) {
        let now = self.parts.clock.now();
        if now < self.publish_at {
            return;
        }
        let stats = Arc::new(self.associations.stats());
        if self.parts.snapshot.publish(&stats) {
            self.publish_at = now + PUBLISH_EVERY;
        }
    }

    fn say_goodbye(&mut self) {
        self.associations.close_all(self.parts.clock.now());
        self.transmit();
        self.parts.lanes.iter_mut().for_each(|lane| lane.keys.flush());
    }
}

/// Gives datagrams for a TCP connection to its lane; how many it has no room for. DTLS repeats them.
fn hand_over(run: &mut [Transmit], keys: Option<&mut Outlet<FromAssociation>>) -> usize {
    let Some(keys) = keys else { return run.len() };
    let messages = run.iter_mut().map(|transmit| FromAssociation::Datagram {
        path: transmit.path,
        data: std::mem::take(&mut transmit.datagram),
    });
    messages.filter_map(|message| keys.push(message, Worth::Shed).err()).count()
}
