//! Which connectivity checks are believed, which are answered, and under which name the others are counted.

mod edge_support;

use conclave_core::association::ToAssociation;
use conclave_core::command::IceCredentials;
use conclave_core::drop::DropReason;
use conclave_core::edge::{EdgeError, EdgeEvent};
use conclave_core::event::Event;
use conclave_core::ids::TransportId;
use conclave_core::stun::{self, attribute, Fingerprint, Message};
use edge_support::*;

/// Sends a check from an unknown and from a validated address; what the second one is answered.
fn refused(check: &Check, reason: DropReason, code: Option<u16>, signed: bool) {
    let mut rig = Rig::new();
    let first = rig.receive(0, path(9), &check.bytes());
    match code {
        Some(code) if signed => assert_answer(&first, check, code, true),
        _ => assert_eq!(first, Got::Dropped(reason)),
    }
    assert_eq!(rig.drops(), [(reason, 1)]);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.edge.selected(at(0), ID), None);

    let mut rig = Rig::validated();
    let second = rig.receive(0, path(1), &check.bytes());
    match code {
        Some(code) => assert_answer(&second, check, code, signed),
        None => assert_eq!(second, Got::Dropped(reason)),
    }
    assert_eq!(rig.drops(), [(reason, 1)]);
    assert_eq!(rig.events(), []);
}

fn assert_answer(got: &Got, check: &Check, code: u16, signed: bool) {
    let Got::Reply(answer) = got else { panic!("{got:?}") };
    assert_eq!(error_code(answer), code);
    let message = Message::parse(answer).expect("an answer parses");
    assert_eq!(message.transaction, transaction(check.transaction));
    assert_eq!(message.fingerprint, Fingerprint::Right);
    assert_eq!(message.integrity_holds(answer, &key(&check.to)), signed);
}

#[test]
fn a_valid_check_is_answered_and_selects_its_address() {
    let mut rig = Rig::new();
    let Got::Reply(answer) = rig.check(5, 1, "a") else { panic!("no answer") };
    let message = Message::parse(&answer).unwrap();
    assert_eq!(message.kind, stun::BINDING_SUCCESS);
    assert_eq!(message.transaction, transaction(1_000_001));
    assert_eq!(message.fingerprint, Fingerprint::Right);
    assert!(message.integrity_holds(&answer, &key(&credentials("a"))));
    let (value, len) = stun::xor_address(path(1).peer, &message.transaction);
    assert_eq!(answer[20..24], [0, 0x20, 0, len as u8]);
    assert_eq!(answer[24..24 + len], value[..len]);
    assert_eq!(
        rig.events(),
        [
            EdgeEvent::Event(Event::TransportValidated { transport: ID }),
            EdgeEvent::Association(ToAssociation::Selected { transport: ID, path: path(1) }),
        ]
    );
    assert_eq!(rig.edge.selected(at(5), ID), Some(path(1)));
    assert_eq!(rig.drops(), []);
}

#[test]
fn an_answer_over_ipv6_fits_over_the_shortest_check() {
    let mut rig = Rig::new();
    let shortest = IceCredentials { ufrag: "abcd".into(), pwd: "p".repeat(22) };
    rig.edge.add_transport(TransportId(8), &shortest).unwrap();
    let check = Check { to: shortest, theirs: "e".into(), ..Check::new("", 1) }.bytes();
    let from = conclave_core::association::Path::udp(0, "[2001:db8::1]:4".parse().unwrap());
    let Got::Reply(answer) = rig.receive(0, from, &check) else { panic!("no answer") };
    assert_eq!(Message::parse(&answer).unwrap().kind, stun::BINDING_SUCCESS);
}

#[test]
fn responses_and_indications_are_dropped_and_other_methods_refused() {
    for (kind, code) in [(0x0101, None), (0x0111, None), (0x0011, None), (0x0003, Some(400))] {
        let check = Check { kind, ..Check::new("a", 1) };
        refused(&check, DropReason::StunUnexpected, code, false);
    }
}

#[test]
fn a_check_without_fingerprint_is_refused() {
    let check = Check { fingerprint: false, ..Check::new("a", 1) };
    refused(&check, DropReason::StunBadFingerprint, Some(400), false);
}

#[test]
fn attributes_that_overrun_the_message_are_dropped() {
    let mut rig = Rig::validated();
    let mut bytes = Check::new("a", 1).bytes();
    bytes[23] = 0xFF;
    assert_eq!(rig.receive(0, path(1), &bytes), Got::Dropped(DropReason::StunBadFingerprint));
    assert_eq!(rig.drops(), [(DropReason::StunBadFingerprint, 1)]);
}

#[test]
fn a_check_without_priority_is_refused() {
    let check = Check { priority: None, ..Check::new("a", 1) };
    refused(&check, DropReason::StunNoPriority, Some(400), false);
}

#[test]
fn a_username_must_be_ours_and_theirs() {
    for name in ["", "ufrag-a", "ufrag-a:", ":"] {
        let check = Check { username: Some(name.into()), ..Check::new("a", 1) };
        refused(&check, DropReason::StunBadUsername, Some(400), false);
    }
    let check = Check { theirs: "somebody".into(), ..Check::new("a", 1) };
    refused(&check, DropReason::StunBadUsername, Some(400), false);
}

#[test]
fn an_unknown_ufrag_is_never_answered() {
    refused(&Check::new("b", 1), DropReason::StunUnknownUfrag, None, false);
}

#[test]
fn wrong_or_missing_integrity_is_answered_to_a_validated_address_only() {
    let pwd = "another-password-0123456789".to_string();
    let wrong = IceCredentials { pwd, ..credentials("a") };
    let check = Check { to: wrong, ..Check::new("a", 1) };
    refused(&check, DropReason::StunBadIntegrity, Some(401), false);
    let check = Check { signed: false, ..Check::new("a", 1) };
    refused(&check, DropReason::StunBadIntegrity, Some(401), false);
}

#[test]
fn an_unknown_required_attribute_is_named_and_an_optional_one_ignored() {
    let check = Check { extra: vec![0x0030, 0x7ABC], ..Check::new("a", 1) };
    refused(&check, DropReason::StunUnknownAttribute, Some(420), true);
    let mut rig = Rig::new();
    let Got::Reply(answer) = rig.receive(0, path(1), &check.bytes()) else { panic!("no answer") };
    assert_eq!(answer[28..36], [0, 0x0A, 0, 4, 0x00, 0x30, 0x7A, 0xBC]);
    let check = Check { extra: vec![0xC057, 0xC070, 0x8FFF], ..Check::new("a", 2) };
    let Got::Reply(answer) = rig.receive(0, path(1), &check.bytes()) else { panic!("no answer") };
    assert_eq!(Message::parse(&answer).unwrap().kind, stun::BINDING_SUCCESS);
}

#[test]
fn a_peer_in_the_controlled_role_must_switch() {
    let check = Check { controlled: true, ..Check::new("a", 1) };
    refused(&check, DropReason::StunRoleConflict, Some(487), true);
}

#[test]
fn no_check_with_a_changed_byte_validates_an_address() {
    let good = Check::flagged("a", 1).bytes();
    for at_byte in 0..good.len() {
        for flip in [0x01, 0x20, 0x80, 0xFF] {
            let mut rig = Rig::new();
            let mut bad = good.clone();
            bad[at_byte] ^= flip;
            let got = rig.receive(0, path(1), &bad);
            assert!(matches!(got, Got::Dropped(_)), "byte {at_byte}: {got:?}");
            assert_eq!(rig.edge.selected(at(0), ID), None, "byte {at_byte}");
            assert_eq!(rig.events(), []);
        }
    }
}

#[test]
fn no_check_cut_short_validates_an_address() {
    let good = Check::flagged("a", 1).bytes();
    let mut rig = Rig::new();
    for len in 0..good.len() {
        let mut cut = good[..len].to_vec();
        assert!(matches!(rig.receive(0, path(1), &cut), Got::Dropped(_)));
        if len >= 20 {
            cut[2..4].copy_from_slice(&((len - 20) as u16).to_be_bytes());
            assert!(matches!(rig.receive(0, path(1), &cut), Got::Dropped(_)));
        }
    }
    assert_eq!(rig.edge.selected(at(0), ID), None);
}

#[test]
fn a_transaction_that_comes_again_is_answered_equally_and_changes_nothing() {
    let mut rig = Rig::new();
    let check = Check::new("a", 1).bytes();
    let first = rig.receive(0, path(1), &check);
    rig.events();
    assert_eq!(rig.receive(6_000, path(1), &check), first);
    // It renewed nothing: the spell of silence that began at 0 made the transport stale at 5 s.
    let stale = EdgeEvent::Event(Event::TransportStale { transport: ID });
    assert_eq!(rig.events(), [stale]);
    rig.pass_time(30_000);
    assert_eq!(rig.edge.selected(at(30_000), ID), None);
}

#[test]
fn a_captured_check_is_refused_from_another_address() {
    let mut rig = Rig::new();
    let check = Check::flagged("a", 1).bytes();
    rig.receive(0, path(1), &check);
    assert_eq!(rig.receive(1, path(666), &check), Got::Dropped(DropReason::StunReplay));
    rig.check(2, 2, "a");
    assert_eq!(rig.receive(3, path(2), &check), Got::Dropped(DropReason::StunReplay));
    assert_eq!(rig.drops(), [(DropReason::StunReplay, 2)]);
    assert_eq!(rig.edge.selected(at(3), ID), Some(path(1)));
}

#[test]
fn checks_before_the_answer_are_believed_and_dropped_if_they_were_anothers() {
    let mut rig = Rig::new();
    rig.edge.remove_transport(ID).unwrap();
    rig.edge.add_transport(ID, &credentials("a")).unwrap();
    let stranger = Check { theirs: "stranger".into(), ..Check::new("a", 1) };
    assert!(matches!(rig.receive(0, path(1), &stranger.bytes()), Got::Reply(_)));
    assert!(matches!(rig.check(0, 2, "a"), Got::Reply(_)));
    assert_eq!(rig.edge.selected(at(0), ID), Some(path(1)));
    rig.edge.set_remote(ID, &remote(THEIRS)).unwrap();
    assert_eq!(rig.edge.selected(at(0), ID), None);
    assert_eq!(
        rig.receive(0, path(1), &dtls_record()),
        Got::Dropped(DropReason::UnvalidatedAddress)
    );
    assert!(matches!(rig.check(1, 2, "a"), Got::Reply(_)));
    assert_eq!(rig.edge.selected(at(1), ID), Some(path(2)));
}

#[test]
fn nobody_takes_over_an_address_that_serves_somebody_else() {
    let mut rig = Rig::validated();
    rig.edge.add_transport(TransportId(8), &credentials("b")).unwrap();
    rig.check(1_000, 1, "a");
    assert_eq!(rig.check(5_999, 1, "b"), Got::Dropped(DropReason::PathTaken));
    assert_eq!(rig.drops(), [(DropReason::PathTaken, 1)]);
    assert_eq!(rig.edge.selected(at(5_999), ID), Some(path(1)));
    // Silent for five seconds: a browser that reloaded may have been given the same port.
    assert!(matches!(rig.check(6_000, 1, "b"), Got::Reply(_)));
    assert_eq!(rig.edge.selected(at(6_000), TransportId(8)), Some(path(1)));
    assert_eq!(rig.edge.selected(at(6_000), ID), None);
}

#[test]
fn one_source_may_fail_fifty_times_a_second() {
    let mut rig = Rig::new();
    for number in 0..60 {
        rig.receive(0, path(number as u16 + 1), &Check::new("b", number).bytes());
    }
    assert_eq!(rig.drops(), [(DropReason::StunUnknownUfrag, 50), (DropReason::StunRate, 10)]);
    // Believed checks cost nothing, so another address is not kept out, and a second later nobody is.
    let other = conclave_core::association::Path::udp(0, ([203, 0, 113, 1], 1).into());
    for number in 0..200 {
        let got = rig.receive(0, other, &Check::new("a", number).bytes());
        assert!(matches!(got, Got::Reply(_)));
    }
    assert!(matches!(rig.check(1_000, 1, "a"), Got::Reply(_)));
}

#[test]
fn all_unvalidated_sources_together_may_ask_for_two_thousand_integrity_tests_a_second() {
    let mut rig = Rig::new();
    let forged = Check { signed: false, ..Check::new("a", 1) }.bytes();
    let nonsense = Check::new("nobody", 1).bytes();
    for source in 0..2_500u16 {
        let [high, low] = source.to_be_bytes();
        let from = conclave_core::association::Path::udp(0, ([10, 0, high, low], 1).into());
        rig.receive(0, from, &nonsense);
        rig.receive(0, from, &forged);
    }
    assert_eq!(
        rig.drops(),
        [
            (DropReason::StunUnknownUfrag, 2_500),
            (DropReason::StunBadIntegrity, 2_000),
            (DropReason::StunRate, 500)
        ]
    );
}

#[test]
fn error_answers_to_a_validated_address_are_limited_and_its_checks_are_not() {
    let mut rig = Rig::validated();
    let bad = Check { priority: None, ..Check::new("a", 1) }.bytes();
    let answered =
        (0..100).filter(|_| matches!(rig.receive(0, path(1), &bad), Got::Reply(_))).count();
    assert_eq!(answered, 50);
    assert_eq!(rig.drops(), [(DropReason::StunNoPriority, 100)]);
    assert!((0..200).all(|_| matches!(rig.check(0, 1, "a"), Got::Reply(_))));
}

#[test]
fn transports_ufrags_and_credentials_are_checked_when_they_are_added() {
    let mut rig = Rig::new();
    let short = IceCredentials { ufrag: "abc".into(), pwd: "p".repeat(22) };
    let colon = IceCredentials { ufrag: "ab:cd".into(), pwd: "p".repeat(22) };
    let weak = IceCredentials { ufrag: "abcd".into(), pwd: "p".repeat(21) };
    for bad in [short, colon, weak] {
        let refused = rig.edge.add_transport(TransportId(1), &bad);
        assert_eq!(refused, Err(EdgeError::BadCredentials));
        assert_eq!(rig.edge.restart_ice(at(0), ID, &bad), Err(EdgeError::BadCredentials));
    }
    let add = |rig: &mut Rig, id: u32, name: &str| {
        rig.edge.add_transport(TransportId(id), &credentials(name))
    };
    assert_eq!(add(&mut rig, ID.0, "b"), Err(EdgeError::TransportExists));
    assert_eq!(add(&mut rig, 1, "a"), Err(EdgeError::UfragTaken));
    for id in 1..4 {
        assert_eq!(add(&mut rig, id, ["b1", "b2", "b3"][id as usize - 1]), Ok(()));
    }
    assert_eq!(add(&mut rig, 9, "c"), Err(EdgeError::TooManyTransports));
    assert_eq!(rig.edge.remove_transport(TransportId(1)), Ok(()));
    assert_eq!(rig.edge.remove_transport(TransportId(1)), Err(EdgeError::UnknownTransport));
    assert_eq!(add(&mut rig, 9, "c"), Ok(()));
    assert!(matches!(rig.check(0, 1, "a"), Got::Reply(_)));
    let unknown = TransportId(99);
    assert_eq!(rig.edge.set_remote(unknown, &remote("abcd")), Err(EdgeError::UnknownTransport));
    assert_eq!(rig.edge.set_remote(ID, &remote("abc")), Err(EdgeError::BadCredentials));
}

#[test]
fn mapped_addresses_are_answered_as_what_they_are() {
    let mut rig = Rig::new();
    let mapped =
        conclave_core::association::Path::udp(0, "[::ffff:198.51.100.7]:1".parse().unwrap());
    let mut check = Check::new("a", 1).bytes();
    rig.edge.handle_datagram(at(0), mapped, &mut check);
    assert_eq!(rig.edge.selected(at(0), ID), Some(path(1)));
    assert!(matches!(rig.check(1, 1, "a"), Got::Reply(_)));
    let attribute = &check[20..26];
    assert_eq!(attribute, [0, attribute::XOR_MAPPED_ADDRESS as u8, 0, 8, 0, 1]);
}
