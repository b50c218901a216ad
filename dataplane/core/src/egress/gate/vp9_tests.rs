//! VP9: spatial and temporal layers inside one stream, picture ids at a constant offset.

use super::*;
use crate::egress::test_support::vp9;
use crate::media::CodecFacts;

fn cap(spatial: u8, temporal: u8) -> Cap {
    Cap { spatial, temporal }
}

fn bytes(pid: u16) -> Vec<u8> {
    let mut bytes = vec![0; 32];
    bytes[13..15].copy_from_slice(&(pid | 0x8000).to_be_bytes());
    bytes
}

fn facts(meta: &PacketMeta) -> Vp9Facts {
    match meta.frame.codec {
        CodecFacts::Vp9(facts) => facts,
        _ => unreachable!("a VP9 packet"),
    }
}

fn decide(
    gate: &mut Vp9Gate,
    meta: &PacketMeta,
    pid: u16,
    limit: Cap,
) -> Result<(u16, bool), DropReason> {
    let packet = MediaPacket { meta, bytes: &bytes(pid) };
    let verdict = gate.decide(&packet, &facts(meta), Age::Newest, limit);
    verdict.map(read).map_err(|refusal| refusal.reason)
}

fn read(verdict: Verdict) -> (u16, bool) {
    let Patch::Vp9 { picture, .. } = verdict.patch else { panic!("no picture id") };
    (picture, verdict.marker)
}

/// A gate that got the base layer of a key picture, then its upper two.
fn started(limit: Cap) -> Vp9Gate {
    let mut gate = Vp9Gate::default();
    let mut base = vp9(1, (0, 0), false);
    base.marker = false;
    let packet = MediaPacket { meta: &base, bytes: &bytes(100) };
    gate.begin(&packet, &facts(&base), limit);
    for spatial in 1..3u8 {
        let mut meta = vp9(1 + u64::from(spatial), (spatial, 0), false);
        meta.marker = spatial == 2;
        let passed = decide(&mut gate, &meta, 100, limit);
        assert_eq!(passed.is_ok(), spatial <= limit.spatial);
    }
    gate
}

/// One inter picture of three spatial layers; which of them pass, and where the marker is.
fn picture(gate: &mut Vp9Gate, n: u64, pid: u16, limit: Cap) -> Vec<(u8, u16, bool)> {
    (0..3u8)
        .filter_map(|spatial| {
            let mut meta = vp9(n + u64::from(spatial), (spatial, 0), true);
            meta.marker = spatial == 2;
            let (id, marker) = decide(gate, &meta, pid, limit).ok()?;
            Some((spatial, id, marker))
        })
        .collect()
}

#[test]
fn layers_above_the_cap_stay_away_and_the_marker_moves_to_the_highest_that_passes() {
    let mut gate = started(cap(1, 0));
    let passed = picture(&mut gate, 4, 101, cap(1, 0));
    assert_eq!(passed, [(0, 101, false), (1, 101, true)]);
    let upper = vp9(6, (2, 0), true);
    let refused = decide(&mut gate, &upper, 101, cap(1, 0));
    assert_eq!(refused, Err(DropReason::SpatialDrop));
    assert_eq!(gate.spatial(), Some(1));
}

#[test]
fn ids_keep_their_offset_though_temporal_layers_are_dropped() {
    let mut gate = started(cap(2, 0));
    let meta = vp9(4, (0, 1), true);
    assert_eq!(decide(&mut gate, &meta, 101, cap(2, 0)), Err(DropReason::TemporalDrop));
    assert_eq!(picture(&mut gate, 7, 102, cap(2, 0))[0].1, 102);
}

#[test]
fn a_temporal_layer_joins_at_its_switching_point() {
    let mut gate = started(cap(0, 0));
    let mut meta = vp9(4, (0, 1), true);
    assert!(decide(&mut gate, &meta, 101, cap(0, 1)).is_err());
    meta.frame.switch_up = true;
    meta.n = 5;
    assert!(decide(&mut gate, &meta, 102, cap(0, 1)).is_ok());
}

#[test]
fn more_spatial_layers_need_a_picture_that_refers_to_nothing_before() {
    let mut gate = started(cap(0, 0));
    assert_eq!(picture(&mut gate, 4, 101, cap(2, 0)).len(), 1);
    assert!(gate.needs_keyframe());
    for spatial in 0..3 {
        let meta = vp9(7 + u64::from(spatial), (spatial, 0), false);
        assert!(decide(&mut gate, &meta, 102, cap(2, 0)).is_ok());
    }
    assert!(!gate.needs_keyframe());
    assert_eq!(picture(&mut gate, 10, 103, cap(2, 0)).len(), 3);
}

#[test]
fn fewer_spatial_layers_need_no_key_frame_where_layers_depend_on_each_other() {
    let mut gate = started(cap(2, 0));
    assert_eq!(picture(&mut gate, 4, 101, cap(2, 0)).len(), 3);
    assert_eq!(picture(&mut gate, 7, 102, cap(1, 0)).len(), 2);
    assert!(!gate.needs_keyframe());
}

#[test]
fn lower_layers_that_nothing_uses_are_not_sent_between_key_frames() {
    let mut gate = started(cap(2, 0));
    let independent = |n, spatial| {
        let mut meta = vp9(n, (spatial, 0), true);
        meta.frame.codec =
            CodecFacts::Vp9(Vp9Facts { inter_layer: false, not_for_upper: true, ..facts(&meta) });
        meta
    };
    for spatial in 0..3 {
        let _ = decide(&mut gate, &independent(4 + u64::from(spatial), spatial), 101, cap(2, 0));
    }
    let passed = [0, 1, 2].map(|spatial| {
        let meta = independent(7 + u64::from(spatial), spatial);
        decide(&mut gate, &meta, 102, cap(2, 0)).is_ok()
    });
    assert_eq!(passed, [false, false, true]);
    let _ = decide(&mut gate, &independent(10, 0), 103, cap(1, 0));
    assert!(gate.needs_keyframe(), "the lower layer was not decoded for a while");
}

#[test]
fn a_new_source_continues_the_ids() {
    let mut gate = started(cap(2, 0));
    let base = vp9(900, (0, 0), false);
    let packet = MediaPacket { meta: &base, bytes: &bytes(7_000) };
    let verdict = gate.begin(&packet, &facts(&base), cap(2, 0));
    assert_eq!(read(verdict).0, 101);
    let Patch::Vp9 { tl0, .. } = verdict.patch else { panic!("no picture id") };
    assert_eq!(tl0, Some((4, 8)));
    let late = vp9(3, (2, 0), false);
    let packet = MediaPacket { meta: &late, bytes: &bytes(100) };
    let draining = gate.decide(&packet, &facts(&late), Age::Draining, cap(2, 0));
    assert_eq!(draining.map(|verdict| read(verdict).0), Ok(100));
}

#[test]
fn a_picture_out_of_memory_has_no_mapping() {
    let mut gate = started(cap(2, 0));
    picture(&mut gate, 4, 100 + PICTURES as u16, cap(2, 0));
    let meta = vp9(2, (1, 0), false);
    let packet = MediaPacket { meta: &meta, bytes: &bytes(100) };
    let refusal = gate.decide(&packet, &facts(&meta), Age::Late, cap(2, 0)).unwrap_err();
    assert_eq!(refusal.reason, DropReason::LateNoMapping);
}
