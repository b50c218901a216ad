//! A seeded link emulator for tests: loss, duplication, rate, latency, jitter and reorder on simulated time.
//!
//! In: packets with their size and the time they are sent. Out: the packets that survive, each at its
//! time of arrival. Same seed, same input: same output. It reads no clock; time is nanoseconds since the
//! start of the simulation.
#![forbid(unsafe_code)]

mod bottleneck;
mod burst;
mod crossing;
mod datagram;
mod delay;
mod link;
mod loss;
pub mod profile;
mod random;
mod wishes;

pub use bottleneck::Bottleneck;
pub use burst::{Burst, MAX_FRAMES};
pub use crossing::{Crossing, Direction, Fate, Flow, MAX_FLOWS};
pub use datagram::Seen;
pub use delay::Delay;
pub use link::{Link, LinkConfig, LinkCounters, Outage};
pub use loss::Loss;
pub use random::Random;
pub use wishes::{BadWish, Wish};

/// Nanoseconds since the start of the simulation.
pub type Nanos = u64;

/// Nanoseconds of one millisecond.
pub const MILLISECOND: Nanos = 1_000_000;

/// Nanoseconds of one second.
pub const SECOND: Nanos = 1_000_000_000;
