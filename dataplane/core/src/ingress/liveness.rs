//! Whether a stream arrives: up at the first sign of usable media, down after silence.
//!
//! In: payload packets and time. Out: the moments at which the answer changes. Asymmetric on purpose: down
//! takes seconds, up takes a key frame or a few packets, so a lossy stream does not flap.

use std::time::Duration;

use crate::media::MediaKind;
use crate::time::Time;

/// Video packets that prove a stream whose key frames cannot be seen (encrypted payload).
const PACKETS_UP: u8 = 5;

/// Silence after which a camera stream is down.
const VIDEO_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The same for audio, which pauses in silence (DTX), and for screens, which pause when nothing moves.
const PATIENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Silence after a BYE: the SSRC may be used again at once (RFC 3550 section 6.3.4).
const BYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Liveness of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Liveness {
    timeout: Duration,
    needed: u8,
    seen: u8,
    active: bool,
    /// When silence has lasted long enough.
    expiry: Time,
    due: Option<Time>,
}

impl Liveness {
    /// A stream that has not been seen.
    pub fn new(kind: MediaKind, screen: bool) -> Self {
        let patient = screen || kind == MediaKind::Audio;
        let timeout = if patient { PATIENT_TIMEOUT } else { VIDEO_TIMEOUT };
        let needed = if kind == MediaKind::Audio { 1 } else { PACKETS_UP };
        Self { timeout, needed, seen: 0, active: false, expiry: Time(0), due: None }
    }

    /// Whether the stream arrives.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// A packet with payload; true if the stream is up from now on.
    pub fn handle_packet(&mut self, now: Time, keyframe: bool) -> bool {
        self.expiry = now + self.timeout;
        self.due.get_or_insert(self.expiry);
        if self.active {
            return false;
        }
        self.seen = self.seen.saturating_add(1);
        self.active = keyframe || self.seen >= self.needed;
        self.active
    }

    /// The sender says that it stopped.
    pub fn handle_bye(&mut self, now: Time) {
        if self.due.is_some() {
            self.expiry = now + BYE_TIMEOUT;
            self.due = Some(self.expiry);
        }
    }

    /// When [`Liveness::handle_timeout`] next has something to decide.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// True if the stream is down from now on.
    pub fn handle_timeout(&mut self, now: Time) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        if self.expiry > now {
            self.due = Some(self.expiry);
            return false;
        }
        self.due = None;
        self.seen = 0;
        std::mem::take(&mut self.active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down_at(liveness: &mut Liveness, from: u64) -> Option<u64> {
        (from..from + 10_000).find(|&ms| liveness.handle_timeout(Time::from_millis(ms)))
    }

    #[test]
    fn a_camera_is_up_with_its_key_frame_and_down_after_silence() {
        let mut liveness = Liveness::new(MediaKind::Video, false);
        assert!(liveness.handle_packet(Time::from_millis(0), true));
        assert!(!liveness.handle_packet(Time::from_millis(100), false));
        assert_eq!(down_at(&mut liveness, 100), Some(1_600));
        assert_eq!(liveness.poll_timeout(), None);
    }

    #[test]
    fn without_a_visible_key_frame_some_packets_prove_a_stream() {
        let mut liveness = Liveness::new(MediaKind::Video, false);
        let ups: Vec<_> =
            (0..6).map(|ms| liveness.handle_packet(Time::from_millis(ms), false)).collect();
        assert_eq!(ups, [false, false, false, false, true, false]);
    }

    #[test]
    fn audio_is_up_at_once_and_survives_dtx() {
        let mut liveness = Liveness::new(MediaKind::Audio, false);
        assert!(liveness.handle_packet(Time::from_millis(0), false));
        assert_eq!(down_at(&mut liveness, 0), Some(5_000));
    }

    #[test]
    fn a_bye_shortens_the_wait_unless_packets_go_on() {
        let mut liveness = Liveness::new(MediaKind::Audio, false);
        liveness.handle_packet(Time::from_millis(0), false);
        liveness.handle_bye(Time::from_millis(500));
        assert_eq!(down_at(&mut liveness, 500), Some(1_500));
        liveness.handle_packet(Time::from_millis(2_000), false);
        liveness.handle_bye(Time::from_millis(2_100));
        liveness.handle_packet(Time::from_millis(2_200), false);
        assert_eq!(down_at(&mut liveness, 2_200), Some(7_200));
    }
}
