//! One UDP socket of a lane: bound, non-blocking, with the options that the receive and send paths rely on.
//!
//! In: address, port, wanted buffer sizes. Out: a socket, or an error that names the address. No datagram
//! passes here.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::error::PlaneError;

/// Socket buffer sizes, bytes. The kernel may grant less to a process without CAP_NET_ADMIN.
#[derive(Clone, Copy, Debug)]
pub struct Buffers {
    /// Datagrams that wait to be read.
    pub receive: usize,
    /// Datagrams that wait to leave.
    pub send: usize,
}

/// Binds `ip`:`port` (0: the kernel chooses) for one lane.
pub fn bind(ip: IpAddr, port: u16, buffers: Buffers) -> Result<UdpSocket, PlaneError> {
    let address = SocketAddr::new(ip, port);
    open(address, buffers).map_err(|source| PlaneError::Bind { address, source })
}

fn open(address: SocketAddr, buffers: Buffers) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    let fd = socket.as_raw_fd();
    size_buffer(fd, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, buffers.receive)?;
    size_buffer(fd, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, buffers.send)?;
    set(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    set(fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
    match set(fd, libc::SOL_UDP, libc::UDP_GRO, 1) {
        // Kernels before 5.0 deliver datagrams one by one, which works as well.
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {}
        result => result?,
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Asks for a buffer beyond the system's limit first, then for as much as the limit grants.
fn size_buffer(fd: RawFd, force: i32, plain: i32, bytes: usize) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    set(fd, libc::SOL_SOCKET, force, bytes).or_else(|_| set(fd, libc::SOL_SOCKET, plain, bytes))
}

/// Memory of the datagrams that wait to be read and how much may wait, bytes; zeroes where the kernel does
/// not tell (before 4.12).
pub fn receive_memory(fd: RawFd) -> (u64, u64) {
    let mut info = [0_u32; MEMINFO_FIELDS];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: pointer and length describe a live array; the kernel writes at most that many bytes.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        (u64::from(info[0]), u64::from(info[1]))
    } else {
        (0, 0)
    }
}

/// What SO_MEMINFO tells: SK_MEMINFO_RMEM_ALLOC, SK_MEMINFO_RCVBUF, seven more; see sock_diag(7).
const MEMINFO_FIELDS: usize = 9;

fn set(fd: RawFd, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the value pointer and its length describe a live c_int; the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(
            fd,
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Buffers = Buffers { receive: 65_536, send: 65_536 };

    #[test]
    fn port_zero_binds_a_port_of_the_kernels_choice() {
        let socket = bind("127.0.0.1".parse().unwrap(), 0, SMALL).unwrap();
        assert_ne!(socket.local_addr().unwrap().port(), 0);
    }

    #[test]
    fn a_datagram_that_waits_takes_memory_of_the_socket() {
        let socket = bind("127.0.0.1".parse().unwrap(), 0, SMALL).unwrap();
        let (empty, most) = receive_memory(socket.as_raw_fd());
        assert_eq!(empty, 0);
        assert!(most >= 65_536);
        socket.send_to(&[7; 1_000], socket.local_addr().unwrap()).unwrap();
        let (waiting, _) = receive_memory(socket.as_raw_fd());
        assert!((1_000..most).contains(&waiting), "{waiting}");
    }

    #[test]
    fn both_families_can_hold_the_same_port() {
        let v6 = bind("::".parse().unwrap(), 0, SMALL).unwrap();
        let port = v6.local_addr().unwrap().port();
        bind("0.0.0.0".parse().unwrap(), port, SMALL).unwrap();
    }

    #[test]
    fn a_port_conflict_names_address_and_port() {
        let first = bind("127.0.0.1".parse().unwrap(), 0, SMALL).unwrap();
        let taken = first.local_addr().unwrap();
        let error = bind(taken.ip(), taken.port(), SMALL).unwrap_err();
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
        assert!(matches!(error, PlaneError::Bind { address, .. } if address == taken));
    }
}
