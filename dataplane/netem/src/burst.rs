//! Whole frames of one payload type that are lost together with everything sent to repair them.
//!
//! In: what a link sees of each datagram. Out: whether the burst takes it. Only a key frame helps a decoder
//! over what it took.

use crate::datagram::Seen;

/// Frames that a burst may take: more than half a minute of video.
pub const MAX_FRAMES: u16 = 1_000;

/// The frames that are still to be lost, and those that were.
#[derive(Clone, Debug)]
pub struct Burst {
    payload_type: u8,
    left: u16,
    taken: Vec<u32>,
}

impl Burst {
    /// The next `frames` frames of `payload_type` (at most [`MAX_FRAMES`]) are lost for good.
    pub fn new(payload_type: u8, frames: u16) -> Self {
        Self { payload_type, left: frames.min(MAX_FRAMES), taken: Vec::new() }
    }

    /// Whether the burst takes this datagram: it belongs to one of its frames, by whatever payload type.
    pub fn takes(&mut self, seen: Seen) -> bool {
        let Seen::Rtp { payload_type, timestamp } = seen else { return false };
        if self.taken.contains(&timestamp) {
            return true;
        }
        if self.left == 0 || payload_type != self.payload_type {
            return false;
        }
        self.left -= 1;
        self.taken.push(timestamp);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(payload_type: u8, timestamp: u32) -> Seen {
        Seen::Rtp { payload_type, timestamp }
    }

    #[test]
    fn whole_frames_are_taken_with_their_retransmissions_and_nothing_else() {
        let mut burst = Burst::new(96, 2);
        assert!(!burst.takes(rtp(97, 10)), "a repair of an earlier frame passes");
        assert!(burst.takes(rtp(96, 20)));
        assert!(!burst.takes(rtp(111, 30)) && !burst.takes(Seen::Rtcp));
        assert!(burst.takes(rtp(96, 20)), "the second packet of the frame");
        assert!(burst.takes(rtp(96, 30)));
        assert!(!burst.takes(rtp(96, 40)), "only two frames");
        assert!(burst.takes(rtp(97, 20)) && burst.takes(rtp(97, 30)));
        assert!(!burst.takes(rtp(97, 40)));
    }

    #[test]
    fn no_burst_is_longer_than_the_bound() {
        let mut burst = Burst::new(96, u16::MAX);
        let taken = (0..2_000).filter(|&timestamp| burst.takes(rtp(96, timestamp))).count();
        assert_eq!(taken, usize::from(MAX_FRAMES));
    }
}
