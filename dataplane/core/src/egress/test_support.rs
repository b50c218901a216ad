//! Packets as ingress would describe them, for the unit tests of this folder.

use crate::ids::TrackId;
use crate::media::{
    Codec, CodecFacts, ExtensionFacts, FrameFacts, PacketMeta, Span, Vp8Facts, Vp9Facts,
};
use crate::time::Time;

/// A delta packet of a plain video stream that is a frame by itself; its time stamp is 3,000 per number.
pub(crate) fn video(stream: u8, n: u64) -> PacketMeta {
    PacketMeta {
        track: TrackId(1),
        stream,
        codec: Codec::H264,
        generation: 0,
        n,
        t: n * 3_000,
        line: Some(0),
        clock_rate: 90_000,
        arrival: Time(0),
        payload_type: 96,
        marker: true,
        padding_only: false,
        repaired: false,
        payload: Span { start: 12, end: 112 },
        extensions: ExtensionFacts::default(),
        frame: FrameFacts {
            start: true,
            end: true,
            keyframe: false,
            temporal: 0,
            spatial: 0,
            switch_up: false,
            discardable: false,
            codec: CodecFacts::Opaque,
        },
    }
}

/// The same as a key frame.
pub(crate) fn key(stream: u8, n: u64) -> PacketMeta {
    let mut meta = video(stream, n);
    meta.frame.keyframe = true;
    meta
}

/// A VP8 packet of picture `pid` (15 bits), temporal layer `tid`, with TL0PICIDX and KEYIDX.
pub(crate) fn vp8(n: u64, pid: u16, tid: u8) -> PacketMeta {
    let mut meta = PacketMeta { codec: Codec::Vp8, ..video(0, n) };
    meta.frame.temporal = tid;
    meta.frame.codec = CodecFacts::Vp8(Vp8Facts {
        descriptor_len: 6,
        picture_id: Some((pid & 0x7FFF, 15)),
        tl0_pic_idx: Some(9),
        key_idx: Some(3),
        has_tid: true,
    });
    meta
}

/// A VP9 packet that is one (spatial, temporal) layer frame; its picture id lies in the payload.
pub(crate) fn vp9(n: u64, layer: (u8, u8), inter_picture: bool) -> PacketMeta {
    let mut meta = PacketMeta { codec: Codec::Vp9, ..video(0, n) };
    (meta.frame.spatial, meta.frame.temporal) = layer;
    meta.frame.keyframe = !inter_picture;
    meta.frame.codec = CodecFacts::Vp9(Vp9Facts {
        picture_id: Some((1, 15)),
        tl0_pic_idx: Some((7, 4)),
        inter_picture,
        inter_layer: layer.0 > 0,
        not_for_upper: false,
    });
    meta.payload = Span { start: 12, end: 12 + 20 };
    meta
}
