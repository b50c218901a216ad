"""Data packets between participants of a room."""

from livekit.protocol import models, rtc

from sfu import events
from signalling.data import LOSSY, RELIABLE
from tests.support.stage import Client, Stage


def connected(stage: Stage, identity: str) -> Client:
    client = stage.active(identity)
    for label in (RELIABLE, LOSSY):
        client.double.open_channel(label)
    stage.rooms.flush()
    return client


def say(client: Client, sequence: int = 0, label: str = RELIABLE, **fields: object) -> None:
    message = models.UserPacket(payload=b"%d" % sequence)
    packet = models.DataPacket(sequence=sequence, user=message, **fields)  # type: ignore[arg-type]
    room = client.double.room
    client.stage.rooms.emit(
        events.DataReceived, room, client.double, label, packet.SerializeToString()
    )
    client.stage.rooms.flush()


def received(stage: Stage, client: Client) -> list[int]:
    """Sequences that arrived at a client."""
    return [
        models.DataPacket.FromString(data).sequence
        for sid, _, data in stage.rooms.sent
        if sid == client.peer.sid
    ]


def test_data_reach_everybody_else_on_the_channel_they_came_on() -> None:
    stage = Stage()
    alice, bob, carol = (connected(stage, name) for name in ("alice", "bob", "carol"))
    say(alice, 1)
    say(alice, 2, LOSSY)
    assert received(stage, bob) == received(stage, carol) == [1, 2]
    assert received(stage, alice) == []
    assert [label for sid, label, _ in stage.rooms.sent if sid == bob.peer.sid] == [RELIABLE, LOSSY]


def test_repeated_sequences_are_dropped_and_counted() -> None:
    stage = Stage()
    alice, bob = connected(stage, "alice"), connected(stage, "bob")
    for sequence in (1, 2, 2, 1, 3):
        say(alice, sequence)
    assert received(stage, bob) == [1, 2, 3]
    assert stage.refusals == {"data_repeated": 2}
    assert alice.double.last_data_sequence == 3


def test_a_newcomer_gets_what_was_said_since_it_joined_once_and_in_order() -> None:
    stage = Stage()
    alice = connected(stage, "alice")
    say(alice, 1)
    stage.clock.advance(0.5)
    bob = stage.active("bob")
    say(alice, 2)
    say(alice, 3)
    say(alice, 4, destination_identities=["carol"])
    assert received(stage, bob) == []
    bob.double.open_channel(RELIABLE)
    stage.rooms.flush()
    say(alice, 5)
    assert received(stage, bob) == [2, 3, 5]
    bob.double.open_channel(RELIABLE)
    stage.rooms.flush()
    assert received(stage, bob) == [2, 3, 5]


def test_old_packets_are_not_replayed() -> None:
    stage = Stage()
    alice, bob = connected(stage, "alice"), stage.active("bob")
    say(alice, 1)
    stage.clock.advance(10.1)
    bob.double.open_channel(RELIABLE)
    stage.rooms.flush()
    assert received(stage, bob) == []


def test_what_is_not_kept_for_a_channel_that_opens_late_is_counted() -> None:
    stage = Stage()
    alice, bob = connected(stage, "alice"), stage.active("bob")
    say(alice, 1, LOSSY)
    assert stage.refusals == {"data_channel_not_open": 1}
    stage.clock.advance(9.9)
    say(alice, 2)
    for label in (LOSSY, RELIABLE):
        bob.double.open_channel(label)
    stage.rooms.flush()
    say(alice, 3, LOSSY)
    assert received(stage, bob) == [2, 3]
    assert stage.refusals == {"data_channel_not_open": 1}


def test_a_resumed_client_gets_what_it_missed_of_each_sender() -> None:
    stage = Stage()
    alice, bob, carol = (connected(stage, name) for name in ("alice", "bob", "carol"))
    for sequence in (1, 2, 3):
        say(alice, sequence)
        say(carol, sequence)
    bob.disconnect()
    stage.rooms.sent.clear()
    back = stage.resume(bob)
    state = rtc.DataChannelReceiveState(publisher_sid=alice.peer.sid, last_seq=1)
    back.send(sync_state=rtc.SyncState(datachannel_receive_states=[state]))
    assert received(stage, bob) == [2, 3]


def test_a_peer_without_signalling_counts_by_its_channel() -> None:
    stage = Stage()
    alice, bob = connected(stage, "alice"), connected(stage, "bob")
    del stage.hub.members[bob.peer.sid]  # as one that came by another door
    say(alice, 1)
    assert received(stage, bob) == [1]


def test_data_without_permission_are_dropped_by_name() -> None:
    stage = Stage()
    mute = stage.active("mute", video={"canPublishData": False})
    bob = connected(stage, "bob")
    say(mute, 1)
    assert received(stage, bob) == []
    assert stage.refusals == {"data_not_allowed": 1}


def test_a_repeated_nonce_is_delivered_once() -> None:
    stage = Stage()
    alice, bob = connected(stage, "alice"), connected(stage, "bob")
    user = models.UserPacket(payload=b"x", nonce=b"n" * 16)
    data = models.DataPacket(user=user).SerializeToString()
    for _ in range(2):
        stage.rooms.emit(events.DataReceived, alice.double.room, alice.double, LOSSY, data)
    stage.rooms.flush()
    assert len(received(stage, bob)) == 1
    assert stage.refusals == {"data_nonce_repeated": 1}
