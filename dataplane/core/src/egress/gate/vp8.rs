//! VP8 (RFC 7741): temporal layers, and picture ids without gaps, because receivers take every skipped id
//! for a picture that is still to come.

use super::{unwrap, Age, Patch, Refusal, Verdict};
use crate::codec::vp8::{write_descriptor, Numbers, MAX_DESCRIPTOR};
use crate::drop::DropReason;
use crate::egress::selector::Cap;
use crate::media::{MediaPacket, PacketMeta, Vp8Facts};

/// Pictures whose fate is remembered for late packets: two seconds at 30 frames per second.
const PICTURES: usize = 64;

/// Unwrapped ids start here, so that early reordering cannot run below zero.
const BASE: u64 = 1 << 32;

#[derive(Clone, Copy, Debug, Default)]
struct Picture {
    /// Unwrapped id as received.
    input: u64,
    /// Id on this leg, or the one it would have had.
    output: u16,
    forwarded: bool,
}

/// The ids of one source.
#[derive(Debug)]
struct Ids {
    newest: u64,
    /// `output = input - offset`, modulo 2^15, for pictures beyond the newest.
    offset: u16,
    tl0_offset: u8,
    key_offset: u8,
    pictures: [Picture; PICTURES],
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            newest: 0,
            offset: 0,
            tl0_offset: 0,
            key_offset: 0,
            pictures: [Picture::default(); PICTURES],
        }
    }
}

impl Ids {
    fn find(&self, input: u64) -> Option<Picture> {
        let picture = self.pictures[input as usize % PICTURES];
        (picture.input == input).then_some(picture)
    }

    fn note(&mut self, input: u64, output: u16, forwarded: bool) {
        self.pictures[input as usize % PICTURES] = Picture { input, output, forwarded };
    }

    /// The id of a picture none of whose packets came in time, by the next one that did.
    fn output_of_missing(&self, input: u64) -> Option<u16> {
        let next = (input + 1..=self.newest).take(PICTURES).find_map(|id| self.find(id))?;
        Some(next.output.wrapping_sub((next.input - input) as u16) & 0x7FFF)
    }
}

/// The VP8 state of one leg.
#[derive(Debug, Default)]
pub struct Vp8Gate {
    ids: Ids,
    previous: Ids,
    /// Highest temporal layer that passes now.
    temporal: u8,
    last_picture: u16,
    last_tl0: u8,
    last_key: u8,
    started: bool,
}

impl Vp8Gate {
    /// A source begins.
    pub fn begin(&mut self, packet: &MediaPacket<'_>, facts: &Vp8Facts, cap: Cap) -> Verdict {
        std::mem::swap(&mut self.ids, &mut self.previous);
        let raw = facts.picture_id.map_or(0, |(id, _)| id);
        self.ids = Ids { newest: BASE + u64::from(raw), ..Ids::default() };
        if self.started {
            let next = |input: u8, last: u8| input.wrapping_sub(last.wrapping_add(1));
            self.ids.offset = raw.wrapping_sub(self.last_picture.wrapping_add(1));
            self.ids.tl0_offset = next(facts.tl0_pic_idx.unwrap_or(0), self.last_tl0);
            self.ids.key_offset = next(facts.key_idx.unwrap_or(0), self.last_key);
        }
        self.started = true;
        self.temporal = cap.temporal;
        let output = raw.wrapping_sub(self.ids.offset) & 0x7FFF;
        self.ids.note(self.ids.newest, output, true);
        self.pass(packet, facts, output, Age::Newest)
    }

    /// Whether a packet passes.
    pub fn decide(
        &mut self,
        packet: &MediaPacket<'_>,
        facts: &Vp8Facts,
        age: Age,
        cap: Cap,
    ) -> Result<Verdict, Refusal> {
        let meta = packet.meta;
        let Some((raw, bits)) = facts.picture_id else {
            return Ok(Verdict { patch: Patch::None, marker: meta.marker });
        };
        let ids = if age == Age::Draining { &self.previous } else { &self.ids };
        let input = unwrap(ids.newest, raw, bits);
        if input > ids.newest && age == Age::Newest {
            let output = self.decide_picture(meta, input, cap)?;
            return Ok(self.pass(packet, facts, output, age));
        }
        match ids.find(input) {
            Some(picture) if picture.forwarded => Ok(self.pass(packet, facts, picture.output, age)),
            Some(_) => Err(Refusal {
                reason: DropReason::TemporalDrop,
                gap_too: input == ids.newest && !meta.frame.start,
            }),
            None => {
                let output = self.decide_missing(meta, input, age)?;
                Ok(self.pass(packet, facts, output, age))
            }
        }
    }

    /// The fate of a new picture: its id on this leg, if it passes.
    fn decide_picture(&mut self, meta: &PacketMeta, input: u64, cap: Cap) -> Result<u16, Refusal> {
        let temporal = meta.frame.temporal;
        let synchronised = meta.frame.switch_up && meta.frame.start;
        if meta.frame.keyframe {
            self.temporal = cap.temporal;
        } else if temporal > self.temporal && temporal <= cap.temporal && synchronised {
            self.temporal = temporal;
        }
        self.temporal = self.temporal.min(cap.temporal);
        let output = (input as u16).wrapping_sub(self.ids.offset) & 0x7FFF;
        let forwarded = temporal <= self.temporal;
        self.ids.newest = input;
        self.ids.note(input, output, forwarded);
        if forwarded {
            return Ok(output);
        }
        self.ids.offset = self.ids.offset.wrapping_add(1);
        Err(Refusal { reason: DropReason::TemporalDrop, gap_too: false })
    }

    /// The fate of a picture that comes late as a whole; its id was kept free.
    fn decide_missing(&mut self, meta: &PacketMeta, input: u64, age: Age) -> Result<u16, Refusal> {
        let limit = self.temporal;
        let ids = if age == Age::Draining { &mut self.previous } else { &mut self.ids };
        let Some(output) = ids.output_of_missing(input) else {
            return Err(Refusal { reason: DropReason::LateNoMapping, gap_too: false });
        };
        let forwarded = meta.frame.temporal <= limit;
        ids.note(input, output, forwarded);
        if forwarded {
            Ok(output)
        } else {
            Err(Refusal { reason: DropReason::TemporalDrop, gap_too: false })
        }
    }

    fn pass(
        &mut self,
        packet: &MediaPacket<'_>,
        facts: &Vp8Facts,
        output: u16,
        age: Age,
    ) -> Verdict {
        let ids = if age == Age::Draining { &self.previous } else { &self.ids };
        let numbers = Numbers {
            picture_id: output,
            tl0_pic_idx: facts.tl0_pic_idx.unwrap_or(0).wrapping_sub(ids.tl0_offset),
            key_idx: facts.key_idx.unwrap_or(0).wrapping_sub(ids.key_offset) & 0x1F,
        };
        if age == Age::Newest {
            self.last_picture = output;
            self.last_tl0 = facts.tl0_pic_idx.map_or(self.last_tl0, |_| numbers.tl0_pic_idx);
            self.last_key = facts.key_idx.map_or(self.last_key, |_| numbers.key_idx);
        }
        let mut bytes = [0; MAX_DESCRIPTOR];
        let patch = match write_descriptor(packet.payload(), facts, numbers, &mut bytes) {
            Some(len) => Patch::Vp8 { skip: facts.descriptor_len, len: len as u8, bytes },
            None => Patch::None,
        };
        Verdict { patch, marker: packet.meta.marker }
    }
}

#[cfg(test)]
#[path = "vp8_tests.rs"]
mod tests;
