//! What an authenticated media packet is to the rest of the core: facts parsed once at ingress, bytes beside.
//!
//! [`PacketMeta`] is `Copy` and self-contained, so a packet can cross to another lane as (meta, bytes).

use crate::ids::TrackId;
use crate::time::Time;

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// Audio.
    Audio,
    /// Video.
    Video,
}

/// Codecs that pass through; the depth to which each is understood is in `codec/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Opus (RFC 7587).
    Opus,
    /// Redundant audio around Opus (RFC 2198).
    Red,
    /// G.711 u-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
    /// H.265 (RFC 7798).
    H265,
    /// AV1 (AOM RTP specification).
    Av1,
}

/// Header extensions that are understood (RFC 8285 identifies them by URI in SDP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Extension {
    /// urn:ietf:params:rtp-hdrext:sdes:mid
    Mid,
    /// urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
    Rid,
    /// urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id
    RepairedRid,
    /// urn:ietf:params:rtp-hdrext:ssrc-audio-level
    AudioLevel,
    /// http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
    AbsSendTime,
    /// http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
    TransportWideCc,
    /// https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension
    DependencyDescriptor,
    /// http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time
    AbsCaptureTime,
    /// http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
    PlayoutDelay,
    /// urn:3gpp:video-orientation
    VideoOrientation,
    /// http://www.webrtc.org/experiments/rtp-hdrext/video-content-type
    VideoContentType,
    /// http://www.webrtc.org/experiments/rtp-hdrext/color-space
    ColorSpace,
    /// http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00
    VideoLayersAllocation,
}

/// A byte range inside the packet's buffer; empty means absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u16,
    /// One past the last byte.
    pub end: u16,
}

impl Span {
    /// The bytes of `packet` that this span names; empty if it lies outside.
    pub fn of(self, packet: &[u8]) -> &[u8] {
        packet.get(usize::from(self.start)..usize::from(self.end)).unwrap_or(&[])
    }

    /// Whether nothing is named.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// The extensions of a packet that a leg may copy, parsed once.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtensionFacts {
    /// RFC 6464: voice-activity bit 7 and level 0 (loud) to 127 (silent) in -dBov.
    pub audio_level: Option<u8>,
    /// Raw dependency descriptor.
    pub dependency_descriptor: Span,
    /// Raw abs-capture-time (8 or 16 bytes).
    pub abs_capture_time: Span,
    /// Raw playout delay (12 + 12 bits).
    pub playout_delay: Option<u32>,
    /// Raw coordination of video orientation byte.
    pub video_orientation: Option<u8>,
    /// Raw video content type byte.
    pub video_content_type: Option<u8>,
    /// Raw colour space.
    pub color_space: Span,
}

/// VP8 payload descriptor (RFC 7741 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Vp8Facts {
    /// Bytes that the descriptor takes at the start of the payload.
    pub descriptor_len: u8,
    /// Picture id with its width in bits (7 or 15).
    pub picture_id: Option<(u16, u8)>,
    /// TL0PICIDX.
    pub tl0_pic_idx: Option<u8>,
    /// KEYIDX, 5 bits.
    pub key_idx: Option<u8>,
    /// Whether a TID was present.
    pub has_tid: bool,
}

/// VP9 payload descriptor (RFC 9628 section 4.2), as far as forwarding needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Vp9Facts {
    /// Offset and width in bits (7 or 15) of the picture id inside the payload.
    pub picture_id: Option<(u16, u8)>,
    /// Value and payload offset of TL0PICIDX (absent in flexible mode).
    pub tl0_pic_idx: Option<(u8, u8)>,
    /// P: this picture depends on an earlier picture.
    pub inter_picture: bool,
    /// D: this layer depends on the lower spatial layer of the same picture.
    pub inter_layer: bool,
    /// Z: not a reference for upper spatial layers.
    pub not_for_upper: bool,
}

/// Dependency descriptor of one frame (AV1 RTP specification, appendix A), resolved against its structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DependencyFacts {
    /// Unwrapped frame number.
    pub frame: u64,
    /// Decode target indications, 2 bits each, target 0 in the lowest bits (0 not present, 1 discardable,
    /// 2 switch, 3 required).
    pub dti: u64,
    /// Number of decode targets of the structure.
    pub targets: u8,
    /// Distances to referenced frames; zero ends the list.
    pub frame_diffs: [u16; 8],
    /// Distance to the previous frame of each chain; zero means none.
    pub chain_diffs: [u8; 8],
    /// For each decode target the chain that protects it (`0xFF` none).
    pub protected_by: [u8; 32],
    /// Highest spatial and temporal id of each decode target, packed `spatial << 4 | temporal`.
    pub target_layers: [u8; 32],
    /// Targets that the sender marks active.
    pub active_targets: u32,
    /// Whether this packet carries the structure (a key frame of the encoding).
    pub has_structure: bool,
}

/// What the codec or descriptor says about the frame that a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecFacts {
    /// Nothing that a receiver needs rewritten.
    Opaque,
    /// VP8.
    Vp8(Vp8Facts),
    /// VP9.
    Vp9(Vp9Facts),
    /// Any codec with a dependency descriptor.
    Dependency(DependencyFacts),
}

/// Frame facts that layer selection reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameFacts {
    /// First packet of its frame.
    pub start: bool,
    /// Last packet of its frame.
    pub end: bool,
    /// Belongs to a frame at which decoding can start.
    pub keyframe: bool,
    /// Temporal layer id.
    pub temporal: u8,
    /// Spatial layer id inside this RTP stream (SVC); 0 for simulcast streams.
    pub spatial: u8,
    /// A receiver may start decoding this temporal layer here.
    pub switch_up: bool,
    /// No other frame refers to this one.
    pub discardable: bool,
    /// Codec-specific numbers.
    pub codec: CodecFacts,
}

/// Everything ingress knows about one packet.
#[derive(Clone, Copy, Debug)]
pub struct PacketMeta {
    /// The track.
    pub track: TrackId,
    /// Index of the RTP stream inside the track: simulcast streams from low (0) to high.
    pub stream: u8,
    /// Codec of this packet.
    pub codec: Codec,
    /// Rises when the publisher's stream restarted: numbers of two generations are not comparable.
    pub generation: u8,
    /// Unwrapped sequence number.
    pub n: u64,
    /// Unwrapped RTP time stamp of this stream.
    pub t: u64,
    /// What to add to `t` to reach the track's common time line; `None` until sender reports (or
    /// abs-capture-time) tie this stream to the others. The first stream to be tied has offset 0.
    pub line: Option<i64>,
    /// RTP clock rate, Hz.
    pub clock_rate: u32,
    /// Kernel receive time where the socket gives one.
    pub arrival: Time,
    /// Payload type as received.
    pub payload_type: u8,
    /// RTP marker bit.
    pub marker: bool,
    /// Padding only: consumes a number, carries nothing.
    pub padding_only: bool,
    /// Recovered: a retransmission that was asked for brought it.
    pub repaired: bool,
    /// Where the payload lies, padding removed.
    pub payload: Span,
    /// Extensions a leg may copy.
    pub extensions: ExtensionFacts,
    /// Frame facts.
    pub frame: FrameFacts,
}

/// A packet on its way through the core: facts and the decrypted RTP bytes they point into.
#[derive(Clone, Copy, Debug)]
pub struct MediaPacket<'a> {
    /// Parsed facts.
    pub meta: &'a PacketMeta,
    /// The whole decrypted RTP packet.
    pub bytes: &'a [u8],
}

impl<'a> MediaPacket<'a> {
    /// The payload bytes without padding.
    pub fn payload(&self) -> &'a [u8] {
        self.meta.payload.of(self.bytes)
    }
}

/// Ties a track's common time line to wall-clock time, from the publisher's sender reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackClock {
    /// The track.
    pub track: TrackId,
    /// NTP time in our clock, 32.32.
    pub ntp: u64,
    /// Time stamp on the track's time line at `ntp`.
    pub rtp: u64,
}
