//! Dependency descriptors: a hand-made L1T2 stream, truncation, and an independent encoder for round trips.

use proptest::prelude::*;

use super::super::bits::BitWriter;
use super::*;

/// What a test wants on the wire.
#[derive(Clone, Debug, Default)]
struct Plan {
    start: bool,
    end: bool,
    template_id: u8,
    frame: u16,
    structure: Option<StructurePlan>,
    active_targets: Option<(u32, u8)>,
    custom_dtis: Option<Vec<u8>>,
    custom_diffs: Option<Vec<u16>>,
    custom_chains: Option<Vec<u8>>,
}

type TemplatePlan = (u8, u8, Vec<u8>, Vec<u16>, Vec<u8>);

#[derive(Clone, Debug)]
struct StructurePlan {
    offset: u8,
    targets: u8,
    /// Layer, indications, reference distances and chain distances of each template.
    templates: Vec<TemplatePlan>,
    protected_by: Vec<u8>,
    chains: u8,
    resolutions: Vec<(u32, u32)>,
}

fn put_below(bits: &mut BitWriter<'_>, value: u32, limit: u32) {
    let width = 32 - limit.leading_zeros();
    let short = (1 << width) - limit;
    if value < short {
        bits.put(value, width - 1).unwrap();
    } else {
        bits.put(value + short, width).unwrap();
    }
}

fn encode(plan: &Plan) -> Vec<u8> {
    let mut out = [0u8; 1_024];
    let mut bits = BitWriter::new(&mut out);
    bits.put(u32::from(plan.start), 1).unwrap();
    bits.put(u32::from(plan.end), 1).unwrap();
    bits.put(u32::from(plan.template_id), 6).unwrap();
    bits.put(u32::from(plan.frame), 16).unwrap();
    let flags = [
        plan.structure.is_some(),
        plan.active_targets.is_some(),
        plan.custom_dtis.is_some(),
        plan.custom_diffs.is_some(),
        plan.custom_chains.is_some(),
    ];
    if flags.contains(&true) {
        for flag in flags {
            bits.put(u32::from(flag), 1).unwrap();
        }
    }
    if let Some(structure) = &plan.structure {
        encode_structure(&mut bits, structure);
    }
    if let Some((mask, targets)) = plan.active_targets {
        bits.put(mask, u32::from(targets)).unwrap();
    }
    for dti in plan.custom_dtis.iter().flatten() {
        bits.put(u32::from(*dti), 2).unwrap();
    }
    if let Some(diffs) = &plan.custom_diffs {
        for diff in diffs {
            let size = if *diff <= 16 { 1 } else { 2 + u32::from(*diff > 256) };
            bits.put(size, 2).unwrap();
            bits.put(u32::from(diff - 1), 4 * size).unwrap();
        }
        bits.put(0, 2).unwrap();
    }
    for chain in plan.custom_chains.iter().flatten() {
        bits.put(u32::from(*chain), 8).unwrap();
    }
    let length = bits.finish().unwrap();
    out[..length].to_vec()
}

fn encode_structure(bits: &mut BitWriter<'_>, structure: &StructurePlan) {
    bits.put(u32::from(structure.offset), 6).unwrap();
    bits.put(u32::from(structure.targets - 1), 5).unwrap();
    for pair in structure.templates.windows(2) {
        let step = match (pair[1].0 > pair[0].0, pair[1].1 > pair[0].1) {
            (true, _) => 2,
            (false, true) => 1,
            (false, false) => 0,
        };
        bits.put(step, 2).unwrap();
    }
    bits.put(3, 2).unwrap();
    for dti in structure.templates.iter().flat_map(|template| &template.2) {
        bits.put(u32::from(*dti), 2).unwrap();
    }
    for template in &structure.templates {
        for diff in &template.3 {
            bits.put(1, 1).unwrap();
            bits.put(u32::from(diff - 1), 4).unwrap();
        }
        bits.put(0, 1).unwrap();
    }
    put_below(bits, u32::from(structure.chains), u32::from(structure.targets) + 1);
    if structure.chains > 0 {
        for chain in &structure.protected_by {
            put_below(bits, u32::from(*chain), u32::from(structure.chains));
        }
        for diff in structure.templates.iter().flat_map(|template| &template.4) {
            bits.put(u32::from(*diff), 4).unwrap();
        }
    }
    bits.put(u32::from(!structure.resolutions.is_empty()), 1).unwrap();
    for (width, height) in &structure.resolutions {
        bits.put(width - 1, 16).unwrap();
        bits.put(height - 1, 16).unwrap();
    }
}

/// L1T2 with one chain: a key frame, a base frame and an upper frame.
fn l1t2() -> StructurePlan {
    StructurePlan {
        offset: 60,
        targets: 2,
        templates: vec![
            (0, 0, vec![2, 2], vec![], vec![0]),
            (0, 0, vec![2, 3], vec![2], vec![2]),
            (0, 1, vec![0, 1], vec![1], vec![1]),
        ],
        protected_by: vec![0, 0],
        chains: 1,
        resolutions: vec![(640, 360)],
    }
}

fn key(frame: u16) -> Plan {
    Plan {
        start: true,
        end: false,
        template_id: 60,
        frame,
        structure: Some(l1t2()),
        ..Plan::default()
    }
}

#[test]
fn the_encoder_of_these_tests_agrees_with_bits_laid_out_by_hand() {
    let bytes = encode(&key(1));
    // Hand layout, field by field, as a string of bits.
    let fields = [
        "1",
        "0",
        "111100",
        "0000000000000001",
        "10000",
        "111100",
        "00001",
        "00",
        "01",
        "11",
        "10",
        "10",
        "10",
        "11",
        "00",
        "01",
        "0",
        "1",
        "0001",
        "0",
        "1",
        "0000",
        "0",
        "10",
        "0000",
        "0010",
        "0001",
        "1",
        "0000001001111111",
        "0000000101100111",
    ];
    let bits: String = fields.concat();
    let packed: Vec<u8> = bits
        .as_bytes()
        .chunks(8)
        .map(|chunk| {
            chunk.iter().enumerate().fold(0, |byte, (i, &bit)| byte | (bit & 1) << (7 - i))
        })
        .collect();
    assert_eq!(bytes, packed);
}

#[test]
fn a_key_frame_brings_the_structure_and_later_frames_refer_to_it() {
    let mut reader = DependencyReader::default();
    let first = reader.read(&encode(&key(1))).unwrap();
    assert!(first.start && !first.end && first.facts.has_structure && first.switch_up());
    assert_eq!(first.facts.active_targets, 0b11);
    assert_eq!(first.facts.target_layers[..2], [0x00, 0x01]);
    assert_eq!(first.facts.protected_by[..3], [0, 0, 0xFF]);
    let structure = reader.structure().unwrap();
    assert_eq!(structure.resolutions.unwrap()[0], Resolution { width: 640, height: 360 });

    let upper = Plan { template_id: 62, frame: 2, end: true, ..Plan::default() };
    let upper = reader.read(&encode(&upper)).unwrap();
    assert_eq!((upper.spatial, upper.temporal, upper.end), (0, 1, true));
    assert!(upper.discardable() && !upper.switch_up());
    assert_eq!(upper.facts.frame, first.facts.frame + 1);
    assert_eq!(upper.facts.frame_diffs[..2], [1, 0]);
    assert_eq!(upper.facts.chain_diffs[0], 1);

    let base = Plan { template_id: 61, frame: 3, ..Plan::default() };
    let base = reader.read(&encode(&base)).unwrap();
    assert_eq!(base.facts.dti, 0b1110);
    assert!(!base.discardable());
}

#[test]
fn template_ids_wrap_around_the_six_bit_space() {
    let mut plan = key(1);
    plan.structure.as_mut().unwrap().offset = 63;
    plan.template_id = 63;
    let mut reader = DependencyReader::default();
    reader.read(&encode(&plan)).unwrap();
    let upper = Plan { template_id: 1, frame: 2, ..Plan::default() };
    assert_eq!(reader.read(&encode(&upper)).unwrap().temporal, 1);
}

#[test]
fn an_unknown_template_or_no_structure_is_named() {
    let mut reader = DependencyReader::default();
    let frame = encode(&Plan { template_id: 62, frame: 2, ..Plan::default() });
    assert_eq!(reader.read(&frame), Err(DropReason::DdUnknownTemplate));
    reader.read(&encode(&key(1))).unwrap();
    let beyond = encode(&Plan { template_id: 59, frame: 2, ..Plan::default() });
    assert_eq!(reader.read(&beyond), Err(DropReason::DdUnknownTemplate));
}

#[test]
fn truncation_at_every_length_is_dd_malformed() {
    let bytes = encode(&key(1));
    for length in (0..3).chain(4..bytes.len()) {
        let result = DependencyReader::default().read(&bytes[..length]);
        assert_eq!(result, Err(DropReason::DdMalformed), "length {length}");
    }
}

#[test]
fn active_targets_stay_until_they_are_replaced() {
    let mut reader = DependencyReader::default();
    reader.read(&encode(&key(1))).unwrap();
    let mut plan = Plan { template_id: 61, frame: 2, ..Plan::default() };
    plan.active_targets = Some((0b01, 2));
    assert_eq!(reader.read(&encode(&plan)).unwrap().facts.active_targets, 0b01);
    plan = Plan { template_id: 61, frame: 3, ..Plan::default() };
    assert_eq!(reader.read(&encode(&plan)).unwrap().facts.active_targets, 0b01);
    assert_eq!(reader.read(&encode(&key(4))).unwrap().facts.active_targets, 0b11);
}

#[test]
fn frame_numbers_unwrap_and_a_late_structure_explains_only_its_own_packet() {
    let mut reader = DependencyReader::default();
    let first = reader.read(&encode(&key(65_535))).unwrap().facts.frame;
    let next = Plan { template_id: 61, frame: 0, ..Plan::default() };
    assert_eq!(reader.read(&encode(&next)).unwrap().facts.frame, first + 1);
    let mut late = key(65_534);
    late.structure.as_mut().unwrap().offset = 0;
    late.template_id = 2;
    late.active_targets = Some((0b10, 2));
    let late = reader.read(&encode(&late)).unwrap();
    assert_eq!((late.temporal, late.facts.active_targets), (1, 0b10));
    assert_eq!(late.facts.frame, first - 1);
    assert_eq!(reader.structure().unwrap().offset, 60);
    let newest = Plan { template_id: 61, frame: 1, ..Plan::default() };
    assert_eq!(reader.read(&encode(&newest)).unwrap().facts.active_targets, 0b11);
}

#[test]
fn custom_fields_override_the_template() {
    let mut reader = DependencyReader::default();
    reader.read(&encode(&key(1))).unwrap();
    let plan = Plan {
        template_id: 61,
        frame: 2,
        custom_dtis: Some(vec![1, 2]),
        custom_diffs: Some(vec![3, 200, 4_000]),
        custom_chains: Some(vec![255]),
        ..Plan::default()
    };
    let facts = reader.read(&encode(&plan)).unwrap().facts;
    assert_eq!(facts.dti, 0b1001);
    assert_eq!(facts.frame_diffs[..4], [3, 200, 4_000, 0]);
    assert_eq!(facts.chain_diffs[0], 255);
}

#[test]
fn a_rewrite_without_extended_fields_gains_a_mask_of_constant_size() {
    let raw = encode(&Plan { template_id: 61, frame: 2, ..Plan::default() });
    let changes = Changes { frame: 9, template_shift: 4, active_targets: Some((0b01, 2)) };
    let mut out = [0; 16];
    let length = rewrite(&raw, &mut out, &changes).unwrap();
    assert_eq!(out[..length], [0b0000_0001, 0, 9, 0b0100_0010]);
    let unchanged = Changes { frame: 2, template_shift: 0, active_targets: None };
    let length = rewrite(&raw, &mut out, &unchanged).unwrap();
    assert_eq!(out[..length], raw);
}

#[test]
fn a_rewrite_refuses_what_does_not_fit() {
    let raw = encode(&key(1));
    let changes = Changes { frame: 9, template_shift: 4, active_targets: Some((1, 2)) };
    let mut out = [0; 64];
    let length = rewrite(&raw, &mut out, &changes).unwrap();
    for room in 0..length {
        assert_eq!(rewrite(&raw, &mut out[..room], &changes), None);
    }
}

fn template(targets: u8, chains: u8) -> impl Strategy<Value = (Vec<u8>, Vec<u16>, Vec<u8>)> {
    (
        proptest::collection::vec(0u8..4, usize::from(targets)),
        proptest::collection::vec(1u16..17, 0..4),
        proptest::collection::vec(0u8..16, usize::from(chains)),
    )
}

/// Layers in the order that the wire can tell: each template stays, rises in time, or rises in space.
fn structure() -> impl Strategy<Value = StructurePlan> {
    (1u8..=32, 0u8..=8, 0u8..64).prop_flat_map(|(targets, chains, offset)| {
        let chains = chains.min(targets);
        let templates = proptest::collection::vec((0u8..3, template(targets, chains)), 1..12);
        let protected = proptest::collection::vec(0..chains.max(1), usize::from(targets));
        (templates, protected, any::<bool>()).prop_map(move |(steps, protected_by, sized)| {
            let (mut spatial, mut temporal) = (0, 0);
            let mut templates = Vec::new();
            for (index, (step, (dtis, diffs, chain_diffs))) in steps.into_iter().enumerate() {
                match step {
                    1 if index > 0 && temporal < 7 => temporal += 1,
                    2 if index > 0 && spatial < 3 => (spatial, temporal) = (spatial + 1, 0),
                    _ => {}
                }
                templates.push((spatial, temporal, dtis, diffs, chain_diffs));
            }
            let layers = usize::from(spatial) + 1;
            let resolutions = vec![(1_920, 1_080); if sized { layers } else { 0 }];
            StructurePlan { offset, targets, templates, protected_by, chains, resolutions }
        })
    })
}

fn plan() -> impl Strategy<Value = Plan> {
    (structure(), any::<(u16, bool, bool, u32)>(), any::<[bool; 4]>(), 0usize..12).prop_map(
        |(structure, (frame, start, end, mask), custom, index)| {
            let targets = structure.targets;
            let index = index % structure.templates.len();
            Plan {
                start,
                end,
                template_id: (structure.offset + index as u8) & 0x3F,
                frame,
                active_targets: custom[0]
                    .then(|| (mask & (u32::MAX >> (32 - u32::from(targets))), targets)),
                custom_dtis: custom[1].then(|| vec![1; usize::from(targets)]),
                custom_diffs: custom[2].then(|| vec![1, 17, 300]),
                custom_chains: custom[3].then(|| vec![7; usize::from(structure.chains)]),
                structure: Some(structure),
            }
        },
    )
}

fn assert_matches_plan(read: &Dependency, plan: &Plan) {
    let structure = plan.structure.as_ref().unwrap();
    let index = usize::from(plan.template_id.wrapping_sub(structure.offset) & 0x3F);
    let (spatial, temporal, dtis, diffs, chains) = &structure.templates[index];
    assert_eq!((read.start, read.end), (plan.start, plan.end));
    assert_eq!((read.spatial, read.temporal), (*spatial, *temporal));
    let dtis = plan.custom_dtis.as_ref().unwrap_or(dtis);
    let packed = dtis.iter().rev().fold(0u64, |packed, &dti| packed << 2 | u64::from(dti));
    assert_eq!(read.facts.dti, packed);
    let diffs = plan.custom_diffs.as_ref().unwrap_or(diffs);
    assert_eq!(&read.facts.frame_diffs[..diffs.len()], diffs.as_slice());
    assert_eq!(read.facts.frame_diffs[diffs.len()], 0);
    let chains = plan.custom_chains.as_ref().unwrap_or(chains);
    assert_eq!(&read.facts.chain_diffs[..chains.len()], chains.as_slice());
    let all = u32::MAX >> (32 - u32::from(structure.targets));
    assert_eq!(read.facts.active_targets, plan.active_targets.map_or(all, |(mask, _)| mask));
}

proptest! {
    #[test]
    fn any_descriptor_reads_back_as_it_was_encoded(plan in plan()) {
        let read = DependencyReader::default().read(&encode(&plan)).unwrap();
        assert_matches_plan(&read, &plan);
    }

    #[test]
    fn a_rewrite_changes_what_it_is_told_and_nothing_else(
        plan in plan(), frame: u16, shift in 0u8..64, mask: u32, told: bool,
    ) {
        let raw = encode(&plan);
        let targets = plan.structure.as_ref().unwrap().targets;
        let mask = mask & (u32::MAX >> (32 - u32::from(targets)));
        let changes = Changes {
            frame,
            template_shift: shift,
            active_targets: told.then_some((mask, 32)),
        };
        let mut out = vec![0; raw.len() + MAX_GROWTH];
        let length = rewrite(&raw, &mut out, &changes).unwrap();
        let mut expected = plan;
        expected.frame = frame;
        expected.template_id = (expected.template_id + shift) & 0x3F;
        let structure = expected.structure.as_mut().unwrap();
        structure.offset = (structure.offset + shift) & 0x3F;
        if told {
            expected.active_targets = Some((mask, targets));
        }
        let read = DependencyReader::default().read(&out[..length]).unwrap();
        prop_assert_eq!(read.facts.frame & 0xFFFF, u64::from(frame));
        assert_matches_plan(&read, &expected);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        first in proptest::collection::vec(any::<u8>(), 0..80),
        second in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut reader = DependencyReader::default();
        let results = [reader.read(&first), reader.read(&second)];
        for read in results.into_iter().flatten() {
            prop_assert!(usize::from(read.facts.targets) <= MAX_TARGETS);
        }
        let mut out = [0; 100];
        let changes = Changes { frame: 1, template_shift: 1, active_targets: Some((1, 32)) };
        if let Some(length) = rewrite(&first, &mut out, &changes) {
            prop_assert!(length <= first.len() + MAX_GROWTH);
        }
    }
}
