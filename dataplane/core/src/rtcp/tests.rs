//! RTCP: a hand-made vector per packet type, truncation at every length, round trips.

use proptest::prelude::*;

use super::*;

fn parse_one(bytes: &[u8]) -> Result<Packet<'_>, DropReason> {
    let mut packets = Compound::parse(bytes)?.iter();
    let first = packets.next().unwrap();
    assert!(packets.next().is_none());
    first
}

fn written(packet: &impl Write) -> Vec<u8> {
    let mut out = [0xEE; MAX_COMPOUND];
    let length = packet.write(&mut out).unwrap();
    assert_eq!(length % 4, 0);
    for room in 0..length {
        assert!(packet.write(&mut vec![0; room]).is_none(), "wrote {length} bytes into {room}");
    }
    out[..length].to_vec()
}

const BLOCK: rr::ReportBlock = rr::ReportBlock {
    ssrc: 0x0102_0304,
    fraction_lost: 64,
    lost: -2,
    highest: 0x0001_FFFE,
    jitter: 90,
    last_sr: 0xAABB_CCDD,
    delay: 0x0001_0000,
};

const BLOCK_BYTES: [u8; 24] = [
    1, 2, 3, 4, 64, 0xFF, 0xFF, 0xFE, 0, 1, 0xFF, 0xFE, 0, 0, 0, 90, 0xAA, 0xBB, 0xCC, 0xDD, 0, 1,
    0, 0,
];

fn golden_rr() -> Vec<u8> {
    let mut bytes = vec![0x81, 201, 0, 7, 0, 0, 0, 1];
    bytes.extend(BLOCK_BYTES);
    bytes
}

fn golden_sr() -> Vec<u8> {
    let mut bytes = vec![0x81, 200, 0, 12, 0, 0, 0, 9, 0xE0, 0, 0, 1, 0x80, 0, 0, 0];
    bytes.extend([0, 0, 0x10, 0, 0, 0, 0, 5, 0, 0, 0x13, 0x88]);
    bytes.extend(BLOCK_BYTES);
    bytes
}

const GOLDEN_SDES: [u8; 16] = [0x81, 202, 0, 3, 0, 0, 0, 9, 1, 5, b'a', b'l', b'i', b'c', b'e', 0];
const GOLDEN_BYE: [u8; 8] = [0x81, 203, 0, 1, 0, 0, 0, 9];
/// Lost: 100, 101, 116 in one item, 200 in the next.
const GOLDEN_NACK: [u8; 20] =
    [0x81, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 9, 0, 100, 0x80, 0x01, 0, 200, 0, 0];
const GOLDEN_PLI: [u8; 12] = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9];
const GOLDEN_FIR: [u8; 20] = [0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 7, 0, 0, 0];
/// 1 Mbit/s: mantissa 250000, exponent 2.
const GOLDEN_REMB: [u8; 24] = [
    0x8F, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x0B, 0xD0, 0x90, 0, 0, 0,
    9,
];
const GOLDEN_XR: [u8; 36] = [
    0x80, 207, 0, 8, 0, 0, 0, 1, 4, 0, 0, 2, 0xE0, 0, 0, 1, 0x80, 0, 0, 0, 5, 0, 0, 3, 0, 0, 0, 9,
    1, 2, 3, 4, 0, 1, 0, 0,
];
/// Base 10, eight numbers, reference 3 x 64 ms, feedback 5. One run chunk (three small), one two-bit chunk
/// (lost, large, small, lost, small); deltas 4, 8, 12, -20, 4, 4; three bytes of padding.
const GOLDEN_TWCC: [u8; 36] = [
    0xAF, 205, 0, 8, 0, 0, 0, 1, 0, 0, 0, 9, 0, 10, 0, 8, 0, 0, 3, 5, 0x20, 0x03, 0xC9, 0x10, 4, 8,
    12, 0xFF, 0xEC, 4, 4, 0, 0, 0, 0, 5,
];

fn goldens() -> Vec<Vec<u8>> {
    vec![
        golden_rr(),
        golden_sr(),
        GOLDEN_SDES.to_vec(),
        GOLDEN_BYE.to_vec(),
        GOLDEN_NACK.to_vec(),
        GOLDEN_PLI.to_vec(),
        GOLDEN_FIR.to_vec(),
        GOLDEN_REMB.to_vec(),
        GOLDEN_XR.to_vec(),
        GOLDEN_TWCC.to_vec(),
    ]
}

#[test]
fn a_receiver_report_reads_and_writes_its_golden_bytes() {
    let bytes = golden_rr();
    let Ok(Packet::ReceiverReport(report)) = parse_one(&bytes) else { panic!("not an RR") };
    assert_eq!(report.sender, 1);
    assert_eq!(report.blocks.iter().collect::<Vec<_>>(), [BLOCK]);
    assert_eq!(written(&rr::ReceiverReportOut { sender: 1, blocks: &[BLOCK] }), bytes);
}

#[test]
fn a_sender_report_reads_and_writes_its_golden_bytes() {
    let bytes = golden_sr();
    let Ok(Packet::SenderReport(report)) = parse_one(&bytes) else { panic!("not an SR") };
    let info =
        sr::SenderInfo { ssrc: 9, ntp: 0xE000_0001_8000_0000, rtp: 4096, packets: 5, octets: 5000 };
    assert_eq!(report.info, info);
    assert_eq!(report.blocks.iter().collect::<Vec<_>>(), [BLOCK]);
    assert_eq!(written(&sr::SenderReportOut { info, blocks: &[BLOCK] }), bytes);
}

#[test]
fn a_source_description_reads_and_writes_its_golden_bytes() {
    let Ok(Packet::Sdes(sdes)) = parse_one(&GOLDEN_SDES) else { panic!("not an SDES") };
    assert_eq!(sdes.cnames().collect::<Vec<_>>(), [(9, b"alice".as_slice())]);
    assert_eq!(written(&sdes::SdesOut { ssrc: 9, cname: b"alice" }), GOLDEN_SDES);
    let four = written(&sdes::SdesOut { ssrc: 9, cname: b"abcdef" });
    assert_eq!(four.len(), 20, "a chunk that ends on a word boundary still gets its zero byte");
}

#[test]
fn a_bye_reads_and_writes_its_golden_bytes() {
    let Ok(Packet::Bye(bye)) = parse_one(&GOLDEN_BYE) else { panic!("not a BYE") };
    assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [9]);
    assert_eq!(written(&bye::ByeOut { ssrc: 9 }), GOLDEN_BYE);
}

#[test]
fn a_nack_reads_and_writes_its_golden_bytes() {
    let Ok(Packet::Nack(nack)) = parse_one(&GOLDEN_NACK) else { panic!("not a NACK") };
    assert_eq!((nack.sender, nack.media), (1, 9));
    assert_eq!(nack.sequences().collect::<Vec<_>>(), [100, 101, 116, 200]);
    let out = nack::NackOut { sender: 1, media: 9, sequences: &[100, 101, 116, 200] };
    assert_eq!(written(&out), GOLDEN_NACK);
}

#[test]
fn a_nack_reads_at_most_its_cap_of_items() {
    let mut bytes = vec![0x81, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9];
    bytes.extend([0xFF; 4 * 300]);
    bytes[2..4].copy_from_slice(&(2u16 + 300).to_be_bytes());
    let Ok(Packet::Nack(nack)) = parse_one(&bytes) else { panic!("not a NACK") };
    assert_eq!(nack.sequences().count(), 17 * nack::MAX_ITEMS);
}

#[test]
fn a_pli_reads_and_writes_its_golden_bytes() {
    let Ok(Packet::Pli(pli)) = parse_one(&GOLDEN_PLI) else { panic!("not a PLI") };
    assert_eq!(pli, pli::Pli { sender: 1, media: 9 });
    assert_eq!(written(&pli), GOLDEN_PLI);
}

#[test]
fn a_fir_reads_and_writes_its_golden_bytes() {
    let Ok(Packet::Fir(fir)) = parse_one(&GOLDEN_FIR) else { panic!("not a FIR") };
    assert_eq!(fir.entries().collect::<Vec<_>>(), [(9, 7)]);
    assert_eq!(written(&fir::FirOut { sender: 1, media: 9, command: 7 }), GOLDEN_FIR);
}

#[test]
fn a_remb_reads_and_writes_its_golden_bytes() {
    let Ok(Packet::Remb(remb)) = parse_one(&GOLDEN_REMB) else { panic!("not a REMB") };
    assert_eq!(remb.bitrate, 1_000_000);
    assert_eq!(remb.ssrcs().collect::<Vec<_>>(), [9]);
    let out = remb::RembOut { sender: 1, bitrate: 1_000_000, ssrcs: &[9] };
    assert_eq!(written(&out), GOLDEN_REMB);
}

#[test]
fn a_remb_of_an_absurd_exponent_means_no_limit() {
    let mut bytes = GOLDEN_REMB;
    bytes[17] = 0xFF;
    let Ok(Packet::Remb(remb)) = parse_one(&bytes) else { panic!("not a REMB") };
    assert_eq!(remb.bitrate, u64::MAX);
}

#[test]
fn an_extended_report_reads_and_writes_its_golden_bytes() {
    let Ok(Packet::Xr(report)) = parse_one(&GOLDEN_XR) else { panic!("not an XR") };
    let delay = xr::Delay { ssrc: 9, last_rr: 0x0102_0304, delay: 0x1_0000 };
    let mut blocks = report.blocks();
    assert!(matches!(blocks.next(), Some(xr::Block::ReceiverReference(0xE000_0001_8000_0000))));
    let Some(xr::Block::Delays(delays)) = blocks.next() else { panic!("not a DLRR") };
    assert_eq!(delays.iter().collect::<Vec<_>>(), [delay]);
    let out = xr::ExtendedReportOut {
        sender: 1,
        reference: Some(0xE000_0001_8000_0000),
        delays: &[delay],
    };
    assert_eq!(written(&out), GOLDEN_XR);
}

#[test]
fn transport_feedback_reads_its_golden_bytes() {
    let Ok(Packet::TransportFeedback(feedback)) = parse_one(&GOLDEN_TWCC) else {
        panic!("no TWCC")
    };
    assert_eq!((feedback.base, feedback.statuses, feedback.count), (10, 8, 5));
    assert_eq!(feedback.reference, 3);
    let arrivals: Vec<_> = feedback.arrivals().collect();
    let expected = [772, 780, 792].map(Some);
    assert_eq!(arrivals[..3].iter().map(|a| a.1).collect::<Vec<_>>(), expected);
    assert_eq!(
        arrivals[3..],
        [(13, None), (14, Some(772)), (15, Some(776)), (16, None), (17, Some(780))]
    );
}

#[test]
fn transport_feedback_writes_what_the_layout_demands() {
    let arrivals = [Some(772), Some(780), Some(792), None, Some(772), Some(776), None, Some(780)];
    let out = twcc::FeedbackOut { sender: 1, media: 9, base: 10, count: 5, arrivals: &arrivals };
    let mut bytes = [0; 64];
    let length = out.write(&mut bytes).unwrap();
    // Small, small, small, lost, large, small, lost | small: a two-bit chunk and a run of one.
    assert_eq!(bytes[20..24], [0xD5, 0x24, 0x20, 0x01]);
    assert_eq!(bytes[24..31], [4, 8, 12, 0xFF, 0xEC, 4, 4]);
    assert_eq!((length, bytes[0], bytes[31]), (32, 0xAF, 1));
}

#[test]
fn a_chain_of_large_deltas_beyond_eight_seconds_ends_the_feedback_there() {
    let arrivals = [Some(1_000), Some(1_000 + 32_767), Some(1_000 + 32_767 + 32_768)];
    let out = twcc::FeedbackOut { sender: 1, media: 9, base: 0, count: 0, arrivals: &arrivals };
    assert_eq!(out.fits(MAX_COMPOUND), 2);
}

#[test]
fn a_negative_reference_time_is_sign_extended() {
    let mut bytes = GOLDEN_TWCC;
    bytes[16..19].copy_from_slice(&[0xFF, 0xFF, 0xFF]);
    let Ok(Packet::TransportFeedback(feedback)) = parse_one(&bytes) else { panic!("no TWCC") };
    assert_eq!(feedback.arrivals().next(), Some((10, Some(-252))));
}

#[test]
fn truncation_at_every_length_is_rtcp_malformed() {
    for golden in goldens() {
        for length in 0..golden.len() {
            let cut = Compound::parse(&golden[..length]).map(|_| ());
            assert_eq!(cut, Err(DropReason::RtcpMalformed));
            // The same with a length field that claims the cut is whole.
            let mut honest = golden[..length - length % 4].to_vec();
            if honest.len() >= 4 {
                let words = (honest.len() / 4 - 1) as u16;
                honest[2..4].copy_from_slice(&words.to_be_bytes());
                honest[0] &= !0x20;
                assert!(Compound::parse(&honest).unwrap().iter().count() == 1);
            }
        }
    }
}

#[test]
fn a_bad_packet_does_not_hide_the_next_one() {
    let mut bytes = vec![0x81, 201, 0, 1, 0, 0, 0, 1];
    bytes.extend(GOLDEN_PLI);
    bytes.extend([0x80, 204, 0, 1, 0, 0, 0, 1]);
    let compound = Compound::parse(&bytes).unwrap();
    let results: Vec<_> = compound.into_iter().map(|packet| packet.map(|_| ())).collect();
    assert_eq!(results, [Err(DropReason::RtcpMalformed), Ok(()), Err(DropReason::RtcpUnknownType)]);
}

#[test]
fn a_builder_leaves_a_datagram_untouched_by_what_does_not_fit() {
    let mut out = [0; 24];
    let mut builder = Builder::new(&mut out);
    let pli = pli::Pli { sender: 1, media: 9 };
    assert!(builder.add(&pli) && builder.add(&pli));
    assert!(!builder.add(&pli));
    assert_eq!(builder.length(), 24);
    assert_eq!(Compound::parse(&out).unwrap().iter().flatten().count(), 2);
}

/// Arrivals with gaps, bursts, reordering and long silences; the first one did arrive.
fn arrivals() -> impl Strategy<Value = Vec<Option<u64>>> {
    let step = prop_oneof![
        4 => (0i64..20).prop_map(Some),
        2 => (-300i64..600).prop_map(Some),
        1 => (-32_768i64..32_768).prop_map(Some),
        2 => Just(None),
    ];
    proptest::collection::vec(step, 0..400).prop_map(|steps| {
        let mut ticks = 4_000_000_000i64;
        let first = std::iter::once(Some(ticks as u64));
        let rest: Vec<_> = steps
            .into_iter()
            .map(|step| {
                ticks += step.unwrap_or(0);
                step.map(|_| ticks as u64)
            })
            .collect();
        first.chain(rest).collect()
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        kind in 199u8..209, honest: bool,
    ) {
        if bytes.len() >= 4 && honest {
            bytes.truncate(bytes.len() / 4 * 4);
            let words = (bytes.len() / 4 - 1) as u16;
            bytes[2..4].copy_from_slice(&words.to_be_bytes());
            bytes[0] = 0x80 | (bytes[0] & 0x1F);
            bytes[1] = kind;
        }
        if let Ok(compound) = Compound::parse(&bytes) {
            for packet in compound.iter().flatten() {
                match packet {
                    Packet::TransportFeedback(feedback) => {
                        let count = feedback.arrivals().count();
                        prop_assert_eq!(count, usize::from(feedback.statuses));
                    }
                    Packet::Sdes(sdes) => prop_assert!(sdes.cnames().count() <= 31),
                    Packet::Xr(report) => prop_assert!(report.blocks().count() <= bytes.len()),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn nacks_round_trip(start: u16, steps in proptest::collection::vec(1u16..40, 0..60)) {
        let mut sequences = vec![start];
        for step in steps {
            sequences.push(sequences[sequences.len() - 1].wrapping_add(step));
        }
        let bytes = written(&nack::NackOut { sender: 1, media: 2, sequences: &sequences });
        let Ok(Packet::Nack(nack)) = parse_one(&bytes) else { panic!("not a NACK") };
        prop_assert_eq!(nack.sequences().collect::<Vec<_>>(), sequences);
    }

    #[test]
    fn transport_feedback_decodes_to_the_arrivals_it_encodes(
        arrivals in arrivals(), base: u16, room in 64usize..1_452,
    ) {
        let mut rest = arrivals.as_slice();
        let mut number = base;
        while let Some(skip) = rest.iter().position(Option::is_some) {
            number = number.wrapping_add(skip as u16);
            rest = &rest[skip..];
            let out = twcc::FeedbackOut { sender: 1, media: 2, base: number, count: 0, arrivals: rest };
            let mut bytes = vec![0; room];
            let covered = out.fits(room);
            prop_assert!(covered > 0);
            let length = out.write(&mut bytes).unwrap();
            let Ok(Packet::TransportFeedback(feedback)) = parse_one(&bytes[..length]) else {
                panic!("no TWCC")
            };
            let epoch = rest[0].unwrap() as i64 / 256 - i64::from(feedback.reference);
            let decoded: Vec<_> = feedback.arrivals().collect();
            prop_assert_eq!(decoded.len(), covered);
            for (index, (found, arrival)) in decoded.into_iter().enumerate() {
                prop_assert_eq!(found, number.wrapping_add(index as u16));
                prop_assert_eq!(arrival.map(|ticks| (ticks + epoch * 256) as u64), rest[index]);
            }
            number = number.wrapping_add(covered as u16);
            rest = &rest[covered..];
        }
    }
}
