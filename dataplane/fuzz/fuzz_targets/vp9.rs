//! Invariant: rewriting the numbers of a VP9 descriptor keeps its size, its layers and its flags.
#![no_main]

use arbitrary::Arbitrary;
use conclave_core::codec::vp9::{parse, picture_id, set_picture_id, set_tl0_pic_idx};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    picture_id: u16,
    tl0_pic_idx: u8,
    payload: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let mut payload = input.payload;
    let Some(found) = parse(&payload) else { return };
    set_picture_id(&mut payload, &found.facts, input.picture_id & 0x7FFF);
    set_tl0_pic_idx(&mut payload, &found.facts, input.tl0_pic_idx);
    let mut read = parse(&payload).expect("what was written parses");
    if let Some((_, width)) = found.facts.picture_id {
        let mask = if width == 15 { 0x7FFF } else { 0x7F };
        assert_eq!(picture_id(&payload, &read.facts), Some(input.picture_id & mask));
    }
    if let Some((value, _)) = &mut read.facts.tl0_pic_idx {
        assert_eq!(*value, input.tl0_pic_idx);
        *value = found.facts.tl0_pic_idx.expect("both have one").0;
    }
    assert_eq!(read, found);
});
