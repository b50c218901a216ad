//! Rings between lanes: media copied once into preallocated frames, control messages in the same order.
//!
//! Each ordered pair of lanes has one [`RelayOut`] and one [`RelayIn`]. A frame travels to the other lane in
//! the ring and comes back, empty, in a second one: nothing is allocated after the start. Media is refused
//! when no frame is free; control messages have room of their own behind it.

use std::sync::Arc;

use conclave_core::drop::DropReason;
use conclave_core::ids::LaneId;
use conclave_core::media::{MediaPacket, PacketMeta};
use conclave_core::outbox::SLOT;
use conclave_core::relay::{RelayControl, Relays};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::doorbell::Doorbell;

/// Frames of one ordered lane pair: 5 ms of a 100,000 packets/s crossing, five times a lane's turn, 1 MiB.
pub const FRAMES: usize = 512;

/// Room in the ring that media cannot take: a lane's tracks can all ask for a key frame at once.
const CONTROL_ROOM: usize = 512;

/// One packet on its way: facts and bytes.
#[derive(Debug)]
pub struct Frame {
    meta: Option<PacketMeta>,
    len: usize,
    bytes: [u8; SLOT],
}

impl Frame {
    /// The packet, as the receiving lane sees it.
    pub fn packet(&self) -> Option<MediaPacket<'_>> {
        let meta = self.meta.as_ref()?;
        Some(MediaPacket { meta, bytes: &self.bytes[..self.len] })
    }
}

/// What crosses.
#[derive(Debug)]
pub enum Relayed {
    /// A packet; give the frame back with [`RelayIn::recycle`].
    Media(Box<Frame>),
    /// A control message.
    Control(RelayControl),
}

/// The sending end.
#[derive(Debug)]
pub struct RelayOut {
    ring: Producer<Relayed>,
    free: Consumer<Box<Frame>>,
    bell: Arc<Doorbell>,
    pushed: bool,
}

/// The receiving end.
#[derive(Debug)]
pub struct RelayIn {
    from: LaneId,
    ring: Consumer<Relayed>,
    free: Producer<Box<Frame>>,
}

/// A way from lane `from` to the lane that sleeps beside `bell`.
pub fn relay(from: LaneId, bell: Arc<Doorbell>) -> (RelayOut, RelayIn) {
    let (ring, incoming) = RingBuffer::new(FRAMES + CONTROL_ROOM);
    let (mut recycled, free) = RingBuffer::new(FRAMES);
    for _ in 0..FRAMES {
        let frame = Box::new(Frame { meta: None, len: 0, bytes: [0; SLOT] });
        recycled.push(frame).expect("invariant: the ring has room for every frame");
    }
    (RelayOut { ring, free, bell, pushed: false }, RelayIn { from, ring: incoming, free: recycled })
}

impl RelayOut {
    fn media(&mut self, packet: &MediaPacket<'_>) -> Result<(), DropReason> {
        let mut frame = self.free.pop().map_err(|_| DropReason::RelayFull)?;
        let len = packet.bytes.len().min(SLOT);
        frame.meta = Some(*packet.meta);
        frame.len = len;
        frame.bytes[..len].copy_from_slice(&packet.bytes[..len]);
        self.push(Relayed::Media(frame))
    }

    fn push(&mut self, item: Relayed) -> Result<(), DropReason> {
        // Media always finds room for it cannot take what is set aside for control messages; so at worst a
        // control message is refused here, and no frame is lost with it.
        self.ring.push(item).map_err(|_| DropReason::RelayFull)?;
        self.pushed = true;
        Ok(())
    }

    fn flush(&mut self) {
        if std::mem::take(&mut self.pushed) {
            self.bell.ring();
        }
    }
}

impl RelayIn {
    /// Where it comes from.
    pub fn from(&self) -> LaneId {
        self.from
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.ring.slots()
    }

    /// The next item.
    pub fn pop(&mut self) -> Option<Relayed> {
        self.ring.pop().ok()
    }

    /// Gives a frame back to the sending lane.
    pub fn recycle(&mut self, frame: Box<Frame>) {
        self.free.push(frame).expect("invariant: the ring has room for every frame");
    }
}

/// A lane's ways to all other lanes.
#[derive(Debug)]
pub struct RelayExits(Vec<Option<RelayOut>>);

impl RelayExits {
    /// One entry per lane in order of their numbers, `None` for the lane itself.
    pub fn new(exits: Vec<Option<RelayOut>>) -> Self {
        Self(exits)
    }

    /// Wakes every lane that something new waits for. Call it once per batch.
    pub fn flush(&mut self) {
        self.0.iter_mut().flatten().for_each(RelayOut::flush);
    }

    fn exit(&mut self, to: LaneId) -> Result<&mut RelayOut, DropReason> {
        let exit = self.0.get_mut(usize::from(to.0)).and_then(Option::as_mut);
        exit.ok_or(DropReason::RelayFull)
    }
}

impl Relays for RelayExits {
    fn media(&mut self, to: LaneId, packet: &MediaPacket<'_>) -> Result<(), DropReason> {
        self.exit(to)?.media(packet)
    }

    fn control(&mut self, to: LaneId, message: RelayControl) -> Result<(), DropReason> {
        self.exit(to)?.push(Relayed::Control(message))
    }
}

#[cfg(test)]
mod tests {
    use conclave_core::ids::TrackId;
    use conclave_core::media::{Codec, CodecFacts, ExtensionFacts, FrameFacts, Span};
    use conclave_core::time::Time;

    use super::*;

    const ENDED: RelayControl = RelayControl::Ended { track: TrackId(7) };

    fn meta(n: u64) -> PacketMeta {
        PacketMeta {
            track: TrackId(7),
            stream: 0,
            codec: Codec::Vp8,
            generation: 0,
            n,
            t: 0,
            line: None,
            clock_rate: 90_000,
            arrival: Time(0),
            payload_type: 96,
            marker: false,
            padding_only: false,
            repaired: false,
            payload: Span { start: 0, end: 3 },
            extensions: ExtensionFacts::default(),
            frame: FrameFacts {
                start: true,
                end: true,
                keyframe: true,
                temporal: 0,
                spatial: 0,
                switch_up: true,
                discardable: false,
                codec: CodecFacts::Opaque,
            },
        }
    }

    fn pair() -> (RelayExits, RelayIn, Arc<Doorbell>) {
        let bell = Arc::new(Doorbell::new().unwrap());
        let (exit, entrance) = relay(LaneId(0), Arc::clone(&bell));
        (RelayExits::new(vec![None, Some(exit)]), entrance, bell)
    }

    #[test]
    fn a_packet_crosses_with_its_facts_and_bytes_and_in_order_with_control() {
        let (mut exits, mut entrance, _bell) = pair();
        exits.media(LaneId(1), &MediaPacket { meta: &meta(41), bytes: b"abc" }).unwrap();
        exits.control(LaneId(1), ENDED).unwrap();
        let Some(Relayed::Media(frame)) = entrance.pop() else { panic!("media first") };
        let packet = frame.packet().unwrap();
        assert_eq!((packet.meta.n, packet.payload()), (41, &b"abc"[..]));
        entrance.recycle(frame);
        assert!(matches!(entrance.pop(), Some(Relayed::Control(ENDED))));
        assert!(entrance.is_empty());
    }

    #[test]
    fn media_is_refused_by_name_when_no_frame_is_free_and_control_still_passes() {
        let (mut exits, mut entrance, _bell) = pair();
        let meta = meta(1);
        let packet = MediaPacket { meta: &meta, bytes: &[9; 1_200] };
        for _ in 0..FRAMES {
            exits.media(LaneId(1), &packet).unwrap();
        }
        assert_eq!(exits.media(LaneId(1), &packet), Err(DropReason::RelayFull));
        for _ in 0..CONTROL_ROOM {
            exits.control(LaneId(1), ENDED).unwrap();
        }
        assert_eq!(exits.control(LaneId(1), ENDED), Err(DropReason::RelayFull));
        let Some(Relayed::Media(frame)) = entrance.pop() else { panic!("media first") };
        entrance.recycle(frame);
        exits.media(LaneId(1), &packet).unwrap();
    }

    #[test]
    fn a_lane_has_no_way_to_itself_or_to_a_lane_that_is_not() {
        let (mut exits, _entrance, _bell) = pair();
        assert_eq!(exits.control(LaneId(0), ENDED), Err(DropReason::RelayFull));
        assert_eq!(exits.control(LaneId(9), ENDED), Err(DropReason::RelayFull));
    }

    #[test]
    fn the_other_lane_is_woken_once_per_batch() {
        let (mut exits, _entrance, bell) = pair();
        let mut waiter = crate::wait::Waiter::new(&[bell.fd()]);
        exits.control(LaneId(1), ENDED).unwrap();
        waiter.wait(Some(std::time::Duration::ZERO)).unwrap();
        assert!(!waiter.is_ready(0), "not before the batch ends");
        exits.flush();
        waiter.wait(Some(std::time::Duration::ZERO)).unwrap();
        assert!(waiter.is_ready(0));
    }
}
