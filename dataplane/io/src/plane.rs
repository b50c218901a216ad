//! The control plane's side: starts and ends the threads, routes commands to lanes, collects events.
//!
//! In: configuration and commands. Out: events, snapshots. Nothing here blocks on a lane: a command that
//! finds its ring full waits in order and is retried at the next [`Plane::flush`] or [`Plane::drain`], and
//! the lane signals when it has made room.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use conclave_associations::AssociationsStats;
use conclave_core::command::{ChannelCommand, Command, IceCredentials};
use conclave_core::event::Event;
use conclave_core::ids::{LaneId, TransportId};
use rtrb::Consumer;

use crate::directory::{Directory, Ignored, Route};
use crate::doorbell::Doorbell;
use crate::error::PlaneError;
use crate::outlet::Outlet;
use crate::snapshot::{LaneSnapshot, Latest};
use crate::socket::Buffers;
use crate::start::{self, AssociationsEnd};
use crate::starved::Starved;
use crate::thread::Worker;

/// Lanes of one process. Rings between lanes grow with the square; beyond this a machine runs more processes.
pub const MAX_LANES: usize = 32;

/// Addresses that each lane binds: both families on a few interfaces.
pub const MAX_ADDRESSES: usize = 8;

/// Commands that may wait for one lane: a large meeting's joins, thousands at once, while the lane is busy.
pub(crate) const COMMAND_BACKLOG: usize = 65_536;

/// What a plane is told at birth.
#[derive(Clone)]
pub struct PlaneConfig {
    /// How many lanes.
    pub lanes: usize,
    /// Addresses that every lane binds.
    pub addresses: Vec<IpAddr>,
    /// The first lane's UDP port, the next lanes take the next ones; 0 lets the kernel choose.
    pub port: u16,
    /// The first lane's TCP port, the next lanes take the next ones; 0 lets the kernel choose, `None` means
    /// that nobody connects by TCP.
    pub tcp_port: Option<u16>,
    /// Our certificate, DER X.509.
    pub certificate: Vec<u8>,
    /// Its private key, DER PKCS#8.
    pub private_key: Vec<u8>,
    /// Consent time-out (RFC 7675).
    pub consent: Duration,
    /// Transports that may exist on one lane.
    pub max_transports: usize,
    /// Socket buffers.
    pub buffers: Buffers,
}

impl std::fmt::Debug for PlaneConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlaneConfig").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

/// What all threads published last.
#[derive(Clone, Debug)]
pub struct PlaneSnapshot {
    /// Per lane.
    pub lanes: Vec<Arc<LaneSnapshot>>,
    /// Handshakes and data channels.
    pub associations: Arc<AssociationsStats>,
    /// Commands that named something that is not there.
    pub commands_ignored: u64,
}

/// The running data plane.
#[derive(Debug)]
pub struct Plane {
    associations: AssociationsEnd,
    lanes: Vec<LaneEnd>,
    bell: Arc<Doorbell>,
    directory: Directory,
    /// Which source of events is asked first; moves on so that none starves.
    next_source: usize,
    commands_ignored: u64,
}

/// The control plane's ends of one lane.
#[derive(Debug)]
pub(crate) struct LaneEnd {
    pub(crate) commands: Outlet<Command>,
    pub(crate) starved: Starved,
    pub(crate) events: Consumer<Event>,
    pub(crate) snapshot: Latest<LaneSnapshot>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) tcp_addresses: Vec<SocketAddr>,
    pub(crate) worker: Worker,
}

impl Plane {
    /// Binds the sockets and starts the threads.
    pub fn start(config: &PlaneConfig) -> Result<Self, PlaneError> {
        let bell = Arc::new(Doorbell::new()?);
        let (lanes, associations) = start::start(config, &bell)?;
        Ok(Self {
            associations,
            lanes,
            bell,
            directory: Directory::default(),
            next_source: 0,
            commands_ignored: 0,
        })
    }

    /// Readable while events wait.
    pub fn fd(&self) -> RawFd {
        self.bell.fd()
    }

    /// Per lane the addresses that its sockets are bound to.
    pub fn addresses(&self) -> Vec<Vec<SocketAddr>> {
        self.lanes.iter().map(|lane| lane.addresses.clone()).collect()
    }

    /// Per lane the addresses on which it accepts TCP connections; none if it does not.
    pub fn tcp_addresses(&self) -> Vec<Vec<SocketAddr>> {
        self.lanes.iter().map(|lane| lane.tcp_addresses.clone()).collect()
    }

    /// A client may connect on `lane`.
    pub fn add_transport(
        &mut self,
        transport: TransportId,
        lane: LaneId,
        local: IceCredentials,
    ) -> Result<(), PlaneError> {
        if usize::from(lane.0) >= self.lanes.len() {
            return Err(PlaneError::Config(format!("there is no lane {}", lane.0)));
        }
        let command = Command::AddTransport { transport, local };
        self.routed(|directory, route| directory.settle(transport, lane, command, route))
    }

    /// Queues a command for the lane of what it names, and the relays that follow from it. The `home` of an
    /// `AddLeg` is filled in here. What names something unknown is counted and ignored.
    pub fn command(&mut self, command: Command) -> Result<(), PlaneError> {
        self.routed(|directory, route| directory.route(command, route))
    }

    /// Queues a command for the associations thread.
    pub fn channel(&mut self, command: ChannelCommand) -> Result<(), PlaneError> {
        if self.associations.commands.is_congested() {
            return Err(PlaneError::QueueFull);
        }
        self.associations.commands.stage(command);
        Ok(())
    }

    /// Hands what is queued to the threads, as far as they have room.
    pub fn flush(&mut self) {
        for lane in &mut self.lanes {
            push(&mut lane.commands, &lane.starved);
        }
        push(&mut self.associations.commands, &self.associations.starved);
    }

    /// Whether the threads have been handed every command. While they have not, the descriptor becomes
    /// readable as soon as there is room for more, and [`Plane::drain`] moves it on.
    pub fn is_flushed(&self) -> bool {
        let lanes = self.lanes.iter().any(|lane| lane.commands.has_backlog());
        !lanes && !self.associations.commands.has_backlog()
    }

    /// Up to `limit` events; the descriptor stays readable if there are more.
    pub fn drain(&mut self, limit: usize) -> Vec<Event> {
        self.bell.silence();
        self.bell.arm();
        self.flush();
        let mut events = Vec::new();
        let lanes = self.lanes.iter_mut().map(|lane| &mut lane.events);
        let mut sources: Vec<_> = lanes.chain([&mut self.associations.events]).collect();
        self.next_source = (self.next_source + 1) % sources.len();
        sources.rotate_left(self.next_source);
        for source in &mut sources {
            let wanted = (limit - events.len()).min(source.slots());
            events.extend((0..wanted).map_while(|_| source.pop().ok()));
        }
        if sources.iter().any(|source| !source.is_empty()) {
            self.bell.ring();
        }
        events
    }

    /// What the threads published last, at most about a second ago.
    pub fn snapshot(&self) -> PlaneSnapshot {
        PlaneSnapshot {
            lanes: self.lanes.iter().map(|lane| lane.snapshot.read()).collect(),
            associations: self.associations.snapshot.read(),
            commands_ignored: self.commands_ignored,
        }
    }

    fn routed(
        &mut self,
        route: impl FnOnce(&mut Directory, Route<'_>) -> Result<(), Ignored>,
    ) -> Result<(), PlaneError> {
        let Self { lanes, directory, .. } = self;
        if lanes.iter().any(|lane| lane.commands.is_congested()) {
            return Err(PlaneError::QueueFull);
        }
        let routed = route(directory, &mut |lane, command| stage(lanes, lane, command));
        self.commands_ignored += u64::from(routed.is_err());
        Ok(())
    }
}

impl Drop for Plane {
    /// Says goodbye to every peer and ends the threads, the associations first: their farewells leave
    /// through descriptors of their own, but keys and news must find a lane that listens.
    fn drop(&mut self) {
        self.associations.worker.stop();
        self.lanes.iter_mut().for_each(|lane| lane.worker.stop());
    }
}

/// Moves what waits into the ring; what finds no room is retried when the consumer has made some.
fn push<T>(commands: &mut Outlet<T>, starved: &Starved) {
    commands.flush();
    if commands.has_backlog() {
        starved.raise();
        commands.flush();
    }
}

fn stage(lanes: &mut [LaneEnd], lane: LaneId, command: Command) {
    lanes[usize::from(lane.0)].commands.stage(command);
}
