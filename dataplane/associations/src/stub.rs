//! Tests of what no DTLS library does on demand: an engine that panics, or lacks Extended Master Secret.

use std::net::SocketAddr;

use conclave_core::association::{FromAssociation, Path, ToAssociation};
use conclave_core::command::{DtlsRole, Fingerprint, RemoteParameters};
use conclave_core::event::CloseReason;
use conclave_core::ids::{LaneId, TransportId};
use conclave_core::time::Time;
use openssl::sha::sha256;

use crate::associations::Associations;
use crate::config::{Limits, SetupError};
use crate::engine::{DtlsContext, DtlsEngine, EngineEnd, KeyError, SrtpKeys};
use crate::refusal::Refusal;

/// What the engines of a context do.
#[derive(Clone, Copy)]
enum Fault {
    /// Panic at the first datagram.
    Panics,
    /// Give application data away before the handshake is done.
    Talks,
    /// Complete at once, with this trouble about the keys.
    Keyless(KeyError),
    /// Cannot be made.
    Missing,
}

struct Engine {
    fault: Fault,
    established: bool,
}

impl DtlsContext for Fault {
    fn engine(&self, _role: DtlsRole) -> Result<Box<dyn DtlsEngine>, SetupError> {
        match self {
            Fault::Missing => Err(SetupError::Library("out of memory".into())),
            fault => Ok(Box::new(Engine { fault: *fault, established: false })),
        }
    }
}

impl DtlsEngine for Engine {
    fn start(&mut self, _now: Time) -> Result<(), EngineEnd> {
        self.established = matches!(self.fault, Fault::Keyless(_));
        Ok(())
    }

    fn handle_datagram(
        &mut self,
        _now: Time,
        _datagram: &[u8],
        received: &mut dyn FnMut(&[u8]),
    ) -> Result<(), EngineEnd> {
        assert!(matches!(self.fault, Fault::Talks), "a bug");
        received(b"early");
        Ok(())
    }

    fn retransmit(&mut self, _now: Time) -> bool {
        false
    }

    fn awaits_reply(&self) -> bool {
        false
    }

    fn is_established(&self) -> bool {
        self.established
    }

    fn peer_certificate(&self) -> Option<Vec<u8>> {
        Some(b"certificate".to_vec())
    }

    fn srtp_keys(&self) -> Result<SrtpKeys, KeyError> {
        match self.fault {
            Fault::Keyless(error) => Err(error),
            Fault::Panics | Fault::Talks | Fault::Missing => Err(KeyError::NoProfile),
        }
    }

    fn send(&mut self, _now: Time, _data: &[u8]) {}

    fn close(&mut self, _now: Time) {}

    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        None
    }
}

const LANE: LaneId = LaneId(0);

fn begin(fault: Fault, transports: u32) -> Associations {
    let mut associations = Associations::with_context(Box::new(fault), Limits::default());
    for transport in (0..transports).map(TransportId) {
        let digest = sha256(b"certificate").to_vec();
        let remote = RemoteParameters {
            ufrag: String::new(),
            pwd: String::new(),
            fingerprints: vec![Fingerprint { algorithm: "sha-256".into(), digest }],
            role: DtlsRole::Client,
            sctp: None,
        };
        let path = Path::udp(0, SocketAddr::from(([192, 0, 2, 1], 9)));
        for message in [
            ToAssociation::Added { transport },
            ToAssociation::Remote { transport, remote },
            ToAssociation::Selected { transport, path },
        ] {
            associations.handle_lane(Time::default(), LANE, message);
        }
    }
    associations
}

fn closed(transport: u32, reason: CloseReason) -> (LaneId, FromAssociation) {
    (LANE, FromAssociation::Closed { transport: TransportId(transport), reason })
}

/// An encrypted record: it passes the filter and reaches the engine.
fn receive(associations: &mut Associations, transport: u32) {
    let data = b"\x16\xfe\xfd\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01x".to_vec();
    let message = ToAssociation::Datagram { transport: TransportId(transport), data };
    associations.handle_lane(Time::default(), LANE, message);
}

#[test]
fn data_before_the_certificate_is_verified_goes_nowhere() {
    let mut associations = begin(Fault::Talks, 1);
    receive(&mut associations, 0);
    assert_eq!(associations.stats().refusals.get(Refusal::DtlsEarlyData), 1);
    assert_eq!((associations.poll_event(), associations.poll_lane()), (None, None));
}

#[test]
fn a_panic_costs_one_association() {
    let mut associations = begin(Fault::Panics, 2);
    assert_eq!(associations.stats().handshaking, 2);
    for _ in 0..2 {
        receive(&mut associations, 1);
    }
    assert_eq!(associations.poll_lane(), Some(closed(1, CloseReason::Internal)));
    assert_eq!(associations.poll_lane(), None);
    let stats = associations.stats();
    assert_eq!((stats.handshaking, stats.associations), (1, 2));
    assert_eq!(stats.refusals.get(Refusal::Panicked), 1);
    assert_eq!(stats.refusals.get(Refusal::AssociationClosed), 1);
}

#[test]
fn without_keys_that_are_bound_to_the_handshake_there_is_no_association() {
    for (error, refusal) in [
        (KeyError::NoExtendedMasterSecret, Refusal::DtlsNoExtendedMasterSecret),
        (KeyError::NoProfile, Refusal::DtlsNoSrtpProfile),
    ] {
        let mut associations = begin(Fault::Keyless(error), 1);
        assert_eq!(associations.poll_lane(), Some(closed(0, CloseReason::HandshakeFailed)));
        let stats = associations.stats();
        assert_eq!(stats.refusals.get(refusal), 1);
        assert_eq!((stats.handshakes_failed, stats.handshaking), (1, 0));
    }
}

#[test]
fn an_engine_that_cannot_be_made_fails_its_handshake() {
    let mut associations = begin(Fault::Missing, 1);
    assert_eq!(associations.poll_lane(), Some(closed(0, CloseReason::HandshakeFailed)));
    assert_eq!(associations.stats().refusals.get(Refusal::DtlsFailed), 1);
    assert_eq!(associations.stats().handshaking, 0);
}
