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
use crate::ids::TransportId;
use crate::time::Time;

/// Armed timers, the earliest first. A transport has one, and one more for each time that its deadline
/// moved earlier while it was armed, which only held packets do.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Time, u32, TransportId)>>);

impl Edge {
    /// When [`Edge::handle_timeout`] next has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.0.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(&Reverse((at, slot, id))) = self.timers.0.peek() {
            if at > now {
                break;
            }
            self.timers.0.pop();
            let transport = self.slots[slot as usize].as_mut();
            let Some(transport) = transport.filter(|transport| transport.id == id) else {
                continue;
            };
            if transport.armed == Some(at) {
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
            self.timers.0.push(Reverse((deadline, slot, transport.id)));
        }
    }
}
