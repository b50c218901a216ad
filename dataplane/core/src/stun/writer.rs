//! Writes a STUN message into a given buffer.
//!
//! In: attributes in the order they shall stand. Out: the message's length. Every step answers `None` when
//! the buffer has no room, so an answer written over its request can never be longer than it.

use aws_lc_rs::hmac;

use super::{
    attribute, crc32, integrity, TransactionId, ATTRIBUTE_HEADER, FINGERPRINT_XOR, INTEGRITY_LEN,
};
use crate::demux::{STUN_COOKIE, STUN_HEADER};

/// A message in the making.
#[derive(Debug)]
pub struct Writer<'a> {
    buf: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Starts a message of type `kind`.
    pub fn new(buf: &'a mut [u8], kind: u16, transaction: &TransactionId) -> Option<Self> {
        let header = buf.get_mut(..STUN_HEADER)?;
        header[..2].copy_from_slice(&kind.to_be_bytes());
        header[2..4].fill(0);
        header[4..8].copy_from_slice(&STUN_COOKIE);
        header[8..].copy_from_slice(transaction);
        Some(Self { buf, len: STUN_HEADER })
    }

    /// Appends an attribute, padded with zeros.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Option<Self> {
        let end = self.len + ATTRIBUTE_HEADER + value.len().next_multiple_of(4);
        let slot = self.buf.get_mut(self.len..end)?;
        slot[..2].copy_from_slice(&kind.to_be_bytes());
        slot[2..4].copy_from_slice(&(value.len() as u16).to_be_bytes());
        slot[ATTRIBUTE_HEADER..ATTRIBUTE_HEADER + value.len()].copy_from_slice(value);
        slot[ATTRIBUTE_HEADER + value.len()..].fill(0);
        self.grow(end);
        Some(self)
    }

    /// Appends MESSAGE-INTEGRITY keyed with `key`.
    pub fn integrity(self, key: &hmac::Key) -> Option<Self> {
        if self.buf.len() < self.len + INTEGRITY_LEN {
            return None;
        }
        let tag = integrity(key, &self.buf[..self.len]);
        self.attribute(attribute::MESSAGE_INTEGRITY, tag.as_ref())
    }

    /// Appends FINGERPRINT and returns the message's length.
    pub fn finish(mut self) -> Option<usize> {
        let end = self.len + ATTRIBUTE_HEADER + 4;
        if self.buf.len() < end {
            return None;
        }
        let at = self.len;
        self.grow(end);
        let value = crc32(&self.buf[..at]) ^ FINGERPRINT_XOR;
        self.len = at;
        self.attribute(attribute::FINGERPRINT, &value.to_be_bytes()).map(|written| written.len)
    }

    fn grow(&mut self, end: usize) {
        self.len = end;
        self.buf[2..4].copy_from_slice(&((end - STUN_HEADER) as u16).to_be_bytes());
    }
}
