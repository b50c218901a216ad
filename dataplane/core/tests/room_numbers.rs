//! What the metrics page shows of the network and of layers, in rooms whose links are known.

mod edge_support;
mod room_support;

use conclave_core::distribution::Distribution;
use conclave_netem::{LinkConfig, Loss};
use room_support::encoder::Encoder;
use room_support::world::World;

const LATENCY: u64 = 20_000_000;
const AUDIO: usize = 0;
const VIDEO: usize = 1;

fn observed(distribution: &Distribution) -> u64 {
    distribution.counts().iter().sum()
}

/// Seconds in each of which the lanes look around, more often than they should.
fn run(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.run(1_000);
        world.observe();
        world.observe();
    }
}

#[test]
fn an_arriving_track_is_observed_once_a_second_with_loss_jitter_and_rate() {
    let mut world = World::new(1);
    let lossy = LinkConfig::perfect(LATENCY).with_loss(Loss::bursts(50.0, 1.0));
    let publisher = world.join_over(lossy, LinkConfig::perfect(LATENCY));
    let sound = world.publish(publisher, Encoder::audio("0", 5_000));
    let client = world.join();
    world.subscribe(client, sound, (0, 0));
    run(&mut world, 10);
    let stats = &world.stats()[0];
    let [audio, video] = &stats.network.up;
    // The first look only tells where the counters stand.
    assert_eq!((observed(&audio.loss), observed(&audio.jitter), observed(&audio.rate)), (9, 9, 9));
    assert_eq!(observed(&video.loss), 0);
    assert!(audio.rate.sum() / 9 > 1_000, "{} bytes a second", audio.rate.sum() / 9);
    assert!(audio.loss.sum() > 0 || stats.repaired > 0, "one packet of fifty is lost on the way");
}

#[test]
fn a_track_that_stopped_is_observed_no_more() {
    let mut world = World::new(1);
    let publisher = world.join();
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    run(&mut world, 3);
    world.clients[video.client].encoders[0].running = false;
    run(&mut world, 2);
    let before = observed(&world.stats()[0].network.up[VIDEO].loss);
    run(&mut world, 3);
    assert_eq!(observed(&world.stats()[0].network.up[VIDEO].loss), before);
}

#[test]
fn what_a_long_path_repairs_late_is_not_counted_as_lost() {
    let mut world = World::new(1);
    let far = || LinkConfig::perfect(7 * LATENCY);
    let publisher = world.join_over(far().with_loss(Loss::Bernoulli(0.05)), far());
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    let client = world.join();
    world.subscribe(client, video, (0, 0));
    run(&mut world, 15);
    let stats = &world.stats()[0];
    assert!(stats.repaired > 15, "{}", stats.repaired);
    let loss = &stats.network.up[VIDEO].loss;
    let mean = loss.sum() / observed(loss);
    assert!(mean < 2_000, "{mean} ppm after repair, of 50000 before");
}

#[test]
fn what_publishers_retransmit_counts_as_repaired_and_what_subscribers_report_as_loss() {
    let mut world = World::new(1);
    let lossy = || LinkConfig::perfect(LATENCY).with_loss(Loss::bursts(40.0, 2.0));
    let publisher = world.join_over(lossy(), LinkConfig::perfect(LATENCY));
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    let client = world.join_over(LinkConfig::perfect(LATENCY), lossy());
    world.subscribe(client, video, (0, 2));
    run(&mut world, 10);
    let stats = &world.stats()[0];
    assert!(stats.repaired > 5, "{}", stats.repaired);
    assert!(stats.repaired <= stats.nacks_sent);
    let down = &stats.network.down[VIDEO];
    assert!(observed(&down.loss) > 0);
    assert_eq!(observed(&down.loss), observed(&down.jitter));
    assert_eq!(observed(&stats.network.down[AUDIO].loss), 0);
    let trips = &stats.network.round_trip;
    let mean = trips.sum() / observed(trips);
    assert!((30_000..=60_000).contains(&mean), "{mean} us on a path of 40 ms");
}

#[test]
fn video_legs_are_counted_by_wanted_and_served_layer_and_switches_by_direction() {
    let mut world = World::new(1);
    let publisher = world.join();
    let video = world.publish(publisher, Encoder::video("0", 1_000, 3));
    world.run(100);
    let client = world.join();
    let leg = world.subscribe(client, video, (0, 2));
    let paused = world.join();
    world.subscribe_paused(paused, video, true);
    for layer in [2, 0, 1] {
        world.run(1_500);
        world.aim(leg, Some((layer, 2)));
    }
    world.run(1_500);
    let stats = &world.stats()[0];
    assert_eq!(stats.layer_switches, [1, 2], "down once, up twice");
    assert_eq!((stats.video_legs[2][2], stats.video_legs[0][0]), (1, 1));
    assert_eq!(stats.video_legs.iter().flatten().sum::<u32>(), 2);
}
