//! A subscriber whose connection takes no more: its pictures wait, its sound does not, and both come back.

mod edge_support;
mod room_support;

use conclave_core::association::{FromAssociation, ToAssociation};
use conclave_core::drop::DropReason;
use room_support::encoder::Encoder;
use room_support::world::{Subscribed, World};

/// A room with a picture and sound from one to another.
fn room() -> (World, Subscribed, Subscribed) {
    let mut world = World::new(1);
    let publisher = world.join();
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    let audio = world.publish(publisher, Encoder::audio("1", 2_000));
    let subscriber = world.join();
    let legs = [video, audio].map(|track| world.subscribe(subscriber, track, (0, 2)));
    world.run(1_000);
    (world, legs[0], legs[1])
}

fn set_blocked(world: &mut World, leg: Subscribed, blocked: bool) {
    let (now, path) = (world.now, world.clients[leg.client].path);
    world.lanes[0].set_blocked(now, path, blocked, &mut world.rings[0]);
}

fn packets(world: &World, leg: Subscribed) -> usize {
    world.receiver(leg).observer.packets.len()
}

#[test]
fn pictures_wait_while_the_receiver_is_blocked_and_return_with_a_key_frame() {
    let (mut world, video, audio) = room();
    let key_frames = world.stats()[0].keyframes_requested;
    set_blocked(&mut world, video, true);
    world.run(100);
    let before = (packets(&world, video), packets(&world, audio));
    world.run(2_000);
    assert_eq!(packets(&world, video), before.0);
    assert!(packets(&world, audio) > before.1 + 50, "sound goes on");
    assert!(world.drops(DropReason::ReceiverBlocked) > 30);
    assert_eq!(world.stats()[0].keyframes_requested, key_frames, "nobody is asked in vain");
    set_blocked(&mut world, video, false);
    world.run(1_000);
    assert!(world.stats()[0].keyframes_requested > key_frames);
    assert!(packets(&world, video) > before.0 + 20, "the picture is back");
    let frames = world.receiver(video).observer.frames();
    assert!(frames.iter().all(|frame| frame.whole));
}

#[test]
fn a_way_that_is_not_the_selected_one_blocks_nobody() {
    let (mut world, video, _) = room();
    let (now, stranger) = (world.now, edge_support::path(9_999));
    world.lanes[0].set_blocked(now, stranger, true, &mut world.rings[0]);
    let before = packets(&world, video);
    world.run(500);
    assert!(packets(&world, video) > before);
}

#[test]
fn a_broken_connection_silences_a_subscriber_until_it_is_heard_of_again() {
    let (mut world, video, audio) = room();
    let (now, path) = (world.now, world.clients[video.client].path);
    world.lanes[0].handle_disconnect(now, path, &mut world.rings[0]);
    assert!(!world.lanes[0].is_validated(path));
    let silenced = |message: &_| matches!(message, ToAssociation::Silenced { .. });
    assert!(world.lanes[0].outputs().associations.iter().any(silenced));
    world.run(30);
    let before = (packets(&world, video), packets(&world, audio));
    world.run(300);
    assert_eq!((packets(&world, video), packets(&world, audio)), before);
    // Its next check, at most some seconds later.
    world.run(6_000);
    assert!(world.lanes[0].is_validated(path));
    assert!(packets(&world, video) > before.0 && packets(&world, audio) > before.1);
}

#[test]
fn a_handshakes_datagram_for_a_connection_leaves_through_the_outbox() {
    let mut world = World::new(1);
    let path = edge_support::path(7);
    let (now, lane) = (world.now, &mut world.lanes[0]);
    lane.handle_association(now, FromAssociation::Datagram { path, data: vec![22; 900] });
    let mut sent = Vec::new();
    lane.outbox().drain(|run| sent.push((run.path, run.packets.concat())));
    assert_eq!(sent, [(path, vec![22; 900])]);
    lane.handle_association(now, FromAssociation::Datagram { path, data: vec![22; 4_000] });
    lane.outbox().drain(|_| panic!("longer than any slot"));
    assert_eq!(world.drops(DropReason::TooBig), 1);
}
