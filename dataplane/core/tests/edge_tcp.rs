//! Connections as paths (RFC 6544): the same rules as for datagrams, and what follows when one breaks.

// A test fails by panicking, outside of its own function too.
#![allow(clippy::unwrap_used)]

mod edge_support;

use std::num::NonZeroU32;

use conclave_core::association::{Path, ToAssociation};
use conclave_core::drop::DropReason;
use conclave_core::edge::EdgeEvent;
use conclave_core::event::Event;
use conclave_core::ids::ConnectionId;
use edge_support::*;

/// Connection number `number`, always from the same address and port.
fn connection(number: u32) -> Path {
    Path::tcp(0, path(1).peer, ConnectionId(NonZeroU32::new(number).unwrap()))
}

fn selected(path: Path) -> EdgeEvent {
    EdgeEvent::Association(ToAssociation::Selected { transport: ID, path })
}

fn moved() -> EdgeEvent {
    EdgeEvent::Event(Event::TransportMoved { transport: ID })
}

fn silenced() -> EdgeEvent {
    EdgeEvent::Association(ToAssociation::Silenced { transport: ID })
}

/// A check over a connection.
fn check(rig: &mut Rig, ms: u64, from: Path, name: &str) -> Got {
    let check = Check::flagged(name, ms * 1_000 + u64::from(from.peer.port())).bytes();
    rig.receive(ms, from, &check)
}

#[test]
fn a_believed_check_validates_its_connection_and_no_other_way() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.receive(0, connection(1), &dtls_record()),
        Got::Dropped(DropReason::UnvalidatedAddress)
    );
    assert!(matches!(check(&mut rig, 1, connection(1), "a"), Got::Reply(_)));
    let validated = EdgeEvent::Event(Event::TransportValidated { transport: ID });
    assert_eq!(rig.events(), [validated, selected(connection(1))]);
    let mut media = rig.connect();
    assert!(matches!(rig.receive(2, connection(1), &dtls_record()), Got::Dtls(_)));
    assert!(matches!(rig.receive(2, connection(1), &media.rtp(5, 1, b"x")), Got::Rtp(_)));
    assert!(matches!(rig.receive(2, connection(1), &media.rtcp(5)), Got::Rtcp(_)));
    assert_eq!(rig.send(3), Ok(connection(1)));
    for stranger in [connection(2), path(1)] {
        assert_eq!(
            rig.receive(3, stranger, &dtls_record()),
            Got::Dropped(DropReason::UnvalidatedAddress)
        );
    }
}

#[test]
fn a_client_moves_from_datagrams_to_a_connection_and_back() {
    let (mut rig, _media) = Rig::connected();
    assert!(matches!(check(&mut rig, 4_000, connection(1), "a"), Got::Reply(_)));
    assert_eq!(rig.send(4_001), Ok(connection(1)));
    assert_eq!(rig.events(), [moved(), selected(connection(1))]);
    rig.nominate(9_000, 1, "a");
    assert_eq!(rig.send(9_001), Ok(path(1)));
}

#[test]
fn when_the_connection_breaks_another_validated_way_takes_over_at_once() {
    let (mut rig, _media) = Rig::connected();
    check(&mut rig, 4_000, connection(1), "a");
    let plain = Check::new("a", 5).bytes();
    assert!(matches!(rig.receive(4_100, connection(2), &plain), Got::Reply(_)));
    rig.events();
    assert_eq!(rig.send(4_200), Ok(connection(1)));
    assert_eq!(rig.edge.disconnect(connection(1)), Some(ID));
    assert_eq!(rig.send(4_201), Ok(connection(2)), "the one heard of last");
    assert_eq!(rig.events(), [moved(), selected(connection(2))]);
    assert_eq!(rig.edge.disconnect(connection(2)), Some(ID));
    assert_eq!(rig.send(4_202), Ok(path(1)));
    assert_eq!(rig.edge.disconnect(connection(2)), None, "it is known no more");
}

#[test]
fn the_end_of_a_spare_connection_changes_nothing() {
    let (mut rig, _media) = Rig::connected();
    let plain = Check::new("a", 5).bytes();
    assert!(matches!(rig.receive(1_000, connection(1), &plain), Got::Reply(_)));
    assert_eq!(rig.edge.disconnect(connection(1)), Some(ID));
    assert_eq!((rig.send(1_001), rig.events()), (Ok(path(1)), Vec::new()));
}

#[test]
fn without_another_way_a_transport_is_silent_until_the_next_check() {
    let mut rig = Rig::new();
    check(&mut rig, 0, connection(1), "a");
    let mut media = rig.connect();
    rig.events();
    rig.edge.disconnect(connection(1));
    assert_eq!(rig.events(), [silenced()]);
    assert_eq!(rig.send(10), Err(DropReason::LegNotReady));
    let got = rig.receive(10, connection(1), &media.rtp(5, 1, b"late"));
    assert_eq!(got, Got::Dropped(DropReason::UnvalidatedAddress));
    assert!(matches!(check(&mut rig, 20, connection(2), "a"), Got::Reply(_)));
    assert_eq!(rig.events(), [moved(), selected(connection(2))]);
    assert_eq!(rig.send(21), Ok(connection(2)));
}

#[test]
fn an_ice_restart_may_end_on_a_connection() {
    let (mut rig, mut media) = Rig::connected();
    rig.edge.restart_ice(at(1_000), ID, &credentials("b")).unwrap();
    assert!(matches!(check(&mut rig, 1_100, connection(1), "b"), Got::Reply(_)));
    assert_eq!(rig.send(1_101), Ok(connection(1)));
    assert!(matches!(rig.receive(1_102, connection(1), &media.rtp(5, 1, b"x")), Got::Rtp(_)));
    let old = check(&mut rig, 1_200, connection(2), "a");
    assert_eq!(old, Got::Dropped(DropReason::StunUnknownUfrag));
}

#[test]
fn consent_over_a_connection_expires_like_any_other() {
    let mut rig = Rig::new();
    check(&mut rig, 0, connection(1), "a");
    let _media = rig.connect();
    assert_eq!(rig.send(29_999), Ok(connection(1)));
    assert_eq!(rig.send(30_000), Err(DropReason::ConsentExpired));
}
