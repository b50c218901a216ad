//! Loss on either side: retransmissions repair it, and what cannot be repaired is bounded and named.

mod edge_support;
mod room_support;

use conclave_core::drop::DropReason;
use conclave_netem::{profile, LinkConfig, Loss};
use room_support::encoder::Encoder;
use room_support::world::{Published, Subscribed, World};

const LATENCY: u64 = 20_000_000;

fn link(loss: Loss) -> LinkConfig {
    LinkConfig::perfect(LATENCY).with_loss(loss)
}

fn room(up: LinkConfig, down: LinkConfig) -> (World, Published, Subscribed) {
    let mut world = World::new(1);
    let publisher = world.join_over(up, LinkConfig::perfect(LATENCY));
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    let client = world.join_over(LinkConfig::perfect(LATENCY), down);
    let leg = world.subscribe(client, video, (0, 2));
    (world, video, leg)
}

/// Lets packets in flight and their repairs arrive.
fn finish(world: &mut World, video: Published) {
    world.clients[video.client].encoders[0].running = false;
    world.run(1_000);
}

#[test]
fn loss_towards_a_subscriber_is_repaired_on_the_retransmission_stream() {
    let (mut world, video, leg) = room(link(Loss::None), link(Loss::bursts(40.0, 2.0)));
    world.run(10_000);
    finish(&mut world, video);
    let receiver = world.receiver(leg);
    let lost = world.clients[leg.client].down.counters().lost;
    assert!(lost > 10, "only {lost} lost");
    assert!(receiver.rtx_packets > 10);
    assert_eq!(receiver.observer.missing(), []);
    assert!(receiver.observer.frames().iter().all(|frame| frame.whole));
    let stats = &world.stats()[0];
    assert!(stats.retransmitted >= receiver.rtx_packets);
    assert!(stats.nacks_received >= stats.retransmitted);
}

#[test]
fn a_link_that_loses_a_quarter_of_everything_still_shows_every_picture() {
    let (mut world, video, leg) = room(link(Loss::None), link(Loss::Bernoulli(0.25)));
    world.run(20_000);
    finish(&mut world, video);
    let frames = world.receiver(leg).observer.frames();
    let whole = frames.iter().filter(|frame| frame.whole).count();
    assert!(whole * 100 >= frames.len() * 99, "{whole} of {} frames", frames.len());
    assert_eq!(world.drops(DropReason::NackBudget), 0);
    assert!(world.clients[video.client].plis.len() <= 3, "{:?}", world.clients[video.client].plis);
}

#[test]
fn loss_from_a_publisher_is_repaired_before_it_reaches_the_holes_of_a_leg() {
    let (mut world, video, leg) = room(link(Loss::bursts(40.0, 2.0)), link(Loss::None));
    world.run(10_000);
    finish(&mut world, video);
    assert!(world.clients[video.client].nacked > 5);
    let observer = &world.receiver(leg).observer;
    assert_eq!(observer.missing(), []);
    assert!(observer.frames().iter().all(|frame| frame.whole));
}

#[test]
fn loss_on_both_sides_with_reordering_and_duplicates_leaves_an_orderly_stream() {
    let disturbed = || LinkConfig {
        duplicate: 0.02,
        duplicate_after: 3_000_000,
        reorder: 0.03,
        ..link(Loss::bursts(30.0, 2.0))
    };
    let (mut world, video, leg) = room(disturbed(), disturbed());
    world.run(15_000);
    finish(&mut world, video);
    let observer = &world.receiver(leg).observer;
    let frames = observer.frames();
    let whole = frames.iter().filter(|frame| frame.whole).count();
    assert!(whole * 100 >= frames.len() * 97, "{whole} of {} frames", frames.len());
    assert!(frames.len() > 400, "{} frames", frames.len());
    assert_eq!(world.drops(DropReason::SealReuse), 0);
    let repeated = world.clients[video.client].up.counters().duplicated;
    let refused = world.drops(DropReason::SrtpDuplicate);
    assert!(refused > 0 && refused <= repeated, "{refused} of {repeated} counted once each");
}

#[test]
fn layered_video_over_a_lossy_network_keeps_every_promise() {
    for (name, link) in [
        ("wifi", profile::wifi as fn() -> LinkConfig),
        ("lossy wifi", profile::wifi_lossy),
        ("crowded wifi", profile::wifi_congested),
        ("cellular", profile::cellular),
        ("satellite", profile::satellite),
    ] {
        let mut world = World::new(1);
        let publisher = world.join_over(link(), link());
        let encoder = Encoder::video("0", 1_000, 3).layered(true);
        let video = world.publish(publisher, encoder);
        let client = world.join_over(link(), link());
        let leg = world.subscribe(client, video, (2, 2));
        for layers in [(1, 2), (0, 1), (2, 0), (1, 1), (2, 2)] {
            world.run(2_500);
            world.aim(leg, Some(layers));
        }
        world.run(4_000);
        let frames = world.receiver(leg).observer.frames();
        let last = frames.last().unwrap().capture_ms;
        assert!(frames.len() > 150 && last > 15_000, "{name}: {} until {last}", frames.len());
        assert_eq!(world.drops(DropReason::SealReuse), 0, "{name}");
    }
}

#[test]
fn a_subscriber_without_a_retransmission_stream_is_told_nothing_but_counted() {
    let mut world = World::new(1);
    let publisher = world.join();
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    let client = world.join_over(link(Loss::None), link(Loss::Bernoulli(0.05)));
    let leg = world.subscribe_paused(client, video, false);
    world.clients[client].receivers[0].nacks = true;
    world.aim(leg, Some((0, 0)));
    world.run(3_000);
    assert!(world.drops(DropReason::NackNoRtx) > 0);
    assert_eq!(world.stats()[0].retransmitted, 0);
}

#[test]
fn a_total_outage_ends_in_a_key_frame_and_not_in_a_storm() {
    let (mut world, video, leg) = room(link(Loss::None), link(Loss::None));
    world.run(1_000);
    let from = world.now.0;
    let outage = conclave_netem::Outage { from, until: from + 3_000_000_000 };
    world.clients[leg.client].down.config_mut().outages.push(outage);
    world.run(6_000);
    let frames = world.receiver(leg).observer.frames();
    let key = frames.iter().find(|frame| frame.key && frame.capture_ms > 4_000);
    assert!(key.is_some_and(|key| key.capture_ms < 6_500), "{key:?}");
    assert!(world.clients[video.client].plis.len() <= 6);
    let sent_again = world.stats()[0].retransmitted;
    assert!(sent_again < 200, "{sent_again} retransmissions");
    let refused = [
        DropReason::NackLate,
        DropReason::NackTries,
        DropReason::NackMiss,
        DropReason::NackSuperseded,
        DropReason::NackBudget,
        DropReason::NackDedupe,
    ];
    assert!(refused.iter().map(|&reason| world.drops(reason)).sum::<u64>() > 0);
}
