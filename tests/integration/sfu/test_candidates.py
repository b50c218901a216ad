"""Which candidates a participant is told of, over UDP and over TCP."""

import pytest

from common.ids import Identity
from sfu.limits import MAX_OVER_TCP
from sfu.model import PeerSpec, RoomOptions
from sfu.negotiation.parse import parse
from sfu.peer import Peer
from tests.support.world import ROOM, World


def protocols(peer: Peer) -> list[str]:
    return [line.split()[2] for line in peer.candidates()]


def test_candidates_over_tcp_follow_with_announced_addresses() -> None:
    lane = [("10.0.0.1", 7882), ("2001:db8::1", 7882)]
    world = World([lane], {"10.0.0.1": ("203.0.113.5",)}, tcp=True)
    lines = world.join("alice").peer.candidates()
    assert [line.split()[2:6:2] for line in lines] == [
        ["udp", "203.0.113.5"],
        ["udp", "2001:db8::1"],
        ["tcp", "203.0.113.5"],
        ["tcp", "2001:db8::1"],
    ]
    assert all(line.endswith("7881 typ host tcptype passive") for line in lines[2:])


def test_who_asks_for_tcp_alone_gets_it_also_after_joining_anew() -> None:
    world = World(tcp=True)
    alice = world.join("alice").peer
    alice.prefer_tcp(True)
    assert protocols(alice) == ["tcp"]
    assert protocols(world.join("bob").peer) == ["udp", "tcp"]
    again = world.engine.join(ROOM, PeerSpec(identity=Identity("alice")), RoomOptions())
    assert protocols(again) == ["tcp"]
    again.prefer_tcp(False)
    assert protocols(again) == ["udp", "tcp"]


def test_a_server_without_tcp_does_not_leave_a_client_without_candidates() -> None:
    alice = World().join("alice").peer
    alice.prefer_tcp(True)
    assert protocols(alice) == ["udp"]


def test_the_list_of_those_who_want_tcp_is_bounded() -> None:
    room = World().join("alice").peer.room
    for number in range(MAX_OVER_TCP + 5):
        room.prefer_tcp(Identity(f"p{number}"), True)
    assert len(room.over_tcp) == MAX_OVER_TCP
    assert Identity("p4") not in room.over_tcp


@pytest.mark.parametrize("single", [True, False])
def test_every_description_shows_candidates_over_tcp(single: bool) -> None:
    world = World(tcp=True)
    alice, bob = world.join("alice", single=single), world.join("bob", single=single)
    alice.publish_camera()
    texts = [alice.peer.handle_offer(alice.client.offer(*alice.sections)).sdp]
    if not single:
        texts.append(bob.peer.create_offer().sdp)
    for text in texts:
        first = parse(text).sections[0]
        assert [line.split()[2] for line in first.candidates] == ["udp", "tcp"]
