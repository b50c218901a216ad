//! The extension block: what a receiver reads from it, and that its layout is constant.

use super::*;
use crate::media::Span;
use crate::rtp::extension::{ExtensionIds, Extensions};
use crate::rtp::{ExtensionForm, Header};

fn negotiated() -> Vec<(u8, Extension)> {
    vec![
        (1, Extension::AudioLevel),
        (2, Extension::AbsSendTime),
        (3, Extension::TransportWideCc),
        (4, Extension::Mid),
        (5, Extension::Rid),
        (6, Extension::PlayoutDelay),
        (7, Extension::VideoOrientation),
        (8, Extension::AbsCaptureTime),
        (9, Extension::DependencyDescriptor),
        (10, Extension::ColorSpace),
        (11, Extension::VideoContentType),
    ]
}

const STAMPS: Stamps = Stamps { number: 0xABCD, send_time: 0x0012_3456 };

/// A whole packet around the block, parsed as a receiver would.
fn written(
    block: &Block,
    pairs: &[(u8, Extension)],
    facts: &ExtensionFacts,
    source: &[u8],
) -> (Vec<u8>, Header, Extensions) {
    let mut packet = vec![0u8; 600];
    packet[0] = 0x90;
    let length = block.write(&mut packet[12..], STAMPS, facts, source, Patch::None);
    assert!(length <= block.bound(facts), "{length} bytes exceed the bound");
    packet.truncate(12 + length + 20);
    let header = Header::parse(&packet).unwrap();
    assert_eq!(usize::from(header.payload.start), 12 + length);
    let extensions = Extensions::parse(&header, &packet, &ExtensionIds::new(pairs)).unwrap();
    (packet, header, extensions)
}

#[test]
fn a_receiver_reads_our_mid_number_and_level_and_nothing_of_the_publishers_streams() {
    let pairs = negotiated();
    let block = Block::new("video0", &pairs);
    let facts = ExtensionFacts { audio_level: Some(0x85), ..ExtensionFacts::default() };
    let (packet, header, found) = written(&block, &pairs, &facts, &[]);
    assert_eq!(header.form, ExtensionForm::OneByte);
    assert_eq!(found.mid.of(&packet), b"video0");
    assert_eq!(found.transport_sequence, Some(0xABCD));
    assert_eq!(found.facts.audio_level, Some(0x85));
    assert!(found.rid.is_empty() && found.layers_allocation.is_empty());
    let send_time = [2 << 4 | 2, 0x12, 0x34, 0x56];
    assert!(packet.windows(4).any(|window| window == send_time));
}

#[test]
fn what_a_packet_carries_now_and_then_is_copied_behind_the_fixed_part() {
    let pairs = negotiated();
    let block = Block::new("0", &pairs);
    let source = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    let facts = ExtensionFacts {
        abs_capture_time: Span { start: 1, end: 9 },
        playout_delay: Some(0x00AB_CDEF),
        video_orientation: Some(3),
        video_content_type: Some(1),
        ..ExtensionFacts::default()
    };
    let (packet, _, found) = written(&block, &pairs, &facts, &source);
    assert_eq!(found.facts.abs_capture_time.of(&packet), &source[1..]);
    assert_eq!(found.facts.playout_delay, Some(0x00AB_CDEF));
    assert_eq!(found.facts.video_orientation, Some(3));
    assert_eq!(found.facts.video_content_type, Some(1));
}

#[test]
fn the_block_of_ordinary_packets_has_one_size() {
    let block = Block::new("0", &negotiated());
    let sizes: Vec<_> = [None, Some(0), Some(255)]
        .map(|audio_level| {
            let facts = ExtensionFacts { audio_level, ..ExtensionFacts::default() };
            block.write(&mut [0; 100], STAMPS, &facts, &[], Patch::None)
        })
        .into();
    assert!(sizes.iter().all(|&size| size == sizes[0] && size > 0));
}

#[test]
fn large_elements_and_large_ids_take_the_two_byte_form() {
    let pairs = negotiated();
    let source = [7; 28];
    let facts =
        ExtensionFacts { color_space: Span { start: 0, end: 28 }, ..ExtensionFacts::default() };
    let (packet, header, found) = written(&Block::new("0", &pairs), &pairs, &facts, &source);
    assert_eq!(header.form, ExtensionForm::TwoByte);
    assert_eq!(found.facts.color_space.of(&packet), &source);
    assert_eq!(found.transport_sequence, Some(0xABCD));
    let wide = [(20, Extension::Mid), (3, Extension::TransportWideCc)];
    let facts = ExtensionFacts::default();
    let (packet, header, found) = written(&Block::new("abc", &wide), &wide, &facts, &[]);
    assert_eq!(header.form, ExtensionForm::TwoByte);
    assert_eq!(found.mid.of(&packet), b"abc");
}

#[test]
fn a_leg_without_extensions_writes_no_block() {
    let block = Block::new("0", &[]);
    let facts = ExtensionFacts { audio_level: Some(1), ..ExtensionFacts::default() };
    assert_eq!(block.write(&mut [0; 100], STAMPS, &facts, &[], Patch::None), 0);
}

#[test]
fn a_dependency_descriptor_is_written_with_the_legs_numbers_if_it_was_negotiated() {
    let pairs = negotiated();
    // Start and end of a frame, template 5, frame number 0x1234; nothing else.
    let source = [0xC5, 0x12, 0x34];
    let facts = ExtensionFacts {
        dependency_descriptor: Span { start: 0, end: 3 },
        ..ExtensionFacts::default()
    };
    let patch = Patch::Dependency { frame: 0xABCD, targets: 0b01, count: 2 };
    let mut out = vec![0u8; 200];
    out[0] = 0x90;
    let block = Block::new("0", &pairs);
    let length = block.write(&mut out[12..], STAMPS, &facts, &source, patch);
    assert!(length <= block.bound(&facts));
    let header = Header::parse(&out[..12 + length]).unwrap();
    let found = Extensions::parse(&header, &out, &ExtensionIds::new(&pairs)).unwrap();
    let descriptor = found.facts.dependency_descriptor.of(&out);
    assert_eq!(descriptor[..3], [0xC5, 0xAB, 0xCD]);
    assert_eq!(descriptor[3] >> 3, 0b01000, "a mask of active targets, nothing custom");
    let without = Block::new("0", &pairs[..4]);
    let shorter = without.write(&mut out[12..], STAMPS, &facts, &source, patch);
    assert!(shorter < length);
}
