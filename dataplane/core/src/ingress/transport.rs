//! One publisher's transport: its SSRCs, its tracks, and everything that is sent back to it.
//!
//! In: decrypted RTP and RTCP of one transport. Out: packet facts, and in [`Publisher::handle_timeout`] one
//! datagram per kind of feedback. SSRCs are looked up here and nowhere else, so no transport can reach
//! another one's tracks.

use std::time::Duration;

use super::clock::PublisherClock;
use super::feedback::Datagrams;
use super::report::{round_trip, Reports};
use super::resolve::{resolve, Evidence};
use super::stream::Stream;
use super::table::{Known, Place, Role, SsrcTable};
use super::track::{Received, Track};
use super::twcc::{FeedbackRecorder, Numbered};
use super::{Arrived, IngressOut, Shared, FEEDBACK_SSRC};
use crate::command::AddTrack;
use crate::drop::DropReason;
use crate::ids::{TrackId, TransportId};
use crate::media::{Extension, MediaKind, PacketMeta, TrackClock};
use crate::rtcp::nack::NackOut;
use crate::rtcp::pli::Pli;
use crate::rtcp::rr::{ReceiverReportOut, ReportBlock, MAX_BLOCKS};
use crate::rtcp::sdes::SdesOut;
use crate::rtcp::sr::SenderInfo;
use crate::rtcp::xr::{Block, Delay, ExtendedReport, ExtendedReportOut, MAX_DELAYS};
use crate::rtcp::{Compound, Packet};
use crate::rtp::extension::{ExtensionIds, Extensions};
use crate::rtp::Header;
use crate::sink::{PacketSink, MAX_PACKET};
use crate::time::Time;

/// Round trip until one was measured.
const ASSUMED_RTT: Duration = Duration::from_millis(100);

/// Least time between two NACK datagrams: losses come in runs, and one datagram tells a run.
const NACK_SPACING: Duration = Duration::from_millis(5);

/// Numbers asked for in one NACK, worst case four bytes each.
const NACKS_PER_MESSAGE: usize = 256;

/// A transport and what its peer publishes.
#[derive(Debug)]
pub(super) struct Publisher {
    pub tracks: Vec<Track>,
    /// Deadline that is registered with the ingress.
    pub armed: Option<Time>,
    id: TransportId,
    ids: ExtensionIds,
    stream_ids: Option<(u8, u8)>,
    table: SsrcTable,
    feedback: Option<FeedbackRecorder>,
    clock: PublisherClock,
    rtt: Option<Duration>,
    reports: Reports,
    nacked_at: Time,
    /// Where the packet at hand went.
    touched: Option<Place>,
}

impl Publisher {
    /// A transport of which nothing is known.
    pub(super) fn new(id: TransportId) -> Self {
        Self {
            tracks: Vec::new(),
            armed: None,
            id,
            ids: ExtensionIds::default(),
            stream_ids: None,
            table: SsrcTable::default(),
            feedback: None,
            clock: PublisherClock::default(),
            rtt: None,
            reports: Reports::default(),
            nacked_at: Time(0),
            touched: None,
        }
    }

    pub(super) fn set_extensions(&mut self, pairs: &[(u8, Extension)]) {
        self.ids = ExtensionIds::new(pairs);
        self.stream_ids =
            self.ids.id_of(Extension::RepairedRid).zip(self.ids.id_of(Extension::Rid));
    }

    pub(super) fn track_mut(&mut self, id: TrackId) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.id == id)
    }

    /// A new track, or new parameters of a known one.
    pub(super) fn describe_track(&mut self, parameters: &AddTrack) {
        let Some(index) = self.tracks.iter().position(|track| track.id == parameters.track) else {
            self.tracks.push(Track::new(parameters));
            return;
        };
        if self.tracks[index].describe(parameters) {
            self.table.forget_track(index);
        }
    }

    pub(super) fn remove_track(&mut self, id: TrackId) {
        if let Some(index) = self.tracks.iter().position(|track| track.id == id) {
            self.tracks.remove(index);
            self.table.remove_track(index);
        }
    }

    /// The measured round trip.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Smooths a new measurement in with weight one quarter.
    pub(super) fn measure_rtt(&mut self, sample: Duration) {
        self.rtt = Some(self.rtt.map_or(sample, |rtt| (rtt * 3 + sample) / 4));
    }

    /// One decrypted RTP packet.
    pub(super) fn handle_rtp(
        &mut self,
        arrived: Arrived,
        packet: &mut [u8],
        shared: &mut Shared,
        out: &mut IngressOut,
    ) -> Result<PacketMeta, DropReason> {
        self.touched = None;
        let header = Header::parse(packet)?;
        let extensions = Extensions::parse(&header, packet, &self.ids)?;
        if let Some(number) = extensions.transport_sequence {
            let numbered =
                Numbered { number, arrival: arrived.at, ssrc: header.ssrc, size: packet.len() };
            self.feedback.get_or_insert_default().handle_packet(arrived.now, numbered);
        }
        if arrived.duplicate {
            return Err(DropReason::SrtpDuplicate);
        }
        let place = self.place(arrived.now, &header, &extensions, packet)?;
        self.touched = Some(place);
        self.reports.arm(arrived.now, &mut shared.random);
        let mut received = Received {
            now: arrived.now,
            arrival: arrived.at,
            header,
            extensions,
            packet,
            stream_ids: self.stream_ids,
        };
        let track = &mut self.tracks[place.track];
        let was_quiet = track.level.is_empty();
        let meta = match place.role {
            Role::Media => track.handle_media(&received, place.stream, out),
            Role::Repair => track.handle_repair(&mut received, place.stream, out),
        };
        if was_quiet && !track.level.is_empty() {
            shared.hear(arrived.now, track.id);
        }
        meta
    }

    /// The earliest time at which the packet that was just handled needs attention; the rest of the
    /// transport did not change.
    pub(super) fn poll_after_packet(&self) -> Option<Time> {
        let stream = self.touched.and_then(|place| {
            self.tracks[place.track].streams.get(usize::from(place.stream))?.poll_timeout()
        });
        let feedback = self.feedback.as_ref().and_then(FeedbackRecorder::poll_timeout);
        [stream, feedback, self.reports.poll_timeout()].into_iter().flatten().min()
    }

    /// Where a packet belongs, binding its SSRC if that is new or changed its mind.
    fn place(
        &mut self,
        now: Time,
        header: &Header,
        extensions: &Extensions,
        packet: &[u8],
    ) -> Result<Place, DropReason> {
        let evidence = Evidence {
            ssrc: header.ssrc,
            payload_type: header.payload_type,
            mid: extensions.mid.of(packet),
            rid: extensions.rid.of(packet),
            repaired_rid: extensions.repaired_rid.of(packet),
        };
        let known = self.table.find(now, header.ssrc);
        match known {
            Known::Retired => return Err(DropReason::LateIngress),
            Known::Bound(place) if self.agrees(place, &evidence) => return Ok(place),
            Known::Bound(place) if !self.is_ahead(place, header.sequence) => return Ok(place),
            Known::Bound(_) | Known::Unknown => {}
        }
        let place = resolve(&self.tracks, &evidence)?;
        if let Known::Bound(left) = known {
            self.leave(left, header.ssrc);
        }
        let stream = &mut self.tracks[place.track].streams[usize::from(place.stream)];
        if place.role == Role::Repair && stream.ssrc.is_none() {
            return Err(DropReason::RepairPending);
        }
        self.table.bind(now, header.ssrc, place)?;
        if place.role == Role::Media && stream.ssrc != Some(header.ssrc) {
            stream.replace_source(header.ssrc);
        }
        Ok(place)
    }

    /// An SSRC goes elsewhere.
    fn leave(&mut self, place: Place, ssrc: u32) {
        let stream = self.tracks[place.track].streams.get_mut(usize::from(place.stream));
        if let Some(stream) = stream.filter(|stream| stream.ssrc == Some(ssrc)) {
            stream.ssrc = None;
        }
    }

    /// Whether what a packet says of itself fits the place that its SSRC has.
    fn agrees(&self, place: Place, evidence: &Evidence<'_>) -> bool {
        let track = &self.tracks[place.track];
        let Some(stream) = track.streams.get(usize::from(place.stream)) else { return false };
        let rid = match place.role {
            Role::Media => evidence.rid,
            Role::Repair => evidence.repaired_rid,
        };
        let described = stream.parameters.rid.as_deref().unwrap_or_default();
        (evidence.mid.is_empty() || evidence.mid == track.mid.as_bytes())
            && (rid.is_empty() || rid == described.as_bytes())
    }

    fn is_ahead(&self, place: Place, sequence: u16) -> bool {
        let stream = self.tracks[place.track].streams.get(usize::from(place.stream));
        stream.is_none_or(|stream| stream.is_ahead(sequence))
    }

    /// What a publisher sends about its own streams.
    pub(super) fn handle_rtcp(
        &mut self,
        now: Time,
        compound: &Compound<'_>,
        shared: &mut Shared,
        out: &mut IngressOut,
    ) {
        for packet in compound {
            match packet {
                Ok(Packet::SenderReport(report)) => {
                    self.handle_sender_report(now, &report.info, shared, out);
                }
                Ok(Packet::Bye(bye)) => {
                    for ssrc in bye.ssrcs() {
                        self.handle_bye(now, ssrc, shared);
                    }
                }
                Ok(Packet::Xr(report)) => self.handle_extended(now, &report, shared),
                Ok(_) => {}
                Err(reason) => shared.drops.count(reason),
            }
        }
    }

    fn handle_sender_report(
        &mut self,
        now: Time,
        info: &SenderInfo,
        shared: &mut Shared,
        out: &mut IngressOut,
    ) {
        let Some((index, stream)) = self.media_stream(now, info.ssrc) else { return };
        let track = &mut self.tracks[index];
        match track.handle_report(now, stream, info.ntp, info.rtp) {
            Err(reason) => shared.drops.count(reason),
            Ok(None) => {}
            Ok(Some(point)) => {
                let half = self.rtt.unwrap_or_default() / 2;
                let half = (half.as_nanos() << 32) / 1_000_000_000;
                self.clock.handle_report(info.ntp, shared.epoch.ntp(now), half as i64);
                let ntp = self.clock.ours(point.ntp);
                out.clocks.push(TrackClock { track: track.id, ntp, rtp: point.rtp });
            }
        }
    }

    fn handle_bye(&mut self, now: Time, ssrc: u32, shared: &mut Shared) {
        match self.media_stream(now, ssrc) {
            Some((track, stream)) => {
                if let Some(stream) = self.tracks[track].streams.get_mut(usize::from(stream)) {
                    stream.liveness.handle_bye(now);
                }
            }
            None => shared.drops.count(DropReason::ByeIgnored),
        }
    }

    fn media_stream(&mut self, now: Time, ssrc: u32) -> Option<(usize, u8)> {
        match self.table.find(now, ssrc) {
            Known::Bound(Place { track, stream, role: Role::Media }) => Some((track, stream)),
            _ => None,
        }
    }

    fn handle_extended(&mut self, now: Time, report: &ExtendedReport<'_>, shared: &mut Shared) {
        for block in report.blocks() {
            match block {
                Block::ReceiverReference(ntp) => {
                    self.reports.handle_reference(now, report.sender, ntp);
                    self.reports.arm(now, &mut shared.random);
                }
                Block::Delays(delays) => {
                    let middle = (shared.epoch.ntp(now) >> 16) as u32;
                    let ours = delays.iter().find(|delay| delay.ssrc == FEEDBACK_SSRC);
                    if let Some(trip) = ours.and_then(|delay| round_trip(middle, &delay)) {
                        self.measure_rtt(trip);
                    }
                }
            }
        }
    }

    /// The earliest time at which [`Publisher::handle_timeout`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let streams = self.tracks.iter().flat_map(|track| &track.streams);
        let streams = streams.filter_map(Stream::poll_timeout);
        let feedback = self.feedback.as_ref().and_then(FeedbackRecorder::poll_timeout);
        streams.chain(feedback).chain(self.reports.poll_timeout()).min()
    }

    /// Sends what is due.
    pub(super) fn handle_timeout(
        &mut self,
        now: Time,
        sink: &mut impl PacketSink,
        shared: &mut Shared,
        out: &mut IngressOut,
    ) {
        if let Some(feedback) = &mut self.feedback {
            if feedback.poll_timeout().is_some_and(|due| due <= now) {
                let mut buffer = [0; MAX_PACKET];
                while let Some(length) = feedback.take(FEEDBACK_SSRC, &mut buffer) {
                    shared.send(sink, self.id, &buffer[..length]);
                }
            }
        }
        for track in &mut self.tracks {
            track.handle_silence(now, out);
        }
        self.send_requests(now, sink, shared);
        if self.reports.poll_timeout().is_some_and(|due| due <= now) {
            self.send_reports(now, sink, shared);
        }
    }

    /// NACKs and PLIs of all streams in as few datagrams as they fit.
    fn send_requests(&mut self, now: Time, sink: &mut impl PacketSink, shared: &mut Shared) {
        let rtt = self.rtt.unwrap_or(ASSUMED_RTT);
        let may_nack = now >= self.nacked_at + NACK_SPACING;
        let mut datagrams = Datagrams::new();
        for track in &mut self.tracks {
            for index in 0..track.streams.len() {
                let wanted = track.is_wanted(index as u8);
                let stream = &mut track.streams[index];
                let Some(media) = stream.ssrc else { continue };
                if stream.throttle.take_due(now, rtt, wanted) {
                    shared.counters.keyframes_requested += 1;
                    let pli = Pli { sender: FEEDBACK_SSRC, media };
                    datagrams.add(&pli, |bytes| shared.send(sink, self.id, bytes));
                }
                if !may_nack {
                    continue;
                }
                let mut missing = [0; NACKS_PER_MESSAGE];
                let jitter = stream.jitter();
                let count = stream.nack.take_due(now, rtt, jitter, &mut missing);
                if count > 0 {
                    self.nacked_at = now;
                    shared.counters.nacks_sent += count as u64;
                    let sequences = &missing[..count];
                    let nack = NackOut { sender: FEEDBACK_SSRC, media, sequences };
                    datagrams.add(&nack, |bytes| shared.send(sink, self.id, bytes));
                }
            }
        }
        datagrams.finish(|bytes| shared.send(sink, self.id, bytes));
    }

    /// Report blocks about every SSRC that was active, our reference time, and answers to theirs.
    fn send_reports(&mut self, now: Time, sink: &mut impl PacketSink, shared: &mut Shared) {
        let mut blocks = [ReportBlock::default(); MAX_BLOCKS];
        let mut delays = [Delay { ssrc: 0, last_rr: 0, delay: 0 }; MAX_DELAYS];
        let mut answers = self.reports.take_delays(now, &mut delays);
        let (mut count, mut video) = (0, None);
        for track in &mut self.tracks {
            let is_video = track.kind == MediaKind::Video;
            for stream in &mut track.streams {
                let reported = blocks_of(now, stream);
                for block in reported.into_iter().flatten() {
                    video = Some(video.unwrap_or(false) || is_video);
                    blocks[count] = block;
                    count += 1;
                    if count == MAX_BLOCKS {
                        let told = (&blocks[..], &delays[..answers]);
                        send_report(now, self.id, told, sink, shared);
                        (count, answers) = (0, 0);
                    }
                }
            }
        }
        if count > 0 || answers > 0 {
            send_report(now, self.id, (&blocks[..count], &delays[..answers]), sink, shared);
        }
        self.reports.schedule(now, video, &mut shared.random);
    }
}

/// Report blocks about a stream and its retransmissions, where they were active.
fn blocks_of(now: Time, stream: &mut Stream) -> [Option<ReportBlock>; 2] {
    let media = stream.ssrc.filter(|_| stream.reception.is_fresh()).map(|ssrc| {
        let (last_sr, delay) = stream.clock.last_report(now);
        ReportBlock { last_sr, delay, ..stream.reception.report(ssrc) }
    });
    let repair = stream.repair.as_mut().filter(|repair| repair.reception.is_fresh());
    [media, repair.map(|repair| repair.reception.report(repair.ssrc))]
}

/// One compound of RR, SDES and XR.
fn send_report(
    now: Time,
    transport: TransportId,
    (blocks, delays): (&[ReportBlock], &[Delay]),
    sink: &mut impl PacketSink,
    shared: &mut Shared,
) {
    let cname = shared.cname;
    let reference = shared.epoch.ntp(now);
    let mut datagrams = Datagrams::new();
    let mut send = |bytes: &[u8]| shared.send(sink, transport, bytes);
    datagrams.add(&ReceiverReportOut { sender: FEEDBACK_SSRC, blocks }, &mut send);
    datagrams.add(&SdesOut { ssrc: FEEDBACK_SSRC, cname: &cname }, &mut send);
    let extended = ExtendedReportOut { sender: FEEDBACK_SSRC, reference: Some(reference), delays };
    datagrams.add(&extended, &mut send);
    datagrams.finish(&mut send);
}
