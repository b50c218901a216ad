//! Connectivity checks: from a STUN datagram to a validated address and an answer.
//!
//! The order of judgement is the table in [`crate::ice`]; here the tables of the lane are asked and kept
//! up to date, and the answer is written over the request, so it is never longer than it.

use std::time::Duration;

use aws_lc_rs::hmac;

use super::addresses::Seat;
use super::transport::Life;
use super::{Edge, EdgeEvent, Received};
use crate::association::{Path, ToAssociation};
use crate::drop::DropReason;
use crate::event::Event;
use crate::ice::{self, Accepted, Generation, Ice, Refusal};
use crate::ids::TransportId;
use crate::stun::{self, attribute, Message, Writer};
use crate::time::Time;

/// An address that serves one transport does not move to another one's check while it was heard of this
/// recently: whoever holds valid credentials could otherwise silence somebody by forging a source.
const IN_USE: Duration = Duration::from_secs(5);

/// A refusal, and the key that signs its answer if the check was authentic.
type Refused = (Refusal, Option<(u32, Generation)>);

impl Edge {
    /// A STUN datagram from `path`, which is validated if it has a seat.
    pub(super) fn handle_check<'a>(
        &mut self,
        now: Time,
        path: Path,
        seat: Option<Seat>,
        datagram: &'a mut [u8],
    ) -> Result<Received<'a>, DropReason> {
        if seat.is_none() && !self.gatekeeper.take(now, path) {
            return Err(DropReason::StunRate);
        }
        let message = Message::parse(datagram).ok_or(DropReason::StunBadFingerprint)?;
        if message.kind == stun::BINDING_SUCCESS {
            return self.handle_answer(now, path, &message, datagram);
        }
        match self.judge(now, seat, &message, datagram) {
            Ok((slot, generation)) => {
                self.accept(now, path, (slot, generation), (&message, datagram))?;
                if seat.is_none() {
                    self.gatekeeper.refund(path);
                }
                let key = self.slots[slot as usize].as_ref().map(|t| t.ice.key(generation));
                let len = key.and_then(|key| success(datagram, &message, path, key));
                reply(path, datagram, len).ok_or(DropReason::StunUnexpected)
            }
            Err((refusal, signer)) => {
                let may_answer = signer.is_some() || seat.is_some();
                let code = refusal.code.filter(|_| may_answer).ok_or(refusal.reason)?;
                if seat.is_some() && !self.gatekeeper.take(now, path) {
                    return Err(refusal.reason);
                }
                let key = signer.and_then(|(slot, generation)| {
                    self.slots[slot as usize].as_ref().map(|t| t.ice.key(generation))
                });
                let len = failure(datagram, &message, code, key);
                let answer = reply(path, datagram, len).ok_or(refusal.reason)?;
                self.drops.count(refusal.reason);
                Ok(answer)
            }
        }
    }

    /// The table of [`crate::ice`]; the slot that the check is for and the credentials it used.
    fn judge(
        &mut self,
        now: Time,
        seat: Option<Seat>,
        message: &Message,
        datagram: &[u8],
    ) -> Result<(u32, Generation), Refused> {
        ice::screen(message).map_err(unsigned)?;
        let (ours, _) = ice::username(message, datagram).map_err(unsigned)?;
        let slot = *self.by_ufrag.get(ours).ok_or_else(|| silent(DropReason::StunUnknownUfrag))?;
        if seat.is_none() && !self.gatekeeper.take_of_all(now) {
            return Err(silent(DropReason::StunRate));
        }
        // Time may have passed without a time-out: what is due must not be overtaken by a late check.
        self.run_due(now, slot);
        let Some(transport) = &self.slots[slot as usize] else {
            return Err(silent(DropReason::StunUnknownUfrag));
        };
        let generation = transport.ice.authenticate(message, datagram).map_err(unsigned)?;
        match transport.life {
            Life::Closed(_) => return Err(silent(DropReason::TransportClosed)),
            Life::Expired(_) if !transport.ice.revives(generation) => {
                return Err(silent(DropReason::ConsentExpired));
            }
            _ => {}
        }
        let signer = Some((slot, generation));
        Ice::object(message).map_err(|refusal| (refusal, signer))?;
        Ok((slot, generation))
    }

    /// Believes a check: the address is validated, the tables and whoever must know are told.
    fn accept(
        &mut self,
        now: Time,
        path: Path,
        (slot, generation): (u32, Generation),
        check: (&Message, &[u8]),
    ) -> Result<(), DropReason> {
        let owner = self.addresses.get(path).map(|seat| seat.slot).filter(|&owner| owner != slot);
        if let Some(other) = owner.and_then(|owner| self.slots[owner as usize].as_ref()) {
            let heard = other.ice.last_heard(path);
            if heard.is_some_and(|heard| now.since(heard) < IN_USE) {
                return Err(DropReason::PathTaken);
            }
        }
        let Some(transport) = &mut self.slots[slot as usize] else {
            return Err(DropReason::StunUnknownUfrag);
        };
        let accepted = transport.ice.accept(now, path, check, generation)?;
        if accepted.repeated {
            return Ok(());
        }
        transport.received.add(check.1.len());
        let (id, before) = (transport.id, std::mem::replace(&mut transport.life, Life::Open));
        if let Some(other) = owner.and_then(|owner| self.slots[owner as usize].as_mut()) {
            other.ice.forget(path);
        }
        self.addresses.insert(path, Seat { slot, place: accepted.place });
        self.tell(id, before, &accepted);
        self.drops.add(DropReason::TupleCap, accepted.crowded.into());
        self.addresses.remove_all(accepted.removed);
        if let Some(ufrag) = accepted.retired {
            self.by_ufrag.remove(&ufrag);
        }
        self.arm(slot);
        Ok(())
    }

    fn tell(&mut self, transport: TransportId, before: Life, accepted: &Accepted) {
        self.tell_alive(transport, before);
        match accepted.selected {
            Some(path) if accepted.first => {
                let event = Event::TransportValidated { transport };
                self.events.push_back(EdgeEvent::Event(event));
                self.tell_selected(transport, path);
            }
            Some(path) if matches!(before, Life::Expired(_)) => self.tell_selected(transport, path),
            Some(path) => self.tell_moved(transport, path),
            None => {}
        }
    }

    pub(super) fn tell_alive(&mut self, transport: TransportId, before: Life) {
        if before != Life::Open {
            self.events.push_back(EdgeEvent::Event(Event::TransportAlive { transport }));
        }
    }

    pub(super) fn tell_moved(&mut self, transport: TransportId, path: Path) {
        self.events.push_back(EdgeEvent::Event(Event::TransportMoved { transport }));
        self.tell_selected(transport, path);
    }

    pub(super) fn tell_selected(&mut self, transport: TransportId, path: Path) {
        let selected = ToAssociation::Selected { transport, path };
        self.events.push_back(EdgeEvent::Association(selected));
    }
}

fn unsigned(refusal: Refusal) -> Refused {
    (refusal, None)
}

fn silent(reason: DropReason) -> Refused {
    (Refusal { reason, code: None }, None)
}

fn reply(path: Path, datagram: &mut [u8], len: Option<usize>) -> Option<Received<'_>> {
    let bytes = datagram.get(..len?)?;
    Some(Received::Reply { path, bytes })
}

fn success(datagram: &mut [u8], message: &Message, path: Path, key: &hmac::Key) -> Option<usize> {
    let (value, len) = stun::xor_address(path.peer, &message.transaction);
    Writer::new(datagram, stun::BINDING_SUCCESS, &message.transaction)?
        .attribute(attribute::XOR_MAPPED_ADDRESS, &value[..len])?
        .integrity(key)?
        .finish()
}

/// An error answer (RFC 8489 section 14.8) without a reason phrase, signed if the request was authentic.
fn failure(
    datagram: &mut [u8],
    message: &Message,
    code: u16,
    key: Option<&hmac::Key>,
) -> Option<usize> {
    let class = [0, 0, (code / 100) as u8, (code % 100) as u8];
    let mut writer = Writer::new(datagram, stun::BINDING_ERROR, &message.transaction)?
        .attribute(attribute::ERROR_CODE, &class)?;
    if code == 420 {
        let mut types = [0u8; 16];
        for (slot, unknown) in types.chunks_exact_mut(2).zip(message.unknown()) {
            slot.copy_from_slice(&unknown.to_be_bytes());
        }
        let listed = &types[..2 * message.unknown().len()];
        writer = writer.attribute(attribute::UNKNOWN_ATTRIBUTES, listed)?;
    }
    match key {
        Some(key) => writer.integrity(key)?.finish(),
        None => writer.finish(),
    }
}
