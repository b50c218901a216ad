//! Why a datagram, packet or message went no further. Every early return on the packet path names one;
//! the names are the same in code, on the metrics page, in the documentation and in the tests.

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The closed list of reasons; [`DropReason::name`] is the stable public identifier.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason { $($(#[$doc])* $variant,)* }

        impl DropReason {
            /// All reasons, in counter order.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$variant,)*];

            /// The stable snake_case name.
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)* }
            }
        }
    };
}

drop_reasons! {
    // -- demultiplexing (RFC 7983) and the edge --
    /// Zero bytes: legal UDP, no meaning here.
    DemuxEmpty = "demux_empty",
    /// Too short for the class its first byte claims.
    DemuxShort = "demux_short",
    /// Longer than any datagram we accept (2048 bytes).
    DemuxTooLong = "demux_too_long",
    /// First byte in no assigned range.
    DemuxUnknown = "demux_unknown",
    /// ZRTP, TURN channel data or QUIC: assigned, but not spoken here.
    DemuxUnsupported = "demux_unsupported",
    /// DTLS, SRTP or SRTCP from an address that no authenticated check has validated.
    UnvalidatedAddress = "unvalidated_address",
    // -- between lanes --
    /// The ring to another lane is full.
    RelayFull = "relay_full",
    // -- egress --
    /// The transport that a packet was meant for has no validated address or no keys yet.
    LegNotReady = "leg_not_ready",
    /// The send batch is full: the lane sheds this packet.
    SendQueueFull = "send_queue_full",
    // -- sockets, rings and threads around the core --
    /// Longer than the receive slot: the kernel cut it off.
    DatagramTruncated = "datagram_truncated",
    /// The socket's send buffer stayed full for as long as a lane may wait.
    SendAgain = "send_again",
    /// The kernel refused to send (no route, forbidden, too long).
    SendError = "send_error",
    /// Handling it panicked: a bug; its transport was discarded.
    Panicked = "panicked",
    /// The control plane does not collect its events.
    EventQueueFull = "event_queue_full",
    /// The associations thread does not keep up.
    AssociationQueueFull = "association_queue_full",
}

/// How many reasons there are: the length of a counter array.
pub const DROP_REASONS: usize = DropReason::ALL.len();

/// A counter per reason, owned by one lane, so plain additions.
#[derive(Clone, Debug)]
pub struct DropCounters([u64; DROP_REASONS]);

impl Default for DropCounters {
    fn default() -> Self {
        Self([0; DROP_REASONS])
    }
}

impl DropCounters {
    /// Counts one drop.
    pub fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }

    /// Counts `times` drops at once.
    pub fn add(&mut self, reason: DropReason, times: u64) {
        self.0[reason as usize] += times;
    }

    /// Adds another set of counters to this one.
    pub fn merge(&mut self, other: &DropCounters) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// How often `reason` occurred.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Every reason with its count, zeroes included.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|&reason| (reason, self.get(reason)))
    }
}
