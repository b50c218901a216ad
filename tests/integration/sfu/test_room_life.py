"""Rooms and participants: who is in, for how long, and what others hear of it."""

from collections.abc import Callable

import pytest

from common.errors import LocalError, RemoteError
from common.ids import Identity, RoomName
from sfu.events import (
    ConnectionFailed,
    JoinProgressed,
    PeerActive,
    PeerJoined,
    PeerLeft,
    PeerUpdated,
    RoomEnded,
    RoomStarted,
    RoomUpdated,
    TrackUnpublished,
)
from sfu.limits import MAX_METADATA_SIZE
from sfu.model import (
    LeaveReason,
    PeerKind,
    PeerSpec,
    Permissions,
    PublicationSpec,
    RoomOptions,
    TrackKind,
)
from tests.support.world import ROOM, World


def test_joining_creates_the_room_and_connecting_makes_active() -> None:
    world = World()
    alice = world.join("alice", connect=False)
    assert alice.peer.state == "joined"
    assert alice.peer.sid.startswith("PA_")
    assert world.room.sid.startswith("RM_")
    alice.connect()
    assert alice.peer.state == "active"
    kinds = [type(event) for event in world.heard(object)]
    kinds = [kind for kind in kinds if kind is not JoinProgressed]
    assert kinds == [RoomStarted, PeerJoined, PeerUpdated, PeerActive]


def test_events_are_delivered_by_flush_alone() -> None:
    world = World()
    world.join("alice")
    assert world.events == []
    world.engine.flush()
    assert world.events


def test_the_publisher_connection_alone_does_not_make_active_in_dual_mode() -> None:
    world = World()
    alice = world.join("alice", connect=False)
    alice.publish_microphone()
    publisher, subscriber = alice.peer.connections
    world.engine.handle_transport_connected(publisher.transport, "AEAD_AES_128_GCM")
    assert alice.peer.state == "joined"
    world.engine.handle_transport_connected(subscriber.transport, "AEAD_AES_128_GCM")
    assert alice.peer.state == "active"


def test_a_peer_that_is_not_active_after_a_minute_is_removed() -> None:
    world = World()
    alice = world.join("alice", connect=False)
    bob = world.join("bob")
    world.advance(59.9)
    assert alice.peer.state == "joined"
    world.advance(0.2)
    (left,) = world.heard(PeerLeft)
    assert (left.peer, left.reason, left.was_active) == (
        alice.peer,
        LeaveReason.JOIN_FAILURE,
        False,
    )
    assert bob.peer.state == "active"
    with pytest.raises(LocalError):
        alice.peer.mark_joined()


def test_a_newer_peer_of_the_same_identity_replaces_the_older() -> None:
    world = World()
    older = world.join("alice")
    older.publish_camera()
    newer = world.join("alice")
    (left,) = world.heard(PeerLeft)
    assert (left.peer, left.reason) == (older.peer, LeaveReason.DUPLICATE_IDENTITY)
    assert world.room.peers[Identity("alice")] is newer.peer
    assert newer.peer.sid != older.peer.sid
    older.peer.leave(LeaveReason.CLIENT_INITIATED)  # its late leave must not touch the newer
    assert world.room.peers[Identity("alice")] is newer.peer
    assert len(world.heard(PeerLeft)) == 1
    assert world.room.tracks == {}


def test_a_full_room_refuses_people_but_not_egress_agents_or_returners() -> None:
    world = World()
    options = RoomOptions(max_participants=2)
    world.join("alice", options=options)
    world.join("agent", kind=PeerKind.AGENT)
    world.join("bob")
    world.join("egress", kind=PeerKind.EGRESS)
    with pytest.raises(RemoteError) as caught:
        world.join("carol")
    assert caught.value.code == "room_full"
    assert Identity("carol") not in world.room.peers
    world.join("bob")


def test_a_draining_engine_takes_nobody() -> None:
    world = World()
    world.engine.draining = True
    with pytest.raises(RemoteError) as caught:
        world.join("alice")
    assert caught.value.code == "draining"
    assert world.engine.rooms == {}


def test_a_room_that_nobody_joins_ends_after_the_empty_timeout() -> None:
    world = World()
    world.engine.create_room(ROOM, RoomOptions(empty_timeout=300, departure_timeout=20))
    world.advance(299)
    assert ROOM in world.engine.rooms
    world.advance(2)
    assert ROOM not in world.engine.rooms
    assert [event.reason for event in world.heard(RoomEnded)] == [LeaveReason.ROOM_CLOSED]


def test_a_room_that_all_left_ends_after_the_departure_timeout_agents_or_not() -> None:
    world = World()
    alice = world.join("alice")
    agent = world.join("agent", kind=PeerKind.AGENT)
    alice.peer.leave(LeaveReason.CLIENT_INITIATED)
    world.advance(19)
    assert ROOM in world.engine.rooms
    world.advance(2)
    assert ROOM not in world.engine.rooms
    assert agent.peer.state == "disconnected"
    assert world.heard(PeerLeft)[-1].reason is LeaveReason.ROOM_CLOSED
    assert world.plane.transports == {}


def test_somebody_coming_back_keeps_the_room() -> None:
    world = World()
    alice = world.join("alice")
    sid = world.room.sid
    alice.peer.leave(LeaveReason.CLIENT_INITIATED)
    world.advance(15)
    world.join("alice")
    world.advance(100)
    assert world.room.sid == sid


def test_deleting_a_room_ends_everybody_and_frees_the_name() -> None:
    world = World()
    world.join("alice")
    world.join("bob")
    sid = world.room.sid
    world.engine.delete_room(ROOM)
    kinds = [type(event) for event in world.heard(object)][-3:]
    assert kinds == [PeerLeft, PeerLeft, RoomEnded]
    assert {event.reason for event in world.heard(PeerLeft)} == {LeaveReason.ROOM_DELETED}
    assert world.engine.create_room(ROOM, RoomOptions()).sid != sid
    with pytest.raises(RemoteError) as caught:
        world.engine.delete_room(RoomName("other"))
    assert caught.value.code == "not_found"


def test_creating_an_existing_room_changes_what_is_not_default() -> None:
    world = World()
    room = world.engine.create_room(ROOM, RoomOptions(empty_timeout=60, metadata="first"))
    again = world.engine.create_room(ROOM, RoomOptions(max_participants=5))
    assert again is room
    assert (room.options.empty_timeout, room.options.max_participants) == (60, 5)
    assert room.metadata == "first"
    world.forget()
    world.engine.create_room(ROOM, RoomOptions(metadata="second"))
    assert room.metadata == "second"
    assert len(world.heard(RoomUpdated)) == 1


def test_counts_of_a_room_are_told_at_most_every_five_seconds() -> None:
    world = World()
    for number in range(10):
        world.join(f"p{number}")
    world.advance(4.9)
    assert world.heard(RoomUpdated) == []
    world.advance(0.2)
    assert len(world.heard(RoomUpdated)) == 1
    world.advance(60)
    assert len(world.heard(RoomUpdated)) == 1


def test_a_recorder_shows_in_the_room_while_it_is_there() -> None:
    world = World()
    world.join("alice")
    world.forget()
    recorder = world.join("rec", kind=PeerKind.EGRESS, permissions=Permissions(recorder=True))
    assert world.room.recording
    assert len(world.heard(RoomUpdated)) == 1
    recorder.peer.leave(LeaveReason.CLIENT_INITIATED)
    assert not world.room.recording
    assert len(world.heard(RoomUpdated)) == 2


def test_too_long_metadata_is_refused_and_changes_nothing() -> None:
    world = World()
    alice = world.join("alice")
    version = alice.peer.version
    changes: list[Callable[[], None]] = [
        lambda: world.room.set_metadata("x" * (MAX_METADATA_SIZE + 1)),
        lambda: alice.peer.update(metadata="x" * (MAX_METADATA_SIZE + 1)),
        lambda: alice.peer.update(name="x" * 257),
        lambda: alice.peer.update(attributes={"k": "x" * 65_536}),
    ]
    for change in changes:
        with pytest.raises(RemoteError) as caught:
            change()
        assert caught.value.code == "limit_exceeded"
    assert (world.room.metadata, alice.peer.metadata, alice.peer.name) == ("", "", "")
    assert alice.peer.version == version


def test_attributes_merge_and_an_empty_value_deletes() -> None:
    world = World()
    alice = world.join("alice")
    alice.peer.update(name="Alice", attributes={"a": "1", "b": "2"})
    alice.peer.update(attributes={"a": "", "c": "3"})
    assert alice.peer.attributes == {"b": "2", "c": "3"}
    assert alice.peer.name == "Alice"


def test_every_change_raises_the_version_and_bursts_are_told_once() -> None:
    world = World()
    alice = world.join("alice")
    world.forget()
    before = alice.peer.version
    alice.peer.update(metadata="one")
    alice.peer.update(metadata="two")
    assert alice.peer.version == before + 2
    assert len(world.heard(PeerUpdated)) == 1
    alice.peer.update(metadata="three")
    assert len(world.heard(PeerUpdated)) == 2


@pytest.mark.parametrize("which", [0, -1])
def test_a_lost_connection_is_told_and_its_peer_stays_five_seconds(which: int) -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.publish_camera()
    bob.negotiate()
    lost = alice.peer.connections[which]
    world.engine.handle_transport_closed(lost.transport, "consent_expired")
    world.engine.handle_transport_closed(lost.transport, "consent_expired")
    (failed,) = world.heard(ConnectionFailed)
    assert (failed.peer, failed.code) == (alice.peer, "consent_expired")
    assert alice.peer.failed
    assert camera.sid in world.room.tracks
    world.advance(4.9)
    assert alice.peer.state == "active"
    world.advance(0.2)
    (left,) = world.heard(PeerLeft)
    assert (left.reason, left.was_active) == (LeaveReason.CONNECTION_TIMEOUT, True)
    assert [event.publication for event in world.heard(TrackUnpublished)] == [camera]
    assert bob.legs() == []


def test_a_client_that_joins_anew_within_the_grace_takes_over() -> None:
    world = World()
    alice = world.join("alice")
    connection = alice.peer.connections[0]
    world.engine.handle_transport_closed(connection.transport, "peer_closed")
    newer = world.join("alice")
    world.advance(10)
    assert [event.reason for event in world.heard(PeerLeft)] == [LeaveReason.DUPLICATE_IDENTITY]
    assert newer.peer.state == "active"


def test_leaving_ends_tracks_first_and_says_whether_it_was_active() -> None:
    world = World()
    alice = world.join("alice")
    alice.publish_camera()
    alice.peer.announce(PublicationSpec("never", TrackKind.AUDIO))
    world.forget()
    alice.peer.leave(LeaveReason.CLIENT_INITIATED)
    alice.peer.leave(LeaveReason.SERVER_SHUTDOWN)
    kinds = [type(event) for event in world.heard(object)]
    assert kinds == [TrackUnpublished, PeerLeft]
    assert world.heard(PeerLeft)[0].was_active


def test_stopping_ends_all_rooms_with_server_shutdown() -> None:
    world = World()
    world.join("alice")
    world.engine.close()
    assert world.engine.rooms == {}
    assert world.heard(PeerLeft)[0].reason is LeaveReason.SERVER_SHUTDOWN
    assert world.plane.transports == {}


def test_nothing_remains_armed_after_the_last_room() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", single=True)
    alice.publish_camera()
    bob.publish_microphone()
    bob.peer.subscribe(["TR_unknown"])  # type: ignore[list-item]
    world.advance(1)
    world.engine.close()
    world.advance(30)
    assert world.engine.next_timeout() is None


def test_transports_are_spread_over_lanes_and_show_their_lanes_addresses() -> None:
    lanes = [[("10.0.0.1", 7882)], [("10.0.0.1", 7883)], [("10.0.0.1", 7884)]]
    world = World(lanes, announced={"10.0.0.1": ("203.0.113.5", "198.51.100.7")})
    for number in range(6):
        world.join(f"p{number}")
    used = [transport.lane for transport in world.plane.transports.values()]
    assert sorted(used) == [0, 0, 1, 1, 2, 2]
    spec = PeerSpec(identity=Identity("late"))
    world.room.peers[Identity("p0")].leave(LeaveReason.CLIENT_INITIATED)
    late = world.engine.join(ROOM, spec, RoomOptions())
    assert late.connections[0].lane == 0
    assert [line.split()[4:6] for line in late.candidates()] == [
        ["203.0.113.5", "7882"],
        ["198.51.100.7", "7882"],
    ]


def test_a_failed_peer_negotiates_no_more() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera()
    offer = alice.client.offer(*alice.sections)
    for connection in alice.peer.connections:
        world.engine.handle_transport_closed(connection.transport, "peer_closed")
    negotiations: list[Callable[[], object]] = [
        lambda: alice.peer.handle_offer(offer),
        alice.peer.create_offer,
        lambda: alice.peer.handle_answer("v=0"),
    ]
    for negotiate in negotiations:
        with pytest.raises(RemoteError) as caught:
            negotiate()
        assert caught.value.code == "connection_failed"
    alice.peer.restart_ice()
    alice.peer.set_muted(camera.sid, True)
    world.advance(10)
    assert world.engine.refusals == {}


def test_a_failing_listener_loses_no_further_event() -> None:
    world = World()
    woken: list[bool] = []
    heard: list[object] = []

    def fail_once(event: object) -> None:
        heard.append(event)
        if len(heard) == 1:
            raise ValueError("listener")

    world.engine.listen(fail_once)
    world.join("alice")
    world.engine.on_pending(lambda: woken.append(True))
    with pytest.raises(ValueError, match="listener"):
        world.engine.flush()
    assert woken == [True]
    world.engine.flush()
    kinds = [type(event) for event in heard if not isinstance(event, JoinProgressed)]
    assert kinds == [RoomStarted, PeerJoined, PeerUpdated, PeerActive]
