//! The DTLS engine on AWS-LC. In: datagrams and time. Out: datagrams of at most [`MTU`] bytes, application
//! data, keys. It decides nothing about trust.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use conclave_core::command::DtlsRole;
use conclave_core::event::SrtpProfile;
use conclave_core::time::Time;
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::srtp::SrtpProfileId;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode,
    SslStream, SslVersion,
};
use openssl::x509::X509;
use zeroize::Zeroizing;

use crate::config::{AssociationsConfig, SetupError};
use crate::engine::{
    key_lengths, split_keys, DtlsContext, DtlsEngine, EngineEnd, KeyError, SrtpKeys,
};
use crate::seam;

/// Flights are cut to fit any path that carries WebRTC at all (IPv6's 1280 less headers).
pub(crate) const MTU: u32 = 1_200;

/// X25519 first; P-224 because some clients' default certificate lies on it.
const GROUPS: &str = "X25519:P-256:P-384:P-224";

/// As server our order wins: the cheapest authenticated cipher first, the mandatory one of RFC 5764 last.
const SRTP_PROFILES: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80";

/// Forward secret and authenticated only; RSA for peers whose certificate is.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";

/// A record's plaintext: no datagram we accept holds more.
const RECORD_BUFFER: usize = crate::config::MAX_DATAGRAM;

/// Certificate, key and settings for all connections.
pub(crate) struct AwsLcContext(SslContext);

impl AwsLcContext {
    /// Checks and takes certificate and key.
    pub fn new(config: &AssociationsConfig) -> Result<Self, SetupError> {
        let certificate =
            X509::from_der(&config.certificate_der).map_err(|_| SetupError::Certificate)?;
        let key = PKey::private_key_from_pkcs8(&config.private_key_der)
            .map_err(|_| SetupError::PrivateKey)?;
        let mut builder = SslContextBuilder::new(SslMethod::dtls()).map_err(library)?;
        settings(&mut builder).map_err(library)?;
        builder.set_certificate(&certificate).map_err(|_| SetupError::Certificate)?;
        builder.set_private_key(&key).map_err(|_| SetupError::KeyMismatch)?;
        builder.check_private_key().map_err(|_| SetupError::KeyMismatch)?;
        seam::install(&mut builder);
        Ok(Self(builder.build()))
    }
}

impl DtlsContext for AwsLcContext {
    fn engine(&self, role: DtlsRole) -> Result<Box<dyn DtlsEngine>, SetupError> {
        let mut ssl = Ssl::new(&self.0).map_err(library)?;
        ssl.set_mtu(MTU).map_err(library)?;
        match role {
            DtlsRole::Client => ssl.set_connect_state(),
            DtlsRole::Server => ssl.set_accept_state(),
        }
        let stream = SslStream::new(ssl, Pipe::default()).map_err(library)?;
        Ok(Box::new(AwsLcEngine { stream, role, established: false, skew: 0 }))
    }
}

fn settings(builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
    builder.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
    builder.set_cipher_list(CIPHERS)?;
    builder.set_groups_list(GROUPS)?;
    builder.set_tlsext_use_srtp(SRTP_PROFILES)?;
    // A WebRTC connection is never resumed, and a ticket would cost a flight its place in one datagram.
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_QUERY_MTU);
    Ok(())
}

#[allow(clippy::needless_pass_by_value)] // the shape that map_err wants
fn library(error: ErrorStack) -> SetupError {
    SetupError::Library(error.to_string())
}

/// The library's transport: one `read` is one datagram, one `write` is one datagram.
#[derive(Default)]
struct Pipe {
    incoming: Vec<u8>,
    unread: bool,
    outgoing: VecDeque<Vec<u8>>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !std::mem::take(&mut self.unread) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = self.incoming.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.incoming[..length]);
        Ok(length)
    }
}

impl Write for Pipe {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outgoing.push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One connection.
struct AwsLcEngine {
    stream: SslStream<Pipe>,
    role: DtlsRole,
    established: bool,
    /// How far the library's clock was pushed ahead of ours, microseconds (see `retransmit`).
    skew: u64,
}

impl AwsLcEngine {
    fn set_clock(&self, now: Time) {
        seam::set_clock(now.as_micros() + self.skew);
    }

    fn advance(&mut self) -> Result<(), EngineEnd> {
        match self.stream.do_handshake() {
            Ok(()) => {
                self.established = true;
                Ok(())
            }
            Err(error) if error.code() == ErrorCode::WANT_READ => Ok(()),
            Err(_) => Err(EngineEnd::Failed),
        }
    }

    fn profile(&self) -> Option<SrtpProfile> {
        match self.stream.ssl().selected_srtp_profile()?.id() {
            SrtpProfileId::SRTP_AEAD_AES_128_GCM => Some(SrtpProfile::AeadAes128Gcm),
            SrtpProfileId::SRTP_AEAD_AES_256_GCM => Some(SrtpProfile::AeadAes256Gcm),
            SrtpProfileId::SRTP_AES128_CM_SHA1_80 => Some(SrtpProfile::Aes128CmSha1_80),
            _ => None,
        }
    }
}

impl DtlsEngine for AwsLcEngine {
    fn start(&mut self, now: Time) -> Result<(), EngineEnd> {
        self.set_clock(now);
        self.advance()
    }

    fn handle_datagram(
        &mut self,
        now: Time,
        datagram: &[u8],
        received: &mut dyn FnMut(&[u8]),
    ) -> Result<(), EngineEnd> {
        if datagram.is_empty() {
            return Ok(());
        }
        self.set_clock(now);
        let pipe = self.stream.get_mut();
        pipe.incoming.clear();
        pipe.incoming.extend_from_slice(datagram);
        pipe.unread = true;
        if !self.established {
            self.advance()?;
        }
        let mut buffer = [0; RECORD_BUFFER];
        while self.established {
            match self.stream.ssl_read(&mut buffer) {
                Ok(length) => received(&buffer[..length]),
                Err(error) if error.code() == ErrorCode::WANT_READ => break,
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    return Err(EngineEnd::Closed)
                }
                Err(_) => return Err(EngineEnd::Failed),
            }
        }
        Ok(())
    }

    /// The library doubles its timer up to a minute; ours stops at a second. So its timer is never waited
    /// for: when ours is over, the library's clock jumps to the end of its own.
    fn retransmit(&mut self, now: Time) -> bool {
        self.set_clock(now);
        let Some(left) = seam::time_left(self.stream.ssl()) else { return false };
        self.skew += left.as_micros() as u64;
        self.set_clock(now);
        let more = seam::handle_timeout(&mut self.stream);
        if !more {
            // The library leaves its reason in a queue of the thread; the next caller must not find it.
            drop(ErrorStack::get());
        }
        more
    }

    fn awaits_reply(&self) -> bool {
        seam::time_left(self.stream.ssl()).is_some()
    }

    fn is_established(&self) -> bool {
        self.established
    }

    fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.stream.ssl().peer_certificate()?.to_der().ok()
    }

    fn srtp_keys(&self) -> Result<SrtpKeys, KeyError> {
        let ssl = self.stream.ssl();
        if !seam::has_extended_master_secret(ssl) {
            return Err(KeyError::NoExtendedMasterSecret);
        }
        let profile = self.profile().ok_or(KeyError::NoProfile)?;
        let (key, salt) = key_lengths(profile);
        let mut material = Zeroizing::new(vec![0; 2 * (key + salt)]);
        ssl.export_keying_material(&mut material, EXPORTER_LABEL, None)
            .map_err(|_| KeyError::NoProfile)?;
        Ok(split_keys(profile, self.role, &material))
    }

    fn send(&mut self, now: Time, data: &[u8]) {
        self.set_clock(now);
        // A write to memory cannot wait; what fails is a connection that was closed meanwhile, and its
        // data has nowhere to go.
        drop(self.stream.ssl_write(data));
    }

    fn close(&mut self, now: Time) {
        self.set_clock(now);
        drop(self.stream.shutdown());
    }

    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.stream.get_mut().outgoing.pop_front()
    }
}
