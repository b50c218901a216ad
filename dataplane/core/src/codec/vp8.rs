//! VP8 payload descriptor (RFC 7741 section 4.2): picture and layer numbers in the clear before the frame.
//!
//! In: a payload. Out: [`Descriptor`]; and back, a descriptor with a leg's own numbers. The only payload bit
//! that is looked at is the inverse key-frame flag.

use crate::media::Vp8Facts;
use crate::wire::{put, u16_at, u8_at};

/// Longest descriptor that [`write_descriptor`] makes.
pub const MAX_DESCRIPTOR: usize = 6;

/// What a VP8 packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// Numbers that a leg rewrites.
    pub facts: Vp8Facts,
    /// First packet of the first partition.
    pub start: bool,
    /// Starts a key frame.
    pub keyframe: bool,
    /// N: no other frame refers to this one.
    pub discardable: bool,
    /// TID, 0 if absent.
    pub temporal: u8,
    /// Y: depends on the base layer only.
    pub layer_sync: bool,
}

/// Reads the descriptor of `payload`; `None` if it is cut off.
pub fn parse(payload: &[u8]) -> Option<Descriptor> {
    let first = u8_at(payload, 0)?;
    let partition = first & 0x07;
    let start = first & 0x10 != 0 && partition == 0;
    let mut found = Descriptor { start, discardable: first & 0x20 != 0, ..Descriptor::default() };
    let mut at = 1;
    if first & 0x80 != 0 {
        let extended = u8_at(payload, 1)?;
        at = extension(payload, extended, &mut found)?;
    }
    found.facts.descriptor_len = at as u8;
    let frame = u8_at(payload, at)?;
    found.keyframe = start && frame & 0x01 == 0;
    Some(found)
}

/// Reads the optional fields that `extended` announces; the offset behind them.
fn extension(payload: &[u8], extended: u8, found: &mut Descriptor) -> Option<usize> {
    let mut at = 2;
    if extended & 0x80 != 0 {
        let short = u8_at(payload, at)?;
        let wide = short & 0x80 != 0;
        found.facts.picture_id =
            Some(if wide { (u16_at(payload, at)? & 0x7FFF, 15) } else { (u16::from(short), 7) });
        at += 1 + usize::from(wide);
    }
    if extended & 0x40 != 0 {
        found.facts.tl0_pic_idx = Some(u8_at(payload, at)?);
        at += 1;
    }
    if extended & 0x30 != 0 {
        let layer = u8_at(payload, at)?;
        if extended & 0x20 != 0 {
            found.facts.has_tid = true;
            found.temporal = layer >> 6;
            found.layer_sync = layer & 0x20 != 0;
        }
        found.facts.key_idx = (extended & 0x10 != 0).then_some(layer & 0x1F);
        at += 1;
    }
    Some(at)
}

/// The numbers of one packet on a leg; each is written only where the source had one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Numbers {
    /// Picture id, 15 bits; always written in the wide form, so that sizes never change mid-stream.
    pub picture_id: u16,
    /// TL0PICIDX.
    pub tl0_pic_idx: u8,
    /// KEYIDX, 5 bits.
    pub key_idx: u8,
}

/// Writes the descriptor of `payload`, whose facts were parsed before, with other numbers; returns its length.
/// The rest of the packet is `payload[facts.descriptor_len..]`.
pub fn write_descriptor(
    payload: &[u8],
    facts: &Vp8Facts,
    numbers: Numbers,
    out: &mut [u8],
) -> Option<usize> {
    let source = payload.get(..usize::from(facts.descriptor_len))?;
    put(out, 0, source.get(..source.len().min(2))?)?;
    let mut at = source.len().min(2);
    if facts.picture_id.is_some() {
        put(out, at, &(0x8000 | numbers.picture_id).to_be_bytes())?;
        at += 2;
    }
    if facts.tl0_pic_idx.is_some() {
        put(out, at, &[numbers.tl0_pic_idx])?;
        at += 1;
    }
    if facts.has_tid || facts.key_idx.is_some() {
        let layer = *source.last()?;
        let key_idx = if facts.key_idx.is_some() { numbers.key_idx } else { layer } & 0x1F;
        put(out, at, &[(layer & 0xE0) | key_idx])?;
        at += 1;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// X, S; I L T K; picture id 0x1234 wide; TL0PICIDX 9; TID 2, Y, KEYIDX 17; then a delta frame.
    const FULL: [u8; 8] = [0x90, 0xF0, 0x92, 0x34, 9, 0xB1, 0x01, 0xAA];

    #[test]
    fn a_full_descriptor_parses_to_its_fields() {
        let found = parse(&FULL).unwrap();
        let facts = Vp8Facts {
            descriptor_len: 6,
            picture_id: Some((0x1234, 15)),
            tl0_pic_idx: Some(9),
            key_idx: Some(17),
            has_tid: true,
        };
        assert_eq!(found.facts, facts);
        assert!(found.start && !found.keyframe && found.layer_sync && !found.discardable);
        assert_eq!(found.temporal, 2);
    }

    #[test]
    fn a_key_frame_is_told_by_the_first_packet_of_its_first_partition_only() {
        assert!(parse(&[0x10, 0x00]).unwrap().keyframe);
        assert!(!parse(&[0x10, 0x01]).unwrap().keyframe);
        assert!(!parse(&[0x00, 0x00]).unwrap().keyframe);
        assert!(!parse(&[0x11, 0x00]).unwrap().keyframe);
        assert!(parse(&[0x30, 0x01]).unwrap().discardable);
    }

    #[test]
    fn truncation_at_every_length_is_refused() {
        for length in 0..=6 {
            assert_eq!(parse(&FULL[..length]), None);
        }
    }

    #[test]
    fn a_narrow_picture_id_is_written_wide_and_absent_fields_stay_absent() {
        let payload = [0x90, 0x80, 0x05, 0x01];
        let found = parse(&payload).unwrap();
        assert_eq!(found.facts.picture_id, Some((5, 7)));
        let numbers = Numbers { picture_id: 0x7FFF, tl0_pic_idx: 1, key_idx: 2 };
        let mut out = [0; MAX_DESCRIPTOR];
        let length = write_descriptor(&payload, &found.facts, numbers, &mut out);
        assert_eq!((length, &out[..4]), (Some(4), [0x90, 0x80, 0xFF, 0xFF].as_slice()));
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_never_panic_and_rewrites_read_back(
            payload in proptest::collection::vec(any::<u8>(), 0..12),
            picture_id in 0u16..0x8000, tl0_pic_idx: u8, key_idx in 0u8..32,
        ) {
            let Some(found) = parse(&payload) else { return Ok(()) };
            let numbers = Numbers { picture_id, tl0_pic_idx, key_idx };
            let mut out = [0; 16];
            let length = write_descriptor(&payload, &found.facts, numbers, &mut out).unwrap();
            prop_assert!(length <= MAX_DESCRIPTOR);
            out[length] = payload[usize::from(found.facts.descriptor_len)];
            let read = parse(&out[..=length]).unwrap();
            prop_assert_eq!(read.facts.picture_id, found.facts.picture_id.map(|_| (picture_id, 15)));
            prop_assert_eq!(read.facts.tl0_pic_idx, found.facts.tl0_pic_idx.map(|_| tl0_pic_idx));
            prop_assert_eq!(read.facts.key_idx, found.facts.key_idx.map(|_| key_idx));
            prop_assert_eq!((read.start, read.keyframe), (found.start, found.keyframe));
            prop_assert_eq!((read.temporal, read.layer_sync), (found.temporal, found.layer_sync));
        }
    }
}
