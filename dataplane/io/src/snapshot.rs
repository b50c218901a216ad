//! What a thread publishes about itself once a second; the control plane reads the latest.

use std::sync::{Arc, Mutex, PoisonError};

use conclave_core::stats::LaneStats;

use crate::histogram::Histogram;
use crate::streams::StreamCounters;

/// One lane.
#[derive(Clone, Debug, Default)]
pub struct LaneSnapshot {
    /// The core's counters, with the drops of sockets and rings merged in.
    pub stats: LaneStats,
    /// Datagrams that the kernel dropped because the socket was full (SO_RXQ_OVFL).
    pub kernel_drops: u64,
    /// From the kernel's receive stamp to the return of the send call.
    pub latency: Histogram,
    /// When this was published, nanoseconds on the lanes' clock.
    pub at_ns: u64,
    /// Time spent outside the wait, nanoseconds.
    pub busy_ns: u64,
    /// Most items that waited at the start of a turn since the publication before.
    pub depths: Depths,
    /// Memory of datagrams that wait in the sockets, bytes.
    pub receive_queue: u64,
    /// What the sockets hold at most, bytes.
    pub receive_buffer: u64,
    /// Runs that had to be sent packet by packet.
    pub gso_fallbacks: u64,
    /// sendmmsg calls.
    pub send_calls: u64,
    /// Messages (GSO runs) in them.
    pub send_runs: u64,
    /// TCP connections.
    pub streams: StreamCounters,
}

/// Items that wait in the rings around a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    /// From the control plane.
    pub commands: usize,
    /// To the control plane.
    pub events: usize,
    /// From other lanes.
    pub relay: usize,
    /// From and to the associations thread.
    pub associations: usize,
}

impl Depths {
    /// The greater of both, ring by ring.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            commands: self.commands.max(other.commands),
            events: self.events.max(other.events),
            relay: self.relay.max(other.relay),
            associations: self.associations.max(other.associations),
        }
    }
}

/// A place for the latest value. The publisher never waits for a reader: if one is copying just then, it
/// publishes a turn later.
#[derive(Debug)]
pub struct Latest<T>(Arc<Mutex<Arc<T>>>);

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for Latest<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Arc::new(T::default()))))
    }
}

impl<T> Latest<T> {
    /// Replaces the value unless a reader holds the place; whether it did.
    pub fn publish(&self, value: &Arc<T>) -> bool {
        self.0.try_lock().is_ok_and(|mut place| {
            *place = Arc::clone(value);
            true
        })
    }

    /// The latest value.
    pub fn read(&self) -> Arc<T> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_the_latest_value_and_the_publisher_never_waits() {
        let latest = Latest::<u32>::default();
        assert!(latest.publish(&Arc::new(5)));
        assert_eq!(*latest.read(), 5);
        let guard = latest.0.lock().unwrap();
        assert!(!latest.publish(&Arc::new(6)));
        drop(guard);
        assert_eq!(*latest.read(), 5);
    }
}
