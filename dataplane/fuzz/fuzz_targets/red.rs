//! Invariant: the blocks of a RED payload follow its headers without gap or overlap, and the last byte of the
//! payload belongs to the primary block.
#![no_main]

use conclave_core::codec::red::{primary, Blocks, MAX_REDUNDANT};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let Some(blocks) = Blocks::parse(payload) else {
        assert_eq!(primary(payload), None);
        return;
    };
    let redundant = blocks.redundant();
    assert!(redundant.len() <= MAX_REDUNDANT);
    let mut at = redundant.len() * 4 + 1;
    for block in redundant.iter().chain([&blocks.primary]) {
        assert_eq!(usize::from(block.data.start), at);
        at = usize::from(block.data.end);
    }
    assert_eq!(at, payload.len());
});
