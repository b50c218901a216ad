//! One publisher, a few subscribers: packets go end to end, and every receiver sees an orderly stream.

mod edge_support;
mod room_support;

use conclave_core::drop::DropReason;
use conclave_core::event::Event;
use room_support::encoder::Encoder;
use room_support::world::World;

#[test]
fn audio_reaches_every_subscriber_without_a_gap() {
    let mut world = World::new(1);
    let publisher = world.join();
    let audio = world.publish(publisher, Encoder::audio("0", 1_000));
    let legs: Vec<_> = (0..3)
        .map(|_| {
            let client = world.join();
            world.subscribe(client, audio, (0, 0))
        })
        .collect();
    world.run(2_000);
    for leg in legs {
        let observer = &world.receiver(leg).observer;
        assert!(observer.packets.len() >= 97, "{} packets", observer.packets.len());
        assert_eq!(observer.missing(), []);
        let frames = observer.frames();
        assert!(frames.windows(2).all(|pair| pair[1].t - pair[0].t == 960));
        assert_eq!(world.told(leg), [Some(0)]);
    }
    assert!(world.events.iter().any(|event| matches!(event, Event::AudioLevels(_))));
}

#[test]
fn video_starts_with_a_key_frame_that_the_subscriber_did_not_have_to_wait_for() {
    let mut world = World::new(1);
    let publisher = world.join();
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    let early = world.join();
    let first = world.subscribe(early, video, (0, 0));
    world.run(1_000);
    let late = world.join();
    let second = world.subscribe(late, video, (0, 0));
    let joined = world.now.as_millis();
    world.run(1_000);
    for leg in [first, second] {
        let observer = &world.receiver(leg).observer;
        assert_eq!(observer.missing(), []);
        assert!(observer.frames().iter().all(|frame| frame.whole));
    }
    let packets = &world.receiver(second).observer.packets;
    let waited = packets.values().next().unwrap().arrived_ms - joined;
    // Request to the publisher, its next frame, and the way back.
    assert!(waited <= 20 + 34 + 20 + 20, "{waited} ms to the first packet");
    assert!(!world.clients[publisher].plis.is_empty());
    assert_eq!(world.drops(DropReason::SealReuse), 0);
}
