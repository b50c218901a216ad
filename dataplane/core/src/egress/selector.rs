//! Which stream of a track is on a leg's wire, and when another takes its place.
//!
//! In: the target from outside, which streams arrive, packets, time. Out: for each packet whether it
//! continues, begins or stays away; key-frame wishes. The old stream stays until the new one starts.

use std::time::Duration;

use super::sequence::Source;
use super::timeline::Joint;
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

/// First repetition of a key-frame wish, unless the round trip is longer; then [`SLOW`], at last [`IDLE`].
const FIRST: Duration = Duration::from_millis(250);
const SLOW: Duration = Duration::from_secs(1);
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
        /// Since when.
        since: Time,
    },
}

/// A key frame that the leg waits for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    stream: u8,
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
    wish: Option<Wish>,
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
            wish: None,
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
        let down = matches!(self.state, State::Switching { stream, to, .. } if to < stream);
        Cap { spatial: target.spatial, temporal: if down { 0 } else { target.temporal } }
    }

    /// Streams (bit per index) that the leg carries or waits for.
    pub fn wanted(&self) -> u8 {
        match self.state {
            State::Paused => 0,
            State::Acquiring { .. } => self.target.map_or(0, |t| up_to(t.spatial)) | self.lowest(),
            State::Forwarding { stream } => bit(stream),
            State::Switching { stream, to, .. } => bit(stream) | bit(to),
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
            self.wish = None;
        }
    }

    /// Looks again for what to carry: after an interruption, for the key frame that it needs.
    pub fn renew(&mut self, now: Time) {
        self.evaluate(now);
    }

    /// A key frame of `stream` is needed, at once unless one is on order.
    pub fn want_keyframe(&mut self, now: Time, stream: u8) {
        if self.kind == MediaKind::Video && self.wish.is_none_or(|wish| wish.stream != stream) {
            self.wish = Some(Wish { stream, due: now, tries: 0 });
        }
    }

    /// The stream whose key frame is to be asked for now; `rtt` is the receiver's round trip.
    pub fn poll_wish(&mut self, now: Time, rtt: Duration) -> Option<u8> {
        let wish = self.wish.as_mut().filter(|wish| wish.due <= now)?;
        let pause = match wish.tries {
            0 => FIRST.max(rtt * 2),
            1..=SLOW_TRIES => SLOW,
            _ => IDLE,
        };
        wish.due = now + pause;
        wish.tries = wish.tries.saturating_add(1);
        Some(wish.stream)
    }

    /// When [`Selector::poll_wish`] is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.wish.map(|wish| wish.due)
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
            State::Switching { stream, to, since } => {
                if !self.leads_on(now, stream, to, meta.stream) {
                    return Ok(Route::Continue);
                }
                let patient =
                    now.since(since) < REPORT_PATIENCE && self.untied & bit(meta.stream) == 0;
                self.begin(meta, Joint::Layer { patient })
            }
        }
    }

    /// `stream` is on the wire from now on.
    pub fn started(&mut self, now: Time, stream: u8) {
        self.last_switch = now;
        self.wish = None;
        self.state = State::Forwarding { stream };
        self.evaluate(now);
    }

    /// `stream` takes the place of another although nothing ties their time stamps.
    pub fn started_untied(&mut self, stream: u8) {
        self.untied |= bit(stream);
    }

    /// A key frame went out: nothing more to wish for, unless another stream is wanted.
    pub fn keyframe_sent(&mut self, stream: u8) {
        if self.wish.is_some_and(|wish| wish.stream == stream) {
            self.wish = None;
        }
    }

    /// Brings the state in line with the target and with what arrives.
    fn evaluate(&mut self, now: Time) {
        let Some(choice) = self.choice() else {
            if self.target.is_none() {
                self.state = State::Paused;
                self.wish = None;
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
            State::Switching { stream, to, since } if to == choice => {
                State::Switching { stream, to, since }
            }
            State::Forwarding { stream } | State::Switching { stream, .. } => {
                State::Switching { stream, to: choice, since: now }
            }
        };
        match self.state {
            State::Forwarding { .. } => {}
            _ => self.want_keyframe(now, choice),
        }
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
