//! How long a switch to another stream may take. Whatever it waits for may be late, lost or never come: key
//! frames, requests for them, sender reports. Then it asks again or goes on without, within a bound.

mod edge_support;
mod room_support;

use conclave_core::command::Command;
use conclave_netem::{Delay, LinkConfig, Loss, Outage, Random, MILLISECOND, SECOND};
use room_support::encoder::{Encoder, Stream};
use room_support::world::{Published, Subscribed, World};

/// A publisher with three streams of which one subscriber gets the lowest.
fn room(up: LinkConfig, down: LinkConfig) -> (World, Published, Subscribed) {
    let mut world = World::new(1);
    let publisher = world.join_over(up, LinkConfig::perfect(10 * MILLISECOND));
    let video = world.publish(publisher, Encoder::video("0", 1_000, 3));
    world.run(100);
    let client = world.join_over(LinkConfig::perfect(10 * MILLISECOND), down);
    let leg = world.subscribe(client, video, (0, 2));
    world.run(3_000);
    assert_eq!(world.receiver(leg).observer.streams(), [0]);
    (world, video, leg)
}

fn calm() -> (World, Published, Subscribed) {
    room(LinkConfig::perfect(10 * MILLISECOND), LinkConfig::perfect(10 * MILLISECOND))
}

/// Lets time pass until the control plane hears that `stream` is on the wire: milliseconds, at most `limit`.
fn switched_after(world: &mut World, leg: Subscribed, stream: u8, limit: u64) -> u64 {
    let start = world.now;
    while world.told(leg).last() != Some(&Some(stream)) {
        assert!(
            world.now.since(start).as_millis() < u128::from(limit),
            "stream {stream} in {limit} ms"
        );
        world.run(10);
    }
    world.now.since(start).as_millis() as u64
}

/// Nothing reaches the publisher for so long.
fn deafen(world: &mut World, video: Published, ms: u64) {
    let from = world.now.0;
    let outage = Outage { from, until: from + ms * MILLISECOND };
    world.clients[video.client].down.config_mut().outages.push(outage);
}

#[test]
fn a_publisher_that_hears_again_is_asked_again_soon() {
    let (mut world, video, leg) = calm();
    deafen(&mut world, video, 11_000);
    world.aim(leg, Some((2, 2)));
    world.run(11_000);
    let took = switched_after(&mut world, leg, 2, 20_000);
    assert!(took <= 2_200, "{took} ms");
}

#[test]
fn a_wish_that_was_withdrawn_does_not_slow_down_the_next_one() {
    let (mut world, video, leg) = calm();
    deafen(&mut world, video, 7_000);
    world.aim(leg, Some((2, 2)));
    world.run(7_000);
    world.aim(leg, Some((0, 2)));
    world.run(1_500);
    let keys = world.clients[video.client].encoders[0].streams[2].keys;
    world.run(11_000);
    let later = world.clients[video.client].encoders[0].streams[2].keys;
    assert_eq!(keys, later, "nobody waits for key frames of the highest stream");
    world.aim(leg, Some((2, 2)));
    let took = switched_after(&mut world, leg, 2, 20_000);
    assert!(took <= 300, "{took} ms");
}

/// Another life of the highest stream, of which no report tells.
fn untie(world: &mut World, video: Published) {
    let publisher = &mut world.clients[video.client];
    publisher.unreported = 0b100;
    publisher.encoders[0].streams[2].restart();
    world.run(500);
}

#[test]
fn a_publisher_that_starts_over_meanwhile_does_not_make_the_wait_begin_anew() {
    let (mut world, video, leg) = calm();
    untie(&mut world, video);
    world.aim(leg, Some((2, 2)));
    world.run(500);
    world.clients[video.client].encoders[0].streams[0].restart();
    let took = switched_after(&mut world, leg, 2, 20_000);
    assert!(took <= 1_900, "{took} ms");
}

#[test]
fn a_long_round_trip_does_not_make_the_patience_long() {
    let (mut world, video, leg) = calm();
    world.clients[leg.client].down.config_mut().delay = Delay::constant(3 * SECOND);
    world.run(8_000);
    untie(&mut world, video);
    world.aim(leg, Some((2, 2)));
    let took = switched_after(&mut world, leg, 2, 20_000);
    assert!(took <= 3_100, "{took} ms");
}

#[test]
fn a_stream_without_reports_that_comes_and_goes_is_waited_for_once() {
    let (mut world, video, leg) = calm();
    untie(&mut world, video);
    world.aim(leg, Some((2, 2)));
    let start = world.now;
    while world.told(leg).last() != Some(&Some(2)) {
        assert!(world.now.since(start).as_secs() < 12, "never taken");
        for enabled in [true, false] {
            let stream = &mut world.clients[video.client].encoders[0].streams[2];
            stream.enabled = enabled;
            stream.want_key |= enabled;
            world.run(if enabled { 400 } else { 1_800 });
        }
    }
}

#[test]
fn a_stray_packet_of_a_stopped_stream_does_not_hold_the_picture() {
    let (mut world, video, leg) = calm();
    world.aim(leg, Some((2, 2)));
    switched_after(&mut world, leg, 2, 5_000);
    world.run(1_000);
    // The stream ends with packets that are lost at first.
    let now = world.now.0;
    let outage = Outage { from: now, until: now + 40 * MILLISECOND };
    world.clients[video.client].up.config_mut().outages.push(outage);
    world.run(40);
    let publisher = &mut world.clients[video.client];
    let stream = &mut publisher.encoders[0].streams[2];
    stream.enabled = false;
    let (ssrc, number) = (stream.ssrc, stream.last_number());
    let late = publisher.encoders[0].repair(ssrc, number).unwrap();
    world.run(1_700);
    let now = world.now;
    world.clients[video.client].send_rtp(now, late);
    world.run(2_000);
    let asked = world.stats()[0].keyframes_requested;
    world.run(12_000);
    assert_eq!(world.stats()[0].keyframes_requested, asked, "nobody waits for it");
    let frames = world.receiver(leg).observer.frames();
    let last = frames.last().unwrap();
    assert_eq!(last.stream, 1);
    assert!(world.now.as_millis() as u32 - last.capture_ms < 150, "stuck at {}", last.capture_ms);
}

#[test]
fn a_stream_that_makes_no_key_frames_gives_way_to_a_lower_one() {
    let mut world = World::new(1);
    let publisher = world.join();
    let mut encoder = Encoder::video("0", 1_000, 3);
    encoder.streams[2].obeys = false;
    let video = world.publish(publisher, encoder);
    world.run(100);
    let client = world.join();
    let leg = world.subscribe(client, video, (2, 2));
    let start = world.now;
    while world.receiver(leg).observer.packets.is_empty() {
        assert!(world.now.since(start).as_millis() < 3_000, "nothing is shown");
        world.run(10);
    }
    world.clients[video.client].encoders[0].streams[2].obeys = true;
    let took = switched_after(&mut world, leg, 2, 20_000);
    assert!(took <= 2_200, "{took} ms");
}

#[test]
fn a_key_frame_whose_first_packet_comes_last_is_shown_whole() {
    let (mut world, video, leg) = calm();
    // 180 packets: while the first is asked for and sent again, all others have gone by.
    world.clients[video.client].encoders[0].streams[2].per_frame = 60;
    world.clients[video.client].loses_starts = true;
    world.aim(leg, Some((2, 2)));
    world.run(3_000);
    let observer = &world.receiver(leg).observer;
    assert_eq!(observer.streams(), [0, 2]);
    assert_eq!(observer.missing(), []);
}

/// A link that a seed made bad.
fn bad(random: &mut Random, loss: f64) -> LinkConfig {
    let base = (5 + random.below(60)) * MILLISECOND;
    let mut delay = Delay::jittered(base, random.below(5) * MILLISECOND);
    delay.keep_order = random.chance(0.7);
    LinkConfig { delay, ..LinkConfig::perfect(0).with_loss(Loss::Bernoulli(loss * random.unit())) }
}

#[test]
fn on_bad_links_with_late_encoders_and_missing_reports_every_switch_has_its_bound() {
    let mut worst = (0, 0);
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (mut world, video, leg) = calm();
        let publisher = &mut world.clients[video.client];
        *publisher.up.config_mut() = bad(&mut random, 0.1);
        *publisher.down.config_mut() = bad(&mut random, 0.3);
        publisher.reports_sending = random.chance(0.5);
        publisher.unreported = [0, 0, 0b100, 0b110, 0b111][random.below(5) as usize];
        for stream in &mut publisher.encoders[0].streams[1..] {
            stream.lag_ms = if random.chance(0.5) { random.below(400) } else { 0 };
        }
        // Its reports are what ties the streams from now on.
        publisher.encoders[0].streams.iter_mut().for_each(Stream::restart);
        *world.clients[leg.client].down.config_mut() = bad(&mut random, 0.1);
        world.run(1_500);
        let mut current = 0;
        for _ in 0..8 {
            let next = (current + 1 + random.below(2) as u8) % 3;
            world.aim(leg, Some((next, 2)));
            let took = switched_after(&mut world, leg, next, 30_000);
            worst = worst.max((took, seed));
            current = next;
            world.run(random.below(4_000));
        }
        world.command(0, Command::RemoveLeg { leg: leg.leg });
    }
    assert!(worst.0 <= 5_000, "{} ms with seed {}", worst.0, worst.1);
}
