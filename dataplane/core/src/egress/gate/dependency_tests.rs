//! Dependency descriptors: an L2T2 structure with two chains, run through losses and layer changes.

use super::*;
use crate::egress::test_support::video;
use crate::media::CodecFacts;

/// Decode targets of L2T2: (0,0), (0,1), (1,0), (1,1).
const LAYERS: [u8; 4] = [0x00, 0x01, 0x10, 0x11];

fn cap(spatial: u8, temporal: u8) -> Cap {
    Cap { spatial, temporal }
}

/// Frame `number` of a stream of units of two spatial frames, base layer first; every second unit is of
/// the upper temporal layer. Frame 0 is the key frame.
fn frame(number: u64) -> (PacketMeta, DependencyFacts) {
    let (unit, spatial) = (number / 2, (number % 2) as u8);
    let temporal = (unit % 2) as u8;
    let mut meta = video(0, number);
    (meta.frame.spatial, meta.frame.temporal) = (spatial, temporal);
    meta.marker = spatial == 1;
    let present = |target: u8| {
        let (s, t) = (LAYERS[usize::from(target)] >> 4, LAYERS[usize::from(target)] & 15);
        spatial <= s && temporal <= t
    };
    let dti = (0..4u8).filter(|&target| present(target)).fold(0, |dti, target| {
        let own = LAYERS[usize::from(target)] == spatial << 4 | temporal;
        dti | (if own { 2 } else { 3 }) << (2 * target)
    });
    let mut frame_diffs = [0; 8];
    if number > 1 {
        // The last base unit's frame of the same layer, and the lower frame of this unit.
        frame_diffs[0] = if temporal == 1 { 2 } else { 4 };
        if spatial == 1 {
            frame_diffs[1] = 1;
        }
    } else if spatial == 1 {
        frame_diffs[0] = 1;
    }
    // Chain 0: base frames of the lower layer. Chain 1: base frames of both.
    let since_base = if temporal == 1 { 2 } else { 4 };
    let lower = if number < 2 { u64::from(spatial) } else { since_base + u64::from(spatial) };
    let both = match (number, spatial) {
        (0, _) => 0,
        (_, 1) if temporal == 0 => 1,
        (_, 1) => since_base,
        (_, _) => since_base - 1,
    };
    let mut chain_diffs = [0; 8];
    chain_diffs[0] = lower as u8;
    chain_diffs[1] = both as u8;
    let mut facts = DependencyFacts {
        frame: 1_000 + number,
        dti,
        targets: 4,
        frame_diffs,
        chain_diffs,
        protected_by: [UNPROTECTED; 32],
        target_layers: [0; 32],
        active_targets: 0b1111,
        has_structure: number == 0,
    };
    facts.protected_by[..4].copy_from_slice(&[0, 0, 1, 1]);
    facts.target_layers[..4].copy_from_slice(&LAYERS);
    meta.frame.codec = CodecFacts::Dependency(facts);
    (meta, facts)
}

fn started(limit: Cap) -> DependencyGate {
    let mut gate = DependencyGate::default();
    let (meta, facts) = frame(0);
    gate.begin(&meta, &facts, limit);
    gate
}

fn decide(gate: &mut DependencyGate, number: u64, limit: Cap) -> Result<Verdict, DropReason> {
    let (meta, facts) = frame(number);
    gate.decide(&meta, &facts, Age::Newest, limit).map_err(|refusal| refusal.reason)
}

fn passed(gate: &mut DependencyGate, numbers: std::ops::Range<u64>, limit: Cap) -> Vec<u64> {
    numbers.filter(|&number| decide(gate, number, limit).is_ok()).collect()
}

#[test]
fn only_frames_of_the_decode_target_pass() {
    assert_eq!(passed(&mut started(cap(1, 1)), 1..8, cap(1, 1)), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(passed(&mut started(cap(0, 1)), 1..8, cap(0, 1)), [2, 4, 6]);
    assert_eq!(passed(&mut started(cap(1, 0)), 1..8, cap(1, 0)), [1, 4, 5]);
    let mut gate = started(cap(0, 0));
    assert_eq!(decide(&mut gate, 1, cap(0, 0)), Err(DropReason::SpatialDrop));
    assert_eq!(decide(&mut gate, 2, cap(0, 0)), Err(DropReason::TemporalDrop));
}

#[test]
fn frame_numbers_keep_their_offset_and_receivers_are_told_which_targets_remain() {
    let mut gate = started(cap(0, 1));
    let verdict = decide(&mut gate, 4, cap(0, 1)).unwrap();
    assert_eq!(verdict.patch, Patch::Dependency { frame: 1_004, targets: 0b0011, count: 4 });
    assert!(verdict.marker, "the unit ends with the lower layer on this leg");
    assert_eq!(gate.spatial(), Some(0));
}

#[test]
fn a_move_down_is_immediate_and_a_spatial_move_up_needs_a_key_frame() {
    let mut gate = started(cap(1, 1));
    assert_eq!(passed(&mut gate, 1..4, cap(1, 1)), [1, 2, 3]);
    assert_eq!(passed(&mut gate, 4..8, cap(0, 1)), [4, 6]);
    assert!(!gate.needs_keyframe());
    assert_eq!(passed(&mut gate, 8..12, cap(1, 1)), [8, 10]);
    assert!(gate.needs_keyframe());
    let (meta, mut facts) = frame(12);
    facts.has_structure = true;
    facts.frame_diffs = [0; 8];
    facts.chain_diffs = [0; 8];
    assert!(gate.decide(&meta, &facts, Age::Newest, cap(1, 1)).is_ok());
    assert!(!gate.needs_keyframe());
    let (meta, mut facts) = frame(13);
    facts.frame_diffs = [1, 0, 0, 0, 0, 0, 0, 0];
    facts.chain_diffs = [1; 8];
    assert!(gate.decide(&meta, &facts, Age::Newest, cap(1, 1)).is_ok());
}

#[test]
fn a_temporal_move_up_happens_at_a_switch_indication() {
    let mut gate = started(cap(0, 0));
    assert_eq!(passed(&mut gate, 1..5, cap(0, 0)), [4]);
    assert_eq!(passed(&mut gate, 5..11, cap(0, 1)), [6, 8, 10]);
}

#[test]
fn a_frame_without_its_references_is_a_broken_chain_and_lower_layers_go_on() {
    let mut gate = started(cap(1, 1));
    assert_eq!(passed(&mut gate, 1..4, cap(1, 1)), [1, 2, 3]);
    // The base frame of the upper layer was refused for some other reason.
    gate.frames.newest = 1_005;
    gate.frames.note(1_004, true);
    gate.frames.note(1_005, false);
    assert_eq!(passed(&mut gate, 6..10, cap(1, 1)), [6, 8]);
    assert!(gate.needs_keyframe());
}

#[test]
fn without_any_whole_layer_nothing_passes_before_a_key_frame() {
    let mut gate = started(cap(0, 0));
    gate.frames.newest = 1_004;
    gate.frames.note(1_004, false);
    assert_eq!(decide(&mut gate, 8, cap(0, 0)), Err(DropReason::ChainBroken));
    assert!(gate.needs_keyframe());
}

#[test]
fn what_was_lost_on_the_way_to_us_is_not_held_against_a_frame() {
    let mut gate = started(cap(1, 1));
    assert!(decide(&mut gate, 8, cap(1, 1)).is_ok());
    assert!(!gate.needs_keyframe());
}

#[test]
fn a_new_source_continues_the_frame_numbers() {
    let mut gate = started(cap(1, 1));
    passed(&mut gate, 1..4, cap(1, 1));
    let (meta, mut facts) = frame(0);
    facts.frame = 77_000;
    let verdict = gate.begin(&meta, &facts, cap(1, 1));
    assert!(matches!(verdict.patch, Patch::Dependency { frame: 1_004, .. }));
    let (meta, facts) = frame(1);
    let late = gate.decide(&meta, &facts, Age::Draining, cap(1, 1)).unwrap();
    assert!(matches!(late.patch, Patch::Dependency { frame: 1_001, .. }));
}

#[test]
fn a_frame_out_of_memory_has_no_mapping() {
    let mut gate = started(cap(1, 1));
    assert!(decide(&mut gate, 400, cap(1, 1)).is_ok());
    assert_eq!(decide(&mut gate, 2, cap(1, 1)), Err(DropReason::LateNoMapping));
}
