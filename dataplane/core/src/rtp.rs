//! RTP packets (RFC 3550 section 5.1): one pass over the header, then spans into the same buffer.
//!
//! In: a decrypted packet. Out: [`Header`], and by [`Header::elements`] its header extensions (RFC 8285).
//! It copies nothing and gives no meaning to extension ids: that is [`extension`]'s part; [`write`] builds.

pub mod extension;
pub mod write;

use crate::drop::DropReason;
use crate::media::Span;
use crate::wire::{u16_at, u32_at};

/// Bytes of the fixed header.
pub const FIXED_HEADER: usize = 12;

/// Largest packet that is accepted: a [`Span`] must reach its end, and no path carries more.
pub const MAX_RTP: usize = 2_048;

/// Profile of a one-byte extension block (RFC 8285 section 4.2).
pub const ONE_BYTE_PROFILE: u16 = 0xBEDE;

/// Profile of a two-byte extension block without application bits (RFC 8285 section 4.3).
pub const TWO_BYTE_PROFILE: u16 = 0x1000;

/// How the elements of an extension block are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionForm {
    /// No block, or one of a profile that is not RFC 8285: nothing can be read from it.
    None,
    /// One-byte element headers.
    OneByte,
    /// Two-byte element headers.
    TwoByte,
}

/// The header of one packet and where its parts lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
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
    /// Layout of the extension block.
    pub form: ExtensionForm,
    /// Elements of the extension block, without its 4-byte head.
    pub extensions: Span,
    /// Payload without padding.
    pub payload: Span,
    /// Padding bytes at the end, the count byte included.
    pub padding: u8,
}

impl Header {
    /// Parses the header of `packet`.
    pub fn parse(packet: &[u8]) -> Result<Self, DropReason> {
        if packet.len() > MAX_RTP {
            return Err(DropReason::Malformed);
        }
        let &[first, second, ..] = packet else { return Err(DropReason::Malformed) };
        let sequence = u16_at(packet, 2).ok_or(DropReason::Malformed)?;
        let timestamp = u32_at(packet, 4).ok_or(DropReason::Malformed)?;
        let ssrc = u32_at(packet, 8).ok_or(DropReason::Malformed)?;
        if first >> 6 != 2 {
            return Err(DropReason::Malformed);
        }
        let after_csrcs = FIXED_HEADER + 4 * usize::from(first & 0x0F);
        if after_csrcs > packet.len() {
            return Err(DropReason::CsrcOverflow);
        }
        let (form, extensions, start) = if first & 0x10 == 0 {
            (ExtensionForm::None, Span::default(), after_csrcs)
        } else {
            extension_block(packet, after_csrcs).ok_or(DropReason::ExtMalformed)?
        };
        let padding = padding(packet, first, start)?;
        let end = packet.len() - usize::from(padding);
        Ok(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7F,
            sequence,
            timestamp,
            ssrc,
            form,
            extensions,
            payload: Span { start: start as u16, end: end as u16 },
            padding,
        })
    }

    /// The header extension elements in wire order.
    pub fn elements<'a>(&self, packet: &'a [u8]) -> Elements<'a> {
        Elements {
            packet,
            at: usize::from(self.extensions.start),
            end: usize::from(self.extensions.end).min(packet.len()),
            form: self.form,
        }
    }
}

/// Form, element span and payload start of the extension block at `at`.
fn extension_block(packet: &[u8], at: usize) -> Option<(ExtensionForm, Span, usize)> {
    let profile = u16_at(packet, at)?;
    let start = at + 4;
    let end = start + 4 * usize::from(u16_at(packet, at + 2)?);
    if end > packet.len() {
        return None;
    }
    let form = match profile {
        // The second of each pair is the cryptex form (RFC 9335), its content decrypted by now.
        ONE_BYTE_PROFILE | 0xC0DE => ExtensionForm::OneByte,
        profile if profile & 0xFFF0 == TWO_BYTE_PROFILE || profile == 0xC2DE => {
            ExtensionForm::TwoByte
        }
        _ => ExtensionForm::None,
    };
    Some((form, Span { start: start as u16, end: end as u16 }, end))
}

/// Length of the padding; the count byte must be neither zero nor reach into the header.
fn padding(packet: &[u8], first: u8, payload_start: usize) -> Result<u8, DropReason> {
    if first & 0x20 == 0 {
        return Ok(0);
    }
    let room = packet.len() - payload_start;
    match packet.last() {
        Some(&count) if room > 0 && count > 0 && usize::from(count) <= room => Ok(count),
        _ => Err(DropReason::Malformed),
    }
}

/// One header extension element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// Negotiated id, 1 to 14 or 1 to 255.
    pub id: u8,
    /// Where its data lies in the packet.
    pub data: Span,
}

/// Iterator over the elements of a packet; the only error is an element that overruns its block.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    packet: &'a [u8],
    at: usize,
    end: usize,
    form: ExtensionForm,
}

impl Elements<'_> {
    /// Id, length and header length of the element at the cursor; `None` at the end of the block.
    fn head(&self) -> Option<(u8, usize, usize)> {
        let first = *self.packet.get(self.at)?;
        match self.form {
            ExtensionForm::None => None,
            // RFC 8285 section 4.2: id 15 is reserved and ends the parsing.
            ExtensionForm::OneByte if first >> 4 == 15 => None,
            ExtensionForm::OneByte => Some((first >> 4, usize::from(first & 0x0F) + 1, 1)),
            ExtensionForm::TwoByte => Some((first, usize::from(*self.packet.get(self.at + 1)?), 2)),
        }
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Element, DropReason>;

    fn next(&mut self) -> Option<Self::Item> {
        // A zero byte is padding in both forms.
        while self.at < self.end && self.packet[self.at] == 0 {
            self.at += 1;
        }
        if self.at >= self.end {
            return None;
        }
        let Some((id, length, head)) = self.head() else {
            let overrun = self.form == ExtensionForm::TwoByte;
            self.at = self.end;
            return overrun.then_some(Err(DropReason::ExtMalformed));
        };
        let start = self.at + head;
        if start + length > self.end {
            self.at = self.end;
            return Some(Err(DropReason::ExtMalformed));
        }
        self.at = start + length;
        let data = Span { start: start as u16, end: (start + length) as u16 };
        Some(Ok(Element { id, data }))
    }
}

#[cfg(test)]
mod tests;
