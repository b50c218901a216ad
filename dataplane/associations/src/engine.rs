//! The border to a DTLS library. In: role, datagrams, application data, time. Out: datagrams, application
//! data, the peer's certificate, SRTP keys. An engine verifies nothing and reads no clock.

use conclave_core::association::MasterKey;
use conclave_core::command::DtlsRole;
use conclave_core::event::SrtpProfile;
use conclave_core::time::Time;

use crate::config::SetupError;

/// Makes engines that share certificate and settings.
pub(crate) trait DtlsContext {
    /// A fresh engine.
    fn engine(&self, role: DtlsRole) -> Result<Box<dyn DtlsEngine>, SetupError>;
}

/// One DTLS 1.2 connection.
pub(crate) trait DtlsEngine {
    /// Begins as client: makes the first flight. A server waits for it.
    fn start(&mut self, now: Time) -> Result<(), EngineEnd>;

    /// One datagram of whole records, never empty. Application data in it goes to `received`.
    fn handle_datagram(
        &mut self,
        now: Time,
        datagram: &[u8],
        received: &mut dyn FnMut(&[u8]),
    ) -> Result<(), EngineEnd>;

    /// Sends the last flight again; false if the engine has no more tries.
    fn retransmit(&mut self, now: Time) -> bool;

    /// Whether a flight waits for its answer.
    fn awaits_reply(&self) -> bool;

    /// Whether the handshake is done.
    fn is_established(&self) -> bool;

    /// The peer's certificate, DER.
    fn peer_certificate(&self) -> Option<Vec<u8>>;

    /// The keys of RFC 5764 section 4.2. Only after the handshake.
    fn srtp_keys(&self) -> Result<SrtpKeys, KeyError>;

    /// Seals application data into a datagram.
    fn send(&mut self, now: Time, data: &[u8]);

    /// Makes an authentic close_notify.
    fn close(&mut self, now: Time);

    /// The next datagram to send.
    fn poll_transmit(&mut self) -> Option<Vec<u8>>;
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineEnd {
    /// The peer said so, authenticated.
    Closed,
    /// It cannot go on.
    Failed,
}

/// Both directions' SRTP keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SrtpKeys {
    /// Negotiated profile.
    pub profile: SrtpProfile,
    /// Protects what we send.
    pub local: MasterKey,
    /// Opens what the peer sends.
    pub remote: MasterKey,
}

/// Why there are no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// No SRTP protection profile was negotiated.
    NoProfile,
    /// Without Extended Master Secret the exporter is not bound to this handshake (RFC 7627 section 6.1).
    NoExtendedMasterSecret,
}

/// Bytes of master key and master salt (RFC 5764 section 4.1.2, RFC 7714 section 12).
pub(crate) const fn key_lengths(profile: SrtpProfile) -> (usize, usize) {
    match profile {
        SrtpProfile::AeadAes128Gcm => (16, 12),
        SrtpProfile::AeadAes256Gcm => (32, 12),
        SrtpProfile::Aes128CmSha1_80 => (16, 14),
    }
}

/// Splits exported keying material: client key, server key, client salt, server salt (RFC 5764 section 4.2).
/// `material` is as long as [`key_lengths`] says, twice.
pub(crate) fn split_keys(profile: SrtpProfile, role: DtlsRole, material: &[u8]) -> SrtpKeys {
    let (key, salt) = key_lengths(profile);
    let (keys, salts) = material.split_at(2 * key);
    let (client_key, server_key) = keys.split_at(key);
    let (client_salt, server_salt) = salts.split_at(salt);
    let client = MasterKey { key: client_key.to_vec(), salt: client_salt.to_vec() };
    let server = MasterKey { key: server_key.to_vec(), salt: server_salt.to_vec() };
    match role {
        DtlsRole::Client => SrtpKeys { profile, local: client, remote: server },
        DtlsRole::Server => SrtpKeys { profile, local: server, remote: client },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keying_material_is_split_in_the_order_of_rfc_5764() {
        for profile in
            [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80]
        {
            let (key, salt) = key_lengths(profile);
            let parts = [vec![1; key], vec![2; key], vec![3; salt], vec![4; salt]];
            let material = parts.concat();
            let client = split_keys(profile, DtlsRole::Client, &material);
            assert_eq!(client.local, MasterKey { key: vec![1; key], salt: vec![3; salt] });
            assert_eq!(client.remote, MasterKey { key: vec![2; key], salt: vec![4; salt] });
            let server = split_keys(profile, DtlsRole::Server, &material);
            assert_eq!((server.local, server.remote), (client.remote, client.local));
        }
    }
}
