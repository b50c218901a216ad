"""Who speaks and how good connections are, from what the data plane reports."""

from common.ids import LegId, TrackId
from sfu.dataplane import AudioLevel, LegStats, TrackStats, TransportStats
from sfu.events import ConnectionQuality, SpeakersChanged
from sfu.model import Quality
from sfu.publication import Publication
from tests.support.world import Member, World


def loud(publication: Publication, dbov: int = 15) -> AudioLevel:
    assert publication.track is not None
    return AudioLevel(publication.track, dbov, dbov, 10, 10)


def speakers(world: World) -> list[dict[str, float]]:
    return [
        {peer.identity: level for peer, level in event.speakers}
        for event in world.heard(SpeakersChanged)
    ]


def test_a_speaker_is_told_with_its_level_and_then_its_silence() -> None:
    world = World()
    alice = world.join("alice")
    microphone = alice.publish_microphone()
    world.engine.handle_audio_levels([loud(microphone)])
    world.advance(0.39)
    assert speakers(world) == []
    world.advance(0.02)
    assert speakers(world) == [{"alice": 0.125}]
    world.advance(0.4)
    assert speakers(world) == [{"alice": 0.125}, {"alice": 0.0}]
    world.forget()
    world.advance(30)
    assert speakers(world) == []


def test_rooms_hear_of_their_own_speakers() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    levels = [loud(alice.publish_microphone()), loud(bob.publish_microphone(), 5)]
    world.engine.handle_audio_levels(levels)
    world.advance(0.41)
    (changes,) = speakers(world)
    assert changes["bob"] > changes["alice"] > 0


def test_of_two_microphones_the_louder_counts() -> None:
    world = World()
    alice = world.join("alice")
    quiet, close = alice.publish_microphone("one"), alice.publish_microphone("two")
    world.engine.handle_audio_levels([loud(quiet, 30), loud(close, 3)])
    world.advance(0.41)
    louder = speakers(world)[-1]["alice"]
    assert louder > 0.3
    world.engine.handle_audio_levels([loud(quiet, 30)])
    world.advance(0.4)
    assert 0 < speakers(world)[-1]["alice"] < louder


def test_muting_silences_at_once_and_a_muted_track_is_not_heard() -> None:
    world = World()
    alice = world.join("alice")
    microphone = alice.publish_microphone()
    world.engine.handle_audio_levels([loud(microphone)])
    world.advance(0.41)
    alice.peer.set_muted(microphone.sid, True)
    assert speakers(world)[-1] == {"alice": 0.0}
    world.engine.handle_audio_levels([loud(microphone)])
    world.advance(1)
    assert len(speakers(world)) == 2


def test_an_ended_track_is_silent() -> None:
    world = World()
    alice = world.join("alice")
    microphone = alice.publish_microphone()
    world.engine.handle_audio_levels([loud(microphone)])
    world.advance(0.41)
    alice.peer.unpublish(microphone.sid)
    assert speakers(world)[-1] == {"alice": 0.0}
    assert microphone.track is None


def test_levels_of_unknown_tracks_are_ignored() -> None:
    world = World()
    world.join("alice")
    world.engine.handle_audio_levels([AudioLevel(TrackId(999), 0, 0, 10, 10)])
    world.advance(1)
    assert speakers(world) == []


class Link:
    """Feeds counters of one peer's transports, tracks and legs."""

    def __init__(self, world: World, member: Member) -> None:
        self.world = world
        self.member = member
        self.packets = 0
        self.lost = 0
        self.keepalives = 0

    def step(
        self, *, packets: int = 500, lost: int = 0, alive: bool = True, fraction: int = 0
    ) -> list[tuple[str, str]]:
        """Five seconds with these numbers; the words told in them."""
        self.packets += packets
        self.lost += lost
        self.keepalives += alive
        plane = self.world.plane
        for transport in plane.transports:
            plane.transport_stats[transport] = TransportStats(
                20_000, self.keepalives + self.packets, 0, 0, 0
            )
        for track in plane.tracks:
            plane.track_stats[track] = TrackStats(self.packets, 0, self.lost, 1000, ())
        for leg in plane.legs:
            plane.leg_stats[LegId(leg)] = LegStats(self.packets, 0, fraction, 20_000, 1000)
        self.world.forget()
        self.world.advance(5)
        return [
            (event.peer.identity, event.quality) for event in self.world.heard(ConnectionQuality)
        ]


def test_quality_is_told_when_it_changes() -> None:
    world = World()
    alice = world.join("alice")
    alice.publish_camera()
    link = Link(world, alice)
    link.step()
    assert link.step() == [("alice", "excellent")]
    assert link.step() == []
    assert link.step(lost=100) == [("alice", "poor")] or link.step(lost=100)
    assert world.engine.next_timeout() is not None


def test_a_lossy_downlink_is_the_subscribers_quality_not_the_publishers() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.publish_camera()
    bob.negotiate()
    link = Link(world, bob)
    link.step()
    link.step()
    told = link.step(fraction=64) + link.step(fraction=64)
    assert ("bob", "poor") in told
    assert not [one for one in told if one[0] == "alice"]


def test_lost_needs_a_publisher_from_whom_nothing_at_all_arrives() -> None:
    world = World()
    alice = world.join("alice")
    microphone = alice.publish_microphone()
    link = Link(world, alice)
    link.step()
    link.step()
    assert link.step(packets=0) == []  # its reports still arrive
    assert link.step(packets=0, alive=False) == [("alice", "lost")]
    assert link.step() != []
    alice.peer.set_muted(microphone.sid, True)
    assert ("alice", "lost") not in link.step(packets=0, alive=False)


def test_a_subscriber_that_sends_nothing_is_never_lost() -> None:
    world = World()
    bob = world.join("bob")
    link = Link(world, bob)
    words = [word for _ in range(4) for _, word in link.step(packets=0, alive=False)]
    assert words == ["excellent"]


def test_a_camera_that_dynacast_switched_off_is_not_missed() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera()
    link = Link(world, alice)
    for _ in range(4):
        assert ("alice", "lost") not in link.step()
    assert camera.dynacast.told is Quality.OFF
    assert link.step(packets=0, alive=False) == []
