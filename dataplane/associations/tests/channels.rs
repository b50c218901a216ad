//! Data channels between two of our own sides: opening, closing, loss, sizes.

mod support;

use std::time::Duration;

use conclave_associations::{Limits, Refusal};
use conclave_core::association::ToAssociation;
use conclave_core::command::{ChannelCommand, DtlsRole};
use conclave_core::event::Event;
use conclave_netem::{LinkConfig, Loss, MILLISECOND};
use support::{close, open, parameters, remote, send, Identity, Pair, Side, LANE, T};

const SECOND: Duration = Duration::from_secs(1);

fn lossy_pair(loss: f64, seed: u64) -> Pair {
    let side = || Side::new(Identity::ecdsa(), Limits::default());
    let link = LinkConfig::perfect(20 * MILLISECOND);
    let mut pair = Pair::new(side(), side(), &link, seed);
    pair.start(DtlsRole::Client);
    pair.run(SECOND);
    for a_to_b in [true, false] {
        pair.link_mut(a_to_b).loss = Loss::Bernoulli(loss);
    }
    pair
}

#[test]
fn either_side_opens_a_channel_on_a_stream_of_its_parity_and_both_see_it() {
    let mut pair = Pair::connected();
    pair.command_a(open(None, parameters("from client", true, None)));
    pair.command_b(open(None, parameters("from server", false, Some(0))));
    pair.command_b(open(None, parameters("again", true, Some(7))));
    pair.run(SECOND);
    let expected = [
        (0, parameters("from client", true, None)),
        (1, parameters("from server", false, Some(0))),
        (3, parameters("again", true, Some(7))),
    ];
    for side in [&pair.a, &pair.b] {
        let mut opened = side.opened();
        opened.sort_by_key(|(stream, _)| *stream);
        assert_eq!(opened, expected);
        assert_eq!(side.associations.stats().channels, 3);
        assert_eq!(side.refusals(), vec![]);
    }
    pair.command_a(send(0, b"to b"));
    pair.command_b(send(0, b"to a"));
    pair.run(SECOND);
    assert_eq!(pair.b.messages(0), [b"to b"]);
    assert_eq!(pair.a.messages(0), [b"to a"]);
}

#[test]
fn channels_asked_for_before_the_handshake_open_after_it_with_what_was_sent_meanwhile() {
    let mut pair = Pair::fresh();
    let known = [
        ToAssociation::Added { transport: T },
        ToAssociation::Remote { transport: T, remote: remote(&pair.b.identity, DtlsRole::Client) },
    ];
    for message in known {
        pair.tell_a(message);
    }
    pair.command_a(open(None, parameters("early", true, None)));
    pair.command_a(open(Some(8), parameters("changed my mind", true, None)));
    pair.command_a(close(8));
    pair.start(DtlsRole::Client);
    assert!(pair.run_until(SECOND, |pair| pair.a.keys().is_some()).is_some());
    pair.command_a(send(0, b"right behind the open"));
    pair.run(SECOND);
    assert_eq!(pair.b.opened(), [(0, parameters("early", true, None))]);
    assert_eq!(pair.b.messages(0), [b"right behind the open"]);
}

#[test]
fn an_unordered_channel_keeps_order_until_its_open_is_acknowledged() {
    let mut pair = Pair::connected();
    // The datagram with the OPEN is lost: what follows must not be delivered before its repetition.
    pair.link_mut(true).loss = Loss::Trace([true].into());
    pair.command_a(open(Some(0), parameters("unordered", false, None)));
    pair.command_a(send(0, b"behind the open"));
    pair.run(10 * SECOND);
    assert_eq!(pair.b.messages(0), [b"behind the open"]);
    assert_eq!(pair.b.refusals(), vec![]);
}

#[test]
fn negotiated_channels_need_no_words() {
    let mut pair = Pair::connected();
    for stream in [100, 101, 102] {
        let command = ChannelCommand::Open {
            transport: T,
            stream: Some(stream),
            parameters: parameters("", stream == 100, (stream != 100).then_some(0)),
            negotiated: true,
        };
        pair.command_a(command.clone());
        pair.command_b(command);
        pair.command_a(send(stream, &[stream as u8]));
    }
    pair.run(SECOND);
    for stream in [100, 101, 102] {
        assert_eq!(pair.b.messages(stream), [[stream as u8]]);
    }
    assert_eq!((pair.a.opened().len(), pair.b.opened().len()), (3, 3));
    assert_eq!(pair.b.refusals(), vec![]);
}

#[test]
fn a_long_message_arrives_whole_even_through_loss() {
    for loss in [0.0, 0.05] {
        let mut pair = lossy_pair(loss, 5);
        pair.command_a(open(Some(4), parameters("", true, None)));
        pair.run(5 * SECOND);
        let long: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        pair.command_a(send(4, &long));
        pair.command_a(send(4, b"and then"));
        let took = pair.run_until(60 * SECOND, |pair| pair.b.messages(4).len() == 2);
        assert!(took.is_some(), "loss {loss}");
        assert_eq!(pair.b.messages(4), [long.as_slice(), b"and then"]);
        assert!(pair.a.sent.iter().all(|datagram| datagram.len() <= 1_200));
    }
}

#[test]
fn a_long_message_does_not_sit_before_another_channel() {
    let mut pair = lossy_pair(0.0, 1);
    for stream in [0, 2] {
        pair.command_a(open(Some(stream), parameters("", true, None)));
    }
    pair.run(SECOND);
    for _ in 0..10 {
        pair.command_a(send(0, &vec![7; 250_000]));
    }
    pair.command_a(send(2, b"me too"));
    pair.run_until(20 * SECOND, |pair| !pair.b.messages(2).is_empty()).expect("arrives");
    assert!(pair.b.messages(0).len() <= 1, "{}", pair.b.messages(0).len());
}

#[test]
fn lossy_messages_arrive_once_or_never_and_reliable_ones_in_order_beside_them() {
    let mut pair = lossy_pair(0.05, 11);
    pair.command_a(open(Some(0), parameters("lossy", false, Some(0))));
    pair.command_a(open(Some(2), parameters("reliable", true, None)));
    pair.run(5 * SECOND);
    for number in 0..1_000u32 {
        pair.command_a(send(0, &number.to_be_bytes()));
        if number % 10 == 0 {
            pair.command_a(send(2, &number.to_be_bytes()));
        }
        pair.run(Duration::from_millis(1));
    }
    pair.run(20 * SECOND);
    let numbers = |stream| -> Vec<u32> {
        let number = |data: &&[u8]| u32::from_be_bytes((*data).try_into().expect("four bytes"));
        pair.b.messages(stream).iter().map(number).collect()
    };
    assert_eq!(numbers(2), (0..100).map(|n| n * 10).collect::<Vec<_>>());
    let mut lossy = numbers(0);
    let arrived = lossy.len();
    lossy.sort_unstable();
    lossy.dedup();
    assert_eq!(lossy.len(), arrived, "none twice");
    assert!((800..1_000).contains(&arrived), "{arrived}");
    assert_eq!((pair.a.refusals(), pair.b.refusals()), (vec![], vec![]));
}

#[test]
fn a_closed_stream_delivers_what_was_sent_and_can_be_opened_again() {
    for loss in [0.0, 0.1] {
        let mut pair = lossy_pair(loss, 3);
        for round in 1..=3 {
            pair.command_a(open(Some(2), parameters("again", true, None)));
            pair.run(10 * SECOND);
            pair.command_b(send(2, &[round as u8; 5_000]));
            pair.command_b(close(2));
            pair.command_b(close(2));
            pair.run(20 * SECOND);
            assert_eq!(pair.a.messages(2).len(), round, "loss {loss}");
            assert_eq!(pair.a.closed_channels(), vec![2; round]);
            assert_eq!(pair.b.closed_channels(), vec![2; round]);
            assert_eq!(pair.a.associations.stats().channels, 0);
            assert_eq!(pair.b.associations.stats().channels, 0);
        }
        assert_eq!((pair.a.refusals(), pair.b.refusals()), (vec![], vec![]));
    }
}

#[test]
fn empty_and_text_messages_keep_their_kind() {
    let mut pair = Pair::connected();
    pair.command_a(open(Some(0), parameters("", true, None)));
    pair.run(SECOND);
    for (data, binary) in [("", true), ("", false), ("grüß", false), ("x", true)] {
        let data = data.as_bytes().to_vec();
        pair.command_a(ChannelCommand::Send { to: vec![(T, 0)], data, binary });
    }
    pair.run(SECOND);
    let kinds: Vec<(&[u8], bool)> = pair
        .b
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Message { data, binary, .. } => Some((data.as_slice(), *binary)),
            _ => None,
        })
        .collect();
    let text = "grüß".as_bytes();
    assert_eq!(kinds, [(&b""[..], true), (b"", false), (text, false), (b"x", true)]);
}

#[test]
fn a_message_longer_than_the_peer_takes_is_refused_here() {
    for (announced, fits) in [(1_000, 1_000), (0, 262_144), (u32::MAX, 262_144)] {
        let mut pair = Pair::fresh();
        let mut for_a = remote(&pair.b.identity, DtlsRole::Client);
        for_a.sctp = Some((5_000, announced));
        let for_b = remote(&pair.a.identity, DtlsRole::Server);
        pair.start_with(for_a, for_b);
        pair.run(SECOND);
        pair.command_a(open(Some(0), parameters("", true, None)));
        pair.command_a(send(0, &vec![1; fits + 1]));
        pair.command_a(send(0, &vec![1; fits]));
        pair.run(5 * SECOND);
        assert_eq!(pair.b.messages(0), [vec![1; fits]]);
        assert_eq!(pair.a.refusals(), [(Refusal::SendTooLarge, 1)]);
    }
}

#[test]
fn sctp_starts_only_where_it_was_negotiated_and_as_soon_as_it_is() {
    let mut pair = Pair::fresh();
    let for_a = remote(&pair.b.identity, DtlsRole::Client);
    let full = remote(&pair.a.identity, DtlsRole::Server);
    let mut bare = full.clone();
    bare.sctp = None;
    pair.start_with(for_a, bare);
    pair.run(2 * SECOND);
    assert!(pair.b.refused(Refusal::SctpNotNegotiated) > 0, "the peer's INIT meets nobody");
    let before = pair.b.refused(Refusal::SctpNotNegotiated);
    pair.command_b(open(None, parameters("", true, None)));
    pair.command_b(send(1, b""));
    pair.command_b(close(1));
    assert_eq!(pair.b.refused(Refusal::SctpNotNegotiated), before + 3);
    pair.tell_b(ToAssociation::Remote { transport: T, remote: full });
    pair.command_b(open(None, parameters("late", true, None)));
    pair.run(5 * SECOND);
    assert_eq!(pair.a.opened(), [(1, parameters("late", true, None))]);
}

#[test]
fn channels_that_cannot_be_are_refused_by_name() {
    let mut pair = Pair::connected();
    let long = "x".repeat(257);
    pair.command_a(open(None, parameters(&long, true, None)));
    pair.command_a(open(Some(65_535), parameters("", true, None)));
    pair.command_a(ChannelCommand::Open {
        transport: T,
        stream: None,
        parameters: parameters("", true, None),
        negotiated: true,
    });
    assert_eq!(pair.a.refusals(), [(Refusal::OpenInvalid, 3)]);
    pair.command_a(open(Some(0), parameters("", true, None)));
    pair.command_a(open(Some(0), parameters("", true, None)));
    assert_eq!(pair.a.refused(Refusal::OpenStreamInUse), 1);
    pair.command_a(send(9, b"nobody"));
    pair.command_a(close(9));
    assert_eq!(pair.a.refused(Refusal::SendChannelUnknown), 2);
    for _ in 0..70 {
        pair.command_a(open(None, parameters("", true, None)));
    }
    assert_eq!(pair.a.refused(Refusal::ChannelLimit), 7);
    let mut early = Pair::fresh();
    early.tell_a(ToAssociation::Added { transport: T });
    early.command_a(send(0, b"too early"));
    for _ in 0..70 {
        early.command_a(open(None, parameters("", true, None)));
    }
    assert_eq!(early.a.refused(Refusal::SendChannelUnknown), 1);
    assert_eq!(early.a.refused(Refusal::ChannelLimit), 6);
}

#[test]
fn a_description_that_changes_the_certificate_ends_an_established_association() {
    let mut pair = Pair::connected();
    let other = remote(&Identity::ecdsa(), DtlsRole::Client);
    pair.tell_a(ToAssociation::Remote {
        transport: T,
        remote: remote(&pair.b.identity, DtlsRole::Client),
    });
    assert_eq!(pair.a.closed(), vec![], "the same again changes nothing");
    pair.a.associations.handle_lane(
        pair.now,
        LANE,
        ToAssociation::Remote { transport: T, remote: other },
    );
    pair.exchange();
    pair.run(SECOND);
    assert_eq!(pair.a.closed(), [conclave_core::event::CloseReason::FingerprintMismatch]);
    assert_eq!(pair.b.closed(), [conclave_core::event::CloseReason::PeerClosed]);
}
