//! Sending a batch: each run of equal-sized packets for one destination is one message of a sendmmsg vector,
//! cut into datagrams by the kernel (UDP GSO). Packets are gathered where they lie, never concatenated.
//!
//! In: runs whose bytes outlive the batch. Out: datagrams, or counts of what the kernel refused. A batch never
//! waits longer than [`PATIENCE`] for a full socket.

use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use conclave_core::drop::{DropCounters, DropReason};

use crate::address::RawAddress;
use crate::wait::Waiter;

/// Packets of one sendmmsg vector: the kernel's own limit on entries (UIO_MAXIOV).
pub const MAX_PACKETS: usize = 1_024;

/// Segments of one GSO message: UDP_MAX_SEGMENTS of the oldest kernels that have it.
pub const MAX_SEGMENTS: usize = 64;

/// Bytes of one GSO message: what fits an IPv4 packet (RFC 791) after its headers.
const MAX_RUN_BYTES: usize = 65_507;

/// How long one batch may wait for room in the socket; then the rest of it is dropped and counted. Longer
/// would delay the lane's other receivers by more than a pacing interval.
pub const PATIENCE: Duration = Duration::from_millis(2);

/// Waits that one batch may make, however short each was.
const MAX_WAITS: u32 = 16;

/// The system calls of the send path, behind a seam for fault injection.
pub trait Wire {
    /// sendmmsg without blocking: how many messages left; an error concerns the first.
    fn send(&mut self, messages: &mut [libc::mmsghdr]) -> io::Result<usize>;

    /// Waits for room in the socket, at most for `patience`; whether there is some.
    fn wait(&mut self, patience: Duration) -> bool;
}

/// A UDP socket, by a descriptor that its owner keeps open for longer.
#[derive(Debug)]
pub struct UdpWire(pub RawFd);

impl Wire for UdpWire {
    fn send(&mut self, messages: &mut [libc::mmsghdr]) -> io::Result<usize> {
        // SAFETY: `Sender` built every header from live storage of its own and from packets that its batch
        // keeps borrowed; the kernel writes only the headers' `msg_len`.
        let sent = unsafe {
            libc::sendmmsg(
                self.0,
                messages.as_mut_ptr(),
                messages.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    fn wait(&mut self, patience: Duration) -> bool {
        let mut waiter = Waiter::for_output(self.0);
        waiter.wait(Some(patience)).is_ok() && waiter.is_ready(0)
    }
}

/// What became of a socket's batches so far.
#[derive(Clone, Debug, Default)]
pub struct SendCounters {
    /// `send_again` and `send_error`, per packet.
    pub drops: DropCounters,
    /// Runs that had to be sent packet by packet because segmentation was refused.
    pub gso_fallbacks: u64,
    /// System calls.
    pub calls: u64,
    /// Messages (runs) that left.
    pub messages: u64,
    /// Datagrams that left.
    pub packets: u64,
}

/// The sending end of one socket: arrays that are reused for every batch, and what was learnt about GSO.
#[derive(Debug)]
pub struct Sender<W> {
    wire: W,
    gso: Gso,
    counters: SendCounters,
    packets: Vec<libc::iovec>,
    runs: Vec<Run>,
    spare: Vec<Run>,
    headers: Vec<libc::mmsghdr>,
    segments: Vec<SegmentControl>,
}

/// What is known of segmentation offload on this socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gso {
    /// Not tried yet.
    Untried,
    /// It has worked: a refusal concerns one destination.
    Works,
    /// Given up for good.
    Off,
}

/// Consecutive packets of one destination, as indices into the gathered packets.
#[derive(Clone, Copy, Debug)]
struct Run {
    peer: RawAddress,
    first: usize,
    count: usize,
}

impl<W: Wire> Sender<W> {
    /// A sender without history.
    pub fn new(wire: W) -> Self {
        Self {
            wire,
            gso: Gso::Untried,
            counters: SendCounters::default(),
            packets: Vec::with_capacity(MAX_PACKETS),
            runs: Vec::with_capacity(MAX_PACKETS),
            spare: Vec::with_capacity(MAX_PACKETS),
            headers: Vec::with_capacity(MAX_PACKETS),
            segments: vec![SegmentControl::default(); MAX_PACKETS],
        }
    }

    /// Starts a batch of runs whose bytes live for `'a`.
    pub fn batch<'a>(&mut self) -> Batch<'_, 'a, W> {
        self.forget();
        Batch { sender: self, bytes: PhantomData }
    }

    /// What became of the batches so far.
    pub fn counters(&self) -> &SendCounters {
        &self.counters
    }

    fn forget(&mut self) {
        self.packets.clear();
        self.runs.clear();
        self.headers.clear();
    }

    /// Appends packets that form one message.
    fn gather(&mut self, peer: RawAddress, packets: &[&[u8]]) {
        let first = self.packets.len();
        self.packets.extend(packets.iter().map(|packet| libc::iovec {
            iov_base: packet.as_ptr().cast_mut().cast(),
            iov_len: packet.len(),
        }));
        self.runs.push(Run { peer, first, count: packets.len() });
    }

    /// Sends what is gathered and forgets it.
    fn transmit(&mut self) {
        let (mut next, mut waits) = (0, Patience::default());
        self.address();
        while next < self.runs.len() {
            self.counters.calls += 1;
            match self.wire.send(&mut self.headers[next..]) {
                Ok(sent) => {
                    let sent = sent.max(1);
                    self.count_sent(next, sent);
                    next += sent;
                }
                Err(error) if self.runs[next].count > 1 && is_gso_refusal(&error) => {
                    self.fall_back(&error, next);
                }
                Err(error) => next += self.refused(&error, next, &mut waits),
            }
        }
        self.forget();
    }

    fn count_sent(&mut self, next: usize, sent: usize) {
        let sent = &self.runs[next..next + sent];
        self.counters.messages += sent.len() as u64;
        self.counters.packets += sent.iter().map(|run| run.count as u64).sum::<u64>();
        if self.gso == Gso::Untried && sent.iter().any(|run| run.count > 1) {
            self.gso = Gso::Works;
        }
    }

    /// Segmentation of run `next` was refused: splits it, and all others too if GSO is to be given up. EIO
    /// says that the device cannot; EINVAL before any success that the kernel cannot. EINVAL later is about
    /// this destination alone, whose path takes only smaller packets.
    fn fall_back(&mut self, error: &io::Error, next: usize) {
        self.counters.gso_fallbacks += 1;
        if error.raw_os_error() == Some(libc::EIO) || self.gso == Gso::Untried {
            self.gso = Gso::Off;
        }
        let all = self.gso == Gso::Off;
        self.spare.clear();
        for (index, run) in self.runs.iter().enumerate() {
            if index == next || (all && index > next) {
                let single = |first| Run { first, count: 1, ..*run };
                self.spare.extend((run.first..run.first + run.count).map(single));
            } else {
                self.spare.push(*run);
            }
        }
        std::mem::swap(&mut self.runs, &mut self.spare);
        self.address();
    }

    /// The kernel refused run `next`; how many runs that settles.
    fn refused(&mut self, error: &io::Error, next: usize, waits: &mut Patience) -> usize {
        let (reason, lost) = match error.raw_os_error() {
            Some(libc::EINTR) => return 0,
            Some(libc::EAGAIN | libc::ENOBUFS) => {
                if waits.spend(&mut self.wire) {
                    return 0;
                }
                (DropReason::SendAgain, &self.runs[next..])
            }
            _ => (DropReason::SendError, &self.runs[next..=next]),
        };
        self.counters.drops.add(reason, lost.iter().map(|run| run.count as u64).sum());
        lost.len()
    }

    /// Builds the headers of all runs.
    fn address(&mut self) {
        let Self { packets, runs, headers, segments, .. } = self;
        headers.clear();
        for (run, control) in runs.iter_mut().zip(segments) {
            // SAFETY: mmsghdr is a C struct of integers and pointers, for which zero bytes are valid.
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            let header = &mut message.msg_hdr;
            header.msg_name = run.peer.as_mut_ptr();
            header.msg_namelen = run.peer.len();
            header.msg_iov = &raw mut packets[run.first];
            header.msg_iovlen = run.count as _;
            if run.count > 1 {
                control.set(packets[run.first].iov_len as u16);
                header.msg_control = control.as_mut_ptr();
                header.msg_controllen = size_of::<SegmentControl>() as _;
            }
            headers.push(message);
        }
    }
}

/// A batch in the making; it sends what is gathered when it ends.
#[derive(Debug)]
pub struct Batch<'s, 'a, W: Wire> {
    sender: &'s mut Sender<W>,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a, W: Wire> Batch<'_, 'a, W> {
    /// Adds packets for `peer`, in order; sends what is gathered first if there is no room.
    pub fn push(&mut self, peer: SocketAddr, packets: &[&'a [u8]]) {
        let peer = RawAddress::from(peer);
        let mut rest = packets;
        while !rest.is_empty() {
            let count = if self.sender.gso == Gso::Off { 1 } else { run_length(rest) };
            if self.sender.packets.len() + count > MAX_PACKETS {
                self.sender.transmit();
            }
            let (run, later) = rest.split_at(count);
            self.sender.gather(peer, run);
            rest = later;
        }
    }
}

impl<W: Wire> Drop for Batch<'_, '_, W> {
    fn drop(&mut self) {
        self.sender.transmit();
    }
}

/// How many packets at the head of `packets` the kernel can cut from one message: equal sizes, a shorter one
/// ends it, within its limits. At least one.
fn run_length(packets: &[&[u8]]) -> usize {
    let size = packets[0].len();
    if size == 0 {
        return 1;
    }
    let limit = MAX_SEGMENTS.min(MAX_RUN_BYTES / size).clamp(1, packets.len());
    let equal = packets[..limit].iter().take_while(|packet| packet.len() == size).count();
    match packets[..limit].get(equal) {
        Some(tail) if (1..size).contains(&tail.len()) => equal + 1,
        _ => equal,
    }
}

fn is_gso_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL))
}

/// What a batch may still wait for a full socket. Each wait costs at least a sixteenth, so that a socket that
/// calls itself writable and refuses all the same cannot hold the lane.
#[derive(Debug, Default)]
struct Patience {
    waits: u32,
}

impl Patience {
    /// Waits once; whether another try makes sense.
    fn spend(&mut self, wire: &mut impl Wire) -> bool {
        self.waits += 1;
        self.waits <= MAX_WAITS && wire.wait(PATIENCE / MAX_WAITS)
    }
}

/// A `cmsghdr` with the segment size (UDP_SEGMENT), laid out as the kernel wants it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
struct SegmentControl {
    len: usize,
    level: libc::c_int,
    kind: libc::c_int,
    segment: u16,
    padding: [u8; 6],
}

impl Default for SegmentControl {
    fn default() -> Self {
        Self {
            len: size_of::<libc::cmsghdr>() + size_of::<u16>(),
            level: libc::SOL_UDP,
            kind: libc::UDP_SEGMENT,
            segment: 0,
            padding: [0; 6],
        }
    }
}

impl SegmentControl {
    fn set(&mut self, segment: u16) {
        self.segment = segment;
    }

    fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        std::ptr::from_mut(self).cast()
    }
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
