//! Waiting for many sockets at once.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Sockets that one wait reports.
const REPORTS: usize = 256;

/// A set of descriptors, each with a number of the caller's.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
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
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Reports `fd` as `number` whenever it is readable.
    pub fn add(&self, fd: RawFd, number: usize) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: number as u64 };
        // SAFETY: `event` is a valid entry that the kernel copies.
        let result = unsafe {
            libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event)
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Numbers of the descriptors that are readable now or within `timeout` (whole milliseconds).
    pub fn wait(&self, timeout: Duration) -> Vec<usize> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; REPORTS];
        // SAFETY: the pointer and count describe a live array.
        let count = unsafe {
            libc::epoll_wait(
                self.fd.as_raw_fd(),
                events.as_mut_ptr(),
                REPORTS as libc::c_int,
                timeout.as_millis() as libc::c_int,
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        events[..count].iter().map(|event| event.u64 as usize).collect()
    }
}
