//! One RTP stream of a track: its numbers, frames, losses and rates.
//!
//! In: packets that were resolved to this stream. Out: where each belongs, and what became due. It knows its
//! track only through [`Setting`].

use std::time::Duration;

use super::clock::StreamClock;
use super::keyframe::KeyframeThrottle;
use super::liveness::Liveness;
use super::nack::NackGenerator;
use super::rates::LayerRates;
use super::reception::Reception;
use super::sequence::{Placement, Sequencer, Timestamps};
use crate::codec::frame::{FrameInput, FrameReader};
use crate::command::{CodecParameters, StreamParameters};
use crate::drop::DropReason;
use crate::media::{Codec, CodecFacts, FrameFacts, MediaKind};
use crate::rtp::extension::Extensions;
use crate::rtp::Header;
use crate::stats::Flow;
use crate::time::Time;

/// A packet whose time stamp lies at most this many seconds back belongs to what was sent, not to a restart.
const STALE_SECONDS: i64 = 30;

/// How long packets with an unknown template are waited for before a key frame is asked for: the structure
/// may just be late.
const STRUCTURE_PATIENCE: Duration = Duration::from_millis(200);

/// Frame facts of a packet without payload.
const NO_FRAME: FrameFacts = FrameFacts {
    start: false,
    end: false,
    keyframe: false,
    temporal: 0,
    spatial: 0,
    switch_up: false,
    discardable: false,
    codec: CodecFacts::Opaque,
};

/// A packet on its way into a stream: header and extensions as parsed, after any decapsulation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming<'a> {
    pub now: Time,
    pub arrival: Time,
    pub header: &'a Header,
    pub extensions: &'a Extensions,
    pub packet: &'a [u8],
    pub repaired: bool,
}

/// What a stream must know of its track for one packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting<'a> {
    pub codec: &'a CodecParameters,
    pub kind: MediaKind,
    /// Whether missing packets are to be asked for.
    pub repairs: bool,
}

/// A packet that found its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub n: u64,
    pub t: u64,
    pub frame: FrameFacts,
    pub restarted: bool,
    /// A request brought it.
    pub repaired: bool,
    /// The stream came up, or changed its codec.
    pub changed: bool,
}

/// Where a packet belongs, before it is read.
#[derive(Clone, Copy, Debug)]
struct Found {
    n: u64,
    restarted: bool,
    /// It came late, after it had been asked for, on a stream whose retransmissions look like originals.
    repaired: bool,
}

impl Found {
    fn at(n: u64) -> Self {
        Self { n, restarted: false, repaired: false }
    }
}

/// The retransmission stream beside a stream: counted on its own (RFC 4588 section 4).
#[derive(Clone, Debug)]
pub(super) struct Repair {
    pub ssrc: u32,
    pub reception: Reception,
    sequencer: Sequencer,
}

impl Repair {
    pub(super) fn new(ssrc: u32) -> Self {
        Self { ssrc, reception: Reception::default(), sequencer: Sequencer::default() }
    }

    /// Counts one RTX packet.
    pub(super) fn handle_packet(&mut self, sequence: u16) {
        match self.sequencer.place(sequence, false) {
            Placement::Restart { n } => {
                self.reception.restart();
                self.reception.count_original(n, true);
            }
            Placement::Newest { n, .. } | Placement::Late { n } => {
                self.reception.count_original(n, true);
            }
            Placement::Duplicate | Placement::TooOld | Placement::Held => {}
        }
    }
}

/// One RTP stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub parameters: StreamParameters,
    /// SSRC that is bound now.
    pub ssrc: Option<u32>,
    pub repair: Option<Repair>,
    pub codec: Codec,
    pub clock_rate: u32,
    pub nack: NackGenerator,
    pub throttle: KeyframeThrottle,
    pub clock: StreamClock,
    pub liveness: Liveness,
    pub rates: LayerRates,
    pub reception: Reception,
    pub received: Flow,
    pub timestamps: Timestamps,
    sequencer: Sequencer,
    frames: FrameReader,
}

impl Stream {
    /// A stream that has not been heard of.
    pub(super) fn new(parameters: StreamParameters, index: u8, nature: Nature) -> Self {
        let clock = if nature.alone { StreamClock::alone() } else { StreamClock::default() };
        Self {
            parameters,
            ssrc: None,
            repair: None,
            codec: nature.codec,
            clock_rate: nature.clock_rate,
            nack: NackGenerator::default(),
            throttle: KeyframeThrottle::new(index, nature.screen),
            clock,
            liveness: Liveness::new(nature.kind, nature.screen),
            rates: LayerRates::new(nature.screen),
            reception: Reception::default(),
            received: Flow::default(),
            timestamps: Timestamps::default(),
            sequencer: Sequencer::default(),
            frames: FrameReader::default(),
        }
    }

    /// Rises with each restart.
    pub(super) fn generation(&self) -> u8 {
        self.sequencer.generation()
    }

    /// Whether a packet with this sequence number would be the newest.
    pub(super) fn is_ahead(&self, sequence: u16) -> bool {
        self.sequencer.newest().is_none_or(|newest| sequence.wrapping_sub(newest as u16) as i16 > 0)
    }

    /// Another SSRC carries the stream from now on.
    pub(super) fn replace_source(&mut self, ssrc: u32) {
        if self.sequencer.newest().is_some() {
            self.sequencer.restart();
            self.begin_generation();
        }
        self.ssrc = Some(ssrc);
    }

    /// Interarrival jitter as time.
    pub(super) fn jitter(&self) -> Duration {
        let ticks = u64::from(self.reception.jitter());
        Duration::from_micros(ticks * 1_000_000 / u64::from(self.clock_rate.max(1)))
    }

    /// The earliest time at which the stream needs attention.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        // A request waits until there is somebody to ask.
        let throttle = self.ssrc.and(self.throttle.poll_timeout());
        [self.nack.poll_timeout(), throttle, self.liveness.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes one packet: numbers first, then losses, then what its payload tells.
    pub(super) fn accept(
        &mut self,
        incoming: &Incoming<'_>,
        setting: &Setting<'_>,
    ) -> Result<Placed, DropReason> {
        let Found { n, restarted, repaired } = self.place(incoming, setting)?;
        let t = self.timestamps.unwrap(incoming.header.timestamp);
        self.received.packets += 1;
        self.received.bytes += incoming.packet.len() as u64;
        if incoming.repaired {
            self.reception.count_repaired(n);
        } else {
            self.reception.count_original(n, true);
            if self.sequencer.newest() == Some(n) {
                self.reception.time(incoming.arrival, t, setting.codec.clock_rate);
            }
        }
        self.clock_rate = setting.codec.clock_rate;
        let repaired = repaired || incoming.repaired;
        let mut placed = Placed { n, t, frame: NO_FRAME, restarted, repaired, changed: false };
        if incoming.header.payload.is_empty() {
            self.frames.skip(n);
        } else {
            placed.frame = self.read_frame(incoming, setting, n, t)?;
            placed.changed = self.observe(incoming, setting, &placed);
        }
        Ok(placed)
    }

    fn place(
        &mut self,
        incoming: &Incoming<'_>,
        setting: &Setting<'_>,
    ) -> Result<Found, DropReason> {
        let sequence = incoming.header.sequence;
        if incoming.repaired {
            return match self.sequencer.place_repaired(sequence) {
                Placement::Newest { n, gap } => {
                    self.handle_gap(incoming, setting, n - gap..n);
                    Ok(Found::at(n))
                }
                Placement::Late { n } => {
                    self.nack.handle_arrival(incoming.now, n, false);
                    Ok(Found::at(n))
                }
                _ => Err(DropReason::RtxRedundant),
            };
        }
        let age = -self.timestamps.step(incoming.header.timestamp);
        let stale = (0..STALE_SECONDS * i64::from(self.clock_rate)).contains(&age);
        match self.sequencer.place(sequence, stale) {
            Placement::Newest { n, gap } => {
                self.handle_gap(incoming, setting, n - gap..n);
                Ok(Found::at(n))
            }
            Placement::Late { n } => {
                // With RTX nothing but reordering brings an original late.
                let reordered = setting.codec.rtx.is_some();
                let asked = self.nack.handle_arrival(incoming.now, n, reordered);
                Ok(Found { repaired: asked && !reordered, ..Found::at(n) })
            }
            Placement::Restart { n } => {
                self.begin_generation();
                self.handle_gap(incoming, setting, n - 1..n);
                Ok(Found { restarted: true, ..Found::at(n) })
            }
            Placement::Duplicate => {
                self.count_duplicate(sequence);
                Err(DropReason::Duplicate)
            }
            Placement::TooOld => Err(DropReason::LateIngress),
            Placement::Held => Err(DropReason::JumpHeld),
        }
    }

    /// An original that its own repair overtook still arrived, as far as loss reports go.
    fn count_duplicate(&mut self, sequence: u16) {
        if let Some(newest) = self.sequencer.newest() {
            let behind = u64::from((newest as u16).wrapping_sub(sequence));
            self.reception.count_original(newest.saturating_sub(behind), false);
        }
    }

    fn begin_generation(&mut self) {
        self.timestamps = Timestamps::default();
        self.reception.restart();
        self.nack.clear();
        self.frames = FrameReader::default();
    }

    fn handle_gap(
        &mut self,
        incoming: &Incoming<'_>,
        setting: &Setting<'_>,
        gap: std::ops::Range<u64>,
    ) {
        if gap.is_empty() || !setting.repairs {
            return;
        }
        let kept = if incoming.repaired {
            self.nack.handle_overtaken(incoming.now, gap.start, gap.end)
        } else {
            self.nack.handle_gap(incoming.now, gap.start, gap.end)
        };
        if !kept && setting.kind == MediaKind::Video {
            self.throttle.request(incoming.now);
        }
    }

    fn read_frame(
        &mut self,
        incoming: &Incoming<'_>,
        setting: &Setting<'_>,
        n: u64,
        t: u64,
    ) -> Result<FrameFacts, DropReason> {
        let input = FrameInput {
            codec: setting.codec.codec,
            n,
            t,
            marker: incoming.header.marker,
            payload: incoming.header.payload.of(incoming.packet),
            descriptor: incoming.extensions.facts.dependency_descriptor.of(incoming.packet),
        };
        let frame = self.frames.read(&input);
        if frame == Err(DropReason::DdUnknownTemplate) && setting.repairs {
            self.throttle.request(incoming.now + STRUCTURE_PATIENCE);
        }
        frame
    }

    /// What a payload packet means for key-frame requests, rates and liveness; true if the stream came up
    /// or changed its codec.
    fn observe(&mut self, incoming: &Incoming<'_>, setting: &Setting<'_>, placed: &Placed) -> bool {
        let frame = &placed.frame;
        let starts_keyframe =
            setting.kind == MediaKind::Video && frame.keyframe && frame.start && frame.spatial == 0;
        if starts_keyframe {
            self.throttle.handle_keyframe();
            self.nack.handle_keyframe(placed.n);
        }
        let layer = (frame.spatial, frame.temporal);
        self.rates.add(incoming.now, layer, incoming.packet.len());
        let came_up = self.liveness.handle_packet(incoming.now, starts_keyframe);
        let before = std::mem::replace(&mut self.codec, setting.codec.codec);
        came_up || (before != self.codec && self.liveness.is_active())
    }
}

/// What a stream is by birth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nature {
    pub kind: MediaKind,
    pub screen: bool,
    /// The only stream of its track.
    pub alone: bool,
    pub codec: Codec,
    pub clock_rate: u32,
}
