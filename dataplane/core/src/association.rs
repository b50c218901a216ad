//! What lanes and the associations thread tell each other. Rare, owned values: they travel by bounded ring.

use std::net::SocketAddr;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::command::RemoteParameters;
use crate::event::{CloseReason, SrtpProfile};
use crate::ids::{ConnectionId, TransportId};

/// A way to a peer: one of the lane's sockets and the peer's address on it, or a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Index of the UDP socket on the lane, or of the listener that accepted the connection.
    pub socket: u8,
    /// The peer, with IPv4-mapped IPv6 already normalised to IPv4.
    pub peer: SocketAddr,
    /// Over TCP (RFC 6544): which connection. A later one from the same address is another path.
    pub connection: Option<ConnectionId>,
}

impl Path {
    /// A peer behind a UDP socket of the lane.
    pub const fn udp(socket: u8, peer: SocketAddr) -> Self {
        Self { socket, peer, connection: None }
    }

    /// A peer at the other end of a connection that listener `socket` accepted.
    pub const fn tcp(socket: u8, peer: SocketAddr, connection: ConnectionId) -> Self {
        Self { socket, peer, connection: Some(connection) }
    }
}

/// From a lane to the associations thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToAssociation {
    /// A transport came to be; nothing may be sent yet.
    Added {
        /// Which.
        transport: TransportId,
    },
    /// Its description arrived: role, fingerprints, SCTP.
    Remote {
        /// Which.
        transport: TransportId,
        /// What is known.
        remote: RemoteParameters,
    },
    /// The selected path (changes with mobility); the handshake may start.
    Selected {
        /// Which.
        transport: TransportId,
        /// Where to send.
        path: Path,
    },
    /// A DTLS datagram from a validated path.
    Datagram {
        /// Which.
        transport: TransportId,
        /// Its bytes, never empty.
        data: Vec<u8>,
    },
    /// Consent expired or the last connection broke: send nothing until the next `Selected`.
    Silenced {
        /// Which.
        transport: TransportId,
    },
    /// The transport is gone.
    Removed {
        /// Which.
        transport: TransportId,
    },
}

/// One direction's SRTP master key and salt (RFC 5764 section 4.2). Erased on drop, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey {
    /// 16 or 32 bytes.
    pub key: Vec<u8>,
    /// 12 bytes for AEAD profiles, 14 for AES-CM.
    pub salt: Vec<u8>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(redacted)")
    }
}

/// From the associations thread to a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromAssociation {
    /// The handshake is done and the certificate is the signalled one: install keys.
    Keys {
        /// Which.
        transport: TransportId,
        /// Negotiated profile.
        profile: SrtpProfile,
        /// Protects what we send.
        local: MasterKey,
        /// Opens what the peer sends.
        remote: MasterKey,
    },
    /// A DTLS datagram for a TCP connection: only its lane may write there, lest a frame be torn.
    Datagram {
        /// Where to.
        path: Path,
        /// Its bytes.
        data: Vec<u8>,
    },
    /// The association failed or was closed by the peer.
    Closed {
        /// Which.
        transport: TransportId,
        /// Why.
        reason: CloseReason,
    },
}
