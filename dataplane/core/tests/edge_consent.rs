//! Consent, restarts, closing: when a transport falls silent, what brings it back, when it is forgotten.

mod edge_support;

use conclave_core::association::ToAssociation;
use conclave_core::drop::DropReason;
use conclave_core::edge::{EdgeError, EdgeEvent};
use conclave_core::event::{CloseReason, Event, SrtpProfile};
use edge_support::*;

fn event(event: Event) -> EdgeEvent {
    EdgeEvent::Event(event)
}

fn expired() -> [EdgeEvent; 2] {
    [
        EdgeEvent::Association(ToAssociation::Silenced { transport: ID }),
        event(Event::TransportClosed { transport: ID, reason: CloseReason::ConsentExpired }),
    ]
}

#[test]
fn nothing_leaves_thirty_seconds_after_the_last_check() {
    let (mut rig, _media) = Rig::connected();
    assert!(rig.check(1_000, 1, "a") != Got::Held);
    assert_eq!(rig.send(30_999), Ok(path(1)));
    assert_eq!(rig.send_report(30_999), Ok(path(1)));
    // Even if no time-out was handled in between.
    assert_eq!(rig.send(31_000), Err(DropReason::ConsentExpired));
    assert_eq!(rig.send_report(31_000), Err(DropReason::ConsentExpired));
    assert_eq!(rig.edge.selected(at(31_000), ID), None);
    rig.pass_time(31_000);
    assert_eq!(rig.send(31_000), Err(DropReason::ConsentExpired));
    let stale = event(Event::TransportStale { transport: ID });
    let [silenced, closed] = expired();
    assert_eq!(rig.events(), [stale, silenced, closed]);
}

#[test]
fn nothing_comes_in_after_consent_expired() {
    let (mut rig, mut media) = Rig::connected();
    let packet = media.rtp(5, 1, b"late");
    let mut late = packet.clone();
    rig.edge.handle_datagram(at(30_000), path(1), &mut late);
    assert_eq!(rig.drops(), [(DropReason::ConsentExpired, 1)]);
    assert_eq!(late, packet);
    let got = rig.receive(30_001, path(1), &packet);
    assert_eq!(got, Got::Dropped(DropReason::UnvalidatedAddress));
}

#[test]
fn stale_comes_after_five_seconds_and_alive_with_the_next_check() {
    let mut rig = Rig::validated();
    rig.check(4_000, 1, "a");
    rig.pass_time(8_999);
    assert_eq!(rig.events(), []);
    rig.pass_time(9_000);
    assert_eq!(rig.events(), [event(Event::TransportStale { transport: ID })]);
    rig.check(9_500, 1, "a");
    assert_eq!(rig.events(), [event(Event::TransportAlive { transport: ID })]);
    rig.pass_time(14_500);
    assert_eq!(rig.events(), [event(Event::TransportStale { transport: ID })]);
}

#[test]
fn checks_keep_consent_for_ever_and_timers_stay_few() {
    let mut rig = Rig::validated();
    for ms in (0..600_000).step_by(480) {
        assert!(matches!(rig.check(ms, 1, "a"), Got::Reply(_)));
    }
    assert_eq!(rig.events(), []);
    assert_eq!(rig.edge.selected(at(600_000), ID), Some(path(1)));
}

#[test]
fn old_credentials_work_until_the_first_check_with_the_new_ones() {
    let (mut rig, _media) = Rig::connected();
    rig.edge.restart_ice(at(100), ID, &credentials("a2")).unwrap();
    assert!(matches!(rig.check(200, 1, "a"), Got::Reply(_)));
    assert_eq!(rig.send(300), Ok(path(1)));
    assert!(matches!(rig.check(400, 2, "a2"), Got::Reply(_)));
    assert_eq!(rig.check(500, 1, "a"), Got::Dropped(DropReason::StunUnknownUfrag));
    // Media goes on where it went until the new address is nominated.
    assert_eq!(rig.send(600), Ok(path(1)));
    rig.nominate(700, 2, "a2");
    assert_eq!(rig.send(800), Ok(path(2)));
    assert_eq!(
        rig.events(),
        [
            event(Event::TransportMoved { transport: ID }),
            EdgeEvent::Association(ToAssociation::Selected { transport: ID, path: path(2) }),
        ]
    );
}

#[test]
fn a_second_restart_before_any_check_keeps_the_credentials_that_work() {
    let mut rig = Rig::validated();
    rig.edge.restart_ice(at(0), ID, &credentials("a2")).unwrap();
    rig.edge.restart_ice(at(0), ID, &credentials("a3")).unwrap();
    assert!(matches!(rig.check(1, 1, "a"), Got::Reply(_)));
    assert_eq!(rig.check(2, 1, "a2"), Got::Dropped(DropReason::StunUnknownUfrag));
    assert!(matches!(rig.check(3, 1, "a3"), Got::Reply(_)));
    assert_eq!(rig.check(4, 1, "a"), Got::Dropped(DropReason::StunUnknownUfrag));
    let taken = rig.edge.restart_ice(at(5), ID, &credentials("a3"));
    assert_eq!(taken, Err(EdgeError::UfragTaken));
}

#[test]
fn either_order_of_restart_and_new_description_works() {
    for description_first in [true, false] {
        let mut rig = Rig::validated();
        let describe = |rig: &mut Rig| rig.edge.set_remote(ID, &remote("peer2")).unwrap();
        if description_first {
            describe(&mut rig);
        }
        assert!(matches!(rig.check(1, 1, "a"), Got::Reply(_)));
        rig.edge.restart_ice(at(2), ID, &credentials("a2")).unwrap();
        assert!(matches!(rig.check(3, 1, "a"), Got::Reply(_)));
        if !description_first {
            describe(&mut rig);
        }
        assert!(matches!(rig.check(4, 1, "a"), Got::Reply(_)));
        let new = Check { theirs: "peer2".into(), ..Check::flagged("a2", 5) };
        assert!(matches!(rig.receive(5, path(2), &new.bytes()), Got::Reply(_)));
        assert_eq!(rig.edge.selected(at(5), ID), Some(path(2)));
        let former = Check::new("a2", 6).bytes();
        let Got::Reply(answer) = rig.receive(6, path(1), &former) else { panic!("no answer") };
        assert_eq!(error_code(&answer), 400);
        assert_eq!(rig.drops(), [(DropReason::StunBadUsername, 1)]);
    }
}

#[test]
fn only_new_credentials_bring_an_expired_transport_back() {
    let (mut rig, mut media) = Rig::connected();
    rig.pass_time(30_000);
    rig.events();
    assert_eq!(rig.check(31_000, 1, "a"), Got::Dropped(DropReason::ConsentExpired));
    rig.edge.restart_ice(at(40_000), ID, &credentials("a2")).unwrap();
    assert_eq!(rig.check(41_000, 1, "a"), Got::Dropped(DropReason::ConsentExpired));
    assert_eq!(rig.send(41_000), Err(DropReason::ConsentExpired));
    // The restart counts the half minute anew.
    assert!(matches!(rig.check(69_999, 2, "a2"), Got::Reply(_)));
    assert_eq!(
        rig.events(),
        [
            event(Event::TransportAlive { transport: ID }),
            EdgeEvent::Association(ToAssociation::Selected { transport: ID, path: path(2) }),
        ]
    );
    assert_eq!(rig.send(69_999), Ok(path(2)));
    let packet = media.rtp(5, 1, b"the keys are the same");
    assert!(matches!(rig.receive(69_999, path(2), &packet), Got::Rtp(_)));
    assert_eq!(rig.drops(), [(DropReason::ConsentExpired, 2)]);
}

#[test]
fn a_late_check_does_not_overtake_the_end_of_consent() {
    let mut rig = Rig::validated();
    let mut check = Check::new("a", 1).bytes();
    rig.edge.handle_datagram(at(30_000), path(1), &mut check);
    assert_eq!(rig.drops(), [(DropReason::ConsentExpired, 1)]);
    assert_eq!(rig.events(), expired());
}

#[test]
fn an_expired_transport_is_released_half_a_minute_later() {
    let mut rig = Rig::validated();
    rig.pass_time(59_999);
    assert_eq!(rig.edge.len(), 1);
    rig.events();
    rig.pass_time(60_000);
    assert_eq!(rig.events(), [EdgeEvent::Released(ID)]);
    assert!(rig.edge.is_empty());
    assert_eq!(rig.edge.poll_timeout(), None);
    assert_eq!(rig.check(60_001, 1, "a"), Got::Dropped(DropReason::StunUnknownUfrag));
    assert_eq!(rig.send(60_001), Err(DropReason::LegNotReady));
    assert_eq!(rig.edge.add_transport(ID, &credentials("a")), Ok(()));
}

#[test]
fn a_closed_transport_neither_takes_nor_gives_anything() {
    let (mut rig, mut media) = Rig::connected();
    rig.edge.close(at(0), ID, CloseReason::PeerClosed).unwrap();
    rig.edge.close(at(1), ID, CloseReason::HandshakeFailed).unwrap();
    let reason = CloseReason::PeerClosed;
    assert_eq!(rig.events(), [event(Event::TransportClosed { transport: ID, reason })]);
    let closed = Got::Dropped(DropReason::TransportClosed);
    let packet = media.rtp(5, 1, b"x");
    assert_eq!(rig.receive(2, path(1), &packet), closed);
    assert_eq!(rig.receive(2, path(1), &media.rtcp(5)), closed);
    assert_eq!(rig.receive(2, path(1), &dtls_record()), closed);
    assert_eq!(rig.check(2, 1, "a"), closed);
    assert_eq!(rig.send(2), Err(DropReason::TransportClosed));
    assert_eq!(rig.drops(), [(DropReason::TransportClosed, 4)]);
    let (ours, theirs) = (master(3), master(4));
    let keys = rig.edge.install_keys(ID, SrtpProfile::AeadAes128Gcm, &ours, &theirs);
    assert_eq!(keys, Err(EdgeError::Closed));
    let restart = rig.edge.restart_ice(at(2), ID, &credentials("a2"));
    assert_eq!(restart, Err(EdgeError::Closed));
    rig.pass_time(30_000);
    assert_eq!(rig.events(), [EdgeEvent::Released(ID)]);
}

#[test]
fn a_removed_transport_leaves_nothing_behind() {
    let (mut rig, mut media) = Rig::connected();
    rig.edge.restart_ice(at(0), ID, &credentials("a2")).unwrap();
    rig.edge.remove_transport(ID).unwrap();
    let unvalidated = Got::Dropped(DropReason::UnvalidatedAddress);
    assert_eq!(rig.receive(1, path(1), &media.rtp(5, 1, b"x")), unvalidated);
    for name in ["a", "a2"] {
        assert_eq!(rig.check(1, 1, name), Got::Dropped(DropReason::StunUnknownUfrag));
    }
    rig.pass_time(120_000);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.edge.poll_timeout(), None);
}

#[test]
fn the_slot_of_a_removed_transport_does_not_inherit_its_timers() {
    let mut rig = Rig::validated();
    rig.edge.remove_transport(ID).unwrap();
    let other = conclave_core::ids::TransportId(8);
    rig.edge.add_transport(other, &credentials("b")).unwrap();
    rig.pass_time(4_000);
    rig.check(4_000, 2, "b");
    rig.events();
    rig.pass_time(8_999);
    assert_eq!(rig.events(), []);
    rig.pass_time(9_000);
    assert_eq!(rig.events(), [event(Event::TransportStale { transport: other })]);
}
