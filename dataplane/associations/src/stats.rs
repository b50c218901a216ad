//! Plain numbers for the metrics page; taken about once a second.

use crate::refusal::Refusals;

/// Counters since the start, and what exists now.
#[derive(Clone, Debug, Default)]
pub struct AssociationsStats {
    /// Associations that exist now.
    pub associations: usize,
    /// Handshakes that run now.
    pub handshaking: usize,
    /// Channels that are open now.
    pub channels: usize,
    /// Handshakes that ended with keys.
    pub handshakes_completed: u64,
    /// Handshakes that ended without.
    pub handshakes_failed: u64,
    /// Flights that were sent again.
    pub retransmissions: u64,
    /// Messages received on channels.
    pub messages_received: u64,
    /// Messages handed to SCTP, one for each receiver.
    pub messages_sent: u64,
    /// Refusals by reason.
    pub refusals: Refusals,
}
