//! One TCP connection of a lane: what was read and is not a whole frame yet, what waits to be written.
//!
//! In: a socket, the lane's read buffer, packets. Out: bytes that begin where a frame does, frames on the wire
//! that are never torn. It decides neither who may speak nor when to give up.

use std::io::{self, IoSlice, Read};
use std::net::TcpStream;
use std::time::Duration;

use conclave_core::association::Path;
use conclave_core::backlog::{Backlog, Frame, Pool};
use conclave_core::drop::{DropCounters, DropReason};
use conclave_core::framing::{self, MAX_REST};
use conclave_core::outbox::{Load, MAX_RUN};
use conclave_core::time::Time;
use socket2::SockRef;

use crate::census::Source;

/// Bytes that one read takes; with what was left of the last one they fill the lane's read buffer.
const READ: usize = 64 * 1_024;

/// Size of the read buffer that all connections of a lane share.
pub const READ_BUFFER: usize = READ + MAX_REST;

/// Frames that one system call writes.
const GATHER: usize = MAX_RUN;

/// A connection.
#[derive(Debug)]
pub struct Stream {
    /// Under what name the lane knows it.
    pub path: Path,
    /// Whose it is, for the limits.
    pub source: Source,
    /// When it was accepted.
    pub accepted: Time,
    /// A check from it was believed.
    pub proven: bool,
    /// Frames that came before.
    pub unbelieved: u8,
    /// The lane was told that video was given up.
    pub blocked: bool,
    /// It is watched for room to write.
    pub watched: bool,
    /// What waits to be written.
    pub backlog: Backlog,
    socket: TcpStream,
    /// The beginning of a frame; its memory is allocated once, when it is first needed.
    partial: Vec<u8>,
    partial_since: Time,
}

impl Stream {
    /// A connection that was just accepted; its socket does not block.
    pub fn new(now: Time, socket: TcpStream, path: Path) -> Self {
        Self {
            path,
            source: path.peer.ip().into(),
            accepted: now,
            proven: false,
            unbelieved: 0,
            blocked: false,
            watched: false,
            backlog: Backlog::default(),
            socket,
            partial: Vec::new(),
            partial_since: now,
        }
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Reads what arrived into `buffer`, behind what was left of the last read; how many bytes lie there.
    /// `Ok(None)` if nothing arrived; the end of the stream is an error.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let kept = self.partial.len();
        let count = match self.socket.read(&mut buffer[kept..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if is_nothing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        buffer[..kept].copy_from_slice(&self.partial);
        Ok(Some(kept + count))
    }

    /// Keeps the beginning of a frame for the next read; `progress` tells whether a frame ended since.
    pub fn keep(&mut self, now: Time, rest: &[u8], progress: bool) {
        if self.partial.is_empty() || progress {
            self.partial_since = now;
        }
        self.partial.clear();
        if !rest.is_empty() {
            self.partial.reserve_exact(MAX_REST);
            self.partial.extend_from_slice(rest);
        }
    }

    /// How long a frame has been on its way.
    pub fn frame_age(&self, now: Time) -> Duration {
        if self.partial.is_empty() {
            Duration::ZERO
        } else {
            now.since(self.partial_since)
        }
    }

    /// Writes packets behind what waits already, as far as the connection takes them; the rest waits. An
    /// error ends the connection.
    pub fn send(
        &mut self,
        now: Time,
        (packets, loads): (&[&[u8]], &[Load]),
        pool: &mut Pool,
        drops: &mut DropCounters,
    ) -> io::Result<()> {
        let mut taken = if self.backlog.is_empty() { self.write_packets(packets)? } else { 0 };
        for (&packet, &load) in packets.iter().zip(loads) {
            let written = taken.min(framing::HEADER + packet.len());
            taken -= written;
            if written == framing::HEADER + packet.len() {
                continue;
            }
            let kept = self.backlog.push(now, Frame { packet, load, written }, pool, drops);
            if kept.is_err() && written > 0 {
                // Without memory to finish the frame in, nothing after it could be read.
                return Err(io::ErrorKind::OutOfMemory.into());
            }
        }
        Ok(())
    }

    /// Writes what waits, as far as the connection takes it; `true` if nothing waits any more.
    pub fn flush(
        &mut self,
        now: Time,
        pool: &mut Pool,
        drops: &mut DropCounters,
    ) -> io::Result<bool> {
        self.backlog.expire(now, pool, drops);
        loop {
            let mut slices = [IoSlice::new(&[]); GATHER];
            let (mut count, mut bytes) = (0, 0);
            self.backlog.gather(pool, |frame| {
                slices[count] = IoSlice::new(frame);
                count += 1;
                bytes += frame.len();
                count < GATHER
            });
            let written = self.write(&slices[..count])?;
            self.backlog.advance(now, written, pool);
            if self.backlog.is_empty() || written < bytes {
                return Ok(self.backlog.is_empty());
            }
        }
    }

    /// Lets the kernel forget the connection at once, with whatever it holds for it.
    pub fn abort(self) {
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Writes packets as frames; how many bytes were taken.
    fn write_packets(&self, packets: &[&[u8]]) -> io::Result<usize> {
        let mut total = 0;
        for packets in packets.chunks(GATHER) {
            let mut headers = [[0; framing::HEADER]; GATHER];
            for (header, packet) in headers.iter_mut().zip(packets) {
                *header = framing::header(packet.len());
            }
            let mut slices = [IoSlice::new(&[]); 2 * GATHER];
            let mut bytes = 0;
            for ((pair, header), packet) in slices.chunks_exact_mut(2).zip(&headers).zip(packets) {
                pair[0] = IoSlice::new(header);
                pair[1] = IoSlice::new(packet);
                bytes += header.len() + packet.len();
            }
            let written = self.write(&slices[..2 * packets.len()])?;
            total += written;
            if written < bytes {
                break;
            }
        }
        Ok(total)
    }

    /// One system call; zero if the connection takes nothing.
    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if slices.is_empty() {
            return Ok(0);
        }
        let socket = SockRef::from(&self.socket);
        match socket.send_vectored_with_flags(slices, libc::MSG_NOSIGNAL) {
            Err(error) if is_nothing(&error) => Ok(0),
            result => result,
        }
    }
}

/// Why a connection that failed with `error` is closed.
pub fn failure(error: &io::Error) -> DropReason {
    match error.kind() {
        io::ErrorKind::OutOfMemory => DropReason::TcpQueueFull,
        _ => DropReason::TcpClosed,
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
