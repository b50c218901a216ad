//! The way out of a lane: what the outbox holds goes to its sockets and connections, one batch each, and how
//! long each arrival took is recorded.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use conclave_core::lane::Lane;
use conclave_core::time::Time;

use crate::clock::Clock;
use crate::histogram::Histogram;
use crate::plane::MAX_ADDRESSES;
use crate::receive::SLOTS;
use crate::send::{Sender, UdpWire};
use crate::streams::Streams;

/// Sockets, connections, and what has not left yet.
#[derive(Debug)]
pub struct Departure {
    /// One per UDP socket.
    pub senders: Vec<Sender<UdpWire>>,
    /// The TCP connections, if there may be any.
    pub streams: Option<Streams>,
    /// From the kernel's receive stamp to the return of the send call.
    pub latency: Histogram,
    /// Arrivals whose packets wait in the outbox, with their number.
    unsent: Vec<(Time, u64)>,
}

impl Departure {
    /// A way out through `sockets`, which outlive it, and `streams`.
    pub fn new(sockets: &[UdpSocket], streams: Option<Streams>) -> Self {
        let sender = |socket: &UdpSocket| Sender::new(UdpWire(socket.as_raw_fd()));
        Self {
            senders: sockets.iter().map(sender).collect(),
            streams,
            latency: Histogram::default(),
            unsent: Vec::with_capacity(SLOTS * 64),
        }
    }

    /// Sends what the outbox holds.
    pub fn flush(&mut self, lane: &mut Lane, clock: Clock) {
        if lane.outbox().is_empty() {
            return;
        }
        let Self { senders, streams, latency, unsent } = self;
        let mut senders = senders.iter_mut();
        let mut batches: [_; MAX_ADDRESSES] =
            std::array::from_fn(|_| senders.next().map(Sender::batch));
        let mut connections = streams.as_mut().map(|streams| streams.batch(clock.now()));
        lane.outbox().drain(|run| match run.path.connection {
            None => {
                if let Some(Some(batch)) = batches.get_mut(usize::from(run.path.socket)) {
                    batch.push(run.path.peer, run.packets);
                }
            }
            Some(id) => {
                if let Some(connections) = &mut connections {
                    connections.push(id, run);
                }
            }
        });
        drop((batches, connections));
        let sent = clock.now();
        for (arrival, packets) in unsent.drain(..) {
            latency.record(sent.since(arrival), packets);
        }
    }

    /// Remembers that a datagram's output waits; the segments of a train share their arrival.
    pub fn note(&mut self, arrival: Time, queued: bool) {
        match self.unsent.last_mut() {
            _ if !queued => {}
            Some((last, packets)) if *last == arrival => *packets += 1,
            _ => self.unsent.push((arrival, 1)),
        }
    }
}
