//! Our side against a bare DTLS library: what peers of other makers may offer.

mod support;

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use conclave_associations::{Limits, Refusal};
use conclave_core::association::{FromAssociation, ToAssociation};
use conclave_core::command::DtlsRole;
use conclave_core::event::{CloseReason, SrtpProfile};
use conclave_core::time::Time;
use openssl::pkey::PKey;
use openssl::ssl::{
    Ssl, SslContextBuilder, SslMethod, SslOptions, SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use support::{path, remote, Identity, Side, LANE, T};

#[derive(Default)]
struct Wire {
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Ok(datagram.len())
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outgoing.push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn foreign(identity: &Identity, set: impl FnOnce(&mut SslContextBuilder)) -> SslStream<Wire> {
    let expect = "the library takes what we make";
    let mut builder = SslContextBuilder::new(SslMethod::dtls()).expect(expect);
    builder.set_options(SslOptions::NO_QUERY_MTU);
    builder.set_min_proto_version(Some(SslVersion::DTLS1_2)).expect(expect);
    builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    builder.set_certificate(&X509::from_der(&identity.certificate).expect(expect)).expect(expect);
    let key = PKey::private_key_from_pkcs8(&identity.key).expect(expect);
    builder.set_private_key(&key).expect(expect);
    set(&mut builder);
    let mut ssl = Ssl::new(&builder.build()).expect(expect);
    ssl.set_mtu(1_200).expect(expect);
    ssl.set_connect_state();
    SslStream::new(ssl, Wire::default()).expect(expect)
}

/// Lets our server and a foreign client talk until both fall silent.
fn meet(set: impl FnOnce(&mut SslContextBuilder)) -> (Side, SslStream<Wire>) {
    let identity = Identity::ecdsa();
    let mut client = foreign(&identity, set);
    let mut side = Side::new(Identity::ecdsa(), Limits::default());
    for message in [
        ToAssociation::Added { transport: T },
        ToAssociation::Remote { transport: T, remote: remote(&identity, DtlsRole::Server) },
        ToAssociation::Selected { transport: T, path: path() },
    ] {
        side.associations.handle_lane(Time::default(), LANE, message);
    }
    for _ in 0..8 {
        drop(client.do_handshake());
        while let Some(data) = client.get_mut().outgoing.pop_front() {
            let message = ToAssociation::Datagram { transport: T, data };
            side.associations.handle_lane(Time::default(), LANE, message);
        }
        let answers = side.collect().into_iter().map(|transmit| transmit.datagram);
        client.get_mut().incoming.extend(answers);
    }
    (side, client)
}

#[test]
fn our_order_of_srtp_profiles_wins_and_each_has_the_keys_of_its_exporter() {
    let cases = [
        (
            "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM",
            SrtpProfile::AeadAes128Gcm,
            (16, 12),
        ),
        ("SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM", SrtpProfile::AeadAes256Gcm, (32, 12)),
        ("SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80", SrtpProfile::Aes128CmSha1_80, (16, 14)),
    ];
    for (offered, expected, (key, salt)) in cases {
        let (side, client) = meet(|builder| builder.set_tlsext_use_srtp(offered).expect(offered));
        let Some(FromAssociation::Keys { profile, local, remote, .. }) = side.keys() else {
            panic!("keys for {offered}");
        };
        assert_eq!(*profile, expected);
        let mut material = vec![0; 2 * (key + salt)];
        client
            .ssl()
            .export_keying_material(&mut material, "EXTRACTOR-dtls_srtp", None)
            .expect("exported");
        // We are the server: what the client writes with is the peer's.
        let parts = [&remote.key, &local.key, &remote.salt, &local.salt].map(Vec::as_slice);
        assert_eq!(parts.concat(), material);
        assert_eq!((local.key.len(), local.salt.len()), (key, salt));
    }
}

#[test]
fn a_peer_without_a_common_srtp_profile_gets_no_keys() {
    for offered in [None, Some("SRTP_AES128_CM_SHA1_32")] {
        let (side, _) = meet(|builder| {
            if let Some(offered) = offered {
                builder.set_tlsext_use_srtp(offered).expect(offered);
            }
        });
        assert!(side.keys().is_none());
        assert_eq!(side.closed(), [CloseReason::HandshakeFailed]);
        assert_eq!(side.refusals(), [(Refusal::DtlsNoSrtpProfile, 1)]);
    }
}

#[test]
fn a_hello_without_common_ground_is_refused_without_an_alert_until_the_deadline() {
    let (mut side, _) = meet(|builder| builder.set_groups_list("P-521").expect("known group"));
    assert_eq!(side.refusals(), [(Refusal::DtlsHelloRefused, 1)]);
    assert_eq!(side.sent.len(), 0);
    side.associations.handle_timeout(Time::from_millis(30_000));
    side.collect();
    assert_eq!(side.closed(), [CloseReason::HandshakeFailed]);
    assert_eq!(side.refused(Refusal::DtlsTimeout), 1);
}

#[test]
fn a_peer_without_a_certificate_fails() {
    let (side, _) = meet(|builder| {
        // A context of its own: the identity's certificate never gets into it.
        let mut bare = SslContextBuilder::new(SslMethod::dtls()).expect("context");
        bare.set_options(SslOptions::NO_QUERY_MTU);
        bare.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        bare.set_tlsext_use_srtp("SRTP_AEAD_AES_128_GCM").expect("profile");
        *builder = bare;
    });
    assert!(side.keys().is_none());
    assert_eq!(side.closed(), [CloseReason::HandshakeFailed]);
    assert_eq!(side.refusals(), [(Refusal::DtlsFailed, 1)]);
}

#[test]
fn only_forward_secret_authenticated_ciphers_of_dtls_1_2_are_agreed_on() {
    let (side, client) =
        meet(|builder| builder.set_tlsext_use_srtp("SRTP_AEAD_AES_128_GCM").expect("profile"));
    assert!(side.keys().is_some());
    let cipher = client.ssl().current_cipher().expect("negotiated").name();
    assert_eq!(cipher, "ECDHE-ECDSA-AES128-GCM-SHA256");
    assert_eq!(client.ssl().version_str(), "DTLSv1.2");
    for refused in ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA"] {
        let (side, _) = meet(|builder| builder.set_cipher_list(refused).expect(refused));
        assert_eq!(side.refused(Refusal::DtlsHelloRefused), 1, "{refused}");
    }
}

#[test]
fn certificate_and_key_are_checked_at_birth() {
    use conclave_associations::{Associations, SetupError};
    let (ours, other) = (Identity::ecdsa(), Identity::ecdsa());
    let code = |certificate: &[u8], key: &[u8]| {
        let identity = Identity { certificate: certificate.to_vec(), key: key.to_vec() };
        Associations::new(&identity.config(Limits::default())).err().map(|error| error.code())
    };
    assert_eq!(code(&ours.certificate, &ours.key), None);
    assert_eq!(code(b"nonsense", &ours.key), Some(SetupError::Certificate.code()));
    assert_eq!(code(&ours.certificate, b"nonsense"), Some(SetupError::PrivateKey.code()));
    assert_eq!(code(&ours.certificate, &other.key), Some(SetupError::KeyMismatch.code()));
}
