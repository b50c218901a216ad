//! The header extension block of a leg (RFC 8285), laid out once: fixed elements first, always at the same
//! place, so that consecutive packets keep equal sizes; then what a packet carries now and then.
//!
//! In: the section's negotiated ids; per packet the publisher's facts and our stamps. Out: bytes.
//! MID, transport-wide number, send time and audio level are ours to fill; RID, transmission offset and
//! layers allocation never pass.

use crate::codec::dependency::{rewrite, Changes, MAX_GROWTH};
use crate::media::{Extension, ExtensionFacts};

use super::gate::Patch;

/// Longest MID that is written; longer ones are refused by the control plane.
const MAX_MID: usize = 32;

/// Fixed elements: MID, number, send time and level, each with a two-byte head.
const MAX_FIXED: usize = 2 + MAX_MID + 4 + 5 + 3;

/// Longest data of an element in the one-byte form.
const ONE_BYTE_MAX: usize = 16;

/// Level that says silence where a packet brought none (RFC 6464).
const SILENCE: u8 = 127;

/// Longest descriptor: an element's length is one byte.
const MAX_DESCRIPTOR: usize = 255;

/// What is stamped on a packet at the very last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// Transport-wide sequence number.
    pub number: u16,
    /// Send time: 24 bits, seconds in 6.18 fixed point.
    pub send_time: u32,
}

/// The extension block of one leg.
#[derive(Clone, Debug)]
pub struct Block {
    one_byte: Option<Fixed>,
    two_byte: Fixed,
    descriptor: Option<u8>,
    capture_time: Option<u8>,
    playout_delay: Option<u8>,
    orientation: Option<u8>,
    content_type: Option<u8>,
    color_space: Option<u8>,
}

/// The fixed elements in one of the two forms; positions of 0 mean absent.
#[derive(Clone, Debug)]
struct Fixed {
    bytes: [u8; MAX_FIXED],
    len: usize,
    number_at: usize,
    time_at: usize,
    level_at: usize,
}

impl Block {
    /// Lays out the block of a leg.
    pub fn new(mid: &str, extensions: &[(u8, Extension)]) -> Self {
        let id_of = |wanted: Extension| {
            extensions.iter().find(|&&(id, ext)| ext == wanted && id != 0).map(|&(id, _)| id)
        };
        let mid = mid.as_bytes();
        let mid = &mid[..mid.len().min(MAX_MID)];
        let elements = [
            (id_of(Extension::Mid).filter(|_| !mid.is_empty()), mid),
            (id_of(Extension::TransportWideCc), [0; 2].as_slice()),
            (id_of(Extension::AbsSendTime), [0; 3].as_slice()),
            (id_of(Extension::AudioLevel), [SILENCE].as_slice()),
        ];
        let narrow = extensions.iter().all(|&(id, _)| id <= 14) && mid.len() <= ONE_BYTE_MAX;
        Self {
            one_byte: narrow.then(|| Fixed::new(elements, false)),
            two_byte: Fixed::new(elements, true),
            descriptor: id_of(Extension::DependencyDescriptor),
            capture_time: id_of(Extension::AbsCaptureTime),
            playout_delay: id_of(Extension::PlayoutDelay),
            orientation: id_of(Extension::VideoOrientation),
            content_type: id_of(Extension::VideoContentType),
            color_space: id_of(Extension::ColorSpace),
        }
    }

    /// An upper bound of what [`Block::write`] takes for a packet with these facts.
    pub fn bound(&self, facts: &ExtensionFacts) -> usize {
        let lengths = [facts.dependency_descriptor, facts.abs_capture_time, facts.color_space]
            .map(|span| usize::from(span.end.saturating_sub(span.start)));
        // Six more heads of two bytes, three small values, the block's own head, padding.
        let rest = 12 + 5 + 4 + 3 + MAX_GROWTH;
        self.two_byte.len + lengths.iter().sum::<usize>() + rest
    }

    /// Writes the block for one packet at the start of `out`; returns its length, 0 for none at all.
    /// `source` is the publisher's packet that the facts point into.
    pub fn write(
        &self,
        out: &mut [u8],
        stamps: Stamps,
        facts: &ExtensionFacts,
        source: &[u8],
        patch: Patch,
    ) -> usize {
        let rewritten = self.rewrite(facts, source, patch);
        let descriptor = rewritten.as_ref().map_or(&[][..], |(bytes, len)| &bytes[..*len]);
        let color = facts.color_space.of(source);
        let wide = descriptor.len() > ONE_BYTE_MAX || color.len() > ONE_BYTE_MAX;
        let (fixed, two_byte) = match &self.one_byte {
            Some(one_byte) if !wide => (one_byte, false),
            _ => (&self.two_byte, true),
        };
        let mut elements = Elements { out, at: 4 + fixed.len, two_byte };
        fixed.write(&mut elements.out[4..], stamps, facts);
        elements.push(self.descriptor, descriptor);
        elements.push(self.capture_time, facts.abs_capture_time.of(source));
        let delay = facts.playout_delay.map(u32::to_be_bytes);
        elements.push(self.playout_delay, delay.as_ref().map_or(&[], |bytes| &bytes[1..]));
        elements.push(self.orientation, facts.video_orientation.as_slice());
        elements.push(self.content_type, facts.video_content_type.as_slice());
        elements.push(self.color_space, color);
        elements.finish()
    }
}

impl Block {
    /// The dependency descriptor with the leg's numbers, where there is one and the leg negotiated it.
    fn rewrite(
        &self,
        facts: &ExtensionFacts,
        source: &[u8],
        patch: Patch,
    ) -> Option<([u8; MAX_DESCRIPTOR], usize)> {
        let Patch::Dependency { frame, targets, count } = patch else { return None };
        self.descriptor?;
        let active_targets = Some((targets, count));
        let changes = Changes { frame, template_shift: 0, active_targets };
        let mut bytes = [0; MAX_DESCRIPTOR];
        let len = rewrite(facts.dependency_descriptor.of(source), &mut bytes, &changes)?;
        Some((bytes, len))
    }
}

impl Fixed {
    fn new(elements: [(Option<u8>, &[u8]); 4], two_byte: bool) -> Self {
        let mut bytes = [0; MAX_FIXED];
        let mut at = 0;
        let mut places = [0; 4];
        for (place, (id, data)) in places.iter_mut().zip(elements) {
            let Some(id) = id else { continue };
            if two_byte {
                bytes[at..at + 2].copy_from_slice(&[id, data.len() as u8]);
                at += 2;
            } else {
                bytes[at] = id << 4 | (data.len() as u8).wrapping_sub(1) & 15;
                at += 1;
            }
            *place = at;
            bytes[at..at + data.len()].copy_from_slice(data);
            at += data.len();
        }
        let [_, number_at, time_at, level_at] = places;
        Self { bytes, len: at, number_at, time_at, level_at }
    }

    fn write(&self, out: &mut [u8], stamps: Stamps, facts: &ExtensionFacts) {
        out[..self.len].copy_from_slice(&self.bytes[..self.len]);
        if self.number_at != 0 {
            out[self.number_at..][..2].copy_from_slice(&stamps.number.to_be_bytes());
        }
        if self.time_at != 0 {
            out[self.time_at..][..3].copy_from_slice(&stamps.send_time.to_be_bytes()[1..]);
        }
        if self.level_at != 0 {
            out[self.level_at] = facts.audio_level.unwrap_or(SILENCE);
        }
    }
}

/// The block while it is written.
struct Elements<'a> {
    out: &'a mut [u8],
    at: usize,
    two_byte: bool,
}

impl Elements<'_> {
    fn push(&mut self, id: Option<u8>, data: &[u8]) {
        let Some(id) = id.filter(|_| !data.is_empty()) else { return };
        if self.two_byte {
            self.out[self.at..self.at + 2].copy_from_slice(&[id, data.len() as u8]);
            self.at += 2;
        } else {
            self.out[self.at] = id << 4 | (data.len() as u8 - 1) & 15;
            self.at += 1;
        }
        self.out[self.at..self.at + data.len()].copy_from_slice(data);
        self.at += data.len();
    }

    fn finish(self) -> usize {
        if self.at == 4 {
            return 0;
        }
        let end = self.at.next_multiple_of(4);
        self.out[self.at..end].fill(0);
        let profile: u16 = if self.two_byte { 0x1000 } else { 0xBEDE };
        self.out[..2].copy_from_slice(&profile.to_be_bytes());
        self.out[2..4].copy_from_slice(&((end / 4 - 1) as u16).to_be_bytes());
        end
    }
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
