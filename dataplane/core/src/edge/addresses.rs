//! Which validated address belongs to which transport: the one lookup that every datagram costs.
//!
//! Only a believed check puts an address in, at most eight for each transport, so the table is bounded and
//! nobody unauthenticated can fill it.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::association::Path;
use crate::hash::Keyed;

/// Where an address sits: the transport's slot and the tuple's place inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub slot: u32,
    pub place: u8,
}

#[derive(Debug)]
pub(super) struct Addresses {
    seats: HashMap<Key, Seat, Keyed>,
}

/// Socket and address in three words, so that hashing takes three multiplications. A connection's number
/// takes the place of the address, under a prefix that no unicast address has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key([u64; 3]);

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for word in self.0 {
            state.write_u64(word);
        }
    }
}

impl Key {
    fn new(path: Path) -> Self {
        if let Some(connection) = path.connection {
            return Self([u64::MAX, connection.0.get().into(), path.socket.into()]);
        }
        let (ip, scope) = match path.peer {
            SocketAddr::V4(peer) => (peer.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(peer) => (*peer.ip(), peer.scope_id()),
        };
        let bits = ip.to_bits();
        let rest =
            u64::from(scope) << 24 | u64::from(path.peer.port()) << 8 | u64::from(path.socket);
        Self([(bits >> 64) as u64, bits as u64, rest])
    }
}

impl Addresses {
    pub fn new(keyed: Keyed) -> Self {
        Self { seats: HashMap::with_hasher(keyed) }
    }

    pub fn get(&self, path: Path) -> Option<Seat> {
        self.seats.get(&Key::new(path)).copied()
    }

    pub fn insert(&mut self, path: Path, seat: Seat) {
        self.seats.insert(Key::new(path), seat);
    }

    pub fn remove_all(&mut self, paths: Vec<Path>) {
        for path in paths {
            self.seats.remove(&Key::new(path));
        }
    }
}

/// A path whose address is IPv4 if it is an IPv4-mapped IPv6 address, without flow label.
pub fn normalised(path: Path) -> Path {
    let SocketAddr::V6(mut peer) = path.peer else { return path };
    peer.set_flowinfo(0);
    let mapped = peer.ip().to_ipv4_mapped();
    let peer = mapped.map_or(SocketAddr::V6(peer), |ip| SocketAddr::new(ip.into(), peer.port()));
    Path { peer, ..path }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::ids::ConnectionId;

    fn path(peer: &str) -> Path {
        Path::udp(1, peer.parse().unwrap())
    }

    #[test]
    fn a_mapped_address_is_the_same_as_the_plain_one() {
        assert_eq!(normalised(path("[::ffff:192.0.2.7]:9")), path("192.0.2.7:9"));
        assert_eq!(normalised(path("[2001:db8::7]:9")), path("[2001:db8::7]:9"));
        let mut addresses = Addresses::new(Keyed::new(1));
        let seat = Seat { slot: 3, place: 2 };
        addresses.insert(path("192.0.2.7:9"), seat);
        assert_eq!(addresses.get(path("[::ffff:192.0.2.7]:9")), Some(seat));
    }

    #[test]
    fn a_connection_is_told_from_its_address_and_from_its_successor() {
        let connection = |number| ConnectionId(NonZeroU32::new(number).unwrap());
        let datagrams = path("192.0.2.7:9");
        let first = Path::tcp(1, datagrams.peer, connection(1));
        let second = Path::tcp(1, datagrams.peer, connection(2));
        let mut addresses = Addresses::new(Keyed::new(1));
        let seat = Seat { slot: 3, place: 2 };
        addresses.insert(first, seat);
        assert_eq!(addresses.get(normalised(first)), Some(seat));
        assert_eq!([addresses.get(second), addresses.get(datagrams)], [None, None]);
    }

    #[test]
    fn socket_port_and_scope_tell_addresses_apart() {
        let mut addresses = Addresses::new(Keyed::new(1));
        addresses.insert(path("[fe80::1%1]:9"), Seat { slot: 0, place: 0 });
        let other_socket = Path { socket: 2, ..path("[fe80::1%1]:9") };
        for other in [path("[fe80::1%2]:9"), path("[fe80::1%1]:10"), other_socket] {
            assert_eq!(addresses.get(other), None);
        }
        addresses.remove_all(vec![path("[fe80::1%1]:9")]);
        assert_eq!(addresses.get(path("[fe80::1%1]:9")), None);
    }
}
