//! Rooms in which everything happens at random: people join, aim, pause, mute and start over, on links that
//! lose, repeat and reorder, over one to three lanes. Whatever happens, every observer keeps its promises,
//! nothing is sealed twice, and the room comes to rest with everybody seeing what they asked for.

mod edge_support;
mod room_support;

use conclave_core::command::Command;
use conclave_core::drop::DropReason;
use conclave_netem::{Delay, LinkConfig, Loss, Random, MILLISECOND};
use room_support::encoder::{Encoder, Stream};
use room_support::world::{Published, Subscribed, World};

const SEEDS: u64 = 30;

fn link(random: &mut Random) -> LinkConfig {
    let base = (2 + random.below(60)) * MILLISECOND;
    let jitter = random.below(15) * MILLISECOND;
    let mut delay = Delay::jittered(base.max(jitter), jitter);
    delay.keep_order = random.chance(0.7);
    let loss = match random.below(4) {
        0 => Loss::None,
        1 => Loss::Bernoulli(random.unit() * 0.05),
        _ => Loss::bursts(20.0 + random.unit() * 200.0, 1.0 + random.unit() * 3.0),
    };
    LinkConfig {
        loss,
        delay,
        duplicate: random.unit() * 0.03,
        duplicate_after: 2 * MILLISECOND,
        reorder: random.unit() * 0.03,
        ..LinkConfig::perfect(0)
    }
}

/// Something that a client or the control plane does.
fn act(world: &mut World, random: &mut Random, tracks: &[Published], legs: &[Subscribed]) {
    let leg = legs[random.below(legs.len() as u64) as usize];
    let track = tracks[random.below(tracks.len() as u64) as usize];
    let encoders = &mut world.clients[track.client].encoders;
    let encoder = random.below(encoders.len() as u64) as usize;
    match random.below(10) {
        0 => encoders[encoder].streams.iter_mut().for_each(Stream::restart),
        1 => {
            let streams = &mut encoders[encoder].streams;
            let index = random.below(streams.len() as u64) as usize;
            streams[index].enabled ^= true;
        }
        2 => {
            let open = random.chance(0.5);
            let lane = world.clients[track.client].lane;
            world.command(lane, Command::SetTrackOpen { track: track.track, open });
        }
        3 => world.aim(leg, None),
        4 => encoders[encoder].layered ^= true,
        _ => world.aim(leg, Some((random.below(3) as u8, random.below(3) as u8))),
    }
}

/// Lets everything be as it should be, and checks that it is.
fn come_to_rest(world: &mut World, tracks: &[Published], legs: &[Subscribed], seed: u64) {
    for track in tracks {
        let client = &mut world.clients[track.client];
        client.encoders.iter_mut().flat_map(|e| &mut e.streams).for_each(|s| s.enabled = true);
        let link = LinkConfig::perfect(10 * MILLISECOND);
        *client.up.config_mut() = link.clone();
        *client.down.config_mut() = link;
        let lane = client.lane;
        world.command(lane, Command::SetTrackOpen { track: track.track, open: true });
    }
    for &leg in legs {
        world.aim(leg, Some((2, 2)));
    }
    world.run(6_000);
    let now = world.now.as_millis() as u32;
    for &leg in legs {
        let observer = &world.receiver(leg).observer;
        let frames = observer.frames();
        let last = frames.last().expect("something came");
        assert!(now - last.capture_ms < 150, "seed {seed}: stuck since {}", last.capture_ms);
        let steady = frames.iter().filter(|frame| frame.capture_ms + 1_000 > now);
        assert!(steady.clone().all(|f| f.whole || f.capture_ms + 100 > now), "seed {seed}");
        if observer.video {
            assert!(steady.clone().all(|f| f.stream == 2), "seed {seed}: below its target");
        }
    }
    assert_eq!(world.drops(DropReason::SealReuse), 0, "seed {seed}");
    assert_eq!(world.drops(DropReason::SealInvalid), 0, "seed {seed}");
}

#[test]
fn whatever_happens_receivers_see_an_orderly_stream_and_rooms_come_to_rest() {
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let mut world = World::new(1 + (seed % 3) as usize);
        let people: Vec<_> = (0..3)
            .map(|_| {
                let (up, down) = (link(&mut random), link(&mut random));
                world.join_over(up, down)
            })
            .collect();
        let mut tracks = Vec::new();
        for &person in &people {
            let base = 1_000 * (person as u32 * 10 + 1);
            let encoder = Encoder::video("0", base, 3).layered(random.chance(0.5));
            tracks.push(world.publish(person, encoder));
            tracks.push(world.publish(person, Encoder::audio("1", base + 500)));
        }
        let mut legs = Vec::new();
        for &person in &people {
            for &track in tracks.iter().filter(|track| track.client != person) {
                legs.push(world.subscribe(person, track, (2, 2)));
                world.run(random.below(50));
            }
        }
        for _ in 0..25 {
            world.run(20 + random.below(400));
            act(&mut world, &mut random, &tracks, &legs);
        }
        come_to_rest(&mut world, &tracks, &legs, seed);
    }
}
