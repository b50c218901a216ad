//! AEAD_AES_128_GCM and AEAD_AES_256_GCM for SRTP and SRTCP (RFC 7714).
//!
//! In: a packet, its index. Out: the packet sealed or opened in place. It trusts its caller for room
//! behind the packet and for never sealing an index twice.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_128_GCM, AES_256_GCM};
use zeroize::Zeroize;

use super::kdf::{Kdf, Label};
use super::{rtcp_ssrc, rtp_seq, rtp_ssrc, BadKey};
use crate::association::MasterKey;
use crate::demux::RTCP_HEADER;

/// Authentication tag.
pub(super) const TAG: usize = 16;
/// E bit and SRTCP index.
const INDEX: usize = 4;
const SALT: usize = 12;

/// Session keys and salts of one direction.
pub(super) struct Gcm {
    rtp: LessSafeKey,
    rtcp: LessSafeKey,
    rtp_salt: [u8; SALT],
    rtcp_salt: [u8; SALT],
}

impl Gcm {
    /// Derives the session keys; `key_len` is 16 or 32.
    pub fn derive(master: &MasterKey, key_len: usize) -> Result<Self, BadKey> {
        if master.key.len() != key_len || master.salt.len() != SALT {
            return Err(BadKey);
        }
        let kdf = Kdf::new(&master.key, &master.salt)?;
        let mut key = [0u8; 32];
        let mut derive = |label| {
            kdf.derive(label, &mut key[..key_len])?;
            let bound = bind(&key[..key_len]);
            key.zeroize();
            bound
        };
        let (rtp, rtcp) = (derive(Label::RtpKey)?, derive(Label::RtcpKey)?);
        let mut suite = Self { rtp, rtcp, rtp_salt: [0; SALT], rtcp_salt: [0; SALT] };
        kdf.derive(Label::RtpSalt, &mut suite.rtp_salt)?;
        kdf.derive(Label::RtcpSalt, &mut suite.rtcp_salt)?;
        Ok(suite)
    }

    /// The same session key and salt for SRTP and SRTCP, as the examples of RFC 7714 have them.
    #[cfg(test)]
    pub fn from_session(key: &[u8], salt: [u8; SALT]) -> Result<Self, BadKey> {
        Ok(Self { rtp: bind(key)?, rtcp: bind(key)?, rtp_salt: salt, rtcp_salt: salt })
    }

    pub fn seal_rtp(&self, index: u64, header: usize, buf: &mut [u8], len: usize) -> usize {
        let nonce = self.rtp_nonce(buf, index);
        let (head, body) = buf.split_at_mut(header);
        let tag = self
            .rtp
            .seal_in_place_separate_tag(nonce, Aad::from(&*head), &mut body[..len - header])
            .expect("invariant: a datagram is shorter than the limit of GCM");
        buf[len..len + TAG].copy_from_slice(tag.as_ref());
        len + TAG
    }

    pub fn open_rtp(&self, index: u64, header: usize, packet: &mut [u8]) -> Option<usize> {
        let nonce = self.rtp_nonce(packet, index);
        let (head, body) = packet.split_at_mut(header);
        let opened = self.rtp.open_in_place(nonce, Aad::from(&*head), body).ok()?;
        Some(header + opened.len())
    }

    pub fn seal_rtcp(&self, index: u32, buf: &mut [u8], len: usize) -> usize {
        let word = (index | 1 << 31).to_be_bytes();
        let aad = rtcp_aad(buf, word);
        let nonce = self.rtcp_nonce(buf, index);
        let tag = self
            .rtcp
            .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut buf[RTCP_HEADER..len])
            .expect("invariant: a datagram is shorter than the limit of GCM");
        buf[len..len + TAG].copy_from_slice(tag.as_ref());
        buf[len + TAG..len + TAG + INDEX].copy_from_slice(&word);
        len + TAG + INDEX
    }

    pub fn open_rtcp(&self, index: u32, packet: &mut [u8]) -> Option<usize> {
        let end = packet.len() - INDEX;
        let aad = rtcp_aad(packet, (index | 1 << 31).to_be_bytes());
        let nonce = self.rtcp_nonce(packet, index);
        let body = &mut packet[RTCP_HEADER..end];
        let opened = self.rtcp.open_in_place(nonce, Aad::from(aad), body).ok()?;
        Some(RTCP_HEADER + opened.len())
    }

    /// RFC 7714 section 8.1: zeros, SSRC, ROC and sequence number, masked with the salt.
    fn rtp_nonce(&self, packet: &[u8], index: u64) -> Nonce {
        let mut iv = self.rtp_salt;
        mask(&mut iv[2..6], &rtp_ssrc(packet).to_be_bytes());
        mask(&mut iv[6..10], &((index >> 16) as u32).to_be_bytes());
        mask(&mut iv[10..], &rtp_seq(packet).to_be_bytes());
        Nonce::assume_unique_for_key(iv)
    }

    /// RFC 7714 section 9.1: zeros, SSRC, zeros and the index, masked with the salt.
    fn rtcp_nonce(&self, packet: &[u8], index: u32) -> Nonce {
        let mut iv = self.rtcp_salt;
        mask(&mut iv[2..6], &rtcp_ssrc(packet).to_be_bytes());
        mask(&mut iv[8..], &index.to_be_bytes());
        Nonce::assume_unique_for_key(iv)
    }
}

impl Drop for Gcm {
    fn drop(&mut self) {
        self.rtp_salt.zeroize();
        self.rtcp_salt.zeroize();
    }
}

fn bind(key: &[u8]) -> Result<LessSafeKey, BadKey> {
    let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
    UnboundKey::new(algorithm, key).map(LessSafeKey::new).map_err(|_| BadKey)
}

/// RFC 7714 section 9.2: the first eight bytes and the index word.
fn rtcp_aad(packet: &[u8], word: [u8; INDEX]) -> [u8; RTCP_HEADER + INDEX] {
    let mut aad = [0u8; RTCP_HEADER + INDEX];
    aad[..RTCP_HEADER].copy_from_slice(&packet[..RTCP_HEADER]);
    aad[RTCP_HEADER..].copy_from_slice(&word);
    aad
}

fn mask(bytes: &mut [u8], with: &[u8]) {
    for (byte, mask) in bytes.iter_mut().zip(with) {
        *byte ^= mask;
    }
}
