//! A publisher on one lane, subscribers on another, with real sockets, checks, handshakes and keys.

// A test fails by panicking, outside of its own function too.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use conclave_core::event::Event;
use conclave_core::media::MediaKind;
use conclave_io::wait::Waiter;
use conclave_loadgen::meeting::Meeting;
use conclave_loadgen::publisher::Publisher;
use conclave_loadgen::reader::{Reader, Received};
use conclave_loadgen::scenario::Scenario;

/// How long any step may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

const VIDEO: Scenario = Scenario {
    name: "test",
    rooms: 1,
    publishers: 1,
    subscribers: 3,
    kind: MediaKind::Video,
    burst: 4,
    interval: Duration::from_millis(33),
    packet: 1_200,
};

/// Sends frames until every subscriber has got one whole frame's packets or time is up.
fn publish_until_received(scenario: &Scenario, lanes: usize) -> (Meeting, Received) {
    let meeting = Meeting::open(scenario, lanes).unwrap();
    let reader = Reader::start(&meeting.publishers, &meeting.subscribers, meeting.clock).unwrap();
    let mut publisher =
        Publisher::new(&meeting.publishers[0], Meeting::track(0), scenario).unwrap();
    let wanted = u64::from(scenario.burst * scenario.subscribers * 3);
    let start = meeting.clock.now();
    while reader.received().media < wanted && meeting.clock.now() < start + DEADLINE {
        let at = Duration::from_nanos(meeting.clock.now().0);
        publisher.send_frame(at, true);
        Waiter::new(&[]).wait(Some(scenario.interval)).unwrap();
    }
    let received = reader.received();
    drop(reader);
    (meeting, received)
}

#[test]
fn media_crosses_from_lane_to_lane_and_decrypts_with_the_subscribers_keys() {
    let (mut meeting, received) = publish_until_received(&VIDEO, 2);
    assert!(received.media >= 36, "{received:?}");
    assert!(received.opened > 0 && received.refused == 0, "{received:?}");
    let events = meeting.plane.drain(4_096);
    let connected = |event: &&Event| matches!(event, Event::TransportConnected { .. });
    assert_eq!(events.iter().filter(connected).count(), 4);
}

#[test]
fn one_lane_forwards_to_its_own_subscribers() {
    let audio = Scenario { kind: MediaKind::Audio, burst: 1, packet: 120, ..VIDEO };
    let (_meeting, received) = publish_until_received(&audio, 1);
    assert!(received.media >= 9, "{received:?}");
    assert!(received.opened > 0 && received.refused == 0, "{received:?}");
}

#[test]
fn a_removed_publisher_is_heard_no_more() {
    let (mut meeting, _) = publish_until_received(&VIDEO, 2);
    let publisher = meeting.publishers[0].id;
    meeting
        .plane
        .command(conclave_core::command::Command::RemoveTransport { transport: publisher })
        .unwrap();
    meeting.plane.flush();
    let start = meeting.clock.now();
    loop {
        let snapshot = meeting.plane.snapshot();
        if snapshot.lanes[0].stats.transports.is_empty() && snapshot.lanes[0].busy_ns > 0 {
            break;
        }
        assert!(meeting.clock.now() < start + DEADLINE, "the lane still knows its transport");
        Waiter::new(&[meeting.plane.fd()]).wait(Some(Duration::from_millis(50))).unwrap();
        meeting.plane.drain(1_024);
    }
}
