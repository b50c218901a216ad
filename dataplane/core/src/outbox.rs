//! Send slots of one batch, chained per destination so that a receiver's packets leave as one run (UDP GSO).
//!
//! In: packets that are written and sealed in place, each with its chain (one per transport) and path.
//! Out: runs. Wire order within a chain is the order of [`Outbox::queue`]; nothing is ever reordered to
//! build a longer run. It must not allocate after its creation.

use crate::association::Path;
use crate::drop::DropReason;
use crate::ids::TransportId;

/// Bytes of one send slot: packet, SRTP trailer and a little room.
pub const SLOT: usize = 1_536;

/// Packets of one batch: one datagram to 4,000 subscribers of a lane fits; 6 MiB.
pub const SLOTS: usize = 4_096;

/// Packets from which [`Outbox::is_crowded`] asks for a drain: what is sealed is still in the
/// processor's second-level cache, and the other slots are room for the fan-out of one datagram.
pub const HIGH_WATER: usize = 768;

/// Segments that the kernel takes in one GSO send (`UDP_MAX_SEGMENTS`).
pub const MAX_RUN: usize = 64;

/// Payload bytes of one GSO send: 65,535 less IP and UDP headers.
pub const MAX_RUN_BYTES: usize = 65_507;

/// The chain of datagrams that belong to no transport (answers to strangers).
pub const NO_TRANSPORT: TransportId = TransportId(u32::MAX);

/// Buckets of the chain table: twice the chains that can exist, so that probes stay short.
const BUCKETS: usize = SLOTS * 2;
const NONE: u16 = u16::MAX;

/// What a packet carries, as far as a connection must know that cannot take everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Load {
    /// A connectivity check's answer, DTLS, RTCP.
    #[default]
    Control,
    /// Sound.
    Audio,
    /// A picture.
    Video,
}

/// Packets for one path that can leave together.
#[derive(Clone, Copy, Debug)]
pub struct Run<'r, 'a> {
    /// Where to.
    pub path: Path,
    /// Their bytes, in order; those slices outlive the run.
    pub packets: &'r [&'a [u8]],
    /// What each carries.
    pub loads: &'r [Load],
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    path: Path,
    len: u16,
    next: u16,
    load: Load,
}

#[derive(Clone, Copy, Debug)]
struct Chain {
    head: u16,
    tail: u16,
}

/// Valid only if `batch` is the current one, so that nothing needs clearing between batches.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    batch: u32,
    transport: u32,
    chain: u16,
}

/// The packets of the batch at hand.
#[derive(Debug)]
pub struct Outbox {
    arena: Box<[u8]>,
    slots: Vec<Slot>,
    chains: Vec<Chain>,
    buckets: Box<[Bucket]>,
    batch: u32,
    drained: bool,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            arena: vec![0; SLOTS * SLOT].into_boxed_slice(),
            slots: Vec::with_capacity(SLOTS),
            chains: Vec::with_capacity(SLOTS),
            buckets: vec![Bucket::default(); BUCKETS].into_boxed_slice(),
            batch: 1,
            drained: false,
        }
    }
}

impl Outbox {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Packets that wait.
    pub fn len(&self) -> usize {
        if self.drained {
            0
        } else {
            self.slots.len()
        }
    }

    /// Whether to drain before the next datagram is processed, so that its fan-out finds room.
    pub fn is_crowded(&self) -> bool {
        self.len() >= HIGH_WATER
    }

    /// Lends the next slot to `fill`, which returns where to send how many bytes of it, and queues it at
    /// the end of the transport's chain. On an error nothing is queued and the slot is free again.
    pub fn queue(
        &mut self,
        transport: TransportId,
        load: Load,
        fill: impl FnOnce(&mut [u8]) -> Result<(Path, usize), DropReason>,
    ) -> Result<usize, DropReason> {
        self.forget_drained();
        let index = self.slots.len();
        if index == SLOTS {
            return Err(DropReason::SendQueueFull);
        }
        let (path, len) = fill(&mut self.arena[index * SLOT..][..SLOT])?;
        debug_assert!(len <= SLOT);
        self.slots.push(Slot { path, len: len as u16, next: NONE, load });
        self.append(transport, index as u16);
        Ok(len)
    }

    /// Hands each run of equal-sized packets (the last may be shorter) for one destination to `send`, in
    /// order, then forgets them all. A run has at most [`MAX_RUN`] packets and [`MAX_RUN_BYTES`] bytes.
    ///
    /// The slices outlive the call of `send`: they live as long as the outbox stays borrowed, so the
    /// caller can gather the runs of many destinations and send them by one system call.
    pub fn drain<'a>(&'a mut self, mut send: impl FnMut(Run<'_, 'a>)) {
        self.forget_drained();
        self.drained = true;
        let waiting: &'a Self = self;
        for chain in &waiting.chains {
            let mut at = chain.head;
            while at != NONE {
                at = waiting.send_run(at, &mut send);
            }
        }
    }

    /// Empties the slots of the last drain; put off until they are needed, because its slices live on.
    fn forget_drained(&mut self) {
        if !std::mem::take(&mut self.drained) {
            return;
        }
        self.slots.clear();
        self.chains.clear();
        self.batch = self.batch.checked_add(1).unwrap_or_else(|| {
            self.buckets.fill(Bucket::default());
            1
        });
    }

    /// Sends the run that starts at slot `first`; returns where the next one starts.
    fn send_run<'a>(&'a self, first: u16, send: &mut impl FnMut(Run<'_, 'a>)) -> u16 {
        let head = self.slots[usize::from(first)];
        let mut run: [&'a [u8]; MAX_RUN] = [&[]; MAX_RUN];
        let mut loads = [Load::Control; MAX_RUN];
        let (mut count, mut bytes, mut at) = (0, 0, first);
        while at != NONE && count < MAX_RUN {
            let slot = self.slots[usize::from(at)];
            let fits = slot.len <= head.len && bytes + usize::from(slot.len) <= MAX_RUN_BYTES;
            if slot.path != head.path || !fits {
                break;
            }
            run[count] = &self.arena[usize::from(at) * SLOT..][..usize::from(slot.len)];
            loads[count] = slot.load;
            count += 1;
            bytes += usize::from(slot.len);
            at = slot.next;
            if slot.len < head.len {
                break;
            }
        }
        send(Run { path: head.path, packets: &run[..count], loads: &loads[..count] });
        at
    }

    fn append(&mut self, transport: TransportId, slot: u16) {
        let mut at = transport.0.wrapping_mul(0x9E37_79B1) as usize >> 16 & (BUCKETS - 1);
        loop {
            let bucket = self.buckets[at];
            if bucket.batch != self.batch {
                let chain = self.chains.len() as u16;
                self.buckets[at] = Bucket { batch: self.batch, transport: transport.0, chain };
                self.chains.push(Chain { head: slot, tail: slot });
                return;
            }
            if bucket.transport == transport.0 {
                let chain = &mut self.chains[usize::from(bucket.chain)];
                self.slots[usize::from(chain.tail)].next = slot;
                chain.tail = slot;
                return;
            }
            at = (at + 1) & (BUCKETS - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn path(port: u16) -> Path {
        Path::udp(0, ([127, 0, 0, 1], port).into())
    }

    fn push(outbox: &mut Outbox, transport: u32, len: usize, mark: u8) {
        outbox
            .queue(TransportId(transport), Load::Video, |slot| {
                slot[..len].fill(mark);
                Ok((path(transport as u16), len))
            })
            .unwrap();
    }

    #[test]
    fn packets_for_one_destination_leave_as_one_run_though_they_were_interleaved() {
        let mut outbox = Outbox::default();
        for mark in 0..3 {
            push(&mut outbox, 1, 1000, mark);
            push(&mut outbox, 2, 1000, mark);
        }
        let mut runs = Vec::new();
        outbox.drain(|run| {
            runs.push((run.path, run.packets.iter().map(|p| p[0]).collect::<Vec<_>>()));
        });
        assert_eq!(runs, [(path(1), vec![0, 1, 2]), (path(2), vec![0, 1, 2])]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_shorter_packet_closes_a_run_and_a_longer_one_starts_the_next() {
        let mut outbox = Outbox::default();
        for len in [900, 900, 500, 500, 800] {
            push(&mut outbox, 1, len, 0);
        }
        let mut runs = Vec::new();
        outbox.drain(|run| runs.push(run.packets.iter().map(|p| p.len()).collect::<Vec<_>>()));
        assert_eq!(runs, [vec![900, 900, 500], vec![500], vec![800]]);
    }

    #[test]
    fn a_changed_path_inside_a_chain_starts_a_new_run() {
        let mut outbox = Outbox::default();
        for port in [1, 2, 1] {
            outbox.queue(TransportId(9), Load::Audio, |_| Ok((path(port), 100))).unwrap();
        }
        let mut ports = Vec::new();
        outbox.drain(|run| ports.push((run.path.peer.port(), run.packets.len())));
        assert_eq!(ports, [(1, 1), (2, 1), (1, 1)]);
    }

    #[test]
    fn a_full_outbox_refuses_with_send_queue_full_and_recovers_after_a_drain() {
        let mut outbox = Outbox::default();
        for _ in 0..SLOTS {
            push(&mut outbox, 1, 100, 0);
        }
        let refused = outbox.queue(TransportId(1), Load::Control, |_| Ok((path(1), 1)));
        assert_eq!(refused, Err(DropReason::SendQueueFull));
        let mut sent = 0;
        outbox.drain(|run| sent += run.packets.len());
        assert_eq!(sent, SLOTS);
        push(&mut outbox, 1, 100, 0);
        assert_eq!(outbox.len(), 1);
    }

    #[test]
    fn a_refused_fill_leaves_nothing_behind() {
        let mut outbox = Outbox::default();
        let refused = outbox.queue(TransportId(1), Load::Control, |_| Err(DropReason::LegNotReady));
        assert_eq!(refused, Err(DropReason::LegNotReady));
        assert!(outbox.is_empty());
        outbox.drain(|_| panic!("nothing was queued"));
    }

    proptest! {
        #[test]
        fn runs_concatenate_to_the_packets_of_each_chain_in_order(
            packets in prop::collection::vec((0u32..5, 1usize..1_480), 0..300),
            batches in 1usize..3,
        ) {
            let mut outbox = Outbox::default();
            for _ in 0..batches {
                let mut expected: HashMap<u16, Vec<(usize, u8)>> = HashMap::new();
                for (index, &(transport, len)) in packets.iter().enumerate() {
                    push(&mut outbox, transport, len, index as u8);
                    expected.entry(transport as u16).or_default().push((len, index as u8));
                }
                let mut seen: HashMap<u16, Vec<(usize, u8)>> = HashMap::new();
                outbox.drain(|run| {
                    let (to, loads, run) = (run.path, run.loads, run.packets);
                    assert_eq!(loads, vec![Load::Video; run.len()]);
                    let bytes: usize = run.iter().map(|p| p.len()).sum();
                    assert!(!run.is_empty() && run.len() <= MAX_RUN && bytes <= MAX_RUN_BYTES);
                    let (last, whole) = run.split_last().unwrap();
                    assert!(whole.iter().all(|p| p.len() == run[0].len()));
                    assert!(last.len() <= run[0].len());
                    let chain = seen.entry(to.peer.port()).or_default();
                    chain.extend(run.iter().map(|p| (p.len(), p[0])));
                });
                prop_assert_eq!(seen, expected);
            }
        }
    }
}
