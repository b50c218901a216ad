//! Key-frame requests towards one stream: merged, spaced, repeated until answered.
//!
//! In: wishes, arriving key frames, time. Out: when to send a PLI. However many legs ask, a publisher hears
//! at most one request per spacing.

use std::time::Duration;

use crate::time::Time;

/// Repeats at the usual patience before falling back to the keep-alive cadence.
const QUICK_TRIES: u8 = 5;

/// Least wait for an answer to the first request, two round trips if that is longer but at most [`PATIENCE`].
const FIRST_PATIENCE: Duration = Duration::from_millis(250);

/// Wait for an answer to each further request.
const PATIENCE: Duration = Duration::from_secs(1);

/// Cadence once the publisher seems unable to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Requests for key frames of one stream.
#[derive(Clone, Copy, Debug)]
pub struct KeyframeThrottle {
    spacing: Duration,
    last_sent: Option<Time>,
    due: Option<Time>,
    tries: u8,
}

impl KeyframeThrottle {
    /// No request yet. Screen shares cost most per key frame, low streams least.
    pub fn new(stream: u8, screen: bool) -> Self {
        let spacing = match (screen, stream) {
            (true, _) => Duration::from_secs(1),
            (false, 0) => Duration::from_millis(300),
            (false, _) => Duration::from_millis(500),
        };
        Self { spacing, last_sent: None, due: None, tries: 0 }
    }

    /// Somebody needs a key frame, at `from` or later. A request that waits for its answer covers the wish,
    /// unless it has fallen back to the keep-alive cadence.
    pub fn request(&mut self, from: Time) {
        if (1..=QUICK_TRIES).contains(&self.tries) {
            return;
        }
        let earliest = self.last_sent.map_or(from, |last| from.max(last + self.spacing));
        self.due = Some(self.due.map_or(earliest, |due| due.min(earliest)));
        self.tries = 0;
    }

    /// A key frame begins to arrive: every wish so far is fulfilled.
    pub fn handle_keyframe(&mut self) {
        self.due = None;
        self.tries = 0;
    }

    /// When [`KeyframeThrottle::take_due`] next says yes.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// Whether to send a request now; if so, it counts as sent. `persist` says whether somebody still waits:
    /// otherwise it is not repeated.
    pub fn take_due(&mut self, now: Time, rtt: Duration, persist: bool) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        if self.tries > 0 && !persist {
            self.handle_keyframe();
            return false;
        }
        let patience = match self.tries {
            0 => FIRST_PATIENCE.max((rtt * 2).min(PATIENCE)),
            tries if tries < QUICK_TRIES => PATIENCE,
            _ => KEEP_ALIVE,
        };
        self.tries = self.tries.saturating_add(1);
        self.last_sent = Some(now);
        self.due = Some(now + patience);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(40);

    /// Times in ms at which requests go out between `from` and `to`.
    fn sent(throttle: &mut KeyframeThrottle, from: u64, to: u64) -> Vec<u64> {
        (from..to).filter(|&ms| throttle.take_due(Time::from_millis(ms), RTT, true)).collect()
    }

    #[test]
    fn five_hundred_requests_within_ten_milliseconds_make_one_pli() {
        let mut throttle = KeyframeThrottle::new(0, false);
        let mut count = 0;
        for request in 0..500u64 {
            let now = Time(request * 20_000);
            throttle.request(now);
            count += u32::from(throttle.take_due(now, RTT, true));
        }
        assert_eq!(count, 1);
        throttle.handle_keyframe();
        assert!(sent(&mut throttle, 10, 2_000).is_empty());
    }

    #[test]
    fn an_unanswered_request_is_repeated_with_growing_patience() {
        let mut throttle = KeyframeThrottle::new(0, false);
        throttle.request(Time::from_millis(0));
        let times = sent(&mut throttle, 0, 25_000);
        assert_eq!(times, [0, 250, 1_250, 2_250, 3_250, 4_250, 14_250, 24_250]);
    }

    #[test]
    fn wishes_do_not_shorten_the_patience_until_the_publisher_seems_unable_to_answer() {
        let mut throttle = KeyframeThrottle::new(0, false);
        let mut times = Vec::new();
        for ms in 0..6_000 {
            throttle.request(Time::from_millis(ms));
            if throttle.take_due(Time::from_millis(ms), RTT, true) {
                times.push(ms);
            }
        }
        // The sixth try is answered by wishes and not by the keep-alive: a new round begins.
        assert_eq!(times, [0, 250, 1_250, 2_250, 3_250, 4_250, 4_550, 4_800, 5_800]);
    }

    #[test]
    fn a_long_round_trip_delays_the_first_repeat() {
        let mut throttle = KeyframeThrottle::new(0, false);
        throttle.request(Time::from_millis(0));
        let rtt = Duration::from_millis(300);
        let again = (0..1_000).filter(|&ms| throttle.take_due(Time::from_millis(ms), rtt, true));
        assert_eq!(again.collect::<Vec<_>>(), [0, 600]);
    }

    #[test]
    fn a_wish_after_the_answer_waits_for_the_spacing() {
        for (stream, screen, spacing) in [(0, false, 300), (1, false, 500), (0, true, 1_000)] {
            let mut throttle = KeyframeThrottle::new(stream, screen);
            throttle.request(Time::from_millis(0));
            assert_eq!(sent(&mut throttle, 0, 1), [0]);
            throttle.handle_keyframe();
            throttle.request(Time::from_millis(50));
            assert_eq!(sent(&mut throttle, 50, spacing + 1), [spacing]);
        }
    }

    #[test]
    fn nobody_waiting_means_no_repeat() {
        let mut throttle = KeyframeThrottle::new(0, false);
        throttle.request(Time::from_millis(0));
        assert!(throttle.take_due(Time::from_millis(0), RTT, false));
        assert!(!throttle.take_due(Time::from_millis(300), RTT, false));
        assert_eq!(throttle.poll_timeout(), None);
    }
}
