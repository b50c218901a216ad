//! When things happen: retransmission, deadlines, slots, paths that come late or fall silent.

mod support;

use std::time::Duration;

use conclave_associations::{Associations, Limits, Refusal};
use conclave_core::association::{FromAssociation, ToAssociation};
use conclave_core::command::DtlsRole;
use conclave_core::event::CloseReason;
use conclave_core::ids::TransportId;
use conclave_core::time::Time;
use support::{open, parameters, path, remote, send, Identity, Pair, Side, LANE, T};

fn begin(associations: &mut Associations, now: Time, transport: TransportId, role: DtlsRole) {
    for message in [
        ToAssociation::Added { transport },
        ToAssociation::Remote { transport, remote: remote(&Identity::ecdsa(), role) },
        ToAssociation::Selected { transport, path: path() },
    ] {
        associations.handle_lane(now, LANE, message);
    }
}

fn transmits(associations: &mut Associations) -> Vec<TransportId> {
    std::iter::from_fn(|| associations.poll_transmit()).map(|t| t.transport).collect()
}

#[test]
fn a_flight_is_repeated_after_200_ms_doubling_to_a_second_until_the_deadline() {
    let mut side = Side::new(Identity::ecdsa(), Limits::default());
    let start = Time::from_millis(500);
    begin(&mut side.associations, start, T, DtlsRole::Client);
    let (mut now, mut sent) = (start, vec![]);
    loop {
        sent.extend(side.collect().iter().map(|_| now.since(start).as_millis()));
        let Some(next) = side.associations.poll_timeout() else { break };
        now = next;
        side.associations.handle_timeout(now);
    }
    let mut expected = vec![0, 200, 600, 1_400];
    expected.extend((0..9).map(|n| 2_400 + n * 1_000));
    assert_eq!(sent, expected);
    assert_eq!(now.since(start), Duration::from_secs(30));
    assert_eq!(side.closed(), [CloseReason::HandshakeFailed]);
    assert_eq!(side.refusals(), [(Refusal::DtlsTimeout, 1)]);
    assert_eq!(side.associations.stats().retransmissions, 12);
    assert_eq!(side.associations.stats().handshaking, 0);
}

#[test]
fn a_server_that_hears_nothing_gives_up_at_the_deadline() {
    let limits = Limits { handshake_deadline: Duration::from_secs(7), ..Limits::default() };
    let mut side = Side::new(Identity::ecdsa(), limits);
    begin(&mut side.associations, Time::default(), T, DtlsRole::Server);
    assert_eq!(side.associations.poll_timeout(), Some(Time::from_millis(7_000)));
    side.associations.handle_timeout(Time::from_millis(6_999));
    side.collect();
    assert_eq!(side.closed(), vec![]);
    side.associations.handle_timeout(Time::from_millis(7_000));
    side.collect();
    assert_eq!(side.closed(), [CloseReason::HandshakeFailed]);
}

#[test]
fn clients_wait_for_a_slot_in_order_and_servers_let_the_peer_try_again() {
    let limits = Limits { handshakes: 1, ..Limits::default() };
    let mut side = Side::new(Identity::ecdsa(), limits);
    let now = Time::default();
    for id in 1..=3 {
        begin(&mut side.associations, now, TransportId(id), DtlsRole::Client);
    }
    begin(&mut side.associations, now, TransportId(9), DtlsRole::Server);
    assert_eq!(transmits(&mut side.associations), [TransportId(1)]);
    assert_eq!(side.associations.stats().handshaking, 1);

    let mut client = Side::new(Identity::ecdsa(), Limits::default());
    begin(&mut client.associations, now, T, DtlsRole::Client);
    let hello = client.collect().remove(0).datagram;
    let message = ToAssociation::Datagram { transport: TransportId(9), data: hello };
    side.associations.handle_lane(now, LANE, message.clone());
    assert_eq!(side.refusals(), [(Refusal::DtlsHandshakeLimit, 1)]);

    for id in 1..=3 {
        let message = ToAssociation::Removed { transport: TransportId(id) };
        side.associations.handle_lane(now, LANE, message);
        let expected = if id < 3 { vec![TransportId(id + 1)] } else { vec![] };
        assert_eq!(transmits(&mut side.associations), expected);
    }
    side.associations.handle_lane(now, LANE, message);
    assert!(transmits(&mut side.associations).contains(&TransportId(9)));
}

#[test]
fn a_hello_before_description_or_path_is_kept_and_answered_at_once() {
    for path_first in [true, false] {
        let mut pair = Pair::fresh();
        let for_a = remote(&pair.b.identity, DtlsRole::Client);
        let known = ToAssociation::Remote {
            transport: T,
            remote: remote(&pair.a.identity, DtlsRole::Server),
        };
        let selected = ToAssociation::Selected { transport: T, path: path() };
        let (first, second) = if path_first { (selected, known) } else { (known, selected) };
        for message in [
            ToAssociation::Added { transport: T },
            ToAssociation::Remote { transport: T, remote: for_a },
            ToAssociation::Selected { transport: T, path: path() },
        ] {
            pair.tell_a(message);
        }
        pair.tell_b(ToAssociation::Added { transport: T });
        pair.tell_b(first);
        pair.run(Duration::from_millis(100));
        assert_eq!(pair.b.sent.len(), 0);
        pair.tell_b(second);
        pair.run(Duration::from_millis(90));
        assert!(pair.a.keys().is_some() && pair.b.keys().is_some());
        assert_eq!(pair.a.associations.stats().retransmissions, 0);
        assert_eq!(pair.b.refusals(), vec![]);
    }
}

#[test]
fn no_more_than_four_datagrams_are_kept_for_a_stranger() {
    let mut pair = Pair::fresh();
    pair.tell_b(ToAssociation::Added { transport: T });
    for _ in 0..10 {
        pair.inject_b(vec![22; 100]);
    }
    assert_eq!(pair.b.refusals(), [(Refusal::DtlsQueueFull, 6)]);
}

#[test]
fn a_peer_described_as_server_that_says_hello_first_is_not_answered_as_such() {
    let mut pair = Pair::fresh();
    let for_a = remote(&pair.b.identity, DtlsRole::Client);
    let for_b = remote(&pair.a.identity, DtlsRole::Client);
    pair.start_with(for_a, for_b);
    pair.run(Duration::from_secs(40));
    for side in [&pair.a, &pair.b] {
        assert!(side.refused(Refusal::DtlsUnexpectedMessage) > 0);
        assert_eq!(side.closed(), [CloseReason::HandshakeFailed]);
    }
}

#[test]
fn a_silent_path_costs_no_try_and_the_next_one_starts_at_once() {
    let mut side = Side::new(Identity::ecdsa(), Limits::default());
    begin(&mut side.associations, Time::default(), T, DtlsRole::Client);
    assert_eq!(side.collect().len(), 1);
    let silenced = ToAssociation::Silenced { transport: T };
    side.associations.handle_lane(Time::from_millis(10), LANE, silenced);
    side.associations.handle_timeout(Time::from_millis(5_000));
    assert_eq!(side.collect().len(), 0);
    assert_eq!(side.associations.poll_timeout(), Some(Time::from_millis(30_000)));
    let now = Time::from_millis(6_000);
    let selected = ToAssociation::Selected { transport: T, path: path() };
    side.associations.handle_lane(now, LANE, selected);
    assert_eq!(side.associations.poll_timeout(), Some(now));
    side.associations.handle_timeout(now);
    assert_eq!(side.collect().len(), 1);
    assert_eq!(side.associations.stats().retransmissions, 1);
}

#[test]
fn what_is_sent_into_silence_is_counted_and_arrives_after_it() {
    let mut pair = Pair::connected();
    pair.command_a(open(Some(0), parameters("", true, None)));
    pair.run(Duration::from_secs(1));
    pair.tell_a(ToAssociation::Silenced { transport: T });
    let before = pair.a.sent.len();
    pair.command_a(send(0, b"later"));
    pair.run(Duration::from_secs(40));
    assert_eq!(pair.a.sent.len(), before);
    assert!(pair.a.refused(Refusal::PathSilenced) > 0);
    pair.tell_a(ToAssociation::Selected { transport: T, path: path() });
    // The longest wait before a repetition is three seconds.
    pair.run(Duration::from_millis(3_100));
    assert_eq!(pair.b.messages(0), [b"later"]);
}

#[test]
fn unknown_doubled_and_surplus_transports_are_refused_by_name() {
    let limits = Limits { associations: 1, ..Limits::default() };
    let mut side = Side::new(Identity::ecdsa(), limits);
    let now = Time::default();
    let added = |id| ToAssociation::Added { transport: TransportId(id) };
    side.associations.handle_lane(now, LANE, ToAssociation::Silenced { transport: TransportId(1) });
    side.associations.handle_lane(now, LANE, added(1));
    side.associations.handle_lane(now, LANE, added(1));
    side.associations.handle_lane(now, LANE, added(2));
    side.associations.handle_command(now, open(None, parameters("", true, None)));
    side.collect();
    assert_eq!(
        side.refusals(),
        [
            (Refusal::UnknownTransport, 2),
            (Refusal::DuplicateTransport, 1),
            (Refusal::AssociationLimit, 1)
        ]
    );
    let (transport, reason) = (TransportId(2), CloseReason::HandshakeFailed);
    assert_eq!(side.lanes, [(LANE, FromAssociation::Closed { transport, reason })]);
    assert_eq!(side.associations.stats().associations, 1);
}
