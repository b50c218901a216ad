//! What happens at the edge when time passes: stale, consent expired, released, held packets too old.
//!
//! Checks arrive often and postpone a deadline each time, so a timer is not moved when its deadline moves
//! later: when it fires, the transport says what is due, and the timer is armed again for what comes next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::transport::Due;
use super::{Edge, EdgeEvent};
use crate::association::ToAssociation;
use crate::drop::DropReason;
use crate::event::{CloseReason, Event};
use crate::time::Time;

/// Armed timers, the earliest first. A transport has one, and one more for each time that its deadline
/// moved earlier while it was armed, which only held packets do.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Time, u32)>>);

impl Edge {
    /// When [`Edge::handle_timeout`] next has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(&Reverse((at, slot))) = self.timers.0.peek() {
            if at > now {
                break;
            }
            self.timers.0.pop();
            // A timer that was overtaken by an earlier one, or whose transport is gone, means nothing.
            let transport = self.slots[slot as usize].as_mut();
            if let Some(transport) = transport.filter(|transport| transport.armed == Some(at)) {
                transport.armed = None;
                self.run_due(now, slot);
                self.arm(slot);
            }
        }
    }

    /// Does what is due for one transport.
    pub(super) fn run_due(&mut self, now: Time, slot: u32) {
        let Some(transport) = &mut self.slots[slot as usize] else { return };
        let id = transport.id;
        let late = transport.hold.expire(now);
        self.drops.add(DropReason::SrtpBeforeKeys, late);
        match transport.due(now) {
            Due::Nothing => {}
            Due::BecameStale => {
                let event = Event::TransportStale { transport: id };
                self.events.push_back(EdgeEvent::Event(event));
            }
            Due::ConsentExpired => {
                self.drops.add(DropReason::SrtpBeforeKeys, transport.hold.clear());
                self.addresses.remove_all(transport.ice.forget_all());
                let silenced = ToAssociation::Silenced { transport: id };
                self.events.push_back(EdgeEvent::Association(silenced));
                let reason = CloseReason::ConsentExpired;
                let event = Event::TransportClosed { transport: id, reason };
                self.events.push_back(EdgeEvent::Event(event));
            }
            Due::Release => {
                self.remove_transport(id).expect("invariant: a transport in a slot has its id");
                self.events.push_back(EdgeEvent::Released(id));
            }
        }
    }

    /// Makes sure that a timer fires no later than the transport's deadline.
    pub(super) fn arm(&mut self, slot: u32) {
        let Some(transport) = &mut self.slots[slot as usize] else { return };
        let Some(deadline) = transport.deadline() else { return };
        if transport.armed.is_none_or(|armed| deadline < armed) {
            transport.armed = Some(deadline);
            self.timers.0.push(Reverse((deadline, slot)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lc_rs::hmac;

    use super::*;
    use crate::association::Path;
    use crate::command::IceCredentials;
    use crate::edge::{EdgeConfig, Received};
    use crate::ids::TransportId;
    use crate::stun::{attribute, Writer, BINDING_REQUEST};

    fn check(number: u64, local: &IceCredentials) -> Vec<u8> {
        let mut buf = [0u8; 128];
        let mut id = [0u8; 12];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, local.pwd.as_bytes());
        let len = Writer::new(&mut buf, BINDING_REQUEST, &id)
            .and_then(|w| w.attribute(attribute::USERNAME, b"abcd:efgh"))
            .and_then(|w| w.attribute(attribute::PRIORITY, &[1; 4]))
            .and_then(|w| w.integrity(&key))
            .and_then(Writer::finish);
        buf[..len.expect("there is room")].to_vec()
    }

    #[test]
    fn timers_of_a_transport_that_holds_packets_again_and_again_stay_few() {
        let (seed, consent) = (1, Duration::from_secs(30));
        let mut edge = Edge::new(EdgeConfig { seed, consent, max_transports: 1 });
        let local = IceCredentials { ufrag: "abcd".into(), pwd: "p".repeat(22) };
        edge.add_transport(TransportId(1), &local).unwrap();
        let path = Path::udp(0, ([192, 0, 2, 1], 1).into());
        let (mut most, mut held) = (0, 0);
        for ms in (0..600_000).step_by(1_000) {
            let now = Time::from_millis(ms);
            edge.handle_timeout(now);
            if ms % 20_000 == 0 {
                edge.handle_datagram(now, path, &mut check(ms, &local));
            }
            let mut early = [0x80; 80];
            held += u32::from(edge.handle_datagram(now, path, &mut early) == Received::Held);
            most = most.max(edge.timers.0.len());
        }
        assert_eq!(held, 600);
        assert!((1..=100).contains(&most), "{most}");
    }
}
