//! One room on one lane and on several: receivers cannot tell the difference.

mod edge_support;
mod room_support;

use conclave_core::command::Command;
use conclave_core::drop::DropReason;
use conclave_core::ids::LaneId;
use conclave_netem::{LinkConfig, Loss};
use room_support::encoder::Encoder;
use room_support::world::{Published, Subscribed, World};

/// Three people who all publish and all get everything of the others.
fn meeting(lanes: usize, loss: &Loss) -> (World, Vec<Published>, Vec<Subscribed>) {
    let mut world = World::new(lanes);
    let link = || LinkConfig::perfect(10_000_000).with_loss(loss.clone());
    let people: Vec<_> = (0..3).map(|_| world.join_over(link(), link())).collect();
    let mut tracks = Vec::new();
    for &person in &people {
        let base = 1_000 * (person as u32 * 10 + 1);
        let encoder = Encoder::video("0", base, 3).layered(true);
        tracks.push(world.publish(person, encoder));
        tracks.push(world.publish(person, Encoder::audio("1", base + 500)));
    }
    let mut legs = Vec::new();
    for &person in &people {
        for &track in tracks.iter().filter(|track| track.client != person) {
            legs.push(world.subscribe(person, track, (2, 2)));
        }
    }
    (world, tracks, legs)
}

fn conduct(lanes: usize) -> Vec<Vec<(u8, u32)>> {
    let (mut world, _, legs) = meeting(lanes, &Loss::None);
    world.run(2_000);
    for (index, &leg) in legs.iter().enumerate() {
        world.aim(leg, Some((index as u8 % 3, 2)));
    }
    world.run(2_000);
    world.aim(legs[0], None);
    world.run(1_000);
    world.aim(legs[0], Some((1, 1)));
    world.run(2_000);
    assert_eq!(world.drops(DropReason::SealReuse), 0);
    legs.iter()
        .map(|&leg| {
            let observer = &world.receiver(leg).observer;
            assert_eq!(observer.missing(), []);
            observer.whole()
        })
        .collect()
}

#[test]
fn receivers_on_one_two_and_four_lanes_see_the_same_frames() {
    let one = conduct(1);
    assert!(one.iter().all(|frames| frames.len() > 100));
    for lanes in [2, 4] {
        for (leg, (expected, seen)) in one.iter().zip(conduct(lanes)).enumerate() {
            // A crossing may cost a millisecond, so a switch may happen a few frames later.
            let common = seen.iter().filter(|frame| expected.contains(frame)).count();
            let most = expected.len().max(seen.len());
            assert!(common * 100 >= most * 93, "{lanes} lanes, leg {leg}: {common} of {most}");
        }
    }
}

#[test]
fn several_lanes_under_loss_keep_every_promise() {
    let (mut world, tracks, legs) = meeting(3, &Loss::bursts(50.0, 2.0));
    world.run(6_000);
    for track in &tracks {
        world.clients[track.client].encoders.iter_mut().for_each(|e| e.running = false);
    }
    world.run(1_000);
    for leg in legs {
        let frames = world.receiver(leg).observer.frames();
        assert!(frames.last().unwrap().capture_ms > 5_500);
    }
    assert!(world.stats().iter().map(|stats| stats.retransmitted).sum::<u64>() > 50);
}

#[test]
fn the_same_room_twice_gives_the_same_bytes() {
    let bytes = || {
        let (mut world, _, _) = meeting(2, &Loss::bursts(30.0, 2.0));
        world.run(3_000);
        let sent: Vec<_> = world.stats().iter().map(|stats| stats.sent).collect();
        let seen: Vec<_> = world.clients.iter().map(|c| (c.datagrams, c.numbers.clone())).collect();
        (sent, seen)
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn only_streams_that_somebody_wants_cross_to_another_lane() {
    let mut world = World::new(2);
    let publisher = world.join();
    let video = world.publish(publisher, Encoder::video("0", 1_000, 3));
    let client = world.join();
    let leg = world.subscribe(client, video, (0, 2));
    world.run(1_000);
    let before = world.stats()[1].drops.get(DropReason::LayerNotSelected);
    world.run(1_000);
    assert_eq!(world.stats()[1].drops.get(DropReason::LayerNotSelected), before);
    assert_eq!(world.receiver(leg).observer.streams(), [0]);
    world.command(1, Command::RemoveLeg { leg: leg.leg });
    world.run(100);
    let dropped = world.drops(DropReason::NoLegs);
    world.command(0, Command::RemoveRelay { track: video.track, to: LaneId(1) });
    world.run(1_000);
    assert!(world.drops(DropReason::NoLegs) > dropped + 60);
}

#[test]
fn a_full_ring_costs_until_the_next_key_frame_which_is_asked_for_at_once() {
    let mut world = World::new(2);
    let publisher = world.join();
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    let client = world.join();
    let leg = world.subscribe(client, video, (0, 2));
    world.run(1_000);
    world.rings[0].set_capacity(0);
    world.run(40);
    world.rings[0].set_capacity(1_024);
    world.run(1_500);
    assert!(world.drops(DropReason::RelayFull) > 0);
    assert!(world.drops(DropReason::RelayBroken) > 0);
    let frames = world.receiver(leg).observer.frames();
    let again = frames.iter().find(|frame| frame.key && frame.capture_ms > 1_000).unwrap();
    assert!(again.capture_ms < 1_700, "only at {} ms", again.capture_ms);
    assert!(frames.last().unwrap().capture_ms > 2_300);
}

#[test]
fn control_messages_wait_for_room_and_are_not_lost() {
    let mut world = World::new(2);
    world.rings.iter_mut().for_each(|rings| rings.set_control_capacity(0));
    let publisher = world.join();
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    let client = world.join();
    let leg = world.subscribe(client, video, (0, 2));
    world.run(100);
    assert!(world.receiver(leg).observer.packets.is_empty());
    world.rings.iter_mut().for_each(|rings| rings.set_control_capacity(1_024));
    world.run(500);
    assert!(world.receiver(leg).observer.packets.len() > 5);
}

#[test]
fn a_track_that_ends_is_told_to_the_legs_of_every_lane() {
    let (mut world, tracks, legs) = meeting(3, &Loss::None);
    world.run(1_000);
    let home = world.clients[tracks[0].client].lane;
    world.command(home, Command::RemoveTrack { track: tracks[0].track });
    world.run(50);
    for leg in legs.into_iter().filter(|leg| leg.track == tracks[0].track) {
        assert_eq!(world.told(leg).last(), Some(&None));
    }
}

#[test]
fn a_relay_that_is_told_before_its_leg_still_learns_the_publishers_clock() {
    let mut world = World::new(2);
    let publisher = world.join();
    let audio = world.publish(publisher, Encoder::audio("0", 1_000));
    let client = world.join();
    world.run(1_000);
    world.relay(audio, 1);
    world.run(10);
    let leg = world.subscribe(client, audio, (0, 0));
    // The publisher reports every 400 ms; our first report does not wait for the next one.
    world.run(150);
    assert_eq!(world.receiver(leg).reports.len(), 1);
}
