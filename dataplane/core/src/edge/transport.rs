//! One transport: its agent, its keys and how far its life has come.
//!
//! In: what [`super::Edge`] found to be for it. Out: plaintext, permission to send, what is due when. It
//! knows no other transport and no table.

use std::time::Duration;

use aws_lc_rs::digest;

use super::hold::Hold;
use super::whereabouts::Asked;
use super::EdgeError;
use crate::association::{MasterKey, Path};
use crate::command::IceCredentials;
use crate::demux::Class;
use crate::drop::DropReason;
use crate::event::SrtpProfile;
use crate::hash::Keyed;
use crate::ice::Ice;
use crate::ids::TransportId;
use crate::srtp::{Inbound, Outbound, Suite};
use crate::stats::Flow;
use crate::time::Time;

/// Without a check for this long a transport is reported as stale: twice the cadence of a stable pair.
pub(super) const STALE: Duration = Duration::from_secs(5);
/// How long state is kept after consent expired or the transport was closed.
const RETAINED: Duration = Duration::from_secs(30);

/// How far a transport's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Nothing is wrong.
    Open,
    /// No check for [`STALE`].
    Stale,
    /// Consent expired: silent unless a restart succeeds before this time.
    Expired(Time),
    /// Over; kept until this time.
    Closed(Time),
}

/// What became of an SRTP or SRTCP datagram.
#[derive(Clone, Copy, Debug)]
pub(super) enum Media {
    /// Authenticated and decrypted.
    Opened { len: usize, duplicate: bool },
    /// Kept until the keys come.
    Held,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    BecameStale,
    ConsentExpired,
    Release,
}

#[derive(Debug)]
pub(super) struct Transport {
    pub id: TransportId,
    pub ice: Ice,
    pub life: Life,
    pub hold: Hold,
    /// The earliest timer that is armed for this transport.
    pub armed: Option<Time>,
    pub received: Flow,
    pub sent: Flow,
    /// Where it was asked whether it is there.
    pub asked: Option<Asked>,
    consent: Duration,
    keys: Option<Box<Keys>>,
}

#[derive(Debug)]
struct Keys {
    inbound: Inbound,
    outbound: Outbound,
    /// Tells a second installation of the same keys from a new handshake.
    mark: [u8; 32],
}

impl Transport {
    pub fn new(
        id: TransportId,
        local: &IceCredentials,
        consent: Duration,
        keyed: Keyed,
    ) -> Result<Self, EdgeError> {
        let ice = Ice::new(local, keyed).map_err(|_| EdgeError::BadCredentials)?;
        Ok(Self {
            id,
            ice,
            life: Life::Open,
            hold: Hold::default(),
            armed: None,
            received: Flow::default(),
            sent: Flow::default(),
            asked: None,
            consent,
            keys: None,
        })
    }

    /// See [`Ice::restart`]; an expired transport gets its time for a restart anew.
    pub fn restart(
        &mut self,
        now: Time,
        local: &IceCredentials,
    ) -> Result<Option<Box<[u8]>>, EdgeError> {
        match self.life {
            Life::Closed(_) => return Err(EdgeError::Closed),
            Life::Expired(_) => self.life = Life::Expired(now + RETAINED),
            Life::Open | Life::Stale => {}
        }
        self.ice.restart(local).map_err(|_| EdgeError::BadCredentials)
    }

    pub fn install_keys(
        &mut self,
        profile: SrtpProfile,
        (local, remote): (&MasterKey, &MasterKey),
        keyed: Keyed,
    ) -> Result<(), EdgeError> {
        if matches!(self.life, Life::Closed(_)) {
            return Err(EdgeError::Closed);
        }
        let mark = mark(local);
        if self.keys.as_ref().is_some_and(|keys| keys.mark == mark) {
            return Err(EdgeError::KeysInUse);
        }
        let derive = |master| Suite::derive(profile, master).map_err(|_| EdgeError::BadKeys);
        let inbound = Inbound::new(derive(remote)?, keyed);
        let outbound = Outbound::new(derive(local)?, keyed);
        self.keys = Some(Box::new(Keys { inbound, outbound, mark }));
        Ok(())
    }

    /// Ends it; `false` if it was over already.
    pub fn close(&mut self, now: Time) -> bool {
        self.keys = None;
        let was_open = !matches!(self.life, Life::Closed(_));
        if was_open {
            self.life = Life::Closed(now + RETAINED);
        }
        was_open
    }

    /// Whether anything but a check may pass.
    pub fn gate(&self, now: Time) -> Result<(), DropReason> {
        match self.life {
            Life::Closed(_) => Err(DropReason::TransportClosed),
            Life::Expired(_) => Err(DropReason::ConsentExpired),
            Life::Open | Life::Stale if self.consent_ends().is_some_and(|end| end <= now) => {
                Err(DropReason::ConsentExpired)
            }
            Life::Open | Life::Stale => Ok(()),
        }
    }

    /// Opens a media datagram in place, or keeps it if the keys are not there yet.
    pub fn open(
        &mut self,
        now: Time,
        (path, class): (Path, Class),
        datagram: &mut [u8],
    ) -> Result<Media, DropReason> {
        let Some(keys) = &mut self.keys else {
            return if self.hold.push(now, path, datagram) {
                Ok(Media::Held)
            } else {
                Err(DropReason::SrtpBeforeKeys)
            };
        };
        if class == Class::Rtcp {
            let len = keys.inbound.open_rtcp(now, datagram)?;
            return Ok(Media::Opened { len, duplicate: false });
        }
        let opened = keys.inbound.open_rtp(now, datagram)?;
        Ok(Media::Opened { len: opened.len, duplicate: opened.duplicate })
    }

    /// Seals a packet, if everything that must be there is there; where to send it and its length.
    pub fn send(
        &mut self,
        now: Time,
        seal: impl FnOnce(&mut Outbound) -> Result<usize, DropReason>,
    ) -> Result<(Path, usize), DropReason> {
        self.gate(now)?;
        let path = self.ice.selected().ok_or(DropReason::LegNotReady)?;
        let keys = self.keys.as_mut().ok_or(DropReason::LegNotReady)?;
        let len = seal(&mut keys.outbound)?;
        self.sent.add(len);
        Ok((path, len))
    }

    /// The selected address, if it was silent for `quiet` while the transport is otherwise well.
    pub fn selected_since(&self, now: Time, quiet: Duration) -> Option<Path> {
        self.gate(now).ok()?;
        let path = self.ice.selected()?;
        self.ice.last_heard(path).filter(|&heard| now.since(heard) >= quiet).map(|_| path)
    }

    /// Whether media of this sender were authentic before.
    pub fn knows_sender(&self, class: Class, datagram: &[u8]) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.inbound.knows(class == Class::Rtcp, datagram))
    }

    /// Whether a media datagram is authentic and new. Destroys it and changes nothing else.
    pub fn recognises(&self, class: Class, datagram: &mut [u8]) -> bool {
        self.keys
            .as_ref()
            .is_some_and(|keys| keys.inbound.recognises(class == Class::Rtcp, datagram))
    }

    pub fn pin_ssrc(&mut self, ssrc: u32) -> bool {
        self.keys.as_mut().is_some_and(|keys| keys.inbound.pin(ssrc))
    }

    pub fn ssrcs(&self) -> usize {
        self.keys.as_ref().map_or(0, |keys| keys.inbound.ssrcs())
    }

    /// When [`Transport::due`] next has something to say.
    pub fn deadline(&self) -> Option<Time> {
        let life = match self.life {
            Life::Open => self.ice.last_check().map(|last| last + STALE),
            Life::Stale => self.consent_ends(),
            Life::Expired(until) | Life::Closed(until) => Some(until),
        };
        [life, self.hold.deadline()].into_iter().flatten().min()
    }

    /// Moves on with life.
    pub fn due(&mut self, now: Time) -> Due {
        match self.life {
            Life::Open | Life::Stale if self.consent_ends().is_some_and(|end| end <= now) => {
                self.life = Life::Expired(now + RETAINED);
                Due::ConsentExpired
            }
            Life::Open if self.ice.last_check().is_some_and(|last| now.since(last) >= STALE) => {
                self.life = Life::Stale;
                Due::BecameStale
            }
            Life::Expired(until) | Life::Closed(until) if until <= now => Due::Release,
            _ => Due::Nothing,
        }
    }

    fn consent_ends(&self) -> Option<Time> {
        self.ice.last_check().map(|last| last + self.consent)
    }
}

fn mark(master: &MasterKey) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&master.key);
    context.update(&master.salt);
    let mut mark = [0u8; 32];
    mark.copy_from_slice(context.finish().as_ref());
    mark
}
