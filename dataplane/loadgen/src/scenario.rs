//! What is measured: rooms, people and the packets they send.

use std::time::Duration;

use conclave_core::media::MediaKind;

/// A load.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Short name.
    pub name: &'static str,
    /// Rooms with the same people in each.
    pub rooms: u32,
    /// Publishers of one track per room.
    pub publishers: u32,
    /// Subscribers of all of them per room.
    pub subscribers: u32,
    /// Audio or video.
    pub kind: MediaKind,
    /// Packets that a publisher sends at once: one frame.
    pub burst: u32,
    /// Time between frames.
    pub interval: Duration,
    /// Bytes of an RTP packet before it is sealed.
    pub packet: usize,
}

/// 30 frames a second.
const VIDEO: Duration = Duration::from_nanos(33_333_333);

/// 50 frames a second.
const AUDIO: Duration = Duration::from_millis(20);

/// 30 frames a second of seven packets are 2 Mbit/s; the number of rooms keeps the sum above 40,000 packets/s.
/// A frame arrives whole, but for the spaced one, whose packets come one by one as over a slow link.
pub const SCENARIOS: [Scenario; 5] = [
    video("video 1 to 10", 20, 10),
    video("video 1 to 100", 2, 100),
    Scenario {
        burst: 1,
        interval: Duration::from_nanos(4_761_904),
        ..video("spaced video 1 to 100", 2, 100)
    },
    video("video 1 to 500", 1, 500),
    Scenario {
        name: "audio 10 to 50",
        rooms: 2,
        publishers: 10,
        subscribers: 50,
        kind: MediaKind::Audio,
        burst: 1,
        interval: AUDIO,
        packet: 120,
    },
];

const fn video(name: &'static str, rooms: u32, subscribers: u32) -> Scenario {
    Scenario {
        name,
        rooms,
        publishers: 1,
        subscribers,
        kind: MediaKind::Video,
        burst: 7,
        interval: VIDEO,
        packet: 1_200,
    }
}

impl Scenario {
    /// Publishers of all rooms.
    pub fn all_publishers(&self) -> u32 {
        self.rooms * self.publishers
    }

    /// Subscribers of all rooms.
    pub fn all_subscribers(&self) -> u32 {
        self.rooms * self.subscribers
    }

    /// The room of publisher number `publisher`.
    pub fn room_of(&self, publisher: u32) -> u32 {
        publisher / self.publishers
    }

    /// When publisher number `publisher` sends its frame number `frame`: evenly spread over the interval.
    pub fn due(&self, publisher: u32, frame: u32) -> Duration {
        let offset = self.interval * publisher / self.all_publishers();
        self.interval * frame + offset
    }

    /// Frames of one publisher within `time`.
    pub fn frames_in(&self, time: Duration) -> u32 {
        (time.as_nanos() / self.interval.as_nanos()) as u32
    }

    /// Frames of all publishers within `time`, in order: (due, publisher, frame).
    pub fn schedule(&self, time: Duration) -> Vec<(Duration, u32, u32)> {
        let frames = 0..self.frames_in(time);
        frames
            .flat_map(|frame| {
                (0..self.all_publishers())
                    .map(move |publisher| (self.due(publisher, frame), publisher, frame))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_in_order_and_evenly_spread() {
        for scenario in SCENARIOS {
            let schedule = scenario.schedule(Duration::from_secs(1));
            assert!(schedule.is_sorted_by_key(|&(due, _, _)| due));
            let per_publisher = scenario.frames_in(Duration::from_secs(1));
            assert_eq!(schedule.len() as u32, per_publisher * scenario.all_publishers());
        }
    }
}
