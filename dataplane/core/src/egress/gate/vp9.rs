//! VP9 (RFC 9628): temporal and spatial layers of one stream. Picture ids keep a constant offset between
//! two starts, also where layers are dropped: receivers derive the missing layers from them.

use super::{unwrap, Age, Patch, Refusal, Verdict};
use crate::codec::vp9::picture_id;
use crate::drop::DropReason;
use crate::egress::selector::Cap;
use crate::media::{MediaPacket, PacketMeta, Vp9Facts};

/// Pictures whose fate is remembered for late packets: two seconds at 30 frames per second.
const PICTURES: usize = 64;

/// Unwrapped ids start here, so that early reordering cannot run below zero.
const BASE: u64 = 1 << 32;

/// Spatial layers that the masks have room for.
const MAX_SPATIAL: u8 = 7;

#[derive(Clone, Copy, Debug, Default)]
struct Picture {
    input: u64,
    /// Spatial layers decided, and of those the ones that pass, bit per layer.
    decided: u8,
    forwarded: u8,
    /// The layer that ends the picture on this leg.
    top: u8,
}

/// The ids of one source.
#[derive(Debug)]
struct Ids {
    newest: u64,
    offset: u16,
    tl0_offset: u8,
    pictures: [Picture; PICTURES],
}

impl Default for Ids {
    fn default() -> Self {
        Self { newest: 0, offset: 0, tl0_offset: 0, pictures: [Picture::default(); PICTURES] }
    }
}

/// The VP9 state of one leg.
#[derive(Debug, Default)]
pub struct Vp9Gate {
    ids: Ids,
    previous: Ids,
    spatial: u8,
    temporal: u8,
    /// Highest spatial layer that the source has shown.
    seen: u8,
    /// Inter pictures do without the lower spatial layers: those cannot be joined between key frames.
    key_only: bool,
    /// A layer change waits for a key frame.
    waiting: bool,
    last_picture: u16,
    last_tl0: u8,
    started: bool,
}

impl Vp9Gate {
    /// A source begins.
    pub fn begin(&mut self, packet: &MediaPacket<'_>, facts: &Vp9Facts, cap: Cap) -> Verdict {
        std::mem::swap(&mut self.ids, &mut self.previous);
        let (raw, bits) = numbered(packet, facts).unwrap_or((0, 15));
        self.ids = Ids { newest: BASE + u64::from(raw), ..Ids::default() };
        if self.started {
            let tl0 = facts.tl0_pic_idx.map_or(0, |(tl0, _)| tl0);
            self.ids.offset = raw.wrapping_sub(self.last_picture.wrapping_add(1)) & mask(bits);
            self.ids.tl0_offset = tl0.wrapping_sub(self.last_tl0.wrapping_add(1));
        }
        self.started = true;
        self.key_only = false;
        self.waiting = false;
        self.seen = 0;
        self.spatial = cap.spatial.min(MAX_SPATIAL);
        self.temporal = cap.temporal;
        let picture = Picture {
            input: self.ids.newest,
            decided: 1 << packet.meta.frame.spatial.min(MAX_SPATIAL),
            forwarded: 1 << packet.meta.frame.spatial.min(MAX_SPATIAL),
            top: self.spatial,
        };
        self.ids.pictures[self.ids.newest as usize % PICTURES] = picture;
        self.pass(packet, facts, picture, Age::Newest)
    }

    /// Whether a packet passes.
    pub fn decide(
        &mut self,
        packet: &MediaPacket<'_>,
        facts: &Vp9Facts,
        age: Age,
        cap: Cap,
    ) -> Result<Verdict, Refusal> {
        let meta = packet.meta;
        let Some((raw, bits)) = numbered(packet, facts) else {
            return Ok(Verdict { patch: Patch::None, marker: meta.marker });
        };
        let spatial = meta.frame.spatial.min(MAX_SPATIAL);
        let ids = if age == Age::Draining { &self.previous } else { &self.ids };
        let (newest, input) = (ids.newest, unwrap(ids.newest, raw, bits));
        if input > newest && age == Age::Newest {
            self.begin_picture(meta, facts, cap, input);
        } else if input + PICTURES as u64 <= newest {
            return Err(Refusal { reason: DropReason::LateNoMapping, gap_too: false });
        }
        let mut picture = self.picture(input, age);
        if picture.decided >> spatial & 1 == 0 {
            picture.decided |= 1 << spatial;
            let passes = match self.judge(meta, facts, cap, age) {
                Ok(()) => 1,
                Err(_) => 0,
            };
            picture.forwarded |= passes << spatial;
            picture.top = picture.top.max(if passes == 1 { self.spatial } else { 0 });
            self.store(picture, age);
        }
        if picture.forwarded >> spatial & 1 == 1 {
            return Ok(self.pass(packet, facts, picture, age));
        }
        let temporal = meta.frame.temporal > self.temporal;
        let reason = if temporal { DropReason::TemporalDrop } else { DropReason::SpatialDrop };
        Err(Refusal { reason, gap_too: input == newest && !meta.frame.start })
    }

    /// Whether a layer change waits for a key frame.
    pub fn needs_keyframe(&self) -> bool {
        self.waiting
    }

    /// The spatial layer that passes, if the stream has several.
    pub fn spatial(&self) -> Option<u8> {
        (self.seen > 0).then_some(self.spatial.min(self.seen))
    }

    /// A new picture: temporal moves, and spatial moves down, happen between pictures.
    fn begin_picture(&mut self, meta: &PacketMeta, facts: &Vp9Facts, cap: Cap, input: u64) {
        self.ids.newest = input;
        let temporal = meta.frame.temporal;
        let intra = !facts.inter_picture && meta.frame.spatial == 0;
        if intra {
            self.spatial = cap.spatial.min(MAX_SPATIAL);
            self.temporal = cap.temporal;
            self.waiting = false;
        } else if temporal > self.temporal && temporal <= cap.temporal && meta.frame.switch_up {
            self.temporal = temporal;
        }
        self.temporal = self.temporal.min(cap.temporal);
        if cap.spatial < self.spatial && !self.key_only {
            self.spatial = cap.spatial;
        }
        let reachable = cap.spatial.min(self.seen);
        self.waiting = reachable > self.spatial || (self.key_only && reachable < self.spatial);
    }

    /// Whether a layer frame passes; an upper spatial layer joins where it depends on no earlier picture.
    fn judge(
        &mut self,
        meta: &PacketMeta,
        facts: &Vp9Facts,
        cap: Cap,
        age: Age,
    ) -> Result<(), DropReason> {
        let spatial = meta.frame.spatial.min(MAX_SPATIAL);
        self.seen = self.seen.max(spatial);
        self.key_only |= spatial > 0 && facts.inter_picture && !facts.inter_layer;
        if meta.frame.temporal > self.temporal {
            return Err(DropReason::TemporalDrop);
        }
        let joins = !facts.inter_picture && meta.frame.start && age == Age::Newest;
        if spatial > self.spatial && spatial <= cap.spatial && joins {
            self.spatial = spatial;
        }
        let unused = facts.not_for_upper && facts.inter_picture && spatial < self.spatial;
        if spatial > self.spatial || (unused && self.key_only) {
            return Err(DropReason::SpatialDrop);
        }
        Ok(())
    }

    fn picture(&self, input: u64, age: Age) -> Picture {
        let ids = if age == Age::Draining { &self.previous } else { &self.ids };
        let picture = ids.pictures[input as usize % PICTURES];
        if picture.input == input {
            picture
        } else {
            Picture { input, ..Picture::default() }
        }
    }

    fn store(&mut self, picture: Picture, age: Age) {
        let ids = if age == Age::Draining { &mut self.previous } else { &mut self.ids };
        ids.pictures[picture.input as usize % PICTURES] = picture;
    }

    fn pass(
        &mut self,
        packet: &MediaPacket<'_>,
        facts: &Vp9Facts,
        picture: Picture,
        age: Age,
    ) -> Verdict {
        let meta = packet.meta;
        let ids = if age == Age::Draining { &self.previous } else { &self.ids };
        let tl0 = facts.tl0_pic_idx.map(|(value, at)| (at, value.wrapping_sub(ids.tl0_offset)));
        let top = meta.frame.end && meta.frame.spatial == picture.top;
        let mut verdict = Verdict { patch: Patch::None, marker: meta.marker || top };
        if let (Some((at, bits)), Some((raw, _))) = (facts.picture_id, numbered(packet, facts)) {
            let output = raw.wrapping_sub(ids.offset) & mask(bits);
            verdict.patch = Patch::Vp9 { picture_at: (at as u8, bits), picture: output, tl0 };
            if age == Age::Newest {
                self.last_picture = output;
                self.last_tl0 = tl0.map_or(self.last_tl0, |(_, value)| value);
            }
        }
        verdict
    }
}

fn mask(bits: u8) -> u16 {
    if bits == 7 {
        0x7F
    } else {
        0x7FFF
    }
}

/// The picture id of a packet with its width in bits.
fn numbered(packet: &MediaPacket<'_>, facts: &Vp9Facts) -> Option<(u16, u8)> {
    let (_, bits) = facts.picture_id?;
    Some((picture_id(packet.payload(), facts)?, bits))
}

#[cfg(test)]
#[path = "vp9_tests.rs"]
mod tests;
