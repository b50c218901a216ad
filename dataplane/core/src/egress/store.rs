//! The payload of a stream's last packets, kept once per lane for the retransmissions of all its legs.
//!
//! In: decrypted packets as they pass. Out: the same, by their input number, until newer ones took the
//! room. One allocation when the stream starts, none afterwards.

use super::packet::Original;
use super::sequence::Source;
use crate::media::{ExtensionFacts, MediaKind, MediaPacket, PacketMeta, Span};

/// Bytes kept of a video stream: 1.6 s at 2.5 Mbit/s.
const VIDEO_BYTES: usize = 512 * 1_024;

/// Bytes kept of an audio stream: two seconds at 64 kbit/s.
const AUDIO_BYTES: usize = 16 * 1_024;

/// Packets that are remembered, for video and audio.
const VIDEO_PACKETS: usize = 1_024;
const AUDIO_PACKETS: usize = 128;

#[derive(Clone, Copy, Debug)]
struct Entry {
    input: u32,
    generation: u8,
    len: u16,
    payload: Span,
    /// Bytes written before this packet since the start; tells whether it was overwritten.
    at: u64,
    extensions: ExtensionFacts,
}

/// Packets whose facts are kept whole: those of a key frame whose first packet may come last, and what follows
/// it until then: 250 kB.
const RECENT: usize = 256;

/// The last packets of one stream.
#[derive(Debug)]
pub struct Store {
    bytes: Box<[u8]>,
    recent: Box<[Option<PacketMeta>]>,
    entries: Box<[Option<Entry>]>,
    written: u64,
}

impl Store {
    /// An empty store of the size that the kind of media deserves.
    pub fn new(kind: MediaKind) -> Self {
        let (bytes, entries) = match kind {
            MediaKind::Video => (VIDEO_BYTES, VIDEO_PACKETS),
            MediaKind::Audio => (AUDIO_BYTES, AUDIO_PACKETS),
        };
        Self {
            bytes: vec![0; bytes].into_boxed_slice(),
            recent: vec![None; RECENT].into_boxed_slice(),
            entries: vec![None; entries].into_boxed_slice(),
            written: 0,
        }
    }

    /// Keeps a packet.
    pub fn put(&mut self, packet: &MediaPacket<'_>) {
        let meta = packet.meta;
        let Some(bytes) = packet.bytes.get(..usize::from(meta.payload.end)) else { return };
        let size = self.bytes.len() as u64;
        let offset = self.written % size;
        if offset + bytes.len() as u64 > size {
            self.written += size - offset;
        }
        let start = (self.written % size) as usize;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.recent[meta.n as usize % RECENT] = Some(*meta);
        let index = meta.n as usize % self.entries.len();
        self.entries[index] = Some(Entry {
            input: meta.n as u32,
            generation: meta.generation,
            len: bytes.len() as u16,
            payload: meta.payload,
            at: self.written,
            extensions: meta.extensions,
        });
        self.written += bytes.len() as u64;
    }

    /// The packet `n` of `source` with all of its facts, if it came a moment ago.
    pub fn recent(&self, source: Source, n: u64) -> Option<MediaPacket<'_>> {
        let meta = self.recent[n as usize % RECENT].as_ref()?;
        let same = meta.n == n && meta.generation == source.generation;
        let bytes = self.get(source, n as u32).filter(|_| same)?.bytes;
        Some(MediaPacket { meta, bytes })
    }

    /// The packet `input` of `source`, if it is still there.
    pub fn get(&self, source: Source, input: u32) -> Option<Original<'_>> {
        let entry = self.entries[input as usize % self.entries.len()].as_ref()?;
        let size = self.bytes.len() as u64;
        let kept = entry.at + size >= self.written;
        if entry.input != input || entry.generation != source.generation || !kept {
            return None;
        }
        let start = (entry.at % size) as usize;
        Some(Original {
            bytes: &self.bytes[start..start + usize::from(entry.len)],
            payload: entry.payload,
            extensions: &entry.extensions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::test_support::video;

    const A: Source = Source { stream: 0, generation: 0 };

    fn put(store: &mut Store, n: u64, len: usize) {
        let meta = PacketMeta { payload: Span { start: 12, end: len as u16 }, ..video(0, n) };
        store.put(&MediaPacket { meta: &meta, bytes: &vec![n as u8; len] });
    }

    #[test]
    fn packets_come_back_whole_until_their_bytes_are_overwritten() {
        let mut store = Store::new(MediaKind::Video);
        for n in 0..2_000u64 {
            put(&mut store, n, 900 + (n % 300) as usize);
            let kept = (0..=n).rev().take_while(|&n| store.get(A, n as u32).is_some()).count();
            assert!(kept >= 400.min(n as usize + 1), "only {kept} kept after {n}");
            for n in n + 1 - kept as u64..=n {
                let original = store.get(A, n as u32).unwrap();
                assert!(original.bytes.iter().all(|&byte| byte == n as u8));
            }
        }
    }

    #[test]
    fn the_last_packets_come_back_with_their_facts() {
        let mut store = Store::new(MediaKind::Video);
        for n in 0..300 {
            put(&mut store, n, 200);
        }
        assert!(store.recent(A, 43).is_none());
        let found = store.recent(A, 44).unwrap();
        assert_eq!((found.meta.n, found.meta.t, found.bytes.len()), (44, 44 * 3_000, 200));
        assert!(store.recent(Source { generation: 1, ..A }, 299).is_none());
    }

    #[test]
    fn another_generation_has_other_packets() {
        let mut store = Store::new(MediaKind::Audio);
        put(&mut store, 7, 100);
        assert!(store.get(A, 7).is_some());
        assert!(store.get(Source { generation: 1, ..A }, 7).is_none());
        assert!(store.get(A, 8).is_none());
    }
}
