//! Clients for a data plane in the same process: real connectivity checks, real DTLS, real SRTP, cheap enough
//! not to measure themselves. Development only.
//!
//! Reading order: [`client`] connects a crowd, [`meeting`] gives it rooms, [`publisher`] and [`reader`] send and
//! receive, [`floor`] is what the machine could do at best, [`round`] measures both, [`report`] writes it down.

pub mod client;
pub mod cpu;
pub mod epoll;
pub mod floor;
pub mod identity;
pub mod meeting;
pub mod publisher;
pub mod reader;
pub mod report;
pub mod round;
pub mod scenario;
