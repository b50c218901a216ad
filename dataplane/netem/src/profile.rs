//! Named link conditions for scenario tests: one direction each, latency and rate of everyday networks.

use crate::bottleneck::Bottleneck;
use crate::delay::Delay;
use crate::link::LinkConfig;
use crate::loss::Loss;
use crate::{Nanos, MILLISECOND};

fn link(latency: Nanos, jitter: Nanos, rate: u64, queue: usize, loss: Loss) -> LinkConfig {
    LinkConfig {
        loss,
        bottleneck: Some(Bottleneck::new(rate, queue)),
        delay: Delay::jittered(latency * MILLISECOND, jitter * MILLISECOND),
        ..LinkConfig::perfect(0)
    }
}

/// A good wireless LAN: 1 % loss in bursts of two.
pub fn wifi() -> LinkConfig {
    link(5, 2, 100_000_000, 200_000, Loss::bursts(200.0, 2.0))
}

/// A wireless LAN at the edge of its range: 5 % loss.
pub fn wifi_lossy() -> LinkConfig {
    link(15, 10, 50_000_000, 100_000, Loss::bursts(40.0, 2.0))
}

/// A crowded wireless LAN: 5 Mbit/s, short queue, 10 % loss.
pub fn wifi_congested() -> LinkConfig {
    link(10, 10, 5_000_000, 30_000, Loss::bursts(20.0, 2.0))
}

/// A cellular network: long, 2 % loss.
pub fn cellular() -> LinkConfig {
    link(50, 15, 30_000_000, 100_000, Loss::bursts(100.0, 2.0))
}

/// A geostationary satellite.
pub fn satellite() -> LinkConfig {
    link(600, 30, 15_000_000, 500_000, Loss::bursts(100.0, 3.0))
}
