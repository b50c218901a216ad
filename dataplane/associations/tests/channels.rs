//! Data channels between two of our own sides.

mod support;

use std::time::Duration;

use support::{close, open, parameters, send, Pair};

#[test]
fn either_side_opens_a_channel_on_a_stream_of_its_parity_and_both_see_it() {
    let mut pair = Pair::connected();
    pair.command_a(open(None, parameters("from client", true, None)));
    pair.command_b(open(None, parameters("from server", false, Some(0))));
    pair.run(Duration::from_secs(1));
    let expected = [
        (0, parameters("from client", true, None)),
        (1, parameters("from server", false, Some(0))),
    ];
    for side in [&pair.a, &pair.b] {
        let mut opened = side.opened();
        opened.sort_by_key(|(stream, _)| *stream);
        assert_eq!(opened, expected);
        assert_eq!(side.associations.stats().channels, 2);
        assert_eq!(side.refusals(), vec![]);
    }
    pair.command_a(send(0, b"to b"));
    pair.command_b(send(0, b"to a"));
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.b.messages(0), [b"to b"]);
    assert_eq!(pair.a.messages(0), [b"to a"]);
}

#[test]
fn a_long_message_arrives_whole() {
    let mut pair = Pair::connected();
    pair.command_a(open(Some(4), parameters("", true, None)));
    pair.run(Duration::from_millis(100));
    let long: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    pair.command_a(send(4, &long));
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.b.messages(4), [long]);
    assert!(pair.a.sent.iter().all(|datagram| datagram.len() <= 1_200));
}

#[test]
fn a_closed_stream_can_be_opened_again() {
    let mut pair = Pair::connected();
    for round in 0..3 {
        pair.command_a(open(Some(2), parameters("again", true, None)));
        pair.run(Duration::from_millis(200));
        pair.command_b(send(2, b"hello"));
        pair.command_b(close(2));
        pair.run(Duration::from_secs(2));
        assert_eq!(pair.a.messages(2).len(), round + 1);
        assert_eq!(pair.a.closed_channels().len(), round + 1);
        assert_eq!(pair.b.closed_channels().len(), round + 1);
        assert_eq!(pair.a.associations.stats().channels, 0);
    }
    assert_eq!(pair.a.refusals(), vec![]);
    assert_eq!(pair.b.refusals(), vec![]);
}
