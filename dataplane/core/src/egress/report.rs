//! Sender reports of a leg (RFC 3550 section 6.4.1) on our clock, and what the receiver reports back.

use std::time::Duration;

use super::leg::Leg;
use super::timeline::ticks;
use super::transport::{Moment, Transport};
use crate::drop::DropReason;
use crate::media::{MediaKind, TrackClock};
use crate::rtcp::rr::ReportBlock;
use crate::rtcp::sdes::SdesOut;
use crate::rtcp::sr::{SenderInfo, SenderReportOut};
use crate::rtcp::Builder;
use crate::sink::PacketSink;
use crate::time::Time;

/// The first report comes soon: receivers need it to play audio and video in step.
const FIRST: Duration = Duration::from_millis(100);
const VIDEO_INTERVAL: Duration = Duration::from_secs(1);
const AUDIO_INTERVAL: Duration = Duration::from_secs(3);

/// How soon to try again while the publisher's clock is not known.
const RETRY: Duration = Duration::from_millis(200);

/// How far the last packet may be ahead of the publisher's clock as we know it: rounding, and the error of
/// the estimate. A clock further behind belongs to another life of the publisher.
const SLACK: Duration = Duration::from_millis(10);

/// A round trip longer than this is a mistake in the receiver's arithmetic.
const MAX_RTT: Duration = Duration::from_secs(10);

/// Least time between two reports out of which a share of losses is told. A report that comes with a request
/// for a retransmission covers a moment with a loss in it: its own share would say more than is true.
const LOSS_WINDOW: Duration = Duration::from_millis(900);

/// What the receiver told last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    /// Share of lost packets over the last window, of 256.
    pub fraction_lost: u8,
    /// Interarrival jitter in units of the RTP clock.
    pub jitter: u32,
    /// The report that began the window at hand.
    since: Option<Standing>,
}

/// Where a receiver's running totals stood.
#[derive(Clone, Copy, Debug)]
struct Standing {
    at: Time,
    highest: u32,
    lost: i32,
}

impl Standing {
    /// Packets that were expected and lost from here to `later`. A hole that was filled late counts for
    /// nothing; totals that began anew make no share.
    fn until(&self, later: &Self) -> Option<(u32, u32)> {
        let expected = later.highest.wrapping_sub(self.highest) as i32;
        let lost = later.lost.saturating_sub(self.lost).clamp(0, expected.max(0));
        (expected > 0).then_some((expected as u32, lost as u32))
    }
}

/// The reports of one leg.
#[derive(Debug)]
pub struct Report {
    cname: Box<[u8]>,
    due: Option<Time>,
    packets: u32,
    octets: u32,
    /// Packets counted at the last report.
    reported: u32,
    clock_rate: u32,
    /// What the receiver told last.
    pub received: Received,
}

impl Report {
    /// Nothing due; what the SSRC sent before is counted on (RFC 3550 section 6.4.1).
    pub fn new(cname: &str, (packets, octets): (u32, u32)) -> Self {
        let cname = &cname.as_bytes()[..cname.len().min(usize::from(u8::MAX))];
        Self {
            cname: cname.into(),
            due: None,
            packets,
            octets,
            reported: packets,
            clock_rate: 0,
            received: Received::default(),
        }
    }

    /// A packet with `payload` bytes went out; whether that made a report due.
    pub fn sent(&mut self, now: Time, payload: usize) -> bool {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload as u32);
        let first = self.due.is_none();
        self.due = self.due.or(Some(now + FIRST));
        first
    }

    /// Packets and payload bytes that were sent.
    pub fn counts(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    /// When the next report is due; none while nothing is sent.
    pub fn due(&self) -> Option<Time> {
        self.due
    }

    /// A report of the receiver; the share that it lost, parts per million, once a window is full.
    pub fn handle_losses(&mut self, now: Time, block: &ReportBlock) -> Option<u32> {
        let standing = Standing { at: now, highest: block.highest, lost: block.lost };
        self.received.jitter = block.jitter;
        let Some(since) = self.received.since else {
            self.received.since = Some(standing);
            return None;
        };
        if now.since(since.at) < LOSS_WINDOW {
            return None;
        }
        self.received.since = Some(standing);
        let (expected, lost) = since.until(&standing)?;
        let share = |whole: u64| u64::from(lost) * whole / u64::from(expected);
        self.received.fraction_lost = share(256).min(255) as u8;
        Some(share(1_000_000) as u32)
    }

    /// The jitter that the receiver reported, microseconds.
    pub fn jitter_us(&self) -> u32 {
        jitter_us(self.received.jitter, self.clock_rate)
    }
}

/// Jitter in units of an RTP clock as microseconds; 0 while the clock's rate is not known.
pub fn jitter_us(jitter: u32, clock_rate: u32) -> u32 {
    let micros = (u64::from(jitter) * 1_000_000).checked_div(u64::from(clock_rate));
    micros.unwrap_or(0).min(u64::from(u32::MAX)) as u32
}

impl Leg {
    /// Sends a report if one is due. `clock_rate` is that of the track.
    pub fn report(
        &mut self,
        moment: Moment,
        clock: Option<&TrackClock>,
        clock_rate: u32,
        (transport, sink): (&mut Transport, &mut impl PacketSink),
    ) -> Result<(), DropReason> {
        if self.report.due.is_none_or(|due| due > moment.now) {
            return Ok(());
        }
        self.report.clock_rate = clock_rate;
        if self.report.packets == self.report.reported {
            // Nothing was sent since: the next packet makes it due again.
            self.report.due = None;
            return Ok(());
        }
        let rtp = clock.and_then(|clock| self.rtp_at(moment, clock, clock_rate));
        let Some(rtp) = rtp else {
            self.report.due = Some(moment.now + RETRY);
            return Ok(());
        };
        let interval = match self.kind {
            MediaKind::Video => VIDEO_INTERVAL,
            MediaKind::Audio => AUDIO_INTERVAL,
        };
        // Reports of many legs drift apart: the interval varies by a tenth with the SSRC.
        let spread = interval / 1_000 * (self.ssrc.wrapping_mul(0x9E37_79B1) >> 24) / 2;
        self.report.due = Some(moment.now + interval - interval / 16 + spread);
        self.report.reported = self.report.packets;
        let info = SenderInfo {
            ssrc: self.ssrc,
            ntp: moment.ntp,
            rtp,
            packets: self.report.packets,
            octets: self.report.octets,
        };
        let cname = &self.report.cname;
        sink.send_rtcp(transport.id, |slot| {
            let mut compound = Builder::new(slot);
            compound.add(&SenderReportOut { info, blocks: &[] });
            compound.add(&SdesOut { ssrc: info.ssrc, cname });
            compound.length()
        })?;
        Ok(())
    }

    /// What the leg's RTP clock shows now; `None` where the publisher's clock is not known to reach it.
    fn rtp_at(&self, moment: Moment, clock: &TrackClock, clock_rate: u32) -> Option<u32> {
        let elapsed = moment.ntp.wrapping_sub(clock.ntp) as i64;
        let since = (i128::from(elapsed) * i128::from(clock_rate)) >> 32;
        let now = self.times.on_line(clock.rtp.wrapping_add_signed(since as i64))?;
        let ahead = now.wrapping_sub(self.times.last()) as i64;
        (ahead >= -(ticks(SLACK, clock_rate) as i64)).then_some(now as u32)
    }
}

/// The round trip that a report about one of our streams proves.
pub fn round_trip(moment: Moment, block: &ReportBlock) -> Option<Duration> {
    if block.last_sr == 0 {
        return None;
    }
    let now = (moment.ntp >> 16) as u32;
    let trip = now.wrapping_sub(block.last_sr).wrapping_sub(block.delay);
    // Clock granularity may put the answer a tick before the question.
    let trip = if trip > u32::MAX / 2 { 0 } else { trip };
    let trip = Duration::from_nanos((u64::from(trip) * 1_000_000_000) >> 16);
    (trip <= MAX_RTT).then_some(trip)
}
