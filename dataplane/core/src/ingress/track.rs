//! One published track: its payload types, its gate, and its RTP streams on one time line.
//!
//! In: packets resolved to one of its streams. Out: [`PacketMeta`], or the reason why a packet goes no
//! further. Everything is accounted for before the gate is asked.

use super::clock::{Observation, Tie, TimeLine};
use super::level::LevelWindow;
use super::rtx::{self, Original};
use super::stream::{Incoming, Nature, Placed, Repair, Setting, Stream};
use super::IngressOut;
use crate::command::{AddTrack, CodecParameters, StreamParameters};
use crate::drop::DropReason;
use crate::event::Event;
use crate::ids::TrackId;
use crate::media::{Codec, MediaKind, PacketMeta};
use crate::rtp::extension::Extensions;
use crate::rtp::Header;
use crate::stats::{Flow, TrackStats, Upstream};
use crate::time::Time;
use crate::wire::u64_at;

/// Streams of one track: as many as a bit mask of wanted streams can name.
pub(super) const MAX_STREAMS: usize = 8;

/// Payload types of one track: as many as RTP has.
const MAX_CODECS: usize = 127;

/// What a payload type means on a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Unknown,
    /// Index of its codec.
    Media(u8),
    /// Retransmission of the codec with this index.
    Repair(u8),
}

/// One published track.
#[derive(Debug)]
pub(super) struct Track {
    pub id: TrackId,
    pub kind: MediaKind,
    pub mid: String,
    pub streams: Vec<Stream>,
    pub level: LevelWindow,
    open: bool,
    wanted: u8,
    codecs: Vec<CodecParameters>,
    payloads: Box<[Payload; 128]>,
    line: TimeLine,
    window: Window,
}

/// Where a track's counters stood at the last observation.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Time,
    received: Flow,
    lost: u64,
}

/// A packet before it is known whether it is an original or a repair.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub now: Time,
    pub arrival: Time,
    pub header: Header,
    pub extensions: Extensions,
    pub packet: &'a mut [u8],
    /// Ids of repaired-rtp-stream-id and rtp-stream-id.
    pub stream_ids: Option<(u8, u8)>,
}

impl Track {
    /// A track whose gate is closed and of which nobody wants anything yet.
    pub(super) fn new(parameters: &AddTrack) -> Self {
        let mut track = Self {
            id: parameters.track,
            kind: parameters.kind,
            mid: String::new(),
            streams: Vec::new(),
            level: LevelWindow::default(),
            open: false,
            wanted: 0,
            codecs: Vec::new(),
            payloads: Box::new([Payload::Unknown; 128]),
            line: TimeLine::default(),
            window: Window::default(),
        };
        track.describe(parameters);
        track
    }

    /// Takes new parameters; a stream of the same RID keeps its state. True if some stream is another one
    /// now, so that what was known of its SSRCs is void.
    pub(super) fn describe(&mut self, parameters: &AddTrack) -> bool {
        self.mid.clone_from(&parameters.mid);
        self.codecs = parameters.codecs.iter().take(MAX_CODECS).cloned().collect();
        self.payloads.fill(Payload::Unknown);
        for (index, codec) in self.codecs.iter().enumerate() {
            if let Some(rtx) = codec.rtx {
                self.payloads[usize::from(rtx & 0x7F)] = Payload::Repair(index as u8);
            }
            self.payloads[usize::from(codec.payload_type & 0x7F)] = Payload::Media(index as u8);
        }
        let first = self.codecs.first();
        let nature = Nature {
            kind: parameters.kind,
            screen: parameters.screen,
            alone: parameters.streams.len() <= 1,
            codec: first.map_or(Codec::Opus, |codec| codec.codec),
            clock_rate: first.map_or(48_000, |codec| codec.clock_rate),
        };
        let single = [StreamParameters::default()];
        let wanted = if parameters.streams.is_empty() { &single } else { &parameters.streams[..] };
        let mut replaced = self.streams.len() > wanted.len();
        self.streams.truncate(wanted.len());
        for (index, description) in wanted.iter().take(MAX_STREAMS).enumerate() {
            match self.streams.get_mut(index) {
                Some(stream) if stream.parameters.rid == description.rid => {
                    stream.parameters.clone_from(description);
                }
                Some(stream) => {
                    replaced = true;
                    *stream = Stream::new(description.clone(), index as u8, nature);
                }
                None => self.streams.push(Stream::new(description.clone(), index as u8, nature)),
            }
        }
        replaced
    }

    /// What a payload type means here.
    pub(super) fn payload(&self, payload_type: u8) -> Payload {
        self.payloads[usize::from(payload_type & 0x7F)]
    }

    /// Opens or closes the gate.
    pub(super) fn set_open(&mut self, open: bool) {
        self.open = open;
        self.forget_unwanted();
    }

    /// Streams that some leg carries or waits for.
    pub(super) fn set_wanted(&mut self, streams: u8) {
        self.wanted = streams;
        self.forget_unwanted();
    }

    /// Whether missing packets and key frames of a stream are worth asking for.
    pub(super) fn is_wanted(&self, stream: u8) -> bool {
        self.open && self.wanted >> stream & 1 == 1
    }

    fn forget_unwanted(&mut self) {
        for index in 0..self.streams.len() {
            if !self.is_wanted(index as u8) {
                self.streams[index].nack.clear();
            }
        }
    }

    /// A packet of a media SSRC.
    pub(super) fn handle_media(
        &mut self,
        received: &Received<'_>,
        stream: u8,
        out: &mut IngressOut,
    ) -> Result<PacketMeta, DropReason> {
        let Payload::Media(codec) = self.payload(received.header.payload_type) else {
            return Err(DropReason::PtUnknown);
        };
        let incoming = Incoming {
            now: received.now,
            arrival: received.arrival,
            header: &received.header,
            extensions: &received.extensions,
            packet: received.packet,
            repaired: false,
        };
        self.handle_packet(&incoming, stream, codec, out)
    }

    /// A packet of a retransmission SSRC; rewritten to the original if that is of use.
    pub(super) fn handle_repair(
        &mut self,
        received: &mut Received<'_>,
        index: u8,
        out: &mut IngressOut,
    ) -> Result<PacketMeta, DropReason> {
        let header = received.header;
        let stream = self.streams.get_mut(usize::from(index)).ok_or(DropReason::RidUnknown)?;
        if stream.repair.as_ref().is_none_or(|repair| repair.ssrc != header.ssrc) {
            stream.repair = Some(Repair::new(header.ssrc));
        }
        if let Some(repair) = &mut stream.repair {
            repair.handle_packet(header.sequence);
        }
        let ssrc = stream.ssrc;
        let Payload::Repair(codec) = self.payload(header.payload_type) else {
            return Err(DropReason::RtxNoApt);
        };
        rtx::original_sequence(&header, received.packet)?;
        let original = Original {
            payload_type: self.codecs[usize::from(codec)].payload_type,
            ssrc: ssrc.ok_or(DropReason::RepairPending)?,
            stream_ids: received.stream_ids,
        };
        let restored = rtx::decapsulate(&header, received.packet, original)?;
        let incoming = Incoming {
            now: received.now,
            arrival: received.arrival,
            header: &restored,
            extensions: &received.extensions,
            packet: &received.packet[..usize::from(restored.payload.end)],
            repaired: true,
        };
        self.handle_packet(&incoming, index, codec, out)
    }

    fn handle_packet(
        &mut self,
        incoming: &Incoming<'_>,
        index: u8,
        codec: u8,
        out: &mut IngressOut,
    ) -> Result<PacketMeta, DropReason> {
        let repairs = self.is_wanted(index);
        let alone = self.streams.len() == 1;
        let codec = &self.codecs[usize::from(codec)];
        let stream = self.streams.get_mut(usize::from(index)).ok_or(DropReason::RidUnknown)?;
        let asks = codec.nack && codec.codec != Codec::Red;
        let setting = Setting { codec, kind: self.kind, repairs: repairs && asks };
        let placed = stream.accept(incoming, &setting)?;
        if placed.restarted {
            stream.clock.restart(alone);
            if alone {
                self.line.restart();
            }
            if repairs && self.kind == MediaKind::Video && !placed.frame.keyframe {
                stream.throttle.request(incoming.now);
            }
        }
        if placed.changed {
            out.events.push(Event::StreamChanged {
                track: self.id,
                stream: index,
                active: true,
                codec: stream.codec,
            });
        }
        self.tie_by_capture_time(incoming, index, &placed);
        if !self.open {
            return Err(DropReason::TrackClosed);
        }
        if let Some(raw) = incoming.extensions.facts.audio_level {
            self.level.add(raw);
        }
        Ok(self.meta(incoming, index, &placed))
    }

    fn meta(&self, incoming: &Incoming<'_>, index: u8, placed: &Placed) -> PacketMeta {
        let stream = &self.streams[usize::from(index)];
        let header = incoming.header;
        PacketMeta {
            track: self.id,
            stream: index,
            codec: match self.payload(header.payload_type) {
                Payload::Media(codec) => self.codecs[usize::from(codec)].codec,
                _ => stream.codec,
            },
            generation: stream.generation(),
            n: placed.n,
            t: placed.t,
            line: stream.clock.line_at(placed.t),
            clock_rate: stream.clock_rate,
            arrival: incoming.arrival,
            payload_type: header.payload_type,
            marker: header.marker,
            padding_only: header.payload.is_empty(),
            repaired: placed.repaired,
            payload: header.payload,
            extensions: incoming.extensions.facts,
            frame: placed.frame,
        }
    }

    /// Until the first sender report a capture time serves in its place.
    fn tie_by_capture_time(&mut self, incoming: &Incoming<'_>, index: u8, placed: &Placed) {
        let captured = incoming.extensions.facts.abs_capture_time;
        let stream = &mut self.streams[usize::from(index)];
        if captured.is_empty() || stream.clock.line_at(placed.t).is_some() {
            return;
        }
        let Some(ntp) = u64_at(captured.of(incoming.packet), 0) else { return };
        let seen = Observation {
            stream: index,
            tie: Tie { ntp, rtp: placed.t },
            newest: placed.t,
            clock_rate: stream.clock_rate,
        };
        self.line.tie(&mut stream.clock, &seen);
    }

    /// A sender report about one stream; the point of the track's line that it tells.
    pub(super) fn handle_report(
        &mut self,
        now: Time,
        index: u8,
        ntp: u64,
        timestamp: u32,
    ) -> Result<Option<Tie>, DropReason> {
        let Some(stream) = self.streams.get_mut(usize::from(index)) else { return Ok(None) };
        let (Some(rtp), Some(newest)) =
            (stream.timestamps.near(timestamp), stream.timestamps.newest())
        else {
            return Ok(None);
        };
        let (tie, clock_rate) = (Tie { ntp, rtp }, stream.clock_rate);
        stream.clock.handle_report(now, tie, clock_rate)?;
        let seen = Observation { stream: index, tie, newest, clock_rate };
        Ok(Some(self.line.tie(&mut stream.clock, &seen)))
    }

    /// Streams that fell silent are told.
    pub(super) fn handle_silence(&mut self, now: Time, out: &mut IngressOut) {
        for (index, stream) in self.streams.iter_mut().enumerate() {
            if stream.liveness.handle_timeout(now) {
                out.events.push(Event::StreamChanged {
                    track: self.id,
                    stream: index as u8,
                    active: false,
                    codec: stream.codec,
                });
            }
        }
    }

    /// Takes what arrived since the last call into `up`; nothing if nothing did.
    pub(super) fn observe(&mut self, now: Time, up: &mut Upstream) {
        let TrackStats { received, lost, jitter_us, .. } = self.stats(now);
        let before = std::mem::replace(&mut self.window, Window { since: now, received, lost });
        // A stream that was replaced takes its counts along.
        let packets = received.packets.saturating_sub(before.received.packets);
        let bytes = received.bytes.saturating_sub(before.received.bytes);
        let missing = lost.saturating_sub(before.lost);
        let elapsed = now.since(before.since).as_millis() as u64;
        if packets == 0 || elapsed == 0 || before.received.packets == 0 {
            return;
        }
        up.loss.record((missing * 1_000_000 / (packets + missing)) as u32);
        up.jitter.record(jitter_us);
        up.rate.record((bytes * 1_000 / elapsed).min(u64::from(u32::MAX)) as u32);
    }

    /// Plain numbers.
    pub(super) fn stats(&self, now: Time) -> TrackStats {
        let mut stats = TrackStats {
            track: self.id,
            received: Flow::default(),
            lost: 0,
            jitter_us: 0,
            stream_bps: [0; 3],
        };
        for (index, stream) in self.streams.iter().enumerate() {
            stats.received.packets += stream.received.packets;
            stats.received.bytes += stream.received.bytes;
            // What is being asked for is late: it is lost once it is given up.
            let late = stream.nack.outstanding();
            stats.lost += stream.reception.residual_loss().saturating_sub(late);
            stats.jitter_us = stats.jitter_us.max(stream.jitter().as_micros() as u32);
            if let Some(slot) = stats.stream_bps.get_mut(index) {
                *slot = stream.rates.cumulative(now, (u8::MAX, u8::MAX));
            }
        }
        stats
    }
}
