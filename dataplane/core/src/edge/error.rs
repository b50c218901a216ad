//! Why the edge refuses what the control plane or the associations ask of it.

/// Why a call was refused: a mistake of the caller, or one that crossed a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeError {
    /// No such transport.
    UnknownTransport,
    /// The identity is in use.
    TransportExists,
    /// The ufrag is in use.
    UfragTaken,
    /// As many transports as there may be.
    TooManyTransports,
    /// Ufrag or password of a length that ICE forbids.
    BadCredentials,
    /// Key or salt of a length that the profile does not have.
    BadKeys,
    /// These keys are installed already: starting over with them would repeat indexes.
    KeysInUse,
    /// The transport is closed.
    Closed,
}

impl EdgeError {
    /// The stable snake_case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownTransport => "unknown_transport",
            Self::TransportExists => "transport_exists",
            Self::UfragTaken => "ufrag_taken",
            Self::TooManyTransports => "too_many_transports",
            Self::BadCredentials => "bad_credentials",
            Self::BadKeys => "bad_keys",
            Self::KeysInUse => "keys_in_use",
            Self::Closed => "transport_closed",
        }
    }
}
