//! Why an association refused a datagram, a message or a command. Every early return names one; the names
//! are the same in code, on the metrics page, in the documentation and in the tests.

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The closed list of reasons; [`Refusal::name`] is the stable public identifier.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Refusal { $($(#[$doc])* $variant,)* }

        impl Refusal {
            /// All reasons, in counter order.
            pub const ALL: &'static [Refusal] = &[$(Refusal::$variant,)*];

            /// The stable snake_case name.
            pub const fn name(self) -> &'static str {
                match self { $(Refusal::$variant => $name,)* }
            }
        }
    };
}

refusals! {
    // -- the set of associations --
    /// A message or command names a transport that is not here (a removal may have crossed it).
    UnknownTransport = "unknown_transport",
    /// A transport was added twice; the first one stays.
    DuplicateTransport = "duplicate_transport",
    /// As many associations as may exist do exist.
    AssociationLimit = "association_limit",
    /// The association failed or was closed before.
    AssociationClosed = "association_closed",
    /// Handling it panicked: a bug; the association was discarded.
    Panicked = "panicked",
    /// A datagram of ours with nowhere to go: no path is selected or consent expired.
    PathSilenced = "path_silenced",
    /// The caller does not collect datagrams, or the lane of a TCP connection has no room for them.
    TransmitQueueFull = "transmit_queue_full",
    // -- DTLS --
    /// Zero bytes: the library would take it for the end of the stream.
    DtlsEmpty = "dtls_empty",
    /// Longer than any datagram we accept.
    DtlsTooLong = "dtls_too_long",
    /// Not a sequence of whole records, or a record whose body breaks its own lengths.
    DtlsMalformed = "dtls_malformed",
    /// An alert that nothing authenticates.
    DtlsPlainAlert = "dtls_plain_alert",
    /// An unencrypted record that is neither handshake nor change of cipher.
    DtlsPlainRecord = "dtls_plain_record",
    /// A handshake message that cannot come from this side at this place.
    DtlsUnexpectedMessage = "dtls_unexpected_message",
    /// A record of an epoch that is over or does not exist.
    DtlsStaleEpoch = "dtls_stale_epoch",
    /// More datagrams than are kept until path and description are known.
    DtlsQueueFull = "dtls_queue_full",
    /// As many handshakes as may run at once do run.
    DtlsHandshakeLimit = "dtls_handshake_limit",
    /// A ClientHello that the library refuses; the next one gets a fresh start.
    DtlsHelloRefused = "dtls_hello_refused",
    /// The handshake failed.
    DtlsFailed = "dtls_failed",
    /// The handshake was not done in time.
    DtlsTimeout = "dtls_timeout",
    /// The peer's certificate is none of those that were signalled.
    DtlsFingerprint = "dtls_fingerprint",
    /// The peer does not do Extended Master Secret (RFC 7627).
    DtlsNoExtendedMasterSecret = "dtls_no_extended_master_secret",
    /// No SRTP protection profile in common.
    DtlsNoSrtpProfile = "dtls_no_srtp_profile",
    /// Application data before the certificate was verified.
    DtlsEarlyData = "dtls_early_data",
    // -- SCTP and channels --
    /// Data or a command for channels where no application section was negotiated.
    SctpNotNegotiated = "sctp_not_negotiated",
    /// The peer sends faster than its allowance.
    SctpRate = "sctp_rate",
    /// A DCEP message that breaks RFC 8832 or our length caps.
    DcepMalformed = "dcep_malformed",
    /// A DCEP OPEN on a stream that carries a channel.
    DcepStreamInUse = "dcep_stream_in_use",
    /// A DCEP ACK that answers nothing.
    DcepUnexpectedAck = "dcep_unexpected_ack",
    /// As many channels as an association may have.
    ChannelLimit = "channel_limit",
    /// A message on a stream without an open channel.
    ChannelUnknown = "channel_unknown",
    /// A payload protocol identifier outside RFC 8831 section 8.
    PayloadUnknown = "payload_unknown",
    /// A message longer than we advertised.
    MessageTooLarge = "message_too_large",
    /// A text message that is not UTF-8.
    MessageNotText = "message_not_text",
    // -- commands --
    /// A channel whose stream id or parameters cannot be.
    OpenInvalid = "open_invalid",
    /// A channel on a stream that carries one, or whose closing is not over.
    OpenStreamInUse = "open_stream_in_use",
    /// A message or close for a channel that is not there.
    SendChannelUnknown = "send_channel_unknown",
    /// A message longer than the peer takes.
    SendTooLarge = "send_too_large",
    /// The peer reads too slowly: a message of a lossy channel is dropped.
    LossyQueueFull = "lossy_queue_full",
    /// The peer reads far too slowly: a message of a reliable channel is dropped.
    ReliableQueueFull = "reliable_queue_full",
}

/// How many reasons there are: the length of a counter array.
pub const REFUSALS: usize = Refusal::ALL.len();

/// A counter per reason.
#[derive(Clone, Debug)]
pub struct Refusals([u64; REFUSALS]);

impl Default for Refusals {
    fn default() -> Self {
        Self([0; REFUSALS])
    }
}

impl Refusals {
    /// Counts one refusal.
    pub(crate) fn count(&mut self, reason: Refusal) {
        self.0[reason as usize] += 1;
    }

    /// How often `reason` occurred.
    pub fn get(&self, reason: Refusal) -> u64 {
        self.0[reason as usize]
    }

    /// Every reason with its count, zeroes included.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL.iter().map(|&reason| (reason, self.get(reason)))
    }
}
