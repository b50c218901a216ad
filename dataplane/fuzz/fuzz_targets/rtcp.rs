//! Invariant: the packets of a compound are as many as its framing says, and no view of one reaches further
//! than its counts allow.
#![no_main]

use conclave_core::rtcp::{nack, twcc, xr, Compound, Packet, MAX_COMPOUND};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let Ok(compound) = Compound::parse(datagram) else { return };
    assert!(datagram.len() <= MAX_COMPOUND);
    assert_eq!(compound.iter().count(), framed(datagram));
    for packet in compound.iter().flatten() {
        match packet {
            Packet::SenderReport(report) => assert!(report.blocks.iter().count() <= 31),
            Packet::ReceiverReport(report) => assert!(report.blocks.iter().count() <= 31),
            Packet::Sdes(sdes) => assert!(sdes.cnames().all(|(_, name)| name.len() <= 255)),
            Packet::Bye(bye) => assert!(bye.ssrcs().count() <= 31),
            Packet::Nack(found) => assert!(found.sequences().count() <= 17 * nack::MAX_ITEMS),
            Packet::Fir(fir) => assert!(fir.entries().count() * 8 <= datagram.len()),
            Packet::Remb(remb) => assert!(remb.ssrcs().count() <= 255),
            Packet::TransportFeedback(feedback) => feedback_is_consistent(&feedback),
            Packet::Xr(report) => {
                for block in report.blocks() {
                    if let xr::Block::Delays(delays) = block {
                        assert!(delays.iter().count() <= xr::MAX_DELAYS);
                    }
                }
            }
            Packet::Pli(_) => {}
        }
    }
});

/// Packets by length fields alone.
fn framed(mut datagram: &[u8]) -> usize {
    let mut count = 0;
    while !datagram.is_empty() {
        let words = usize::from(u16::from_be_bytes([datagram[2], datagram[3]]));
        datagram = &datagram[4 + 4 * words..];
        count += 1;
    }
    count
}

fn feedback_is_consistent(feedback: &twcc::Feedback<'_>) {
    let arrivals = feedback.arrivals();
    assert_eq!(arrivals.clone().count(), usize::from(feedback.statuses));
    for (index, (number, _)) in arrivals.enumerate() {
        assert_eq!(number, feedback.base.wrapping_add(index as u16));
    }
}
