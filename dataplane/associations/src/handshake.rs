//! One handshake under way. In: datagrams, time. Out: flights, and at its end an engine with a certificate
//! to verify. It knows nothing of fingerprints, and gives no keys away.

use std::collections::VecDeque;
use std::time::Duration;

use conclave_core::command::DtlsRole;
use conclave_core::time::Time;

use crate::config::SetupError;
use crate::engine::{DtlsContext, DtlsEngine, EngineEnd};
use crate::outputs::Outputs;
use crate::prefilter::Prefilter;
use crate::refusal::Refusal;

/// The first wait for an answer. Media paths answer within it, and a lost flight costs little.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait: behind a lossy path the next try matters more than the few bytes it costs.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// An engine that is not done yet.
pub(crate) struct Handshake {
    engine: Box<dyn DtlsEngine>,
    filter: Prefilter,
    role: DtlsRole,
    wait: Duration,
    resend: Option<Time>,
    answered: bool,
    outgoing: VecDeque<Vec<u8>>,
    kept: Vec<u8>,
}

/// What a step led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not done.
    Pending,
    /// Done; the certificate can be verified.
    Complete,
    /// The library refused a ClientHello before we answered any: the next one deserves a fresh engine.
    HelloRefused,
    /// Over.
    Failed,
}

impl Handshake {
    /// A handshake with a fresh engine, behind a filter that may have let the first records through.
    pub fn new(context: &dyn DtlsContext, filter: Prefilter) -> Result<Self, SetupError> {
        let role = filter.role();
        Ok(Self {
            engine: context.engine(role)?,
            filter,
            role,
            wait: FIRST_WAIT,
            resend: None,
            answered: false,
            outgoing: VecDeque::new(),
            kept: Vec::new(),
        })
    }

    /// Sends the first flight, if that is our part.
    pub fn start(&mut self, now: Time) -> Progress {
        match self.role {
            DtlsRole::Server => Progress::Pending,
            DtlsRole::Client => {
                let result = self.engine.start(now);
                self.progress(now, result)
            }
        }
    }

    /// A datagram of the peer, or of somebody who sent it in the peer's name.
    pub fn handle_datagram(
        &mut self,
        now: Time,
        datagram: &[u8],
        outputs: &mut Outputs,
    ) -> Progress {
        let mut kept = std::mem::take(&mut self.kept);
        self.filter.filter(datagram, &mut kept, &mut outputs.refusals);
        let progress = self.handle_records(now, &kept, outputs);
        self.kept = kept;
        progress
    }

    /// Records that the filter let through; there may be none.
    pub fn handle_records(&mut self, now: Time, records: &[u8], outputs: &mut Outputs) -> Progress {
        if records.is_empty() {
            return Progress::Pending;
        }
        let mut early = |_: &[u8]| outputs.refuse(Refusal::DtlsEarlyData);
        let result = self.engine.handle_datagram(now, records, &mut early);
        self.progress(now, result)
    }

    /// Sends the last flight again if it is time. A library without more tries stays: the peer's own
    /// retransmissions may still bring the answer before the deadline.
    pub fn handle_timeout(&mut self, now: Time, outputs: &mut Outputs) {
        if self.resend.is_none_or(|due| now < due) {
            return;
        }
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.resend = self.engine.retransmit(now).then(|| now + self.wait);
        outputs.retransmissions += u64::from(self.collect());
    }

    /// When [`Handshake::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.resend
    }

    /// Sends the last flight again at the next time-out: the path is new.
    pub fn hurry(&mut self, now: Time) {
        if self.resend.is_some() {
            self.resend = Some(now);
        }
    }

    /// Whether the certificate can be verified.
    pub fn is_complete(&self) -> bool {
        self.engine.is_established()
    }

    /// The engine, to verify its certificate and to take its keys.
    pub fn engine(&self) -> &dyn DtlsEngine {
        self.engine.as_ref()
    }

    /// Ends it with an alert, authenticated if the handshake is complete.
    pub fn close(&mut self, now: Time) {
        self.engine.close(now);
        self.collect();
    }

    /// The engine and its filter, once the certificate is verified.
    pub fn into_parts(mut self) -> (Box<dyn DtlsEngine>, Prefilter) {
        self.filter.established();
        (self.engine, self.filter)
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.outgoing.pop_front()
    }

    fn progress(&mut self, now: Time, result: Result<(), EngineEnd>) -> Progress {
        if result.is_err() && self.role == DtlsRole::Server && !self.answered {
            return Progress::HelloRefused;
        }
        if self.collect() {
            self.answered = true;
            self.wait = FIRST_WAIT;
            self.resend = self.engine.awaits_reply().then(|| now + self.wait);
        }
        if result.is_err() {
            return Progress::Failed;
        }
        if self.engine.is_established() {
            self.resend = None;
            return Progress::Complete;
        }
        Progress::Pending
    }

    /// Takes the datagrams that the engine made, and says whether there were any.
    fn collect(&mut self) -> bool {
        let before = self.outgoing.len();
        while let Some(datagram) = self.engine.poll_transmit() {
            self.outgoing.push_back(datagram);
        }
        self.outgoing.len() > before
    }
}
