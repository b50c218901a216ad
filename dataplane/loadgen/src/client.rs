//! Clients: each with a socket of its own, an authenticated check, a DTLS handshake and SRTP keys at the end.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use aws_lc_rs::hmac;
use conclave_associations::{Associations, AssociationsConfig, Limits};
use conclave_core::association::{FromAssociation, MasterKey, Path, ToAssociation};
use conclave_core::command::{DtlsRole, Fingerprint, IceCredentials, RemoteParameters};
use conclave_core::event::SrtpProfile;
use conclave_core::hash::Keyed;
use conclave_core::ids::{LaneId, TransportId};
use conclave_core::srtp::{Inbound, Outbound, Suite};
use conclave_core::stun::{self, attribute, Message, TransactionId, Writer};
use conclave_core::time::Time;
use conclave_io::clock::Clock;
use conclave_io::socket::{bind, Buffers};

use crate::epoll::Epoll;
use crate::identity::Identity;

/// Clients that connect at once: enough to keep both sides busy, little enough for their socket buffers.
const WAVE: usize = 64;

/// When a check without an answer is sent again.
const CHECK_AGAIN: Duration = Duration::from_millis(200);

/// How long one wave may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Socket buffers: a burst of a large meeting's frames.
const BUFFERS: Buffers = Buffers { receive: 1 << 20, send: 1 << 20 };

/// The host candidate's priority of a browser.
const PRIORITY: u32 = 0x7E7F_1EFF;

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Its transport on the server.
    pub id: TransportId,
    /// Its socket.
    pub socket: UdpSocket,
    server: SocketAddr,
    keys: Option<Keys>,
    validated: bool,
    checked: Option<Time>,
}

#[derive(Debug)]
struct Keys {
    profile: SrtpProfile,
    local: MasterKey,
    remote: MasterKey,
}

impl Client {
    /// A client of the lane that listens on `server`.
    pub fn new(id: TransportId, server: SocketAddr) -> io::Result<Self> {
        let socket = bind(server.ip(), 0, BUFFERS).map_err(io::Error::other)?;
        Ok(Self { id, socket, server, keys: None, validated: false, checked: None })
    }

    /// The lane that it talks to.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Our side's credentials of transport `id`, as the server is told them.
    pub fn server_credentials(id: TransportId) -> IceCredentials {
        IceCredentials { ufrag: format!("server{}", id.0), pwd: format!("{:0>24}", id.0) }
    }

    /// The client's ufrag.
    pub fn ufrag(id: TransportId) -> String {
        format!("client{}", id.0)
    }

    /// Sends a connectivity check; it also keeps consent (RFC 7675).
    pub fn check(&mut self, now: Time) -> io::Result<()> {
        self.checked = Some(now);
        let mut buf = [0_u8; 256];
        let len = self.write_check(now, &mut buf).ok_or(io::ErrorKind::InvalidInput)?;
        self.socket.send_to(&buf[..len], self.server).map(|_| ())
    }

    /// What this client sends.
    pub fn outbound(&self) -> Option<Outbound> {
        let keys = self.keys.as_ref()?;
        let suite = Suite::derive(keys.profile, &keys.local).ok()?;
        Some(Outbound::new(suite, Keyed::new(u64::from(self.id.0))))
    }

    /// What this client receives.
    pub fn inbound(&self) -> Option<Inbound> {
        let keys = self.keys.as_ref()?;
        let suite = Suite::derive(keys.profile, &keys.remote).ok()?;
        Some(Inbound::new(suite, Keyed::new(u64::from(self.id.0))))
    }

    fn write_check(&self, now: Time, buf: &mut [u8]) -> Option<usize> {
        let ours = Self::server_credentials(self.id);
        let name = format!("{}:{}", ours.ufrag, Self::ufrag(self.id));
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, ours.pwd.as_bytes());
        let mut transaction = TransactionId::default();
        transaction[..8].copy_from_slice(&now.0.to_be_bytes());
        transaction[8..].copy_from_slice(&self.id.0.to_be_bytes());
        Writer::new(buf, stun::BINDING_REQUEST, &transaction)?
            .attribute(attribute::USERNAME, name.as_bytes())?
            .attribute(attribute::PRIORITY, &PRIORITY.to_be_bytes())?
            .attribute(attribute::ICE_CONTROLLING, &[1; 8])?
            .attribute(attribute::USE_CANDIDATE, &[])?
            .integrity(&key)?
            .finish()
    }
}

/// Connects all clients: checks, then handshakes, until each has keys.
pub fn connect(
    clients: &mut [Client],
    identity: &Identity,
    server: &Fingerprint,
    clock: Clock,
) -> io::Result<()> {
    let config = AssociationsConfig {
        certificate_der: identity.certificate.clone(),
        private_key_der: identity.key.clone(),
        seed: 1,
        limits: Limits::default(),
    };
    let mut associations = Associations::new(&config).map_err(io::Error::other)?;
    for wave in clients.chunks_mut(WAVE) {
        let mut wave = Wave { clients: wave, associations: &mut associations, server, clock };
        wave.connect()?;
    }
    Ok(())
}

/// Clients that connect at the same time.
struct Wave<'a> {
    clients: &'a mut [Client],
    associations: &'a mut Associations,
    server: &'a Fingerprint,
    clock: Clock,
}

impl Wave<'_> {
    fn connect(&mut self) -> io::Result<()> {
        let epoll = Epoll::new()?;
        for (number, client) in self.clients.iter().enumerate() {
            epoll.add(client.socket.as_raw_fd(), number)?;
        }
        let deadline = self.clock.now() + DEADLINE;
        while self.clients.iter().any(|client| client.keys.is_none()) {
            let now = self.clock.now();
            if now > deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            for client in self.clients.iter_mut().filter(|client| !client.validated) {
                if client.checked.is_none_or(|checked| checked + CHECK_AGAIN <= now) {
                    client.check(now)?;
                }
            }
            for number in epoll.wait(Duration::from_millis(5)) {
                self.receive(number);
            }
            if self.associations.poll_timeout().is_some_and(|due| due <= self.clock.now()) {
                self.associations.handle_timeout(self.clock.now());
            }
            self.deliver()?;
        }
        Ok(())
    }

    fn receive(&mut self, number: usize) {
        let mut buf = [0_u8; 2_048];
        while let Ok((len, _)) = self.clients[number].socket.recv_from(&mut buf) {
            let (now, transport) = (self.clock.now(), self.clients[number].id);
            let datagram = &buf[..len];
            match datagram.first() {
                Some(0..=3) => {
                    let answer = Message::parse(datagram);
                    if answer.is_some_and(|answer| answer.kind == stun::BINDING_SUCCESS) {
                        self.validated(now, number);
                    }
                }
                Some(20..=63) => {
                    let data = datagram.to_vec();
                    let message = ToAssociation::Datagram { transport, data };
                    self.associations.handle_lane(now, LaneId(0), message);
                }
                _ => {}
            }
        }
    }

    /// The first answer to a check: the handshake may start.
    fn validated(&mut self, now: Time, number: usize) {
        let client = &mut self.clients[number];
        if std::mem::replace(&mut client.validated, true) {
            return;
        }
        let (transport, peer) = (client.id, client.server);
        let remote = RemoteParameters {
            ufrag: String::new(),
            pwd: String::new(),
            fingerprints: vec![self.server.clone()],
            role: DtlsRole::Client,
            sctp: None,
        };
        for message in [
            ToAssociation::Added { transport },
            ToAssociation::Remote { transport, remote },
            ToAssociation::Selected { transport, path: Path::udp(0, peer) },
        ] {
            self.associations.handle_lane(now, LaneId(0), message);
        }
    }

    fn deliver(&mut self) -> io::Result<()> {
        while let Some(transmit) = self.associations.poll_transmit() {
            if let Some(client) = self.clients.iter().find(|c| c.id == transmit.transport) {
                client.socket.send_to(&transmit.datagram, transmit.path.peer)?;
            }
        }
        while let Some((_, message)) = self.associations.poll_lane() {
            match message {
                FromAssociation::Keys { transport, profile, local, remote } => {
                    let known = self.clients.iter_mut().find(|client| client.id == transport);
                    if let Some(client) = known {
                        client.keys = Some(Keys { profile, local, remote });
                    }
                }
                // The client's own paths are all UDP.
                FromAssociation::Datagram { .. } => {}
                FromAssociation::Closed { reason, .. } => {
                    return Err(io::Error::other(format!("closed: {}", reason.name())));
                }
            }
        }
        Ok(())
    }
}
