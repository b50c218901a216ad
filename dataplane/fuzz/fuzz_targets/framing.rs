//! Invariant: a stream yields the same frames, or the same error, in one piece and in pieces of any size, and
//! never keeps more than one frame.
#![no_main]

use conclave_core::framing::{Frames, MAX_REST};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (piece, stream) = input;
    assert_eq!(read(&stream, usize::MAX), read(&stream, usize::from(piece).max(1)));
});

/// The frames, and how many bytes are left, or nothing of them where the stream could not be read on.
fn read(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<usize>) {
    let (mut frames, mut kept) = (Vec::new(), Vec::new());
    for piece in stream.chunks(piece.min(stream.len().max(1))) {
        kept.extend_from_slice(piece);
        let mut reader = Frames::new(&mut kept);
        loop {
            match reader.next() {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(_) => return (frames, None),
            }
        }
        let rest = reader.rest().to_vec();
        assert!(rest.len() <= MAX_REST);
        kept = rest;
    }
    (frames, Some(kept.len()))
}
