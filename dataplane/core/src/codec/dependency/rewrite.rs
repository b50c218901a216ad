//! A descriptor with a leg's own frame number, template ids and active targets.
//!
//! In: the publisher's descriptor and [`Changes`]. Out: the descriptor for the leg. Everything else, custom
//! indications and distances included, is copied bit by bit.

use super::super::bits::{BitReader, BitWriter};
use super::structure::Structure;
use super::MANDATORY;

/// Bytes by which a rewritten descriptor may be longer: flags, a mask of 32 targets, and alignment.
pub const MAX_GROWTH: usize = 6;

/// What a leg changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Frame number on the leg.
    pub frame: u16,
    /// Added to every template id, modulo 64, and to the structure's offset.
    pub template_shift: u8,
    /// Active decode targets to tell in this packet, with the number of targets of the structure that
    /// applies (a structure in the packet overrides that number).
    pub active_targets: Option<(u32, u8)>,
}

/// Writes `raw` with `changes` into `out`, which needs `raw.len()` + [`MAX_GROWTH`] bytes at most; returns
/// the length, `None` if `raw` cannot be read or `out` is too short.
pub fn rewrite(raw: &[u8], out: &mut [u8], changes: &Changes) -> Option<usize> {
    let mut from = BitReader::new(raw);
    let mut to = BitWriter::new(out);
    to.put(from.bits(2)?, 2)?;
    let template = from.bits(6)? + u32::from(changes.template_shift);
    to.put(template & 0x3F, 6)?;
    from.bits(16)?;
    to.put(u32::from(changes.frame), 16)?;
    if raw.len() <= MANDATORY {
        if let Some((mask, targets)) = changes.active_targets {
            // No structure, a mask, nothing custom.
            to.put(0b01000, 5)?;
            to.put(mask, u32::from(targets))?;
        }
        return to.finish();
    }
    let has_structure = from.flag()?;
    let has_mask = from.flag()?;
    to.put(u32::from(has_structure), 1)?;
    to.put(u32::from(has_mask || changes.active_targets.is_some()), 1)?;
    to.put(from.bits(3)?, 3)?;
    let mut told_targets = changes.active_targets.map(|(_, targets)| targets);
    if has_structure {
        told_targets = Some(copy_structure(&mut from, &mut to, changes.template_shift)?);
    }
    copy_mask(&mut from, &mut to, has_mask, changes.active_targets, told_targets)?;
    let rest = from.left();
    to.copy(&mut from, rest)?;
    to.finish()
}

/// Copies a structure with its offset shifted; the number of its decode targets.
fn copy_structure(from: &mut BitReader<'_>, to: &mut BitWriter<'_>, shift: u8) -> Option<u8> {
    let mut ahead = from.clone();
    let structure = Structure::read(&mut ahead)?;
    let offset = from.bits(6)? + u32::from(shift);
    to.put(offset & 0x3F, 6)?;
    to.copy(from, ahead.position() - from.position())?;
    Some(structure.targets)
}

/// Writes the new mask in place of the old one. Without a new mask the old one is part of what follows.
fn copy_mask(
    from: &mut BitReader<'_>,
    to: &mut BitWriter<'_>,
    has_mask: bool,
    told: Option<(u32, u8)>,
    targets: Option<u8>,
) -> Option<()> {
    let (Some((mask, _)), Some(targets)) = (told, targets) else { return Some(()) };
    if has_mask {
        from.bits(u32::from(targets))?;
    }
    to.put(mask, u32::from(targets))
}
