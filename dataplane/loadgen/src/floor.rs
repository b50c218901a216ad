//! The machine's floor: the same packets to the same sockets at the same moments, each copied and sealed with the
//! same AEAD and sent by the same batching, and nothing else: no receiving, no routing, no rewriting.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_128_GCM};
use conclave_io::clock::Clock;
use conclave_io::send::{Sender, UdpWire};
use conclave_io::socket::{bind, Buffers};
use conclave_io::wait::Waiter;

use crate::scenario::Scenario;

/// An RTP header: authenticated, not encrypted.
const HEADER: usize = 12;

/// Bytes of one send slot.
const SLOT: usize = 1_536;

/// A sender without a data plane.
#[derive(Debug)]
pub struct Floor {
    socket: UdpSocket,
    receivers: Vec<SocketAddr>,
    key: LessSafeKey,
    sealed: u64,
}

/// What a round of it cost.
#[derive(Clone, Copy, Debug)]
pub struct FloorCost {
    /// Packets sent.
    pub packets: u64,
    /// Time of the thread on a processor, softirq work included.
    pub cpu: Duration,
}

impl Floor {
    /// Sends to `receivers`, the subscribers in order.
    pub fn new(receivers: Vec<SocketAddr>) -> Option<Self> {
        let buffers = Buffers { receive: 1 << 16, send: 16 << 20 };
        let socket = bind(receivers.first()?.ip(), 0, buffers).ok()?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).ok()?);
        Some(Self { socket, receivers, key, sealed: 0 })
    }

    /// Runs `scenario` for `time` on this thread, in runs of `run` packets per receiver.
    pub fn run(&mut self, scenario: &Scenario, time: Duration, run: usize) -> FloorCost {
        let mut sender = Sender::new(UdpWire(self.socket.as_raw_fd()));
        let source = vec![0x5A_u8; scenario.packet];
        let mut arena = vec![0_u8; scenario.subscribers as usize * run * SLOT];
        let clock = Clock::start();
        let (start, mut packets) = (clock.now(), 0);
        let before = thread_time();
        for (due, publisher, _) in scenario.schedule(time) {
            let early = (start + due).since(clock.now());
            if !early.is_zero() {
                let _ = Waiter::new(&[]).wait(Some(early));
            }
            let first = (scenario.room_of(publisher) * scenario.subscribers) as usize;
            let room = first..first + scenario.subscribers as usize;
            let mut left = scenario.burst as usize;
            while left > 0 {
                let count = run.clamp(1, left);
                packets += self.send(&mut sender, room.clone(), (&source, &mut arena), count);
                left -= count;
            }
        }
        FloorCost { packets, cpu: thread_time().saturating_sub(before) }
    }

    /// Seals and sends `count` packets to every receiver of `room`.
    fn send(
        &mut self,
        sender: &mut Sender<UdpWire>,
        room: std::ops::Range<usize>,
        (source, arena): (&[u8], &mut [u8]),
        count: usize,
    ) -> u64 {
        let sealed = source.len() + AES_128_GCM.tag_len();
        for slot in arena.chunks_exact_mut(SLOT).take(room.len() * count) {
            slot[..source.len()].copy_from_slice(source);
            self.seal(&mut slot[..sealed]);
        }
        let mut batch = sender.batch();
        let mut slots = arena.chunks_exact(SLOT);
        for receiver in &self.receivers[room.clone()] {
            let mut run: [&[u8]; 64] = [&[]; 64];
            for packet in &mut run[..count] {
                *packet = slots.next().map_or(&[], |slot| &slot[..sealed]);
            }
            batch.push(*receiver, &run[..count]);
        }
        (room.len() * count) as u64
    }

    fn seal(&mut self, packet: &mut [u8]) {
        self.sealed += 1;
        let mut nonce = [0_u8; 12];
        nonce[4..].copy_from_slice(&self.sealed.to_be_bytes());
        // Marks it as RTP, so that the reader counts it.
        packet[..2].copy_from_slice(&[0x80, 96]);
        let end = packet.len() - AES_128_GCM.tag_len();
        let (header, rest) = packet.split_at_mut(HEADER);
        let (payload, trailer) = rest.split_at_mut(end - HEADER);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload);
        if let Ok(tag) = tag {
            trailer.copy_from_slice(tag.as_ref());
        }
    }
}

/// Time of this thread on a processor.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the duration of the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
