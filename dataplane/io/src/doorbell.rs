//! An eventfd that is written only when somebody sleeps beside it.
//!
//! A producer pushes into a ring, then calls [`Doorbell::ring`]. The consumer calls [`Doorbell::arm`], looks
//! at its rings once more, and only then waits for the descriptor. Whichever of the two comes last sees the
//! other (both sides fence), so no item is slept over, and a consumer that is awake costs no system call.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{fence, AtomicBool, Ordering};

/// Wakes one waiting thread, or one event loop.
#[derive(Debug)]
pub struct Doorbell {
    fd: OwnedFd,
    armed: AtomicBool,
}

impl Doorbell {
    /// An armed bell that has not rung.
    pub fn new() -> io::Result<Self> {
        // SAFETY: plain system call without pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, armed: AtomicBool::new(true) })
    }

    /// The descriptor, readable after a ring until [`Doorbell::silence`].
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Wakes the consumer if it sleeps or is about to. Call it once per batch, after the pushes.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel) {
            let one = 1_u64.to_ne_bytes();
            // SAFETY: eight readable bytes; an eventfd's counter cannot overflow by single steps, and a
            // failure would only mean that it is readable already.
            unsafe { libc::write(self.fd(), one.as_ptr().cast(), one.len()) };
        }
    }

    /// Announces sleep: the next ring writes the descriptor. Look at the rings after this, before waiting.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// Announces wakefulness: rings until the next [`Doorbell::arm`] cost nothing.
    pub fn disarm(&self) {
        self.armed.store(false, Ordering::Release);
    }

    /// Makes the descriptor unreadable again; call it when a wait reported it readable.
    pub fn silence(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: eight writable bytes; the descriptor does not block, and nothing is learnt from the result.
        unsafe { libc::read(self.fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::wait::Waiter;

    fn readable(bell: &Doorbell) -> bool {
        let mut waiter = Waiter::new(&[bell.fd()]);
        waiter.wait(Some(Duration::ZERO)).unwrap();
        waiter.is_ready(0)
    }

    #[test]
    fn ringing_an_armed_bell_makes_it_readable_once() {
        let bell = Doorbell::new().unwrap();
        assert!(!readable(&bell));
        bell.ring();
        assert!(readable(&bell));
        bell.silence();
        assert!(!readable(&bell));
        bell.ring();
        assert!(!readable(&bell), "not armed again: nobody sleeps");
        bell.arm();
        bell.ring();
        assert!(readable(&bell));
    }

    #[test]
    fn a_disarmed_bell_stays_quiet() {
        let bell = Doorbell::new().unwrap();
        bell.disarm();
        bell.ring();
        assert!(!readable(&bell));
    }

    #[test]
    fn no_item_is_slept_over_when_two_threads_race() {
        const ITEMS: u32 = 20_000;
        let bell = Arc::new(Doorbell::new().unwrap());
        let (mut producer, mut consumer) = rtrb::RingBuffer::new(64);
        let ringer = Arc::clone(&bell);
        let pusher = std::thread::spawn(move || {
            for item in 0..ITEMS {
                while producer.push(item).is_err() {
                    std::thread::yield_now();
                }
                ringer.ring();
            }
        });
        let mut waiter = Waiter::new(&[bell.fd()]);
        let mut next = 0;
        while next < ITEMS {
            bell.arm();
            if consumer.is_empty() {
                waiter.wait(Some(Duration::from_secs(5))).unwrap();
                assert!(waiter.is_ready(0) || !consumer.is_empty(), "slept over item {next}");
            }
            bell.disarm();
            bell.silence();
            while let Ok(item) = consumer.pop() {
                assert_eq!(item, next);
                next += 1;
            }
        }
        pusher.join().unwrap();
    }
}
