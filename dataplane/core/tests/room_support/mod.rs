//! A room on simulated time: lanes as the threads would run them, clients behind emulated links, and an
//! observer at every receiver. Tests drive it in milliseconds and read what the observers saw.
// Each test file uses its own part of this module; a test fails by panicking.
#![allow(dead_code, clippy::unwrap_used)]

pub mod client;
pub mod encoder;
pub mod observer;
pub mod receiver;
pub mod world;
