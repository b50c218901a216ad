//! One (subscriber, track) stream: from a packet of the track to a packet on the subscriber's wire.
//!
//! In: packets of the track with what ingress knows of them. Out: written packets in the sink, under
//! numbers, times and codec ids of this leg alone. The order of work: route (which stream), place (which
//! number could it get), gate (does it pass), number, write. Nothing decided is ever taken back.

use super::block::Block;
use super::feedback::Pleas;
use super::gate::{Age, Gate, Refusal, Verdict};
use super::history::{History, Sent};
use super::packet::{Head, Original, Outgoing};
use super::repair::Repair;
use super::report::Report;
use super::selector::{Route, Selector};
use super::sequence::{Given, Place, Sequence, Source};
use super::store::Store;
use super::timeline::{Joint, TimeLine};
use super::transport::{Moment, Retired, Transport};
use crate::codec::red;
use crate::command::{AddLeg, PayloadMap};
use crate::drop::DropReason;
use crate::ids::LegId;
use crate::media::{MediaKind, MediaPacket, PacketMeta, Span};
use crate::sink::PacketSink;
use crate::stats::{Flow, LegStats};
use crate::time::Time;

/// What a leg is born with besides its command.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    /// Streams of the track that arrive.
    pub active: u8,
    /// Index of its transport.
    pub transport: usize,
    /// First number of the media stream and of the retransmissions, first time stamp.
    pub media: Retired,
    /// First number of the retransmissions.
    pub rtx: u64,
}

/// One leg.
#[derive(Debug)]
pub struct Leg {
    /// Which.
    pub id: LegId,
    /// Index of its transport.
    pub transport: usize,
    /// Layer selection.
    pub selector: Selector,
    /// Something about it changed that the lane should look at.
    pub attention: bool,
    /// Layer on the wire as it was told to the control plane.
    pub told: Option<u8>,
    pub(super) kind: MediaKind,
    pub(super) ssrc: u32,
    pub(super) block: Block,
    pub(super) sequence: Sequence,
    pub(super) times: TimeLine,
    pub(super) repair: Repair,
    pub(super) report: Report,
    pub(super) pleas: Pleas,
    pub(super) history: Option<History>,
    /// Number of the first packet of the last key frame.
    pub(super) key: u64,
    payloads: Vec<PayloadMap>,
    gate: Gate,
    /// The newest frame sent is not complete.
    pub(super) open: bool,
    sent: Flow,
}

/// What was decided about a packet.
#[derive(Clone, Copy, Debug)]
struct Cast {
    given: Given,
    t: u64,
    verdict: Verdict,
    payload: usize,
    /// The payload to be carried, inside the publisher's packet.
    span: Span,
}

impl Leg {
    /// A paused leg.
    pub fn new(command: &AddLeg, birth: Birth) -> Self {
        let nackable =
            command.rtx_ssrc.is_some() && command.payloads.iter().any(|p| p.rtx.is_some());
        Self {
            id: command.leg,
            transport: birth.transport,
            selector: Selector::new(command.kind, birth.active),
            attention: false,
            told: None,
            kind: command.kind,
            ssrc: command.ssrc,
            block: Block::new(&command.mid, &command.extensions),
            sequence: match birth.media.sent_at {
                Some(_) => Sequence::after_another(birth.media.next),
                None => Sequence::new(birth.media.next),
            },
            times: TimeLine::new(birth.media.t, birth.media.sent_at),
            repair: Repair::new(command.rtx_ssrc.filter(|_| nackable), birth.rtx),
            report: Report::new(&command.cname, birth.media.counts),
            pleas: Pleas::default(),
            history: nackable.then(History::default),
            key: 0,
            payloads: command.payloads.clone(),
            gate: Gate::Plain,
            open: false,
            sent: Flow::default(),
        }
    }

    /// Whether lost packets can be sent again.
    pub fn can_repair(&self) -> bool {
        self.history.is_some()
    }

    /// The layer on the wire: the spatial layer where the stream has several, else the stream.
    pub fn visible(&self) -> Option<u8> {
        self.selector.current().map(|stream| self.gate.spatial().unwrap_or(stream))
    }

    /// Forwards one packet of the track, or tells why not. Returns the sealed length.
    pub fn forward(
        &mut self,
        moment: Moment,
        packet: &MediaPacket<'_>,
        transport: &mut Transport,
        sink: &mut impl PacketSink,
    ) -> Result<usize, DropReason> {
        transport.takes(self.kind)?;
        let cast = self.admit(moment, packet)?;
        self.emit(moment, packet, &cast, (transport, sink))
    }

    /// Whether the source on the wire began with this very packet.
    pub fn starts_with(&self, meta: &PacketMeta) -> bool {
        self.sequence.starts_with(source(meta), meta.n)
    }

    /// Sends the packets between a late start and the newest of its stream, which went by before; how many
    /// of them.
    pub fn replay(
        &mut self,
        moment: Moment,
        between: std::ops::Range<u64>,
        store: Option<&Store>,
        (transport, sink): (&mut Transport, &mut impl PacketSink),
    ) -> u64 {
        let (Some(store), Some(source)) = (store, self.sequence.source()) else { return 0 };
        let passed = between.map(|n| n + 1).filter_map(|n| store.recent(source, n));
        passed.filter(|packet| self.forward(moment, packet, transport, sink).is_ok()).count() as u64
    }

    fn admit(&mut self, moment: Moment, packet: &MediaPacket<'_>) -> Result<Cast, DropReason> {
        let meta = packet.meta;
        let route = self.selector.route(moment.now, meta, self.sequence.source());
        if route.is_err() && self.selector.current() == Some(meta.stream) {
            // The publisher started over and its first key frame did not come through.
            self.want_keyframe(moment, meta.stream);
        }
        match route? {
            Route::Begin(joint) => self.begin(moment, packet, joint),
            Route::Continue => self.carry_on(moment, packet),
        }
    }

    /// A source goes on the wire with this packet.
    fn begin(
        &mut self,
        moment: Moment,
        packet: &MediaPacket<'_>,
        joint: Joint,
    ) -> Result<Cast, DropReason> {
        let meta = packet.meta;
        let (payload, span) = self.carried(packet)?;
        if !self.fits(packet, span) {
            return Err(DropReason::TooBig);
        }
        self.times.join(moment.now, self.kind, meta, joint)?;
        if meta.line.is_none() && self.selector.current().is_some() {
            self.selector.started_untied(meta.stream);
        }
        let verdict = self.gate.begin(packet, self.selector.cap());
        let given = self.sequence.switch(moment.now, source(meta), meta.n, !self.open);
        self.selector.started(moment.now, meta.stream);
        self.key = given.n;
        self.attention = true;
        Ok(Cast { given, t: self.times.map(meta.t, false), verdict, payload, span })
    }

    /// A packet of the source on the wire, or a late one of the source before.
    fn carry_on(&mut self, moment: Moment, packet: &MediaPacket<'_>) -> Result<Cast, DropReason> {
        let meta = packet.meta;
        let place = self.sequence.locate(moment.now, source(meta), meta.n)?;
        if meta.padding_only {
            self.sequence.exclude(place, meta.n, false);
            return Err(DropReason::PaddingOnly);
        }
        let (payload, span) = self.carried(packet).inspect_err(|_| {
            self.sequence.skip(place, meta.n);
        })?;
        let age = match place {
            Place::Newest => Age::Newest,
            Place::Hole { draining: false, .. } => Age::Late,
            Place::Hole { draining: true, .. } => Age::Draining,
        };
        let verdict = self
            .gate
            .decide(packet, age, self.selector.cap())
            .map_err(|refusal| self.refuse(moment, place, meta, refusal))?;
        if !self.fits(packet, span) {
            self.sequence.skip(place, meta.n);
            return Err(DropReason::TooBig);
        }
        let given = self.sequence.accept(place, meta.n);
        if given.jumped {
            self.want_keyframe(moment, meta.stream);
        }
        if meta.frame.keyframe && meta.frame.start && given.newest {
            self.key = given.n;
            self.selector.keyframe_sent(meta.stream);
        }
        let t = self.times.map(meta.t, age == Age::Draining);
        Ok(Cast { given, t, verdict, payload, span })
    }

    /// The gate keeps a packet off the wire. What the gate knows nothing of stays a hole: it may be wanted.
    fn refuse(
        &mut self,
        moment: Moment,
        place: Place,
        meta: &PacketMeta,
        refusal: Refusal,
    ) -> DropReason {
        if refusal.reason == DropReason::LateNoMapping {
            self.sequence.skip(place, meta.n);
        } else {
            self.sequence.exclude(place, meta.n, refusal.gap_too);
        }
        if self.gate.needs_keyframe() {
            self.want_keyframe(moment, meta.stream);
        }
        refusal.reason
    }

    fn want_keyframe(&mut self, moment: Moment, stream: u8) {
        self.selector.want_keyframe(moment.now, stream);
        self.attention = true;
    }

    /// Writes the packet into the sink and notes what a later question about it needs.
    fn emit(
        &mut self,
        moment: Moment,
        packet: &MediaPacket<'_>,
        cast: &Cast,
        (transport, sink): (&mut Transport, &mut impl PacketSink),
    ) -> Result<usize, DropReason> {
        let meta = packet.meta;
        let outgoing = Outgoing {
            head: self.head(cast),
            block: &self.block,
            original: original(packet, cast.span),
            patch: cast.verdict.patch,
            osn: None,
        };
        let stamps = transport.stamps(moment);
        let sent = sink.send_rtp(transport.id, self.kind, |slot| outgoing.write(slot, stamps));
        if sent.is_err_and(is_cut_off) {
            self.selector.interrupt(moment.now);
            self.attention = true;
            return sent;
        }
        if cast.given.newest {
            self.times.sent(moment.now, meta, cast.t);
            self.open = self.kind == MediaKind::Video && !meta.frame.end;
        }
        if let Some(history) = &mut self.history {
            let place = (cast.given.n, meta.n);
            let mut entry = Sent::new(moment.now, place, cast.t, cast.verdict.patch);
            entry.late = !cast.given.newest;
            history.put(entry.from(source(meta), cast.payload, cast.verdict.marker));
        }
        let length = sent?;
        transport.sent(moment, length);
        let payload = usize::from(cast.span.end - cast.span.start);
        self.account(moment, length, payload);
        Ok(length)
    }

    fn account(&mut self, moment: Moment, length: usize, payload: usize) {
        self.sent.add(length);
        self.repair.earn(length);
        self.attention |= self.report.sent(moment.now, payload);
        self.attention |= self.told != self.visible();
    }

    fn head(&self, cast: &Cast) -> Head {
        Head {
            marker: cast.verdict.marker,
            payload_type: self.payloads[cast.payload].target,
            n: cast.given.n,
            t: cast.t,
            ssrc: self.ssrc,
        }
    }

    /// The payload type entry by its index in [`Sent`].
    pub(super) fn payload_map(&self, index: usize) -> Option<PayloadMap> {
        self.payloads.get(index).copied()
    }

    /// The entry of the leg's payload types for a packet, and the part of its payload to be carried.
    fn carried(&self, packet: &MediaPacket<'_>) -> Result<(usize, Span), DropReason> {
        let source = packet.meta.payload_type;
        let index = self.payloads.iter().position(|map| map.source == source);
        let index = index.ok_or(DropReason::PayloadUnmapped)?;
        let span = carried(self.payloads[index], packet.bytes, packet.meta.payload);
        Ok((index, span.ok_or(DropReason::RedWithoutPrimary)?))
    }

    fn fits(&self, packet: &MediaPacket<'_>, span: Span) -> bool {
        Outgoing::fits(&self.block, original(packet, span))
    }

    /// Leaves where its numbers stand to whatever uses its SSRCs next.
    pub fn retire_into(&self, transport: &mut Transport) {
        let media = Retired {
            next: self.sequence.next(),
            t: self.times.last(),
            sent_at: self.times.last_sent(),
            counts: self.report.counts(),
        };
        transport.retire(self.ssrc, media);
        if let Some((ssrc, next)) = self.repair.stream() {
            transport.retire(ssrc, Retired::fresh(next, media.t));
        }
    }

    /// When its next report is due.
    pub fn report_due(&self) -> Option<Time> {
        self.report.due()
    }

    /// Plain numbers.
    pub fn stats(&self, transport: &Transport) -> LegStats {
        LegStats {
            leg: self.id,
            sent: self.sent,
            fraction_lost: self.report.received.fraction_lost,
            rtt_us: transport.rtt().map(|rtt| rtt.as_micros() as u32),
            jitter_us: self.report.jitter_us(),
        }
    }
}

/// Nothing reaches the receiver, as opposed to this one packet being shed.
fn is_cut_off(reason: DropReason) -> bool {
    use DropReason::{ConsentExpired, LegNotReady, TransportClosed};
    matches!(reason, LegNotReady | TransportClosed | ConsentExpired)
}

/// The part of a payload that a leg carries: without redundancy where its receiver does not know RED.
pub(super) fn carried(map: PayloadMap, bytes: &[u8], payload: Span) -> Option<Span> {
    if !map.strip_red {
        return Some(payload);
    }
    let primary = red::primary(payload.of(bytes))?;
    Some(Span { start: payload.start + primary.start, end: payload.start + primary.end })
}

fn source(meta: &PacketMeta) -> Source {
    Source { stream: meta.stream, generation: meta.generation }
}

fn original<'a>(packet: &MediaPacket<'a>, payload: Span) -> Original<'a> {
    Original { bytes: packet.bytes, payload, extensions: &packet.meta.extensions }
}
