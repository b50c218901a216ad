//! One peer's life: wait for path and description, shake hands, verify, carry data. In: what its lane and
//! the control plane say of it, time. Out: datagrams, keys, events. Keys leave only after the certificate
//! matched a signalled fingerprint.
//!
//! A ClientHello may arrive before the description that says who the peer is and which part is ours. It is
//! kept, a few datagrams of it: so no role has to be guessed, no engine is made for a stranger, and the
//! description's arrival starts the handshake without waiting for the peer's next try.

use std::rc::Rc;

use conclave_core::association::{FromAssociation, Path};
use conclave_core::command::{DtlsRole, RemoteParameters};
use conclave_core::event::CloseReason;
use conclave_core::ids::{LaneId, TransportId};
use conclave_core::time::Time;

use crate::config::{Limits, MAX_CHANNELS, MAX_DATAGRAM, MAX_EARLY_DATAGRAMS};
use crate::dcep::Open;
use crate::engine::{DtlsContext, KeyError};
use crate::fingerprint;
use crate::handshake::{Handshake, Progress};
use crate::outputs::{Outputs, Transmit};
use crate::prefilter::Prefilter;
use crate::refusal::Refusal;
use crate::session::Session;

/// What all associations share while one of them acts.
pub(crate) struct Shared {
    /// Makes engines.
    pub context: Box<dyn DtlsContext>,
    /// Bounds.
    pub limits: Limits,
    /// Handshakes that run now.
    pub handshaking: usize,
    /// What leaves.
    pub outputs: Outputs,
}

/// A channel that was asked for before the association was up.
struct EarlyOpen {
    stream: Option<u16>,
    channel: (Open, bool),
}

enum Phase {
    /// Path or description is missing.
    Gathering,
    /// Both are known; as server we wait for a ClientHello, as client for one of the handshake slots.
    Ready { deadline: Time },
    /// Holds a slot.
    Handshaking { handshake: Box<Handshake>, deadline: Time },
    /// Keys are out.
    Established(Box<Session>),
    /// Over; only its removal is still to come.
    Closed,
}

/// One peer.
pub(crate) struct Association {
    lane: LaneId,
    transport: TransportId,
    path: Option<Path>,
    remote: Option<RemoteParameters>,
    phase: Phase,
    early: Vec<Vec<u8>>,
    opens: Vec<EarlyOpen>,
}

impl Association {
    /// A peer of whom nothing is known yet.
    pub fn new(lane: LaneId, transport: TransportId) -> Self {
        Self {
            lane,
            transport,
            path: None,
            remote: None,
            phase: Phase::Gathering,
            early: Vec::new(),
            opens: Vec::new(),
        }
    }

    /// Whose socket it uses.
    pub fn lane(&self) -> LaneId {
        self.lane
    }

    /// Its description arrived or changed. Our part is fixed once the handshake may begin.
    pub fn handle_remote(&mut self, now: Time, remote: RemoteParameters, shared: &mut Shared) {
        let matches = match &mut self.phase {
            Phase::Established(session) => {
                session.describe(now, &remote, &shared.limits, &mut shared.outputs)
            }
            _ => true,
        };
        self.remote = Some(remote);
        if matches {
            self.gather(now, shared);
            self.verify(now, shared);
        } else {
            self.mismatch(now, shared);
        }
    }

    /// Where to send from now on.
    pub fn handle_selected(&mut self, now: Time, path: Path, shared: &mut Shared) {
        self.path = Some(path);
        if let Phase::Handshaking { handshake, .. } = &mut self.phase {
            handshake.hurry(now);
        }
        self.gather(now, shared);
    }

    /// Consent expired.
    pub fn handle_silenced(&mut self) {
        self.path = None;
    }

    /// A datagram from the validated path.
    pub fn handle_datagram(&mut self, now: Time, datagram: Vec<u8>, shared: &mut Shared) {
        if datagram.is_empty() {
            return shared.outputs.refuse(Refusal::DtlsEmpty);
        }
        if datagram.len() > MAX_DATAGRAM {
            return shared.outputs.refuse(Refusal::DtlsTooLong);
        }
        match &mut self.phase {
            Phase::Gathering if self.early.len() < MAX_EARLY_DATAGRAMS => self.early.push(datagram),
            Phase::Gathering => shared.outputs.refuse(Refusal::DtlsQueueFull),
            Phase::Ready { .. } => self.handle_hello(now, &datagram, shared),
            Phase::Handshaking { handshake, .. } => {
                let progress = handshake.handle_datagram(now, &datagram, &mut shared.outputs);
                self.follow(now, progress, shared);
            }
            Phase::Established(session) => {
                let result = session.handle_datagram(now, &datagram, &mut shared.outputs);
                self.flush(shared);
                if result.is_err() {
                    self.end(CloseReason::PeerClosed, shared);
                }
            }
            Phase::Closed => shared.outputs.refuse(Refusal::AssociationClosed),
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Time, shared: &mut Shared) {
        match &mut self.phase {
            Phase::Ready { deadline } | Phase::Handshaking { deadline, .. } if *deadline <= now => {
                self.fail(Refusal::DtlsTimeout, shared);
            }
            Phase::Handshaking { handshake, .. } if self.path.is_some() => {
                handshake.handle_timeout(now, &mut shared.outputs);
                self.flush(shared);
            }
            Phase::Established(session) => {
                session.handle_timeout(now, &mut shared.outputs);
                self.flush(shared);
            }
            // A handshake without a path wastes no try: the next selection hurries it.
            _ => {}
        }
    }

    /// When [`Association::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Ready { deadline } => Some(*deadline),
            Phase::Handshaking { handshake, deadline } => {
                let resend = self.path.and(handshake.poll_timeout());
                Some(resend.map_or(*deadline, |due| due.min(*deadline)))
            }
            Phase::Established(session) => session.poll_timeout(),
            Phase::Gathering | Phase::Closed => None,
        }
    }

    /// Whether it waits for a handshake slot to begin by itself.
    pub fn wants_slot(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. }) && self.role() == Some(DtlsRole::Client)
    }

    /// Begins as client; the caller saw a free slot.
    pub fn handle_slot(&mut self, now: Time, shared: &mut Shared) {
        if self.wants_slot() {
            self.begin(now, Prefilter::new(DtlsRole::Client), &[], shared);
        }
    }

    /// Opens a channel, now or once the association is up.
    pub fn open_channel(
        &mut self,
        now: Time,
        stream: Option<u16>,
        channel: (Open, bool),
        shared: &mut Shared,
    ) {
        match &mut self.phase {
            Phase::Established(session) => {
                session.open(now, stream, channel, &mut shared.outputs);
                self.flush(shared);
            }
            Phase::Closed => shared.outputs.refuse(Refusal::AssociationClosed),
            _ if self.opens.len() < MAX_CHANNELS => self.opens.push(EarlyOpen { stream, channel }),
            _ => shared.outputs.refuse(Refusal::ChannelLimit),
        }
    }

    /// Sends a message on a channel.
    pub fn send(
        &mut self,
        now: Time,
        stream: u16,
        message: (u32, &Rc<Vec<u8>>),
        shared: &mut Shared,
    ) {
        match &mut self.phase {
            Phase::Established(session) => {
                session.send(now, stream, message, &shared.limits, &mut shared.outputs);
                self.flush(shared);
            }
            Phase::Closed => shared.outputs.refuse(Refusal::AssociationClosed),
            _ => shared.outputs.refuse(Refusal::SendChannelUnknown),
        }
    }

    /// Closes a channel.
    pub fn close_channel(&mut self, now: Time, stream: u16, shared: &mut Shared) {
        match &mut self.phase {
            Phase::Established(session) => {
                session.close_channel(now, stream, &mut shared.outputs);
                self.flush(shared);
            }
            Phase::Closed => shared.outputs.refuse(Refusal::AssociationClosed),
            _ => self.opens.retain(|open| open.stream != Some(stream)),
        }
    }

    /// Channels that are open.
    pub fn open_channels(&self) -> usize {
        match &self.phase {
            Phase::Established(session) => session.open_channels(),
            _ => 0,
        }
    }

    /// Says goodbye and is over, without telling the lane: it asked for it, or everything ends.
    pub fn close(&mut self, now: Time, shared: &mut Shared) {
        match &mut self.phase {
            Phase::Handshaking { handshake, .. } => handshake.close(now),
            Phase::Established(session) => session.close(now),
            Phase::Gathering | Phase::Ready { .. } | Phase::Closed => return,
        }
        self.flush(shared);
        self.release(shared);
    }

    /// Gives up whatever it holds, when its state cannot be trusted any more.
    pub fn release(&mut self, shared: &mut Shared) {
        if let Phase::Handshaking { .. } = self.phase {
            shared.handshaking -= 1;
        }
        self.phase = Phase::Closed;
        self.early = Vec::new();
        self.opens = Vec::new();
    }

    fn role(&self) -> Option<DtlsRole> {
        self.remote.as_ref().map(|remote| remote.role)
    }

    /// Path and description may both be known now: what was kept is handled.
    fn gather(&mut self, now: Time, shared: &mut Shared) {
        let known = self.path.is_some() && self.remote.is_some();
        if matches!(self.phase, Phase::Gathering) && known {
            self.phase = Phase::Ready { deadline: now + shared.limits.handshake_deadline };
            for datagram in std::mem::take(&mut self.early) {
                self.handle_datagram(now, datagram, shared);
            }
        }
    }

    /// A first datagram: as server it begins the handshake if it is a ClientHello, as client it comes before
    /// its time.
    fn handle_hello(&mut self, now: Time, datagram: &[u8], shared: &mut Shared) {
        let outputs = &mut shared.outputs;
        if self.role() != Some(DtlsRole::Server) {
            return outputs.refuse(Refusal::DtlsUnexpectedMessage);
        }
        let (mut filter, mut kept) = (Prefilter::new(DtlsRole::Server), Vec::new());
        filter.filter(datagram, &mut kept, &mut outputs.refusals);
        if kept.is_empty() {
            return;
        }
        if !Prefilter::is_hello(&kept) {
            return outputs.refuse(Refusal::DtlsUnexpectedMessage);
        }
        if shared.handshaking >= shared.limits.handshakes {
            return outputs.refuse(Refusal::DtlsHandshakeLimit);
        }
        self.begin(now, filter, &kept, shared);
    }

    /// Takes a slot and an engine, and does the first step: as client without, as server with a hello.
    fn begin(&mut self, now: Time, filter: Prefilter, hello: &[u8], shared: &mut Shared) {
        let Phase::Ready { deadline } = self.phase else { return };
        match Handshake::new(shared.context.as_ref(), filter) {
            Ok(mut handshake) => {
                shared.handshaking += 1;
                let progress = if hello.is_empty() {
                    handshake.start(now)
                } else {
                    handshake.handle_records(now, hello, &mut shared.outputs)
                };
                self.phase = Phase::Handshaking { handshake: Box::new(handshake), deadline };
                self.follow(now, progress, shared);
            }
            Err(_) => self.fail(Refusal::DtlsFailed, shared),
        }
    }

    /// Does what a step of the handshake led to.
    fn follow(&mut self, now: Time, progress: Progress, shared: &mut Shared) {
        match (progress, &self.phase) {
            (Progress::HelloRefused, &Phase::Handshaking { deadline, .. }) => {
                // Its alert goes nowhere: a forged hello must not make us dismiss the honest peer.
                shared.handshaking -= 1;
                self.phase = Phase::Ready { deadline };
                shared.outputs.refuse(Refusal::DtlsHelloRefused);
            }
            (Progress::Failed, _) => {
                self.flush(shared);
                self.fail(Refusal::DtlsFailed, shared);
            }
            (Progress::Complete, _) => {
                self.flush(shared);
                self.verify(now, shared);
            }
            _ => self.flush(shared),
        }
    }

    /// Compares the certificate as soon as there is one and something to compare it with.
    fn verify(&mut self, now: Time, shared: &mut Shared) {
        let Phase::Handshaking { handshake, .. } = &self.phase else { return };
        let signalled = self.remote.as_ref().map_or(&[][..], |remote| &remote.fingerprints);
        if !handshake.is_complete() || signalled.is_empty() {
            return;
        }
        let engine = handshake.engine();
        let genuine = engine
            .peer_certificate()
            .is_some_and(|certificate| fingerprint::matches(signalled, &certificate));
        if !genuine {
            return self.mismatch(now, shared);
        }
        match engine.srtp_keys() {
            Ok(keys) => {
                let transport = self.transport;
                let keys = FromAssociation::Keys {
                    transport,
                    profile: keys.profile,
                    local: keys.local,
                    remote: keys.remote,
                };
                shared.outputs.lane(self.lane, keys);
                self.establish(now, shared);
            }
            Err(KeyError::NoProfile) => self.fail(Refusal::DtlsNoSrtpProfile, shared),
            Err(KeyError::NoExtendedMasterSecret) => {
                self.fail(Refusal::DtlsNoExtendedMasterSecret, shared);
            }
        }
    }

    fn establish(&mut self, now: Time, shared: &mut Shared) {
        let Phase::Handshaking { handshake, .. } =
            std::mem::replace(&mut self.phase, Phase::Closed)
        else {
            return;
        };
        shared.handshaking -= 1;
        shared.outputs.handshakes_completed += 1;
        let mut session = Session::new(self.transport, handshake.into_parts());
        if let Some(remote) = &self.remote {
            session.describe(now, remote, &shared.limits, &mut shared.outputs);
        }
        for EarlyOpen { stream, channel } in std::mem::take(&mut self.opens) {
            session.open(now, stream, channel, &mut shared.outputs);
        }
        self.phase = Phase::Established(Box::new(session));
        self.flush(shared);
    }

    fn mismatch(&mut self, now: Time, shared: &mut Shared) {
        shared.outputs.refuse(Refusal::DtlsFingerprint);
        if !matches!(self.phase, Phase::Established(_)) {
            shared.outputs.handshakes_failed += 1;
        }
        self.close(now, shared);
        self.end(CloseReason::FingerprintMismatch, shared);
    }

    fn fail(&mut self, reason: Refusal, shared: &mut Shared) {
        shared.outputs.refuse(reason);
        shared.outputs.handshakes_failed += 1;
        self.end(CloseReason::HandshakeFailed, shared);
    }

    fn end(&mut self, reason: CloseReason, shared: &mut Shared) {
        self.release(shared);
        shared.outputs.closed(self.lane, self.transport, reason);
    }

    /// Sends what the phase made.
    fn flush(&mut self, shared: &mut Shared) {
        loop {
            let datagram = match &mut self.phase {
                Phase::Handshaking { handshake, .. } => handshake.poll_transmit(),
                Phase::Established(session) => session.poll_transmit(),
                Phase::Gathering | Phase::Ready { .. } | Phase::Closed => None,
            };
            let Some(datagram) = datagram else { return };
            match self.path {
                Some(path) => shared.outputs.transmit(Transmit {
                    lane: self.lane,
                    path,
                    transport: self.transport,
                    datagram,
                }),
                None => shared.outputs.refuse(Refusal::PathSilenced),
            }
        }
    }
}
