//! RTP headers: hand-made vectors, truncation at every length, round trips.

use proptest::prelude::*;

use super::extension::{ExtensionIds, Extensions};
use super::write::{Fields, HeaderWriter};
use super::*;
use crate::media::Extension;

/// M=1, PT=96, seq=0x1234, ts=0x01020304, SSRC=0xAABBCCDD, one CSRC, one-byte block with audio level
/// (id 1) and transport-wide number (id 5), 3 payload bytes, 2 bytes of padding.
const GOLDEN: [u8; 33] = [
    0xB1, 0xE0, 0x12, 0x34, 0x01, 0x02, 0x03, 0x04, 0xAA, 0xBB, 0xCC, 0xDD, 0, 0, 0, 9, 0xBE, 0xDE,
    0, 2, 0x10, 0x85, 0x51, 0x00, 0x2A, 0, 0, 0, 7, 8, 9, 0, 2,
];

fn ids() -> ExtensionIds {
    ExtensionIds::new(&[(1, Extension::AudioLevel), (5, Extension::TransportWideCc)])
}

#[test]
fn a_hand_made_packet_parses_to_its_fields() {
    let header = Header::parse(&GOLDEN).unwrap();
    assert!(header.marker);
    assert_eq!((header.payload_type, header.sequence), (96, 0x1234));
    assert_eq!((header.timestamp, header.ssrc), (0x0102_0304, 0xAABB_CCDD));
    assert_eq!(header.payload.of(&GOLDEN), &[7, 8, 9]);
    assert_eq!(header.padding, 2);
    let extensions = Extensions::parse(&header, &GOLDEN, &ids()).unwrap();
    assert_eq!(extensions.facts.audio_level, Some(0x85));
    assert_eq!(extensions.transport_sequence, Some(0x2A));
    assert!(extensions.mid.is_empty());
}

#[test]
fn truncation_at_every_length_is_refused_or_parsed_without_panic() {
    for length in 0..GOLDEN.len() {
        if let Ok(header) = Header::parse(&GOLDEN[..length]) {
            assert!(usize::from(header.payload.end) <= length);
            assert!(Extensions::parse(&header, &GOLDEN[..length], &ids()).is_ok());
        }
    }
    assert_eq!(Header::parse(&GOLDEN[..11]), Err(DropReason::Malformed));
    assert_eq!(Header::parse(&GOLDEN[..14]), Err(DropReason::CsrcOverflow));
    assert_eq!(Header::parse(&GOLDEN[..20]), Err(DropReason::ExtMalformed));
}

#[test]
fn padding_counts_of_zero_or_beyond_the_payload_are_malformed() {
    for count in [0, 6] {
        let mut packet = GOLDEN;
        packet[32] = count;
        assert_eq!(Header::parse(&packet), Err(DropReason::Malformed), "count {count}");
    }
    let mut all_padding = GOLDEN;
    all_padding[32] = 5;
    assert!(Header::parse(&all_padding).unwrap().payload.is_empty());
}

#[test]
fn an_element_that_overruns_its_block_is_ext_malformed() {
    let mut packet = GOLDEN;
    packet[22] = 0x5F;
    let header = Header::parse(&packet).unwrap();
    let result = Extensions::parse(&header, &packet, &ids());
    assert_eq!(result.map(|_| ()), Err(DropReason::ExtMalformed));
}

#[test]
fn one_byte_id_fifteen_ends_the_block_and_foreign_profiles_are_opaque() {
    let mut packet = GOLDEN;
    packet[20] = 0xF0;
    let header = Header::parse(&packet).unwrap();
    assert_eq!(header.elements(&packet).count(), 0);
    packet[16] = 0xAB;
    assert_eq!(Header::parse(&packet).unwrap().form, ExtensionForm::None);
}

#[test]
fn two_byte_elements_carry_long_and_empty_data() {
    let fields = Fields { marker: false, payload_type: 111, sequence: 7, timestamp: 8, ssrc: 9 };
    let mut out = [0; 128];
    let mut writer = HeaderWriter::new(&mut out, &fields, ExtensionForm::TwoByte).unwrap();
    writer.element(200, &[5; 30]).unwrap();
    writer.element(3, &[]).unwrap();
    let length = writer.finish().unwrap();
    let header = Header::parse(&out[..length]).unwrap();
    let found: Vec<_> = header
        .elements(&out[..length])
        .map(|e| e.map(|e| (e.id, e.data.of(&out[..length]).to_vec())))
        .collect();
    assert_eq!(found, vec![Ok((200, vec![5; 30])), Ok((3, vec![]))]);
}

#[test]
fn the_writer_refuses_ids_and_sizes_that_its_form_cannot_hold() {
    let fields = Fields { marker: true, payload_type: 0, sequence: 0, timestamp: 0, ssrc: 0 };
    let mut out = [0; 64];
    let mut writer = HeaderWriter::new(&mut out, &fields, ExtensionForm::OneByte).unwrap();
    assert_eq!(writer.element(15, &[1]), None);
    assert_eq!(writer.element(0, &[1]), None);
    assert_eq!(writer.element(1, &[]), None);
    assert_eq!(writer.element(1, &[0; 17]), None);
    assert!(writer.element(14, &[0; 16]).is_some());
    assert!(HeaderWriter::new(&mut [0; 11], &fields, ExtensionForm::None).is_none());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(header) = Header::parse(&bytes) {
            prop_assert!(header.elements(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
        elements in proptest::collection::vec(
            (1u8..15, proptest::collection::vec(any::<u8>(), 1..17)), 0..6),
    ) {
        let fields = Fields { marker, payload_type, sequence, timestamp, ssrc };
        let mut out = [0; 256];
        let mut writer = HeaderWriter::new(&mut out, &fields, ExtensionForm::OneByte).unwrap();
        for (id, data) in &elements {
            prop_assert!(writer.element(*id, data).is_some());
        }
        let length = writer.finish().unwrap();
        let packet = &out[..length];
        let header = Header::parse(packet).unwrap();
        prop_assert_eq!(header.payload_type, payload_type);
        prop_assert_eq!((header.marker, header.sequence), (marker, sequence));
        prop_assert_eq!((header.timestamp, header.ssrc), (timestamp, ssrc));
        let read: Vec<_> = header
            .elements(packet)
            .map(|e| e.map(|e| (e.id, e.data.of(packet).to_vec())))
            .collect::<Result<_, _>>()
            .unwrap();
        prop_assert_eq!(read, elements);
    }
}
