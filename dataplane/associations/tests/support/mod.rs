//! Two whole sets of associations that meet over an emulated link on simulated time.
// Each test file uses its part, and a test may unwrap outside of its own function.
#![allow(dead_code, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use conclave_associations::{Associations, AssociationsConfig, Limits, Refusal, Transmit};
use conclave_core::association::{FromAssociation, Path, ToAssociation};
use conclave_core::command::{ChannelCommand, ChannelParameters};
use conclave_core::command::{DtlsRole, Fingerprint, RemoteParameters};
use conclave_core::event::{CloseReason, Event};
use conclave_core::ids::{LaneId, TransportId};
use conclave_core::time::Time;
use conclave_netem::{Link, LinkConfig, MILLISECOND};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sha::sha256;
use openssl::x509::{X509Name, X509};

/// The transport that most tests use.
pub const T: TransportId = TransportId(7);
/// The lane it lives on.
pub const LANE: LaneId = LaneId(3);

/// A self-signed certificate and its key, both DER.
#[derive(Clone)]
pub struct Identity {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

impl Identity {
    pub fn ecdsa() -> Self {
        Self::on_curve(Nid::X9_62_PRIME256V1)
    }

    pub fn on_curve(curve: Nid) -> Self {
        let group = EcGroup::from_curve_name(curve).unwrap();
        Self::signed(&PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap())
    }

    pub fn rsa() -> Self {
        Self::signed(&PKey::from_rsa(Rsa::generate(2_048).unwrap()).unwrap())
    }

    fn signed(key: &PKey<Private>) -> Self {
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_text("CN", "test").unwrap();
        let name = name.build();
        let mut x509 = X509::builder().unwrap();
        x509.set_version(2).unwrap();
        let serial = BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap();
        x509.set_serial_number(&serial).unwrap();
        x509.set_subject_name(&name).unwrap();
        x509.set_issuer_name(&name).unwrap();
        x509.set_pubkey(key).unwrap();
        // Long over: what counts is the fingerprint, not the calendar.
        x509.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
        x509.set_not_after(&Asn1Time::from_unix(86_400).unwrap()).unwrap();
        x509.sign(key, MessageDigest::sha256()).unwrap();
        let certificate = x509.build().to_der().unwrap();
        Self { certificate, key: key.private_key_to_pkcs8().unwrap() }
    }

    pub fn fingerprint(&self) -> Fingerprint {
        let digest = sha256(&self.certificate).to_vec();
        Fingerprint { algorithm: "sha-256".into(), digest }
    }

    pub fn config(&self, limits: Limits) -> AssociationsConfig {
        AssociationsConfig {
            certificate_der: self.certificate.clone(),
            private_key_der: self.key.clone(),
            seed: 1,
            limits,
        }
    }
}

/// One side: its associations and everything they said.
pub struct Side {
    pub associations: Associations,
    pub identity: Identity,
    pub lanes: Vec<(LaneId, FromAssociation)>,
    pub events: Vec<Event>,
    /// Every datagram it sent, before the link had its say.
    pub sent: Vec<Vec<u8>>,
    /// Leaves events where they are, as a caller does who is busy.
    pub busy: bool,
}

impl Side {
    pub fn new(identity: Identity, limits: Limits) -> Self {
        let associations = Associations::new(&identity.config(limits)).unwrap();
        Self { associations, identity, lanes: vec![], events: vec![], sent: vec![], busy: false }
    }

    pub fn collect(&mut self) -> Vec<Transmit> {
        self.lanes.extend(std::iter::from_fn(|| self.associations.poll_lane()));
        if !self.busy {
            self.events.extend(std::iter::from_fn(|| self.associations.poll_event()));
        }
        let transmits: Vec<_> = std::iter::from_fn(|| self.associations.poll_transmit()).collect();
        self.sent.extend(transmits.iter().map(|transmit| transmit.datagram.clone()));
        transmits
    }

    pub fn keys(&self) -> Option<&FromAssociation> {
        self.lanes
            .iter()
            .map(|(_, message)| message)
            .find(|message| matches!(message, FromAssociation::Keys { .. }))
    }

    pub fn closed(&self) -> Vec<CloseReason> {
        let reason = |(_, message): &(LaneId, FromAssociation)| match message {
            FromAssociation::Closed { reason, .. } => Some(*reason),
            FromAssociation::Keys { .. } | FromAssociation::Datagram { .. } => None,
        };
        self.lanes.iter().filter_map(reason).collect()
    }

    pub fn refused(&self, reason: Refusal) -> u64 {
        self.associations.stats().refusals.get(reason)
    }

    pub fn refusals(&self) -> Vec<(Refusal, u64)> {
        self.associations.stats().refusals.iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Messages that arrived on `stream`.
    pub fn messages(&self, stream: u16) -> Vec<&[u8]> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Message { stream: on, data, .. } if *on == stream => Some(data.as_slice()),
                _ => None,
            })
            .collect()
    }

    pub fn opened(&self) -> Vec<(u16, ChannelParameters)> {
        let opened = |event: &Event| match event {
            Event::ChannelOpened { stream, parameters, .. } => Some((*stream, parameters.clone())),
            _ => None,
        };
        self.events.iter().filter_map(opened).collect()
    }

    pub fn closed_channels(&self) -> Vec<u16> {
        let closed = |event: &Event| match event {
            Event::ChannelClosed { stream, .. } => Some(*stream),
            _ => None,
        };
        self.events.iter().filter_map(closed).collect()
    }
}

/// Two sides, two links, one clock. `a` is the DTLS client unless a test says otherwise.
pub struct Pair {
    pub now: Time,
    pub a: Side,
    pub b: Side,
    a_to_b: Link<Vec<u8>>,
    b_to_a: Link<Vec<u8>>,
}

pub fn path() -> Path {
    Path::udp(0, SocketAddr::from(([192, 0, 2, 1], 5_000)))
}

pub fn remote(peer: &Identity, role: DtlsRole) -> RemoteParameters {
    RemoteParameters {
        ufrag: "peer".into(),
        pwd: String::new(),
        fingerprints: vec![peer.fingerprint()],
        role,
        sctp: Some((5_000, 262_144)),
    }
}

impl Pair {
    pub fn new(a: Side, b: Side, link: &LinkConfig, seed: u64) -> Self {
        let a_to_b = Link::new(link.clone(), seed);
        let b_to_a = Link::new(link.clone(), seed ^ 0x5555);
        Self { now: Time::from_millis(1_000), a, b, a_to_b, b_to_a }
    }

    /// Two ECDSA sides on a fast path, not started.
    pub fn fresh() -> Self {
        Self::between(Identity::ecdsa(), Identity::ecdsa())
    }

    pub fn between(a: Identity, b: Identity) -> Self {
        let side = |identity| Side::new(identity, Limits::default());
        Self::new(side(a), side(b), &LinkConfig::perfect(10 * MILLISECOND), 1)
    }

    /// A pair with keys on both sides, `a` the DTLS client.
    pub fn connected() -> Self {
        let mut pair = Self::fresh();
        pair.start(DtlsRole::Client);
        pair.run(Duration::from_secs(1));
        assert!(pair.a.keys().is_some() && pair.b.keys().is_some());
        pair
    }

    /// Tells both sides of each other.
    pub fn start(&mut self, role_of_a: DtlsRole) {
        let role_of_b = match role_of_a {
            DtlsRole::Client => DtlsRole::Server,
            DtlsRole::Server => DtlsRole::Client,
        };
        let for_a = remote(&self.b.identity, role_of_a);
        let for_b = remote(&self.a.identity, role_of_b);
        self.start_with(for_a, for_b);
    }

    pub fn start_with(&mut self, for_a: RemoteParameters, for_b: RemoteParameters) {
        for (side, remote) in [(&mut self.a, for_a), (&mut self.b, for_b)] {
            for message in [
                ToAssociation::Added { transport: T },
                ToAssociation::Remote { transport: T, remote },
                ToAssociation::Selected { transport: T, path: path() },
            ] {
                side.associations.handle_lane(self.now, LANE, message);
            }
        }
        self.exchange();
    }

    pub fn link_mut(&mut self, a_to_b: bool) -> &mut LinkConfig {
        if a_to_b {
            self.a_to_b.config_mut()
        } else {
            self.b_to_a.config_mut()
        }
    }

    /// A datagram that reaches `a` from `b`'s path without `b` having sent it.
    pub fn inject_a(&mut self, data: Vec<u8>) {
        self.tell_a(ToAssociation::Datagram { transport: T, data });
    }

    /// The same the other way round.
    pub fn inject_b(&mut self, data: Vec<u8>) {
        self.tell_b(ToAssociation::Datagram { transport: T, data });
    }

    pub fn command_a(&mut self, command: ChannelCommand) {
        self.a.associations.handle_command(self.now, command);
        self.exchange();
    }

    pub fn command_b(&mut self, command: ChannelCommand) {
        self.b.associations.handle_command(self.now, command);
        self.exchange();
    }

    /// Puts what both sides made on the links.
    pub fn exchange(&mut self) {
        for transmit in self.a.collect() {
            assert_eq!((transmit.lane, transmit.path, transmit.transport), (LANE, path(), T));
            self.a_to_b.send(self.now.0, transmit.datagram.len(), transmit.datagram);
        }
        for transmit in self.b.collect() {
            self.b_to_a.send(self.now.0, transmit.datagram.len(), transmit.datagram);
        }
    }

    /// The next thing that happens, at the latest at `until`; false if it would be later.
    pub fn step(&mut self, until: Time) -> bool {
        let next = [self.a.associations.poll_timeout(), self.b.associations.poll_timeout()]
            .into_iter()
            .chain([self.a_to_b.next_at().map(Time), self.b_to_a.next_at().map(Time)])
            .flatten()
            .min()
            .filter(|next| *next <= until);
        let Some(next) = next else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(next);
        while let Some(data) = self.a_to_b.poll(self.now.0) {
            let message = ToAssociation::Datagram { transport: T, data };
            self.b.associations.handle_lane(self.now, LANE, message);
        }
        while let Some(data) = self.b_to_a.poll(self.now.0) {
            let message = ToAssociation::Datagram { transport: T, data };
            self.a.associations.handle_lane(self.now, LANE, message);
        }
        for side in [&mut self.a, &mut self.b] {
            side.associations.handle_timeout(self.now);
        }
        self.exchange();
        true
    }

    /// Tells `a` something about its transport.
    pub fn tell_a(&mut self, message: ToAssociation) {
        self.a.associations.handle_lane(self.now, LANE, message);
        self.exchange();
    }

    /// Tells `b` something about its transport.
    pub fn tell_b(&mut self, message: ToAssociation) {
        self.b.associations.handle_lane(self.now, LANE, message);
        self.exchange();
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.step(until) {}
    }

    /// Lets time pass until `done`, and says after how long; `None` if it takes longer than `most`.
    pub fn run_until(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let (began, until) = (self.now, self.now + most);
        while !done(self) {
            if !self.step(until) {
                return None;
            }
        }
        Some(self.now.since(began))
    }
}

pub fn parameters(label: &str, ordered: bool, max_retransmits: Option<u16>) -> ChannelParameters {
    ChannelParameters { label: label.into(), protocol: String::new(), ordered, max_retransmits }
}

pub fn open(stream: Option<u16>, parameters: ChannelParameters) -> ChannelCommand {
    ChannelCommand::Open { transport: T, stream, parameters, negotiated: false }
}

pub fn send(stream: u16, data: &[u8]) -> ChannelCommand {
    ChannelCommand::Send { to: vec![(T, stream)], data: data.to_vec(), binary: true }
}

pub fn close(stream: u16) -> ChannelCommand {
    ChannelCommand::Close { transport: T, stream }
}

/// A DTLS record with a body that nothing encrypts.
pub fn record(kind: u8, epoch: u16, sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 0xfe, 0xfd];
    out.extend_from_slice(&epoch.to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes()[2..]);
    out.extend_from_slice(&(body.len() as u16).to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// A fragment of a handshake message of `length` bytes.
pub fn fragment(kind: u8, sequence: u16, length: usize, offset: usize, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&(offset as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(body);
    out
}
