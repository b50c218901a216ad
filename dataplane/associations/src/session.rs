//! A verified connection: DTLS records in and out, with SCTP inside where it was negotiated. In: datagrams,
//! channel commands, time. Out: datagrams and events. It exists only behind a matching fingerprint.

use std::rc::Rc;

use conclave_core::command::RemoteParameters;
use conclave_core::ids::TransportId;
use conclave_core::time::Time;

use crate::config::Limits;
use crate::dcep::Open;
use crate::engine::{DtlsEngine, EngineEnd};
use crate::fingerprint;
use crate::outputs::Outputs;
use crate::prefilter::Prefilter;
use crate::refusal::Refusal;
use crate::sctp::Sctp;

/// A verified connection.
pub(crate) struct Session {
    transport: TransportId,
    engine: Box<dyn DtlsEngine>,
    filter: Prefilter,
    sctp: Option<Sctp>,
    kept: Vec<u8>,
}

impl Session {
    /// Goes on with a verified engine.
    pub fn new(transport: TransportId, (engine, filter): (Box<dyn DtlsEngine>, Prefilter)) -> Self {
        Self { transport, engine, filter, sctp: None, kept: Vec::new() }
    }

    /// The description changed: SCTP may have been negotiated since. False if the certificate that was
    /// verified is not among the fingerprints any more.
    pub fn describe(
        &mut self,
        now: Time,
        remote: &RemoteParameters,
        limits: &Limits,
        outputs: &mut Outputs,
    ) -> bool {
        if self.sctp.is_none() {
            if let Some(peer) = remote.sctp {
                self.sctp = Some(Sctp::new(now, self.transport, self.filter.role(), peer, limits));
                self.pump(now, outputs);
            }
        }
        self.engine
            .peer_certificate()
            .is_some_and(|certificate| fingerprint::matches(&remote.fingerprints, &certificate))
    }

    /// A datagram from the peer's path.
    pub fn handle_datagram(
        &mut self,
        now: Time,
        datagram: &[u8],
        outputs: &mut Outputs,
    ) -> Result<(), EngineEnd> {
        if self.sctp.as_mut().is_some_and(|sctp| !sctp.admits(now, datagram.len())) {
            outputs.refuse(Refusal::SctpRate);
            return Ok(());
        }
        self.filter.filter(datagram, &mut self.kept, &mut outputs.refusals);
        if self.kept.is_empty() {
            return Ok(());
        }
        let sctp = &mut self.sctp;
        let mut received = |packet: &[u8]| match sctp {
            Some(sctp) => sctp.handle_packet(now, packet),
            None => outputs.refuse(Refusal::SctpNotNegotiated),
        };
        let result = self.engine.handle_datagram(now, &self.kept, &mut received);
        self.pump(now, outputs);
        result
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Time, outputs: &mut Outputs) {
        if let Some(sctp) = &mut self.sctp {
            sctp.handle_timeout(now);
        }
        self.pump(now, outputs);
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.sctp.as_ref()?.poll_timeout()
    }

    /// Opens a channel.
    pub fn open(
        &mut self,
        now: Time,
        stream: Option<u16>,
        channel: (Open, bool),
        outputs: &mut Outputs,
    ) {
        match &mut self.sctp {
            Some(sctp) => sctp.open(now, stream, channel, outputs),
            None => outputs.refuse(Refusal::SctpNotNegotiated),
        }
        self.pump(now, outputs);
    }

    /// Sends a message on a channel.
    pub fn send(
        &mut self,
        now: Time,
        stream: u16,
        (ppid, payload): (u32, &Rc<Vec<u8>>),
        limits: &Limits,
        outputs: &mut Outputs,
    ) {
        let result = match &mut self.sctp {
            Some(sctp) => sctp.send(stream, ppid, payload, limits),
            None => Err(Refusal::SctpNotNegotiated),
        };
        match result {
            Ok(()) => self.pump(now, outputs),
            Err(reason) => outputs.refuse(reason),
        }
    }

    /// Closes a channel.
    pub fn close_channel(&mut self, now: Time, stream: u16, outputs: &mut Outputs) {
        match &mut self.sctp {
            Some(sctp) => sctp.close(stream, outputs),
            None => outputs.refuse(Refusal::SctpNotNegotiated),
        }
        self.pump(now, outputs);
    }

    /// Channels that are open.
    pub fn open_channels(&self) -> usize {
        self.sctp.as_ref().map_or(0, Sctp::open_channels)
    }

    /// Says goodbye.
    pub fn close(&mut self, now: Time) {
        self.engine.close(now);
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.engine.poll_transmit()
    }

    fn pump(&mut self, now: Time, outputs: &mut Outputs) {
        if let Some(sctp) = &mut self.sctp {
            let engine = &mut self.engine;
            sctp.pump(now, outputs, &mut |packet| engine.send(now, packet));
        }
    }
}
