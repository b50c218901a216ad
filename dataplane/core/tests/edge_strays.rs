//! Stray, damaged and hostile datagrams: nothing panics, nothing changes, everything is counted.

mod edge_support;

use std::time::Duration;

use conclave_core::drop::DropReason;
use conclave_core::edge::{Edge, EdgeConfig, Received};
use conclave_core::event::CloseReason;
use edge_support::*;
use proptest::prelude::*;

/// A transport in each state it can be in, at two seconds.
fn states() -> Vec<(&'static str, Rig)> {
    let mut held = Rig::validated();
    held.receive(1_900, path(1), &rtp(5, 1, &[0; 30]));
    let mut restarted = Rig::connected().0;
    restarted.edge.restart_ice(at(1_000), ID, &credentials("a2")).expect("it exists");
    let mut closed = Rig::connected().0;
    closed.edge.close(at(1_000), ID, CloseReason::PeerClosed).expect("it exists");
    vec![
        ("new", Rig::new()),
        ("validated", Rig::validated()),
        ("holding", held),
        ("connected", Rig::connected().0),
        ("restarted", restarted),
        ("closed", closed),
    ]
}

/// All that a stray datagram must not change.
fn observe(rig: &mut Rig) -> (usize, bool, Option<conclave_core::association::Path>, usize) {
    let quiet = rig.events().is_empty();
    (rig.edge.len(), quiet, rig.edge.selected(at(2_000), ID), rig.edge.ssrcs(ID))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_bytes_change_no_state_and_are_counted_once(
        first in prop_oneof![0u8..4, 20u8..64, 128u8..192, any::<u8>()],
        rest in proptest::collection::vec(any::<u8>(), 0..120),
        port in 1u16..3,
    ) {
        let datagram = [vec![first], rest].concat();
        for (name, mut rig) in states() {
            rig.events();
            let before = observe(&mut rig);
            let counted: u64 = rig.drops().iter().map(|(_, count)| count).sum();
            let got = rig.receive(2_000, path(port), &datagram);
            let now: u64 = rig.drops().iter().map(|(_, count)| count).sum();
            match got {
                Got::Dropped(_) => prop_assert_eq!(now, counted + 1),
                Got::Held => prop_assert!(name == "validated" || name == "holding"),
                Got::Dtls(_) => prop_assert!(port == 1 && name != "closed"),
                other => prop_assert!(false, "{}: {:?}", name, other),
            }
            prop_assert_eq!(observe(&mut rig), before, "{}", name);
        }
    }

    #[test]
    fn damaged_checks_and_packets_never_pass(
        at_byte in 0usize..1_000,
        flip in 1u8..=255,
        cut in 0usize..1_000,
    ) {
        let (_, mut media) = Rig::connected();
        let genuine = [Check::flagged("a", 9).bytes(), media.rtp(5, 1, b"payload"), media.rtcp(5)];
        for whole in genuine {
            let mut bad = whole.clone();
            let len = bad.len();
            bad[at_byte % len] ^= flip;
            let mut short = whole;
            short.truncate(cut % len);
            for datagram in [bad, short] {
                for (name, mut rig) in states() {
                    rig.events();
                    let before = observe(&mut rig);
                    let got = rig.receive(2_000, path(1), &datagram);
                    let passed = matches!(got, Got::Rtp(_) | Got::Rtcp(_) | Got::Duplicate(_));
                    prop_assert!(!passed, "{}: {:?}", name, got);
                    prop_assert_eq!(observe(&mut rig), before, "{}", name);
                }
            }
        }
    }
}

#[test]
fn every_first_byte_at_every_short_length_is_counted_and_forwards_nothing() {
    let (mut rig, _media) = Rig::connected();
    let mut counted = 0;
    for first in 0..=255u8 {
        for len in 0..=20usize {
            let mut datagram = vec![0u8; len];
            if let Some(byte) = datagram.first_mut() {
                *byte = first;
            }
            match rig.receive(1, path(1), &datagram) {
                Got::Dropped(_) => counted += 1,
                // Records of DTLS 1.3 need no version.
                Got::Dtls(_) => assert!((32..64).contains(&first) && len >= 13),
                other => panic!("{first} {len}: {other:?}"),
            }
        }
    }
    let total: u64 = rig.drops().iter().map(|(_, count)| count).sum();
    assert_eq!(total, counted);
}

#[test]
fn every_refusal_of_the_demultiplexer_is_counted_under_its_name() {
    for (datagram, reason) in [
        (vec![], DropReason::DemuxEmpty),
        (vec![0; 19], DropReason::DemuxShort),
        (vec![0x80; 2_049], DropReason::DemuxTooLong),
        (vec![5; 20], DropReason::DemuxUnknown),
        (vec![70; 20], DropReason::DemuxUnsupported),
        (vec![0; 20], DropReason::DemuxBadStun),
        (vec![22; 20], DropReason::DemuxBadDtls),
    ] {
        let mut rig = Rig::validated();
        assert_eq!(rig.receive(0, path(1), &datagram), Got::Dropped(reason));
        assert_eq!(rig.drops(), [(reason, 1)]);
    }
}

#[test]
fn a_flood_of_forged_sources_does_not_keep_a_peer_out() {
    let mut rig = Rig::new();
    let forged = Check::new("nobody", 1).bytes();
    for source in 0..50_000u32 {
        let ip = std::net::Ipv4Addr::from_bits(0x0A00_0000 + source);
        let from = conclave_core::association::Path::udp(0, (ip, 1).into());
        let mut buf = forged.clone();
        rig.edge.handle_datagram(at(1), from, &mut buf);
    }
    assert!(matches!(rig.check(1, 1, "a"), Got::Reply(_)));
}

#[test]
fn equal_input_gives_equal_output() {
    let run = |seed| {
        let config = EdgeConfig { seed, consent: Duration::from_secs(30), max_transports: 4 };
        let mut edge = Edge::new(config);
        edge.add_transport(ID, &credentials("a")).unwrap();
        let mut output = Vec::new();
        for number in 0..50u16 {
            let mut check = Check::new("a", number.into()).bytes();
            let received = edge.handle_datagram(at(number.into()), path(number % 12), &mut check);
            if let Received::Reply { bytes, .. } = received {
                output.push(bytes.to_vec());
            }
        }
        (output, std::iter::from_fn(|| edge.poll_event()).collect::<Vec<_>>())
    };
    // The seed keys the tables only: nobody sees it.
    assert_eq!(run(1), run(2));
}
