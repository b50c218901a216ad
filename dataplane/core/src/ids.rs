//! Identities. The control plane chooses every number; the data plane only ever looks them up.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);
    };
}

id!(
    /// One ICE, DTLS and SRTP association with a client; lives on one lane for life.
    TransportId,
    u32
);
id!(
    /// One published track: every simulcast stream of it together.
    TrackId,
    u32
);
id!(
    /// One (subscriber, track) egress stream.
    LegId,
    u32
);
id!(
    /// One TCP connection of a lane; a number comes again only after a million others in its place.
    ConnectionId,
    std::num::NonZeroU32
);
id!(
    /// One execution lane: a thread with its own sockets.
    LaneId,
    u8
);
