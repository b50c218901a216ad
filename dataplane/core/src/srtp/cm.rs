//! AES128_CM_HMAC_SHA1_80 for SRTP and SRTCP (RFC 3711 sections 4.1.1 and 4.2): the fallback profile.
//!
//! In: a packet, its index. Out: the packet sealed or opened in place. It trusts its caller for room
//! behind the packet and for never sealing an index twice.

use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext, UnboundCipherKey, AES_128};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, hmac};
use zeroize::Zeroize;

use super::kdf::{Kdf, Label};
use super::{rtcp_ssrc, rtp_ssrc, BadKey};
use crate::association::MasterKey;
use crate::demux::RTCP_HEADER;

/// Authentication tag: 80 bits.
pub(super) const TAG: usize = 10;
/// E bit and SRTCP index.
const INDEX: usize = 4;
const KEY: usize = 16;
const SALT: usize = 14;
const AUTH_KEY: usize = 20;

/// Session keys and salts of one direction.
pub(super) struct Cm {
    rtp: Half,
    rtcp: Half,
}

/// Keys of either SRTP or SRTCP.
struct Half {
    cipher: EncryptingKey,
    auth: hmac::Key,
    salt: [u8; SALT],
}

impl Cm {
    /// Derives the session keys.
    pub fn derive(master: &MasterKey) -> Result<Self, BadKey> {
        if master.key.len() != KEY || master.salt.len() != SALT {
            return Err(BadKey);
        }
        let kdf = Kdf::new(&master.key, &master.salt)?;
        Ok(Self {
            rtp: Half::derive(&kdf, [Label::RtpKey, Label::RtpAuth, Label::RtpSalt])?,
            rtcp: Half::derive(&kdf, [Label::RtcpKey, Label::RtcpAuth, Label::RtcpSalt])?,
        })
    }

    pub fn seal_rtp(&self, index: u64, header: usize, buf: &mut [u8], len: usize) -> usize {
        let ssrc = rtp_ssrc(buf);
        self.rtp.crypt(ssrc, index, &mut buf[header..len]);
        let tag = self.rtp.rtp_tag(index, &buf[..len]);
        buf[len..len + TAG].copy_from_slice(&tag.as_ref()[..TAG]);
        len + TAG
    }

    pub fn open_rtp(&self, index: u64, header: usize, packet: &mut [u8]) -> Option<usize> {
        let ssrc = rtp_ssrc(packet);
        let (packet, tag) = packet.split_at_mut(packet.len() - TAG);
        let expected = self.rtp.rtp_tag(index, packet);
        constant_time::verify_slices_are_equal(&expected.as_ref()[..TAG], tag).ok()?;
        self.rtp.crypt(ssrc, index, &mut packet[header..]);
        Some(packet.len())
    }

    pub fn seal_rtcp(&self, index: u32, buf: &mut [u8], len: usize) -> usize {
        let ssrc = rtcp_ssrc(buf);
        self.rtcp.crypt(ssrc, index.into(), &mut buf[RTCP_HEADER..len]);
        let end = len + INDEX;
        buf[len..end].copy_from_slice(&(index | 1 << 31).to_be_bytes());
        let tag = hmac::sign(&self.rtcp.auth, &buf[..end]);
        buf[end..end + TAG].copy_from_slice(&tag.as_ref()[..TAG]);
        end + TAG
    }

    pub fn open_rtcp(&self, index: u32, packet: &mut [u8]) -> Option<usize> {
        let ssrc = rtcp_ssrc(packet);
        let (packet, tag) = packet.split_at_mut(packet.len() - TAG);
        let expected = hmac::sign(&self.rtcp.auth, packet);
        constant_time::verify_slices_are_equal(&expected.as_ref()[..TAG], tag).ok()?;
        let end = packet.len() - INDEX;
        self.rtcp.crypt(ssrc, index.into(), &mut packet[RTCP_HEADER..end]);
        Some(end)
    }
}

impl Half {
    fn derive(kdf: &Kdf, labels: [Label; 3]) -> Result<Self, BadKey> {
        let mut key = [0u8; KEY];
        let mut auth = [0u8; AUTH_KEY];
        let mut salt = [0u8; SALT];
        kdf.derive(labels[0], &mut key)?;
        kdf.derive(labels[1], &mut auth)?;
        kdf.derive(labels[2], &mut salt)?;
        let unbound = UnboundCipherKey::new(&AES_128, &key).map_err(|_| BadKey)?;
        let half = Self {
            cipher: EncryptingKey::ctr(unbound).map_err(|_| BadKey)?,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth),
            salt,
        };
        key.zeroize();
        auth.zeroize();
        Ok(half)
    }

    /// Counter mode (RFC 3711 section 4.1.1): salt, SSRC and index masked together, then the block counter.
    fn crypt(&self, ssrc: u32, index: u64, bytes: &mut [u8]) {
        let mut iv = [0u8; 16];
        iv[4..8].copy_from_slice(&ssrc.to_be_bytes());
        iv[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
        for (byte, mask) in iv.iter_mut().zip(self.salt) {
            *byte ^= mask;
        }
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        self.cipher
            .less_safe_encrypt(bytes, context)
            .expect("invariant: counter mode takes any length and a 16-byte IV");
    }

    /// HMAC over the packet and the roll-over counter (RFC 3711 section 4.2).
    fn rtp_tag(&self, index: u64, packet: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.auth);
        context.update(packet);
        context.update(&((index >> 16) as u32).to_be_bytes());
        context.sign()
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}
