//! Session keys from a master key (RFC 3711 section 4.3, RFC 7714 section 11), key derivation rate zero.
//!
//! In: master key and salt, the label of what is wanted. Out: bytes of key. It stores nothing.

use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext, UnboundCipherKey, AES_128, AES_256};
use aws_lc_rs::iv::FixedLength;

use super::BadKey;

/// What a derived key is for (RFC 3711 section 4.3.1 and 4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Label {
    /// SRTP encryption key.
    RtpKey = 0,
    /// SRTP authentication key.
    RtpAuth = 1,
    /// SRTP salt.
    RtpSalt = 2,
    /// SRTCP encryption key.
    RtcpKey = 3,
    /// SRTCP authentication key.
    RtcpAuth = 4,
    /// SRTCP salt.
    RtcpSalt = 5,
}

/// The pseudo-random function of one master key: AES in counter mode.
pub struct Kdf {
    prf: EncryptingKey,
    salt: [u8; 14],
}

impl Kdf {
    /// `key` is 16 or 32 bytes, `salt` 12 or 14 (a shorter salt counts as padded with zeros on the right).
    pub fn new(key: &[u8], salt: &[u8]) -> Result<Self, BadKey> {
        let cipher = match key.len() {
            16 => &AES_128,
            32 => &AES_256,
            _ => return Err(BadKey),
        };
        if !matches!(salt.len(), 12 | 14) {
            return Err(BadKey);
        }
        let mut padded = [0u8; 14];
        padded[..salt.len()].copy_from_slice(salt);
        let unbound = UnboundCipherKey::new(cipher, key).map_err(|_| BadKey)?;
        let prf = EncryptingKey::ctr(unbound).map_err(|_| BadKey)?;
        Ok(Self { prf, salt: padded })
    }

    /// Fills `out` with the key of `label`.
    pub fn derive(&self, label: Label, out: &mut [u8]) -> Result<(), BadKey> {
        let mut iv = [0u8; 16];
        iv[..14].copy_from_slice(&self.salt);
        iv[7] ^= label as u8;
        out.fill(0);
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        self.prf.less_safe_encrypt(out, context).map_err(|_| BadKey)?;
        Ok(())
    }
}

impl Drop for Kdf {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.salt);
    }
}
