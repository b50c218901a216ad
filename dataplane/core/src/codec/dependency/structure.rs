//! The template dependency structure (AV1 RTP specification, appendix A.8.4): what a stream's frames can be.
//!
//! In: bits behind the flags of a descriptor. Out: [`Structure`], or `None` if it is cut off or larger than
//! [`DependencyFacts`] can tell.

use super::super::bits::BitReader;
use crate::media::DependencyFacts;

/// Decode targets that a structure can have: five bits and one.
pub const MAX_TARGETS: usize = 32;

/// Chains that are followed: more than any published scalability mode has.
pub const MAX_CHAINS: usize = 8;

/// References of one frame that are followed.
pub const MAX_DIFFS: usize = 8;

/// Templates that a 6-bit id can name.
const MAX_TEMPLATES: usize = 64;

/// Spatial layers that resolutions are kept of; `spatial << 4` in the packed form allows more.
const MAX_SPATIAL: usize = 4;

/// Temporal layers that the packed form of a decode target's layers can tell.
const MAX_TEMPORAL: u8 = 8;

/// What one kind of frame depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Template {
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// Decode target indications, 2 bits each, target 0 lowest.
    pub dti: u64,
    /// Distances to referenced frames; zero ends the list.
    pub diffs: [u16; MAX_DIFFS],
    /// Distance to the previous frame of each chain.
    pub chain_diffs: [u8; MAX_CHAINS],
}

/// Largest picture of a spatial layer, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Resolution {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// A template dependency structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Template id of the first template.
    pub offset: u8,
    /// Decode targets.
    pub targets: u8,
    /// Chains.
    pub chains: u8,
    /// For each decode target the chain that protects it, `0xFF` none.
    pub protected_by: [u8; MAX_TARGETS],
    /// For each decode target `spatial << 4 | temporal` of its highest layers.
    pub target_layers: [u8; MAX_TARGETS],
    /// Largest picture per spatial layer, if told.
    pub resolutions: Option<[Resolution; MAX_SPATIAL]>,
    templates: [Template; MAX_TEMPLATES],
    count: usize,
}

impl Structure {
    /// Reads a structure.
    pub(super) fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        let offset = bits.bits(6)? as u8;
        let targets = bits.bits(5)? as u8 + 1;
        let mut structure = Self {
            offset,
            targets,
            chains: 0,
            protected_by: [0xFF; MAX_TARGETS],
            target_layers: [0; MAX_TARGETS],
            resolutions: None,
            templates: [Template::default(); MAX_TEMPLATES],
            count: 0,
        };
        structure.read_layers(bits)?;
        for template in structure.used() {
            template.dti = indications(bits, targets)?;
        }
        for template in structure.used() {
            template.diffs = template_diffs(bits)?;
        }
        structure.read_chains(bits)?;
        structure.derive_target_layers();
        if bits.flag()? {
            structure.read_resolutions(bits)?;
        }
        Some(structure)
    }

    /// The template that a 6-bit id names.
    pub fn template(&self, id: u8) -> Option<&Template> {
        let index = usize::from(id.wrapping_sub(self.offset) & 0x3F);
        self.templates[..self.count].get(index)
    }

    /// The templates in order.
    pub fn templates(&self) -> &[Template] {
        &self.templates[..self.count]
    }

    /// A mask with every decode target set.
    pub fn all_targets(&self) -> u32 {
        u32::MAX >> (32 - u32::from(self.targets))
    }

    /// The facts of a frame that follows `template` in everything.
    pub(super) fn facts_of(&self, template: &Template, frame: u64) -> DependencyFacts {
        DependencyFacts {
            frame,
            dti: template.dti,
            targets: self.targets,
            frame_diffs: template.diffs,
            chain_diffs: template.chain_diffs,
            protected_by: self.protected_by,
            target_layers: self.target_layers,
            active_targets: self.all_targets(),
            has_structure: false,
        }
    }

    fn used(&mut self) -> impl Iterator<Item = &mut Template> {
        self.templates[..self.count].iter_mut()
    }

    fn read_layers(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        let (mut spatial, mut temporal) = (0, 0);
        loop {
            if usize::from(spatial) >= MAX_SPATIAL || temporal >= MAX_TEMPORAL {
                return None;
            }
            let template = self.templates.get_mut(self.count)?;
            (template.spatial, template.temporal) = (spatial, temporal);
            self.count += 1;
            match bits.bits(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => return Some(()),
            }
        }
    }

    fn read_chains(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        let chains = bits.below(u32::from(self.targets) + 1)?;
        if chains as usize > MAX_CHAINS {
            return None;
        }
        self.chains = chains as u8;
        if chains == 0 {
            return Some(());
        }
        for target in 0..usize::from(self.targets) {
            self.protected_by[target] = bits.below(chains)? as u8;
        }
        for template in self.used() {
            for diff in &mut template.chain_diffs[..chains as usize] {
                *diff = bits.bits(4)? as u8;
            }
        }
        Some(())
    }

    /// A decode target reaches as high as the templates that are present in it.
    fn derive_target_layers(&mut self) {
        for target in 0..usize::from(self.targets) {
            let present = self.templates[..self.count]
                .iter()
                .filter(|template| template.dti >> (2 * target) & 3 != 0);
            let (spatial, temporal) = present.fold((0, 0), |(spatial, temporal), template| {
                (template.spatial.max(spatial), template.temporal.max(temporal))
            });
            self.target_layers[target] = spatial << 4 | temporal;
        }
    }

    fn read_resolutions(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        let highest = self.templates().iter().map(|template| template.spatial).max()?;
        let mut resolutions = [Resolution::default(); MAX_SPATIAL];
        for resolution in &mut resolutions[..=usize::from(highest)] {
            resolution.width = bits.bits(16)? + 1;
            resolution.height = bits.bits(16)? + 1;
        }
        self.resolutions = Some(resolutions);
        Some(())
    }
}

/// Decode target indications, packed with target 0 lowest.
pub(super) fn indications(bits: &mut BitReader<'_>, targets: u8) -> Option<u64> {
    (0..targets)
        .try_fold(0, |packed, target| Some(packed | u64::from(bits.bits(2)?) << (2 * target)))
}

/// Reference distances of a template: flag, then 4 bits.
fn template_diffs(bits: &mut BitReader<'_>) -> Option<[u16; MAX_DIFFS]> {
    let mut diffs = [0; MAX_DIFFS];
    let mut count = 0;
    while bits.flag()? {
        *diffs.get_mut(count)? = bits.bits(4)? as u16 + 1;
        count += 1;
    }
    Some(diffs)
}
