//! The edge of a lane: everything between a raw datagram and authenticated plaintext, and back. Sans-IO.
//!
//! In: datagrams with the address they came from, plaintext packets to seal, commands, time. Out: verified
//! plaintext, answers to connectivity checks, sealed packets with the address to send to, [`EdgeEvent`]s.
//! It must not let an unauthenticated byte out as media, nor let a stray datagram change any state.
//!
//! What happens to a datagram, in this order; every line that ends it counts the reason:
//!
//! | # | question | who asks | else |
//! |---|---|---|---|
//! | 1 | empty, too long, which class? | [`crate::demux`] | `demux_*` |
//! | 2 | validated address? | `addresses` (one hash) | DTLS, SRTP, SRTCP: `unvalidated_address` |
//! | 3 | STUN from elsewhere: rate of the source | `gatekeeper` | `stun_rate` |
//! | 4 | STUN: form, whose ufrag, rate of all, integrity | `connectivity`, [`crate::ice`] | `stun_*` |
//! | 5 | STUN: whose address, seen before? | `connectivity` | `path_taken`, `stun_replay` |
//! | 6 | open, consent fresh? | `transport` | `transport_closed`, `consent_expired` |
//! | 7 | SRTP: keys there? | `hold` | held back for a moment, then `srtp_before_keys` |
//! | 8 | SRTP: window, SSRC limits, tag | [`crate::srtp`] | `srtp_*`, `srtcp_*`, `ssrc_*` |
//!
//! Only line 4 makes an address validated, and only lines 4 and 8 touch liveness, selection or windows. A peer
//! whose media fail at line 2 may have moved: `whereabouts` asks there, and line 4 judges the answer.
//! On the way out: open, consent fresh, address selected, keys there, index unused; else a reason.

mod addresses;
mod clock;
mod connectivity;
mod error;
mod gatekeeper;
mod hold;
mod transport;
mod whereabouts;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::association::{MasterKey, Path, ToAssociation};
use crate::command::{IceCredentials, RemoteParameters};
use crate::demux::{self, Class};
use crate::drop::{DropCounters, DropReason};
use crate::event::{CloseReason, Event, SrtpProfile};
use crate::hash::{split, Keyed};
use crate::ice::Lost;
use crate::idmap::IdMap;
use crate::ids::TransportId;
use crate::stats::TransportStats;
use crate::time::Time;

pub use addresses::normalised;
pub use error::EdgeError;
pub use hold::Held;

use addresses::{Addresses, Seat};
use clock::Timers;
use gatekeeper::Gatekeeper;
use transport::{Media, Transport};
use whereabouts::Whereabouts;

/// Consent time-outs that may be configured (RFC 7675 says 30 s).
const CONSENT: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(60);

/// What the edge is told at birth.
#[derive(Clone, Copy, Debug)]
pub struct EdgeConfig {
    /// Secret seed of the lookup tables.
    pub seed: u64,
    /// Consent time-out; kept within 10 to 60 seconds.
    pub consent: Duration,
    /// Transports that may exist at once.
    pub max_transports: usize,
}

/// Something the lane has to pass on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EdgeEvent {
    /// To the control plane.
    Event(Event),
    /// To the associations thread.
    Association(ToAssociation),
    /// Send this Binding request: a peer may have moved there.
    Question {
        /// Where to.
        path: Path,
        /// The request.
        bytes: Vec<u8>,
    },
    /// A closed transport's time for a restart is over; the edge has forgotten it.
    Released(TransportId),
}

/// What became of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// Nothing to do; the reason is counted.
    Dropped(DropReason),
    /// Kept until the keys come; see [`Edge::take_held`].
    Held,
    /// A moved peer answered; it is sent to from now on.
    Answered,
    /// Send this answer, written over the request and never longer than it.
    Reply {
        /// Where to.
        path: Path,
        /// The answer.
        bytes: &'a [u8],
    },
    /// A DTLS record from a validated address; not authenticated.
    Dtls {
        /// Whose.
        transport: TransportId,
        /// The datagram.
        data: &'a [u8],
    },
    /// An authenticated RTP packet, decrypted in place.
    Rtp {
        /// Whose.
        transport: TransportId,
        /// Header and plaintext payload.
        packet: &'a mut [u8],
        /// It was here before (and is counted): tell transport-wide feedback, forward nothing.
        duplicate: bool,
    },
    /// An authenticated RTCP packet, decrypted in place.
    Rtcp {
        /// Whose.
        transport: TransportId,
        /// The compound packet.
        packet: &'a mut [u8],
    },
}

/// All transports of a lane.
#[derive(Debug)]
pub struct Edge {
    config: EdgeConfig,
    keyed: Keyed,
    slots: Vec<Option<Box<Transport>>>,
    free: Vec<u32>,
    by_id: IdMap<TransportId, u32>,
    by_ufrag: HashMap<Box<[u8]>, u32, Keyed>,
    addresses: Addresses,
    gatekeeper: Gatekeeper,
    timers: Timers,
    whereabouts: Whereabouts,
    events: VecDeque<EdgeEvent>,
    drops: DropCounters,
}

impl Edge {
    /// An edge without transports.
    pub fn new(config: EdgeConfig) -> Self {
        let keyed = Keyed::new(config.seed);
        let consent = config.consent.clamp(*CONSENT.start(), *CONSENT.end());
        Self {
            config: EdgeConfig { consent, ..config },
            keyed,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: IdMap::default(),
            by_ufrag: HashMap::with_hasher(keyed),
            addresses: Addresses::new(keyed),
            gatekeeper: Gatekeeper::new(Keyed::new(keyed.secret())),
            timers: Timers::default(),
            whereabouts: Whereabouts::new(Keyed::new(split(keyed.secret(), 1))),
            events: VecDeque::new(),
            drops: DropCounters::default(),
        }
    }

    /// A peer may now check with these credentials.
    pub fn add_transport(
        &mut self,
        id: TransportId,
        local: &IceCredentials,
    ) -> Result<(), EdgeError> {
        if self.by_id.contains_key(&id) {
            return Err(EdgeError::TransportExists);
        }
        if self.by_id.len() >= self.config.max_transports {
            return Err(EdgeError::TooManyTransports);
        }
        if self.by_ufrag.contains_key(local.ufrag.as_bytes()) {
            return Err(EdgeError::UfragTaken);
        }
        let transport = Transport::new(id, local, self.config.consent, self.keyed)?;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.slots[slot as usize] = Some(Box::new(transport));
        self.by_id.insert(id, slot);
        self.by_ufrag.insert(local.ufrag.as_bytes().into(), slot);
        Ok(())
    }

    /// The peer's description is known: from now on its checks must carry its ufrag.
    pub fn set_remote(
        &mut self,
        id: TransportId,
        remote: &RemoteParameters,
    ) -> Result<(), EdgeError> {
        let slot = self.slot_of(id)?;
        let Some(transport) = &mut self.slots[slot as usize] else { return Err(unknown()) };
        let removed = transport.ice.set_remote(&remote.ufrag, &remote.pwd);
        self.addresses.remove_all(removed.map_err(|_| EdgeError::BadCredentials)?);
        Ok(())
    }

    /// New credentials; the old ones work until the first check with the new ones.
    pub fn restart_ice(
        &mut self,
        now: Time,
        id: TransportId,
        local: &IceCredentials,
    ) -> Result<(), EdgeError> {
        let slot = self.slot_of(id)?;
        if self.by_ufrag.contains_key(local.ufrag.as_bytes()) {
            return Err(EdgeError::UfragTaken);
        }
        let Some(transport) = &mut self.slots[slot as usize] else { return Err(unknown()) };
        if let Some(retired) = transport.restart(now, local)? {
            self.by_ufrag.remove(&retired);
        }
        self.by_ufrag.insert(local.ufrag.as_bytes().into(), slot);
        Ok(())
    }

    /// Forgets a transport at once.
    pub fn remove_transport(&mut self, id: TransportId) -> Result<(), EdgeError> {
        let slot = self.by_id.remove(&id).ok_or(EdgeError::UnknownTransport)?;
        if let Some(mut transport) = self.slots[slot as usize].take() {
            for ufrag in transport.ice.ufrags() {
                self.by_ufrag.remove(ufrag);
            }
            self.addresses.remove_all(transport.ice.forget_all());
            self.drops.add(DropReason::SrtpBeforeKeys, transport.hold.clear());
            self.free.push(slot);
        }
        Ok(())
    }

    /// The DTLS handshake is done and its certificate is the signalled one. Feed what [`Edge::take_held`]
    /// returns afterwards.
    pub fn install_keys(
        &mut self,
        id: TransportId,
        profile: SrtpProfile,
        local: &MasterKey,
        remote: &MasterKey,
    ) -> Result<(), EdgeError> {
        let keyed = self.keyed;
        self.transport_mut(id)?.install_keys(profile, (local, remote), keyed)
    }

    /// A datagram that came before the keys, oldest first, to be handled again now that they are there.
    pub fn take_held(&mut self, now: Time, id: TransportId) -> Option<Held> {
        let slot = *self.by_id.get(&id)?;
        let transport = self.slots[slot as usize].as_mut()?;
        let late = transport.hold.expire(now);
        self.drops.add(DropReason::SrtpBeforeKeys, late);
        transport.hold.pop()
    }

    /// Ends a transport: nothing goes in or out any more, its keys are erased, and half a minute later it
    /// is released unless it was removed.
    pub fn close(
        &mut self,
        now: Time,
        id: TransportId,
        reason: CloseReason,
    ) -> Result<(), EdgeError> {
        let slot = self.slot_of(id)?;
        let Some(transport) = &mut self.slots[slot as usize] else { return Err(unknown()) };
        self.drops.add(DropReason::SrtpBeforeKeys, transport.hold.clear());
        if transport.close(now) {
            let event = Event::TransportClosed { transport: id, reason };
            self.events.push_back(EdgeEvent::Event(event));
        }
        self.arm(slot);
        Ok(())
    }

    /// Keeps the replay window of an SSRC that is forwarded, however many others come; `false` if no
    /// authenticated packet of it is known.
    pub fn pin_ssrc(&mut self, id: TransportId, ssrc: u32) -> bool {
        self.transport_mut(id).is_ok_and(|transport| transport.pin_ssrc(ssrc))
    }

    /// A datagram from one of the lane's sockets. Answers and plaintext are written over it.
    pub fn handle_datagram<'a>(
        &mut self,
        now: Time,
        path: Path,
        datagram: &'a mut [u8],
    ) -> Received<'a> {
        match self.receive(now, normalised(path), datagram) {
            Ok(received) => received,
            Err(reason) => {
                self.drops.count(reason);
                Received::Dropped(reason)
            }
        }
    }

    /// Seals the RTP packet `buf[..len]` in place; where to send it and its sealed length. At least
    /// [`crate::srtp::MAX_RTP_OVERHEAD`] bytes must follow it. The caller counts the reason.
    pub fn seal_rtp(
        &mut self,
        now: Time,
        id: TransportId,
        buf: &mut [u8],
        len: usize,
    ) -> Result<(Path, usize), DropReason> {
        self.leaving(id)?.send(now, |outbound| outbound.seal_rtp(buf, len))
    }

    /// Seals the RTCP packet `buf[..len]` in place; where to send it and its sealed length. At least
    /// [`crate::srtp::MAX_RTCP_OVERHEAD`] bytes must follow it. The caller counts the reason.
    pub fn seal_rtcp(
        &mut self,
        now: Time,
        id: TransportId,
        buf: &mut [u8],
        len: usize,
    ) -> Result<(Path, usize), DropReason> {
        self.leaving(id)?.send(now, |outbound| outbound.seal_rtcp(buf, len))
    }

    /// The address that a transport's packets go to, if they may go.
    pub fn selected(&self, now: Time, id: TransportId) -> Option<Path> {
        let slot = *self.by_id.get(&id)?;
        let transport = self.slots[slot as usize].as_ref()?;
        transport.gate(now).ok()?;
        transport.ice.selected()
    }

    /// The connection behind `path` broke or was closed: it is validated no more. If it was the selected
    /// one, another takes its place, or the transport is silent until the next check.
    pub fn disconnect(&mut self, path: Path) -> Option<TransportId> {
        let path = normalised(path);
        let seat = self.addresses.get(path)?;
        self.addresses.remove_all(vec![path]);
        let transport = self.seated(seat).ok()?;
        let (id, lost) = (transport.id, transport.ice.lose(path));
        match lost {
            Lost::Spare => {}
            Lost::Replaced(path) => self.tell_moved(id, path),
            Lost::Last => {
                let silenced = ToAssociation::Silenced { transport: id };
                self.events.push_back(EdgeEvent::Association(silenced));
            }
        }
        Some(id)
    }

    /// Whose validated address `path` is.
    pub fn owner(&mut self, path: Path) -> Option<TransportId> {
        let seat = self.addresses.get(normalised(path))?;
        self.seated(seat).ok().map(|transport| transport.id)
    }

    /// The next thing to pass on; call until there is none after each datagram, command and time-out.
    pub fn poll_event(&mut self) -> Option<EdgeEvent> {
        self.events.pop_front()
    }

    /// What was dropped, by reason; refusals to seal are the caller's to count.
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }

    /// How many transports there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many transports send over UDP and over TCP.
    pub fn connected(&self) -> [u64; 2] {
        let transports = self.slots.iter().flatten();
        transports.filter_map(|transport| transport.ice.selected()).fold([0; 2], |mut by, path| {
            by[usize::from(path.connection.is_some())] += 1;
            by
        })
    }

    /// Whether there is no transport.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// What each transport received (believed checks, DTLS, authenticated media) and sealed to send.
    pub fn transport_stats(&self) -> impl Iterator<Item = TransportStats> + '_ {
        self.slots.iter().flatten().map(|transport| TransportStats {
            transport: transport.id,
            rtt_us: None,
            received: transport.received,
            sent: transport.sent,
        })
    }

    /// How many SSRCs of a transport have a replay window.
    pub fn ssrcs(&self, id: TransportId) -> usize {
        let transport = self.by_id.get(&id).and_then(|&slot| self.slots[slot as usize].as_ref());
        transport.map_or(0, |transport| transport.ssrcs())
    }

    fn receive<'a>(
        &mut self,
        now: Time,
        path: Path,
        datagram: &'a mut [u8],
    ) -> Result<Received<'a>, DropReason> {
        let class = demux::classify(datagram)?;
        let seat = self.addresses.get(path);
        match (class, seat) {
            (Class::Stun, _) => self.handle_check(now, path, seat, datagram),
            (Class::Dtls, None) => Err(DropReason::UnvalidatedAddress),
            (Class::Rtp | Class::Rtcp, None) => {
                self.suspect(now, path, class, datagram);
                Err(DropReason::UnvalidatedAddress)
            }
            (Class::Dtls, Some(seat)) => {
                let transport = self.seated(seat)?;
                transport.gate(now)?;
                transport.received.add(datagram.len());
                Ok(Received::Dtls { transport: transport.id, data: datagram })
            }
            (Class::Rtp | Class::Rtcp, Some(seat)) => {
                self.handle_media(now, path, (class, seat), datagram)
            }
        }
    }

    fn handle_media<'a>(
        &mut self,
        now: Time,
        path: Path,
        (class, seat): (Class, Seat),
        datagram: &'a mut [u8],
    ) -> Result<Received<'a>, DropReason> {
        let transport = self.seated(seat)?;
        transport.gate(now)?;
        let id = transport.id;
        let media = transport.open(now, (path, class), datagram)?;
        transport.received.add(datagram.len());
        let Media::Opened { len, duplicate } = media else {
            self.arm(seat.slot);
            return Ok(Received::Held);
        };
        // Who gets a repetition counts it, once its arrival is noted for feedback.
        let heard = if duplicate { None } else { transport.ice.heard(now, seat.place) };
        if let Some(path) = heard {
            self.tell_moved(id, path);
        }
        let packet = &mut datagram[..len];
        Ok(match class {
            Class::Rtcp => Received::Rtcp { transport: id, packet },
            _ => Received::Rtp { transport: id, packet, duplicate },
        })
    }

    fn seated(&mut self, seat: Seat) -> Result<&mut Transport, DropReason> {
        let transport = self.slots[seat.slot as usize].as_deref_mut();
        transport.ok_or(DropReason::UnvalidatedAddress)
    }

    fn leaving(&mut self, id: TransportId) -> Result<&mut Transport, DropReason> {
        let slot = *self.by_id.get(&id).ok_or(DropReason::LegNotReady)?;
        self.slots[slot as usize].as_deref_mut().ok_or(DropReason::LegNotReady)
    }

    fn transport_mut(&mut self, id: TransportId) -> Result<&mut Transport, EdgeError> {
        let slot = self.slot_of(id)?;
        self.slots[slot as usize].as_deref_mut().ok_or(EdgeError::UnknownTransport)
    }

    fn slot_of(&self, id: TransportId) -> Result<u32, EdgeError> {
        self.by_id.get(&id).copied().ok_or(EdgeError::UnknownTransport)
    }
}

const fn unknown() -> EdgeError {
    EdgeError::UnknownTransport
}
