"""How long joins and first packets took, and what is not counted as part of them."""

from sfu.events import JoinProgressed, MediaStarted
from sfu.limits import JOIN_WINDOW
from tests.support.world import World


def stages(world: World) -> list[tuple[str, float]]:
    return [(event.stage, round(event.seconds, 3)) for event in world.heard(JoinProgressed)]


def test_each_stage_of_a_join_is_told_once_with_the_time_since_the_peer_asked() -> None:
    world = World()
    alice = world.join("alice", connect=False)
    world.advance(0.2)
    transport = alice.peer.connections[0].transport
    for _ in range(2):
        world.engine.handle_transport_validated(transport)
    world.advance(0.1)
    alice.connect()
    assert stages(world) == [("answered", 0.0), ("validated", 0.2), ("connected", 0.3)]


def test_what_happens_long_after_a_join_is_not_its_time() -> None:
    world = World()
    alice = world.join("alice")
    transport = alice.peer.connections[0].transport
    before = stages(world)
    for _ in range(7):
        world.advance(JOIN_WINDOW / 6)
    world.engine.handle_transport_validated(transport)
    assert stages(world) == before


def test_the_first_packet_of_a_track_is_told_once() -> None:
    world = World()
    alice = world.join("alice")
    publication = alice.publish_microphone()
    assert publication.track is not None
    world.advance(0.5)
    for _ in range(2):
        world.engine.handle_stream_changed(publication.track, 0, True, "opus")
        world.engine.handle_stream_changed(publication.track, 0, False, "opus")
    (started,) = world.heard(MediaStarted)
    assert started.publication is publication
    assert round(started.seconds, 3) == 0.5
