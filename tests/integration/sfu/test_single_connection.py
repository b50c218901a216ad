"""Subscribing where the client makes all the offers."""

from sfu.events import SectionsNeeded, SubscriptionFailed
from sfu.model import PeerState
from sfu.negotiation import extensions
from sfu.negotiation.parse import parse
from tests.support.descriptions import Media
from tests.support.world import World


def test_existing_tracks_are_in_the_first_answer() -> None:
    world = World()
    alice = world.join("alice")
    camera, microphone = alice.publish_camera(), alice.publish_microphone()
    bob = world.join("bob", single=True)
    assert bob.peer.state is PeerState.ACTIVE
    assert bob.last_answer is not None
    assert bob.last_answer.mid_to_track == {"0": microphone.sid, "3": camera.sid}
    answer = parse(bob.last_answer.sdp)
    assert [one.direction for one in answer.sections[:6]] == [
        "sendonly",
        "inactive",
        "inactive",
        "sendonly",
        "inactive",
        "inactive",
    ]
    assert answer.sections[3].msids == ((f"{alice.peer.sid}|{camera.sid}", camera.sid),)
    assert len(bob.legs()) == 2
    assert bob.leg_of(camera).spec.extensions[0] == (3, extensions.TRANSPORT_CC)


def test_a_new_track_with_a_section_to_spare_only_needs_an_offer() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", single=True)
    world.advance(1)
    world.forget()
    camera = alice.publish_camera()
    world.advance(0.011)
    (needed,) = world.heard(SectionsNeeded)
    assert (needed.peer, needed.audios, needed.videos) == (bob.peer, 0, 0)
    assert bob.offer().mid_to_track == {"3": camera.sid}


def test_missing_sections_are_asked_for_beyond_those_at_hand_and_asked_for() -> None:
    world = World()
    bob = world.join("bob", single=True)
    members = [world.join(f"p{number}", auto=False) for number in range(6)]
    world.advance(1)
    world.forget()
    for member in members[:5]:
        member.publish_camera()
    world.advance(0.011)
    assert [(one.audios, one.videos) for one in world.heard(SectionsNeeded)] == [(0, 2)]
    members[5].publish_camera()
    world.advance(1)
    assert len(world.heard(SectionsNeeded)) == 1  # the client is about to offer
    bob.offer(*(Media("video", str(7 + n), "recvonly") for n in range(2)))
    assert len(bob.legs()) == 5
    world.advance(1)
    assert [(one.audios, one.videos) for one in world.heard(SectionsNeeded)] == [(0, 2), (0, 1)]
    bob.offer(Media("video", "9", "recvonly"))
    assert len(bob.legs()) == 6


def test_a_request_that_the_client_ignores_is_repeated_and_fails_nobody() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", single=True)
    world.advance(1)
    world.forget()
    alice.publish_camera()
    world.advance(16)
    assert len(world.heard(SectionsNeeded)) == 2
    assert not bob.peer.failed


def test_nothing_is_asked_for_before_the_first_offer() -> None:
    world = World()
    alice = world.join("alice")
    world.join("bob", single=True, connect=False)
    alice.publish_camera()
    world.advance(10)
    assert world.heard(SectionsNeeded) == []


def test_every_answer_lists_all_mappings_and_repeating_an_offer_changes_nothing() -> None:
    world = World()
    alice = world.join("alice")
    camera, microphone = alice.publish_camera(), alice.publish_microphone()
    bob = world.join("bob", single=True)
    first = bob.last_answer
    legs = set(world.plane.legs)
    own = bob.publish_camera()
    assert bob.last_answer is not None
    assert first is not None
    assert bob.last_answer.mid_to_track == {
        **first.mid_to_track,
        own.mid: own.sid,
    }
    again = bob.offer()
    assert again.mid_to_track == bob.last_answer.mid_to_track
    assert set(world.plane.legs) == legs
    assert set(bob.peer.subscribed_tracks) == {camera.sid, microphone.sid}


def test_a_freed_section_becomes_inactive_and_then_serves_another_track() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", single=True)
    tracks = [alice.publish_camera(f"cam{number}") for number in range(3)]
    bob.offer()
    bob.peer.unsubscribe([tracks[0].sid])
    assert len(bob.legs()) == 2
    world.forget()
    fourth = alice.publish_camera("cam3")
    world.advance(1)
    (needed,) = world.heard(SectionsNeeded)
    assert (needed.audios, needed.videos) == (0, 0)
    answer = bob.offer()
    assert parse(answer.sdp).sections[3].direction == "inactive"
    assert fourth.sid not in answer.mid_to_track.values()
    world.advance(1)
    assert len(world.heard(SectionsNeeded)) == 2
    assert bob.offer().mid_to_track["3"] == fourth.sid


def test_a_section_that_the_client_takes_away_sends_its_track_elsewhere() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", single=True)
    camera = alice.publish_camera()
    bob.offer()
    assert bob.leg_of(camera).spec.mid == "3"
    bob.sections[3] = Media("video", "3", "inactive")
    bob.offer()
    assert bob.leg_of(camera).spec.mid == "4"


def test_a_client_without_the_codec_is_told() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", single=True)
    camera = alice.publish_camera(codec="av1", rids="")
    bob.sections = [Media("video", "3", "recvonly", only=("VP8",))]
    bob.offer()
    (failed,) = world.heard(SubscriptionFailed)
    assert (failed.track, failed.code) == (camera.sid, "codec_unsupported")
    assert bob.legs() == []


def test_payload_types_are_the_subscribers_own() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", single=True, connect=False)
    camera = alice.publish_camera()
    bob.sections = [Media("video", "0", "recvonly")]
    text = bob.client.offer(*bob.sections)
    for old, new in ((" 96 ", " 77 "), (":96 ", ":77 "), ("apt=96", "apt=77")):
        text = text.replace(old, new)
    bob.peer.handle_offer(text)
    assert (96, 77, 97, False) in bob.leg_of(camera).spec.payloads


def test_an_offer_without_media_is_answered() -> None:
    world = World()
    bob = world.join("bob", single=True, connect=False)
    bob.data = "0"
    answer = parse(bob.offer().sdp)
    assert [section.kind for section in answer.sections] == ["application"]


def test_new_credentials_of_the_client_restart_our_end_too() -> None:
    world = World()
    bob = world.join("bob", single=True)
    transport = bob.peer.connections[0].transport
    before = world.plane.transports[transport].ufrag
    bob.client = bob.client.restarted()
    answer = parse(bob.offer().sdp)
    after = world.plane.transports[transport].ufrag
    assert after != before
    assert answer.sections[0].transport.ufrag == after
    assert answer.sections[0].transport.setup == "passive"
    assert world.plane.transports[transport].restarts == 1
    bob.offer()
    assert world.plane.transports[transport].restarts == 1


def test_an_offer_that_wants_us_active_gets_its_wish_for_life() -> None:
    world = World()
    bob = world.join("bob", single=True, connect=False)
    bob.client.setup = "passive"
    bob.connect()
    transport = bob.peer.connections[0].transport
    remote = world.plane.transports[transport].remote
    assert remote is not None
    assert remote.dtls_client
    bob.client.setup = "actpass"
    assert parse(bob.offer().sdp).sections[0].transport.setup == "active"


def test_a_request_that_a_broken_socket_swallowed_is_repeated_at_once_with_the_resume() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", single=True)
    world.advance(1)
    world.forget()
    for number in range(4):
        alice.publish_camera(f"cam{number}")
    world.advance(0.011)
    bob.peer.ask_again()
    world.advance(0.151)
    assert [(one.audios, one.videos) for one in world.heard(SectionsNeeded)] == [(0, 1), (0, 1)]
    bob.offer(Media("video", "7", "recvonly"))
    bob.peer.ask_again()
    world.forget()
    world.advance(1)
    assert world.heard(SectionsNeeded) == []
