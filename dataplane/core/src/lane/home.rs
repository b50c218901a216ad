//! A track whose publisher is on this lane: which other lanes get it, and what they want of it.
//!
//! In: packets as ingress lets them through, wishes of lanes. Out: copies on the rings, one per lane that
//! wants the stream. A ring that was full once gets nothing more of a video stream before its next key
//! frame: packets torn out of the middle help nobody.

use crate::drop::{DropCounters, DropReason};
use crate::ids::{LaneId, TransportId};
use crate::media::{MediaKind, MediaPacket, TrackClock};
use crate::relay::Relays;

/// Streams of a track whose SSRC is remembered to be pinned.
const STREAMS: usize = 3;

/// Another lane that gets the track.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relay {
    pub lane: LaneId,
    /// Streams wanted there, bit per index.
    pub wanted: u8,
    /// Streams that lost a packet on the way and wait for a key frame.
    broken: u8,
}

/// What became of a packet on its way to other lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Relayed {
    /// Lanes that want it.
    pub lanes: usize,
    /// Some lane needs a key frame now.
    pub broken: bool,
}

/// One track that lives here.
#[derive(Debug)]
pub(super) struct Home {
    pub transport: TransportId,
    pub kind: MediaKind,
    /// Streams that arrive, bit per index.
    pub active: u8,
    /// Streams that legs on this lane want.
    pub wanted: u8,
    pub clock: Option<TrackClock>,
    pub relays: Vec<Relay>,
    /// Generation of each stream whose SSRC is pinned at the edge.
    pinned: [Option<u8>; STREAMS],
}

impl Home {
    pub fn new(transport: TransportId, kind: MediaKind) -> Self {
        Self {
            transport,
            kind,
            active: 0,
            wanted: 0,
            clock: None,
            relays: Vec::new(),
            pinned: [None; STREAMS],
        }
    }

    /// Streams that somebody wants.
    pub fn wanted_by_all(&self) -> u8 {
        self.relays.iter().fold(self.wanted, |streams, relay| streams | relay.wanted)
    }

    /// The entry of a lane, new or old.
    pub fn relay_to(&mut self, lane: LaneId) -> &mut Relay {
        let place = self.relays.iter().position(|relay| relay.lane == lane);
        let place = place.unwrap_or_else(|| {
            self.relays.push(Relay { lane, wanted: 0, broken: 0 });
            self.relays.len() - 1
        });
        &mut self.relays[place]
    }

    /// Copies a packet to the lanes that want it.
    pub fn relay(
        &mut self,
        packet: &MediaPacket<'_>,
        relays: &mut impl Relays,
        drops: &mut DropCounters,
    ) -> Relayed {
        let mut relayed = Relayed::default();
        let meta = packet.meta;
        let bit = 1u8.checked_shl(u32::from(meta.stream)).unwrap_or(0);
        for relay in self.relays.iter_mut().filter(|relay| relay.wanted & bit != 0) {
            relayed.lanes += 1;
            if meta.frame.keyframe && meta.frame.start {
                relay.broken &= !bit;
            }
            if relay.broken & bit != 0 {
                drops.count(DropReason::RelayBroken);
                continue;
            }
            let Err(reason) = relays.media(relay.lane, packet) else { continue };
            drops.count(reason);
            if self.kind == MediaKind::Video {
                relay.broken |= bit;
                relayed.broken = true;
            }
        }
        relayed
    }

    /// The SSRC of a stream that is seen for the first time in this generation.
    pub fn unpinned(&mut self, packet: &MediaPacket<'_>) -> Option<u32> {
        let meta = packet.meta;
        let pinned = self.pinned.get_mut(usize::from(meta.stream))?;
        if *pinned == Some(meta.generation) || meta.repaired {
            return None;
        }
        *pinned = Some(meta.generation);
        let ssrc = packet.bytes.get(8..12)?;
        Some(u32::from_be_bytes(ssrc.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::test_support::{key, video};
    use crate::relay::RelayControl;

    /// A ring with room for so many packets.
    struct Ring(usize);

    impl Relays for Ring {
        fn media(&mut self, _: LaneId, _: &MediaPacket<'_>) -> Result<(), DropReason> {
            self.0 = self.0.checked_sub(1).ok_or(DropReason::RelayFull)?;
            Ok(())
        }

        fn control(&mut self, _: LaneId, _: RelayControl) -> Result<(), DropReason> {
            Ok(())
        }
    }

    #[test]
    fn after_a_full_ring_a_video_stream_waits_for_its_next_key_frame() {
        let mut home = Home::new(TransportId(1), MediaKind::Video);
        home.relay_to(LaneId(1)).wanted = 1;
        let mut drops = DropCounters::default();
        let mut send = |meta, room| {
            let packet = MediaPacket { meta: &meta, bytes: &[] };
            home.relay(&packet, &mut Ring(room), &mut drops).broken
        };
        assert!(!send(key(0, 1), 1));
        assert!(send(video(0, 2), 0));
        assert!(!send(video(0, 3), 1));
        assert!(!send(key(0, 4), 1));
        assert!(!send(video(0, 5), 1));
        assert_eq!(drops.get(DropReason::RelayFull), 1);
        assert_eq!(drops.get(DropReason::RelayBroken), 1);
    }

    #[test]
    fn only_lanes_that_want_a_stream_get_it() {
        let mut home = Home::new(TransportId(1), MediaKind::Video);
        home.relay_to(LaneId(1)).wanted = 0b01;
        home.relay_to(LaneId(2)).wanted = 0b11;
        home.wanted = 0b100;
        let mut drops = DropCounters::default();
        let meta = key(1, 1);
        let packet = MediaPacket { meta: &meta, bytes: &[] };
        let relayed = home.relay(&packet, &mut Ring(9), &mut drops);
        assert_eq!(relayed.lanes, 1);
        assert_eq!(home.wanted_by_all(), 0b111);
    }
}
