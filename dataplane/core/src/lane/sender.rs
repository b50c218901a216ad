//! The lane's way out: a packet is written into a send slot, sealed there, and queued to its transport.

use crate::drop::DropReason;
use crate::edge::Edge;
use crate::idmap::IdMap;
use crate::ids::TransportId;
use crate::media::MediaKind;
use crate::outbox::{Load, Outbox};
use crate::sink::{PacketSink, MAX_PACKET};
use crate::stats::Flow;
use crate::time::Time;

/// What passed between a transport and us.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    /// From it.
    pub received: Flow,
    /// To it.
    pub sent: Flow,
    /// It has keys.
    pub keyed: bool,
}

/// The sink of one input; borrows what it needs of the lane.
#[derive(Debug)]
pub(super) struct Sender<'a> {
    pub now: Time,
    pub edge: &'a mut Edge,
    pub outbox: &'a mut Outbox,
    pub traffic: &'a mut IdMap<TransportId, Traffic>,
}

/// A [`Sender`] from the fields of a lane, so that its other fields stay free.
macro_rules! sender {
    ($lane:expr, $now:expr) => {
        crate::lane::sender::Sender {
            now: $now,
            edge: &mut $lane.edge,
            outbox: &mut $lane.outbox,
            traffic: &mut $lane.traffic,
        }
    };
}
pub(super) use sender;

impl Sender<'_> {
    fn count(&mut self, transport: TransportId, length: usize) -> usize {
        if let Some(traffic) = self.traffic.get_mut(&transport) {
            traffic.sent.add(length);
        }
        length
    }
}

impl PacketSink for Sender<'_> {
    fn send_rtp(
        &mut self,
        transport: TransportId,
        kind: MediaKind,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, DropReason> {
        let (now, edge) = (self.now, &mut *self.edge);
        let load = match kind {
            MediaKind::Audio => Load::Audio,
            MediaKind::Video => Load::Video,
        };
        let length = self.outbox.queue(transport, load, |slot| {
            let length = write(&mut slot[..MAX_PACKET]);
            edge.seal_rtp(now, transport, slot, length)
        })?;
        Ok(self.count(transport, length))
    }

    fn send_rtcp(
        &mut self,
        transport: TransportId,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, DropReason> {
        let (now, edge) = (self.now, &mut *self.edge);
        let length = self.outbox.queue(transport, Load::Control, |slot| {
            let length = write(&mut slot[..MAX_PACKET]);
            edge.seal_rtcp(now, transport, slot, length)
        })?;
        Ok(self.count(transport, length))
    }
}
