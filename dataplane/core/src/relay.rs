//! What crosses between lanes when a room spans several: media down, wishes up.
//!
//! A packet crosses as (facts, decrypted bytes), copied once per destination lane into a bounded ring slot.

use crate::drop::DropReason;
use crate::ids::{LaneId, TrackId};
use crate::media::{MediaPacket, TrackClock};

/// Control messages between lanes; rare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayControl {
    /// Home to leg lane: the track's clock, once per sender report.
    Clock(TrackClock),
    /// Home to leg lane: whether a stream of the track arrives.
    StreamActive {
        /// The track.
        track: TrackId,
        /// Stream index.
        stream: u8,
        /// Whether packets arrive.
        active: bool,
    },
    /// Home to leg lane: the track ended.
    Ended {
        /// The track.
        track: TrackId,
    },
    /// Leg lane to home: a leg needs a key frame.
    Keyframe {
        /// The track.
        track: TrackId,
        /// Stream index.
        stream: u8,
    },
    /// Leg lane to home: streams that some leg there carries or waits for (bit per stream).
    Wanted {
        /// The track.
        track: TrackId,
        /// Bit per stream index.
        streams: u8,
    },
}

/// The way to other lanes; never blocks.
pub trait Relays {
    /// Copies a packet towards another lane; `Err(RelayFull)` if its ring has no room.
    fn media(&mut self, to: LaneId, packet: &MediaPacket<'_>) -> Result<(), DropReason>;

    /// Sends a control message towards another lane.
    fn control(&mut self, to: LaneId, message: RelayControl) -> Result<(), DropReason>;
}
