//! VP8: temporal layers and gapless picture ids, by cases and against a receiver's view.

use proptest::prelude::*;

use super::*;
use crate::egress::test_support::vp8;

const ALL: Cap = Cap { spatial: 0, temporal: 2 };
const BASE_ONLY: Cap = Cap { spatial: 0, temporal: 0 };

/// A packet of 106 bytes whose payload starts with a full descriptor.
fn bytes() -> Vec<u8> {
    let mut bytes = vec![0; 112];
    bytes[12..18].copy_from_slice(&[0x90, 0xF0, 0x80, 0x00, 0x00, 0x00]);
    bytes
}

fn facts(meta: &PacketMeta) -> Vp8Facts {
    match meta.frame.codec {
        crate::media::CodecFacts::Vp8(facts) => facts,
        _ => unreachable!("a VP8 packet"),
    }
}

fn begin(gate: &mut Vp8Gate, meta: &PacketMeta, cap: Cap) -> u16 {
    let verdict = gate.begin(&MediaPacket { meta, bytes: &bytes() }, &facts(meta), cap);
    id_of(verdict)
}

fn decide(gate: &mut Vp8Gate, meta: &PacketMeta, age: Age, cap: Cap) -> Result<u16, DropReason> {
    let packet = MediaPacket { meta, bytes: &bytes() };
    gate.decide(&packet, &facts(meta), age, cap).map(id_of).map_err(|refusal| refusal.reason)
}

fn id_of(verdict: Verdict) -> u16 {
    let Patch::Vp8 { bytes, .. } = verdict.patch else { panic!("no descriptor") };
    u16::from_be_bytes([bytes[2], bytes[3]]) & 0x7FFF
}

fn started(pid: u16, cap: Cap) -> Vp8Gate {
    let mut gate = Vp8Gate::default();
    assert_eq!(begin(&mut gate, &vp8(1, pid, 0), cap), pid);
    gate
}

#[test]
fn dropped_pictures_leave_no_gap_across_the_wrap_of_ids() {
    let mut gate = started(32_766, BASE_ONLY);
    let mut expected = 32_766;
    for step in 1..200u16 {
        let temporal = if step % 2 == 1 { 2 } else { 0 };
        let meta = vp8(u64::from(step) + 1, 32_766u16.wrapping_add(step), temporal);
        let id = decide(&mut gate, &meta, Age::Newest, BASE_ONLY);
        if temporal == 0 {
            expected = (expected + 1) & 0x7FFF;
            assert_eq!(id, Ok(expected));
        } else {
            assert_eq!(id, Err(DropReason::TemporalDrop));
        }
    }
}

#[test]
fn all_packets_of_a_picture_share_its_fate_and_its_gap_is_not_wanted_either() {
    let mut gate = started(10, BASE_ONLY);
    let mut part = vp8(2, 11, 1);
    assert!(decide(&mut gate, &part, Age::Newest, BASE_ONLY).is_err());
    part.n = 4;
    part.frame.start = false;
    let packet = MediaPacket { meta: &part, bytes: &bytes() };
    let refusal = gate.decide(&packet, &facts(&part), Age::Newest, BASE_ONLY).unwrap_err();
    assert!(refusal.gap_too);
    assert_eq!(decide(&mut gate, &vp8(5, 12, 0), Age::Newest, BASE_ONLY), Ok(11));
}

#[test]
fn an_upper_layer_joins_only_at_a_layer_synchronisation_point() {
    let mut gate = started(10, BASE_ONLY);
    assert!(decide(&mut gate, &vp8(2, 11, 1), Age::Newest, ALL).is_err());
    let mut sync = vp8(3, 12, 1);
    sync.frame.switch_up = true;
    assert_eq!(decide(&mut gate, &sync, Age::Newest, ALL), Ok(11));
    assert_eq!(decide(&mut gate, &vp8(4, 13, 1), Age::Newest, ALL), Ok(12));
    assert!(decide(&mut gate, &vp8(5, 14, 2), Age::Newest, ALL).is_err());
}

#[test]
fn a_picture_that_comes_late_as_a_whole_takes_the_id_kept_for_it() {
    let mut gate = started(10, ALL);
    assert_eq!(decide(&mut gate, &vp8(4, 13, 0), Age::Newest, ALL), Ok(13));
    assert_eq!(decide(&mut gate, &vp8(2, 11, 2), Age::Late, ALL), Ok(11));
    assert_eq!(decide(&mut gate, &vp8(3, 12, 0), Age::Late, BASE_ONLY), Ok(12));
    assert_eq!(decide(&mut gate, &vp8(90, 100, 0), Age::Newest, ALL), Ok(100));
    let forgotten = decide(&mut gate, &vp8(5, 14, 0), Age::Late, ALL);
    assert_eq!(forgotten, Err(DropReason::LateNoMapping));
}

#[test]
fn a_new_source_continues_all_three_counters() {
    let mut gate = started(10, ALL);
    let other = vp8(500, 9_000, 0);
    let verdict = gate.begin(&MediaPacket { meta: &other, bytes: &bytes() }, &facts(&other), ALL);
    let Patch::Vp8 { bytes, len, skip } = verdict.patch else { panic!("no descriptor") };
    assert_eq!((skip, len), (6, 6));
    assert_eq!(id_of(verdict), 11);
    assert_eq!(bytes[4], 10, "TL0PICIDX goes on by one");
    assert_eq!(bytes[5] & 0x1F, 4, "KEYIDX goes on by one");
    assert_eq!(decide(&mut gate, &vp8(2, 10, 0), Age::Draining, ALL), Ok(10));
}

proptest! {
    #[test]
    fn what_a_receiver_gets_in_order_has_consecutive_ids(
        pictures in prop::collection::vec((0u8..3, any::<bool>(), 0u8..3), 1..400),
        first in 0u16..0x8000,
    ) {
        let mut gate = started(first, ALL);
        let mut last = first;
        for (index, (temporal, sync, limit)) in pictures.into_iter().enumerate() {
            let mut meta = vp8(index as u64 + 2, first.wrapping_add(index as u16 + 1), temporal);
            meta.frame.switch_up = sync;
            let cap = Cap { spatial: 0, temporal: limit };
            if let Ok(id) = decide(&mut gate, &meta, Age::Newest, cap) {
                prop_assert_eq!(id, (last + 1) & 0x7FFF);
                prop_assert!(temporal <= limit);
                last = id;
            } else {
                prop_assert!(temporal > 0, "the base layer always passes");
            }
        }
    }
}
