//! A publisher's encoder: simulcast VP8 with three temporal layers, or Opus. Every packet says in clear what
//! it is, so that an observer can tell what became of it.

use std::collections::BTreeMap;

use conclave_core::rtp::write::{Fields, HeaderWriter};
use conclave_core::rtp::ExtensionForm;

pub const VIDEO_PT: u8 = 96;
pub const VIDEO_RTX_PT: u8 = 97;
pub const AUDIO_PT: u8 = 111;
pub const MID_ID: u8 = 4;
pub const RID_ID: u8 = 10;
pub const REPAIRED_ID: u8 = 11;
pub const LEVEL_ID: u8 = 1;
pub const WIDE_ID: u8 = 3;
pub const SEND_TIME_ID: u8 = 2;

/// What a packet says about itself, behind the codec's descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Content {
    pub stream: u8,
    pub temporal: u8,
    pub key: bool,
    /// Which frame of the stream, which packet of the frame, of how many.
    pub frame: u32,
    pub index: u8,
    pub count: u8,
    pub capture_ms: u32,
}

pub const CONTENT: usize = 14;
const MAGIC: u8 = 0x5A;

impl Content {
    fn bytes(&self) -> [u8; CONTENT] {
        let mut out = [0; CONTENT];
        out[0] = MAGIC;
        out[1] = self.stream;
        out[2] = self.temporal | u8::from(self.key) << 7;
        out[3] = self.index;
        out[4] = self.count;
        out[6..10].copy_from_slice(&self.frame.to_be_bytes());
        out[10..14].copy_from_slice(&self.capture_ms.to_be_bytes());
        out
    }

    /// What a whole video packet says.
    pub fn of(packet: &[u8]) -> Option<Self> {
        let header = conclave_core::rtp::Header::parse(packet).ok()?;
        Self::parse(header.payload.of(packet).get(7..)?)
    }

    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..CONTENT)?;
        (bytes[0] == MAGIC).then_some(Self {
            stream: bytes[1],
            temporal: bytes[2] & 0x7F,
            key: bytes[2] & 0x80 != 0,
            index: bytes[3],
            count: bytes[4],
            frame: u32::from_be_bytes(bytes[6..10].try_into().ok()?),
            capture_ms: u32::from_be_bytes(bytes[10..14].try_into().ok()?),
        })
    }
}

/// One RTP stream of a track.
pub struct Stream {
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub rid: Option<String>,
    pub enabled: bool,
    /// Whether it makes key frames when asked for them.
    pub obeys: bool,
    /// How long encoding takes: what is sent was captured so long ago, milliseconds.
    pub lag_ms: u64,
    pub want_key: bool,
    /// Key frames that were made.
    pub keys: u32,
    pub packets: u32,
    pub octets: u32,
    seq: u16,
    rtx_seq: u16,
    clock: u32,
    picture: u16,
    tl0: u8,
    key_idx: u8,
    frame: u32,
    /// Packets of an ordinary frame; a key frame has three times as many.
    pub per_frame: u8,
    kept: BTreeMap<u16, Vec<u8>>,
}

impl Stream {
    fn new(ssrc: u32, rid: Option<String>, per_frame: u8) -> Self {
        // Numbers start just before their wraps, each stream elsewhere.
        Self {
            ssrc,
            rtx_ssrc: ssrc + 1_000,
            rid,
            enabled: true,
            obeys: true,
            lag_ms: 0,
            want_key: true,
            keys: 0,
            packets: 0,
            octets: 0,
            seq: 65_400u16.wrapping_add((ssrc % 97) as u16),
            rtx_seq: 7,
            clock: ssrc.wrapping_mul(0x9E37_79B1),
            picture: 32_700 + (ssrc % 37) as u16,
            tl0: 250,
            key_idx: 30,
            frame: 0,
            per_frame,
            kept: BTreeMap::new(),
        }
    }

    /// Starts over as a publisher does that lost its encoder: new numbers, new clock.
    pub fn restart(&mut self) {
        if !self.enabled {
            // Two jumps without a packet between them would lead backwards.
            return;
        }
        self.seq = self.seq.wrapping_add(20_000);
        self.clock = self.clock.wrapping_add(0x4000_0000);
        self.picture = 5;
        self.want_key = true;
    }

    /// The number of what was sent last.
    pub fn last_number(&self) -> u16 {
        self.seq.wrapping_sub(1)
    }

    /// The RTP time stamp of a capture time.
    pub fn timestamp(&self, capture_us: u64, rate: u32) -> u32 {
        self.clock.wrapping_add((capture_us * u64::from(rate) / 1_000_000) as u32)
    }
}

/// A track's encoder.
pub struct Encoder {
    pub mid: String,
    pub video: bool,
    pub streams: Vec<Stream>,
    /// Frames carry three temporal layers.
    pub layered: bool,
    pub running: bool,
    next_us: u64,
}

impl Encoder {
    /// Simulcast video, or a single stream for one.
    pub fn video(mid: &str, ssrc: u32, streams: u8) -> Self {
        let stream = |index: u8| {
            let rid = (streams > 1).then(|| ["q", "h", "f"][usize::from(index)].to_owned());
            Stream::new(ssrc + u32::from(index), rid, 1 + 2 * index)
        };
        Self {
            mid: mid.into(),
            video: true,
            streams: (0..streams).map(stream).collect(),
            layered: false,
            running: true,
            next_us: 0,
        }
    }

    /// With or without three temporal layers.
    pub fn layered(mut self, layered: bool) -> Self {
        self.layered = layered;
        self
    }

    pub fn audio(mid: &str, ssrc: u32) -> Self {
        Self {
            mid: mid.into(),
            video: false,
            streams: vec![Stream::new(ssrc, None, 1)],
            layered: false,
            running: true,
            next_us: 0,
        }
    }

    pub fn rate(&self) -> u32 {
        if self.video {
            90_000
        } else {
            48_000
        }
    }

    /// The packets that are due at `now_us`, plaintext.
    pub fn poll(&mut self, now_us: u64) -> Vec<Vec<u8>> {
        if !self.running || now_us < self.next_us {
            return Vec::new();
        }
        self.next_us = now_us + if self.video { 33_000 } else { 20_000 };
        let (mid, video, layered, rate) = (self.mid.clone(), self.video, self.layered, self.rate());
        let mut packets = Vec::new();
        for (index, stream) in self.streams.iter_mut().enumerate() {
            if stream.enabled {
                packets.extend(frame(
                    stream,
                    (index as u8, &mid),
                    (video, layered),
                    (now_us, rate),
                ));
            }
        }
        packets
    }

    /// A retransmission of what was sent under `seq`.
    pub fn repair(&mut self, ssrc: u32, seq: u16) -> Option<Vec<u8>> {
        let stream = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc)?;
        let original = stream.kept.get(&seq)?.clone();
        let fields = Fields {
            marker: original[1] & 0x80 != 0,
            payload_type: VIDEO_RTX_PT,
            sequence: stream.rtx_seq,
            timestamp: u32::from_be_bytes(original[4..8].try_into().unwrap()),
            ssrc: stream.rtx_ssrc,
        };
        stream.rtx_seq = stream.rtx_seq.wrapping_add(1);
        let header = conclave_core::rtp::Header::parse(&original).unwrap();
        let repaired = (REPAIRED_ID, stream.rid.clone());
        let mut packet = head(&fields, &self.mid, repaired, None);
        packet.extend(seq.to_be_bytes());
        packet.extend(header.payload.of(&original));
        Some(packet)
    }
}

fn frame(
    stream: &mut Stream,
    (index, mid): (u8, &str),
    (video, layered): (bool, bool),
    (now_us, rate): (u64, u32),
) -> Vec<Vec<u8>> {
    let now_us = now_us.saturating_sub(stream.lag_ms * 1_000);
    let key = video && std::mem::take(&mut stream.want_key);
    let phase = if key { 0 } else { stream.frame % 4 };
    let temporal = if layered { [0, 2, 1, 2][phase as usize] } else { 0 };
    if key {
        stream.keys += 1;
        stream.key_idx = (stream.key_idx + 1) & 0x1F;
        // The pattern of layers starts anew.
        stream.frame = stream.frame.next_multiple_of(4);
    }
    if temporal == 0 {
        stream.tl0 = stream.tl0.wrapping_add(1);
    }
    let count = if key { stream.per_frame * 3 } else { stream.per_frame };
    let packets = (0..count)
        .map(|part| {
            let content = Content {
                stream: index,
                temporal,
                key,
                frame: stream.frame,
                index: part,
                count,
                capture_ms: (now_us / 1_000) as u32,
            };
            packet(stream, (mid, video), &content, stream.timestamp(now_us, rate))
        })
        .collect();
    stream.frame += 1;
    stream.picture = (stream.picture + 1) & 0x7FFF;
    packets
}

fn packet(stream: &mut Stream, (mid, video): (&str, bool), content: &Content, t: u32) -> Vec<u8> {
    let last = content.index + 1 == content.count;
    let fields = Fields {
        marker: video && last,
        payload_type: if video { VIDEO_PT } else { AUDIO_PT },
        sequence: stream.seq,
        timestamp: t,
        ssrc: stream.ssrc,
    };
    let level = (!video).then_some(0x94);
    let mut packet = head(&fields, mid, (RID_ID, stream.rid.clone()), level);
    let start = packet.len();
    if video {
        let first = 0x80 | u8::from(content.index == 0) << 4;
        let sync = u8::from(content.temporal > 0) << 5;
        packet.extend([first, 0xF0]);
        packet.extend((stream.picture | 0x8000).to_be_bytes());
        packet.extend([stream.tl0, content.temporal << 6 | sync | stream.key_idx]);
        // The inverse key frame bit leads the first partition (RFC 7741 section 4.3).
        packet.push(u8::from(!content.key));
    }
    packet.extend(content.bytes());
    // A frame is cut about equally, the longer parts last.
    let long = u32::from(content.index >= content.count / 2);
    let fill = if video { 900 + long } else { 80 };
    packet.extend((0..fill).map(|byte| (byte ^ content.frame) as u8));
    stream.octets = stream.octets.wrapping_add((packet.len() - start) as u32);
    stream.packets += 1;
    stream.kept.insert(stream.seq, packet.clone());
    if stream.kept.len() > 2_000 {
        stream.kept.remove(&stream.seq.wrapping_sub(2_000));
    }
    stream.seq = stream.seq.wrapping_add(1);
    packet
}

fn head(
    fields: &Fields,
    mid: &str,
    (rid_id, rid): (u8, Option<String>),
    level: Option<u8>,
) -> Vec<u8> {
    let mut out = vec![0; 200];
    let mut writer = HeaderWriter::new(&mut out, fields, ExtensionForm::OneByte).unwrap();
    writer.element(MID_ID, mid.as_bytes()).unwrap();
    if let Some(rid) = rid {
        writer.element(rid_id, rid.as_bytes()).unwrap();
    }
    if let Some(level) = level {
        writer.element(LEVEL_ID, &[level]).unwrap();
    }
    let length = writer.finish().unwrap();
    out.truncate(length);
    out
}
