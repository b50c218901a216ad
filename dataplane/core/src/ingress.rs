//! What a publisher sent: every track whose publisher's transport lives on this lane.
//!
//! In: decrypted RTP and RTCP of publishers, commands, wishes of legs. Out: [`PacketMeta`] per packet that
//! may be forwarded, track clocks and events in [`IngressOut`], feedback through the [`PacketSink`].
//! It never looks into encrypted payload, never knows a leg, and allocates nothing per packet.
//!
//! The way of a packet, each step in the file of its name: header and extensions (`rtp`), arrival for
//! feedback (`twcc`), SSRC to stream (`table`, `resolve`), retransmission to original (`rtx`), number
//! (`sequence`), loss (`reception`, `nack`), frame (`codec::frame`), time line (`clock`), gate (`track`).

mod clock;
mod deadlines;
mod feedback;
mod keyframe;
mod level;
mod liveness;
mod nack;
mod random;
mod rates;
mod reception;
mod report;
mod resolve;
mod rtx;
mod sequence;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod track;
mod transport;
mod twcc;

use std::time::Duration;

use crate::command::AddTrack;
use crate::drop::{DropCounters, DropReason};
use crate::event::Event;
use crate::idmap::IdMap;
use crate::ids::{TrackId, TransportId};
use crate::media::{Extension, PacketMeta, TrackClock};
use crate::rtcp::Compound;
use crate::sink::PacketSink;
use crate::stats::{kind_index, TrackStats, Upstream};
use crate::time::{NtpEpoch, Time};

use deadlines::Deadlines;
use random::Random;
use track::Track;
use transport::Publisher;

/// SSRC under which our receiver side sends RTCP; the control plane never gives it to a leg.
pub const FEEDBACK_SSRC: u32 = 1;

/// What an [`Ingress`] is told at birth.
#[derive(Clone, Copy, Debug)]
pub struct IngressConfig {
    /// Wall clock at time zero.
    pub epoch: NtpEpoch,
    /// Seed of report jitter and CNAME.
    pub seed: u64,
}

/// Where and when a packet came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// Time of processing.
    pub now: Time,
    /// Kernel receive time.
    pub at: Time,
    /// The transport whose keys opened it.
    pub transport: TransportId,
    /// SRTP has seen this packet before: it is authentic, counts for transport feedback if its number is
    /// new, and goes no further.
    pub duplicate: bool,
}

/// What ingress has to tell besides the packet at hand; the caller drains both lists.
#[derive(Debug, Default)]
pub struct IngressOut {
    /// For the control plane.
    pub events: Vec<Event>,
    /// Track clocks that sender reports renewed.
    pub clocks: Vec<TrackClock>,
}

/// Totals of all tracks since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngressCounters {
    /// Packets asked for again.
    pub nacks_sent: u64,
    /// PLIs sent.
    pub keyframes_requested: u64,
    /// Lost packets that a retransmission brought.
    pub repaired: u64,
}

/// What all transports of an ingress use.
#[derive(Debug)]
struct Shared {
    epoch: NtpEpoch,
    cname: [u8; 16],
    random: Random,
    drops: DropCounters,
    counters: IngressCounters,
    /// Tracks with levels in the window at hand.
    heard: Vec<TrackId>,
    levels_due: Option<Time>,
}

impl Shared {
    /// Remembers that a track has levels to tell.
    fn hear(&mut self, now: Time, track: TrackId) {
        self.heard.push(track);
        self.levels_due.get_or_insert(now + level::WINDOW);
    }

    fn send(&mut self, sink: &mut impl PacketSink, transport: TransportId, bytes: &[u8]) {
        let sent = sink.send_rtcp(transport, |slot| {
            slot[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        });
        if let Err(reason) = sent {
            self.drops.count(reason);
        }
    }
}

/// All publishers of one lane.
#[derive(Debug)]
pub struct Ingress {
    publishers: IdMap<TransportId, Publisher>,
    homes: IdMap<TrackId, TransportId>,
    deadlines: Deadlines,
    shared: Shared,
}

impl Ingress {
    /// An ingress without tracks.
    pub fn new(config: IngressConfig) -> Self {
        let mut random = Random::new(config.seed);
        Self {
            publishers: IdMap::default(),
            homes: IdMap::default(),
            deadlines: Deadlines::default(),
            shared: Shared {
                epoch: config.epoch,
                cname: cname(&mut random),
                random,
                drops: DropCounters::default(),
                counters: IngressCounters::default(),
                heard: Vec::new(),
                levels_due: None,
            },
        }
    }

    /// A publisher may send this track. Its gate is closed and nobody wants it until told otherwise.
    /// Repeated, it replaces the parameters; gate, wishes and streams described as before stay.
    pub fn add_track(&mut self, track: &AddTrack) {
        if self.homes.get(&track.track).is_some_and(|home| *home != track.transport) {
            self.remove_track(track.track);
        }
        self.homes.insert(track.track, track.transport);
        self.publisher(track.transport).describe_track(track);
    }

    /// Opens or closes the gate of a track; closed, everything is accounted for and nothing comes out.
    pub fn set_track_open(&mut self, track: TrackId, open: bool) {
        if let Some(track) = self.track_mut(track) {
            track.set_open(open);
        }
    }

    /// Ends a track; its SSRCs are forgotten.
    pub fn remove_track(&mut self, track: TrackId) {
        let Some(home) = self.homes.remove(&track) else { return };
        if let Some(publisher) = self.publishers.get_mut(&home) {
            publisher.remove_track(track);
        }
    }

    /// Header extension ids of a transport's peer.
    pub fn set_extensions(&mut self, transport: TransportId, extensions: &[(u8, Extension)]) {
        self.publisher(transport).set_extensions(extensions);
    }

    /// Ends a transport with its tracks; returns them.
    pub fn remove_transport(&mut self, transport: TransportId) -> Vec<TrackId> {
        let Some(publisher) = self.publishers.remove(&transport) else { return Vec::new() };
        self.deadlines.set(transport, publisher.armed, None);
        let tracks: Vec<_> = publisher.tracks.iter().map(|track| track.id).collect();
        for track in &tracks {
            self.homes.remove(track);
        }
        tracks
    }

    /// A decrypted RTP packet. `None` if it goes no further. A retransmission is rewritten in place to
    /// the original, which then is `packet[..meta.payload.end]`.
    pub fn handle_rtp(
        &mut self,
        arrived: Arrived,
        packet: &mut [u8],
        out: &mut IngressOut,
    ) -> Option<PacketMeta> {
        let Some(publisher) = self.publishers.get_mut(&arrived.transport) else {
            self.shared.drops.count(DropReason::SsrcUnknown);
            return None;
        };
        let meta = publisher.handle_rtp(arrived, packet, &mut self.shared, out);
        let due = publisher.poll_after_packet();
        if due.is_some_and(|due| publisher.armed.is_none_or(|armed| due < armed)) {
            self.deadlines.set(arrived.transport, publisher.armed, due);
            publisher.armed = due;
        }
        match meta {
            Ok(meta) => {
                self.shared.counters.repaired += u64::from(meta.repaired);
                Some(meta)
            }
            Err(reason) => {
                self.shared.drops.count(reason);
                None
            }
        }
    }

    /// A decrypted RTCP datagram: takes SR, BYE and XR, leaves the rest to the subscriber side.
    /// Unreadable packets in it are counted here and only here.
    pub fn handle_rtcp(
        &mut self,
        now: Time,
        transport: TransportId,
        compound: &Compound<'_>,
        out: &mut IngressOut,
    ) {
        if let Some(publisher) = self.publishers.get_mut(&transport) {
            publisher.handle_rtcp(now, compound, &mut self.shared, out);
            self.arm(transport);
        }
    }

    /// Somebody needs a key frame of one stream; requests are merged and throttled.
    pub fn request_keyframe(&mut self, now: Time, track: TrackId, stream: u8) {
        let Some(&home) = self.homes.get(&track) else { return };
        let Some(track) = self.track_mut(track) else { return };
        if let Some(stream) = track.streams.get_mut(usize::from(stream)) {
            stream.throttle.request(now);
            self.arm(home);
        }
    }

    /// Streams (bit per index) that some leg carries or waits for: only those are repaired.
    pub fn set_wanted(&mut self, track: TrackId, streams: u8) {
        if let Some(track) = self.track_mut(track) {
            track.set_wanted(streams);
        }
    }

    /// A round trip to a publisher that was measured elsewhere (receiver reports, checks).
    pub fn set_rtt(&mut self, transport: TransportId, rtt: Duration) {
        if let Some(publisher) = self.publishers.get_mut(&transport) {
            publisher.measure_rtt(rtt);
        }
    }

    /// The round trip to a publisher, if measured.
    pub fn rtt(&self, transport: TransportId) -> Option<Duration> {
        self.publishers.get(&transport)?.rtt()
    }

    /// Bits per second of a stream up to and including a spatial and a temporal layer, over the last
    /// second (screen share: four).
    pub fn layer_rate(&self, now: Time, track: TrackId, stream: u8, layer: (u8, u8)) -> u32 {
        let stream = self.track(track).and_then(|track| track.streams.get(usize::from(stream)));
        stream.map_or(0, |stream| stream.rates.cumulative(now, layer))
    }

    /// When [`Ingress::handle_timeout`] next has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.deadlines.earliest().into_iter().chain(self.shared.levels_due).min()
    }

    /// Sends what is due: NACK, PLI, transport feedback, reports; tells levels and streams that stopped.
    pub fn handle_timeout(&mut self, now: Time, sink: &mut impl PacketSink, out: &mut IngressOut) {
        while let Some(transport) = self.deadlines.take_due(now) {
            let Some(publisher) = self.publishers.get_mut(&transport) else { continue };
            publisher.handle_timeout(now, sink, &mut self.shared, out);
            // What is still due now waits for its spacing: a tick later at the earliest.
            let next = publisher.poll_timeout().map(|at| at.max(now + TICK));
            publisher.armed = next;
            self.deadlines.set(transport, None, next);
        }
        if self.shared.levels_due.is_some_and(|due| due <= now) {
            self.tell_levels(out);
        }
    }

    fn tell_levels(&mut self, out: &mut IngressOut) {
        self.shared.levels_due = None;
        let heard = std::mem::take(&mut self.shared.heard);
        let levels = heard.iter().filter_map(|&id| Some(self.track_mut(id)?.level.take(id)));
        let levels: Vec<_> = levels.collect();
        if !levels.is_empty() {
            out.events.push(Event::AudioLevels(levels));
        }
        self.shared.heard = heard;
        self.shared.heard.clear();
    }

    /// Drops by reason.
    pub fn drops(&self) -> &DropCounters {
        &self.shared.drops
    }

    /// Totals.
    pub fn counters(&self) -> IngressCounters {
        self.shared.counters
    }

    /// Appends one entry per track.
    pub fn stats(&self, now: Time, out: &mut Vec<TrackStats>) {
        let tracks = self.publishers.values().flat_map(|publisher| &publisher.tracks);
        out.extend(tracks.map(|track| track.stats(now)));
    }

    /// Takes what each track that arrives looked like since the last call into the distributions of its kind.
    pub fn observe(&mut self, now: Time, up: &mut [Upstream; 2]) {
        for track in self.publishers.values_mut().flat_map(|publisher| &mut publisher.tracks) {
            track.observe(now, &mut up[kind_index(track.kind)]);
        }
    }

    fn publisher(&mut self, transport: TransportId) -> &mut Publisher {
        self.publishers.entry(transport).or_insert_with(|| Publisher::new(transport))
    }

    fn track(&self, track: TrackId) -> Option<&Track> {
        let publisher = self.publishers.get(self.homes.get(&track)?)?;
        publisher.tracks.iter().find(|candidate| candidate.id == track)
    }

    fn track_mut(&mut self, track: TrackId) -> Option<&mut Track> {
        self.publishers.get_mut(self.homes.get(&track)?)?.track_mut(track)
    }

    /// Registers the deadline that a transport has now.
    fn arm(&mut self, transport: TransportId) {
        let Some(publisher) = self.publishers.get_mut(&transport) else { return };
        let due = publisher.poll_timeout();
        self.deadlines.set(transport, publisher.armed, due);
        publisher.armed = due;
    }
}

/// Shortest time between two rounds of one transport.
const TICK: Duration = Duration::from_millis(1);

/// A short-term CNAME (RFC 7022): hexadecimal digits that say nothing about the machine.
fn cname(random: &mut Random) -> [u8; 16] {
    let number = random.next();
    std::array::from_fn(|digit| b"0123456789abcdef"[(number >> (4 * digit)) as usize & 0xF])
}
