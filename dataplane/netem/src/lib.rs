//! A seeded link emulator for tests: loss, duplication, rate, latency, jitter and reorder on simulated time.
#![forbid(unsafe_code)]
