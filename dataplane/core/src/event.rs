//! What a lane or the associations thread tells the control plane. Rare things only: nothing here is per packet.

use crate::command::ChannelParameters;
use crate::ids::{LegId, TrackId, TransportId};
use crate::media::Codec;

/// Why a transport ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// No valid check for the consent time-out (RFC 7675).
    ConsentExpired,
    /// The certificate matches none of the signalled fingerprints.
    FingerprintMismatch,
    /// DTLS failed or took too long.
    HandshakeFailed,
    /// The peer closed DTLS.
    PeerClosed,
    /// A bug: this transport's state was discarded after a panic.
    Internal,
}

impl CloseReason {
    /// All reasons, in the order of counters.
    pub const ALL: [Self; 5] = [
        Self::ConsentExpired,
        Self::FingerprintMismatch,
        Self::HandshakeFailed,
        Self::PeerClosed,
        Self::Internal,
    ];

    /// The stable snake_case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConsentExpired => "consent_expired",
            Self::FingerprintMismatch => "fingerprint_mismatch",
            Self::HandshakeFailed => "handshake_failed",
            Self::PeerClosed => "peer_closed",
            Self::Internal => "internal",
        }
    }
}

/// SRTP protection profile (RFC 5764, RFC 7714).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpProfile {
    /// AEAD_AES_128_GCM, preferred.
    AeadAes128Gcm,
    /// AEAD_AES_256_GCM.
    AeadAes256Gcm,
    /// AES128_CM_HMAC_SHA1_80.
    Aes128CmSha1_80,
}

impl SrtpProfile {
    /// The name of the IANA registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::Aes128CmSha1_80 => "AES128_CM_SHA1_80",
        }
    }
}

/// Loudness of one audio track since the last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// The track.
    pub track: TrackId,
    /// Loudest level in the window, -dBov (0 loud to 127 silent).
    pub loudest: u8,
    /// Mean level over the packets at or above the activity threshold, -dBov.
    pub mean: u8,
    /// Packets at or above the activity threshold (-35 dBov).
    pub active: u16,
    /// Packets in the window.
    pub packets: u16,
}

/// Events for the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first authenticated check arrived: ICE is up.
    TransportValidated {
        /// Which.
        transport: TransportId,
    },
    /// DTLS is up, the fingerprint matched and SRTP keys are installed.
    TransportConnected {
        /// Which.
        transport: TransportId,
        /// Negotiated profile.
        profile: SrtpProfile,
    },
    /// The selected address moved (network change, restart).
    TransportMoved {
        /// Which.
        transport: TransportId,
    },
    /// No check for five seconds, though consent holds.
    TransportStale {
        /// Which.
        transport: TransportId,
    },
    /// Checks arrive again after a stale spell.
    TransportAlive {
        /// Which.
        transport: TransportId,
    },
    /// The transport ended by itself; everything on it stopped.
    TransportClosed {
        /// Which.
        transport: TransportId,
        /// Why.
        reason: CloseReason,
    },
    /// A stream of a track started or stopped to arrive.
    StreamChanged {
        /// The track.
        track: TrackId,
        /// Stream index.
        stream: u8,
        /// Whether packets arrive.
        active: bool,
        /// Codec seen last.
        codec: Codec,
    },
    /// What a leg carries now.
    LegChanged {
        /// Which.
        leg: LegId,
        /// Stream or spatial layer on the wire; `None` while nothing is sent.
        current: Option<u8>,
    },
    /// Loudness of all audio tracks that had packets, about five times a second.
    AudioLevels(Vec<AudioLevel>),
    /// A data channel is open.
    ChannelOpened {
        /// Which.
        transport: TransportId,
        /// Stream id.
        stream: u16,
        /// Parameters.
        parameters: ChannelParameters,
    },
    /// A message arrived.
    Message {
        /// From.
        transport: TransportId,
        /// Stream id.
        stream: u16,
        /// Payload.
        data: Vec<u8>,
        /// Binary or text.
        binary: bool,
    },
    /// A data channel ended.
    ChannelClosed {
        /// Which.
        transport: TransportId,
        /// Stream id.
        stream: u16,
    },
}
