//! What a validated path may carry beside the honest peer's datagrams: junk, forgeries, replays, silence.

mod support;

use std::time::Duration;

use conclave_associations::Refusal;
use conclave_core::association::ToAssociation;
use conclave_core::command::DtlsRole;
use conclave_core::event::CloseReason;
use support::{close, fragment, open, parameters, record, send, Identity, Pair, T};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// Forgeries in plain text that a library alone would take for the peer's, each with the name it is refused
/// by at any time before the keys change.
fn forgeries() -> Vec<(Vec<u8>, Refusal)> {
    let far = (1 << 48) - 1;
    vec![
        (record(ALERT, 0, 5, &[2, 40]), Refusal::DtlsPlainAlert),
        (record(ALERT, 0, far, &[1, 0]), Refusal::DtlsPlainAlert),
        (record(23, 0, 5, b"application data"), Refusal::DtlsPlainRecord),
        (record(24, 0, 5, b"heartbeat"), Refusal::DtlsPlainRecord),
        (record(20, 0, 5, &[0]), Refusal::DtlsMalformed),
        (record(HANDSHAKE, 0, 5, &[]), Refusal::DtlsMalformed),
        (record(HANDSHAKE, 0, 5, b"\x01 not a message"), Refusal::DtlsMalformed),
        (record(HANDSHAKE, 0, 5, &fragment(1, 0, 99_999, 0, b"x")), Refusal::DtlsMalformed),
        (
            record(HANDSHAKE, 0, far, &fragment(20, 4, 12, 0, b"forged")),
            Refusal::DtlsUnexpectedMessage,
        ),
        (record(HANDSHAKE, 0, 5, &fragment(0, 0, 0, 0, b"")), Refusal::DtlsUnexpectedMessage),
        (record(HANDSHAKE, 0, 5, &fragment(14, 9, 0, 0, b"")), Refusal::DtlsUnexpectedMessage),
        (record(ALERT, 2, 0, &[2, 40]), Refusal::DtlsStaleEpoch),
        (record(HANDSHAKE, 0xffff, 0, b"x"), Refusal::DtlsStaleEpoch),
        (record(ALERT, 0, 0, &[2, 40])[..10].to_vec(), Refusal::DtlsMalformed),
    ]
}

/// Bytes of any first byte and length, and records of any type with random bodies under an encrypted epoch.
fn junk(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count)
        .map(|n| {
            let mut bytes: Vec<u8> = (0..random.usize(1..200)).map(|_| random.u8(..)).collect();
            bytes[0] = n as u8;
            if n % 2 == 0 {
                return bytes;
            }
            record(random.u8(20..25), 1, random.u64(..1 << 48), &bytes)
        })
        .collect()
}

/// Injects into both sides at the start and after everything that happens, until keys are there.
fn handshake_under(forged: &[Vec<u8>]) -> Pair {
    let mut pair = Pair::fresh();
    pair.start(DtlsRole::Client);
    let until = pair.now + Duration::from_secs(10);
    while pair.a.keys().is_none() || pair.b.keys().is_none() {
        for datagram in forged {
            pair.inject_a(datagram.clone());
            pair.inject_b(datagram.clone());
        }
        assert!(pair.step(until), "no keys: {:?} {:?}", pair.a.refusals(), pair.b.refusals());
    }
    pair
}

fn assert_alive(pair: &mut Pair) {
    pair.command_a(open(Some(0), parameters("alive", true, None)));
    pair.run(Duration::from_secs(1));
    pair.command_a(send(0, b"still here"));
    pair.command_b(send(0, b"here too"));
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.b.messages(0), [b"still here"]);
    assert_eq!(pair.a.messages(0), [b"here too"]);
    assert_eq!((pair.a.closed(), pair.b.closed()), (vec![], vec![]));
}

#[test]
fn no_forgery_in_plain_text_ends_or_delays_a_handshake() {
    for (forged, reason) in forgeries() {
        let mut pair = handshake_under(std::slice::from_ref(&forged));
        assert_eq!(pair.now.as_millis(), 1_040, "{forged:02x?}");
        assert!(pair.a.refused(reason) > 0 && pair.b.refused(reason) > 0, "{forged:02x?}");
        for side in [&pair.a, &pair.b] {
            assert_eq!(side.associations.stats().retransmissions, 0);
        }
        assert_alive(&mut pair);
    }
}

#[test]
fn a_forged_change_of_cipher_with_any_sequence_number_changes_nothing() {
    for sequence in [0, 3, 1 << 20, (1 << 48) - 1] {
        let mut pair = handshake_under(&[record(20, 0, sequence, &[1])]);
        assert_eq!(pair.now.as_millis(), 1_040);
        assert_alive(&mut pair);
    }
}

#[test]
fn junk_of_every_first_byte_during_the_handshake_is_harmless() {
    for seed in 0..8 {
        let mut pair = handshake_under(&junk(seed, 512));
        assert_eq!(pair.now.as_millis(), 1_040);
        assert_alive(&mut pair);
    }
}

#[test]
fn neither_junk_nor_forgery_ends_an_established_association() {
    let mut pair = Pair::connected();
    let before = pair.b.refused(Refusal::DtlsStaleEpoch);
    let forged: Vec<_> = forgeries().into_iter().map(|(datagram, _)| datagram).collect();
    for datagram in junk(1, 4_096).iter().chain(&forged) {
        pair.inject_a(datagram.clone());
        pair.inject_b(datagram.clone());
    }
    assert!(pair.b.refused(Refusal::DtlsStaleEpoch) > before);
    assert_eq!(pair.b.refused(Refusal::DtlsPlainAlert), 0, "epoch 0 is over, alert or not");
    assert_alive(&mut pair);
}

#[test]
fn a_forged_hello_that_the_library_refuses_does_not_cost_the_honest_one_its_chance() {
    let mut pair = Pair::fresh();
    pair.start(DtlsRole::Client);
    for _ in 0..20 {
        pair.inject_b(record(HANDSHAKE, 0, 0, &fragment(1, 0, 40, 0, &[0xaa; 40])));
    }
    assert_eq!(pair.b.refused(Refusal::DtlsHelloRefused), 20);
    assert_eq!(pair.b.sent.len(), 0, "no alert that the honest peer might believe");
    assert_eq!(pair.b.associations.stats().handshaking, 0);
    assert!(pair.run_until(Duration::from_secs(1), |pair| pair.a.keys().is_some()).is_some());
    assert_alive(&mut pair);
}

#[test]
fn junk_makes_no_engine_for_a_server_that_waits() {
    let mut pair = Pair::fresh();
    pair.start(DtlsRole::Client);
    for datagram in junk(3, 512) {
        pair.inject_b(datagram);
    }
    pair.inject_b(record(HANDSHAKE, 0, 0, &fragment(11, 1, 1, 0, b"x")));
    assert!(pair.b.refused(Refusal::DtlsUnexpectedMessage) > 0);
    assert_eq!(pair.b.associations.stats().handshaking, 0);
    assert_eq!(pair.b.refused(Refusal::DtlsHelloRefused), 0);
}

#[test]
fn a_flipped_bit_in_any_byte_of_a_sealed_datagram_is_no_data() {
    let mut pair = Pair::connected();
    pair.command_a(open(Some(0), parameters("", true, None)));
    pair.run(Duration::from_secs(1));
    let before = pair.a.sent.len();
    pair.a.associations.handle_command(pair.now, send(0, b"once"));
    pair.a.collect();
    let sealed = pair.a.sent[before].clone();
    for index in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[index] ^= 0x10;
        pair.inject_b(damaged);
    }
    assert_eq!(pair.b.messages(0).len(), 0);
    pair.inject_b(sealed.clone());
    pair.inject_b(sealed);
    assert_eq!(pair.b.messages(0), [b"once"]);
    assert_eq!(pair.b.closed(), vec![]);
}

#[test]
fn everything_replayed_changes_nothing() {
    let mut pair = Pair::connected();
    let (from_a, from_b) = (pair.a.sent.clone(), pair.b.sent.clone());
    for (to_b, to_a) in from_a.into_iter().zip(from_b) {
        pair.inject_b(to_b);
        pair.inject_a(to_a);
    }
    assert_alive(&mut pair);
}

#[test]
fn empty_and_overlong_datagrams_never_reach_the_library() {
    for connected in [false, true] {
        let mut pair = if connected { Pair::connected() } else { Pair::fresh() };
        if !connected {
            pair.start(DtlsRole::Client);
        }
        for data in [vec![], vec![22; 2_049]] {
            pair.inject_a(data.clone());
            pair.inject_b(data);
        }
        for side in [&pair.a, &pair.b] {
            assert_eq!(side.refusals(), [(Refusal::DtlsEmpty, 1), (Refusal::DtlsTooLong, 1)]);
        }
        pair.run(Duration::from_secs(1));
        assert_alive(&mut pair);
    }
}

#[test]
fn an_authentic_goodbye_ends_the_association_and_what_follows_is_refused() {
    for removed in [true, false] {
        let mut pair = Pair::connected();
        if removed {
            pair.tell_a(ToAssociation::Removed { transport: T });
            assert_eq!(pair.a.associations.stats().associations, 0);
        } else {
            pair.a.associations.close_all(pair.now);
            pair.exchange();
        }
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.b.closed(), [CloseReason::PeerClosed]);
        assert_eq!(pair.a.closed(), vec![], "who closes need not be told");
        pair.inject_b(vec![22; 40]);
        pair.command_b(open(None, parameters("", true, None)));
        pair.command_b(send(0, b""));
        pair.command_b(close(0));
        assert_eq!(pair.b.refused(Refusal::AssociationClosed), 4);
        assert_eq!(pair.b.associations.poll_timeout(), None);
        pair.tell_b(ToAssociation::Removed { transport: T });
        assert_eq!(pair.b.associations.stats().associations, 0);
    }
}

#[test]
fn a_hello_in_two_datagrams_in_either_order_is_put_together() {
    for swapped in [false, true] {
        let mut pair = Pair::between(Identity::ecdsa(), Identity::ecdsa());
        pair.start(DtlsRole::Client);
        let hello = pair.a.sent[0].clone();
        let body = &hello[13 + 12..];
        let (head, tail) = body.split_at(body.len() / 2);
        let part = |sequence: u64, offset: usize, part: &[u8]| {
            record(HANDSHAKE, 0, sequence, &fragment(1, 0, body.len(), offset, part))
        };
        let mut parts = [part(0, 0, head), part(1, head.len(), tail)];
        if swapped {
            parts.reverse();
        }
        for part in parts {
            assert_eq!(pair.b.sent.len(), 0);
            pair.inject_b(part);
        }
        assert!(!pair.b.sent.is_empty(), "answered without the client's timer");
        pair.run(Duration::from_secs(1));
        assert_alive(&mut pair);
    }
}
