//! A client: both ends of its SRTP session, its encoders and receivers, and the links to and from us.

use conclave_core::association::Path;
use conclave_core::drop::DropReason;
use conclave_core::hash::Keyed;
use conclave_core::ids::TransportId;
use conclave_core::rtcp::nack::NackOut;
use conclave_core::rtcp::pli::Pli;
use conclave_core::rtcp::rr::ReceiverReportOut;
use conclave_core::rtcp::sdes::SdesOut;
use conclave_core::rtcp::sr::{SenderInfo, SenderReportOut};
use conclave_core::rtcp::twcc::FeedbackOut;
use conclave_core::rtcp::{Compound, Packet, Write};
use conclave_core::rtp::extension::{ExtensionIds, Extensions};
use conclave_core::rtp::Header;
use conclave_core::srtp::{Inbound, Outbound, Suite, MAX_RTCP_OVERHEAD, MAX_RTP_OVERHEAD};
use conclave_core::time::{NtpEpoch, Time};
use conclave_netem::{Link, LinkConfig};

use super::encoder::{Content, Encoder, AUDIO_PT, VIDEO_PT, VIDEO_RTX_PT};
use super::receiver::Receiver;
use crate::edge_support::{master, path};

/// The SSRC under which a client sends feedback.
const OWN_SSRC: u32 = 77;

pub struct Client {
    pub transport: TransportId,
    pub lane: usize,
    pub path: Path,
    pub up: Link<Vec<u8>>,
    pub down: Link<Vec<u8>>,
    pub encoders: Vec<Encoder>,
    pub receivers: Vec<Receiver>,
    pub ids: ExtensionIds,
    /// Wire numbers of the transport-wide extension, in the order of arrival.
    pub numbers: Vec<u16>,
    /// How far the client's wall clock is ahead of ours, milliseconds.
    pub clock_ahead_ms: u64,
    /// Key-frame requests received, per SSRC.
    pub plis: Vec<u32>,
    pub nacked: u64,
    /// Datagrams that came down, and how many of them in runs of at least four.
    pub datagrams: u64,
    pub sends_reports: bool,
    /// Streams of a track (bit per index) about which it sends none.
    pub unreported: u8,
    /// The first packet of every key frame is lost, and has to be sent again.
    pub loses_starts: bool,
    /// Its reports pair the time stamp of what was sent last with the time of sending.
    pub reports_sending: bool,
    /// Whether it keeps its consent fresh.
    pub checks: bool,
    outbound: Outbound,
    inbound: Inbound,
    arrivals: Vec<(u16, u64)>,
    feedback: u8,
}

impl Client {
    pub fn new(index: u32, lane: usize, up: LinkConfig, down: LinkConfig) -> Self {
        let profile = conclave_core::event::SrtpProfile::AeadAes128Gcm;
        let suite = |seed| Suite::derive(profile, &master(seed)).unwrap();
        let keyed = Keyed::new(u64::from(index));
        Self {
            transport: TransportId(index),
            lane,
            path: path(10_000 + index as u16),
            up: Link::new(up, u64::from(index) * 2),
            down: Link::new(down, u64::from(index) * 2 + 1),
            encoders: Vec::new(),
            receivers: Vec::new(),
            ids: ExtensionIds::default(),
            numbers: Vec::new(),
            clock_ahead_ms: 0,
            plis: Vec::new(),
            nacked: 0,
            datagrams: 0,
            sends_reports: true,
            unreported: 0,
            loses_starts: false,
            reports_sending: false,
            checks: true,
            outbound: Outbound::new(suite(200 + index as u8), keyed),
            inbound: Inbound::new(suite(100 + index as u8), keyed),
            arrivals: Vec::new(),
            feedback: 0,
        }
    }

    pub fn receiver(&self, ssrc: u32) -> &Receiver {
        self.receivers.iter().find(|receiver| receiver.ssrc == ssrc).unwrap()
    }

    /// Sends what is due at this millisecond.
    pub fn tick(&mut self, now: Time, epoch: NtpEpoch) {
        let mut packets: Vec<Vec<u8>> = Vec::new();
        for encoder in &mut self.encoders {
            packets.extend(encoder.poll(now.as_micros()));
        }
        for packet in packets {
            let starts = Content::of(&packet).is_some_and(|it| it.key && it.index == 0);
            if !(self.loses_starts && starts) {
                self.send_rtp(now, packet);
            }
        }
        let ms = now.as_millis();
        if ms % 5 == 0 {
            self.ask(now);
        }
        if ms % 50 == 25 {
            self.send_feedback(now);
        }
        if ms % 400 == 200 {
            self.report(now, epoch);
        }
    }

    fn ask(&mut self, now: Time) {
        for index in 0..self.receivers.len() {
            let receiver = &mut self.receivers[index];
            let (media, asks) = (receiver.ssrc, receiver.asks(now.as_millis()));
            if !asks.nack.is_empty() {
                let sequences = &asks.nack;
                self.send_rtcp(now, &[&NackOut { sender: OWN_SSRC, media, sequences }]);
            }
            if asks.keyframe {
                self.send_rtcp(now, &[&Pli { sender: OWN_SSRC, media }]);
            }
        }
    }

    fn report(&mut self, now: Time, epoch: NtpEpoch) {
        let ms = now.as_millis();
        let ntp = epoch.ntp(Time::from_millis(ms + self.clock_ahead_ms));
        let infos: Vec<SenderInfo> = self
            .encoders
            .iter()
            .filter(|encoder| encoder.running && self.sends_reports)
            .flat_map(|encoder| {
                let streams = encoder.streams.iter().enumerate();
                let told = streams.filter(|(index, _)| self.unreported >> index & 1 == 0);
                told.map(|(_, stream)| (stream, encoder.rate()))
            })
            .filter(|(stream, _)| stream.packets > 0)
            .map(|(stream, rate)| {
                let lag = if self.reports_sending { stream.lag_ms * 1_000 } else { 0 };
                SenderInfo {
                    ssrc: stream.ssrc,
                    ntp,
                    rtp: stream.timestamp(now.as_micros().saturating_sub(lag), rate),
                    packets: stream.packets,
                    octets: stream.octets,
                }
            })
            .collect();
        for info in infos {
            let cname = SdesOut { ssrc: info.ssrc, cname: b"publisher" };
            self.send_rtcp(now, &[&SenderReportOut { info, blocks: &[] }, &cname]);
        }
        let blocks: Vec<_> = self.receivers.iter().map(|receiver| receiver.block(ms)).collect();
        if !blocks.is_empty() {
            self.send_rtcp(now, &[&ReceiverReportOut { sender: OWN_SSRC, blocks: &blocks }]);
        }
    }

    fn send_feedback(&mut self, now: Time) {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        let Some(&(first, _)) = arrivals.first() else { return };
        arrivals.sort_by_key(|&(number, _)| number.wrapping_sub(first) as i16);
        let (base, last) = (arrivals[0].0, arrivals[arrivals.len() - 1].0);
        let mut ticks = vec![None; usize::from(last.wrapping_sub(base)) + 1];
        for (number, us) in arrivals {
            ticks[usize::from(number.wrapping_sub(base))] = Some(us / 250);
        }
        self.feedback = self.feedback.wrapping_add(1);
        let count = self.feedback;
        let feedback = FeedbackOut { sender: OWN_SSRC, media: 0, base, count, arrivals: &ticks };
        self.send_rtcp(now, &[&feedback]);
    }

    /// Something came down the link.
    pub fn handle(&mut self, now: Time, datagram: &[u8]) {
        self.datagrams += 1;
        if datagram[0] < 4 {
            return;
        }
        let mut buf = datagram.to_vec();
        if (192..224).contains(&buf[1]) {
            match self.inbound.open_rtcp(now, &mut buf) {
                Ok(len) => self.handle_rtcp(now, &buf[..len]),
                // The network repeated it.
                Err(reason) => assert_eq!(reason, DropReason::SrtcpReplay),
            }
            return;
        }
        let opened = self.inbound.open_rtp(now, &mut buf).expect("our RTP opens");
        if !opened.duplicate {
            self.handle_rtp(now, &buf[..opened.len]);
        }
    }

    fn handle_rtp(&mut self, now: Time, packet: &[u8]) {
        assert!(packet.len() <= conclave_core::sink::MAX_PACKET);
        let header = Header::parse(packet).expect("our packets are well formed");
        let extensions = Extensions::parse(&header, packet, &self.ids).unwrap();
        assert!(extensions.rid.is_empty(), "receivers get one stream without a name");
        if let Some(number) = extensions.transport_sequence {
            self.numbers.push(number);
            self.arrivals.push((number, now.as_micros()));
        }
        let (ms, payload) = (now.as_millis(), header.payload.of(packet));
        let place = (header.sequence, header.timestamp);
        for receiver in &mut self.receivers {
            if receiver.ssrc == header.ssrc {
                assert!([VIDEO_PT, AUDIO_PT].contains(&header.payload_type));
                receiver.handle(ms, place, header.marker, payload);
            } else if receiver.rtx_ssrc == Some(header.ssrc) {
                assert_eq!(header.payload_type, VIDEO_RTX_PT);
                receiver.rtx_packets += 1;
                if payload.is_empty() {
                    continue;
                }
                let original = u16::from_be_bytes([payload[0], payload[1]]);
                receiver.observer.repaired += 1;
                receiver.handle(ms, (original, header.timestamp), header.marker, &payload[2..]);
            }
        }
    }

    fn handle_rtcp(&mut self, now: Time, bytes: &[u8]) {
        let compound = Compound::parse(bytes).expect("our RTCP is well formed");
        let mut again: Vec<Vec<u8>> = Vec::new();
        for packet in &compound {
            match packet.expect("our RTCP is well formed") {
                Packet::SenderReport(report) => {
                    let ms = now.as_millis();
                    let about = self.receivers.iter_mut().find(|r| r.ssrc == report.info.ssrc);
                    about.expect("a report about a stream we have").reports.push((ms, report.info));
                }
                Packet::Pli(pli) => {
                    self.plis.push(pli.media);
                    let streams = self.encoders.iter_mut().flat_map(|e| &mut e.streams);
                    let asked = streams.filter(|s| s.ssrc == pli.media && s.obeys);
                    asked.for_each(|s| s.want_key = true);
                }
                Packet::Nack(nack) => {
                    for seq in nack.sequences() {
                        self.nacked += 1;
                        let repair = |encoder: &mut Encoder| encoder.repair(nack.media, seq);
                        again.extend(self.encoders.iter_mut().find_map(repair));
                    }
                }
                _ => {}
            }
        }
        for packet in again {
            self.send_rtp(now, packet);
        }
    }

    pub fn send_rtp(&mut self, now: Time, mut packet: Vec<u8>) {
        let len = packet.len();
        packet.resize(len + MAX_RTP_OVERHEAD, 0);
        let sealed = self.outbound.seal_rtp(&mut packet, len).unwrap();
        packet.truncate(sealed);
        self.up.send(now.0, sealed, packet);
    }

    pub fn send_rtcp(&mut self, now: Time, parts: &[&dyn Write]) {
        let mut buf = vec![0; 1_400];
        let mut at = 0;
        for part in parts {
            let len = part.write(&mut buf[at..]).unwrap();
            at += len;
        }
        let len = at;
        buf.truncate(len);
        buf.resize(len + MAX_RTCP_OVERHEAD, 0);
        let sealed = self.outbound.seal_rtcp(&mut buf, len).unwrap();
        buf.truncate(sealed);
        self.up.send(now.0, sealed, buf);
    }
}
