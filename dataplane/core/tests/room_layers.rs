//! Simulcast and temporal layers: switches at key frames with continuous numbers, pauses, layers that stop,
//! publishers that start over.

mod edge_support;
mod room_support;

use conclave_core::command::Command;
use conclave_core::drop::DropReason;
use room_support::encoder::{Encoder, Stream};
use room_support::world::{Published, Subscribed, World};

/// A publisher with three streams and one subscriber that wants `layers`.
fn simulcast(layered: bool, layers: (u8, u8)) -> (World, Published, Subscribed) {
    let mut world = World::new(1);
    let publisher = world.join();
    let encoder = Encoder::video("0", 1_000, 3).layered(layered);
    let video = world.publish(publisher, encoder);
    // All streams have shown up when the subscriber comes.
    world.run(100);
    let client = world.join();
    let leg = world.subscribe(client, video, layers);
    (world, video, leg)
}

fn key_frames(world: &World, video: Published) -> Vec<u32> {
    world.clients[video.client].encoders[0].streams.iter().map(|stream| stream.keys).collect()
}

#[test]
fn a_subscriber_starts_at_the_stream_it_wants_and_stays_there() {
    let (mut world, _, leg) = simulcast(false, (1, 2));
    world.run(2_000);
    let observer = &world.receiver(leg).observer;
    assert_eq!((observer.streams(), observer.missing()), (vec![1], vec![]));
    assert_eq!(world.told(leg), [Some(1)]);
    assert!(world.drops(DropReason::LayerNotSelected) > 100);
}

#[test]
fn switching_up_and_down_keeps_numbers_and_time_continuous() {
    let (mut world, video, leg) = simulcast(false, (0, 2));
    for layer in [2, 0, 1, 2, 1] {
        world.run(1_500);
        world.aim(leg, Some((layer, 2)));
    }
    world.run(1_500);
    let observer = &world.receiver(leg).observer;
    assert_eq!(observer.streams(), [0, 2, 0, 1, 2, 1]);
    assert_eq!(observer.missing(), []);
    let frames = observer.frames();
    for pair in frames.windows(2) {
        assert!(pair[0].whole && pair[1].whole);
        let captured = f64::from(pair[1].capture_ms - pair[0].capture_ms);
        let played = (pair[1].t - pair[0].t) as f64 / 90.0;
        assert!((captured - played).abs() < 20.0, "{captured} ms became {played} ms: {pair:?}");
        assert!(pair[0].stream == pair[1].stream || pair[1].key, "switches at key frames only");
    }
    assert!(frames.len() > 9_000 / 33 - 15, "the old stream stays until the new one starts");
    assert!(key_frames(&world, video).iter().all(|&keys| keys <= 6), "requests are bounded");
    assert_eq!(world.told(leg), [Some(0), Some(2), Some(0), Some(1), Some(2), Some(1)]);
}

#[test]
fn without_sender_reports_a_switch_waits_and_is_made_by_the_clock_at_last() {
    let (mut world, video, leg) = simulcast(false, (0, 2));
    world.clients[video.client].sends_reports = false;
    world.run(1_000);
    world.aim(leg, Some((2, 2)));
    world.run(1_500);
    assert_eq!(world.receiver(leg).observer.streams(), [0]);
    assert!(world.drops(DropReason::SwitchNoSenderReport) > 0);
    world.run(3_000);
    assert_eq!(world.receiver(leg).observer.streams(), [0, 2]);
    assert_eq!(world.receiver(leg).observer.missing(), []);
}

#[test]
fn temporal_layers_are_dropped_without_a_gap_and_come_back_at_a_synchronisation_point() {
    let (mut world, video, leg) = simulcast(true, (0, 2));
    world.run(1_000);
    let keys = key_frames(&world, video);
    world.aim(leg, Some((0, 0)));
    world.run(1_000);
    world.aim(leg, Some((0, 1)));
    world.run(1_000);
    let observer = &world.receiver(leg).observer;
    assert_eq!(observer.missing(), []);
    let frames = observer.frames();
    let share = |from: u32, until: u32| {
        let window = frames.iter().filter(|frame| (from..until).contains(&frame.capture_ms));
        window.map(|frame| frame.temporal).max()
    };
    assert_eq!([share(200, 1_050), share(1_200, 2_050), share(2_300, 3_050)], [2, 0, 1].map(Some));
    assert_eq!(key_frames(&world, video), keys, "temporal moves need no key frame");
    assert!(world.drops(DropReason::TemporalDrop) > 20);
}

#[test]
fn a_paused_leg_gets_nothing_and_resumes_with_a_key_frame_and_the_next_number() {
    let (mut world, _, leg) = simulcast(false, (1, 2));
    world.run(1_000);
    world.aim(leg, None);
    world.run(50);
    let before = world.receiver(leg).observer.packets.len();
    world.run(5_000);
    assert_eq!(world.receiver(leg).observer.packets.len(), before);
    assert!(world.drops(DropReason::LegPaused) > 0);
    world.aim(leg, Some((1, 2)));
    world.run(1_000);
    let observer = &world.receiver(leg).observer;
    assert_eq!(observer.missing(), []);
    let frames = observer.frames();
    let resumed = frames.windows(2).find(|pair| pair[1].capture_ms > pair[0].capture_ms + 1_000);
    let [last, first] = resumed.unwrap() else { unreachable!("a pair") };
    assert!(first.key);
    let played = (first.t - last.t) / 90;
    let passed = u64::from(first.capture_ms - last.capture_ms);
    assert!(played.abs_diff(passed) <= 1, "{played} ms for {passed} ms");
    assert_eq!(world.told(leg), [Some(1), None, Some(1)]);
}

#[test]
fn a_stream_that_stops_is_replaced_by_the_next_lower_one_that_arrives() {
    let (mut world, video, leg) = simulcast(false, (2, 2));
    world.run(1_000);
    world.clients[video.client].encoders[0].streams[2].enabled = false;
    world.run(3_000);
    assert_eq!(world.receiver(leg).observer.streams(), [2, 1]);
    let frames = world.receiver(leg).observer.frames();
    let gap = frames.windows(2).map(|pair| pair[1].capture_ms - pair[0].capture_ms).max();
    assert!(gap.unwrap() < 2_000, "frozen for {gap:?} ms");
    world.clients[video.client].encoders[0].streams[2].enabled = true;
    world.run(2_000);
    assert_eq!(world.receiver(leg).observer.streams(), [2, 1, 2]);
    assert_eq!(world.receiver(leg).observer.missing(), []);
}

#[test]
fn a_publisher_that_starts_over_goes_on_under_the_same_numbers() {
    let (mut world, video, leg) = simulcast(false, (0, 2));
    world.run(1_000);
    world.clients[video.client].encoders[0].streams.iter_mut().for_each(Stream::restart);
    world.run(2_000);
    let observer = &world.receiver(leg).observer;
    let frames = observer.frames();
    let last = frames.last().unwrap();
    assert!(last.capture_ms > 2_900, "stuck at {} ms", last.capture_ms);
    assert_eq!(observer.missing(), []);
    assert!(frames.iter().all(|frame| frame.whole));
    let played = (last.t - frames[0].t) / 90;
    let passed = u64::from(last.capture_ms - frames[0].capture_ms);
    assert!(played.abs_diff(passed) < 60, "{played} ms for {passed} ms");
}

#[test]
fn a_closed_gate_stops_everything_and_an_open_one_lets_it_go_on() {
    let (mut world, video, leg) = simulcast(false, (0, 2));
    world.run(500);
    world.command(0, Command::SetTrackOpen { track: video.track, open: false });
    world.run(30);
    let before = world.receiver(leg).observer.packets.len();
    world.run(1_000);
    assert_eq!(world.receiver(leg).observer.packets.len(), before);
    world.command(0, Command::SetTrackOpen { track: video.track, open: true });
    world.run(1_000);
    let observer = &world.receiver(leg).observer;
    assert!(observer.packets.len() > before + 20);
    assert!(observer.frames().last().unwrap().capture_ms > 2_400);
}

#[test]
fn legs_that_come_and_go_on_one_transport_never_repeat_a_number() {
    let mut world = World::new(1);
    let publisher = world.join();
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    let client = world.join();
    let ssrcs = (90_000, Some(90_001));
    for _ in 0..4 {
        let leg = world.subscribe_as(client, video, ssrcs);
        world.aim(leg, Some((0, 0)));
        world.run(700);
        world.command(0, Command::RemoveLeg { leg: leg.leg });
        world.run(50);
    }
    assert_eq!(world.drops(DropReason::SealReuse), 0);
    let observer = &world.clients[client].receiver(90_000).observer;
    // The number that each start leaves free is sent empty when it is missed.
    assert_eq!((observer.missing(), world.stats()[0].drops.get(DropReason::NackMiss)), (vec![], 0));
    let frames = observer.frames();
    assert!(frames.len() > 50);
    for pair in frames.windows(2) {
        let passed = u64::from(pair[1].capture_ms - pair[0].capture_ms);
        let played = (pair[1].t - pair[0].t) / 90;
        assert!(played.abs_diff(passed) <= 40, "{played} ms for {passed} ms");
    }
}
