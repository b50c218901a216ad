//! Sockets, batches, rings and threads around the sans-IO core.
//!
//! In: configuration, commands of the control plane, datagrams of the kernel. Out: events, snapshots, sealed
//! datagrams. Reading order: [`lane_thread`] is the loop that every packet passes, [`receive`] and [`send`]
//! its two ends, [`streams`] the same for peers that come by TCP, [`plane`] the control plane's side. Only [`clock`] reads the time, and nothing here knows
//! Python. `unsafe` is confined to the system calls; `../SAFETY.md` lists the invariants.

pub mod address;
pub mod associations_thread;
pub mod census;
pub mod clock;
pub mod delivery;
pub mod departure;
pub mod directory;
pub mod doorbell;
pub mod entropy;
pub mod epoll;
pub mod error;
pub mod guard;
pub mod histogram;
pub mod intake;
pub mod lane_thread;
pub mod listener;
pub mod outlet;
pub mod parked;
pub mod plane;
pub mod receive;
pub mod relay;
pub mod send;
pub mod snapshot;
pub mod socket;
pub mod start;
pub mod starved;
pub mod stream;
pub mod streams;
pub mod thread;
pub mod wait;
