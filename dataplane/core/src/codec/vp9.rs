//! VP9 payload descriptor (RFC 9628 section 4.2): layers and references in the clear before the frame.
//!
//! In: a payload. Out: [`Descriptor`]; and in-place writers of the two numbers that a leg shifts. Widths are
//! kept, so a packet never changes its size. The frame itself is never looked at.

use crate::media::Vp9Facts;
use crate::wire::{u16_at, u8_at};

/// Reference distances that one packet may carry (RFC 9628 section 4.2).
const MAX_REFERENCES: usize = 3;

/// What a VP9 packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// Numbers and flags that a leg needs.
    pub facts: Vp9Facts,
    /// B: first packet of a layer frame.
    pub start: bool,
    /// E: last packet of a layer frame.
    pub end: bool,
    /// Starts a picture at which decoding can start.
    pub keyframe: bool,
    /// TID, 0 if absent.
    pub temporal: u8,
    /// SID, 0 if absent.
    pub spatial: u8,
    /// U: the temporal layer can be switched up to here.
    pub switch_up: bool,
}

/// Reads the descriptor of `payload` up to its scalability structure; `None` if it is cut off.
pub fn parse(payload: &[u8]) -> Option<Descriptor> {
    let first = u8_at(payload, 0)?;
    let flag = |bit: u8| first & bit != 0;
    let (has_id, inter, layers, flexible) = (flag(0x80), flag(0x40), flag(0x20), flag(0x10));
    let mut found = Descriptor { start: flag(0x08), end: flag(0x04), ..Descriptor::default() };
    found.facts.inter_picture = inter;
    found.facts.not_for_upper = flag(0x01);
    let mut at = 1;
    if has_id {
        let wide = u8_at(payload, at)? & 0x80 != 0;
        found.facts.picture_id = Some((at as u16, if wide { 15 } else { 7 }));
        at += 1 + usize::from(wide);
    }
    if layers {
        let layer = u8_at(payload, at)?;
        found.temporal = layer >> 5;
        found.switch_up = layer & 0x10 != 0;
        found.spatial = layer >> 1 & 0x07;
        found.facts.inter_layer = layer & 0x01 != 0;
        at += 1;
        if !flexible {
            found.facts.tl0_pic_idx = Some((u8_at(payload, at)?, at as u8));
            at += 1;
        }
    }
    if flexible && inter {
        at = references_end(payload, at)?;
    }
    // At least one byte of structure or frame has to follow.
    u8_at(payload, at)?;
    found.keyframe = !inter && found.start && !found.facts.inter_layer;
    Some(found)
}

/// Skips the P_DIFF list at `at`; `None` if it does not end in time.
fn references_end(payload: &[u8], at: usize) -> Option<usize> {
    for index in 0..MAX_REFERENCES {
        if u8_at(payload, at + index)? & 0x01 == 0 {
            return Some(at + index + 1);
        }
    }
    None
}

/// The picture id of a payload whose facts were parsed before.
pub fn picture_id(payload: &[u8], facts: &Vp9Facts) -> Option<u16> {
    let (at, width) = facts.picture_id?;
    match width {
        15 => Some(u16_at(payload, usize::from(at))? & 0x7FFF),
        _ => Some(u16::from(u8_at(payload, usize::from(at))? & 0x7F)),
    }
}

/// Overwrites the picture id in its own width; nothing happens where there is none.
pub fn set_picture_id(payload: &mut [u8], facts: &Vp9Facts, value: u16) {
    let Some((at, width)) = facts.picture_id else { return };
    let at = usize::from(at);
    if width == 15 {
        if let Some(field) = payload.get_mut(at..at + 2) {
            field.copy_from_slice(&(0x8000 | value).to_be_bytes());
        }
    } else if let Some(field) = payload.get_mut(at) {
        *field = (value & 0x7F) as u8;
    }
}

/// Overwrites TL0PICIDX; nothing happens where there is none.
pub fn set_tl0_pic_idx(payload: &mut [u8], facts: &Vp9Facts, value: u8) {
    let Some((_, at)) = facts.tl0_pic_idx else { return };
    if let Some(field) = payload.get_mut(usize::from(at)) {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// I P L B, non-flexible: picture id 0x0123 wide, TID 1, U, SID 2, D, TL0PICIDX 7.
    const DELTA: [u8; 6] = [0xE8, 0x81, 0x23, 0x35, 7, 0xFF];

    #[test]
    fn a_non_flexible_descriptor_parses_to_its_fields() {
        let found = parse(&DELTA).unwrap();
        assert!(found.start && !found.end && !found.keyframe && found.switch_up);
        assert_eq!((found.temporal, found.spatial), (1, 2));
        let facts = Vp9Facts {
            picture_id: Some((1, 15)),
            tl0_pic_idx: Some((7, 4)),
            inter_picture: true,
            inter_layer: true,
            not_for_upper: false,
        };
        assert_eq!(found.facts, facts);
        assert_eq!(picture_id(&DELTA, &facts), Some(0x123));
    }

    #[test]
    fn a_picture_starts_decoding_at_its_lowest_independent_layer() {
        // I L B V: no inter-picture prediction, SID 0.
        assert!(parse(&[0xAA, 0x05, 0x00, 0, 0xFF]).unwrap().keyframe);
        // The same picture's SID 1 depends on SID 0.
        assert!(!parse(&[0xA8, 0x05, 0x03, 0, 0xFF]).unwrap().keyframe);
        // Its second packet.
        assert!(!parse(&[0xA0, 0x05, 0x00, 0, 0xFF]).unwrap().keyframe);
    }

    #[test]
    fn a_flexible_descriptor_has_references_and_no_tl0() {
        let found = parse(&[0xF8, 0x05, 0x00, 0x03, 0x04, 0xFF]).unwrap();
        assert_eq!(found.facts.tl0_pic_idx, None);
        assert_eq!(found.facts.picture_id, Some((1, 7)));
        assert_eq!(parse(&[0xF8, 0x05, 0x00, 1, 1, 1, 0xFF]), None, "a fourth reference");
    }

    #[test]
    fn truncation_at_every_length_is_refused() {
        for length in 0..5 {
            assert_eq!(parse(&DELTA[..length]), None);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_never_panic_and_rewrites_read_back(
            mut payload in proptest::collection::vec(any::<u8>(), 0..12), id: u16, tl0: u8,
        ) {
            let Some(found) = parse(&payload) else { return Ok(()) };
            set_picture_id(&mut payload, &found.facts, id & 0x7FFF);
            set_tl0_pic_idx(&mut payload, &found.facts, tl0);
            let read = parse(&payload).unwrap();
            prop_assert_eq!(read.facts.picture_id, found.facts.picture_id);
            let expected = found.facts.picture_id.map(|(_, width)| match width {
                15 => id & 0x7FFF,
                _ => id & 0x7F,
            });
            prop_assert_eq!(picture_id(&payload, &read.facts), expected);
            prop_assert_eq!(read.facts.tl0_pic_idx, found.facts.tl0_pic_idx.map(|(_, at)| (tl0, at)));
            prop_assert_eq!((read.temporal, read.spatial), (found.temporal, found.spatial));
        }
    }
}
