//! One data channel: its parameters, its state and the messages that wait for room in SCTP. It sends
//! nothing itself.

use std::collections::VecDeque;

use crate::dcep::{Open, Reliability};
use crate::outgoing::{Class, Outgoing};

/// Where a channel is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelState {
    /// Asked for, before SCTP is up.
    Waiting {
        /// No DCEP: both sides were told by signalling.
        negotiated: bool,
    },
    /// Our OPEN is on its way; messages stay in order until its ACK (RFC 8832 section 6).
    Opening,
    /// Both sides know it.
    Open,
    /// To be closed as soon as its last message left.
    Draining,
    /// Streams are being reset (RFC 8831 section 6.7); it is gone when both are.
    Closing {
        /// The peer reset its direction.
        incoming: bool,
        /// The reset of our direction was answered.
        outgoing: bool,
    },
}

/// A channel on one stream.
#[derive(Debug)]
pub(crate) struct Channel {
    /// Label, protocol, order, reliability.
    pub description: Open,
    /// State.
    pub state: ChannelState,
    /// Messages that SCTP has not taken yet.
    pub queue: VecDeque<Outgoing>,
}

impl Channel {
    /// A channel without messages.
    pub fn new(description: Open, state: ChannelState) -> Self {
        Self { description, state, queue: VecDeque::new() }
    }

    /// Which bound its messages fall under.
    pub fn class(&self) -> Class {
        match self.description.reliability {
            Reliability::Reliable => Class::Reliable,
            Reliability::Retransmits(_) | Reliability::Lifetime(_) => Class::Lossy,
        }
    }

    /// Whether the control plane may send on it.
    pub fn takes_messages(&self) -> bool {
        matches!(
            self.state,
            ChannelState::Waiting { .. } | ChannelState::Opening | ChannelState::Open
        )
    }

    /// Whether its messages may be handed to SCTP.
    pub fn may_feed(&self) -> bool {
        matches!(self.state, ChannelState::Opening | ChannelState::Open | ChannelState::Draining)
    }

    /// Whether it counts as open.
    pub fn is_open(&self) -> bool {
        self.state == ChannelState::Open
    }
}
