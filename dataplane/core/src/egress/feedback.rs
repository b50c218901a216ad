//! What subscribers report (RFC 3550, RFC 4585, RFC 5104, transport-wide feedback): consumed here, never
//! relayed.
//!
//! In: RTCP compounds of a subscriber. Out: retransmissions in the sink, key-frame asks, and what the
//! statistics and the bandwidth estimate read.

use std::time::Duration;

use super::leg::Leg;
use super::report::{jitter_us, round_trip};
use super::track::Track;
use super::transport::{Moment, Transport};
use super::{Ask, Egress};
use crate::drop::DropReason;
use crate::ids::TransportId;
use crate::rtcp::nack::Nack;
use crate::rtcp::rr::ReportBlock;
use crate::rtcp::twcc::Feedback;
use crate::rtcp::{Compound, Packet};
use crate::sink::PacketSink;
use crate::stats::{kind_index, Downstream};
use crate::time::Time;

/// Key-frame requests that one leg may cause in a row, and how fast it earns new ones.
const MAX_PLEAS: u8 = 3;
const PLEA_INTERVAL: Duration = Duration::from_millis(3_333);

/// How many key-frame requests a leg has left.
#[derive(Debug)]
pub struct Pleas {
    left: u8,
    since: Time,
}

impl Default for Pleas {
    fn default() -> Self {
        Self { left: MAX_PLEAS, since: Time(0) }
    }
}

impl Pleas {
    /// Whether one more is granted.
    pub fn take(&mut self, now: Time) -> bool {
        while self.left < MAX_PLEAS && now.since(self.since) >= PLEA_INTERVAL {
            self.left += 1;
            self.since = self.since + PLEA_INTERVAL;
        }
        if self.left == MAX_PLEAS {
            self.since = now;
        }
        let granted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        granted
    }
}

/// A leg with what its service needs.
struct Found<'a> {
    leg: &'a mut Leg,
    stores: &'a [Option<Box<super::store::Store>>],
    transport: &'a mut Transport,
    clock_rate: u32,
    ask: Ask,
}

impl Egress {
    /// RTCP of a subscriber. What cannot be read was counted by ingress, which sees it first.
    pub fn handle_feedback(
        &mut self,
        now: Time,
        transport: TransportId,
        compound: &Compound<'_>,
        down: &mut [Downstream; 2],
        sink: &mut impl PacketSink,
    ) {
        let Some(&index) = self.transport_index.get(&transport) else { return };
        let moment = Moment::new(self.epoch, now);
        for packet in compound.iter().flatten() {
            match packet {
                Packet::ReceiverReport(report) => {
                    for block in report.blocks.iter() {
                        self.reported(moment, index, &block, down);
                    }
                }
                Packet::SenderReport(report) => {
                    for block in report.blocks.iter() {
                        self.reported(moment, index, &block, down);
                    }
                }
                Packet::Nack(nack) => self.missed(moment, index, &nack, sink),
                Packet::Pli(pli) => self.pleaded(moment, index, pli.media),
                Packet::Fir(fir) => {
                    for (ssrc, _) in fir.entries() {
                        self.counters.firs += 1;
                        self.pleaded(moment, index, ssrc);
                    }
                }
                Packet::Remb(remb) => {
                    if let Some(transport) = &mut self.transports[index] {
                        transport.remb = Some(remb.bitrate);
                    }
                }
                Packet::TransportFeedback(feedback) => self.arrived(index, &feedback),
                Packet::Sdes(_) | Packet::Bye(_) | Packet::Xr(_) => {}
            }
        }
    }

    /// A report block; those about other than our media streams are not ours to judge.
    fn reported(
        &mut self,
        moment: Moment,
        transport: usize,
        block: &ReportBlock,
        down: &mut [Downstream; 2],
    ) {
        let Some(found) = self.find(transport, block.ssrc) else { return };
        if found.leg.ssrc == block.ssrc {
            if let Some(loss_ppm) = found.leg.report.handle_losses(moment.now, block) {
                let jitter = jitter_us(block.jitter, found.clock_rate);
                down[kind_index(found.leg.kind)].record(loss_ppm, jitter);
            }
            if let Some(rtt) = round_trip(moment, block) {
                found.transport.note_rtt(rtt);
            }
        }
    }

    /// Packets that a receiver misses.
    fn missed(
        &mut self,
        moment: Moment,
        transport: usize,
        nack: &Nack<'_>,
        sink: &mut impl PacketSink,
    ) {
        for low in nack.sequences() {
            self.counters.nacks_received += 1;
            let Some(found) = self.find(transport, nack.media) else {
                self.drops.count(DropReason::FeedbackUnknownStream);
                continue;
            };
            let before = found.leg.repair.sent;
            let to = (found.transport, &mut *sink);
            let result = found.leg.handle_nack(moment, low, found.stores, to);
            let repaired = found.leg.repair.sent - before;
            self.counters.retransmitted += repaired;
            match result {
                Ok(_) => self.counters.closed += 1 - repaired,
                Err(reason) => self.drops.count(reason),
            }
        }
    }

    /// A receiver cannot go on without a key frame.
    fn pleaded(&mut self, moment: Moment, transport: usize, ssrc: u32) {
        self.counters.keyframe_requests += 1;
        let Some(found) = self.find(transport, ssrc) else {
            self.drops.count(DropReason::FeedbackUnknownStream);
            return;
        };
        if !found.leg.pleas.take(moment.now) {
            self.drops.count(DropReason::KeyframeFlood);
            return;
        }
        let ask = found.ask;
        self.asks.push(ask);
    }

    fn arrived(&mut self, transport: usize, feedback: &Feedback<'_>) {
        let Some(Some(transport)) = self.transports.get_mut(transport) else { return };
        let Some(wide) = &mut transport.wide else { return };
        let before = wide.counters().unknown;
        wide.join(feedback, |_| {});
        let unknown = wide.counters().unknown - before;
        self.drops.add(DropReason::FeedbackUnknownNumber, unknown);
    }

    fn find(&mut self, transport: usize, ssrc: u32) -> Option<Found<'_>> {
        let transport = self.transports.get_mut(transport)?.as_mut()?;
        let (track, leg) = transport.streams.get(&ssrc)?;
        let &(_, place) = self.leg_index.get(leg)?;
        let Track { legs, stores, home, id, clock_rate, .. } = self.tracks.get_mut(track)?;
        let leg = legs.get_mut(place)?;
        let stream = leg.selector.current().unwrap_or(0);
        let ask = Ask::Keyframe { home: *home, track: *id, stream };
        Some(Found { leg, stores, transport, clock_rate: *clock_rate, ask })
    }
}
