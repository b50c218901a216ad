//! RTCP (RFC 3550 section 6, RFC 4585): compound packets in, typed packets out, and the way back.
//!
//! In: the plaintext of one SRTCP packet. Out: [`Compound`], an iterator of [`Packet`] views that publisher
//! and subscriber side both read. [`Builder`] collects packets for one datagram. Nothing is copied.

pub mod bye;
pub mod fir;
pub mod nack;
pub mod pli;
pub mod remb;
pub mod rr;
pub mod sdes;
pub mod sr;
pub mod twcc;
pub mod xr;

use crate::drop::DropReason;
use crate::wire::{put, u16_at, u32_at};

/// Longest compound that is read: one datagram of the usual path MTU.
pub const MAX_COMPOUND: usize = 1_500;

/// Packet types of RFC 3550, 4585 and 3611.
pub(crate) mod kind {
    pub(crate) const SR: u8 = 200;
    pub(crate) const RR: u8 = 201;
    pub(crate) const SDES: u8 = 202;
    pub(crate) const BYE: u8 = 203;
    pub(crate) const RTPFB: u8 = 205;
    pub(crate) const PSFB: u8 = 206;
    pub(crate) const XR: u8 = 207;
}

/// Feedback message types (FMT) of RTPFB and PSFB.
pub(crate) mod format {
    pub(crate) const NACK: u8 = 1;
    pub(crate) const TRANSPORT_WIDE: u8 = 15;
    pub(crate) const PLI: u8 = 1;
    pub(crate) const FIR: u8 = 4;
    pub(crate) const APPLICATION: u8 = 15;
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// Sender report.
    SenderReport(sr::SenderReport<'a>),
    /// Receiver report.
    ReceiverReport(rr::ReceiverReport<'a>),
    /// Source description.
    Sdes(sdes::Sdes<'a>),
    /// End of sources.
    Bye(bye::Bye<'a>),
    /// Generic NACK.
    Nack(nack::Nack<'a>),
    /// Picture loss indication.
    Pli(pli::Pli),
    /// Full intra request.
    Fir(fir::Fir<'a>),
    /// Receiver estimated maximum bit rate.
    Remb(remb::Remb<'a>),
    /// Transport-wide congestion control feedback.
    TransportFeedback(twcc::Feedback<'a>),
    /// Extended report.
    Xr(xr::ExtendedReport<'a>),
}

/// A whole RTCP datagram whose framing holds: every packet's length stays inside.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks the framing of `bytes`. Reduced-size packets (RFC 5506) are compounds as well.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DropReason> {
        if bytes.is_empty() || bytes.len() > MAX_COMPOUND {
            return Err(DropReason::RtcpMalformed);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = split(rest).ok_or(DropReason::RtcpMalformed)?.1;
        }
        Ok(Self { bytes })
    }

    /// Its packets in order; one that cannot be read yields the reason and the next ones still follow.
    pub fn iter(&self) -> Packets<'a> {
        Packets { rest: self.bytes }
    }
}

impl<'a> IntoIterator for &Compound<'a> {
    type Item = Result<Packet<'a>, DropReason>;
    type IntoIter = Packets<'a>;

    fn into_iter(self) -> Packets<'a> {
        self.iter()
    }
}

/// Iterator over the packets of a [`Compound`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, DropReason>;

    fn next(&mut self) -> Option<Self::Item> {
        let (frame, rest) = split(self.rest)?;
        self.rest = rest;
        Some(packet(&frame))
    }
}

/// One packet cut out of a compound: common header read, padding removed.
struct Frame<'a> {
    /// Count or format, 5 bits.
    count: u8,
    kind: u8,
    /// Everything behind the 4-byte common header.
    body: &'a [u8],
}

/// The first packet of `bytes` and what follows it.
fn split(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let &[first, kind, ..] = bytes else { return None };
    let length = 4 + 4 * usize::from(u16_at(bytes, 2)?);
    if first >> 6 != 2 || length > bytes.len() {
        return None;
    }
    let (packet, rest) = bytes.split_at(length);
    let mut body = &packet[4..];
    if first & 0x20 != 0 {
        let padding = usize::from(*body.last()?);
        if padding == 0 || padding > body.len() {
            return None;
        }
        body = &body[..body.len() - padding];
    }
    Some((Frame { count: first & 0x1F, kind, body }, rest))
}

fn packet<'a>(frame: &Frame<'a>) -> Result<Packet<'a>, DropReason> {
    let (count, body) = (frame.count, frame.body);
    let parsed = match (frame.kind, count) {
        (kind::SR, _) => sr::SenderReport::parse(count, body).map(Packet::SenderReport),
        (kind::RR, _) => rr::ReceiverReport::parse(count, body).map(Packet::ReceiverReport),
        (kind::SDES, _) => sdes::Sdes::parse(count, body).map(Packet::Sdes),
        (kind::BYE, _) => bye::Bye::parse(count, body).map(Packet::Bye),
        (kind::RTPFB, format::NACK) => nack::Nack::parse(body).map(Packet::Nack),
        (kind::RTPFB, format::TRANSPORT_WIDE) => {
            twcc::Feedback::parse(body).map(Packet::TransportFeedback)
        }
        (kind::PSFB, format::PLI) => pli::Pli::parse(body).map(Packet::Pli),
        (kind::PSFB, format::FIR) => fir::Fir::parse(body).map(Packet::Fir),
        (kind::PSFB, format::APPLICATION) if remb::Remb::claims(body) => {
            remb::Remb::parse(body).map(Packet::Remb)
        }
        (kind::XR, _) => xr::ExtendedReport::parse(body).map(Packet::Xr),
        _ => return Err(DropReason::RtcpUnknownType),
    };
    parsed.ok_or(DropReason::RtcpMalformed)
}

/// Sender and media SSRC at the head of every feedback message (RFC 4585 section 6.1).
fn feedback_head(body: &[u8]) -> Option<(u32, u32)> {
    Some((u32_at(body, 0)?, u32_at(body, 4)?))
}

/// Writes the common header over the first four bytes of a packet of `length` bytes.
fn head(out: &mut [u8], count: u8, kind: u8, length: usize) -> Option<usize> {
    let words = (length / 4).checked_sub(1)? as u16;
    put(out, 0, &[0x80 | (count & 0x1F), kind])?;
    put(out, 2, &words.to_be_bytes())?;
    Some(length)
}

/// Something that can be appended to a compound.
pub trait Write {
    /// Writes one packet at the start of `out`, returns its length; `None` if it does not fit.
    fn write(&self, out: &mut [u8]) -> Option<usize>;
}

/// Appends packets to one datagram.
#[derive(Debug)]
pub struct Builder<'a> {
    out: &'a mut [u8],
    length: usize,
}

impl<'a> Builder<'a> {
    /// An empty datagram in `out`.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, length: 0 }
    }

    /// Appends `packet`; false, and nothing is changed, if it does not fit.
    pub fn add(&mut self, packet: &impl Write) -> bool {
        let written = packet.write(&mut self.out[self.length..]);
        self.length += written.unwrap_or(0);
        written.is_some()
    }

    /// Bytes written so far.
    pub fn length(&self) -> usize {
        self.length
    }
}

#[cfg(test)]
mod tests;
