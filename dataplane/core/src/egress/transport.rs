//! What all legs of one subscriber share: readiness, the transport-wide numbers, the round trip, and the
//! counters of SSRCs that were in use before.

use std::time::Duration;

use super::block::Stamps;
use super::wide::Wide;
use crate::drop::DropReason;
use crate::idmap::IdMap;
use crate::ids::{LegId, TrackId, TransportId};
use crate::media::MediaKind;
use crate::time::{NtpEpoch, Time};

/// SSRCs whose counters are kept after their leg ended. The control plane gives each SSRC once; this is
/// for the case that it does not, and a subscriber that outlives so many subscriptions is rare.
const MAX_RETIRED: usize = 4_096;

/// Share of a new round trip in the smoothed one.
const RTT_SHARE: u32 = 8;

/// The moment at hand, computed once per input and used for every leg.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Monotonic.
    pub now: Time,
    /// NTP time, 32.32.
    pub ntp: u64,
}

impl Moment {
    /// The moment `now`.
    pub fn new(epoch: NtpEpoch, now: Time) -> Self {
        Self { now, ntp: epoch.ntp(now) }
    }

    /// Absolute send time: 6.18 fixed point seconds.
    fn send_time(&self) -> u32 {
        (self.ntp >> 14) as u32 & 0x00FF_FFFF
    }
}

/// Where an SSRC stands between two legs.
#[derive(Clone, Copy, Debug)]
pub struct Retired {
    /// Next output number, or next retransmission number.
    pub next: u64,
    /// Last time stamp, or the first if nothing was sent.
    pub t: u64,
    /// When that was sent.
    pub sent_at: Option<Time>,
    /// Packets and payload bytes that reports tell of.
    pub counts: (u32, u32),
}

impl Retired {
    /// An SSRC that nothing was sent under.
    pub fn fresh(next: u64, t: u64) -> Self {
        Self { next, t, sent_at: None, counts: (0, 0) }
    }
}

/// The egress side of one transport.
#[derive(Debug)]
pub struct Transport {
    /// Which.
    pub id: TransportId,
    /// It has keys and a validated address.
    pub ready: bool,
    /// Its connection gave up video: no more of it until it has caught up.
    pub blocked: bool,
    /// Legs by their SSRCs (media and retransmission).
    pub streams: IdMap<u32, (TrackId, LegId)>,
    /// The transport's transport-wide numbers, once a leg has negotiated them.
    pub wide: Option<Wide>,
    /// The receiver's own estimate of its bandwidth, bits per second (REMB).
    pub remb: Option<u64>,
    rtt: Option<Duration>,
    retired: IdMap<u32, Retired>,
}

impl Transport {
    /// A transport without legs that cannot send yet.
    pub fn new(id: TransportId) -> Self {
        Self {
            id,
            ready: false,
            blocked: false,
            streams: IdMap::default(),
            wide: None,
            remb: None,
            rtt: None,
            retired: IdMap::default(),
        }
    }

    /// Whether packets of that kind may go out.
    pub fn takes(&self, kind: MediaKind) -> Result<(), DropReason> {
        match kind {
            _ if !self.ready => Err(DropReason::LegNotReady),
            MediaKind::Video if self.blocked => Err(DropReason::ReceiverBlocked),
            MediaKind::Audio | MediaKind::Video => Ok(()),
        }
    }

    /// The stamps of the next packet.
    pub fn stamps(&self, moment: Moment) -> Stamps {
        let number = self.wide.as_ref().map_or(0, Wide::next);
        Stamps { number, send_time: moment.send_time() }
    }

    /// A packet of `bytes` went out with the last stamps.
    pub fn sent(&mut self, moment: Moment, bytes: usize) {
        if let Some(wide) = &mut self.wide {
            wide.sent(moment.now, bytes);
        }
    }

    /// The smoothed round trip, if measured.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// A measured round trip.
    pub fn note_rtt(&mut self, rtt: Duration) {
        self.rtt = Some(match self.rtt {
            Some(old) => (old * (RTT_SHARE - 1) + rtt) / RTT_SHARE,
            None => rtt,
        });
    }

    /// Keeps where an SSRC stood, because its keys live on.
    pub fn retire(&mut self, ssrc: u32, retired: Retired) {
        if self.retired.len() < MAX_RETIRED || self.retired.contains_key(&ssrc) {
            self.retired.insert(ssrc, retired);
        }
    }

    /// Where an SSRC stood when its last leg ended.
    pub fn revive(&mut self, ssrc: u32) -> Option<Retired> {
        self.retired.remove(&ssrc)
    }
}
