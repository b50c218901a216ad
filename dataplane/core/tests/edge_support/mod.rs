//! A peer for tests of the edge: it writes checks, seals media and reads what comes back, by the public
//! interface and its own use of the cipher library.
// Each test file uses its own part of this module; a test fails by panicking.
#![allow(dead_code, clippy::unwrap_used)]

use std::time::Duration;

use aws_lc_rs::hmac;

use conclave_core::association::{MasterKey, Path};
use conclave_core::command::{DtlsRole, IceCredentials, RemoteParameters};
use conclave_core::drop::DropReason;
use conclave_core::edge::{Edge, EdgeConfig, EdgeEvent, Received};
use conclave_core::event::SrtpProfile;
use conclave_core::hash::Keyed;
use conclave_core::ids::TransportId;
use conclave_core::srtp::{Inbound, Outbound, Suite, MAX_RTCP_OVERHEAD, MAX_RTP_OVERHEAD};
use conclave_core::stun::{self, attribute, Message, TransactionId, Writer};
use conclave_core::time::Time;

/// The transport that most tests are about.
pub const ID: TransportId = TransportId(7);
/// The peer's ufrag.
pub const THEIRS: &str = "peer";

/// An owned copy of [`Received`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    Dropped(DropReason),
    Held,
    Answered,
    Reply(Vec<u8>),
    Dtls(Vec<u8>),
    Rtp(Vec<u8>),
    Duplicate(Vec<u8>),
    Rtcp(Vec<u8>),
}

pub fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

/// An address of the peer, by its port.
pub fn path(port: u16) -> Path {
    Path::udp(0, ([198, 51, 100, 7], port).into())
}

/// Credentials by name.
pub fn credentials(name: &str) -> IceCredentials {
    IceCredentials { ufrag: format!("ufrag-{name}"), pwd: format!("password-of-{name}-0123456789") }
}

pub fn remote(ufrag: &str) -> RemoteParameters {
    RemoteParameters {
        ufrag: ufrag.into(),
        pwd: credentials(ufrag).pwd,
        fingerprints: Vec::new(),
        role: DtlsRole::Server,
        sctp: None,
    }
}

/// A connectivity check in the making; [`Check::bytes`] writes it.
#[derive(Clone, Debug)]
pub struct Check {
    pub to: IceCredentials,
    pub theirs: String,
    pub transaction: u64,
    pub kind: u16,
    pub priority: Option<u32>,
    pub flagged: bool,
    pub controlled: bool,
    pub nomination: Option<u32>,
    pub username: Option<String>,
    pub extra: Vec<u16>,
    pub fingerprint: bool,
    pub signed: bool,
}

impl Check {
    /// A plain check of the transport with credentials `name`.
    pub fn new(name: &str, transaction: u64) -> Self {
        Self {
            to: credentials(name),
            theirs: THEIRS.into(),
            transaction,
            kind: stun::BINDING_REQUEST,
            priority: Some(0x6E7F_1EFF),
            flagged: false,
            controlled: false,
            nomination: None,
            username: None,
            extra: Vec::new(),
            fingerprint: true,
            signed: true,
        }
    }

    /// The same with USE-CANDIDATE.
    pub fn flagged(name: &str, transaction: u64) -> Self {
        Self { flagged: true, ..Self::new(name, transaction) }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut buf = [0u8; 512];
        let name = format!("{}:{}", self.to.ufrag, self.theirs);
        let name = self.username.as_ref().unwrap_or(&name);
        let mut writer = Writer::new(&mut buf, self.kind, &transaction(self.transaction)).unwrap();
        if !name.is_empty() {
            writer = writer.attribute(attribute::USERNAME, name.as_bytes()).unwrap();
        }
        if let Some(priority) = self.priority {
            writer = writer.attribute(attribute::PRIORITY, &priority.to_be_bytes()).unwrap();
        }
        let role =
            if self.controlled { attribute::ICE_CONTROLLED } else { attribute::ICE_CONTROLLING };
        writer = writer.attribute(role, &[9; 8]).unwrap();
        if self.flagged {
            writer = writer.attribute(attribute::USE_CANDIDATE, &[]).unwrap();
        }
        if let Some(nomination) = self.nomination {
            writer = writer.attribute(attribute::NOMINATION, &nomination.to_be_bytes()).unwrap();
        }
        for &kind in &self.extra {
            writer = writer.attribute(kind, &[1, 2, 3]).unwrap();
        }
        if self.signed {
            writer = writer.integrity(&key(&self.to)).unwrap();
        }
        let len = writer.finish().unwrap();
        if self.fingerprint {
            buf[..len].to_vec()
        } else {
            let mut bytes = buf[..len - 8].to_vec();
            let length = (bytes.len() - 20) as u16;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes
        }
    }
}

pub fn transaction(number: u64) -> TransactionId {
    let mut id = [7u8; 12];
    id[4..].copy_from_slice(&number.to_be_bytes());
    id
}

pub fn key(credentials: &IceCredentials) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, credentials.pwd.as_bytes())
}

/// The error code of an answer.
pub fn error_code(answer: &[u8]) -> u16 {
    assert_eq!(Message::parse(answer).unwrap().kind, stun::BINDING_ERROR);
    assert_eq!(answer[20..24], [0, 9, 0, 4]);
    u16::from(answer[26]) * 100 + u16::from(answer[27])
}

pub fn master(seed: u8) -> MasterKey {
    MasterKey { key: vec![seed; 16], salt: vec![seed ^ 0x55; 12] }
}

/// The peer's side of the SRTP session that [`Rig::connect`] sets up.
pub struct Media {
    pub outbound: Outbound,
    pub inbound: Inbound,
}

impl Media {
    pub fn rtp(&mut self, ssrc: u32, seq: u16, payload: &[u8]) -> Vec<u8> {
        let mut buf = rtp(ssrc, seq, payload);
        let len = buf.len();
        buf.resize(len + MAX_RTP_OVERHEAD, 0);
        let sealed = self.outbound.seal_rtp(&mut buf, len).unwrap();
        buf.truncate(sealed);
        buf
    }

    pub fn rtcp(&mut self, ssrc: u32) -> Vec<u8> {
        let mut buf = rtcp(ssrc);
        let len = buf.len();
        buf.resize(len + MAX_RTCP_OVERHEAD, 0);
        let sealed = self.outbound.seal_rtcp(&mut buf, len).unwrap();
        buf.truncate(sealed);
        buf
    }
}

pub fn rtp(ssrc: u32, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 111];
    packet.extend(seq.to_be_bytes());
    packet.extend([0, 0, 3, 0xC0]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

pub fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet
}

/// A record of DTLS 1.2.
pub fn dtls_record() -> Vec<u8> {
    [&[22, 0xFE, 0xFD][..], &[0; 20]].concat()
}

/// An edge with one transport, [`ID`], whose credentials are those of `"a"`.
pub struct Rig {
    pub edge: Edge,
    transactions: u64,
}

impl Rig {
    pub fn new() -> Self {
        let config = EdgeConfig { seed: 1, consent: Duration::from_secs(30), max_transports: 4 };
        let mut edge = Edge::new(config);
        edge.add_transport(ID, &credentials("a")).unwrap();
        edge.set_remote(ID, &remote(THEIRS)).unwrap();
        Self { edge, transactions: 1_000_000 }
    }

    /// An edge whose transport has a selected address, `path(1)`, since time 0.
    pub fn validated() -> Self {
        let mut rig = Self::new();
        assert!(matches!(rig.check(0, 1, "a"), Got::Reply(_)));
        rig.events();
        rig
    }

    /// A validated transport with keys, and the peer's side of them.
    pub fn connected() -> (Self, Media) {
        let mut rig = Self::validated();
        let media = rig.connect();
        (rig, media)
    }

    pub fn connect(&mut self) -> Media {
        let (ours, theirs) = (master(1), master(2));
        let profile = SrtpProfile::AeadAes128Gcm;
        self.edge.install_keys(ID, profile, &ours, &theirs).unwrap();
        let suite = |master| Suite::derive(profile, master).unwrap();
        let keyed = Keyed::new(3);
        Media {
            outbound: Outbound::new(suite(&theirs), keyed),
            inbound: Inbound::new(suite(&ours), keyed),
        }
    }

    /// Handles a datagram after everything that was due before.
    pub fn receive(&mut self, ms: u64, path: Path, datagram: &[u8]) -> Got {
        self.edge.handle_timeout(at(ms));
        let mut buf = datagram.to_vec();
        match self.edge.handle_datagram(at(ms), path, &mut buf) {
            Received::Dropped(reason) => Got::Dropped(reason),
            Received::Held => Got::Held,
            Received::Answered => Got::Answered,
            Received::Reply { path: to, bytes } => {
                assert_eq!(to, path);
                assert!(bytes.len() <= datagram.len());
                Got::Reply(bytes.to_vec())
            }
            Received::Dtls { data, .. } => Got::Dtls(data.to_vec()),
            Received::Rtp { packet, duplicate: false, .. } => Got::Rtp(packet.to_vec()),
            Received::Rtp { packet, duplicate: true, .. } => Got::Duplicate(packet.to_vec()),
            Received::Rtcp { packet, .. } => Got::Rtcp(packet.to_vec()),
        }
    }

    /// A fresh plain check with credentials `name` from `path(port)`.
    pub fn check(&mut self, ms: u64, port: u16, name: &str) -> Got {
        self.transactions += 1;
        let check = Check::new(name, self.transactions).bytes();
        self.receive(ms, path(port), &check)
    }

    /// The same with USE-CANDIDATE.
    pub fn nominate(&mut self, ms: u64, port: u16, name: &str) -> Got {
        self.transactions += 1;
        let check = Check::flagged(name, self.transactions).bytes();
        self.receive(ms, path(port), &check)
    }

    /// Whether the transport may send, and where to: seals a packet with a fresh number.
    pub fn send(&mut self, ms: u64) -> Result<Path, DropReason> {
        self.transactions += 1;
        let mut buf = rtp(77, self.transactions as u16, &[0; 40]);
        let len = buf.len() - 16;
        self.edge.seal_rtp(at(ms), ID, &mut buf, len).map(|(path, _)| path)
    }

    pub fn send_report(&mut self, ms: u64) -> Result<Path, DropReason> {
        let mut buf = [rtcp(77), vec![0; 20]].concat();
        self.edge.seal_rtcp(at(ms), ID, &mut buf, 8).map(|(path, _)| path)
    }

    pub fn events(&mut self) -> Vec<EdgeEvent> {
        std::iter::from_fn(|| self.edge.poll_event()).collect()
    }

    /// Everything that was dropped, by reason, without zeros.
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        self.edge.drops().iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Lets time pass up to `ms`, at every deadline on the way.
    pub fn pass_time(&mut self, ms: u64) {
        while let Some(due) = self.edge.poll_timeout().filter(|due| *due <= at(ms)) {
            self.edge.handle_timeout(due);
        }
        self.edge.handle_timeout(at(ms));
    }
}
