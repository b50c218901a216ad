//! Plain numbers about a lane, its tracks and its legs: counted where things happen, copied once a second.

use crate::drop::DropCounters;
use crate::ids::{LegId, TrackId, TransportId};

/// Counters of one lane since its start.
#[derive(Clone, Debug, Default)]
pub struct LaneStats {
    /// Datagrams received and their bytes.
    pub received: Flow,
    /// Datagrams queued to be sent and their bytes.
    pub sent: Flow,
    /// Media packets that a leg sent (retransmissions apart).
    pub forwarded: Flow,
    /// Drops by reason.
    pub drops: DropCounters,
    /// NACKed packets asked of publishers, and asked of us.
    pub nacks_sent: u64,
    /// Packets that subscribers asked for again.
    pub nacks_received: u64,
    /// Retransmissions sent.
    pub retransmitted: u64,
    /// Key-frame requests sent to publishers.
    pub keyframes_requested: u64,
    /// Key-frame requests received from subscribers.
    pub keyframe_requests_received: u64,
    /// Transports, tracks and legs that live here now.
    pub transports: Vec<TransportStats>,
    /// Tracks.
    pub tracks: Vec<TrackStats>,
    /// Legs.
    pub legs: Vec<LegStats>,
}

/// A count of packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Packets.
    pub packets: u64,
    /// Bytes, without IP and UDP headers.
    pub bytes: u64,
}

impl Flow {
    /// Counts one packet of `len` bytes.
    pub fn add(&mut self, len: usize) {
        self.packets += 1;
        self.bytes += len as u64;
    }
}

/// One transport.
#[derive(Clone, Copy, Debug)]
pub struct TransportStats {
    /// Which.
    pub transport: TransportId,
    /// Round trip, microseconds, if known.
    pub rtt_us: Option<u32>,
    /// Datagrams from it.
    pub received: Flow,
    /// Datagrams to it.
    pub sent: Flow,
}

/// One track, its streams added up.
#[derive(Clone, Copy, Debug)]
pub struct TrackStats {
    /// Which.
    pub track: TrackId,
    /// Packets that arrived.
    pub received: Flow,
    /// Packets missing after repair.
    pub lost: u64,
    /// Interarrival jitter, microseconds.
    pub jitter_us: u32,
    /// Bits per second of each stream over the last second.
    pub stream_bps: [u32; 3],
}

/// One leg.
#[derive(Clone, Copy, Debug)]
pub struct LegStats {
    /// Which.
    pub leg: LegId,
    /// Packets sent.
    pub sent: Flow,
    /// Fraction lost that the receiver reported last, of 256.
    pub fraction_lost: u8,
    /// Round trip by receiver reports, microseconds.
    pub rtt_us: Option<u32>,
    /// Interarrival jitter that the receiver reported, microseconds.
    pub jitter_us: u32,
}
