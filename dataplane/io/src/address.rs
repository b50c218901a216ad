//! Socket addresses between their Rust and their kernel form. Pure; the only parser of `sockaddr` bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A kernel address: as many bytes as the larger of the two families takes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(4))]
pub struct RawAddress {
    bytes: [u8; Self::SIZE],
    len: libc::socklen_t,
}

impl RawAddress {
    /// Bytes of `sockaddr_in6`, the longest address that a UDP socket here yields.
    pub const SIZE: usize = size_of::<libc::sockaddr_in6>();

    /// Room for the kernel to write into.
    pub const EMPTY: RawAddress = RawAddress { bytes: [0; Self::SIZE], len: Self::SIZE as u32 };

    /// Where the kernel reads or writes the address.
    pub fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.bytes.as_mut_ptr().cast()
    }

    /// Its length in bytes.
    pub fn len(&self) -> libc::socklen_t {
        self.len
    }

    /// Whether it holds no address.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address that the kernel wrote; `None` for a family that no socket here has. IPv4-mapped IPv6
    /// becomes IPv4, so that a peer has one name.
    pub fn parse(&self) -> Option<SocketAddr> {
        let family = libc::c_int::from(u16::from_ne_bytes([self.bytes[0], self.bytes[1]]));
        let port = u16::from_be_bytes([self.bytes[2], self.bytes[3]]);
        match family {
            libc::AF_INET => {
                let octets: [u8; 4] = self.bytes[4..8].try_into().ok()?;
                Some(SocketAddr::new(Ipv4Addr::from(octets).into(), port))
            }
            libc::AF_INET6 => {
                let octets: [u8; 16] = self.bytes[8..24].try_into().ok()?;
                let scope = u32::from_ne_bytes(self.bytes[24..28].try_into().ok()?);
                match Ipv6Addr::from(octets).to_canonical() {
                    IpAddr::V4(ip) => Some(SocketAddr::new(ip.into(), port)),
                    IpAddr::V6(ip) => Some(SocketAddrV6::new(ip, port, 0, scope).into()),
                }
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> Self {
        let mut raw = Self::EMPTY;
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        raw.bytes[0..2].copy_from_slice(&(family as libc::sa_family_t).to_ne_bytes());
        raw.bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                raw.bytes[4..8].copy_from_slice(&v4.ip().octets());
                raw.len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(v6) => {
                raw.bytes[8..24].copy_from_slice(&v6.ip().octets());
                raw.bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            }
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_way_to_the_kernel_and_back() {
        for text in ["127.0.0.1:1", "255.255.255.255:65535", "[::1]:7", "[fe80::1%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(RawAddress::from(address).parse(), Some(address));
        }
    }

    #[test]
    fn a_mapped_address_is_the_plain_one() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:5000".parse().unwrap();
        assert_eq!(RawAddress::from(mapped).parse(), Some("192.0.2.1:5000".parse().unwrap()));
    }

    #[test]
    fn an_unknown_family_is_no_address() {
        assert_eq!(RawAddress::EMPTY.parse(), None);
    }
}
