//! Streams with a dependency descriptor (AV1 and whatever else carries one): decode targets, chains, and
//! frame numbers at a constant offset between two starts, because references are differences of them.

use super::{Age, Patch, Refusal, Verdict};
use crate::drop::DropReason;
use crate::egress::selector::Cap;
use crate::media::{DependencyFacts, PacketMeta};

/// Frames whose fate is remembered: references and chains reach back no further than eight bits.
const FRAMES: usize = 256;

/// Marks a decode target that no chain protects.
const UNPROTECTED: u8 = 0xFF;

/// A decode target indication that lets a receiver switch to the target here.
const SWITCH: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Unknown,
    Dropped,
    Forwarded,
}

/// The frames of one source.
#[derive(Debug)]
struct Frames {
    newest: u64,
    /// `output = input - offset`, modulo 2^16.
    offset: u16,
    /// Input frame number and whether it passes.
    fates: [(u64, bool); FRAMES],
}

impl Default for Frames {
    fn default() -> Self {
        Self { newest: 0, offset: 0, fates: [(u64::MAX, false); FRAMES] }
    }
}

impl Frames {
    fn fate(&self, frame: u64) -> Fate {
        match self.fates[frame as usize % FRAMES] {
            (number, true) if number == frame => Fate::Forwarded,
            (number, false) if number == frame => Fate::Dropped,
            _ => Fate::Unknown,
        }
    }

    fn note(&mut self, frame: u64, passes: bool) {
        self.fates[frame as usize % FRAMES] = (frame, passes);
    }

    /// Whether nothing that the frame refers to is known to be missing.
    fn has_references(&self, facts: &DependencyFacts) -> bool {
        let diffs = facts.frame_diffs.iter().take_while(|&&diff| diff != 0);
        diffs
            .into_iter()
            .all(|&diff| self.fate(facts.frame.wrapping_sub(u64::from(diff))) != Fate::Dropped)
    }

    /// The fate of the frame before this one in the chain of `target`; forwarded if the chain begins here
    /// or there is none.
    fn chain(&self, facts: &DependencyFacts, target: u8) -> Fate {
        let chain = facts.protected_by[usize::from(target) & 31];
        let diff = facts.chain_diffs.get(usize::from(chain)).copied().unwrap_or(0);
        if chain == UNPROTECTED || diff == 0 {
            return Fate::Forwarded;
        }
        self.fate(facts.frame.wrapping_sub(u64::from(diff)))
    }
}

/// The dependency state of one leg.
#[derive(Debug, Default)]
pub struct DependencyGate {
    frames: Frames,
    previous: Frames,
    /// Decode target on the wire and its highest (spatial, temporal) layer.
    target: u8,
    layer: (u8, u8),
    /// The source offers more than one spatial layer.
    spatial_layers: bool,
    /// Only a key frame leads to the cap, or mends a broken chain.
    waiting: bool,
    last_output: u16,
    started: bool,
}

impl DependencyGate {
    /// A source begins.
    pub fn begin(&mut self, meta: &PacketMeta, facts: &DependencyFacts, cap: Cap) -> Verdict {
        std::mem::swap(&mut self.frames, &mut self.previous);
        self.frames = Frames { newest: facts.frame, ..Frames::default() };
        if self.started {
            self.frames.offset =
                (facts.frame as u16).wrapping_sub(self.last_output.wrapping_add(1));
        }
        self.started = true;
        self.waiting = false;
        self.aim(facts, best(facts, cap).unwrap_or(0));
        self.frames.note(facts.frame, true);
        self.pass(meta, facts, Age::Newest)
    }

    /// Whether a packet passes.
    pub fn decide(
        &mut self,
        meta: &PacketMeta,
        facts: &DependencyFacts,
        age: Age,
        cap: Cap,
    ) -> Result<Verdict, Refusal> {
        let frames = if age == Age::Draining { &self.previous } else { &self.frames };
        let newest = frames.newest;
        let reason = match frames.fate(facts.frame) {
            Fate::Forwarded => return Ok(self.pass(meta, facts, age)),
            Fate::Dropped => Some(self.reason(facts)),
            Fate::Unknown if facts.frame + FRAMES as u64 <= newest => {
                return Err(Refusal { reason: DropReason::LateNoMapping, gap_too: false });
            }
            Fate::Unknown => self.judge(facts, age, cap).err(),
        };
        match reason {
            None => Ok(self.pass(meta, facts, age)),
            Some(reason) => {
                Err(Refusal { reason, gap_too: facts.frame == newest && !meta.frame.start })
            }
        }
    }

    /// Whether only a key frame helps.
    pub fn needs_keyframe(&self) -> bool {
        self.waiting
    }

    /// The spatial layer that passes, if the source has several.
    pub fn spatial(&self) -> Option<u8> {
        self.spatial_layers.then_some(self.layer.0)
    }

    /// Decides about a frame that was not seen before.
    fn judge(&mut self, facts: &DependencyFacts, age: Age, cap: Cap) -> Result<(), DropReason> {
        if age == Age::Newest && facts.frame > self.frames.newest {
            self.frames.newest = facts.frame;
            self.move_target(facts, cap);
        }
        let frames = if age == Age::Draining { &self.previous } else { &self.frames };
        let present = indication(facts, self.target) != 0;
        let decodable = frames.has_references(facts);
        let intact = frames.chain(facts, self.target) != Fate::Dropped;
        let frames = if age == Age::Draining { &mut self.previous } else { &mut self.frames };
        frames.note(facts.frame, present && decodable && intact);
        if !present {
            return Err(self.reason(facts));
        }
        if decodable && intact {
            return Ok(());
        }
        self.waiting = true;
        Err(DropReason::ChainBroken)
    }

    /// Chooses the decode target anew where this frame allows it.
    fn move_target(&mut self, facts: &DependencyFacts, cap: Cap) {
        let Some(wanted) = best(facts, cap) else { return };
        if facts.has_structure {
            self.waiting = false;
            self.aim(facts, wanted);
            return;
        }
        if wanted != self.target {
            let (spatial, temporal) = layer(facts, wanted);
            let down = spatial <= self.layer.0 && temporal <= self.layer.1;
            let joins = indication(facts, wanted) == SWITCH && self.frames.has_references(facts);
            let chained = self.frames.chain(facts, wanted) == Fate::Forwarded;
            if down || (joins && chained) {
                self.aim(facts, wanted);
                self.waiting = false;
            } else if spatial > self.layer.0 {
                self.waiting = true;
            }
        }
        if self.frames.chain(facts, self.target) == Fate::Dropped {
            self.fall(facts);
        }
    }

    /// The chain is broken: what is below may still be whole.
    fn fall(&mut self, facts: &DependencyFacts) {
        self.waiting = true;
        let whole = (0..facts.targets.min(32)).filter(|&target| {
            let (spatial, temporal) = layer(facts, target);
            spatial < self.layer.0
                && temporal <= self.layer.1
                && self.frames.chain(facts, target) == Fate::Forwarded
        });
        if let Some(target) = whole.max_by_key(|&target| layer(facts, target)) {
            self.aim(facts, target);
        }
    }

    fn aim(&mut self, facts: &DependencyFacts, target: u8) {
        self.target = target;
        self.layer = layer(facts, target);
        self.spatial_layers = (0..facts.targets.min(32)).any(|t| layer(facts, t).0 > 0);
    }

    fn reason(&self, facts: &DependencyFacts) -> DropReason {
        let spatial = (0..facts.targets.min(32))
            .filter(|&target| indication(facts, target) != 0)
            .all(|target| layer(facts, target).0 > self.layer.0);
        if spatial {
            DropReason::SpatialDrop
        } else {
            DropReason::TemporalDrop
        }
    }

    fn pass(&mut self, meta: &PacketMeta, facts: &DependencyFacts, age: Age) -> Verdict {
        let frames = if age == Age::Draining { &self.previous } else { &self.frames };
        let frame = (facts.frame as u16).wrapping_sub(frames.offset);
        if age == Age::Newest {
            self.last_output = frame;
        }
        let served = (0..facts.targets.min(32)).filter(|&target| {
            let (spatial, temporal) = layer(facts, target);
            spatial <= self.layer.0 && temporal <= self.layer.1
        });
        let targets = served.fold(0, |mask, target| mask | 1 << target) & facts.active_targets;
        let top = meta.frame.end && meta.frame.spatial == self.layer.0;
        let count = facts.targets.min(32);
        Verdict { patch: Patch::Dependency { frame, targets, count }, marker: meta.marker || top }
    }
}

/// The highest active decode target within the cap.
fn best(facts: &DependencyFacts, cap: Cap) -> Option<u8> {
    (0..facts.targets.min(32))
        .filter(|&target| {
            let (spatial, temporal) = layer(facts, target);
            let active = facts.active_targets >> target & 1 == 1;
            active && spatial <= cap.spatial && temporal <= cap.temporal
        })
        .max_by_key(|&target| layer(facts, target))
}

fn indication(facts: &DependencyFacts, target: u8) -> u8 {
    (facts.dti >> (2 * u32::from(target & 31)) & 3) as u8
}

fn layer(facts: &DependencyFacts, target: u8) -> (u8, u8) {
    let packed = facts.target_layers[usize::from(target) & 31];
    (packed >> 4, packed & 15)
}

#[cfg(test)]
#[path = "dependency_tests.rs"]
mod tests;
