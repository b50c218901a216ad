//! DTLS and SCTP associations, sans-IO: messages from lanes, commands from the control plane and `now` in;
//! datagrams, SRTP keys and channel events out.
//!
//! Everything here is stateful and slow beside the packet path, so it lives on a thread of its own and
//! never makes a lane wait. Reading order: [`Associations`] owns every association and is the map,
//! `association` is one peer's life, `handshake` and `prefilter` guard its beginning, `session` carries
//! its data, `sctp` and `channel` its data channels, `dcep` their opening messages. `engine` is the border
//! to the DTLS library; only `seam` behind it is unsafe.
//!
//! It knows no socket, no clock and no Python, and trusts a peer with nothing before its certificate
//! matched a signalled fingerprint.

mod association;
mod associations;
mod bucket;
mod channel;
mod config;
mod dcep;
mod dtls;
mod engine;
mod fingerprint;
mod handshake;
#[cfg(test)]
mod hostile;
mod messages;
mod outgoing;
mod outputs;
mod prefilter;
mod refusal;
mod sctp;
mod seam;
mod session;
mod stats;
#[cfg(test)]
mod stub;

pub use associations::Associations;
pub use config::{
    AssociationsConfig, Limits, SetupError, MAX_MESSAGE_BYTES, MAX_STREAM, SCTP_PORT,
};
pub use outputs::Transmit;
pub use refusal::{Refusal, Refusals, REFUSALS};
pub use stats::AssociationsStats;
