//! Invariant: a rewritten VP8 descriptor carries the new numbers where the source had some, and nothing else
//! that a decoder reads changes.
#![no_main]

use arbitrary::Arbitrary;
use conclave_core::codec::vp8::{parse, write_descriptor, Numbers, MAX_DESCRIPTOR};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    picture_id: u16,
    tl0_pic_idx: u8,
    key_idx: u8,
    payload: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let Some(found) = parse(&input.payload) else { return };
    let frame = &input.payload[usize::from(found.facts.descriptor_len)..];
    let numbers = Numbers {
        picture_id: input.picture_id & 0x7FFF,
        tl0_pic_idx: input.tl0_pic_idx,
        key_idx: input.key_idx & 0x1F,
    };
    let mut out = [0; MAX_DESCRIPTOR];
    let length = write_descriptor(&input.payload, &found.facts, numbers, &mut out)
        .expect("any descriptor fits");
    let rewritten = [&out[..length], frame].concat();
    let read = parse(&rewritten).expect("what was written parses");
    assert_eq!(read.facts.picture_id, found.facts.picture_id.map(|_| (numbers.picture_id, 15)));
    assert_eq!(read.facts.tl0_pic_idx, found.facts.tl0_pic_idx.map(|_| numbers.tl0_pic_idx));
    assert_eq!(read.facts.key_idx, found.facts.key_idx.map(|_| numbers.key_idx));
    assert_eq!(usize::from(read.facts.descriptor_len), length);
    assert_eq!(
        (read.start, read.keyframe, read.discardable, read.temporal, read.layer_sync),
        (found.start, found.keyframe, found.discardable, found.temporal, found.layer_sync),
    );
});
