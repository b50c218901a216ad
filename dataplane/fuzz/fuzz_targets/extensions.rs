//! Invariant: extensions that are written are read back under any negotiated ids, and reading any packet
//! yields only spans inside its extension block.
#![no_main]

use arbitrary::Arbitrary;
use conclave_core::media::{Extension, Span};
use conclave_core::rtp::extension::{ExtensionIds, Extensions};
use conclave_core::rtp::write::{Fields, HeaderWriter};
use conclave_core::rtp::{ExtensionForm, Header};
use libfuzzer_sys::fuzz_target;

const KNOWN: [Extension; 13] = [
    Extension::Mid,
    Extension::Rid,
    Extension::RepairedRid,
    Extension::AudioLevel,
    Extension::AbsSendTime,
    Extension::TransportWideCc,
    Extension::DependencyDescriptor,
    Extension::AbsCaptureTime,
    Extension::PlayoutDelay,
    Extension::VideoOrientation,
    Extension::VideoContentType,
    Extension::ColorSpace,
    Extension::VideoLayersAllocation,
];

#[derive(Arbitrary, Debug)]
struct Input {
    ids: Vec<(u8, u8)>,
    two_byte: bool,
    elements: Vec<(u8, Vec<u8>)>,
    raw: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let pairs: Vec<_> = input
        .ids
        .iter()
        .map(|&(id, index)| (id, KNOWN[usize::from(index) % KNOWN.len()]))
        .collect();
    let ids = ExtensionIds::new(&pairs);
    inside_block(&input.raw, &ids);
    let fields = Fields { marker: false, payload_type: 1, sequence: 2, timestamp: 3, ssrc: 4 };
    let form = if input.two_byte { ExtensionForm::TwoByte } else { ExtensionForm::OneByte };
    let mut out = [0; 1_400];
    let Some(mut writer) = HeaderWriter::new(&mut out, &fields, form) else { return };
    let mut written = Vec::new();
    for (id, data) in input.elements {
        if writer.element(id, &data).is_some() {
            written.push((id, data));
        }
    }
    let Some(length) = writer.finish() else { return };
    let packet = &out[..length];
    let header = Header::parse(packet).expect("what was written parses");
    let read: Vec<_> =
        header.elements(packet).flatten().map(|e| (e.id, e.data.of(packet).to_vec())).collect();
    assert_eq!(read, written);
    inside_block(packet, &ids);
});

fn inside_block(packet: &[u8], ids: &ExtensionIds) {
    let Ok(header) = Header::parse(packet) else { return };
    let Ok(found) = Extensions::parse(&header, packet, ids) else { return };
    let facts = found.facts;
    let spans: [Span; 7] = [
        found.mid,
        found.rid,
        found.repaired_rid,
        found.layers_allocation,
        facts.dependency_descriptor,
        facts.abs_capture_time,
        facts.color_space,
    ];
    for span in spans.into_iter().filter(|span| !span.is_empty()) {
        assert!(span.start >= header.extensions.start && span.end <= header.extensions.end);
    }
}
