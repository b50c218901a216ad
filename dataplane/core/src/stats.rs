//! Plain numbers about a lane, its tracks and its legs: counted where things happen, copied once a second.

use crate::distribution::{Distribution, JITTER_US, LOSS_PPM, RATE, ROUND_TRIP_US};
use crate::drop::DropCounters;
use crate::event::{CloseReason, Event};
use crate::ids::{LegId, TrackId, TransportId};
use crate::media::MediaKind;

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
    /// Lost packets that retransmissions of publishers brought.
    pub repaired: u64,
    /// Retransmissions sent.
    pub retransmitted: u64,
    /// Key-frame requests sent to publishers.
    pub keyframes_requested: u64,
    /// Key-frame requests received from subscribers.
    pub keyframe_requests_received: u64,
    /// Of these, FIR.
    pub firs_received: u64,
    /// Changes of a leg's layer to a lower and to a higher one.
    pub layer_switches: [u64; 2],
    /// What became of connections.
    pub connectivity: Connectivity,
    /// Transports with a selected path, over UDP and over TCP.
    pub connected: [u64; 2],
    /// How good the network is in both directions.
    pub network: Network,
    /// Video legs by wanted and served layer: none, 0, 1, 2.
    pub video_legs: [[u32; LAYER_STATES]; LAYER_STATES],
    /// Transports, tracks and legs that live here now.
    pub transports: Vec<TransportStats>,
    /// Tracks.
    pub tracks: Vec<TrackStats>,
    /// Legs.
    pub legs: Vec<LegStats>,
}

/// No layer, or one of three.
pub const LAYER_STATES: usize = 4;

/// Place of a layer in a table of [`LAYER_STATES`].
pub fn layer_state(layer: Option<u8>) -> usize {
    layer.map_or(0, |layer| (usize::from(layer) + 1).min(LAYER_STATES - 1))
}

/// What became of connections since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connectivity {
    /// First authenticated checks.
    pub validated: u64,
    /// Moves to another address.
    pub moved: u64,
    /// Spells without a check.
    pub stale: u64,
    /// Ends by reason, in the order of [`CloseReason::ALL`].
    pub closed: [u64; CloseReason::ALL.len()],
}

impl Connectivity {
    /// Counts what an event says about connections.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::TransportValidated { .. } => self.validated += 1,
            Event::TransportMoved { .. } => self.moved += 1,
            Event::TransportStale { .. } => self.stale += 1,
            Event::TransportClosed { reason, .. } => self.closed[*reason as usize] += 1,
            _ => {}
        }
    }
}

/// How good the network is: observations of tracks and transports about once a second, and of reports of
/// receivers.
#[derive(Clone, Debug)]
pub struct Network {
    /// Publishers' tracks, audio and video.
    pub up: [Upstream; 2],
    /// What subscribers report about legs, audio and video.
    pub down: [Downstream; 2],
    /// Round trips of transports, microseconds.
    pub round_trip: Distribution,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            up: std::array::from_fn(|_| Upstream::default()),
            down: std::array::from_fn(|_| Downstream::default()),
            round_trip: Distribution::new(&ROUND_TRIP_US),
        }
    }
}

/// What arrives from publishers.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Packets missing after repair, parts per million.
    pub loss: Distribution,
    /// Interarrival jitter, microseconds.
    pub jitter: Distribution,
    /// Bytes per second.
    pub rate: Distribution,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            loss: Distribution::new(&LOSS_PPM),
            jitter: Distribution::new(&JITTER_US),
            rate: Distribution::new(&RATE),
        }
    }
}

/// What arrives at subscribers, as they report.
#[derive(Clone, Debug)]
pub struct Downstream {
    /// Fraction lost, parts per million.
    pub loss: Distribution,
    /// Interarrival jitter, microseconds.
    pub jitter: Distribution,
}

impl Default for Downstream {
    fn default() -> Self {
        Self { loss: Distribution::new(&LOSS_PPM), jitter: Distribution::new(&JITTER_US) }
    }
}

impl Downstream {
    /// Counts what a receiver reported of about a second.
    pub fn record(&mut self, loss_ppm: u32, jitter_us: u32) {
        self.loss.record(loss_ppm);
        self.jitter.record(jitter_us);
    }
}

/// Place of a kind in [`Network`].
pub fn kind_index(kind: MediaKind) -> usize {
    match kind {
        MediaKind::Audio => 0,
        MediaKind::Video => 1,
    }
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
    /// Share that the receiver lost of what came last, of 256.
    pub fraction_lost: u8,
    /// Round trip by receiver reports, microseconds.
    pub rtt_us: Option<u32>,
    /// Interarrival jitter that the receiver reported, microseconds.
    pub jitter_us: u32,
}
