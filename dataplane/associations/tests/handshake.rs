//! Handshakes between two of our own sides: roles, certificates, loss, trust and time.

mod support;

use std::time::Duration;

use conclave_associations::{Limits, Refusal};
use conclave_core::association::{FromAssociation, ToAssociation};
use conclave_core::command::{DtlsRole, RemoteParameters};
use conclave_core::event::{CloseReason, SrtpProfile};
use conclave_netem::{LinkConfig, Loss, MILLISECOND};
use openssl::nid::Nid;
use support::{remote, Identity, Pair, Side, LANE, T};

/// What one side protects with, the other opens with; both agree on the profile.
fn assert_keys_meet(pair: &Pair) {
    let keys = |side: &Side| match side.keys() {
        Some(FromAssociation::Keys { profile, local, remote, .. }) => {
            (*profile, local.clone(), remote.clone())
        }
        _ => panic!("no keys"),
    };
    let (profile, local, remote) = keys(&pair.a);
    assert_eq!(keys(&pair.b), (profile, remote.clone(), local.clone()));
    assert_ne!(local, remote);
    assert_eq!(profile, SrtpProfile::AeadAes128Gcm);
    assert_eq!((local.key.len(), local.salt.len()), (16, 12));
}

#[test]
fn both_roles_reach_the_same_keys_with_each_kind_of_certificate() {
    let identities = || {
        [
            Identity::ecdsa(),
            Identity::rsa(),
            Identity::on_curve(Nid::SECP224R1),
            Identity::on_curve(Nid::SECP384R1),
        ]
    };
    for identity in identities() {
        for role in [DtlsRole::Client, DtlsRole::Server] {
            let mut pair = Pair::between(identity.clone(), Identity::ecdsa());
            pair.start(role);
            let took = pair.run_until(Duration::from_secs(1), |pair| {
                pair.a.keys().is_some() && pair.b.keys().is_some()
            });
            // Two round trips of 20 ms, and no timer was needed.
            assert_eq!(took, Some(Duration::from_millis(40)));
            assert_keys_meet(&pair);
            assert!(pair.a.lanes.iter().all(|(lane, _)| *lane == LANE));
            for side in [&pair.a, &pair.b] {
                let stats = side.associations.stats();
                assert_eq!((stats.handshakes_completed, stats.handshakes_failed), (1, 0));
                assert_eq!((stats.handshaking, stats.retransmissions), (0, 0));
                assert_eq!(side.refusals(), vec![]);
                assert!(side.sent.iter().all(|datagram| datagram.len() <= 1_200));
            }
        }
    }
}

#[test]
fn handshakes_complete_in_bounded_time_with_a_fifth_lost_each_way() {
    let link = LinkConfig::perfect(20 * MILLISECOND).with_loss(Loss::Bernoulli(0.2));
    let (a, b) = (Identity::ecdsa(), Identity::ecdsa());
    let mut times: Vec<Duration> = (0..60)
        .map(|seed| {
            let side = |identity: &Identity| Side::new(identity.clone(), Limits::default());
            let mut pair = Pair::new(side(&a), side(&b), &link, seed);
            pair.start(DtlsRole::Client);
            let took = pair.run_until(Duration::from_secs(30), |pair| {
                pair.a.keys().is_some() && pair.b.keys().is_some()
            });
            assert_keys_meet(&pair);
            took.expect("within the deadline")
        })
        .collect();
    times.sort_unstable();
    assert!(times[30] < Duration::from_millis(900), "median {:?}", times[30]);
    assert!(times[59] < Duration::from_secs(6), "worst {:?}", times[59]);
}

#[test]
fn a_wrong_fingerprint_closes_before_any_key_leaves_and_is_never_retried() {
    for wrong_at_a in [true, false] {
        let mut pair = Pair::fresh();
        let stranger = Identity::ecdsa();
        let mut for_a = remote(&pair.b.identity, DtlsRole::Client);
        let mut for_b = remote(&pair.a.identity, DtlsRole::Server);
        let wronged = if wrong_at_a { &mut for_a } else { &mut for_b };
        wronged.fingerprints = vec![stranger.fingerprint()];
        pair.start_with(for_a, for_b);
        pair.run(Duration::from_secs(60));
        let (wary, other) = if wrong_at_a { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
        assert_eq!(wary.closed(), [CloseReason::FingerprintMismatch]);
        assert!(wary.keys().is_none());
        assert_eq!(wary.refused(Refusal::DtlsFingerprint), 1);
        assert_eq!(wary.associations.stats().handshakes_failed, 1);
        assert_eq!(other.closed(), [CloseReason::PeerClosed]);
        assert_eq!(pair.a.associations.stats().handshaking, 0);
    }
}

#[test]
fn one_matching_fingerprint_among_several_is_enough() {
    let mut pair = Pair::fresh();
    let mut for_a = remote(&pair.b.identity, DtlsRole::Client);
    for_a.fingerprints.insert(0, Identity::ecdsa().fingerprint());
    let for_b = remote(&pair.a.identity, DtlsRole::Server);
    pair.start_with(for_a, for_b);
    pair.run(Duration::from_secs(1));
    assert_keys_meet(&pair);
}

#[test]
fn keys_wait_for_the_fingerprints_and_fail_without_them() {
    for late in [true, false] {
        let mut pair = Pair::fresh();
        let for_a = remote(&pair.b.identity, DtlsRole::Client);
        let for_b = remote(&pair.a.identity, DtlsRole::Server);
        let unknown = RemoteParameters { fingerprints: vec![], ..for_b.clone() };
        pair.start_with(for_a, unknown);
        pair.run(Duration::from_secs(5));
        assert!(pair.a.keys().is_some() && pair.b.keys().is_none());
        if late {
            let message = ToAssociation::Remote { transport: T, remote: for_b };
            pair.b.associations.handle_lane(pair.now, LANE, message);
            pair.exchange();
            assert_keys_meet(&pair);
        } else {
            pair.run(Duration::from_secs(30));
            assert_eq!(pair.b.closed(), [CloseReason::HandshakeFailed]);
            assert_eq!(pair.b.refused(Refusal::DtlsTimeout), 1);
            assert!(pair.b.keys().is_none());
        }
    }
}
