"""The engine is what signalling asks for, as far as types and a first round of calls can tell."""

from sfu.ports import PeerPort, PublicationPort, RoomPort
from signalling.ports import Rooms
from tests.support.world import World


def test_the_engine_satisfies_what_signalling_asks_for() -> None:
    world = World()
    rooms: Rooms = world.engine
    member = world.join("alice")
    peer: PeerPort = member.peer
    publication: PublicationPort = member.publish_camera()
    room: RoomPort = world.room
    assert rooms.rooms[room.name] is room
    assert room.peers[peer.identity] is peer
    assert peer.publications[publication.sid] is publication
    assert rooms.channel_open(peer, "_reliable") is False
