//! The map: everything that can happen to a lane, each line leading to the file that handles it.
//!
//! In: datagrams, commands, messages from the associations thread and from other lanes, time.
//! Out: sealed datagrams in the [`Outbox`], events, messages to the associations thread, relayed packets.

use crate::association::{FromAssociation, Path, ToAssociation};
use crate::command::Command;
use crate::event::Event;
use crate::ids::LaneId;
use crate::media::MediaPacket;
use crate::outbox::Outbox;
use crate::relay::{RelayControl, Relays};
use crate::stats::LaneStats;
use crate::time::{NtpEpoch, Time};

/// What a lane is told at birth.
#[derive(Clone, Debug)]
pub struct LaneConfig {
    /// Which lane this is.
    pub lane: LaneId,
    /// Wall clock at time zero.
    pub epoch: NtpEpoch,
    /// Seed of the lane's random numbers (first sequence numbers, report jitter).
    pub seed: u64,
    /// Consent time-out, RFC 7675.
    pub consent: std::time::Duration,
    /// Transports that may exist at once.
    pub max_transports: usize,
}

/// Messages that the caller collects after each batch of input.
#[derive(Debug, Default)]
pub struct LaneOutputs {
    /// For the control plane.
    pub events: Vec<Event>,
    /// For the associations thread.
    pub associations: Vec<ToAssociation>,
}

/// One lane's state: transports, tracks and legs that live here.
#[derive(Debug)]
pub struct Lane {
    outputs: LaneOutputs,
    outbox: Outbox,
}

impl Lane {
    /// An empty lane.
    pub fn new(_config: LaneConfig) -> Self {
        Self { outputs: LaneOutputs::default(), outbox: Outbox::default() }
    }

    /// A datagram from one of the lane's sockets. `arrival` is the kernel's receive time. The buffer is
    /// decrypted in place.
    pub fn handle_datagram(
        &mut self,
        _now: Time,
        _arrival: Time,
        _path: Path,
        _datagram: &mut [u8],
        _relays: &mut impl Relays,
    ) {
    }

    /// Ends the transport behind `path` because handling its datagram panicked: its state is not to be
    /// trusted. Tells the control plane `TransportClosed` with `Internal`; does nothing for an unknown path.
    pub fn discard(&mut self, _now: Time, _path: Path, _relays: &mut impl Relays) {}

    /// A command from the control plane.
    pub fn handle_command(&mut self, _now: Time, _command: Command, _relays: &mut impl Relays) {}

    /// A message from the associations thread.
    pub fn handle_association(&mut self, _now: Time, _message: FromAssociation) {}

    /// A packet of a track that lives on another lane.
    pub fn handle_relayed_media(&mut self, _now: Time, _packet: &MediaPacket<'_>) {}

    /// A control message from another lane.
    pub fn handle_relayed_control(
        &mut self,
        _now: Time,
        _from: LaneId,
        _message: RelayControl,
        _relays: &mut impl Relays,
    ) {
    }

    /// Time passed: everything that is due, is done.
    pub fn handle_timeout(&mut self, _now: Time, _relays: &mut impl Relays) {}

    /// When [`Lane::handle_timeout`] next has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// Sealed datagrams that wait to be sent; the caller drains it after each batch.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Messages that wait to be delivered; the caller drains them after each batch.
    pub fn outputs(&mut self) -> &mut LaneOutputs {
        &mut self.outputs
    }

    /// Plain numbers for the metrics page; called about once a second.
    pub fn stats(&self, _now: Time) -> LaneStats {
        LaneStats::default()
    }
}
