//! Invariant: a rewritten dependency descriptor says the same as the original but for what was changed, and
//! no sequence of descriptors brings a reader out of its bounds.
#![no_main]

use arbitrary::Arbitrary;
use conclave_core::codec::dependency::{
    rewrite, Changes, DependencyReader, MAX_GROWTH, MAX_TARGETS,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    descriptors: Vec<Vec<u8>>,
    frame: u16,
    shift: u8,
    mask: Option<u32>,
}

fuzz_target!(|input: Input| {
    let mut reader = DependencyReader::default();
    for raw in input.descriptors.iter().take(64) {
        let mut twin = reader.clone();
        let Ok(read) = reader.read(raw) else { continue };
        assert!(usize::from(read.facts.targets) <= MAX_TARGETS);
        let active = input.mask.map(|mask| (mask, read.facts.targets));
        // The same number: a reader takes a structure of an older frame for a late one.
        let frame = read.facts.frame as u16;
        let changes = Changes { frame, template_shift: 0, active_targets: active };
        let mut out = vec![0; raw.len() + MAX_GROWTH];
        let length = rewrite(raw, &mut out, &changes).expect("what can be read can be rewritten");
        let Ok(again) = twin.read(&out[..length]) else {
            panic!("what was rewritten cannot be read");
        };
        assert_eq!(again.facts.frame, read.facts.frame);
        assert_eq!((again.start, again.end), (read.start, read.end));
        assert_eq!((again.spatial, again.temporal), (read.spatial, read.temporal));
        assert_eq!(again.facts.dti, read.facts.dti);
        assert_eq!(again.facts.frame_diffs, read.facts.frame_diffs);
        assert_eq!(again.facts.chain_diffs, read.facts.chain_diffs);
        assert_eq!(again.facts.protected_by, read.facts.protected_by);
        if let Some((mask, targets)) = active {
            assert_eq!(again.facts.active_targets, mask & (u32::MAX >> (32 - u32::from(targets))));
        }
        let moved = Changes { frame: input.frame, template_shift: input.shift, ..changes };
        assert_eq!(rewrite(raw, &mut out, &moved), Some(length), "numbers change no size");
        assert_eq!(out[1..3], input.frame.to_be_bytes());
    }
});
