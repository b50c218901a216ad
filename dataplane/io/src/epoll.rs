//! Readiness of many descriptors that come and go: the TCP connections of a lane.
//!
//! A lane sleeps in `ppoll` (see [`crate::wait`]) on a handful of descriptors; this set is one of them, and is
//! asked only when it is ready. Level-triggered: what one turn leaves undone is reported again.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Events that one look takes: what a lane does for its connections before its sockets get their turn.
pub const EVENTS: usize = 64;

/// What to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Nothing for now.
    Rest,
    /// Something to read or to accept.
    Input,
    /// That, and room to write.
    Both,
}

/// What a descriptor is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Which descriptor.
    pub token: u64,
    /// There is something to read; an error or the end of the stream shows there, too.
    pub input: bool,
    /// There is room to write.
    pub output: bool,
}

/// A set of descriptors. One that is closed leaves it by itself.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// An empty set.
    pub fn new() -> io::Result<Self> {
        // SAFETY: plain system call without pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, events: Vec::with_capacity(EVENTS) })
    }

    /// The descriptor that is readable while one of the set is ready.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Watches `fd` under the name `token`.
    pub fn add(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    /// Watches `fd`, which is in the set, for something else.
    pub fn change(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    /// Looks without waiting; how many descriptors are ready, at most [`EVENTS`].
    pub fn look(&mut self) -> io::Result<usize> {
        self.events.clear();
        // SAFETY: the vector has room for EVENTS entries, of which the kernel writes as many as it returns.
        let count = unsafe {
            libc::epoll_wait(self.fd(), self.events.as_mut_ptr(), EVENTS as libc::c_int, 0)
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        // SAFETY: the kernel initialised the first `count` entries, which is at most the capacity.
        unsafe { self.events.set_len(count.min(EVENTS)) };
        Ok(self.events.len())
    }

    /// Entry number `index` of the last look.
    pub fn ready(&self, index: usize) -> Ready {
        let event = self.events[index];
        let bits = event.events as libc::c_int;
        let input = bits & (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR);
        Ready { token: event.u64, input: input != 0, output: bits & libc::EPOLLOUT != 0 }
    }

    fn control(&self, action: i32, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        let bits = match interest {
            Interest::Rest => 0,
            Interest::Input => libc::EPOLLIN | libc::EPOLLRDHUP,
            Interest::Both => libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLOUT,
        };
        let mut event = libc::epoll_event { events: bits as u32, u64: token };
        // SAFETY: the event lives through the call, which only reads it.
        let result = unsafe { libc::epoll_ctl(self.fd(), action, fd, &raw mut event) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_descriptor_is_reported_for_what_was_asked_and_leaves_when_it_is_closed() {
        let (mut left, right) = UnixStream::pair().unwrap();
        let mut epoll = Epoll::new().unwrap();
        epoll.add(right.as_raw_fd(), 7, Interest::Input).unwrap();
        assert_eq!(epoll.look().unwrap(), 0);
        epoll.change(right.as_raw_fd(), 7, Interest::Both).unwrap();
        assert_eq!(epoll.look().unwrap(), 1);
        assert_eq!(epoll.ready(0), Ready { token: 7, input: false, output: true });
        left.write_all(b"x").unwrap();
        epoll.change(right.as_raw_fd(), 7, Interest::Rest).unwrap();
        assert_eq!(epoll.look().unwrap(), 0);
        epoll.change(right.as_raw_fd(), 7, Interest::Input).unwrap();
        assert_eq!(epoll.look().unwrap(), 1);
        assert_eq!(epoll.ready(0), Ready { token: 7, input: true, output: false });
        drop(right);
        assert_eq!(epoll.look().unwrap(), 0);
    }

    #[test]
    fn more_events_than_one_look_takes_come_with_the_next() {
        let mut epoll = Epoll::new().unwrap();
        let pairs: Vec<_> = (0..=EVENTS).map(|_| UnixStream::pair().unwrap()).collect();
        for (token, (_, right)) in pairs.iter().enumerate() {
            epoll.add(right.as_raw_fd(), token as u64, Interest::Both).unwrap();
        }
        assert_eq!(epoll.look().unwrap(), EVENTS);
        let first: Vec<_> = (0..EVENTS).map(|index| epoll.ready(index).token).collect();
        epoll.look().unwrap();
        let again: Vec<_> = (0..EVENTS).map(|index| epoll.ready(index).token).collect();
        assert_ne!(first, again, "nobody is left out for ever");
    }
}
