//! The TCP connections of a lane (RFC 6544, passive side): accepting, reading, writing, closing.
//!
//! In: listening sockets, packets to send, the lane's word which connections serve a transport. Out: stretches
//! of bytes that begin with a frame, names of connections that ended, and of receivers that are blocked. Who may
//! speak is the edge's to say; here a connection that is of no use, too slow or too much is closed under a name.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use conclave_core::association::Path;
use conclave_core::backlog::Pool;
use conclave_core::drop::{DropCounters, DropReason};
use conclave_core::ids::ConnectionId;
use conclave_core::outbox::{Load, Run, MAX_RUN};
use conclave_core::time::Time;

use crate::census::{Census, Source, MAX_OPEN};
use crate::epoll::{Epoll, Interest};
use crate::stream::{failure, Stream};

/// Connections that one turn accepts: some hundred microseconds, less than a packet may be late.
const ACCEPTS_PER_TURN: usize = 16;

/// How long accepting rests when the process has no descriptor left: a listener that stays ready must not
/// keep the lane awake.
const REST: Duration = Duration::from_millis(100);

/// Until when a connection must have sent a check that is believed. Clients check as soon as they are
/// connected; this leaves room for a bad network.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a frame may take from its first byte to its last.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take nothing of what waits for it: as long as consent lasts.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Frames before the first believed check: a check is repeated when its answer is late.
pub const MAX_UNBELIEVED: u8 = 4;

/// How often all connections are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// Token of the first listener; below are connections.
const LISTENERS: u64 = 1 << 32;

/// Bits of a connection's number that are its place in the table; the others count who had it.
const PLACE_BITS: u32 = MAX_OPEN.trailing_zeros();

/// Numbers for the snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Connections that are open.
    pub open: u64,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Bytes that wait in backlogs.
    pub waiting: u64,
}

/// Something that the lane must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The connection behind a path is gone.
    Gone(Path),
    /// Video was given up on the way to a path.
    Blocked(Path),
    /// Everything that waited there has left.
    CaughtUp(Path),
}

/// All connections of a lane.
#[derive(Debug)]
pub struct Streams {
    epoll: Epoll,
    listeners: Vec<TcpListener>,
    places: Vec<Place>,
    free: Vec<u32>,
    census: Census,
    pool: Pool,
    readable: Vec<ConnectionId>,
    news: VecDeque<News>,
    drops: DropCounters,
    accepted: u64,
    resting_until: Option<Time>,
    sweep_at: Time,
}

#[derive(Debug, Default)]
struct Place {
    /// How many connections had this place.
    turn: u32,
    stream: Option<Box<Stream>>,
}

impl Streams {
    /// Accepts from `listeners`, one per address of the lane.
    pub fn new(listeners: Vec<TcpListener>) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        for (token, listener) in (LISTENERS..).zip(&listeners) {
            epoll.add(listener.as_raw_fd(), token, Interest::Input)?;
        }
        Ok(Self {
            epoll,
            listeners,
            places: Vec::new(),
            free: Vec::new(),
            census: Census::default(),
            pool: Pool::default(),
            readable: Vec::new(),
            news: VecDeque::new(),
            drops: DropCounters::default(),
            accepted: 0,
            resting_until: None,
            sweep_at: Time(0),
        })
    }

    /// Readable while there is something to do.
    pub fn fd(&self) -> RawFd {
        self.epoll.fd()
    }

    /// Accepts and writes what can be; then [`Streams::next_readable`] tells what can be read.
    pub fn look(&mut self, now: Time) {
        // A failed look is an early one: the descriptor stays readable.
        let count = self.epoll.look().unwrap_or(0);
        self.readable.clear();
        for index in 0..count {
            let ready = self.epoll.ready(index);
            if let Some(listener) = ready.token.checked_sub(LISTENERS) {
                self.accept(now, listener as usize);
            } else if let Some(id) = number(ready.token) {
                if ready.output {
                    self.flush(now, id);
                }
                if ready.input {
                    self.readable.push(id);
                }
            }
        }
    }

    /// A connection to read from, and under what path the lane knows it.
    pub fn next_readable(&mut self) -> Option<(ConnectionId, Path)> {
        while let Some(id) = self.readable.pop() {
            if let Some(stream) = self.get(id) {
                return Some((id, stream.path));
            }
        }
        None
    }

    /// Reads from a connection; how many bytes lie in `buffer`, none if nothing came or it ended.
    pub fn read(&mut self, id: ConnectionId, buffer: &mut [u8]) -> usize {
        let Some(stream) = self.get(id) else { return 0 };
        match stream.read(buffer) {
            Ok(count) => count.unwrap_or(0),
            Err(error) => {
                self.close(id, failure(&error));
                0
            }
        }
    }

    /// What was read ends with the beginning of a frame; `progress` tells whether it held whole ones, too.
    pub fn keep(&mut self, now: Time, id: ConnectionId, rest: &[u8], progress: bool) {
        if let Some(stream) = self.get(id) {
            stream.keep(now, rest, progress);
        }
    }

    /// A frame that begins with `first` was handled, and its path is `validated` now, or not; whether the
    /// connection goes on. Until it is, there must be checks, and few of them.
    pub fn judge(&mut self, id: ConnectionId, first: Option<u8>, validated: bool) -> bool {
        let Some(stream) = self.get(id) else { return false };
        if stream.proven {
            return true;
        }
        if validated {
            stream.proven = true;
            let source = stream.source;
            self.census.prove(source);
            return true;
        }
        stream.unbelieved += 1;
        let check = matches!(first, Some(0..=3));
        let patient = check && stream.unbelieved < MAX_UNBELIEVED;
        if !patient {
            self.close(id, DropReason::TcpUnproven);
        }
        patient
    }

    /// Whether a connection has not yet had a believed check.
    pub fn is_unproven(&mut self, id: ConnectionId) -> bool {
        self.get(id).is_some_and(|stream| !stream.proven)
    }

    /// Ends a connection; the reason is counted and the lane is told.
    pub fn close(&mut self, id: ConnectionId, reason: DropReason) {
        let place = &mut self.places[place_of(id)];
        if place.stream.as_ref().is_none_or(|stream| stream.path.connection != Some(id)) {
            return;
        }
        let Some(mut stream) = place.stream.take() else { return };
        self.free.push(place_of(id) as u32);
        self.census.dismiss(stream.source, stream.proven);
        self.drops.count(reason);
        self.drops.add(DropReason::TcpGone, stream.backlog.clear(&mut self.pool));
        self.news.push_back(News::Gone(stream.path));
        if !matches!(reason, DropReason::TcpUnused | DropReason::TcpClosed) {
            stream.abort();
        }
    }

    /// Starts a batch of runs whose bytes live for `'a`.
    pub fn batch<'a>(&mut self, now: Time) -> StreamBatch<'_, 'a> {
        StreamBatch {
            streams: self,
            now,
            to: None,
            packets: [&[]; MAX_RUN],
            loads: [Load::Control; MAX_RUN],
            count: 0,
        }
    }

    /// When [`Streams::sweep`] has something to do.
    pub fn deadline(&self) -> Option<Time> {
        let sweep = (self.census.open() > 0).then_some(self.sweep_at);
        [sweep, self.resting_until].into_iter().flatten().min()
    }

    /// Looks through all connections when it is time: closes those that are late, stuck, or serve nobody any
    /// more, and lets go of what waited too long. `validated` tells whether a path serves a transport.
    pub fn sweep(&mut self, now: Time, mut validated: impl FnMut(Path) -> bool) {
        if self.resting_until.is_some_and(|until| until <= now) {
            self.resting_until = None;
            self.watch_listeners(Interest::Input);
        }
        if self.census.open() == 0 || now < self.sweep_at {
            return;
        }
        self.sweep_at = now + SWEEP;
        for index in 0..self.places.len() {
            let Self { places, pool, drops, news, .. } = &mut *self;
            let Some(stream) = places[index].stream.as_deref_mut() else { continue };
            stream.backlog.expire(now, pool, drops);
            tell_blocked(stream, news);
            let (path, verdict) = (stream.path, late(stream, now));
            let unused = verdict.is_none() && stream.proven && !validated(path);
            let verdict = verdict.or(unused.then_some(DropReason::TcpUnused));
            if let (Some(reason), Some(id)) = (verdict, path.connection) {
                self.close(id, reason);
            }
        }
    }

    /// What the lane must be told, in order.
    pub fn next_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// Refused and closed connections, and packets that were given up.
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }

    /// Plain numbers; looks at every connection.
    pub fn counters(&self) -> StreamCounters {
        let streams = self.places.iter().filter_map(|place| place.stream.as_ref());
        StreamCounters {
            open: self.census.open() as u64,
            accepted: self.accepted,
            waiting: streams.map(|stream| stream.backlog.bytes() as u64).sum(),
        }
    }

    /// Bytes of memory that hold what waits.
    pub fn pool_bytes(&self) -> usize {
        self.pool.bytes()
    }

    fn get(&mut self, id: ConnectionId) -> Option<&mut Stream> {
        let stream = self.places.get_mut(place_of(id))?.stream.as_deref_mut()?;
        (stream.path.connection == Some(id)).then_some(stream)
    }

    fn accept(&mut self, now: Time, listener: usize) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(accepting) = self.listeners.get(listener) else { return };
            match accepting.accept() {
                Ok((socket, peer)) => {
                    if let Err(reason) = self.admit(now, listener, (socket, peer)) {
                        self.drops.count(reason);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_exhaustion(&error) => {
                    self.drops.count(DropReason::TcpNoDescriptor);
                    self.resting_until = Some(now + REST);
                    return self.watch_listeners(Interest::Rest);
                }
                Err(_) => self.drops.count(DropReason::TcpAcceptFailed),
            }
        }
    }

    fn admit(
        &mut self,
        now: Time,
        listener: usize,
        (socket, peer): (std::net::TcpStream, SocketAddr),
    ) -> Result<(), DropReason> {
        let source = Source::from(peer.ip());
        // Refused ones are told by a reset, which costs no state afterwards.
        let refuse = |socket: &std::net::TcpStream| {
            let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
        };
        self.census.admit(source).inspect_err(|_| refuse(&socket))?;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            (self.places.len() - 1) as u32
        });
        let slot = &mut self.places[place as usize];
        slot.turn = next_turn(slot.turn);
        let id = id_of(place, slot.turn);
        let watched = socket
            .set_nonblocking(true)
            .and_then(|()| self.epoll.add(socket.as_raw_fd(), id.0.get().into(), Interest::Input));
        if watched.is_err() {
            self.free.push(place);
            self.census.dismiss(source, false);
            refuse(&socket);
            return Err(DropReason::TcpNoDescriptor);
        }
        if self.census.open() == 1 {
            self.sweep_at = now + SWEEP;
        }
        let path = Path::tcp(listener as u8, peer, id);
        slot.stream = Some(Box::new(Stream::new(now, socket, path)));
        self.accepted += 1;
        Ok(())
    }

    fn watch_listeners(&mut self, interest: Interest) {
        for (token, listener) in (LISTENERS..).zip(&self.listeners) {
            // It is in the set; changing what is watched needs no memory.
            let _ = self.epoll.change(listener.as_raw_fd(), token, interest);
        }
    }

    /// Writes what waits for a connection that has room.
    fn flush(&mut self, now: Time, id: ConnectionId) {
        let Self { places, pool, drops, news, epoll, .. } = &mut *self;
        let Some(stream) = places.get_mut(place_of(id)).and_then(|p| p.stream.as_deref_mut())
        else {
            return;
        };
        if stream.path.connection != Some(id) {
            return;
        }
        let flushed = stream.flush(now, pool, drops);
        tell_blocked(stream, news);
        match flushed {
            Ok(false) => {}
            Ok(true) => {
                watch(epoll, stream);
                if std::mem::take(&mut stream.blocked) {
                    news.push_back(News::CaughtUp(stream.path));
                }
            }
            Err(error) => self.close(id, failure(&error)),
        }
    }

    fn send(&mut self, now: Time, id: ConnectionId, packets: &[&[u8]], loads: &[Load]) {
        let Self { places, pool, drops, news, epoll, .. } = &mut *self;
        let stream = places.get_mut(place_of(id)).and_then(|place| place.stream.as_deref_mut());
        let Some(stream) = stream.filter(|stream| stream.path.connection == Some(id)) else {
            return drops.add(DropReason::TcpGone, packets.len() as u64);
        };
        match stream.send(now, (packets, loads), pool, drops) {
            Ok(()) => {
                watch(epoll, stream);
                tell_blocked(stream, news);
            }
            Err(error) => {
                drops.add(DropReason::TcpGone, packets.len() as u64);
                self.close(id, failure(&error));
            }
        }
    }
}

/// Runs for connections in the making; consecutive ones for the same connection leave by one system call.
#[derive(Debug)]
pub struct StreamBatch<'s, 'a> {
    streams: &'s mut Streams,
    now: Time,
    to: Option<ConnectionId>,
    packets: [&'a [u8]; MAX_RUN],
    loads: [Load; MAX_RUN],
    count: usize,
}

impl<'a> StreamBatch<'_, 'a> {
    /// Adds packets for a connection, in order.
    pub fn push(&mut self, id: ConnectionId, run: Run<'_, 'a>) {
        if self.to != Some(id) || self.count + run.packets.len() > MAX_RUN {
            self.transmit();
            self.to = Some(id);
        }
        let end = self.count + run.packets.len();
        self.packets[self.count..end].copy_from_slice(run.packets);
        self.loads[self.count..end].copy_from_slice(run.loads);
        self.count = end;
    }

    fn transmit(&mut self) {
        let count = std::mem::take(&mut self.count);
        if let Some(id) = self.to.filter(|_| count > 0) {
            self.streams.send(self.now, id, &self.packets[..count], &self.loads[..count]);
        }
    }
}

impl Drop for StreamBatch<'_, '_> {
    fn drop(&mut self) {
        self.transmit();
    }
}

/// Why a connection must end by now.
fn late(stream: &Stream, now: Time) -> Option<DropReason> {
    if !stream.proven && now.since(stream.accepted) > CHECK_TIMEOUT {
        Some(DropReason::TcpCheckTimeout)
    } else if stream.frame_age(now) > FRAME_TIMEOUT {
        Some(DropReason::TcpFrameTimeout)
    } else if stream.backlog.stuck_for(now) > STALL_TIMEOUT {
        Some(DropReason::TcpStalled)
    } else {
        None
    }
}

/// Watches for room to write while something waits.
fn watch(epoll: &Epoll, stream: &mut Stream) {
    let wanted = !stream.backlog.is_empty();
    if let Some(id) = stream.path.connection.filter(|_| stream.watched != wanted) {
        let interest = if wanted { Interest::Both } else { Interest::Input };
        // It is in the set; changing what is watched needs no memory.
        let _ = epoll.change(stream.socket().as_raw_fd(), id.0.get().into(), interest);
        stream.watched = wanted;
    }
}

fn tell_blocked(stream: &mut Stream, news: &mut VecDeque<News>) {
    if stream.backlog.has_lost_video() && !std::mem::replace(&mut stream.blocked, true) {
        news.push_back(News::Blocked(stream.path));
    }
}

/// Neither the process nor the machine can have another connection just now.
fn is_exhaustion(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    matches!(code, Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

fn number(token: u64) -> Option<ConnectionId> {
    u32::try_from(token).ok().and_then(NonZeroU32::new).map(ConnectionId)
}

fn id_of(place: u32, turn: u32) -> ConnectionId {
    let number = NonZeroU32::new(turn << PLACE_BITS | place);
    ConnectionId(number.expect("invariant: turns are never zero"))
}

fn place_of(id: ConnectionId) -> usize {
    (id.0.get() & ((1 << PLACE_BITS) - 1)) as usize
}

/// Turns count from one and start over before their bits run out.
fn next_turn(turn: u32) -> u32 {
    turn % ((1 << (u32::BITS - PLACE_BITS)) - 1) + 1
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
