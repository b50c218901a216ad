//! What every receiver must see (independent of the code under test): one content per number, time that
//! does not go back, whole frames with one end each, consecutive picture ids, a key frame first.

use std::collections::BTreeMap;

use super::encoder::Content;

/// One packet as the receiver has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub t: u64,
    pub marker: bool,
    /// `None` for a packet that carries nothing.
    pub content: Option<Content>,
    /// VP8 picture id, TL0PICIDX, KEYIDX.
    pub ids: Option<(u16, u8, u8)>,
    pub arrived_ms: u64,
    payload: Vec<u8>,
}

/// A frame put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub stream: u8,
    pub temporal: u8,
    pub key: bool,
    pub number: u32,
    pub capture_ms: u32,
    pub t: u64,
    /// All of its packets are there.
    pub whole: bool,
}

/// Everything that arrived on one media SSRC.
#[derive(Debug, Default)]
pub struct Observer {
    pub video: bool,
    pub packets: BTreeMap<u64, Seen>,
    pub repaired: u64,
    newest_t: Option<u64>,
}

impl Observer {
    pub fn new(video: bool) -> Self {
        Self { video, ..Self::default() }
    }

    /// Records a packet; panics if another one came under the same number.
    pub fn record(
        &mut self,
        n: u64,
        t: u32,
        marker: bool,
        payload: &[u8],
        arrived_ms: u64,
    ) -> bool {
        let newest = self.newest_t.unwrap_or((1 << 32) + u64::from(t));
        let t = newest.wrapping_add_signed(i64::from(t.wrapping_sub(newest as u32) as i32));
        self.newest_t = Some(newest.max(t));
        let (ids, body) = self.split(payload);
        let content = Content::parse(body);
        assert_eq!(content.is_none(), payload.is_empty(), "a payload that we did not make");
        let seen = Seen { t, marker, content, ids, arrived_ms, payload: payload.to_vec() };
        if let Some(before) = self.packets.get(&n) {
            let same =
                (&before.payload, before.t, before.marker) == (&seen.payload, seen.t, marker);
            assert!(same, "number {n} twice: {:?} and {:?}", before.content, seen.content);
            return false;
        }
        self.packets.insert(n, seen);
        true
    }

    /// The VP8 numbers of a payload, and what follows the descriptor and the frame header.
    fn split<'a>(&self, payload: &'a [u8]) -> (Option<(u16, u8, u8)>, &'a [u8]) {
        if !self.video || payload.is_empty() {
            return (None, payload);
        }
        assert_eq!(payload[1], 0xF0, "all numbers stay present");
        assert!(payload[2] & 0x80 != 0, "picture ids are always wide");
        let picture = u16::from_be_bytes([payload[2], payload[3]]) & 0x7FFF;
        (Some((picture, payload[4], payload[5] & 0x1F)), &payload[7..])
    }

    /// Numbers between the first and the last that never came.
    pub fn missing(&self) -> Vec<u64> {
        let numbers: Vec<_> = self.packets.keys().copied().collect();
        numbers.windows(2).flat_map(|pair| pair[0] + 1..pair[1]).collect()
    }

    /// Checks all promises and returns the frames in order.
    pub fn frames(&self) -> Vec<Frame> {
        let media: Vec<_> =
            self.packets.iter().filter(|(_, seen)| seen.content.is_some()).collect();
        if self.video {
            let first = media.first().and_then(|(_, seen)| seen.content);
            // Its very first packet may be lost on the way, and the receiver cannot know.
            assert!(first.is_none_or(|first| first.key), "starts at {first:?}");
        }
        let mut frames: Vec<Frame> = Vec::new();
        let mut start = 0;
        while start < media.len() {
            let t = media[start].1.t;
            let length = media[start..].iter().take_while(|(_, seen)| seen.t == t).count();
            frames.push(frame(&media[start..start + length]));
            start += length;
        }
        for pair in frames.windows(2) {
            assert!(pair[0].t < pair[1].t, "time goes back: {pair:?}");
        }
        if self.video {
            Self::check_ids(&media);
        }
        frames
    }

    /// Picture ids never skip one without a number in between that is missing, or was declared empty: the
    /// picture that should have been there had come too late to close up behind it.
    fn check_ids(media: &[(&u64, &Seen)]) {
        for pair in media.windows(2) {
            let ((&n, before), (&next, after)) = (pair[0], pair[1]);
            let (Some(a), Some(b)) = (before.ids, after.ids) else { continue };
            let step = b.0.wrapping_sub(a.0) & 0x7FFF;
            let absent = next > n + 1;
            if before.t == after.t {
                assert_eq!(step, 0, "one picture, one id");
            } else if !absent {
                assert_eq!(step, 1, "picture ids between {n} and {next}: {before:?} {after:?}");
            }
            if !absent && after.t != before.t {
                let base = after.content.is_some_and(|content| content.temporal == 0);
                assert_eq!(b.1.wrapping_sub(a.1), u8::from(base), "TL0PICIDX at {next}");
            }
        }
    }

    /// Frames of which all packets came, as (stream, frame): what two receivers can be compared by.
    pub fn whole(&self) -> Vec<(u8, u32)> {
        let frames = self.frames();
        frames.iter().filter(|f| f.whole).map(|f| (f.stream, f.number)).collect()
    }

    /// Streams in the order in which they came on the wire.
    pub fn streams(&self) -> Vec<u8> {
        let mut streams: Vec<_> = self.frames().iter().map(|frame| frame.stream).collect();
        streams.dedup();
        streams
    }
}

fn frame(packets: &[(&u64, &Seen)]) -> Frame {
    let contents: Vec<_> = packets.iter().filter_map(|(_, seen)| seen.content).collect();
    let first = contents[0];
    for (packet, content) in packets.iter().zip(&contents) {
        let same = (content.stream, content.frame) == (first.stream, first.frame);
        assert!(same, "two frames at one time: {first:?} {content:?}");
        let last = content.index + 1 == content.count;
        assert_eq!(packet.1.marker && packet.1.ids.is_some(), last && packet.1.ids.is_some());
    }
    for pair in packets.windows(2) {
        let apart = pair[1].0 - pair[0].0;
        let parts = pair.iter().filter_map(|(_, seen)| seen.content).map(|c| u64::from(c.index));
        let parts: Vec<_> = parts.collect();
        assert_eq!(apart, parts[1] - parts[0], "the parts of a frame keep their distance");
    }
    Frame {
        stream: first.stream,
        temporal: first.temporal,
        key: first.key,
        number: first.frame,
        capture_ms: first.capture_ms,
        t: packets[0].1.t,
        whole: contents.len() == usize::from(first.count),
    }
}
