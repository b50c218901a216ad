//! STUN messages as connectivity checks use them (RFC 8489, RFC 8445 section 7).
//!
//! In: a datagram that [`crate::demux::classify`] called STUN. Out: the fields a check is judged by, and
//! answers written in place by [`Writer`]. It decides nothing: the order of judgement is in [`crate::ice`].

mod writer;

pub use writer::Writer;

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use aws_lc_rs::{constant_time, hmac};

use crate::demux::{STUN_COOKIE, STUN_HEADER};

/// Identifies a request and its answer.
pub type TransactionId = [u8; 12];

/// Message type of a Binding request (class request, method 1).
pub const BINDING_REQUEST: u16 = 0x0001;
/// Message type of a Binding success response.
pub const BINDING_SUCCESS: u16 = 0x0101;
/// Message type of a Binding error response.
pub const BINDING_ERROR: u16 = 0x0111;

/// Attribute types (RFC 8489 section 18.3, RFC 8445 section 16.1).
pub mod attribute {
    /// USERNAME.
    pub const USERNAME: u16 = 0x0006;
    /// MESSAGE-INTEGRITY, HMAC-SHA1.
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    /// ERROR-CODE.
    pub const ERROR_CODE: u16 = 0x0009;
    /// UNKNOWN-ATTRIBUTES.
    pub const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
    /// MESSAGE-INTEGRITY-SHA256: understood to exist, not used by ICE.
    pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
    /// XOR-MAPPED-ADDRESS.
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    /// PRIORITY.
    pub const PRIORITY: u16 = 0x0024;
    /// USE-CANDIDATE, a flag.
    pub const USE_CANDIDATE: u16 = 0x0025;
    /// FINGERPRINT.
    pub const FINGERPRINT: u16 = 0x8028;
    /// ICE-CONTROLLED.
    pub const ICE_CONTROLLED: u16 = 0x8029;
    /// ICE-CONTROLLING.
    pub const ICE_CONTROLLING: u16 = 0x802A;
    /// NOMINATION of draft-thatcher-ice-renomination: the highest value wins.
    pub const NOMINATION: u16 = 0xC001;
}

/// Unknown attribute types that an answer lists at most.
const MAX_UNKNOWN: usize = 8;
/// Attribute header: type and length.
const ATTRIBUTE_HEADER: usize = 4;
/// MESSAGE-INTEGRITY with its header.
const INTEGRITY_LEN: usize = ATTRIBUTE_HEADER + 20;
/// What FINGERPRINT is XORed with.
const FINGERPRINT_XOR: u32 = 0x5354_554E;

/// State of the FINGERPRINT attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// Not there.
    Absent,
    /// There, but wrong or not the last attribute.
    Wrong,
    /// Last and right.
    Right,
}

/// What a message says, by value; variable parts as byte ranges into the datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Message type: class and method bits together.
    pub kind: u16,
    /// Its transaction.
    pub transaction: TransactionId,
    /// USERNAME.
    pub username: Option<Range<usize>>,
    /// PRIORITY.
    pub priority: Option<u32>,
    /// USE-CANDIDATE.
    pub use_candidate: bool,
    /// ICE-CONTROLLED is there.
    pub controlled: bool,
    /// NOMINATION.
    pub nomination: Option<u32>,
    /// Where the MESSAGE-INTEGRITY attribute starts.
    pub integrity: Option<usize>,
    /// FINGERPRINT.
    pub fingerprint: Fingerprint,
    unknown: [u16; MAX_UNKNOWN],
    unknown_len: usize,
}

impl Message {
    /// Parses a message; `None` if its attributes overrun it. Attributes behind MESSAGE-INTEGRITY other
    /// than FINGERPRINT are ignored, and so is every repetition (RFC 8489 section 14).
    pub fn parse(datagram: &[u8]) -> Option<Message> {
        let header = datagram.get(..STUN_HEADER)?;
        let mut message = Message {
            kind: u16::from_be_bytes([header[0], header[1]]),
            transaction: header[8..20].try_into().ok()?,
            username: None,
            priority: None,
            use_candidate: false,
            controlled: false,
            nomination: None,
            integrity: None,
            fingerprint: Fingerprint::Absent,
            unknown: [0; MAX_UNKNOWN],
            unknown_len: 0,
        };
        let mut at = STUN_HEADER;
        while at < datagram.len() {
            let head = datagram.get(at..at + ATTRIBUTE_HEADER)?;
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = at + ATTRIBUTE_HEADER..at + ATTRIBUTE_HEADER + len;
            let bytes = datagram.get(value.clone())?;
            if kind == attribute::FINGERPRINT {
                message.fingerprint = fingerprint(datagram, at, bytes);
            } else if message.integrity.is_none() {
                message.note(kind, at, value.clone(), bytes)?;
            }
            at = value.end.next_multiple_of(4);
        }
        (at == datagram.len()).then_some(message)
    }

    /// Comprehension-required types that were not understood, in order, at most eight.
    pub fn unknown(&self) -> &[u16] {
        &self.unknown[..self.unknown_len]
    }

    /// Whether MESSAGE-INTEGRITY is there and matches `key` (RFC 8489 section 14.5), in constant time.
    pub fn integrity_holds(&self, datagram: &[u8], key: &hmac::Key) -> bool {
        let Some(at) = self.integrity else { return false };
        let Some(tag) = datagram.get(at + ATTRIBUTE_HEADER..at + INTEGRITY_LEN) else {
            return false;
        };
        let expected = integrity(key, &datagram[..at]);
        constant_time::verify_slices_are_equal(expected.as_ref(), tag).is_ok()
    }

    /// Takes note of one attribute in front of MESSAGE-INTEGRITY; `None` if a known one has a wrong size.
    fn note(&mut self, kind: u16, at: usize, value: Range<usize>, bytes: &[u8]) -> Option<()> {
        match kind {
            attribute::USERNAME => {
                self.username.get_or_insert(value);
            }
            attribute::MESSAGE_INTEGRITY => self.integrity = (bytes.len() == 20).then_some(at),
            attribute::PRIORITY => {
                self.priority.get_or_insert(u32::from_be_bytes(bytes.try_into().ok()?));
            }
            attribute::NOMINATION => {
                self.nomination.get_or_insert(u32::from_be_bytes(bytes.try_into().ok()?));
            }
            attribute::USE_CANDIDATE => self.use_candidate = true,
            attribute::ICE_CONTROLLED => self.controlled = true,
            // Known, without meaning in a request: MAPPED-ADDRESS, ERROR-CODE and the like.
            0x0001
            | attribute::ERROR_CODE
            | attribute::UNKNOWN_ATTRIBUTES
            | 0x0014
            | 0x0015
            | attribute::MESSAGE_INTEGRITY_SHA256
            | attribute::XOR_MAPPED_ADDRESS
            | 0x8000.. => {}
            unknown => {
                if let Some(slot) = self.unknown.get_mut(self.unknown_len) {
                    *slot = unknown;
                    self.unknown_len += 1;
                }
            }
        }
        Some(())
    }
}

/// The value of XOR-MAPPED-ADDRESS for `address` (RFC 8489 section 14.2): 8 or 20 bytes.
pub fn xor_address(address: SocketAddr, transaction: &TransactionId) -> ([u8; 20], usize) {
    let mut value = [0u8; 20];
    let mut mask = [0u8; 16];
    mask[..4].copy_from_slice(&STUN_COOKIE);
    mask[4..].copy_from_slice(transaction);
    let port = address.port() ^ u16::from_be_bytes([STUN_COOKIE[0], STUN_COOKIE[1]]);
    value[2..4].copy_from_slice(&port.to_be_bytes());
    let len = match address.ip() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&ip.octets());
            8
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..].copy_from_slice(&ip.octets());
            20
        }
    };
    for (byte, mask) in value[4..len].iter_mut().zip(mask) {
        *byte ^= mask;
    }
    (value, len)
}

/// HMAC-SHA1 over `message`, the bytes in front of the MESSAGE-INTEGRITY attribute, as if the message
/// ended behind that attribute.
fn integrity(key: &hmac::Key, message: &[u8]) -> hmac::Tag {
    let length = (message.len() + INTEGRITY_LEN - STUN_HEADER) as u16;
    let mut context = hmac::Context::with_key(key);
    context.update(&message[..2]);
    context.update(&length.to_be_bytes());
    context.update(&message[4..]);
    context.sign()
}

fn fingerprint(datagram: &[u8], at: usize, value: &[u8]) -> Fingerprint {
    let last = at + ATTRIBUTE_HEADER + 4 == datagram.len();
    let expected = (crc32(&datagram[..at]) ^ FINGERPRINT_XOR).to_be_bytes();
    if last && value == expected {
        Fingerprint::Right
    } else {
        Fingerprint::Wrong
    }
}

/// CRC-32 of ITU-T V.42.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| CRC_TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

#[cfg(test)]
#[path = "stun/tests.rs"]
mod tests;
