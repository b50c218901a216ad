//! Taking datagrams from a socket: recvmmsg into fixed slots, trains of segments (UDP GRO) left whole.
//!
//! Out: per message the peer, the kernel's receive stamp, the kernel's drop counter and the bytes, to be
//! split by [`Message::segments`]. It reads no clock and judges nothing.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use conclave_core::drop::DropReason;

use crate::address::RawAddress;

/// Messages per system call.
pub const SLOTS: usize = 32;

/// Bytes per slot. A GRO train has at most 64 segments and fits one IP packet, so nothing is ever cut.
const SLOT_BYTES: usize = 65_536;

/// Bytes for control messages: a time stamp (32), a segment size (24) and a drop counter (24), with room.
const CONTROL_BYTES: usize = 128;

/// Slots and headers of one lane, reused for every batch.
#[derive(Debug)]
pub struct Receiver {
    bytes: Vec<u8>,
    peers: Vec<RawAddress>,
    controls: Vec<Control>,
    outcomes: Vec<Outcome>,
}

/// Storage for control messages, aligned as `cmsghdr` wants it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    len: usize,
    control_len: usize,
    flags: libc::c_int,
}

/// One received message: a datagram, or a train of datagrams of one peer.
#[derive(Debug)]
pub struct Message<'a> {
    /// Who sent it; `None` for a family that no socket here has.
    pub peer: Option<SocketAddr>,
    /// When the kernel received it, nanoseconds since 1970.
    pub stamp: Option<u64>,
    /// Datagrams that the kernel has dropped so far because the socket was full.
    pub overflow: Option<u32>,
    /// Whether bytes were cut off.
    pub truncated: bool,
    segment: usize,
    bytes: &'a mut [u8],
}

impl<'a> Message<'a> {
    /// Who sent it, if it can be used at all.
    pub fn source(&self) -> Result<SocketAddr, DropReason> {
        if self.truncated {
            return Err(DropReason::DatagramTruncated);
        }
        self.peer.ok_or(DropReason::DemuxUnknown)
    }

    /// Its datagrams in order. An empty datagram is one empty segment.
    pub fn segments(self) -> impl Iterator<Item = &'a mut [u8]> {
        let Self { segment, bytes, .. } = self;
        let (empty, bytes) =
            if bytes.is_empty() { (Some(bytes), None) } else { (None, Some(bytes)) };
        let train = bytes.into_iter().flat_map(move |bytes| bytes.chunks_mut(segment));
        empty.into_iter().chain(train)
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            bytes: vec![0; SLOTS * SLOT_BYTES],
            peers: vec![RawAddress::EMPTY; SLOTS],
            controls: vec![Control([0; CONTROL_BYTES]); SLOTS],
            outcomes: vec![Outcome::default(); SLOTS],
        }
    }
}

impl Receiver {
    /// Takes what waits, up to [`SLOTS`] messages; zero if nothing does.
    pub fn receive(&mut self, fd: RawFd) -> io::Result<usize> {
        let mut iovecs = [const { EMPTY_IOVEC }; SLOTS];
        for (iovec, slot) in iovecs.iter_mut().zip(self.bytes.chunks_exact_mut(SLOT_BYTES)) {
            *iovec = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: SLOT_BYTES };
        }
        // SAFETY: mmsghdr is a C struct of integers and pointers, for which zero bytes are valid values.
        let mut headers: [libc::mmsghdr; SLOTS] = unsafe { std::mem::zeroed() };
        for (index, header) in headers.iter_mut().enumerate() {
            self.peers[index] = RawAddress::EMPTY;
            let header = &mut header.msg_hdr;
            header.msg_name = self.peers[index].as_mut_ptr();
            header.msg_namelen = self.peers[index].len();
            header.msg_iov = &raw mut iovecs[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES as _;
        }
        // SAFETY: every header points to its own peer, iovec, slot and control storage with their true
        // lengths; all of them outlive the call and nobody else touches them meanwhile.
        let count = unsafe {
            libc::recvmmsg(
                fd,
                headers.as_mut_ptr(),
                SLOTS as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            return match io::Error::last_os_error() {
                error if is_nothing(&error) => Ok(0),
                error => Err(error),
            };
        };
        for (outcome, header) in self.outcomes.iter_mut().zip(&headers[..count]) {
            *outcome = Outcome {
                len: header.msg_len as usize,
                control_len: header.msg_hdr.msg_controllen,
                flags: header.msg_hdr.msg_flags,
            };
        }
        Ok(count)
    }

    /// Message number `index` of the last batch.
    pub fn message(&mut self, index: usize) -> Message<'_> {
        let outcome = self.outcomes[index];
        let len = outcome.len.min(SLOT_BYTES);
        let start = index * SLOT_BYTES;
        let mut message = Message {
            peer: self.peers[index].parse(),
            stamp: None,
            overflow: None,
            truncated: outcome.flags & libc::MSG_TRUNC != 0,
            segment: len.max(1),
            bytes: &mut self.bytes[start..start + len],
        };
        let control = &self.controls[index].0[..outcome.control_len.min(CONTROL_BYTES)];
        read_control(control, &mut message);
        message
    }
}

const EMPTY_IOVEC: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

/// Nothing waits, a signal came, or an ICMP error of an earlier send shows itself here: none stops a lane.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused
    )
}

/// Reads control messages: a `cmsghdr` (length, level, type), its data, padding to eight bytes.
fn read_control(mut control: &[u8], message: &mut Message<'_>) {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    while let Some((header, rest)) = control.split_at_checked(HEADER) {
        let (len, kind) = header.split_at(size_of::<usize>());
        let len = usize::from_ne_bytes(len.try_into().expect("invariant: eight bytes were split"));
        let Some(data) = len.checked_sub(HEADER).and_then(|len| rest.get(..len)) else { return };
        match (number(kind), kind.get(4..).map_or(0, number)) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) if data.len() >= 16 => {
                let (seconds, nanos) = (wide(data), wide(&data[8..]));
                message.stamp = Some(seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos));
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => message.overflow = Some(number(data) as u32),
            (libc::SOL_UDP, libc::UDP_GRO) => {
                message.segment = usize::try_from(number(data)).unwrap_or(0).max(1);
            }
            _ => {}
        }
        control = rest.get(data.len().next_multiple_of(8)..).unwrap_or(&[]);
    }
}

fn number(bytes: &[u8]) -> i32 {
    bytes.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes))
}

fn wide(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use super::*;
    use crate::socket::{bind, Buffers};
    use crate::wait::Waiter;

    fn pair() -> (UdpSocket, UdpSocket) {
        let buffers = Buffers { receive: 1 << 20, send: 1 << 20 };
        let local = bind("127.0.0.1".parse().unwrap(), 0, buffers).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.connect(local.local_addr().unwrap()).unwrap();
        (local, peer)
    }

    fn wait(socket: &UdpSocket) {
        let mut waiter = Waiter::new(&[socket.as_raw_fd()]);
        waiter.wait(Some(Duration::from_secs(5))).unwrap();
        assert!(waiter.is_ready(0));
    }

    #[test]
    fn datagrams_arrive_whole_with_peer_and_stamp() {
        let (local, peer) = pair();
        for text in ["one", "", "three"] {
            peer.send(text.as_bytes()).unwrap();
        }
        wait(&local);
        let mut receiver = Receiver::default();
        assert_eq!(receiver.receive(local.as_raw_fd()).unwrap(), 3);
        let mut stamps = Vec::new();
        for (index, text) in ["one", "", "three"].iter().enumerate() {
            let message = receiver.message(index);
            assert_eq!(message.peer, Some(peer.local_addr().unwrap()));
            assert!(!message.truncated);
            stamps.push(message.stamp.unwrap());
            let segments: Vec<_> = message.segments().map(|bytes| bytes.to_vec()).collect();
            assert_eq!(segments, [text.as_bytes()]);
        }
        assert!(stamps.is_sorted());
        assert_eq!(receiver.receive(local.as_raw_fd()).unwrap(), 0);
    }

    fn message(bytes: &mut [u8], segment: usize) -> Message<'_> {
        let (peer, stamp, overflow) = (None, None, None);
        Message { peer, stamp, overflow, truncated: false, segment, bytes }
    }

    #[test]
    fn a_message_that_was_cut_or_has_no_known_sender_is_refused_by_name() {
        let mut message = message(&mut [], 1);
        assert_eq!(message.source(), Err(DropReason::DemuxUnknown));
        message.peer = Some("192.0.2.1:5".parse().unwrap());
        assert_eq!(message.source(), Ok("192.0.2.1:5".parse().unwrap()));
        message.truncated = true;
        assert_eq!(message.source(), Err(DropReason::DatagramTruncated));
    }

    #[test]
    fn a_train_is_split_at_its_segment_size() {
        let mut bytes: Vec<u8> = (0..25).collect();
        let message = message(&mut bytes, 10);
        let lengths: Vec<_> = message.segments().map(|bytes| bytes.len()).collect();
        assert_eq!(lengths, [10, 10, 5]);
    }

    #[test]
    fn control_messages_are_read_and_nonsense_among_them_is_passed_over() {
        let mut bytes = vec![0; 40];
        let mut message = message(&mut bytes, 40);
        let mut control = Vec::new();
        let mut put = |level: i32, kind: i32, data: &[u8]| {
            control.extend((16 + data.len()).to_ne_bytes());
            control.extend(level.to_ne_bytes());
            control.extend(kind.to_ne_bytes());
            control.extend(data);
            control.resize(control.len().next_multiple_of(8), 0);
        };
        put(77, 77, &[1, 2, 3]);
        put(libc::SOL_UDP, libc::UDP_GRO, &12_i32.to_ne_bytes());
        put(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &9_u32.to_ne_bytes());
        put(
            libc::SOL_SOCKET,
            libc::SCM_TIMESTAMPNS,
            &[2_u64.to_ne_bytes(), 5_u64.to_ne_bytes()].concat(),
        );
        read_control(&control, &mut message);
        assert_eq!(message.segment, 12);
        assert_eq!(message.overflow, Some(9));
        assert_eq!(message.stamp, Some(2_000_000_005));
        for len in 0..control.len() {
            read_control(&control[..len], &mut message);
        }
        read_control(&[0xFF; 64], &mut message);
        read_control(&[0; 64], &mut message);
    }
}
