//! Which stream of a track is on a leg's wire, and when another takes its place.
//!
//! In: the target from outside, which streams arrive, packets, time. Out: for each packet whether it
//! continues, begins or stays away; key-frame wishes. The old stream stays until the new one starts.
//!
//! Whatever a start waits for may never come, and each has its bound:
//!
//! | waits for | bound | then |
//! |---|---|---|
//! | a key frame | [`FIRST`] or two round trips, [`SLOW`], [`STEADY`] while the stream arrives | asks again |
//! | the same, nothing on the wire | [`GRACE`] | asks for the lowest stream every second time, and takes it |
//! | what ties the time stamps | [`REPORT_PATIENCE`], however often the stream came and went | starts by wall clock |
//! | time stamps that lie behind | three key frames, or [`REPORT_PATIENCE`] | starts just past what was sent |

use std::time::Duration;

use super::sequence::Source;
use super::timeline::Joint;
use super::track::MAX_STREAMS;
use crate::command::LayerTarget;
use crate::drop::DropReason;
use crate::media::{MediaKind, PacketMeta};
use crate::time::Time;

/// A fresh leg insists on the layer it wants for so long, rather than climb step by step.
const GRACE: Duration = Duration::from_secs(1);

/// Least time between two switches that only lead towards the target.
const STEP: Duration = Duration::from_millis(200);

/// A switch waits so long for what ties the time stamps of two streams: browsers report every second, and some
/// encoders report on one of their streams only. Those are waited for once.
const REPORT_PATIENCE: Duration = Duration::from_secs(2);

/// First repetition of a key-frame wish, unless two round trips are longer, but at most [`SLOW`]: a single late
/// report of a busy receiver counts seconds. Then [`SLOW`], at last [`STEADY`], or [`IDLE`] if nothing arrives.
const FIRST: Duration = Duration::from_millis(250);
const SLOW: Duration = Duration::from_secs(1);
const STEADY: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(10);
const SLOW_TRIES: u8 = 5;

/// What may pass inside the stream on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Highest spatial layer.
    pub spatial: u8,
    /// Highest temporal layer.
    pub temporal: u8,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It belongs to the source on the wire, or to the one before it.
    Continue,
    /// A source may begin here.
    Begin(Joint),
}

/// Where a leg stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody wants it.
    Paused,
    /// Nothing is on the wire; the first start point that fits is taken.
    Acquiring {
        /// Since when.
        since: Time,
    },
    /// `stream` is on the wire, as wanted.
    Forwarding {
        /// Stream index.
        stream: u8,
    },
    /// `stream` stays on the wire until `to` starts.
    Switching {
        /// On the wire.
        stream: u8,
        /// Wanted.
        to: u8,
    },
}

/// A key frame that the leg waits for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    due: Time,
    tries: u8,
}

/// The layer selection of one leg.
#[derive(Debug)]
pub struct Selector {
    kind: MediaKind,
    target: Option<LayerTarget>,
    state: State,
    /// Streams that arrive, bit per index.
    active: u8,
    /// Streams that were waited for in vain: nothing ties their time stamps to the others.
    untied: u8,
    last_switch: Time,
    /// Per stream: since when it was to take the place of the one on the wire.
    waited: [Option<Time>; MAX_STREAMS],
    /// Per stream: what is on the wire may need a key frame as well as what shall come.
    wishes: [Option<Wish>; MAX_STREAMS],
}

impl Selector {
    /// Paused until a target is set.
    pub fn new(kind: MediaKind, active: u8) -> Self {
        Self {
            kind,
            target: None,
            state: State::Paused,
            active,
            untied: 0,
            last_switch: Time(0),
            waited: [None; MAX_STREAMS],
            wishes: [None; MAX_STREAMS],
        }
    }

    /// The stream on the wire.
    pub fn current(&self) -> Option<u8> {
        match self.state {
            State::Paused | State::Acquiring { .. } => None,
            State::Forwarding { stream } | State::Switching { stream, .. } => Some(stream),
        }
    }

    /// The layer that was asked for; `None` while paused.
    pub fn wanted_layer(&self) -> Option<u8> {
        self.target.map(|target| target.spatial)
    }

    /// What may pass inside the current stream. On the way down its upper temporal layers go at once:
    /// they need no key frame, and the leg was told to send less.
    pub fn cap(&self) -> Cap {
        let target = self.target.unwrap_or(LayerTarget { spatial: 0, temporal: 0 });
        let down = matches!(self.state, State::Switching { stream, to } if to < stream);
        Cap { spatial: target.spatial, temporal: if down { 0 } else { target.temporal } }
    }

    /// Streams (bit per index) that the leg carries or waits for.
    pub fn wanted(&self) -> u8 {
        match self.state {
            State::Paused => 0,
            State::Acquiring { .. } => self.target.map_or(0, |t| up_to(t.spatial)) | self.lowest(),
            State::Forwarding { stream } => bit(stream),
            State::Switching { stream, to } => bit(stream) | bit(to),
        }
    }

    /// Another wish from outside; `None` pauses.
    pub fn set_target(&mut self, now: Time, target: Option<LayerTarget>) {
        self.target = target;
        self.evaluate(now);
    }

    /// A stream of the track starts or stops to arrive.
    pub fn set_active(&mut self, now: Time, active: u8) {
        if self.active != active {
            self.active = active;
            self.evaluate(now);
        }
    }

    /// Nothing reaches the receiver at present: what follows must begin anew.
    pub fn interrupt(&mut self, now: Time) {
        if self.current().is_some() {
            self.state = State::Acquiring { since: now };
            self.keep_wishes(0);
        }
    }

    /// Looks again for what to carry: after an interruption, for the key frame that it needs.
    pub fn renew(&mut self, now: Time) {
        self.evaluate(now);
    }

    /// A key frame of `stream` is needed, at once unless one is on order.
    pub fn want_keyframe(&mut self, now: Time, stream: u8) {
        if self.kind == MediaKind::Video {
            if let Some(wish) = self.wishes.get_mut(usize::from(stream)) {
                wish.get_or_insert(Wish { due: now, tries: 0 });
            }
        }
    }

    /// A stream whose key frame is to be asked for now, until there is none; `rtt` is the receiver's round trip.
    pub fn poll_wish(&mut self, now: Time, rtt: Duration) -> Option<u8> {
        let is_due = |wish: &Option<Wish>| wish.is_some_and(|wish| wish.due <= now);
        let stream = self.wishes.iter().position(is_due)? as u8;
        let wish = self.wishes[usize::from(stream)].as_mut()?;
        let pause = match wish.tries {
            0 => FIRST.max((rtt * 2).min(SLOW)),
            1..=SLOW_TRIES => SLOW,
            _ if self.active & bit(stream) != 0 => STEADY,
            _ => IDLE,
        };
        let again = wish.tries > 0 && wish.tries % 2 == 0;
        // The parity goes on when the count does not.
        wish.tries = wish.tries.checked_add(1).unwrap_or(u8::MAX - 1);
        wish.due = now + pause;
        Some(match self.state {
            State::Acquiring { since } if again && now.since(since) >= GRACE => self.fallback(),
            _ => stream,
        })
    }

    /// When [`Selector::poll_wish`] is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.wishes.iter().flatten().map(|wish| wish.due).min()
    }

    /// What to do with a packet, given the source on the wire.
    pub fn route(
        &self,
        now: Time,
        meta: &PacketMeta,
        source: Option<Source>,
    ) -> Result<Route, DropReason> {
        let same = source.filter(|source| source.stream == meta.stream);
        let known = same.is_some_and(|source| source.generation == meta.generation);
        match self.state {
            State::Paused => Err(DropReason::LegPaused),
            State::Acquiring { since } => {
                if self.may_acquire(now, since, meta.stream) {
                    let joint = match same {
                        Some(_) if known => Joint::Resume,
                        Some(_) => Joint::Source,
                        None => Joint::Layer { patient: false },
                    };
                    self.begin(meta, joint)
                } else {
                    Err(DropReason::LayerNotSelected)
                }
            }
            State::Forwarding { stream } | State::Switching { stream, .. }
                if stream == meta.stream =>
            {
                let stale = same.is_some_and(|s| is_older(meta.generation, s.generation));
                if known || stale {
                    Ok(Route::Continue)
                } else {
                    self.begin(meta, Joint::Source)
                }
            }
            State::Forwarding { .. } => Ok(Route::Continue),
            State::Switching { stream, to } => {
                if !self.leads_on(now, stream, to, meta.stream) {
                    return Ok(Route::Continue);
                }
                let patient =
                    self.waits(now, meta.stream, to) && self.untied & bit(meta.stream) == 0;
                self.begin(meta, Joint::Layer { patient })
            }
        }
    }

    /// `stream` is on the wire from now on.
    pub fn started(&mut self, now: Time, stream: u8) {
        self.last_switch = now;
        if self.current() != Some(stream) {
            self.waited = [None; MAX_STREAMS];
        }
        self.keep_wishes(!bit(stream));
        self.state = State::Forwarding { stream };
        self.evaluate(now);
    }

    /// `stream` takes the place of another although nothing ties their time stamps.
    pub fn started_untied(&mut self, stream: u8) {
        self.untied |= bit(stream);
    }

    /// A key frame went out: nothing more to wish for, unless another stream is wanted.
    pub fn keyframe_sent(&mut self, stream: u8) {
        self.keep_wishes(!bit(stream));
    }

    /// Brings the state in line with the target and with what arrives.
    fn evaluate(&mut self, now: Time) {
        let Some(choice) = self.choice() else {
            if self.target.is_none() {
                self.state = State::Paused;
                self.keep_wishes(0);
            } else if self.state == State::Paused {
                self.state = State::Acquiring { since: now };
            }
            return;
        };
        self.state = match self.state {
            State::Paused => State::Acquiring { since: now },
            State::Acquiring { since } => State::Acquiring { since },
            State::Forwarding { stream } | State::Switching { stream, .. } if stream == choice => {
                State::Forwarding { stream }
            }
            State::Forwarding { stream } | State::Switching { stream, .. } => {
                State::Switching { stream, to: choice }
            }
        };
        match self.state {
            State::Forwarding { stream } => self.keep_wishes(bit(stream)),
            State::Switching { stream, to } => {
                self.keep_wishes(bit(stream) | bit(to));
                self.want_keyframe(now, to);
                if let Some(waited) = self.waited.get_mut(usize::from(to)) {
                    waited.get_or_insert(now);
                }
            }
            State::Acquiring { .. } | State::Paused => {
                self.keep_wishes(bit(choice));
                self.want_keyframe(now, choice);
            }
        }
    }

    /// Forgets the wishes for streams that are not among `streams` (bit per index).
    fn keep_wishes(&mut self, streams: u8) {
        for (stream, wish) in self.wishes.iter_mut().enumerate() {
            wish.take_if(|_| streams >> stream & 1 == 0);
        }
    }

    /// Whether the reports of `stream`, a step on the way to `to`, are still waited for.
    fn waits(&self, now: Time, stream: u8, to: u8) -> bool {
        let since = |stream: u8| self.waited.get(usize::from(stream)).copied().flatten();
        since(stream).or(since(to)).is_some_and(|since| now.since(since) < REPORT_PATIENCE)
    }

    /// The stream to aim at: the highest that arrives up to the target, else the lowest above it.
    fn choice(&self) -> Option<u8> {
        let target = self.target?;
        let below = self.active & up_to(target.spatial);
        match (below, self.active) {
            (0, 0) => None,
            (0, active) => Some(active.trailing_zeros() as u8),
            (below, _) => Some(7 - below.leading_zeros() as u8),
        }
    }

    /// The stream that a leg is content with which has waited for its own in vain: the lowest that arrives.
    fn fallback(&self) -> u8 {
        self.active.trailing_zeros() as u8
    }

    fn lowest(&self) -> u8 {
        self.active & self.active.wrapping_neg()
    }

    /// Whether a leg without anything on the wire may start with `stream`.
    fn may_acquire(&self, now: Time, since: Time, stream: u8) -> bool {
        let Some(target) = self.target else { return false };
        match self.choice() {
            None => true,
            Some(choice) if choice == stream => true,
            Some(_) => now.since(since) >= GRACE && stream <= target.spatial,
        }
    }

    /// Whether `stream` is the one wanted or lies between it and the current one.
    fn leads_on(&self, now: Time, current: u8, to: u8, stream: u8) -> bool {
        let between = (current < stream && stream < to) || (to < stream && stream < current);
        stream == to || (between && now.since(self.last_switch) >= STEP)
    }

    /// A source begins at the first packet of a key frame; audio anywhere.
    fn begin(&self, meta: &PacketMeta, joint: Joint) -> Result<Route, DropReason> {
        if meta.padding_only {
            return Err(DropReason::PaddingOnly);
        }
        if self.kind == MediaKind::Audio {
            return Ok(Route::Begin(joint));
        }
        if !meta.frame.keyframe || meta.frame.spatial != 0 {
            return Err(DropReason::NotAKeyframe);
        }
        if !meta.frame.start {
            return Err(DropReason::SwitchNotStart);
        }
        Ok(Route::Begin(joint))
    }
}

fn bit(stream: u8) -> u8 {
    1u8.checked_shl(u32::from(stream)).unwrap_or(0)
}

fn up_to(stream: u8) -> u8 {
    bit(stream).wrapping_sub(1) | bit(stream)
}

/// Whether generation `a` came before `b`; the counter wraps.
fn is_older(a: u8, b: u8) -> bool {
    (a.wrapping_sub(b) as i8) < 0
}

#[cfg(test)]
#[path = "selector_tests.rs"]
mod tests;
