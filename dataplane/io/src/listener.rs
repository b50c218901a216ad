//! One listening TCP socket of a lane, with the options that its connections inherit.
//!
//! In: address, port. Out: a socket, or an error that names the address. Nothing is accepted here.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::error::PlaneError;

/// Connections that wait to be accepted: what arrives while a lane is busy elsewhere. Beyond it the kernel lets
/// a client try again.
const PENDING: i32 = 256;

/// Bytes that the kernel keeps unsent for one connection. What waits longer waits with us, where old pictures
/// can still be given up.
const UNSENT: u32 = 32 * 1_024;

/// Bytes that the kernel keeps for us to read: a publisher's best layers over a long way. A bound, because
/// without one thousands of connections could pile up megabytes each.
const RECEIVE_BUFFER: usize = 256 * 1_024;

/// When the kernel gives a connection up whose other end acknowledges nothing: consent is lost by then.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Listens on `ip`:`port` (0: the kernel chooses) for one lane.
pub fn listen(ip: IpAddr, port: u16) -> Result<TcpListener, PlaneError> {
    let address = SocketAddr::new(ip, port);
    open(address).map_err(|source| PlaneError::Listen { address, source })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A server that starts again must not wait for what is left of its former connections.
    socket.set_reuse_address(true)?;
    // All of these are inherited by what is accepted, and cost nothing there.
    socket.set_tcp_nodelay(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(PENDING)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use socket2::SockRef;

    use super::*;

    #[test]
    fn what_is_accepted_inherits_the_options() {
        let listener = listen("127.0.0.1".parse().unwrap(), 0).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap());
        assert_eq!(accepted.tcp_notsent_lowat().unwrap(), UNSENT);
        assert_eq!(accepted.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
        assert!(accepted.recv_buffer_size().unwrap() <= 2 * RECEIVE_BUFFER);
    }

    #[test]
    fn a_port_conflict_names_protocol_address_and_port() {
        let first = listen("127.0.0.1".parse().unwrap(), 0).unwrap();
        let taken = first.local_addr().unwrap();
        let error = listen(taken.ip(), taken.port()).unwrap_err();
        assert!(error.to_string().contains(&format!("TCP {taken}")), "{error}");
        assert!(matches!(error, PlaneError::Listen { address, .. } if address == taken));
    }

    #[test]
    fn both_families_can_hold_the_same_port() {
        let v6 = listen("::1".parse().unwrap(), 0).unwrap();
        let port = v6.local_addr().unwrap().port();
        listen("127.0.0.1".parse().unwrap(), port).unwrap();
    }
}
