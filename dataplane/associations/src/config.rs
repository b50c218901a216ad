//! What the associations are told at birth, and every bound with its reason.

use std::fmt;
use std::time::Duration;

/// The SCTP port of our side, as our descriptions say it (`a=sctp-port`).
pub const SCTP_PORT: u16 = 5_000;

/// The longest message we accept and send, and the `a=max-message-size` we advertise. Browsers cut their
/// own messages at this size, so a larger value would buy nothing.
pub const MAX_MESSAGE_BYTES: usize = 262_144;

/// The highest stream id: 65535 is reserved (RFC 8832 section 6).
pub const MAX_STREAM: u16 = 65_534;

/// The longest datagram we look at; a lane's receive slot is no longer.
pub(crate) const MAX_DATAGRAM: usize = 2_048;

/// Datagrams kept while path or description are missing: two ClientHellos of two datagrams each. Whatever
/// comes on top is lost and sent again by the peer's own timer.
pub(crate) const MAX_EARLY_DATAGRAMS: usize = 4;

/// Channels per association. Known clients use three, the server three more.
pub(crate) const MAX_CHANNELS: usize = 64;

/// Bytes of a channel's label, and of its protocol. The wire allows 65535 each (RFC 8832 section 5.1);
/// both are names that a person gave.
pub(crate) const MAX_NAME_BYTES: usize = 256;

/// Bytes that one channel may have inside the SCTP library at a time: enough to fill the congestion window
/// of a fast path, little enough that a long message of one channel does not sit before the others.
pub(crate) const CHANNEL_WINDOW: usize = 65_536;

/// Everything the SCTP library may buffer for sending: each channel's window and its last message.
pub(crate) const SCTP_SEND_BUFFER: usize = MAX_CHANNELS * (CHANNEL_WINDOW + MAX_MESSAGE_BYTES);

/// The SCTP receive window: two messages of full size under way, within the library's 90 % water mark.
pub(crate) const SCTP_RECEIVE_WINDOW: usize = 768 * 1_024;

/// What a queued message costs beside its payload, so that a queue of tiny messages is bounded as well.
pub(crate) const MESSAGE_OVERHEAD: usize = 64;

/// Datagrams that wait for the caller, who drains them after each call: one call makes at most a
/// congestion window for each of the associations it touches.
pub(crate) const MAX_TRANSMITS: usize = 65_536;

/// When to look again at messages that were left in the library for lack of room above.
pub(crate) const EVENT_RETRY: Duration = Duration::from_millis(5);

/// Bounds that a deployment may change. The defaults suit a conference.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Associations that may exist at once.
    pub associations: usize,
    /// Handshakes that may run at once: each costs about 150 microseconds and 30 KiB.
    pub handshakes: usize,
    /// From path and description being known to keys, or the association fails.
    pub handshake_deadline: Duration,
    /// Bytes per second that one peer may send over its channels, in DTLS datagrams.
    pub inbound_bytes_per_second: u64,
    /// Messages per second that one peer may send.
    pub inbound_messages_per_second: u64,
    /// Bytes that may wait for one peer on its lossy channels.
    pub lossy_queue_bytes: usize,
    /// Bytes that may wait for one peer on its reliable channels.
    pub reliable_queue_bytes: usize,
    /// Bytes of events that may wait for the caller. Above it messages stay in the SCTP library, so that the
    /// peers' own flow control slows them down.
    pub event_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            associations: 65_536,
            handshakes: 1_024,
            handshake_deadline: Duration::from_secs(30),
            inbound_bytes_per_second: 4 * 1_024 * 1_024,
            inbound_messages_per_second: 5_000,
            lossy_queue_bytes: 128 * 1_024,
            reliable_queue_bytes: 4 * 1_024 * 1_024,
            event_bytes: 16 * 1_024 * 1_024,
        }
    }
}

/// What [`crate::Associations::new`] wants to know.
#[derive(Clone)]
pub struct AssociationsConfig {
    /// Our certificate, DER X.509. Made for this process, never shipped.
    pub certificate_der: Vec<u8>,
    /// Its private key, DER PKCS#8.
    pub private_key_der: Vec<u8>,
    /// Seed of SCTP's verification tags and first sequence numbers; from the system's generator but in tests.
    pub seed: u64,
    /// Bounds.
    pub limits: Limits,
}

impl fmt::Debug for AssociationsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssociationsConfig").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The certificate, the key or a setting was not accepted: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// Not a DER X.509 certificate.
    Certificate,
    /// Not a DER PKCS#8 key.
    PrivateKey,
    /// The key is not the certificate's.
    KeyMismatch,
    /// The DTLS library refused a setting; its own words.
    Library(String),
}

impl SetupError {
    /// The stable snake_case code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::PrivateKey => "private_key",
            Self::KeyMismatch => "key_mismatch",
            Self::Library(_) => "library",
        }
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(words) => write!(f, "library: {words}"),
            other => f.write_str(other.code()),
        }
    }
}

impl std::error::Error for SetupError {}
