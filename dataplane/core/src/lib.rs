//! The forwarding core of Conclave, sans-IO: datagrams, commands and `now` in; datagrams and events out.
//!
//! It knows no socket, no thread, no clock and no Python. Reading order: [`lane`] is the map, then
//! `edge` (who may speak), `ingress` (what a publisher sent), `egress` (what a subscriber gets).
//! Nothing here may allocate, lock or log per packet, and no input from the network may panic.
#![forbid(unsafe_code)]

pub mod association;
pub mod backlog;
pub mod codec;
pub mod command;
pub mod demux;
pub mod distribution;
pub mod drop;
pub mod edge;
pub mod egress;
pub mod event;
pub mod framing;
pub mod hash;
pub mod ice;
pub mod idmap;
pub mod ids;
pub mod ingress;
pub mod lane;
pub mod media;
pub mod outbox;
pub mod rate;
pub mod relay;
pub mod rtcp;
pub mod rtp;
pub mod sink;
pub mod srtp;
pub mod stats;
pub mod stun;
pub mod time;
mod wire;
