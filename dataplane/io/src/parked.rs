//! Channel commands that overtook their transport.
//!
//! A transport reaches the associations thread through its lane, a channel command directly: so the second
//! of "add transport 5, open a channel on it" may come first. It waits here until the lane has spoken.

use std::collections::{HashSet, VecDeque};

use conclave_core::association::ToAssociation;
use conclave_core::command::ChannelCommand;
use conclave_core::ids::TransportId;

/// Commands that may wait. Real ones wait for microseconds; commands for transports that are already gone
/// stay until newer ones push them out.
const LIMIT: usize = 1_024;

/// Transports that exist and commands that wait for others.
#[derive(Debug, Default)]
pub struct Parked {
    known: HashSet<TransportId>,
    waiting: VecDeque<(TransportId, ChannelCommand)>,
}

impl Parked {
    /// Takes note of a lane's message; call it before the message is handled.
    pub fn note(&mut self, message: &ToAssociation) {
        match *message {
            ToAssociation::Added { transport } => {
                self.known.insert(transport);
            }
            ToAssociation::Removed { transport } => {
                self.known.remove(&transport);
            }
            _ => {}
        }
    }

    /// Gives back a command that can be handled now; keeps one whose transport is not known yet.
    pub fn admit(&mut self, command: ChannelCommand) -> Option<ChannelCommand> {
        let (ChannelCommand::Open { transport, .. } | ChannelCommand::Close { transport, .. }) =
            command
        else {
            return Some(command);
        };
        if self.known.contains(&transport) {
            return Some(command);
        }
        if self.waiting.len() == LIMIT {
            self.waiting.pop_front();
        }
        self.waiting.push_back((transport, command));
        None
    }

    /// The next command that waited for `transport`; call it after `Added` was handled.
    pub fn release(&mut self, transport: TransportId) -> Option<ChannelCommand> {
        let index = self.waiting.iter().position(|(waits_for, _)| *waits_for == transport)?;
        self.waiting.remove(index).map(|(_, command)| command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(transport: u32, stream: u16) -> ChannelCommand {
        ChannelCommand::Close { transport: TransportId(transport), stream }
    }

    #[test]
    fn commands_wait_for_their_transport_and_keep_their_order() {
        let mut parked = Parked::default();
        assert_eq!(parked.admit(close(1, 1)), None);
        assert_eq!(parked.admit(close(2, 9)), None);
        assert_eq!(parked.admit(close(1, 2)), None);
        parked.note(&ToAssociation::Added { transport: TransportId(1) });
        assert_eq!(parked.release(TransportId(1)), Some(close(1, 1)));
        assert_eq!(parked.release(TransportId(1)), Some(close(1, 2)));
        assert_eq!(parked.release(TransportId(1)), None);
        assert_eq!(parked.admit(close(1, 3)), Some(close(1, 3)));
        parked.note(&ToAssociation::Removed { transport: TransportId(1) });
        assert_eq!(parked.admit(close(1, 4)), None);
    }

    #[test]
    fn a_message_never_waits() {
        let mut parked = Parked::default();
        let to = vec![(TransportId(1), 1)];
        let send = ChannelCommand::Send { to, data: vec![1], binary: true };
        assert_eq!(parked.admit(send.clone()), Some(send));
    }

    #[test]
    fn the_oldest_command_gives_way() {
        let mut parked = Parked::default();
        for stream in 0..=LIMIT as u16 {
            assert_eq!(parked.admit(close(1, stream)), None);
        }
        assert_eq!(parked.release(TransportId(1)), Some(close(1, 1)));
        assert_eq!(parked.waiting.len(), LIMIT - 1);
    }
}
