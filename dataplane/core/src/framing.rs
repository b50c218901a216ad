//! Datagrams on a byte stream (RFC 4571, as RFC 6544 section 10 uses it): a 16-bit length, then that many bytes.
//!
//! In: the bytes that a connection delivered, in order. Out: whole frames, where they lie, and what is left for
//! the next read. It keeps nothing and judges no content.

use crate::demux::MAX_DATAGRAM;

/// Bytes of the length in front of each frame.
pub const HEADER: usize = 2;

/// Longest frame that is taken: as long as a datagram may be. Whatever claims more is no peer of ours; a request
/// of HTTP or a hello of TLS reads as such a length.
pub const MAX_FRAME: usize = MAX_DATAGRAM;

/// Most bytes that can be left over: a frame that lacks its last byte.
pub const MAX_REST: usize = HEADER + MAX_FRAME - 1;

/// A frame claims to be longer than [`MAX_FRAME`]. The stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooLong;

/// The frames in a stretch of a stream.
#[derive(Debug)]
pub struct Frames<'a> {
    rest: &'a mut [u8],
}

impl<'a> Frames<'a> {
    /// Reads `bytes`, which begin where a frame does.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next whole frame, which may be empty.
    #[allow(clippy::should_implement_trait)] // it can fail, and then ends for good
    pub fn next(&mut self) -> Result<Option<&'a mut [u8]>, FrameTooLong> {
        let Some(&head) = self.rest.first_chunk::<HEADER>() else { return Ok(None) };
        let len = usize::from(u16::from_be_bytes(head));
        if len > MAX_FRAME {
            return Err(FrameTooLong);
        }
        if self.rest.len() < HEADER + len {
            return Ok(None);
        }
        let (frame, rest) = std::mem::take(&mut self.rest).split_at_mut(HEADER + len);
        self.rest = rest;
        Ok(Some(&mut frame[HEADER..]))
    }

    /// What belongs to a frame that is not complete; at most [`MAX_REST`] bytes once [`Frames::next`] had
    /// nothing more.
    pub fn rest(&self) -> &[u8] {
        self.rest
    }
}

/// The length in front of a frame of `len` bytes.
pub fn header(len: usize) -> [u8; HEADER] {
    let len = u16::try_from(len).expect("invariant: no send slot is that long");
    len.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(frames: &[Vec<u8>]) -> Vec<u8> {
        frames.iter().flat_map(|frame| [&header(frame.len())[..], frame].concat()).collect()
    }

    /// Feeds a stream in the given pieces, as a connection does; the frames and what is left at the end.
    fn read(stream: &[u8], pieces: &[usize]) -> Result<(Vec<Vec<u8>>, Vec<u8>), FrameTooLong> {
        let (mut frames, mut kept, mut at) = (Vec::new(), Vec::new(), 0_usize);
        for &piece in pieces.iter().chain([&usize::MAX]) {
            let end = at.max(stream.len().min(at.saturating_add(piece)));
            kept.extend_from_slice(&stream[at..end]);
            at = end;
            let mut reader = Frames::new(&mut kept);
            while let Some(frame) = reader.next()? {
                frames.push(frame.to_vec());
            }
            let rest = reader.rest().to_vec();
            assert!(rest.len() <= MAX_REST);
            kept = rest;
        }
        Ok((frames, kept))
    }

    #[test]
    fn a_frame_cut_at_every_length_waits_for_the_rest_of_it() {
        let stream = framed(&[vec![7; 5], Vec::new(), vec![9; 300]]);
        for cut in 0..=stream.len() {
            let (mut bytes, mut whole) = (stream[..cut].to_vec(), 0);
            let mut reader = Frames::new(&mut bytes);
            while let Ok(Some(_)) = reader.next() {
                whole += 1;
            }
            let expected = [7, 9, 311].iter().filter(|&&end| end <= cut).count();
            assert_eq!(whole, expected, "cut at {cut}");
        }
        for cut in 0..=stream.len() {
            let (frames, rest) = read(&stream, &[cut]).unwrap();
            assert_eq!(frames.len(), 3, "cut at {cut}");
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn the_longest_frame_is_taken_and_one_byte_more_ends_the_stream() {
        let longest = framed(&[vec![1; MAX_FRAME]]);
        assert_eq!(read(&longest, &[]).unwrap().0.len(), 1);
        assert_eq!(read(&framed(&[vec![1; MAX_FRAME + 1]]), &[2]), Err(FrameTooLong));
    }

    #[test]
    fn other_protocols_are_told_by_their_first_two_bytes() {
        for greeting in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\x02\x00", b"SSH-2.0-x\r\n"] {
            assert_eq!(Frames::new(&mut greeting.to_vec()).next(), Err(FrameTooLong));
        }
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_whatever_the_pieces(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..20),
            pieces in prop::collection::vec(0usize..300, 0..60),
        ) {
            let (read, rest) = read(&framed(&frames), &pieces).unwrap();
            prop_assert_eq!(read, frames);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_are_read_the_same_way_at_once_and_one_by_one(
            bytes in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            let one_by_one = vec![1; bytes.len()];
            prop_assert_eq!(read(&bytes, &[]), read(&bytes, &one_by_one));
        }
    }
}
