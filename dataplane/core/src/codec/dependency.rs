//! The dependency descriptor (AV1 RTP specification, appendix A): layers and references of any codec, in the
//! header.
//!
//! In: the extension's bytes, packet by packet. Out: [`Dependency`] facts resolved against the structure that
//! the stream sent last, and by [`rewrite`] the bytes for a leg. One [`DependencyReader`] per RTP stream.

mod rewrite;
mod structure;
#[cfg(test)]
mod tests;

pub use rewrite::{rewrite, Changes, MAX_GROWTH};
pub use structure::{Resolution, Structure, Template, MAX_CHAINS, MAX_DIFFS, MAX_TARGETS};

use super::bits::BitReader;
use crate::drop::DropReason;
use crate::media::DependencyFacts;

/// Bytes of the fields that every descriptor has.
const MANDATORY: usize = 3;

/// Frame numbers start here, so that early reordering cannot go below zero.
const FIRST_FRAME: u64 = 1 << 16;

/// What the descriptor of one packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// First packet of its frame.
    pub start: bool,
    /// Last packet of its frame.
    pub end: bool,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// References and decode targets.
    pub facts: DependencyFacts,
}

impl Dependency {
    /// Whether some decode target may be switched to at this frame.
    pub fn switch_up(&self) -> bool {
        self.indications().any(|indication| indication == 2)
    }

    /// Whether every decode target that has this frame may go without it.
    pub fn discardable(&self) -> bool {
        self.indications().all(|indication| indication <= 1)
    }

    fn indications(&self) -> impl Iterator<Item = u8> + '_ {
        (0..self.facts.targets).map(|target| (self.facts.dti >> (2 * target)) as u8 & 3)
    }
}

/// Reads the descriptors of one RTP stream.
#[derive(Clone, Debug, Default)]
pub struct DependencyReader {
    structure: Option<Box<Structure>>,
    /// Newest frame number, unwrapped.
    newest: Option<u64>,
    active_targets: u32,
}

/// The flags of an extended descriptor.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    active_targets: bool,
    custom_dtis: bool,
    custom_diffs: bool,
    custom_chains: bool,
}

impl DependencyReader {
    /// Reads the descriptor `raw`. A structure that it carries explains it, and replaces the one before
    /// unless the frame is older than the newest.
    pub fn read(&mut self, raw: &[u8]) -> Result<Dependency, DropReason> {
        let mut bits = BitReader::new(raw);
        let mut next = |width| bits.bits(width).ok_or(DropReason::DdMalformed);
        let (start, end) = (next(1)? == 1, next(1)? == 1);
        let template_id = next(6)? as u8;
        let frame = self.unwrap_frame(next(16)? as u16);
        let (mut flags, mut carried) = (Flags::default(), None);
        if raw.len() > MANDATORY {
            let has_structure = next(1)? == 1;
            flags = Flags {
                active_targets: next(1)? == 1,
                custom_dtis: next(1)? == 1,
                custom_diffs: next(1)? == 1,
                custom_chains: next(1)? == 1,
            };
            if has_structure {
                let structure = Structure::read(&mut bits).ok_or(DropReason::DdMalformed)?;
                carried = Some(structure);
            }
        }
        let has_structure = carried.is_some();
        let is_newest = self.newest.is_none_or(|newest| frame >= newest);
        let late = self.install(carried, is_newest);
        let active_targets = late.as_ref().map_or(self.active_targets, Structure::all_targets);
        let structure = late.as_ref().or(self.structure.as_deref());
        let structure = structure.ok_or(DropReason::DdUnknownTemplate)?;
        let template = structure.template(template_id).ok_or(DropReason::DdUnknownTemplate)?;
        let mut facts = structure.facts_of(template, frame);
        facts.has_structure = has_structure;
        facts.active_targets = active_targets;
        definition(&mut bits, flags, structure, &mut facts).ok_or(DropReason::DdMalformed)?;
        if is_newest {
            self.newest = Some(frame);
            self.active_targets = facts.active_targets;
        }
        let (spatial, temporal) = (template.spatial, template.temporal);
        Ok(Dependency { start, end, spatial, temporal, facts })
    }

    /// The structure that applies now.
    pub fn structure(&self) -> Option<&Structure> {
        self.structure.as_deref()
    }

    fn unwrap_frame(&self, number: u16) -> u64 {
        match self.newest {
            None => FIRST_FRAME + u64::from(number),
            Some(newest) => {
                let step = number.wrapping_sub(newest as u16) as i16;
                newest.saturating_add_signed(i64::from(step))
            }
        }
    }

    /// Keeps a new structure, which resets the active targets to all (appendix A.4). One that is late is
    /// given back: it holds for its own packet only.
    fn install(&mut self, carried: Option<Structure>, is_newest: bool) -> Option<Structure> {
        let structure = carried?;
        if !is_newest && self.structure.is_some() {
            return Some(structure);
        }
        self.active_targets = structure.all_targets();
        match &mut self.structure {
            Some(current) => **current = structure,
            None => self.structure = Some(Box::new(structure)),
        }
        None
    }
}

/// The frame dependency definition: what the flags say differs from the template.
fn definition(
    bits: &mut BitReader<'_>,
    flags: Flags,
    structure: &Structure,
    facts: &mut DependencyFacts,
) -> Option<()> {
    if flags.active_targets {
        facts.active_targets = bits.bits(u32::from(structure.targets))?;
    }
    if flags.custom_dtis {
        facts.dti = structure::indications(bits, structure.targets)?;
    }
    if flags.custom_diffs {
        facts.frame_diffs = custom_diffs(bits)?;
    }
    if flags.custom_chains {
        for chain in 0..usize::from(structure.chains) {
            facts.chain_diffs[chain] = bits.bits(8)? as u8;
        }
    }
    Some(())
}

/// Reference distances of 4, 8 or 12 bits, ended by a size of zero.
fn custom_diffs(bits: &mut BitReader<'_>) -> Option<[u16; MAX_DIFFS]> {
    let mut diffs = [0; MAX_DIFFS];
    let mut count = 0;
    loop {
        let size = bits.bits(2)?;
        if size == 0 {
            return Some(diffs);
        }
        *diffs.get_mut(count)? = bits.bits(4 * size)? as u16 + 1;
        count += 1;
    }
}
