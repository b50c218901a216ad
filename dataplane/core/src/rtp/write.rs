//! Builds RTP headers (RFC 3550 section 5.1) with an extension block (RFC 8285) into a caller's buffer.
//!
//! In: fields and (id, data) pairs. Out: bytes and their count. It allocates nothing and checks every bound.

use super::{ExtensionForm, FIXED_HEADER, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};
use crate::wire::put;

/// The fixed fields of a packet to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Marker bit.
    pub marker: bool,
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Time stamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// Writes a packet's header; [`HeaderWriter::finish`] tells where the payload starts.
#[derive(Debug)]
pub struct HeaderWriter<'a> {
    out: &'a mut [u8],
    form: ExtensionForm,
    at: usize,
}

impl<'a> HeaderWriter<'a> {
    /// Writes the fixed header; `None` if `out` is too short for it.
    pub fn new(out: &'a mut [u8], fields: &Fields, form: ExtensionForm) -> Option<Self> {
        let block = match form {
            ExtensionForm::None => None,
            ExtensionForm::OneByte => Some(ONE_BYTE_PROFILE),
            ExtensionForm::TwoByte => Some(TWO_BYTE_PROFILE),
        };
        let marker = u8::from(fields.marker) << 7;
        let first = 0x80 | (u8::from(block.is_some()) << 4);
        put(out, 0, &[first, marker | (fields.payload_type & 0x7F)])?;
        put(out, 2, &fields.sequence.to_be_bytes())?;
        put(out, 4, &fields.timestamp.to_be_bytes())?;
        put(out, 8, &fields.ssrc.to_be_bytes())?;
        let mut at = FIXED_HEADER;
        if let Some(profile) = block {
            put(out, at, &profile.to_be_bytes())?;
            put(out, at + 2, &[0, 0])?;
            at += 4;
        }
        Some(Self { out, form, at })
    }

    /// Adds one element; returns the offset of its data in the packet, `None` if id or size do not fit
    /// the form or the buffer.
    pub fn element(&mut self, id: u8, data: &[u8]) -> Option<usize> {
        let start = match self.form {
            ExtensionForm::OneByte if (1..=14).contains(&id) && (1..=16).contains(&data.len()) => {
                put(self.out, self.at, &[(id << 4) | (data.len() as u8 - 1)])?;
                self.at + 1
            }
            ExtensionForm::TwoByte if id != 0 && data.len() <= 255 => {
                put(self.out, self.at, &[id, data.len() as u8])?;
                self.at + 2
            }
            _ => return None,
        };
        put(self.out, start, data)?;
        self.at = start + data.len();
        Some(start)
    }

    /// Pads and closes the extension block; returns the payload's offset, `None` if the padding does not
    /// fit the buffer.
    pub fn finish(mut self) -> Option<usize> {
        if self.form == ExtensionForm::None {
            return Some(self.at);
        }
        while self.at % 4 != 0 {
            put(self.out, self.at, &[0])?;
            self.at += 1;
        }
        let words = ((self.at - FIXED_HEADER) / 4 - 1) as u16;
        put(self.out, FIXED_HEADER + 2, &words.to_be_bytes())?;
        Some(self.at)
    }
}
