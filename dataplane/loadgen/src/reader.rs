//! Receives for all clients on a thread of its own, counts, and decrypts a sample to see that it is real.
//!
//! It sweeps the sockets at intervals instead of waiting for them: on loopback the sender pays for waking a
//! receiver that sleeps, which no server does for receivers on other machines.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use conclave_core::srtp::Inbound;
use conclave_io::clock::Clock;
use conclave_io::receive::{Receiver, SLOTS};
use conclave_io::wait::Waiter;

use crate::client::Client;

/// Time between two sweeps: what arrives meanwhile fits each socket's buffer many times over.
const SWEEP: Duration = Duration::from_millis(5);

/// One client in so many has its packets decrypted.
const SAMPLE: usize = 100;

/// What has arrived since the start.
#[derive(Debug, Default)]
pub struct Counts {
    media: AtomicU64,
    opened: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

/// A copy of [`Counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// RTP packets of subscribers.
    pub media: u64,
    /// Of the sample, packets that decrypted.
    pub opened: u64,
    /// Of the sample, packets that did not.
    pub refused: u64,
}

/// The running reader.
#[derive(Debug)]
pub struct Reader {
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

struct Ear {
    fd: RawFd,
    counted: bool,
    inbound: Option<Inbound>,
}

impl Reader {
    /// Reads the sockets of all clients, which must outlive it; only subscribers' packets count.
    pub fn start(publishers: &[Client], subscribers: &[Client], clock: Clock) -> io::Result<Self> {
        let mut ears: Vec<Ear> = Vec::new();
        for (number, client) in publishers.iter().chain(subscribers).enumerate() {
            let counted = number >= publishers.len();
            let sampled = counted && (number - publishers.len()) % SAMPLE == 0;
            let inbound = if sampled { client.inbound() } else { None };
            ears.push(Ear { fd: client.socket.as_raw_fd(), counted, inbound });
        }
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let body = move || {
            let mut receiver = Receiver::default();
            while !shared.stop.load(Ordering::Relaxed) {
                for ear in &mut ears {
                    listen(&mut receiver, ear, &shared, clock);
                }
                let _ = Waiter::new(&[]).wait(Some(SWEEP));
            }
        };
        let thread = std::thread::Builder::new().name("reader".into()).spawn(body)?;
        Ok(Self { counts, thread: Some(thread) })
    }

    /// What has arrived so far.
    pub fn received(&self) -> Received {
        Received {
            media: self.counts.media.load(Ordering::Relaxed),
            opened: self.counts.opened.load(Ordering::Relaxed),
            refused: self.counts.refused.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.counts.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(receiver: &mut Receiver, ear: &mut Ear, counts: &Counts, clock: Clock) {
    loop {
        let count = receiver.receive(ear.fd).unwrap_or(0);
        let mut media = 0;
        for index in 0..count {
            for datagram in receiver.message(index).segments().filter(|bytes| is_rtp(bytes)) {
                media += 1;
                if let Some(inbound) = &mut ear.inbound {
                    let opened = inbound.open_rtp(clock.now(), datagram).is_ok();
                    let tally = if opened { &counts.opened } else { &counts.refused };
                    tally.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        if ear.counted {
            counts.media.fetch_add(media, Ordering::Relaxed);
        }
        if count < SLOTS {
            return;
        }
    }
}

/// RTP rather than RTCP (RFC 5761) or anything else (RFC 7983).
fn is_rtp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, kind, ..] if !(192..=223).contains(kind))
}
