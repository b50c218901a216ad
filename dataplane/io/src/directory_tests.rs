//! Routing and relay accounts, command by command.

use conclave_core::command::IceCredentials;
use conclave_core::media::MediaKind;

use super::*;

const ONE: LaneId = LaneId(0);
const TWO: LaneId = LaneId(1);

/// A directory with what it routed so far.
#[derive(Default)]
struct World {
    directory: Directory,
    routed: Vec<(LaneId, Command)>,
}

impl World {
    /// Transports 1 and 2 on lane one, 3 on lane two; track 10 on transport 1.
    fn new() -> Self {
        let mut world = Self::default();
        for (transport, lane) in [(1, ONE), (2, ONE), (3, TWO)] {
            let transport = TransportId(transport);
            let local =
                IceCredentials { ufrag: "abcd".into(), pwd: "0123456789012345678901".into() };
            let command = Command::AddTransport { transport, local };
            let World { directory, routed } = &mut world;
            directory
                .settle(transport, lane, command, &mut |lane, command| {
                    routed.push((lane, command));
                })
                .unwrap();
        }
        world.send(track(10, 1)).unwrap();
        world.routed.clear();
        world
    }

    fn send(&mut self, command: Command) -> Result<(), Ignored> {
        let World { directory, routed } = self;
        directory.route(command, &mut |lane, command| routed.push((lane, command)))
    }

    fn take(&mut self) -> Vec<(LaneId, Command)> {
        std::mem::take(&mut self.routed)
    }
}

fn track(track: u32, transport: u32) -> Command {
    Command::AddTrack(AddTrack {
        track: TrackId(track),
        transport: TransportId(transport),
        kind: MediaKind::Audio,
        mid: "0".into(),
        codecs: Vec::new(),
        streams: Vec::new(),
        screen: false,
    })
}

fn leg(leg: u32, track: u32, transport: u32) -> Command {
    Command::AddLeg(AddLeg {
        leg: LegId(leg),
        track: TrackId(track),
        home: LaneId(99),
        transport: TransportId(transport),
        kind: MediaKind::Audio,
        mid: "0".into(),
        ssrc: leg,
        rtx_ssrc: None,
        cname: "c".into(),
        payloads: Vec::new(),
        extensions: Vec::new(),
    })
}

const RELAY: Command = Command::AddRelay { track: TrackId(10), to: TWO };
const UNRELAY: Command = Command::RemoveRelay { track: TrackId(10), to: TWO };

#[test]
fn a_command_goes_to_the_lane_of_what_it_names() {
    let mut world = World::new();
    for (command, lane) in [
        (Command::SetExtensions { transport: TransportId(3), extensions: Vec::new() }, TWO),
        (Command::SetTrackOpen { track: TrackId(10), open: true }, ONE),
        (Command::RequestKeyframe { track: TrackId(10), stream: 0 }, ONE),
    ] {
        world.send(command.clone()).unwrap();
        assert_eq!(world.take(), [(lane, command)]);
    }
    world.send(leg(20, 10, 2)).unwrap();
    let (lane, Command::AddLeg(add)) = world.take().remove(0) else { panic!("a leg") };
    assert_eq!((lane, add.home), (ONE, ONE));
}

#[test]
fn the_first_leg_on_another_lane_opens_the_relay_and_the_last_closes_it() {
    let mut world = World::new();
    world.send(leg(20, 10, 3)).unwrap();
    assert_eq!(world.take()[1], (ONE, RELAY));
    world.send(leg(21, 10, 3)).unwrap();
    assert_eq!(world.take().len(), 1);
    world.send(Command::RemoveLeg { leg: LegId(20) }).unwrap();
    assert_eq!(world.take(), [(TWO, Command::RemoveLeg { leg: LegId(20) })]);
    world.send(Command::RemoveLeg { leg: LegId(21) }).unwrap();
    assert_eq!(world.take(), [(TWO, Command::RemoveLeg { leg: LegId(21) }), (ONE, UNRELAY)]);
}

#[test]
fn a_transport_takes_its_legs_and_their_relays_along() {
    let mut world = World::new();
    world.send(leg(20, 10, 3)).unwrap();
    world.take();
    let transport = TransportId(3);
    world.send(Command::RemoveTransport { transport }).unwrap();
    assert_eq!(world.take(), [(TWO, Command::RemoveTransport { transport }), (ONE, UNRELAY)]);
    assert_eq!(world.send(Command::RemoveLeg { leg: LegId(20) }), Err(Ignored));
    assert_eq!(world.send(Command::RemoveTransport { transport }), Err(Ignored));
}

#[test]
fn a_track_that_ends_before_its_legs_leaves_no_relay_behind() {
    let mut world = World::new();
    world.send(leg(20, 10, 3)).unwrap();
    world.send(Command::RemoveTransport { transport: TransportId(1) }).unwrap();
    world.take();
    world.send(Command::RemoveLeg { leg: LegId(20) }).unwrap();
    assert_eq!(world.take(), [(TWO, Command::RemoveLeg { leg: LegId(20) })]);
    assert!(world.directory.tracks.is_empty() && world.directory.legs.is_empty());
}

#[test]
fn a_track_can_be_replaced_by_its_own_transport_only() {
    let mut world = World::new();
    world.send(leg(20, 10, 3)).unwrap();
    assert_eq!(world.send(track(10, 1)), Ok(()));
    assert_eq!(world.send(track(10, 2)), Err(Ignored));
    world.take();
    world.send(Command::RemoveLeg { leg: LegId(20) }).unwrap();
    assert_eq!(world.take()[1], (ONE, UNRELAY), "the relay survived the replacement");
}

#[test]
fn what_names_something_unknown_is_ignored() {
    let mut world = World::new();
    for command in [
        track(11, 9),
        leg(20, 11, 2),
        leg(20, 10, 9),
        Command::RemoveTrack { track: TrackId(11) },
        Command::SetLeg { leg: LegId(20), target: None },
        RELAY,
    ] {
        assert_eq!(world.send(command), Err(Ignored));
    }
    assert!(world.take().is_empty());
    world.send(leg(20, 10, 2)).unwrap();
    assert_eq!(world.send(leg(20, 10, 2)), Err(Ignored));
}
