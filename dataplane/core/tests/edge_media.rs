//! Media at the edge: only authenticated packets from validated addresses come out, and only to those
//! anything goes; early packets, repetitions, moves of the peer.

mod edge_support;

use conclave_core::association::ToAssociation;
use conclave_core::drop::DropReason;
use conclave_core::edge::{EdgeError, EdgeEvent};
use conclave_core::event::{Event, SrtpProfile};
use conclave_core::ids::TransportId;
use conclave_core::stats::Flow;
use edge_support::*;

fn moved(port: u16) -> [EdgeEvent; 2] {
    [
        EdgeEvent::Event(Event::TransportMoved { transport: ID }),
        EdgeEvent::Association(ToAssociation::Selected { transport: ID, path: path(port) }),
    ]
}

#[test]
fn authenticated_packets_come_out_as_they_were_sent() {
    let (mut rig, mut media) = Rig::connected();
    let packet = media.rtp(5, 1, b"payload");
    assert_eq!(rig.receive(1, path(1), &packet), Got::Rtp(rtp(5, 1, b"payload")));
    let report = media.rtcp(5);
    assert_eq!(rig.receive(1, path(1), &report), Got::Rtcp(rtcp(5)));
    assert_eq!(rig.receive(1, path(1), &dtls_record()), Got::Dtls(dtls_record()));
    assert_eq!(rig.drops(), []);
    assert_eq!(rig.events(), []);
}

#[test]
fn what_we_seal_the_peer_opens() {
    let (mut rig, mut media) = Rig::connected();
    let plain = rtp(77, 500, b"to the peer");
    let mut buf = [plain.clone(), vec![0; 16]].concat();
    let (to, len) = rig.edge.seal_rtp(at(1), ID, &mut buf, plain.len()).unwrap();
    assert_eq!((to, len), (path(1), plain.len() + 16));
    let opened = media.inbound.open_rtp(at(1), &mut buf[..len]).unwrap();
    assert_eq!(buf[..opened.len], plain);
    let mut buf = [rtcp(77), vec![0; 20]].concat();
    let (_, len) = rig.edge.seal_rtcp(at(1), ID, &mut buf, 8).unwrap();
    assert_eq!(media.inbound.open_rtcp(at(1), &mut buf[..len]), Ok(8));
}

#[test]
fn nothing_but_a_check_is_heard_from_an_unvalidated_address() {
    let (mut rig, mut media) = Rig::connected();
    let datagrams = [media.rtp(5, 1, b"x"), media.rtcp(5), dtls_record()];
    let other_socket = conclave_core::association::Path { socket: 1, ..path(1) };
    for datagram in &datagrams {
        for from in [path(2), other_socket] {
            let got = rig.receive(1, from, datagram);
            assert_eq!(got, Got::Dropped(DropReason::UnvalidatedAddress));
        }
    }
    assert_eq!(rig.drops(), [(DropReason::UnvalidatedAddress, 6)]);
    assert_eq!(rig.edge.ssrcs(ID), 0);
    assert_eq!(rig.receive(1, path(1), &datagrams[0]), Got::Rtp(rtp(5, 1, b"x")));
}

#[test]
fn nothing_is_sent_before_a_check_and_the_keys() {
    let mut rig = Rig::new();
    let _media = rig.connect();
    assert_eq!(rig.send(0), Err(DropReason::LegNotReady));
    assert_eq!(rig.send_report(0), Err(DropReason::LegNotReady));
    assert!(matches!(rig.check(1, 1, "a"), Got::Reply(_)));
    assert_eq!(rig.send(1), Ok(path(1)));
    let mut rig = Rig::validated();
    assert_eq!(rig.send(1), Err(DropReason::LegNotReady));
}

#[test]
fn packets_before_the_keys_are_held_for_a_moment_and_then_handled_in_order() {
    let mut rig = Rig::validated();
    let (mut media, packets) = early_packets(10);
    for (number, packet) in packets.iter().enumerate() {
        let got = rig.receive(number as u64, path(1), packet);
        let expected =
            if number < 8 { Got::Held } else { Got::Dropped(DropReason::SrtpBeforeKeys) };
        assert_eq!(got, expected);
    }
    media.outbound = rig.connect().outbound;
    let mut sequence = Vec::new();
    while let Some(held) = rig.edge.take_held(at(400), ID) {
        assert_eq!(held.arrival, at(sequence.len() as u64));
        let Got::Rtp(packet) = rig.receive(400, held.path, &held.data) else { panic!("not media") };
        sequence.push(packet[3]);
    }
    assert_eq!(sequence, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(rig.drops(), [(DropReason::SrtpBeforeKeys, 2)]);
}

#[test]
fn packets_held_for_half_a_second_are_dropped_and_counted() {
    let mut rig = Rig::validated();
    let (_, packets) = early_packets(3);
    rig.receive(0, path(1), &packets[0]);
    rig.receive(100, path(1), &packets[1]);
    assert_eq!(rig.edge.poll_timeout(), Some(at(500)));
    rig.pass_time(599);
    assert_eq!(rig.drops(), [(DropReason::SrtpBeforeKeys, 1)]);
    rig.receive(599, path(1), &packets[2]);
    rig.connect();
    // Asked late, with no time-out in between.
    assert_eq!(rig.edge.take_held(at(600), ID).unwrap().data, packets[2]);
    assert_eq!(rig.edge.take_held(at(600), ID), None);
    assert_eq!(rig.drops(), [(DropReason::SrtpBeforeKeys, 2)]);
}

#[test]
fn removing_a_transport_counts_what_it_held() {
    let mut rig = Rig::validated();
    let (_, packets) = early_packets(2);
    for packet in &packets {
        rig.receive(0, path(1), packet);
    }
    rig.edge.remove_transport(ID).unwrap();
    assert_eq!(rig.drops(), [(DropReason::SrtpBeforeKeys, 2)]);
}

/// Packets of the session that [`Rig::connect`] sets up, sealed before it is.
fn early_packets(count: u16) -> (Media, Vec<Vec<u8>>) {
    let (_, mut media) = Rig::connected();
    let packets = (0..count).map(|seq| media.rtp(5, seq, b"early")).collect();
    (media, packets)
}

#[test]
fn every_refusal_of_srtp_is_counted_under_its_name() {
    let (mut rig, mut media) = Rig::connected();
    let drop = |rig: &mut Rig, packet: &[u8], reason| {
        let before = rig.edge.drops().get(reason);
        assert_eq!(rig.receive(1, path(1), packet), Got::Dropped(reason));
        assert_eq!(rig.edge.drops().get(reason), before + 1);
    };
    drop(&mut rig, &rtp(5, 1, b"0123456789"), DropReason::SrtpShort);
    drop(&mut rig, &rtp(5, 1, &[0; 40]), DropReason::SrtpAuth);
    drop(&mut rig, &rtcp(5), DropReason::SrtpShort);
    drop(&mut rig, &[rtcp(5), vec![0; 40]].concat(), DropReason::SrtcpPlain);
    drop(&mut rig, &[rtcp(5), vec![0xFF; 40]].concat(), DropReason::SrtcpAuth);
    let report = media.rtcp(5);
    assert_eq!(rig.receive(1, path(1), &report), Got::Rtcp(rtcp(5)));
    drop(&mut rig, &report, DropReason::SrtcpReplay);
    let old = media.rtp(5, 1, b"");
    rig.receive(1, path(1), &media.rtp(5, 5_000, b""));
    drop(&mut rig, &old, DropReason::SrtpTooOld);
    for ssrc in 6..37 {
        assert!(matches!(rig.receive(1, path(1), &media.rtp(ssrc, 1, b"")), Got::Rtp(_)));
    }
    drop(&mut rig, &media.rtp(37, 1, b""), DropReason::SsrcRate);
    let repeated = media.rtp(5, 5_001, b"");
    assert_eq!(rig.receive(1, path(1), &repeated), Got::Rtp(rtp(5, 5_001, b"")));
    for _ in 0..64 {
        assert_eq!(rig.receive(1, path(1), &repeated), Got::Duplicate(rtp(5, 5_001, b"")));
    }
    drop(&mut rig, &repeated, DropReason::SrtpReplay);
}

#[test]
fn the_cap_on_ssrcs_counts_and_spares_those_that_are_forwarded() {
    let (mut rig, mut media) = Rig::connected();
    for ssrc in 0..128 {
        let ms = u64::from(ssrc) * 50;
        rig.check(ms, 1, "a");
        assert!(matches!(rig.receive(ms, path(1), &media.rtp(ssrc, 1, b"")), Got::Rtp(_)));
        assert!(rig.edge.pin_ssrc(ID, ssrc));
    }
    let got = rig.receive(7_000, path(1), &media.rtp(500, 1, b""));
    assert_eq!(got, Got::Dropped(DropReason::SsrcCap));
    assert_eq!(rig.drops(), [(DropReason::SsrcCap, 1)]);
    assert!(!rig.edge.pin_ssrc(ID, 500) && !rig.edge.pin_ssrc(TransportId(1), 5));
}

#[test]
fn sealing_refuses_a_number_twice_and_a_packet_without_room() {
    let (mut rig, _media) = Rig::connected();
    let mut seal = |seq| {
        let mut buf = rtp(77, seq, &[0; 40]);
        rig.edge.seal_rtp(at(1), ID, &mut buf, 36).map(|(_, len)| len)
    };
    assert_eq!(seal(1), Ok(52));
    assert_eq!(seal(1), Err(DropReason::SealReuse));
    let mut short = rtp(77, 2, &[0; 15]);
    let refused = rig.edge.seal_rtp(at(1), ID, &mut short, 12);
    assert_eq!(refused, Err(DropReason::SealInvalid));
    assert_eq!(rig.edge.seal_rtcp(at(1), ID, &mut [0; 27], 8), Err(DropReason::SealInvalid));
}

#[test]
fn the_same_keys_cannot_start_over() {
    let (mut rig, _media) = Rig::connected();
    let install = |rig: &mut Rig, ours, theirs| {
        let profile = SrtpProfile::AeadAes128Gcm;
        rig.edge.install_keys(ID, profile, &master(ours), &master(theirs))
    };
    assert_eq!(install(&mut rig, 1, 9), Err(EdgeError::KeysInUse));
    assert_eq!(install(&mut rig, 3, 4), Ok(()));
    let profile = SrtpProfile::AeadAes256Gcm;
    let wrong = rig.edge.install_keys(ID, profile, &master(5), &master(6));
    assert_eq!(wrong, Err(EdgeError::BadKeys));
}

#[test]
fn only_authentic_and_new_media_move_the_path_to_an_address_that_was_checked_in_the_silence() {
    let (mut rig, mut media) = Rig::connected();
    let known = media.rtp(5, 1, b"heard");
    rig.receive(1_000, path(1), &known);
    rig.check(1_200, 2, "a");
    rig.events();
    let mut forged = media.rtp(5, 2, b"forged");
    *forged.last_mut().unwrap() ^= 1;
    for stray in [known, forged, dtls_record()] {
        assert!(!matches!(rig.receive(1_210, path(2), &stray), Got::Rtp(_)));
        assert_eq!(rig.send(1_210), Ok(path(1)));
    }
    let stranger = media.rtp(5, 3, b"elsewhere");
    let dropped = Got::Dropped(DropReason::UnvalidatedAddress);
    assert_eq!(rig.receive(1_220, path(3), &stranger), dropped);
    assert_eq!(rig.send(1_220), Ok(path(1)));
    assert!(matches!(rig.receive(1_230, path(2), &media.rtp(5, 4, b"moved")), Got::Rtp(_)));
    assert_eq!(rig.send(1_230), Ok(path(2)));
}

#[test]
fn media_from_a_validated_address_moves_the_path_once_the_selected_one_is_silent() {
    let (mut rig, mut media) = Rig::connected();
    rig.nominate(0, 1, "a");
    rig.check(1_000, 2, "a");
    rig.receive(1_500, path(1), &media.rtcp(5));
    let got = rig.receive(3_999, path(2), &media.rtp(5, 1, b"x"));
    assert_eq!(got, Got::Rtp(rtp(5, 1, b"x")));
    assert_eq!(rig.events(), []);
    rig.receive(4_000, path(2), &rtp(5, 2, &[0; 40]));
    assert_eq!(rig.events(), []);
    rig.receive(4_000, path(2), &media.rtp(5, 2, b"x"));
    assert_eq!(rig.events(), moved(2));
    assert_eq!(rig.send(4_000), Ok(path(2)));
}

#[test]
fn a_repetition_does_not_move_the_path() {
    let (mut rig, mut media) = Rig::connected();
    rig.check(0, 2, "a");
    let packet = media.rtp(5, 1, b"x");
    rig.receive(0, path(1), &packet);
    assert!(matches!(rig.receive(4_000, path(2), &packet), Got::Duplicate(_)));
    assert_eq!(rig.send(4_000), Ok(path(1)));
}

#[test]
fn a_nomination_moves_the_path_at_once() {
    let (mut rig, _media) = Rig::connected();
    rig.nominate(0, 1, "a");
    rig.nominate(100, 2, "a");
    assert_eq!(rig.events(), moved(2));
    assert_eq!(rig.send(100), Ok(path(2)));
}

#[test]
fn a_ninth_address_displaces_the_oldest_and_is_counted() {
    let (mut rig, mut media) = Rig::connected();
    for port in 2..=9 {
        assert!(matches!(rig.check(u64::from(port), port, "a"), Got::Reply(_)));
    }
    assert_eq!(rig.drops(), [(DropReason::TupleCap, 1)]);
    let got = rig.receive(10, path(2), &media.rtcp(5));
    assert_eq!(got, Got::Dropped(DropReason::UnvalidatedAddress));
    assert!(matches!(rig.receive(10, path(9), &media.rtcp(5)), Got::Rtcp(_)));
    assert_eq!(rig.send(10), Ok(path(1)));
}

#[test]
fn transports_do_not_share_ssrcs_or_keys() {
    let (mut rig, mut media) = Rig::connected();
    let other = TransportId(8);
    rig.edge.add_transport(other, &credentials("b")).unwrap();
    rig.check(0, 2, "b");
    let profile = SrtpProfile::AeadAes128Gcm;
    rig.edge.install_keys(other, profile, &master(11), &master(12)).unwrap();
    let packet = media.rtp(5, 1, b"x");
    assert_eq!(rig.receive(1, path(2), &packet), Got::Dropped(DropReason::SrtpAuth));
    assert_eq!(rig.edge.ssrcs(other), 0);
    assert!(matches!(rig.receive(1, path(1), &packet), Got::Rtp(_)));
}

#[test]
fn what_a_transport_received_and_sent_is_counted() {
    let (mut rig, mut media) = Rig::connected();
    let check = Check::new("a", 1_000_001).bytes().len() as u64;
    let packet = media.rtp(5, 1, b"x");
    rig.receive(1, path(1), &packet);
    rig.receive(1, path(1), &rtp(5, 2, &[0; 40]));
    rig.receive(1, path(1), &dtls_record());
    rig.send(1).expect("connected");
    let stats: Vec<_> = rig.edge.transport_stats().collect();
    assert_eq!(stats.len(), 1);
    assert_eq!(stats[0].transport, ID);
    let bytes = check + packet.len() as u64 + dtls_record().len() as u64;
    assert_eq!(stats[0].received, Flow { packets: 3, bytes });
    assert_eq!(stats[0].sent, Flow { packets: 1, bytes: 12 + 24 + 16 });
}
