//! Builds a plane: binds every socket first, so that a conflict costs nothing, then makes the rings and starts
//! the threads.

use std::net::{TcpListener, UdpSocket};
use std::sync::mpsc::sync_channel;
use std::sync::Arc;

use conclave_associations::{Associations, AssociationsConfig, AssociationsStats, Limits};
use conclave_core::command::ChannelCommand;
use conclave_core::event::Event;
use conclave_core::ids::LaneId;
use conclave_core::lane::LaneConfig;
use rtrb::Consumer;

use crate::associations_thread::{self, AssociationsParts, LaneSide};
use crate::clock::Clock;
use crate::doorbell::Doorbell;
use crate::entropy::seed;
use crate::error::PlaneError;
use crate::lane_thread::{self, LaneParts};
use crate::listener::listen;
use crate::outlet::Outlet;
use crate::plane::{LaneEnd, PlaneConfig, COMMAND_BACKLOG, MAX_ADDRESSES, MAX_LANES};
use crate::relay::{relay, RelayExits, RelayIn};
use crate::snapshot::Latest;
use crate::socket::bind;
use crate::starved::Starved;
use crate::streams::Streams;
use crate::thread::Worker;

/// Commands in a ring: four turns' worth.
const COMMANDS: usize = 1_024;

/// Events in a ring: what a thread tells in a second of joins, while Python collects garbage.
const EVENTS: usize = 4_096;

/// Events that wait behind a full ring: a control plane that stalls for a minute loses nothing that is told
/// only once.
const EVENT_BACKLOG: usize = 65_536;

/// Messages in a ring between a lane and the associations thread: a thousand handshakes' flights at once.
const ASSOCIATION_MESSAGES: usize = 4_096;

/// Messages that wait behind a full one: a handful for each transport that a lane can have.
const ASSOCIATION_BACKLOG: usize = 65_536;

/// The control plane's ends of the associations thread.
#[derive(Debug)]
pub(crate) struct AssociationsEnd {
    pub(crate) commands: Outlet<ChannelCommand>,
    pub(crate) starved: Starved,
    pub(crate) events: Consumer<Event>,
    pub(crate) snapshot: Latest<AssociationsStats>,
    pub(crate) worker: Worker,
}

/// Starts all threads; `control` is the control plane's bell.
pub(crate) fn start(
    config: &PlaneConfig,
    control: &Arc<Doorbell>,
) -> Result<(Vec<LaneEnd>, AssociationsEnd), PlaneError> {
    check(config)?;
    let sockets = bind_all(config)?;
    let bells = (0..config.lanes).map(|_| Doorbell::new().map(Arc::new));
    let site = Site {
        config,
        clock: Clock::start(),
        control,
        associations: Arc::new(Doorbell::new()?),
        lanes: bells.collect::<Result<_, _>>()?,
    };
    let (mut lanes, mut sides) = (Vec::new(), Vec::new());
    for (number, (sockets, relays)) in sockets.into_iter().zip(site.connect()).enumerate() {
        let (lane, side) = site.start_lane(number, sockets, relays)?;
        lanes.push(lane);
        sides.push(side);
    }
    let associations = site.start_associations(sides)?;
    Ok((lanes, associations))
}

fn check(config: &PlaneConfig) -> Result<(), PlaneError> {
    let refuse = |message: String| Err(PlaneError::Config(message));
    if !(1..=MAX_LANES).contains(&config.lanes) {
        return refuse(format!("lanes must be 1 to {MAX_LANES}, not {}", config.lanes));
    }
    if !(1..=MAX_ADDRESSES).contains(&config.addresses.len()) {
        let given = config.addresses.len();
        return refuse(format!("1 to {MAX_ADDRESSES} addresses are needed, not {given}"));
    }
    for port in [config.port, config.tcp_port.unwrap_or(0)] {
        let last = usize::from(port) + config.lanes - 1;
        if port != 0 && last > usize::from(u16::MAX) {
            return refuse(format!("lane {} would need port {last}", config.lanes - 1));
        }
    }
    Ok(())
}

/// The sockets of one lane, one of each kind per address.
struct Sockets {
    datagrams: Vec<UdpSocket>,
    listeners: Vec<TcpListener>,
}

/// Lane `i` takes port + i on every address, of both protocols.
fn bind_all(config: &PlaneConfig) -> Result<Vec<Sockets>, PlaneError> {
    let of_lane = |port: u16, number: usize| if port == 0 { 0 } else { port + number as u16 };
    let lane = |number: usize| {
        let port = of_lane(config.port, number);
        let sockets = config.addresses.iter().map(|&ip| bind(ip, port, config.buffers));
        let listeners = config.tcp_port.map(|port| {
            let port = of_lane(port, number);
            config.addresses.iter().map(move |&ip| listen(ip, port))
        });
        Ok(Sockets {
            datagrams: sockets.collect::<Result<_, _>>()?,
            listeners: listeners.into_iter().flatten().collect::<Result<_, _>>()?,
        })
    };
    (0..config.lanes).map(lane).collect()
}

/// What the threads have in common.
struct Site<'a> {
    config: &'a PlaneConfig,
    clock: Clock,
    control: &'a Arc<Doorbell>,
    associations: Arc<Doorbell>,
    lanes: Vec<Arc<Doorbell>>,
}

impl Site<'_> {
    /// For each lane its ways to the others and theirs to it.
    fn connect(&self) -> Vec<(RelayExits, Vec<RelayIn>)> {
        let count = self.lanes.len();
        let mut entrances: Vec<Vec<RelayIn>> = (0..count).map(|_| Vec::new()).collect();
        let mut exits = Vec::new();
        for from in 0..count {
            let mut ways = Vec::new();
            for (to, bell) in self.lanes.iter().enumerate() {
                ways.push((to != from).then(|| {
                    let (exit, entrance) = relay(LaneId(from as u8), Arc::clone(bell));
                    entrances[to].push(entrance);
                    exit
                }));
            }
            exits.push(RelayExits::new(ways));
        }
        exits.into_iter().zip(entrances).collect()
    }

    fn start_lane(
        &self,
        number: usize,
        sockets: Sockets,
        (exits, entrances): (RelayExits, Vec<RelayIn>),
    ) -> Result<(LaneEnd, LaneSide), PlaneError> {
        let bell = Arc::clone(&self.lanes[number]);
        let (commands, command_ring) = Outlet::new(COMMANDS, COMMAND_BACKLOG, Arc::clone(&bell));
        let (events, event_ring) = self.event_ring();
        let (to_associations, messages) = association_ring(&self.associations);
        let (keys, from_associations) = association_ring(&bell);
        let starved = Starved::new(Arc::clone(self.control));
        let snapshot = Latest::default();
        let Sockets { datagrams: sockets, listeners } = sockets;
        let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<Result<_, _>>()?;
        let accepting = listeners.iter().map(TcpListener::local_addr);
        let tcp_addresses = accepting.collect::<Result<_, _>>()?;
        let streams = (!listeners.is_empty()).then(|| Streams::new(listeners)).transpose()?;
        let clones = sockets.iter().map(UdpSocket::try_clone).collect::<Result<_, _>>()?;
        let parts = LaneParts {
            config: self.lane_config(number)?,
            clock: self.clock,
            sockets,
            streams,
            bell: Arc::clone(&bell),
            commands: command_ring,
            starved: starved.clone(),
            from_associations,
            entrances,
            exits,
            events,
            to_associations,
            snapshot: snapshot.clone(),
        };
        let body = move |stop| lane_thread::run(parts, &stop);
        let worker = Worker::start(format!("lane-{number}"), bell, body)?;
        let side = LaneSide { messages, keys, sockets: clones };
        let events = event_ring;
        let lane =
            LaneEnd { commands, starved, events, snapshot, addresses, tcp_addresses, worker };
        Ok((lane, side))
    }

    fn lane_config(&self, number: usize) -> Result<LaneConfig, PlaneError> {
        Ok(LaneConfig {
            lane: LaneId(number as u8),
            epoch: self.clock.epoch(),
            seed: seed()?,
            consent: self.config.consent,
            max_transports: self.config.max_transports,
        })
    }

    /// Associations are built on their own thread and never leave it; their verdict on the certificate is
    /// awaited here.
    fn start_associations(&self, lanes: Vec<LaneSide>) -> Result<AssociationsEnd, PlaneError> {
        let bell = Arc::clone(&self.associations);
        let (commands, command_ring) = Outlet::new(COMMANDS, COMMAND_BACKLOG, Arc::clone(&bell));
        let (events, event_ring) = self.event_ring();
        let starved = Starved::new(Arc::clone(self.control));
        let snapshot = Latest::default();
        let parts = AssociationsParts {
            clock: self.clock,
            bell: Arc::clone(&bell),
            commands: command_ring,
            starved: starved.clone(),
            events,
            lanes,
            snapshot: snapshot.clone(),
        };
        let config = AssociationsConfig {
            certificate_der: self.config.certificate.clone(),
            private_key_der: self.config.private_key.clone(),
            seed: seed()?,
            limits: Limits::default(),
        };
        let (verdict, judged) = sync_channel(1);
        let body = move |stop| match Associations::new(&config) {
            Ok(associations) => {
                let _ = verdict.send(Ok(()));
                associations_thread::run(associations, parts, &stop);
            }
            Err(error) => {
                let _ = verdict.send(Err(error));
            }
        };
        let worker = Worker::start("associations".into(), bell, body)?;
        match judged.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(PlaneError::Config(format!("certificate: {error}"))),
            Err(_) => return Err(PlaneError::Config("the associations did not start".into())),
        }
        Ok(AssociationsEnd { commands, starved, events: event_ring, snapshot, worker })
    }

    fn event_ring(&self) -> (Outlet<Event>, Consumer<Event>) {
        Outlet::new(EVENTS, EVENT_BACKLOG, Arc::clone(self.control))
    }
}

fn association_ring<T>(bell: &Arc<Doorbell>) -> (Outlet<T>, Consumer<T>) {
    Outlet::new(ASSOCIATION_MESSAGES, ASSOCIATION_BACKLOG, Arc::clone(bell))
}
