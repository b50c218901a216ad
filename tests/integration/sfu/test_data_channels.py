"""Data channels of both modes: who opened them, who can be reached, what is dropped."""

import pytest

from sfu.dataplane import ChannelSpec
from sfu.events import ChannelsReady, DataReceived
from sfu.limits import MAX_CHANNEL_LABEL, MAX_CHANNELS, MAX_MESSAGE_SIZE
from sfu.model import LeaveReason, Permissions
from tests.support.world import Member, World

RELIABLE = ChannelSpec("_reliable", True, None)


def test_two_connections_send_on_ours_and_receive_on_the_clients() -> None:
    world = World()
    alice = world.join("alice")
    alice.data = "0"
    alice.offer()
    publisher, subscriber = alice.peer.connections
    world.engine.handle_channel_opened(publisher.transport, 1, RELIABLE)
    assert not world.engine.channel_open(alice.peer, "_reliable")
    assert world.heard(ChannelsReady) == []
    world.engine.handle_channel_opened(subscriber.transport, 4, RELIABLE)
    assert world.engine.channel_open(alice.peer, "_reliable")
    assert [event.label for event in world.heard(ChannelsReady)] == ["_reliable"]
    world.engine.handle_channel_message(publisher.transport, 1, b"hello")
    (received,) = world.heard(DataReceived)
    assert (received.peer, received.label, received.data) == (alice.peer, "_reliable", b"hello")
    world.engine.send_data([alice.peer], "_reliable", b"answer")
    assert world.plane.sent == [(((subscriber.transport, 4),), b"answer")]


@pytest.mark.parametrize("single", [True, False])
def test_one_connection_replies_on_the_clients_own_channels(single: bool) -> None:
    world = World()
    permissions = Permissions(can_subscribe=single)
    alice = world.join("alice", single=single, permissions=permissions)
    alice.open_channels("_lossy", "_reliable")
    assert [event.label for event in world.heard(ChannelsReady)] == ["_lossy", "_reliable"]
    world.engine.send_data([alice.peer], "_reliable", b"x")
    (connection,) = alice.peer.connections
    assert world.plane.sent == [(((connection.transport, 3),), b"x")]


def everybody(world: World, count: int) -> list[Member]:
    members = [world.join(f"p{number}", single=bool(number % 2)) for number in range(count)]
    for member in members:
        member.open_channels("_reliable")
    return members


def test_a_message_to_many_is_one_command() -> None:
    world = World()
    members = everybody(world, 20)
    world.engine.send_data((member.peer for member in members), "_reliable", b"x")
    ((to, data),) = world.plane.sent
    assert len(to) == 20
    assert data == b"x"


def test_unreachable_peers_are_skipped_and_counted() -> None:
    world = World()
    members = everybody(world, 3)
    members[0].peer.leave(LeaveReason.CLIENT_INITIATED)
    closed = members[1].peer.connections[-1]
    world.engine.handle_channel_closed(closed.transport, 1)
    world.engine.send_data([member.peer for member in members], "_reliable", b"x")
    assert [len(to) for to, _ in world.plane.sent] == [1]
    assert world.engine.refusals["data_no_channel"] == 2
    world.engine.send_data([members[2].peer], "_lossy", b"x")
    assert len(world.plane.sent) == 1
    assert not world.engine.channel_open(members[0].peer, "_reliable")
    assert not world.engine.channel_open(members[1].peer, "_reliable")


def test_messages_on_unknown_channels_and_too_large_ones_are_dropped_and_counted() -> None:
    world = World()
    (alice,) = everybody(world, 1)
    transport = alice.peer.connections[-1].transport
    world.engine.handle_channel_message(transport, 99, b"x")
    world.engine.handle_channel_message(transport, 1, b"x" * (MAX_MESSAGE_SIZE + 1))
    assert world.engine.refusals["data_unknown_channel"] == 1
    assert world.engine.refusals["data_too_large"] == 1
    assert world.heard(DataReceived) == []
    world.engine.handle_channel_message(transport, 1, b"x" * MAX_MESSAGE_SIZE)
    assert len(world.heard(DataReceived)) == 1


def test_channels_are_bounded_in_number_and_name() -> None:
    world = World()
    alice = world.join("alice", single=True)
    (connection,) = alice.peer.connections
    for number in range(MAX_CHANNELS + 1):
        channel = ChannelSpec(f"channel {number}", True, None)
        world.engine.handle_channel_opened(connection.transport, number, channel)
    long = ChannelSpec("x" * (MAX_CHANNEL_LABEL + 1), True, None)
    world.engine.handle_channel_opened(connection.transport, 500, long)
    assert world.engine.refusals["channel_limit"] == 2
    assert len(world.heard(ChannelsReady)) == MAX_CHANNELS


def test_a_channel_opened_again_replaces_the_first() -> None:
    world = World()
    alice = world.join("alice", single=True)
    (connection,) = alice.peer.connections
    world.engine.handle_channel_opened(connection.transport, 1, RELIABLE)
    world.engine.handle_channel_opened(connection.transport, 7, RELIABLE)
    world.engine.handle_channel_closed(connection.transport, 1)
    world.engine.send_data([alice.peer], "_reliable", b"x")
    assert world.plane.sent == [(((connection.transport, 7),), b"x")]


def test_news_of_a_transport_that_is_gone_change_nothing() -> None:
    world = World()
    alice = world.join("alice", single=True)
    (connection,) = alice.peer.connections
    alice.peer.leave(LeaveReason.CLIENT_INITIATED)
    world.forget()
    engine, transport = world.engine, connection.transport
    engine.handle_transport_connected(transport, "AEAD_AES_128_GCM")
    engine.handle_transport_closed(transport, "peer_closed")
    engine.handle_channel_opened(transport, 1, RELIABLE)
    engine.handle_channel_message(transport, 1, b"x")
    engine.handle_channel_closed(transport, 1)
    assert world.heard(object) == []
    assert world.engine.refusals["data_unknown_channel"] == 1
