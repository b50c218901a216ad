//! Loudness of one audio track over a window (RFC 6464): what the speaker detection upstairs reads.
//!
//! In: the level of each packet. Out: an [`AudioLevel`] per window. It decides nothing about who speaks.

use std::time::Duration;

use crate::event::AudioLevel;
use crate::ids::TrackId;

/// Length of a window.
pub const WINDOW: Duration = Duration::from_millis(200);

/// A packet at least this loud (numerically at most, -dBov) counts as active.
pub const ACTIVITY_THRESHOLD: u8 = 35;

/// Levels gathered since the window began.
#[derive(Clone, Copy, Debug)]
pub struct LevelWindow {
    loudest: u8,
    active_sum: u32,
    active: u16,
    packets: u16,
}

impl Default for LevelWindow {
    fn default() -> Self {
        Self { loudest: 127, active_sum: 0, active: 0, packets: 0 }
    }
}

impl LevelWindow {
    /// Takes the raw extension byte of one packet; the voice bit is not trusted, the level is.
    pub fn add(&mut self, raw: u8) {
        let level = raw & 0x7F;
        self.packets = self.packets.saturating_add(1);
        self.loudest = self.loudest.min(level);
        if level <= ACTIVITY_THRESHOLD {
            self.active = self.active.saturating_add(1);
            self.active_sum += u32::from(level);
        }
    }

    /// Whether the window has no packet yet.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Ends the window.
    pub fn take(&mut self, track: TrackId) -> AudioLevel {
        let window = std::mem::take(self);
        let mean = window.active_sum.checked_div(u32::from(window.active)).unwrap_or(127);
        AudioLevel {
            track,
            loudest: window.loudest,
            mean: mean as u8,
            active: window.active,
            packets: window.packets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_tells_its_loudest_and_the_mean_of_active_packets() {
        let mut window = LevelWindow::default();
        for raw in [0x94, 30, 35, 36, 127] {
            window.add(raw);
        }
        let level = window.take(TrackId(3));
        let expected =
            AudioLevel { track: TrackId(3), loudest: 20, mean: 28, active: 3, packets: 5 };
        assert_eq!(level, expected);
        assert!(window.is_empty());
    }

    #[test]
    fn a_quiet_window_has_no_active_packet_and_silent_mean() {
        let mut window = LevelWindow::default();
        window.add(90);
        let level = window.take(TrackId(3));
        assert_eq!((level.loudest, level.mean, level.active), (90, 127, 0));
    }
}
