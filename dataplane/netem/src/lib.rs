//! A seeded link emulator for tests: loss, duplication, rate, latency, jitter and reorder on simulated time.
//!
//! In: packets with their size and the time they are sent. Out: the packets that survive, each at its
//! time of arrival. Same seed, same input: same output. It reads no clock; time is nanoseconds since the
//! start of the simulation.
#![forbid(unsafe_code)]

mod bottleneck;
mod delay;
mod link;
mod loss;
pub mod profile;
mod random;

pub use bottleneck::Bottleneck;
pub use delay::Delay;
pub use link::{Link, LinkConfig, LinkCounters, Outage};
pub use loss::Loss;
pub use random::Random;

/// Nanoseconds since the start of the simulation.
pub type Nanos = u64;

/// Nanoseconds of one millisecond.
pub const MILLISECOND: Nanos = 1_000_000;

/// Nanoseconds of one second.
pub const SECOND: Nanos = 1_000_000_000;
