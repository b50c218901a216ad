//! A track as this lane's legs see it: who gets it, which streams arrive, what may be asked for again.

use super::leg::Leg;
use super::store::Store;
use crate::ids::{LaneId, TrackId};
use crate::media::{MediaKind, MediaPacket, PacketMeta, TrackClock};

/// Streams of a track: simulcast has at most three.
pub const MAX_STREAMS: usize = 3;

/// How a packet lies to what the track has shown before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The first sign of its stream.
    pub first: bool,
    /// A later one of its stream has passed already.
    pub late: bool,
    /// The newest number of its stream.
    pub newest: u64,
}

/// One track with its legs on this lane.
#[derive(Debug)]
pub struct Track {
    /// Which.
    pub id: TrackId,
    /// The lane that its publisher is on.
    pub home: LaneId,
    /// Its legs on this lane.
    pub legs: Vec<Leg>,
    /// The track's time line on our clock.
    pub clock: Option<TrackClock>,
    /// RTP clock rate, once a packet told it.
    pub clock_rate: u32,
    /// Streams that its legs want, as told to its home.
    pub wanted: u8,
    /// Streams that arrive.
    pub active: u8,
    /// Streams of which a packet came.
    seen: u8,
    /// Newest packet of each stream: generation and number.
    newest: [Option<(u8, u64)>; MAX_STREAMS],
    /// Payload for retransmissions, per stream.
    pub stores: [Option<Box<Store>>; MAX_STREAMS],
    kind: MediaKind,
}

impl Track {
    /// A track without legs.
    pub fn new(id: TrackId, home: LaneId, kind: MediaKind) -> Self {
        Self {
            id,
            home,
            legs: Vec::new(),
            clock: None,
            clock_rate: 0,
            wanted: 0,
            active: 0,
            seen: 0,
            newest: [None; MAX_STREAMS],
            stores: [const { None }; MAX_STREAMS],
            kind,
        }
    }

    /// Notes a packet of the track.
    pub fn note(&mut self, packet: &MediaPacket<'_>) -> Noted {
        let meta = packet.meta;
        self.clock_rate = meta.clock_rate;
        let stream = usize::from(meta.stream);
        if let Some(Some(store)) = self.stores.get_mut(stream) {
            store.put(packet);
        }
        let bit = 1u8.checked_shl(u32::from(meta.stream)).unwrap_or(0);
        if self.seen & bit == 0 {
            self.seen |= bit;
            if self.legs.iter().any(Leg::can_repair) && stream < MAX_STREAMS {
                self.keep(stream, packet);
            }
        }
        let first = self.active & bit == 0 && self.proves(meta);
        if first {
            self.active |= bit;
        }
        let newest = self.newest.get_mut(stream).and_then(Option::as_mut);
        let late = newest.is_some_and(|newest| newest.0 == meta.generation && meta.n < newest.1);
        if let Some(newest) = self.newest.get_mut(stream).filter(|_| !late) {
            *newest = Some((meta.generation, meta.n));
        }
        let newest = self.newest.get(stream).copied().flatten().map_or(meta.n, |(_, n)| n);
        Noted { first, late, newest }
    }

    /// Whether a packet by itself shows that its stream arrives; what does not waits for ingress to say so,
    /// which will then also say when it stops. A stray packet of a stopped stream must not bring it back.
    fn proves(&self, meta: &PacketMeta) -> bool {
        let begins = meta.frame.keyframe && meta.frame.start && meta.frame.spatial == 0;
        !meta.padding_only && (self.kind == MediaKind::Audio || begins)
    }

    /// A leg that may ask for packets again came: keep payload from now on.
    pub fn keep_payload(&mut self) {
        for stream in 0..MAX_STREAMS {
            if (self.active | self.seen) >> stream & 1 == 1 && self.stores[stream].is_none() {
                self.stores[stream] = Some(Box::new(Store::new(self.kind)));
            }
        }
    }

    fn keep(&mut self, stream: usize, packet: &MediaPacket<'_>) {
        let kind = self.kind;
        self.stores[stream].get_or_insert_with(|| Box::new(Store::new(kind))).put(packet);
    }
}
