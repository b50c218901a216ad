//! Waiting for descriptors with a deadline in nanoseconds.
//!
//! `ppoll` rather than epoll: a lane waits for three or four descriptors that never change, and ppoll takes
//! its time-out in nanoseconds, which pacing needs.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// A fixed set of descriptors.
#[derive(Debug)]
pub struct Waiter {
    fds: Vec<libc::pollfd>,
}

impl Waiter {
    /// Watches `fds` for input.
    pub fn new(fds: &[RawFd]) -> Self {
        let watch = |&fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        Self { fds: fds.iter().map(watch).collect() }
    }

    /// Watches one descriptor for room to write.
    pub fn for_output(fd: RawFd) -> Self {
        Self { fds: vec![libc::pollfd { fd, events: libc::POLLOUT, revents: 0 }] }
    }

    /// Sleeps until one is ready or `timeout` passed (`None`: for ever). A signal ends the wait early.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(timeout.subsec_nanos() as i32),
        });
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `fds` is an exclusive slice of initialised entries and its length is passed; `timeout` is
        // null or points to a timespec that lives until the end of this function.
        let ready = unsafe {
            libc::ppoll(
                self.fds.as_mut_ptr(),
                self.fds.len() as libc::nfds_t,
                timeout,
                std::ptr::null(),
            )
        };
        if ready >= 0 {
            return Ok(());
        }
        self.fds.iter_mut().for_each(|fd| fd.revents = 0);
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        }
    }

    /// How many descriptors are watched.
    #[allow(clippy::len_without_is_empty)] // a set of none waits for time alone
    pub fn len(&self) -> usize {
        self.fds.len()
    }

    /// Whether the last wait found descriptor number `index` ready (errors count: reading shows them).
    pub fn is_ready(&self, index: usize) -> bool {
        self.fds[index].revents != 0
    }
}
