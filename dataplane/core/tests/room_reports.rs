//! Reports, feedback, lip sync, equal sizes for one send, and the life of a transport around them.

mod edge_support;
mod room_support;

use conclave_core::association::FromAssociation;
use conclave_core::command::Command;
use conclave_core::drop::DropReason;
use conclave_core::event::{CloseReason, Event, SrtpProfile};
use conclave_core::ids::{LegId, TrackId, TransportId};
use conclave_core::time::{NtpEpoch, Time};
use edge_support::{credentials, master};
use room_support::encoder::Encoder;
use room_support::observer::Frame;
use room_support::receiver::Receiver;
use room_support::world::World;

/// When a receiver would play a frame on our clock, by the last sender report: milliseconds.
fn played_ms(receiver: &Receiver, frame: &Frame, rate: f64) -> f64 {
    let (_, info) = receiver.reports.last().expect("a report came");
    let ahead = f64::from((frame.t as u32).wrapping_sub(info.rtp) as i32);
    let ntp = info.ntp.wrapping_sub(NtpEpoch(0xE000_0000_0000_0000).ntp(Time(0)));
    ntp as f64 / f64::from(u32::MAX) * 1_000.0 + ahead * 1_000.0 / rate
}

#[test]
fn audio_and_video_of_one_publisher_are_played_together_also_after_a_switch() {
    for lanes in [1, 2] {
        let mut world = World::new(lanes);
        let publisher = world.join();
        // The publisher's wall clock means nothing to ours.
        world.clients[publisher].clock_ahead_ms = 123_456;
        let video = world.publish(publisher, Encoder::video("0", 1_000, 3));
        let audio = world.publish(publisher, Encoder::audio("1", 5_000));
        let client = world.join();
        let seen = world.subscribe(client, video, (0, 2));
        let heard = world.subscribe(client, audio, (0, 0));
        world.run(3_000);
        world.aim(seen, Some((2, 2)));
        world.run(7_000);
        let (seen, heard) = (world.receiver(seen), world.receiver(heard));
        assert_eq!(seen.observer.streams(), [0, 2]);
        assert!(seen.reports.len() >= 8 && heard.reports.len() >= 3);
        let error = |receiver: &Receiver, rate: f64| -> Vec<f64> {
            let frames = receiver.observer.frames();
            let late = frames.iter().filter(|frame| frame.capture_ms > 8_000);
            late.map(|f| played_ms(receiver, f, rate) - f64::from(f.capture_ms)).collect()
        };
        let (video, audio) = (error(seen, 90_000.0), error(heard, 48_000.0));
        assert!(video.len() > 30 && audio.len() > 60);
        for (name, errors) in [("video", &video), ("audio", &audio)] {
            let worst = errors.iter().fold(0.0, |worst: f64, error| worst.max(error.abs()));
            // One way of 10 ms cannot be told from a clock that is 10 ms ahead.
            assert!(worst <= 25.0, "{name} is {worst} ms off on {lanes} lanes");
        }
        assert!((video[0] - audio[0]).abs() <= 15.0, "{} and {} apart", video[0], audio[0]);
    }
}

#[test]
fn transport_wide_numbers_run_over_all_legs_of_a_subscriber_and_feedback_is_joined() {
    let mut world = World::new(1);
    let publisher = world.join();
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    let audio = world.publish(publisher, Encoder::audio("1", 5_000));
    let client = world.join();
    world.subscribe(client, video, (0, 2));
    world.subscribe(client, audio, (0, 0));
    world.run(3_000);
    let numbers = &world.clients[client].numbers;
    assert!(numbers.len() > 200);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    assert_eq!(world.drops(DropReason::FeedbackUnknownNumber), 0);
}

#[test]
fn a_measured_round_trip_shows_in_the_numbers() {
    let mut world = World::new(1);
    let publisher = world.join();
    let video = world.publish(publisher, Encoder::video("0", 1_000, 1));
    let client = world.join();
    world.subscribe(client, video, (0, 2));
    world.run(4_000);
    let stats = &world.stats()[0];
    let transport = world.clients[client].transport;
    let entry = stats.transports.iter().find(|entry| entry.transport == transport).unwrap();
    let rtt = entry.rtt_us.unwrap();
    assert!((18_000..=24_000).contains(&rtt), "{rtt} us on a path of 20 ms");
    assert!(entry.sent.packets > 100 && entry.received.packets > 10);
    assert_eq!(stats.legs.len(), 1);
    let sent: u64 = stats.transports.iter().map(|entry| entry.sent.packets).sum();
    assert_eq!(sent, stats.sent.packets);
    assert!(stats.forwarded.packets <= stats.sent.packets);
}

#[test]
fn packets_of_a_frame_leave_in_runs() {
    let mut world = World::new(1);
    let publisher = world.join();
    let mut encoder = Encoder::video("0", 1_000, 1);
    // 2.4 Mbit/s at thirty frames a second.
    encoder.streams[0].per_frame = 11;
    let video = world.publish(publisher, encoder);
    for _ in 0..3 {
        let client = world.join();
        world.subscribe(client, video, (2, 2));
    }
    world.run(2_000);
    world.run_bytes = (0, 0);
    world.run(1_000);
    let (runs, all) = world.run_bytes;
    assert!(all > 800_000, "{all} bytes");
    assert!(runs * 100 >= all * 80, "{runs} of {all} bytes in runs of four or more");
}

#[test]
fn media_that_came_before_the_keys_is_forwarded_after_them() {
    let mut world = World::new(1);
    let publisher = world.join();
    let audio = world.publish(publisher, Encoder::audio("0", 1_000));
    let client = world.join();
    let leg = world.subscribe(client, audio, (0, 0));
    // The same keys again are refused; they would repeat what was sealed before.
    let transport = world.clients[client].transport;
    let seed = |base: u8| master(base + transport.0 as u8);
    let (local, remote) = (seed(100), seed(200));
    let profile = SrtpProfile::AeadAes128Gcm;
    let keys = FromAssociation::Keys { transport, profile, local, remote };
    world.lanes[0].handle_association(world.now, keys);
    assert_eq!(world.drops(DropReason::CommandRefused), 1);
    world.run(500);
    assert!(world.receiver(leg).observer.packets.len() > 20);
}

#[test]
fn a_discarded_transport_ends_alone() {
    let mut world = World::new(1);
    let publisher = world.join();
    let audio = world.publish(publisher, Encoder::audio("0", 1_000));
    let (first, second) = (world.join(), world.join());
    let lost = world.subscribe(first, audio, (0, 0));
    let kept = world.subscribe(second, audio, (0, 0));
    world.run(500);
    let (now, path) = (world.now, world.clients[first].path);
    world.lanes[0].discard(now, path, &mut world.rings[0]);
    let before = world.receiver(kept).observer.packets.len();
    world.run(500);
    let transport = world.clients[first].transport;
    let closed = Event::TransportClosed { transport, reason: CloseReason::Internal };
    assert!(world.events.contains(&closed));
    assert!(world.receiver(lost).observer.packets.len() < 28);
    assert!(world.receiver(kept).observer.packets.len() > before + 20);
}

#[test]
fn a_closed_association_and_a_removed_transport_end_what_they_carried() {
    let mut world = World::new(1);
    let publisher = world.join();
    let audio = world.publish(publisher, Encoder::audio("0", 1_000));
    let client = world.join();
    let leg = world.subscribe(client, audio, (0, 0));
    world.run(300);
    let transport = world.clients[publisher].transport;
    let reason = CloseReason::PeerClosed;
    world.lanes[0].handle_association(world.now, FromAssociation::Closed { transport, reason });
    world.run(100);
    assert!(world.events.contains(&Event::TransportClosed { transport, reason }));
    let before = world.receiver(leg).observer.packets.len();
    world.run(500);
    assert_eq!(world.receiver(leg).observer.packets.len(), before);
    world.command(0, Command::RemoveTransport { transport });
    world.run(10);
    assert_eq!(world.told(leg), [Some(0), None]);
    assert_eq!(world.stats()[0].transports.len(), 1);
}

#[test]
fn commands_about_what_does_not_exist_or_cannot_be_are_counted() {
    let mut world = World::new(1);
    world.join();
    let (track, leg, transport) = (TrackId(9), LegId(9), TransportId(9));
    let unknown = [
        Command::SetTrackOpen { track, open: true },
        Command::RemoveTrack { track },
        Command::RequestKeyframe { track, stream: 0 },
        Command::AddRelay { track, to: conclave_core::ids::LaneId(0) },
        Command::RemoveRelay { track, to: conclave_core::ids::LaneId(0) },
        Command::SetLeg { leg, target: None },
        Command::RemoveLeg { leg },
        Command::SetExtensions { transport, extensions: Vec::new() },
        Command::RestartIce { transport, local: credentials("x") },
        Command::RemoveTransport { transport },
    ];
    let count = unknown.len() as u64;
    for command in unknown {
        world.command(0, command);
    }
    assert_eq!(world.drops(DropReason::CommandUnknown), count);
    let twice = Command::AddTransport { transport: TransportId(1), local: credentials("y") };
    world.command(0, twice);
    assert_eq!(world.drops(DropReason::CommandRefused), 1);
}

#[test]
fn a_client_that_falls_silent_costs_nobody_anything_and_its_removal_is_no_mistake() {
    let mut world = World::new(1);
    let publisher = world.join();
    let audio = world.publish(publisher, Encoder::audio("0", 1_000));
    let (silent, other) = (world.join(), world.join());
    let gone = world.subscribe(silent, audio, (0, 0));
    let kept = world.subscribe(other, audio, (0, 0));
    world.run(1_000);
    world.clients[silent].checks = false;
    world.run(31_000);
    let transport = world.clients[silent].transport;
    let reason = CloseReason::ConsentExpired;
    assert!(world.events.contains(&Event::TransportClosed { transport, reason }));
    let before = world.receiver(gone).observer.packets.len();
    world.run(31_000);
    assert_eq!(world.receiver(gone).observer.packets.len(), before, "not one packet after that");
    world.command(0, Command::RemoveTransport { transport });
    assert_eq!(world.drops(DropReason::CommandUnknown), 0);
    assert_eq!(world.receiver(kept).observer.missing(), []);
    assert_eq!(world.stats()[0].legs.len(), 1);
}
