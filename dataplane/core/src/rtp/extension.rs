//! What the header extensions of a packet say, once ids are given meaning by the negotiated table.
//!
//! In: a header, its packet and an [`ExtensionIds`]. Out: [`Extensions`], spans and small values.
//! Unknown ids are skipped; an element of the wrong size counts as absent.

use super::Header;
use crate::drop::DropReason;
use crate::media::{Extension, ExtensionFacts, Span};
use crate::wire::{u16_at, u24_at};

/// Distinct ids that one transport may negotiate: 14 one-byte ids and room for two-byte ids.
pub const MAX_EXTENSION_IDS: usize = 32;

/// The negotiated header extension ids of one transport.
#[derive(Clone, Debug)]
pub struct ExtensionIds {
    by_id: [Option<Extension>; 256],
}

impl Default for ExtensionIds {
    fn default() -> Self {
        Self { by_id: [None; 256] }
    }
}

impl ExtensionIds {
    /// A table from negotiated pairs; id 0 is padding, and pairs beyond [`MAX_EXTENSION_IDS`] are ignored.
    pub fn new(pairs: &[(u8, Extension)]) -> Self {
        let mut table = Self::default();
        for &(id, extension) in pairs.iter().take(MAX_EXTENSION_IDS) {
            if id != 0 {
                table.by_id[usize::from(id)] = Some(extension);
            }
        }
        table
    }

    /// What `id` means.
    pub fn get(&self, id: u8) -> Option<Extension> {
        self.by_id[usize::from(id)]
    }

    /// The id under which the peer sends `extension`.
    pub fn id_of(&self, extension: Extension) -> Option<u8> {
        self.by_id.iter().position(|&entry| entry == Some(extension)).map(|id| id as u8)
    }
}

/// The extensions of one packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extensions {
    /// Section identification.
    pub mid: Span,
    /// RTP stream identification (RFC 8852).
    pub rid: Span,
    /// RTP stream that this packet repairs (RFC 8852).
    pub repaired_rid: Span,
    /// Transport-wide sequence number.
    pub transport_sequence: Option<u16>,
    /// Raw video layers allocation.
    pub layers_allocation: Span,
    /// What legs may copy.
    pub facts: ExtensionFacts,
}

impl Extensions {
    /// Reads every known extension of `packet`.
    pub fn parse(header: &Header, packet: &[u8], ids: &ExtensionIds) -> Result<Self, DropReason> {
        let mut found = Self::default();
        for element in header.elements(packet) {
            let element = element?;
            if let Some(extension) = ids.get(element.id) {
                found.take(extension, element.data, packet);
            }
        }
        Ok(found)
    }

    fn take(&mut self, extension: Extension, data: Span, packet: &[u8]) {
        let bytes = data.of(packet);
        let facts = &mut self.facts;
        match extension {
            Extension::Mid => self.mid = data,
            Extension::Rid => self.rid = data,
            Extension::RepairedRid => self.repaired_rid = data,
            Extension::AudioLevel => facts.audio_level = bytes.first().copied(),
            Extension::TransportWideCc => self.transport_sequence = u16_at(bytes, 0),
            Extension::DependencyDescriptor => facts.dependency_descriptor = data,
            Extension::AbsCaptureTime if matches!(bytes.len(), 8 | 16) => {
                facts.abs_capture_time = data;
            }
            Extension::PlayoutDelay => facts.playout_delay = u24_at(bytes, 0),
            Extension::VideoOrientation => facts.video_orientation = bytes.first().copied(),
            Extension::VideoContentType => facts.video_content_type = bytes.first().copied(),
            Extension::ColorSpace => facts.color_space = data,
            Extension::VideoLayersAllocation => self.layers_allocation = data,
            // The publisher's send time means nothing behind us, and a wrong size means nothing at all.
            Extension::AbsSendTime | Extension::AbsCaptureTime => {}
        }
    }
}
