//! What a lane has to tell, on its way to the other threads: what may be lost when they do not keep up, and
//! under which name it is counted then.

use conclave_core::association::ToAssociation;
use conclave_core::drop::{DropCounters, DropReason};
use conclave_core::event::Event;

use crate::outlet::{Outlet, Worth};

/// Moves events towards the control plane.
pub fn deliver_events(
    events: &mut Vec<Event>,
    outlet: &mut Outlet<Event>,
    drops: &mut DropCounters,
) {
    for event in events.drain(..) {
        // The next report of levels replaces this one; everything else is told once.
        let levels = matches!(event, Event::AudioLevels(_));
        let worth = if levels { Worth::Shed } else { Worth::Keep };
        if outlet.push(event, worth).is_err() {
            drops.count(DropReason::EventQueueFull);
        }
    }
    outlet.flush();
}

/// Moves messages towards the associations thread.
pub fn deliver_messages(
    messages: &mut Vec<ToAssociation>,
    outlet: &mut Outlet<ToAssociation>,
    drops: &mut DropCounters,
) {
    for message in messages.drain(..) {
        // DTLS repeats its datagrams by itself (RFC 6347 section 4.2.4).
        let datagram = matches!(message, ToAssociation::Datagram { .. });
        let worth = if datagram { Worth::Shed } else { Worth::Keep };
        if outlet.push(message, worth).is_err() {
            drops.count(DropReason::AssociationQueueFull);
        }
    }
    outlet.flush();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use conclave_core::ids::TransportId;

    use super::*;
    use crate::doorbell::Doorbell;

    const T: TransportId = TransportId(1);

    fn bell() -> Arc<Doorbell> {
        Arc::new(Doorbell::new().unwrap())
    }

    #[test]
    fn levels_give_way_when_python_does_not_listen_and_news_wait() {
        let (mut outlet, mut ring) = Outlet::new(1, 1, bell());
        let mut drops = DropCounters::default();
        let (moved, stale) =
            (Event::TransportMoved { transport: T }, Event::TransportStale { transport: T });
        let mut events = vec![moved.clone(), Event::AudioLevels(Vec::new()), stale.clone()];
        deliver_events(&mut events, &mut outlet, &mut drops);
        assert_eq!(drops.get(DropReason::EventQueueFull), 1);
        deliver_events(&mut vec![moved.clone()], &mut outlet, &mut drops);
        assert_eq!(drops.get(DropReason::EventQueueFull), 2, "the backlog is bounded");
        assert_eq!(ring.pop(), Ok(moved));
        deliver_events(&mut Vec::new(), &mut outlet, &mut drops);
        assert_eq!(ring.pop(), Ok(stale));
    }

    #[test]
    fn handshake_datagrams_give_way_when_the_associations_are_busy_and_news_wait() {
        let (mut outlet, mut ring) = Outlet::new(1, 1, bell());
        let mut drops = DropCounters::default();
        let datagram = ToAssociation::Datagram { transport: T, data: vec![22] };
        let (added, removed) =
            (ToAssociation::Added { transport: T }, ToAssociation::Removed { transport: T });
        let mut messages = vec![added.clone(), datagram, removed.clone()];
        deliver_messages(&mut messages, &mut outlet, &mut drops);
        assert_eq!(drops.get(DropReason::AssociationQueueFull), 1);
        assert_eq!(ring.pop(), Ok(added));
        deliver_messages(&mut Vec::new(), &mut outlet, &mut drops);
        assert_eq!(ring.pop(), Ok(removed));
    }
}
