//! A lane's thread: the loop that every packet passes.
//!
//! One turn: sleep until something is there, carry out commands, hear the other threads, take what has arrived,
//! do what is due, send, deliver. Every stage is bounded, and a turn sends what it computed before
//! it takes more. It batches what has arrived and never waits to fill a batch.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use conclave_core::association::{FromAssociation, Path, ToAssociation};
use conclave_core::command::Command;
use conclave_core::drop::{DropCounters, DropReason};
use conclave_core::event::Event;
use conclave_core::lane::{Lane, LaneConfig};
use conclave_core::time::Time;
use rtrb::Consumer;

use crate::clock::{Arrivals, Clock};
use crate::delivery::{deliver_events, deliver_messages};
use crate::departure::Departure;
use crate::doorbell::Doorbell;
use crate::guard::{guard, Panicked};
use crate::intake::Intake;
use crate::outlet::Outlet;
use crate::receive::{Receiver, SLOTS};
use crate::relay::{RelayExits, RelayIn, Relayed};
use crate::snapshot::{Depths, LaneSnapshot, Latest};
use crate::socket::receive_memory;
use crate::starved::Starved;
use crate::stream::READ_BUFFER;
use crate::streams::Streams;
use crate::thread::StopFlag;
use crate::wait::Waiter;

/// System calls that one turn makes on one socket before the other stages get their share.
const RECEIVES_PER_TURN: usize = 8;

/// Packets that make a batch worth sending at once: its system call is spread thin by then.
const ENOUGH: usize = 256;

/// Items that one turn takes from each ring.
const ITEMS_PER_TURN: usize = 256;

/// How often a lane publishes its numbers.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// When to try again to push into a ring that was full.
const RETRY: Duration = Duration::from_millis(5);

/// How long timers rest after one of them panicked: a timer that does so each time must not hold the lane.
const AFTER_PANIC: Duration = Duration::from_millis(10);

/// Everything a lane's thread is given.
#[derive(Debug)]
pub struct LaneParts {
    /// What the core is told.
    pub config: LaneConfig,
    /// The time.
    pub clock: Clock,
    /// One socket per address.
    pub sockets: Vec<UdpSocket>,
    /// The TCP connections, unless there may be none.
    pub streams: Option<Streams>,
    /// Where this thread sleeps.
    pub bell: Arc<Doorbell>,
    /// From the control plane.
    pub commands: Consumer<Command>,
    /// Whether the control plane has more commands than the ring took.
    pub starved: Starved,
    /// From the associations thread.
    pub from_associations: Consumer<FromAssociation>,
    /// From the other lanes.
    pub entrances: Vec<RelayIn>,
    /// To the other lanes.
    pub exits: RelayExits,
    /// To the control plane.
    pub events: Outlet<Event>,
    /// To the associations thread.
    pub to_associations: Outlet<ToAssociation>,
    /// Where the numbers go.
    pub snapshot: Latest<LaneSnapshot>,
}

/// Runs a lane until `stop` is set.
pub fn run(parts: LaneParts, stop: &StopFlag) {
    let mut lane = LaneThread::new(parts);
    while !stop.is_set() {
        lane.turn();
    }
    lane.say_goodbye();
}

struct LaneThread {
    parts: LaneParts,
    lane: Lane,
    waiter: Waiter,
    receiver: Receiver,
    departure: Departure,
    /// What was read from a connection; they take turns.
    stream_bytes: Box<[u8]>,
    drops: DropCounters,
    kernel_drops: Vec<u32>,
    depths: Depths,
    woke: Time,
    busy: Duration,
    publish_at: Time,
    timers_rest_until: Time,
}

impl LaneThread {
    fn new(mut parts: LaneParts) -> Self {
        let mut fds = vec![parts.bell.fd()];
        fds.extend(parts.sockets.iter().map(AsRawFd::as_raw_fd));
        let streams = parts.streams.take();
        fds.extend(streams.as_ref().map(Streams::fd));
        let now = parts.clock.now();
        Self {
            lane: Lane::new(parts.config),
            waiter: Waiter::new(&fds),
            receiver: Receiver::default(),
            departure: Departure::new(&parts.sockets, streams),
            stream_bytes: vec![0; READ_BUFFER].into_boxed_slice(),
            drops: DropCounters::default(),
            kernel_drops: vec![0; parts.sockets.len()],
            depths: Depths::default(),
            woke: now,
            busy: Duration::ZERO,
            publish_at: now,
            timers_rest_until: now,
            parts,
        }
    }

    /// Sends the last words of the associations, which went before, to those who came by TCP.
    fn say_goodbye(&mut self) {
        self.hear_associations();
        self.flush();
    }

    fn turn(&mut self) {
        self.sleep();
        self.depths = self.depths.max(self.depths_now());
        // Before the datagrams: one that was provoked by a command or sealed with new keys finds them.
        self.obey();
        self.hear_associations();
        self.receive();
        self.receive_streams();
        self.hear_lanes();
        self.expire();
        self.flush();
        self.look_after_streams();
        self.deliver();
        self.publish();
    }

    /// Waits for input or the next deadline. Nothing that came before the bell was armed is slept over.
    fn sleep(&mut self) {
        self.parts.bell.arm();
        let now = self.parts.clock.now();
        self.busy += now.since(self.woke);
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
            || !self.parts.from_associations.is_empty()
            || self.parts.entrances.iter().any(|entrance| !entrance.is_empty())
    }

    fn depths_now(&self) -> Depths {
        let parts = &self.parts;
        Depths {
            commands: parts.commands.slots(),
            events: parts.events.depth(),
            relay: parts.entrances.iter().map(RelayIn::len).sum(),
            associations: parts.from_associations.slots() + parts.to_associations.depth(),
        }
    }

    fn deadline(&self) -> Time {
        let timers = self.lane.poll_timeout().map(|due| due.max(self.timers_rest_until));
        let backlog = self.parts.events.has_backlog() || self.parts.to_associations.has_backlog();
        let retry = backlog.then(|| self.woke + RETRY);
        let streams = self.departure.streams.as_ref().and_then(Streams::deadline);
        [timers, retry, streams].into_iter().flatten().fold(self.publish_at, Time::min)
    }

    fn receive(&mut self) {
        for socket in 0..self.parts.sockets.len() {
            if !self.waiter.is_ready(1 + socket) {
                continue;
            }
            let fd = self.parts.sockets[socket].as_raw_fd();
            for _ in 0..RECEIVES_PER_TURN {
                // An error of the socket (an ICMP report, memory pressure) concerns no datagram that waits.
                let count = self.receiver.receive(fd).unwrap_or(0);
                let arrivals = self.parts.clock.arrivals();
                for index in 0..count {
                    self.take_message(socket, index, arrivals);
                }
                // What arrived while this was routed (the rest of a frame) makes the runs longer; look again
                // unless there is enough to send already, or nothing to send at all.
                let queued = self.lane.outbox().len();
                if count == 0 || queued >= ENOUGH || (queued == 0 && count < SLOTS) {
                    break;
                }
            }
        }
    }

    fn take_message(&mut self, socket: usize, index: usize, arrivals: Arrivals) {
        let message = self.receiver.message(index);
        if let Some(overflow) = message.overflow {
            self.kernel_drops[socket] = overflow;
        }
        let peer = match message.source() {
            Ok(peer) => peer,
            Err(reason) => return self.drops.count(reason),
        };
        let path = Path::udp(socket as u8, peer);
        let times = (arrivals.now(), arrivals.at(message.stamp));
        let Self { lane, parts, drops, departure, .. } = self;
        let (exits, clock) = (&mut parts.exits, parts.clock);
        let mut intake = Intake { lane, exits, drops, departure, clock };
        for datagram in message.segments() {
            intake.take(times, path, datagram);
        }
    }

    /// Takes what arrived on TCP connections, one read of each.
    fn receive_streams(&mut self) {
        let ready = self.waiter.is_ready(self.waiter.len() - 1);
        let Some(streams) = self.departure.streams.as_mut().filter(|_| ready) else { return };
        streams.look(self.parts.clock.now());
        let Self { lane, parts, drops, departure, stream_bytes, .. } = self;
        let (exits, clock) = (&mut parts.exits, parts.clock);
        let mut intake = Intake { lane, exits, drops, departure, clock };
        while let Some(next) = intake.departure.streams.as_mut().and_then(Streams::next_readable) {
            intake.take_stream(clock.now(), next, stream_bytes);
        }
    }

    /// Closes connections whose time is over and tells the lane of those that ended or are blocked.
    fn look_after_streams(&mut self) {
        if self.departure.streams.is_none() {
            return;
        }
        let Self { lane, parts, drops, departure, .. } = self;
        let (exits, clock) = (&mut parts.exits, parts.clock);
        let mut intake = Intake { lane, exits, drops, departure, clock };
        let done = guard(|| intake.look_after_connections(clock.now()));
        self.count_panic(done);
    }

    fn obey(&mut self) {
        let mut obeyed = false;
        for _ in 0..ITEMS_PER_TURN {
            let Ok(command) = self.parts.commands.pop() else { break };
            let now = self.parts.clock.now();
            let Self { lane, parts, .. } = self;
            let done = guard(|| lane.handle_command(now, command, &mut parts.exits));
            self.count_panic(done);
            obeyed = true;
        }
        if obeyed {
            self.parts.starved.feed();
        }
    }

    fn hear_associations(&mut self) {
        for _ in 0..ITEMS_PER_TURN {
            let Ok(message) = self.parts.from_associations.pop() else { break };
            if self.lane.outbox().is_crowded() {
                self.flush();
            }
            let now = self.parts.clock.now();
            let lane = &mut self.lane;
            let done = guard(|| lane.handle_association(now, message));
            self.count_panic(done);
        }
    }

    fn hear_lanes(&mut self) {
        for index in 0..self.parts.entrances.len() {
            for _ in 0..ITEMS_PER_TURN {
                let Some(item) = self.parts.entrances[index].pop() else { break };
                self.take_relayed(index, item);
            }
        }
    }

    fn take_relayed(&mut self, index: usize, item: Relayed) {
        if self.lane.outbox().is_crowded() {
            self.flush();
        }
        let now = self.woke;
        let Self { lane, parts, departure, .. } = self;
        let entrance = &mut parts.entrances[index];
        let done = match item {
            Relayed::Control(message) => {
                let from = entrance.from();
                guard(|| lane.handle_relayed_control(now, from, message, &mut parts.exits))
            }
            Relayed::Media(frame) => {
                let before = lane.outbox().len();
                let done = guard(|| {
                    if let Some(packet) = frame.packet() {
                        lane.handle_relayed_media(now, &packet);
                        let queued = lane.outbox().len() != before;
                        departure.note(packet.meta.arrival, queued);
                    }
                });
                entrance.recycle(frame);
                done
            }
        };
        self.count_panic(done);
    }

    fn expire(&mut self) {
        let now = self.parts.clock.now();
        let due = self.lane.poll_timeout().is_some_and(|due| due <= now);
        if !due || now < self.timers_rest_until {
            return;
        }
        let Self { lane, parts, .. } = self;
        let done = guard(|| lane.handle_timeout(now, &mut parts.exits));
        if done.is_err() {
            self.timers_rest_until = now + AFTER_PANIC;
        }
        self.count_panic(done);
    }

    fn flush(&mut self) {
        self.departure.flush(&mut self.lane, self.parts.clock);
    }

    fn deliver(&mut self) {
        let Self { lane, parts, drops, .. } = self;
        let outputs = lane.outputs();
        deliver_events(&mut outputs.events, &mut parts.events, drops);
        deliver_messages(&mut outputs.associations, &mut parts.to_associations, drops);
        parts.exits.flush();
    }

    fn publish(&mut self) {
        let now = self.parts.clock.now();
        if now < self.publish_at {
            return;
        }
        let lane = &mut self.lane;
        let stats = guard(|| {
            lane.observe(now);
            lane.stats(now)
        });
        self.count_panic(stats.as_ref().map(|_| ()).map_err(|&panicked| panicked));
        let mut stats = stats.unwrap_or_default();
        stats.drops.merge(&self.drops);
        let mut snapshot = LaneSnapshot {
            kernel_drops: self.kernel_drops.iter().map(|&drops| u64::from(drops)).sum(),
            latency: self.departure.latency.clone(),
            at_ns: now.0,
            busy_ns: (self.busy + now.since(self.woke)).as_nanos() as u64,
            depths: self.depths,
            ..LaneSnapshot::default()
        };
        for socket in &self.parts.sockets {
            let (queue, buffer) = receive_memory(socket.as_raw_fd());
            snapshot.receive_queue += queue;
            snapshot.receive_buffer += buffer;
        }
        if let Some(streams) = &self.departure.streams {
            stats.drops.merge(streams.drops());
            snapshot.streams = streams.counters();
        }
        for sender in &self.departure.senders {
            let counters = sender.counters();
            stats.drops.merge(&counters.drops);
            snapshot.gso_fallbacks += counters.gso_fallbacks;
            snapshot.send_calls += counters.calls;
            snapshot.send_runs += counters.messages;
        }
        snapshot.stats = stats;
        if self.parts.snapshot.publish(&Arc::new(snapshot)) {
            self.publish_at = now + PUBLISH_EVERY;
            self.depths = Depths::default();
        }
    }

    fn count_panic(&mut self, done: Result<(), Panicked>) {
        self.drops.add(DropReason::Panicked, u64::from(done.is_err()));
    }
}
