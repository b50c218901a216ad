//! Invariant: no payload brings the frame reader of any codec out of its bounds, and what it says of a packet
//! depends on that packet and those before it only (the same input twice gives the same facts).
#![no_main]

use arbitrary::Arbitrary;
use conclave_core::codec::frame::{FrameInput, FrameReader};
use conclave_core::media::Codec;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Piece {
    skip: u8,
    ticks: u16,
    marker: bool,
    payload: Vec<u8>,
    descriptor: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Input {
    codec: u8,
    pieces: Vec<Piece>,
}

const CODECS: [Codec; 9] = [
    Codec::H264,
    Codec::H265,
    Codec::Av1,
    Codec::Vp8,
    Codec::Vp9,
    Codec::Red,
    Codec::Opus,
    Codec::Pcmu,
    Codec::Pcma,
];

fuzz_target!(|input: Input| {
    let codec = CODECS[usize::from(input.codec) % CODECS.len()];
    let mut readers = [FrameReader::default(), FrameReader::default()];
    let (mut n, mut t) = (1 << 32, 1 << 32);
    for piece in input.pieces.iter().take(64) {
        n += 1 + u64::from(piece.skip);
        t += u64::from(piece.ticks);
        let packet = FrameInput {
            codec,
            n,
            t,
            marker: piece.marker,
            payload: &piece.payload,
            descriptor: &piece.descriptor,
        };
        let [first, second] = &mut readers;
        assert_eq!(first.read(&packet), second.read(&packet));
    }
});
