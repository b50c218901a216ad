//! Where a peer is whose address changed without its knowing: a NAT forgot it, or it moved to another network.
//!
//! Its media then come from an address that nobody validated, and its next check is up to 2.5 s away. The
//! media are dropped, but if they are authentic while the selected address is quiet, the address is asked: a
//! Binding request to which only the peer has the key. Its answer from there shows that it is there and wants
//! what we send, as a check does (RFC 8445 section 7.2.5.2, RFC 7675 section 5.1). Questions are rare, small
//! and never longer than what a check costs, and nothing but an answer changes where packets go.

use crate::association::Path;
use crate::demux::{Class, MAX_DATAGRAM};
use crate::drop::DropReason;
use crate::hash::{split, Keyed};
use crate::rate::{Bucket, Limit};
use crate::stun::{self, attribute, Fingerprint, Message, TransactionId, Writer};
use crate::time::Time;
use std::hash::BuildHasher;
use std::time::Duration;

use super::addresses::Seat;
use super::transport::{Life, Transport};
use super::{Edge, EdgeEvent, Received};

/// Silence of the selected address that is more than jitter: five audio packets.
const QUIET: Duration = Duration::from_millis(100);
/// An address is asked again after this long without an answer.
const AGAIN: Duration = Duration::from_millis(50);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(1);
/// Searches for the sender of media; each looks at every transport of the lane, a microsecond for some tens.
const SEARCHES: Limit = Limit::new(200, 200);
/// Transports whose keys are tried in one search: those who only receive all report under the same SSRC.
const TRIES: usize = 16;
/// Addresses that were looked at lately; what meets another one's place is looked at again, which is harmless.
const REMEMBERED: usize = 256;
/// Room for the longest question: both ufrags, and what every check has.
const QUESTION: usize = 640;

/// A question that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    path: Path,
    transaction: TransactionId,
    at: Time,
}

/// What is remembered between two stray packets.
#[derive(Debug)]
pub(super) struct Whereabouts {
    keyed: Keyed,
    searches: Bucket,
    seen: Vec<(u64, Time)>,
    questions: u64,
}

impl Whereabouts {
    pub fn new(keyed: Keyed) -> Self {
        let seen = vec![(0, Time::from_millis(0)); REMEMBERED];
        Self { keyed, searches: Bucket::default(), seen, questions: 0 }
    }

    /// Whether to look at media from `path`: not if it was done a moment ago, nor too often for all.
    fn look(&mut self, now: Time, path: Path) -> bool {
        let hash = self.keyed.hash_one(path) | 1;
        let place = &mut self.seen[hash as usize / 2 % REMEMBERED];
        if (place.0 == hash && now.since(place.1) < AGAIN) || !self.searches.take(now, SEARCHES) {
            return false;
        }
        *place = (hash, now);
        true
    }

    /// Unlike any before; the slot in it finds the transport again.
    fn transaction(&mut self, slot: u32) -> TransactionId {
        self.questions += 1;
        let mut id = [0; 12];
        id[..8].copy_from_slice(&split(self.keyed.secret(), self.questions).to_be_bytes());
        id[8..].copy_from_slice(&slot.to_be_bytes());
        id
    }
}

impl Edge {
    /// Media came from an address that is nobody's: asks there, if they are a peer's that may have moved.
    pub(super) fn suspect(&mut self, now: Time, path: Path, class: Class, datagram: &[u8]) {
        if !self.whereabouts.look(now, path) {
            return;
        }
        let Some(slot) = self.find_sender(now, path, class, datagram) else { return };
        let Some(transport) = &mut self.slots[slot as usize] else { return };
        let open = transport.asked.filter(|a| a.path == path && now.since(a.at) < PATIENCE);
        let asked = open.unwrap_or_else(|| {
            let transaction = self.whereabouts.transaction(slot);
            Asked { path, transaction, at: now }
        });
        transport.asked = Some(asked);
        if let Some(bytes) = question(transport, &asked.transaction) {
            self.events.push_back(EdgeEvent::Question { path, bytes });
        }
    }

    /// A success response: an address that was asked answered.
    pub(super) fn handle_answer<'a>(
        &mut self,
        now: Time,
        path: Path,
        message: &Message,
        datagram: &'a mut [u8],
    ) -> Result<Received<'a>, DropReason> {
        let slot = u32::from_be_bytes(message.transaction[8..].try_into().unwrap_or_default());
        let transport = self.slots.get_mut(slot as usize).and_then(Option::as_deref_mut);
        let transport = transport.ok_or(DropReason::StunUnexpected)?;
        let asked = transport.asked.ok_or(DropReason::StunUnexpected)?;
        if asked.transaction != message.transaction
            || asked.path != path
            || now.since(asked.at) >= PATIENCE
            || message.fingerprint != Fingerprint::Right
            || !matches!(transport.life, Life::Open | Life::Stale)
        {
            return Err(DropReason::StunUnexpected);
        }
        let key = transport.ice.remote_key().ok_or(DropReason::StunUnexpected)?;
        if !message.integrity_holds(datagram, key) {
            return Err(DropReason::StunBadIntegrity);
        }
        transport.asked = None;
        let moved = transport.ice.moved(now, path).ok_or(DropReason::StunUnexpected)?;
        let (id, before) = (transport.id, std::mem::replace(&mut transport.life, Life::Open));
        transport.received.add(datagram.len());
        self.addresses.remove_all(moved.removed);
        self.addresses.insert(path, Seat { slot, place: moved.place });
        self.gatekeeper.refund(path);
        self.tell_alive(id, before);
        self.tell_moved(id, path);
        self.arm(slot);
        Ok(Received::Answered)
    }

    /// The transport whose keys open the packet, among those whose selected address is quiet and who know the
    /// SSRC. A NAT that forgets somebody rarely gives another public address, so those come first.
    fn find_sender(&self, now: Time, path: Path, class: Class, datagram: &[u8]) -> Option<u32> {
        let quiet = |transport: &Transport| {
            let ours = transport.selected_since(now, QUIET);
            ours.filter(|_| transport.knows_sender(class, datagram)).map(|ours| ours.peer.ip())
        };
        let mut tries = 0;
        for near in [true, false] {
            for (slot, transport) in self.slots.iter().enumerate() {
                let Some(transport) = transport else { continue };
                if quiet(transport).is_none_or(|ip| (ip == path.peer.ip()) != near) {
                    continue;
                }
                let mut copy = [0u8; MAX_DATAGRAM];
                let copy = copy.get_mut(..datagram.len())?;
                copy.copy_from_slice(datagram);
                if transport.recognises(class, copy) {
                    return Some(slot as u32);
                }
                tries += 1;
                if tries == TRIES {
                    return None;
                }
            }
        }
        None
    }
}

/// A check of ours, in the controlled role: the peer controls.
fn question(transport: &Transport, transaction: &TransactionId) -> Option<Vec<u8>> {
    let mut buf = [0u8; QUESTION];
    let len = Writer::new(&mut buf, stun::BINDING_REQUEST, transaction)?
        .attribute(attribute::USERNAME, &transport.ice.username_there()?)?
        .attribute(attribute::PRIORITY, &PRIORITY.to_be_bytes())?
        .attribute(attribute::ICE_CONTROLLED, &transaction[..8])?
        .integrity(transport.ice.remote_key()?)?
        .finish()?;
    Some(buf[..len].to_vec())
}

/// Of a peer-reflexive candidate, component 1 (RFC 8445 section 5.1.2).
const PRIORITY: u32 = 110 << 24 | 65_535 << 8 | 255;
