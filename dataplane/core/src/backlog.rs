//! Frames that wait for a TCP connection to take them, and what is given up when it does not.
//!
//! In: sealed packets with what they carry, `now`, how many bytes the connection took. Out: bytes in order, and
//! the packets that were given up, by reason. A receiver behind a blocked connection must not find minutes of
//! old pictures when it comes back, nor may it cost more memory than its share:
//!
//! 1. When the backlog holds too much, or its video has waited too long, its video goes, the oldest first and
//!    all of it: after one lost packet the rest could not be decoded anyway.
//! 2. Audio that has waited too long goes next, and when there is still too much, the oldest audio.
//! 3. Connectivity checks, DTLS and RTCP stay; when nothing else is left to give up, the newcomer is refused.
//!
//! A frame whose first byte is on the wire is finished, whatever it carries. Slots come from a [`Pool`] that all
//! connections of a lane share: nothing is allocated while it has some.

use std::collections::VecDeque;
use std::time::Duration;

use crate::drop::{DropCounters, DropReason};
use crate::framing;
use crate::outbox::{Load, SLOT};
use crate::time::Time;

/// Bytes that one connection may have waiting: a key frame of a large picture and half a second around it.
pub const MAX_BYTES: usize = 512 * 1_024;

/// Frames that one connection may have waiting: [`MAX_BYTES`] in packets of a common size.
pub const MAX_FRAMES: usize = 512;

/// How long video may wait: about as long as people bear a frozen picture before they would rather have it jump.
pub const VIDEO_AGE: Duration = Duration::from_millis(1_500);

/// How long audio may wait: what a receiver's jitter buffer takes at most.
pub const AUDIO_AGE: Duration = Duration::from_secs(2);

/// Bytes of one slot: a send slot behind its frame header.
const POOL_SLOT: usize = framing::HEADER + SLOT;

/// Slots that are allocated at once.
const CHUNK: usize = 128;

/// Slots of all connections of one lane: 32 full backlogs, 24 MiB.
pub const MAX_SLOTS: usize = 32 * MAX_FRAMES;

/// Slots shared by the connections of a lane; grows with the need up to [`MAX_SLOTS`] and never shrinks.
#[derive(Debug, Default)]
pub struct Pool {
    chunks: Vec<Box<[u8]>>,
    free: Vec<u32>,
}

impl Pool {
    /// Bytes that it holds on to.
    pub fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * POOL_SLOT
    }

    fn has_room(&self) -> bool {
        !self.free.is_empty() || self.chunks.len() * CHUNK < MAX_SLOTS
    }

    fn take(&mut self) -> Option<u32> {
        if self.free.is_empty() && self.has_room() {
            let first = (self.chunks.len() * CHUNK) as u32;
            self.chunks.push(vec![0; CHUNK * POOL_SLOT].into_boxed_slice());
            self.free.extend((first..first + CHUNK as u32).rev());
        }
        self.free.pop()
    }

    fn give_back(&mut self, slot: u32) {
        self.free.push(slot);
    }

    fn slot(&mut self, slot: u32) -> &mut [u8] {
        let (chunk, place) = (slot as usize / CHUNK, slot as usize % CHUNK);
        &mut self.chunks[chunk][place * POOL_SLOT..][..POOL_SLOT]
    }

    fn bytes_of(&self, slot: u32) -> &[u8] {
        let (chunk, place) = (slot as usize / CHUNK, slot as usize % CHUNK);
        &self.chunks[chunk][place * POOL_SLOT..][..POOL_SLOT]
    }
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    slot: u32,
    /// Length with the frame header.
    len: u16,
    load: Load,
    since: Time,
}

/// A packet for the backlog.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The datagram, without frame header.
    pub packet: &'a [u8],
    /// What it carries.
    pub load: Load,
    /// Bytes of the frame, header included, that the connection has taken already.
    pub written: usize,
}

/// What waits for one connection.
#[derive(Debug, Default)]
pub struct Backlog {
    queue: VecDeque<Waiting>,
    bytes: usize,
    /// Bytes of the first frame that are on the wire already.
    written: usize,
    /// When the connection last took something, or when this began to wait.
    moved: Time,
    lost_video: bool,
}

impl Backlog {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Frames that wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes that wait, frame headers included.
    pub fn bytes(&self) -> usize {
        self.bytes - self.written
    }

    /// Whether video was given up since the backlog was last empty: the picture needs a key frame.
    pub fn has_lost_video(&self) -> bool {
        self.lost_video
    }

    /// How long the connection has taken nothing although something waits.
    pub fn stuck_for(&self, now: Time) -> Duration {
        if self.is_empty() {
            Duration::ZERO
        } else {
            now.since(self.moved)
        }
    }

    /// Keeps a packet. What has to go for it, perhaps itself, is counted in `drops`. One that has begun to
    /// leave is always kept; only an empty backlog gets such a one.
    pub fn push(
        &mut self,
        now: Time,
        frame: Frame<'_>,
        pool: &mut Pool,
        drops: &mut DropCounters,
    ) -> Result<(), DropReason> {
        debug_assert!(frame.written == 0 || self.is_empty());
        self.expire(now, pool, drops);
        let len = framing::HEADER + frame.packet.len();
        let room = self.make_room(len, frame.load, pool, drops);
        let Some(slot) = room.then(|| pool.take()).flatten() else {
            let reason = reason(frame.load);
            self.lost_video |= frame.load == Load::Video;
            drops.count(reason);
            return Err(reason);
        };
        let bytes = pool.slot(slot);
        bytes[..framing::HEADER].copy_from_slice(&framing::header(frame.packet.len()));
        bytes[framing::HEADER..len].copy_from_slice(frame.packet);
        if self.is_empty() {
            self.moved = now;
            self.written = frame.written;
        }
        self.bytes += len;
        self.queue.push_back(Waiting { slot, len: len as u16, load: frame.load, since: now });
        Ok(())
    }

    /// Gives up what has waited too long.
    pub fn expire(&mut self, now: Time, pool: &mut Pool, drops: &mut DropCounters) {
        let late =
            |waiting: &Waiting, load, age| waiting.load == load && now.since(waiting.since) > age;
        let unsent = self.queue.iter().skip(usize::from(self.written > 0));
        let (mut video, mut audio) = (false, false);
        for waiting in unsent.take_while(|waiting| now.since(waiting.since) > VIDEO_AGE) {
            video |= late(waiting, Load::Video, VIDEO_AGE);
            audio |= late(waiting, Load::Audio, AUDIO_AGE);
        }
        if video {
            self.give_up(|waiting| waiting.load == Load::Video, pool, drops);
        }
        if audio {
            self.give_up(|waiting| late(waiting, Load::Audio, AUDIO_AGE), pool, drops);
        }
    }

    /// Hands the bytes that wait to `take`, frame by frame, until it wants no more.
    pub fn gather<'a>(&'a self, pool: &'a Pool, mut take: impl FnMut(&'a [u8]) -> bool) {
        let mut skip = self.written;
        for waiting in &self.queue {
            let bytes = &pool.bytes_of(waiting.slot)[..usize::from(waiting.len)];
            if !take(&bytes[std::mem::take(&mut skip)..]) {
                return;
            }
        }
    }

    /// The connection took `count` bytes.
    pub fn advance(&mut self, now: Time, mut count: usize, pool: &mut Pool) {
        if count > 0 {
            self.moved = now;
        }
        while let Some(&first) = self.queue.front() {
            let left = usize::from(first.len) - self.written;
            if count < left {
                self.written += count;
                return;
            }
            count -= left;
            self.written = 0;
            self.bytes -= usize::from(first.len);
            self.queue.pop_front();
            pool.give_back(first.slot);
        }
        self.lost_video = false;
    }

    /// The connection is gone; how many frames go with it.
    pub fn clear(&mut self, pool: &mut Pool) -> u64 {
        let lost = self.queue.len() as u64;
        self.queue.drain(..).for_each(|waiting| pool.give_back(waiting.slot));
        *self = Self::default();
        lost
    }

    /// Whether a frame of `len` bytes with this load finds room, once everything went that goes before it.
    fn make_room(
        &mut self,
        len: usize,
        load: Load,
        pool: &mut Pool,
        drops: &mut DropCounters,
    ) -> bool {
        let room = |this: &Self, pool: &Pool| {
            this.bytes + len <= MAX_BYTES && this.queue.len() < MAX_FRAMES && pool.has_room()
        };
        if room(self, pool) {
            return true;
        }
        self.give_up(|waiting| waiting.load == Load::Video, pool, drops);
        if load == Load::Video {
            return false;
        }
        while !room(self, pool) {
            let unsent = self.queue.iter().skip(usize::from(self.written > 0));
            let audio = unsent.filter(|waiting| waiting.load == Load::Audio);
            let Some(oldest) = audio.map(|waiting| waiting.slot).next() else { return false };
            self.give_up(|waiting| waiting.slot == oldest, pool, drops);
        }
        true
    }

    /// Gives up the frames for which `goes` holds, except one that has begun to leave.
    fn give_up(
        &mut self,
        goes: impl Fn(&Waiting) -> bool,
        pool: &mut Pool,
        drops: &mut DropCounters,
    ) {
        let Self { queue, bytes, written, lost_video, .. } = self;
        let mut begun = *written > 0;
        queue.retain(|waiting| {
            if std::mem::take(&mut begun) || !goes(waiting) {
                return true;
            }
            *bytes -= usize::from(waiting.len);
            *lost_video |= waiting.load == Load::Video;
            pool.give_back(waiting.slot);
            drops.count(reason(waiting.load));
            false
        });
    }
}

/// The name under which a load is given up.
fn reason(load: Load) -> DropReason {
    match load {
        Load::Video => DropReason::TcpVideoShed,
        Load::Audio => DropReason::TcpAudioShed,
        Load::Control => DropReason::TcpQueueFull,
    }
}

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
