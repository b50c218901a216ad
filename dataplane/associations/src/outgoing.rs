//! Messages that wait to be handed to SCTP: payloads shared between the receivers of a fan-out, and how
//! many bytes of each class wait.

use std::rc::Rc;

use crate::config::{Limits, MESSAGE_OVERHEAD};
use crate::refusal::Refusal;

/// One message to one channel.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// Payload protocol identifier (RFC 8831 section 8).
    pub ppid: u32,
    /// Payload, one copy for all receivers; never empty on the wire.
    pub payload: Rc<Vec<u8>>,
}

impl Outgoing {
    /// What it counts for in a queue.
    pub fn cost(&self) -> usize {
        self.payload.len() + MESSAGE_OVERHEAD
    }
}

/// Which of two bounds a channel's messages fall under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// May lose messages.
    Lossy,
    /// May not.
    Reliable,
}

/// Bytes that wait for one peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backlog {
    lossy: usize,
    reliable: usize,
}

impl Backlog {
    /// Adds a message, unless its class is full. An empty queue takes a message of any size, or a lossy
    /// one longer than the bound could never be sent.
    pub fn add(&mut self, class: Class, cost: usize, limits: &Limits) -> Result<(), Refusal> {
        let (bytes, limit, full) = match class {
            Class::Lossy => (&mut self.lossy, limits.lossy_queue_bytes, Refusal::LossyQueueFull),
            Class::Reliable => {
                (&mut self.reliable, limits.reliable_queue_bytes, Refusal::ReliableQueueFull)
            }
        };
        if *bytes > 0 && *bytes + cost > limit {
            return Err(full);
        }
        *bytes += cost;
        Ok(())
    }

    /// Takes a message away.
    pub fn remove(&mut self, class: Class, cost: usize) {
        match class {
            Class::Lossy => self.lossy -= cost,
            Class::Reliable => self.reliable -= cost,
        }
    }
}
