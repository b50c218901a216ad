//! What a publisher sent: every track whose publisher's transport lives on this lane.
//!
//! In: decrypted RTP and RTCP of publishers, commands, wishes of legs. Out: [`PacketMeta`] per packet that
//! may be forwarded, track clocks and events in [`IngressOut`], feedback through the [`PacketSink`].
//! It never looks into encrypted payload, never knows a leg, and allocates nothing per packet.

use std::time::Duration;

use crate::command::AddTrack;
use crate::drop::DropCounters;
use crate::event::Event;
use crate::ids::{TrackId, TransportId};
use crate::media::{Extension, PacketMeta, TrackClock};
use crate::rtcp::Compound;
use crate::sink::PacketSink;
use crate::stats::TrackStats;
use crate::time::{NtpEpoch, Time};

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
}

/// All publishers of one lane.
#[derive(Debug)]
pub struct Ingress {
    drops: DropCounters,
    counters: IngressCounters,
}

impl Ingress {
    /// An ingress without tracks.
    pub fn new(_config: IngressConfig) -> Self {
        Self { drops: DropCounters::default(), counters: IngressCounters::default() }
    }

    /// A publisher may send this track; repeated, it replaces the parameters and keeps what still fits.
    pub fn add_track(&mut self, _now: Time, _track: &AddTrack) {}

    /// Opens or closes the gate of a track; closed, everything is accounted for and nothing comes out.
    pub fn set_track_open(&mut self, _track: TrackId, _open: bool) {}

    /// Ends a track; its SSRCs are forgotten.
    pub fn remove_track(&mut self, _track: TrackId) {}

    /// Header extension ids of a transport's peer.
    pub fn set_extensions(&mut self, _transport: TransportId, _extensions: &[(u8, Extension)]) {}

    /// Ends a transport with its tracks; returns them.
    pub fn remove_transport(&mut self, _transport: TransportId) -> Vec<TrackId> {
        Vec::new()
    }

    /// A decrypted RTP packet. `None` if it goes no further. A retransmission is rewritten in place to
    /// the original; after the call the packet is `packet[..meta.payload.end]` for those.
    pub fn handle_rtp(
        &mut self,
        _arrived: Arrived,
        _packet: &mut [u8],
        _out: &mut IngressOut,
    ) -> Option<PacketMeta> {
        None
    }

    /// A decrypted RTCP datagram: takes SR, SDES, BYE and XR; leaves the rest to the subscriber side.
    /// Unreadable packets in it are counted here and only here.
    pub fn handle_rtcp(
        &mut self,
        _now: Time,
        _transport: TransportId,
        _compound: &Compound<'_>,
        _out: &mut IngressOut,
    ) {
    }

    /// Somebody needs a key frame of one stream; requests are merged and throttled.
    pub fn request_keyframe(&mut self, _now: Time, _track: TrackId, _stream: u8) {}

    /// Streams (bit per index) that some leg carries or waits for: only those are repaired.
    pub fn set_wanted(&mut self, _track: TrackId, _streams: u8) {}

    /// A round trip to a publisher that was measured elsewhere (receiver reports, checks).
    pub fn set_rtt(&mut self, _transport: TransportId, _rtt: Duration) {}

    /// The round trip to a publisher, if measured.
    pub fn rtt(&self, _transport: TransportId) -> Option<Duration> {
        None
    }

    /// Bits per second of a stream up to and including a spatial and a temporal layer, over the last
    /// second (screen share: four).
    pub fn layer_rate(
        &self,
        _now: Time,
        _track: TrackId,
        _stream: u8,
        (_spatial, _temporal): (u8, u8),
    ) -> u32 {
        0
    }

    /// When [`Ingress::handle_timeout`] next has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// Sends what is due: NACK, PLI, transport feedback, reports; tells levels and streams that stopped.
    pub fn handle_timeout(
        &mut self,
        _now: Time,
        _sink: &mut impl PacketSink,
        _out: &mut IngressOut,
    ) {
    }

    /// Drops by reason.
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }

    /// Totals.
    pub fn counters(&self) -> IngressCounters {
        self.counters
    }

    /// Appends one entry per track.
    pub fn stats(&self, _now: Time, _out: &mut Vec<TrackStats>) {}
}
