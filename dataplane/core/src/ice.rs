//! The ICE-lite agent of one transport (RFC 8445 section 2.5, RFC 8489, RFC 7675).
//!
//! In: connectivity checks of the peer. Out: whether to believe them, and which of the validated addresses
//! to send to. It writes neither answers nor the one check of ours; `edge` does that.
//!
//! A check is judged in this order, and the first failing line decides:
//!
//! | # | what | reason | answer |
//! |---|---|---|---|
//! | 1 | Binding request | `stun_unexpected` | 400 for another method, else none |
//! | 2 | FINGERPRINT last and right | `stun_bad_fingerprint` | 400 |
//! | 3 | PRIORITY there | `stun_no_priority` | 400 |
//! | 4 | USERNAME is `ours:theirs` | `stun_bad_username`, `stun_unknown_ufrag` | 400, none |
//! | 5 | MESSAGE-INTEGRITY right | `stun_bad_integrity` | 401 |
//! | 6 | every required attribute known | `stun_unknown_attribute` | 420 |
//! | 7 | the peer controls | `stun_role_conflict` | 487 |
//!
//! Answers of lines 1 to 5 go to validated addresses only: an unknown source that fails authentication
//! hears nothing, so nobody can probe for transports or have us answer to a forged source.

mod transactions;
mod tuples;

pub use tuples::{Tuple, MAX_TUPLES};

use aws_lc_rs::hmac;
use std::hash::BuildHasher;

use crate::association::Path;
use crate::command::IceCredentials;
use crate::drop::DropReason;
use crate::hash::Keyed;
use crate::stun::{Fingerprint, Message};
use crate::time::Time;

use transactions::{Repetition, Transactions};
use tuples::{Check, Tuples};

/// Lengths of ufrag and password (RFC 8839 section 5.4).
const UFRAG_LEN: std::ops::RangeInclusive<usize> = 4..=256;
const PWD_LEN: std::ops::RangeInclusive<usize> = 22..=256;

/// A check that is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Name under which it is counted.
    pub reason: DropReason,
    /// Error code of the answer, if there may be one.
    pub code: Option<u16>,
}

/// Which of our credentials a check used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Those before a restart that no check has confirmed yet.
    Previous,
    /// The newest.
    Current,
}

/// Ufrag or password of a length that ICE does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCredentials;

/// What a believed check changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Where the address is kept.
    pub place: u8,
    /// The first check that this transport ever believed.
    pub first: bool,
    /// The same request from the same address was here before: answer it, nothing else.
    pub repeated: bool,
    /// The address to send to, if it changed.
    pub selected: Option<Path>,
    /// Addresses that are no longer validated.
    pub removed: Vec<Path>,
    /// Whether one of them had to go because there were too many.
    pub crowded: bool,
    /// Our ufrag that is now retired.
    pub retired: Option<Box<[u8]>>,
}

/// What the end of a connection means for its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing: it was not the selected one.
    Spare,
    /// This address is selected instead.
    Replaced(Path),
    /// No address is left to send to until another one is checked.
    Last,
}

/// Our half of a credential pair.
struct Local {
    ufrag: Box<[u8]>,
    key: hmac::Key,
}

/// The peer's half of USERNAME.
#[derive(Debug, Default)]
struct Remote {
    current: Option<Box<[u8]>>,
    /// Signs what is asked of the peer; none if its password was not told.
    key: Option<hmac::Key>,
    /// Still accepted while both sides switch to new credentials.
    former: Option<Box<[u8]>>,
    /// Not told yet: any is accepted, and its addresses are dropped if they turn out to be another's.
    open: bool,
    /// A check with `current` was believed.
    used: bool,
}

/// State of the agent.
pub struct Ice {
    current: Local,
    previous: Option<Local>,
    /// A check with `current` was believed.
    current_used: bool,
    remote: Remote,
    tuples: Tuples,
    transactions: Transactions,
    generation: u32,
    last_check: Option<Time>,
    keyed: Keyed,
}

impl std::fmt::Debug for Ice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ice").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Lines 1 to 3 of the table: what can be judged without knowing the transport.
pub fn screen(message: &Message) -> Result<(), Refusal> {
    let class = (message.kind >> 4 & 1) | (message.kind >> 7 & 2);
    if class != 0 {
        return Err(Refusal { reason: DropReason::StunUnexpected, code: None });
    }
    let reason = if message.kind != crate::stun::BINDING_REQUEST {
        DropReason::StunUnexpected
    } else if message.fingerprint != Fingerprint::Right {
        DropReason::StunBadFingerprint
    } else if message.priority.is_none() {
        DropReason::StunNoPriority
    } else {
        return Ok(());
    };
    Err(Refusal { reason, code: Some(400) })
}

/// Line 4, first half: our and the peer's part of USERNAME.
pub fn username<'a>(
    message: &Message,
    datagram: &'a [u8],
) -> Result<(&'a [u8], &'a [u8]), Refusal> {
    let refusal = Refusal { reason: DropReason::StunBadUsername, code: Some(400) };
    let range = message.username.clone().ok_or(refusal)?;
    let name = datagram.get(range).ok_or(refusal)?;
    let colon = name.iter().position(|&byte| byte == b':').ok_or(refusal)?;
    let (ours, theirs) = (&name[..colon], &name[colon + 1..]);
    if theirs.is_empty() {
        return Err(refusal);
    }
    Ok((ours, theirs))
}

impl Ice {
    /// An agent that nobody has checked yet.
    pub fn new(local: &IceCredentials, keyed: Keyed) -> Result<Self, BadCredentials> {
        Ok(Self {
            current: Local::new(local)?,
            previous: None,
            current_used: false,
            remote: Remote { open: true, ..Remote::default() },
            tuples: Tuples::default(),
            transactions: Transactions::default(),
            generation: 0,
            last_check: None,
            keyed,
        })
    }

    /// The peer's ufrag is known, or changed. Returns the addresses that were validated under another one.
    pub fn set_remote(&mut self, ufrag: &str, pwd: &str) -> Result<Vec<Path>, BadCredentials> {
        if !UFRAG_LEN.contains(&ufrag.len()) {
            return Err(BadCredentials);
        }
        let ufrag: Box<[u8]> = ufrag.as_bytes().into();
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pwd.as_bytes());
        self.remote.key = (!pwd.is_empty()).then_some(key);
        self.remote.open = false;
        if self.remote.current.as_ref() != Some(&ufrag) {
            self.remote.former = self.remote.current.replace(ufrag);
            self.remote.used = false;
        }
        let known = [&self.remote.current, &self.remote.former];
        let known = known.map(|ufrag| ufrag.as_ref().map(|ufrag| self.keyed.hash_one(&**ufrag)));
        Ok(self.tuples.retain(|tuple| known.contains(&Some(tuple.peer))))
    }

    /// New credentials; those that work now stay valid until the first check with the new ones. Returns the
    /// ufrag that is retired at once, if there is one.
    pub fn restart(&mut self, local: &IceCredentials) -> Result<Option<Box<[u8]>>, BadCredentials> {
        let fresh = Local::new(local)?;
        let replaced = std::mem::replace(&mut self.current, fresh);
        // A pair that was never used is not worth keeping; the one before it still works.
        let retired = if self.current_used || self.previous.is_none() {
            self.previous.replace(replaced)
        } else {
            Some(replaced)
        };
        // Where the peer started it, its new ufrag came first and no check has used it yet.
        self.remote.open = self.remote.used || self.remote.current.is_none();
        self.current_used = false;
        self.generation += 1;
        Ok(retired.map(|local| local.ufrag))
    }

    /// Our ufrags that are valid now.
    pub fn ufrags(&self) -> impl Iterator<Item = &[u8]> {
        let previous = self.previous.as_ref().map(|local| &*local.ufrag);
        std::iter::once(&*self.current.ufrag).chain(previous)
    }

    /// Lines 4 (second half) and 5 of the table.
    pub fn authenticate(&self, message: &Message, datagram: &[u8]) -> Result<Generation, Refusal> {
        let (ours, theirs) = username(message, datagram)?;
        let generation = if ours == &*self.current.ufrag {
            Generation::Current
        } else if self.previous.as_ref().is_some_and(|local| ours == &*local.ufrag) {
            Generation::Previous
        } else {
            return Err(Refusal { reason: DropReason::StunUnknownUfrag, code: None });
        };
        if !self.remote.accepts(theirs) {
            return Err(Refusal { reason: DropReason::StunBadUsername, code: Some(400) });
        }
        if !message.integrity_holds(datagram, self.key(generation)) {
            return Err(Refusal { reason: DropReason::StunBadIntegrity, code: Some(401) });
        }
        Ok(generation)
    }

    /// Lines 6 and 7: an authentic check that is refused nevertheless.
    pub fn object(message: &Message) -> Result<(), Refusal> {
        if !message.unknown().is_empty() {
            return Err(Refusal { reason: DropReason::StunUnknownAttribute, code: Some(420) });
        }
        if message.controlled {
            return Err(Refusal { reason: DropReason::StunRoleConflict, code: Some(487) });
        }
        Ok(())
    }

    /// A check that passed every line came from `path`.
    pub fn accept(
        &mut self,
        now: Time,
        path: Path,
        (message, datagram): (&Message, &[u8]),
        generation: Generation,
    ) -> Result<Accepted, DropReason> {
        let from = self.keyed.hash_one(path);
        if let Some(repetition) = self.transactions.find(&message.transaction, from) {
            return match (repetition, self.tuples.find(path)) {
                (Repetition::SameAddress, Some(place)) => {
                    Ok(Accepted { place, repeated: true, ..Accepted::default() })
                }
                _ => Err(DropReason::StunReplay),
            };
        }
        self.transactions.remember(message.transaction, from);
        let theirs = username(message, datagram).map_err(|refusal| refusal.reason)?.1;
        let peer = self.keyed.hash_one(theirs);
        let mut accepted = Accepted { first: self.last_check.is_none(), ..Accepted::default() };
        self.last_check = Some(now);
        if generation == Generation::Current && !self.current_used {
            self.current_used = true;
            accepted.retired = self.previous.take().map(|local| local.ufrag);
            self.tuples.forget_nominations();
        }
        if self.remote.current.as_deref() == Some(theirs) {
            self.remote.used = true;
            self.remote.former = self.remote.former.take().filter(|_| self.previous.is_some());
        }
        let number = self.generation - u32::from(generation == Generation::Previous);
        let check = Check {
            path,
            peer,
            generation: number,
            priority: message.priority.unwrap_or(0),
            flagged: message.use_candidate,
            nomination: message.nomination,
        };
        let before = self.tuples.selected();
        accepted.crowded = self.tuples.make_room(now, path, &mut accepted.removed);
        accepted.place = self.tuples.checked(now, &check);
        accepted.selected = self.tuples.selected().filter(|&path| Some(path) != before);
        Ok(accepted)
    }

    /// The key that signs answers to checks of `generation`.
    pub fn key(&self, generation: Generation) -> &hmac::Key {
        match (generation, &self.previous) {
            (Generation::Previous, Some(local)) => &local.key,
            _ => &self.current.key,
        }
    }

    /// Authenticated media came from the address at `place`. Returns the address to send to if that
    /// changes: the selected one has been silent while this one delivers.
    pub fn heard(&mut self, now: Time, place: u8) -> Option<Path> {
        self.tuples.heard(now, place)
    }

    /// The peer answered from `path`: it moved there. None while no address is selected.
    pub fn moved(&mut self, now: Time, path: Path) -> Option<Accepted> {
        let mut accepted = Accepted { selected: Some(path), ..Accepted::default() };
        accepted.crowded = self.tuples.make_room(now, path, &mut accepted.removed);
        accepted.place = self.tuples.moved(now, path)?;
        self.last_check = Some(now);
        Some(accepted)
    }

    /// Signs what is asked of the peer.
    pub fn remote_key(&self) -> Option<&hmac::Key> {
        self.remote.key.as_ref()
    }

    /// USERNAME of what is asked of the peer: its ufrag, then ours as it knows it.
    pub fn username_there(&self) -> Option<Vec<u8>> {
        let previous = self.previous.as_ref().filter(|_| !self.current_used);
        let ours = &previous.unwrap_or(&self.current).ufrag;
        let theirs = self.remote.current.as_ref()?;
        Some([&**theirs, &b":"[..], &**ours].concat())
    }

    /// The address to send to.
    pub fn selected(&self) -> Option<Path> {
        self.tuples.selected()
    }

    /// When `path` was last heard of with something authentic.
    pub fn last_heard(&self, path: Path) -> Option<Time> {
        self.tuples.last_heard(path)
    }

    /// When the last check was believed.
    pub fn last_check(&self) -> Option<Time> {
        self.last_check
    }

    /// Whether a check of `generation` may bring a transport back whose consent expired: only one with
    /// credentials that were made since (RFC 7675 section 5.1).
    pub fn revives(&self, generation: Generation) -> bool {
        generation == Generation::Current && !self.current_used
    }

    /// `path` belongs to another transport from now on.
    pub fn forget(&mut self, path: Path) {
        self.tuples.retain(|tuple| tuple.path != path);
    }

    /// The connection behind `path` broke. What else is validated takes over, if anything is.
    pub fn lose(&mut self, path: Path) -> Lost {
        let before = self.tuples.selected();
        if !self.tuples.lose(path) || before != Some(path) {
            return Lost::Spare;
        }
        self.tuples.selected().map_or(Lost::Last, Lost::Replaced)
    }

    /// Every address has to be validated again. Returns those that were.
    pub fn forget_all(&mut self) -> Vec<Path> {
        self.tuples.forget_nominations();
        self.tuples.retain(|_| false)
    }
}

impl Local {
    fn new(credentials: &IceCredentials) -> Result<Self, BadCredentials> {
        let IceCredentials { ufrag, pwd } = credentials;
        let sound = UFRAG_LEN.contains(&ufrag.len()) && PWD_LEN.contains(&pwd.len());
        if !sound || ufrag.contains(':') {
            return Err(BadCredentials);
        }
        Ok(Self {
            ufrag: ufrag.as_bytes().into(),
            key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, pwd.as_bytes()),
        })
    }
}

impl Remote {
    fn accepts(&self, ufrag: &[u8]) -> bool {
        self.open || self.current.as_deref() == Some(ufrag) || self.former.as_deref() == Some(ufrag)
    }
}
