"""Wishes, rules of publishers, layers, dynacast."""

import pytest

from common.errors import RemoteError
from common.ids import Identity, TrackSid
from sfu.events import QualityWanted, SubscriptionAllowed, SubscriptionFailed
from sfu.limits import MAX_TRACK_GRANTS, MAX_TRACK_SETTINGS, MAX_WISHES
from sfu.model import (
    Permissions,
    PublicationSpec,
    Quality,
    TrackGrant,
    TrackKind,
    TrackSettings,
)
from sfu.publication import Publication
from tests.support.descriptions import Media
from tests.support.world import LAYERS, Member, World


def pair(**facts: bool) -> tuple[World, Member, Member, Publication]:
    """Alice publishes a camera, Bob has negotiated."""
    world = World()
    alice, bob = world.join("alice"), world.join("bob", **facts)  # type: ignore[arg-type]
    camera = alice.publish_camera()
    bob.settle()
    return world, alice, bob, camera


def test_nobody_receives_own_tracks() -> None:
    world = World()
    alice = world.join("alice")
    alice.publish_camera()
    alice.settle()
    alice.peer.subscribe(alice.peer.publications)
    alice.settle()
    assert alice.legs() == []


def test_without_auto_subscribe_only_wishes_count() -> None:
    world, alice, bob, camera = pair(auto=False)
    microphone = alice.publish_microphone()
    bob.settle()
    assert bob.legs() == []
    bob.peer.subscribe([camera.sid])
    bob.peer.subscribe([camera.sid])
    bob.settle()
    assert list(bob.peer.subscribed_tracks) == [camera.sid]
    bob.peer.unsubscribe([camera.sid])
    bob.peer.unsubscribe([camera.sid, microphone.sid])
    bob.settle()
    assert bob.legs() == []
    assert len(world.plane.legs) == 0


def test_a_refused_track_stays_refused_in_auto_mode() -> None:
    _, alice, bob, camera = pair()
    bob.peer.unsubscribe([camera.sid])
    alice.publish_microphone()
    bob.settle()
    assert camera.sid not in bob.peer.subscribed_tracks
    bob.peer.subscribe([camera.sid])
    bob.settle()
    assert camera.sid in bob.peer.subscribed_tracks


def test_a_wish_for_a_track_to_come_is_kept() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", auto=False)
    announced = alice.peer.announce(PublicationSpec("cam", TrackKind.VIDEO))
    bob.peer.subscribe([announced.sid])
    world.advance(10)
    alice.offer(Media("video", "0", track="cam"))
    bob.settle()
    assert list(bob.peer.subscribed_tracks) == [announced.sid]
    world.advance(100)
    assert world.heard(SubscriptionFailed) == []


def test_a_track_that_never_comes_is_told_after_a_minute() -> None:
    world = World()
    bob = world.join("bob", auto=False)
    bob.peer.subscribe([TrackSid("TR_missing")])
    world.advance(59)
    assert world.heard(SubscriptionFailed) == []
    world.advance(2)
    (failed,) = world.heard(SubscriptionFailed)
    assert (failed.peer, failed.track, failed.code) == (
        bob.peer,
        "TR_missing",
        "track_not_found",
    )


def test_taking_a_wish_back_stops_the_wait() -> None:
    world = World()
    bob = world.join("bob", auto=False)
    bob.peer.subscribe([TrackSid("TR_missing")])
    bob.peer.unsubscribe([TrackSid("TR_missing")])
    world.advance(120)
    assert world.heard(SubscriptionFailed) == []


def test_wishes_and_settings_are_bounded_and_counted() -> None:
    world = World()
    bob = world.join("bob", auto=False)
    bob.peer.subscribe(TrackSid(f"TR_{number}") for number in range(MAX_WISHES + 3))
    assert world.engine.refusals["wish_limit"] == 3
    for number in range(MAX_TRACK_SETTINGS + 2):
        bob.peer.set_track_settings(TrackSid(f"TR_{number}"), TrackSettings())
    assert world.engine.refusals["track_settings_limit"] == 2


def test_rules_of_a_publisher_open_and_close_its_tracks() -> None:
    world, alice, bob, camera = pair()
    carol = world.join("carol")
    carol.negotiate()
    world.forget()
    alice.peer.set_track_grants(False, [TrackGrant(Identity("carol"), all_tracks=True)])
    (told,) = world.heard(SubscriptionAllowed)
    assert (told.peer, told.publisher, told.track, told.allowed) == (
        bob.peer,
        alice.peer,
        camera.sid,
        False,
    )
    assert bob.legs() == []
    assert len(carol.legs()) == 1
    alice.peer.set_track_grants(
        False, [TrackGrant(Identity("bob"), tracks=frozenset({camera.sid}))]
    )
    assert [(one.peer, one.allowed) for one in world.heard(SubscriptionAllowed)[1:]] == [
        (bob.peer, True),
        (carol.peer, False),
    ]
    bob.settle()
    assert len(bob.legs()) == 1
    alice.peer.set_track_grants(True, [])
    carol.settle()
    assert len(carol.legs()) == 1


def test_recorders_are_exempt_from_the_rules() -> None:
    world, alice, bob, camera = pair()
    recorder = world.join("recorder", permissions=Permissions(recorder=True, hidden=True))
    recorder.negotiate()
    alice.peer.set_track_grants(False, [])
    assert bob.legs() == []
    assert list(recorder.peer.subscribed_tracks) == [camera.sid]


def test_rules_apply_to_tracks_and_peers_to_come() -> None:
    world = World()
    alice = world.join("alice")
    alice.peer.set_track_grants(False, [])
    camera = alice.publish_camera()
    bob = world.join("bob")
    bob.settle()
    assert bob.legs() == []
    alice.peer.set_track_grants(True, [])
    bob.settle()
    assert list(bob.peer.subscribed_tracks) == [camera.sid]


def test_too_many_rules_are_refused() -> None:
    world = World()
    alice = world.join("alice")
    grants = [TrackGrant(Identity(str(n))) for n in range(MAX_TRACK_GRANTS + 1)]
    with pytest.raises(RemoteError) as caught:
        alice.peer.set_track_grants(False, grants)
    assert caught.value.code == "limit_exceeded"


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        (TrackSettings(quality=Quality.LOW), (0, 3)),
        (TrackSettings(quality=Quality.MEDIUM), (1, 3)),
        (TrackSettings(width=640, height=360), (1, 3)),
        (TrackSettings(width=1920, height=1080), (2, 3)),
        (TrackSettings(fps=7), (2, 0)),
        (TrackSettings(disabled=True), None),
    ],
)
def test_settings_choose_the_layer(settings: TrackSettings, target: tuple[int, int] | None) -> None:
    _, _, bob, camera = pair()
    bob.peer.set_track_settings(camera.sid, settings)
    assert bob.leg_of(camera).target == target


def test_settings_given_before_the_subscription_count() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", auto=False)
    camera = alice.publish_camera()
    bob.peer.set_track_settings(camera.sid, TrackSettings(quality=Quality.LOW))
    bob.peer.subscribe([camera.sid])
    bob.settle()
    assert bob.leg_of(camera).target == (0, 3)


def test_an_adaptive_client_starts_low() -> None:
    _, _, bob, camera = pair(adaptive=True)
    assert bob.leg_of(camera).target == (0, 3)


def test_targets_follow_the_streams_that_arrive() -> None:
    world, _, bob, camera = pair()
    assert camera.track is not None
    for stream, active, target in [
        (0, True, (0, 3)),
        (1, True, (1, 3)),
        (2, True, (2, 3)),
        (2, False, (1, 3)),
        (1, False, (0, 3)),
        (0, False, (2, 3)),  # nothing arrives: the wish stands
    ]:
        world.engine.handle_stream_changed(camera.track, stream, active, "vp8")
        assert bob.leg_of(camera).target == target


def test_a_scalable_stream_offers_its_spatial_layers() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.publish_camera(codec="vp9", rids="")
    bob.settle()
    assert camera.track is not None
    world.engine.handle_stream_changed(camera.track, 0, True, "vp9")
    assert bob.leg_of(camera).target == (2, 3)
    bob.peer.set_track_settings(camera.sid, TrackSettings(quality=Quality.MEDIUM))
    assert bob.leg_of(camera).target == (1, 3)


def test_what_is_on_the_wire_is_known() -> None:
    world, _, bob, camera = pair()
    subscription = bob.peer.subscriber.subscriptions[camera.sid]
    assert subscription.leg is not None
    world.engine.handle_leg_changed(subscription.leg, 1)
    assert subscription.current == 1


def wanted(world: World) -> list[Quality]:
    return [event.codecs[0][1] for event in world.heard(QualityWanted)]


def test_dynacast_lowers_after_five_seconds_and_raises_at_once() -> None:
    world, _, bob, camera = pair()
    bob.peer.set_track_settings(camera.sid, TrackSettings(quality=Quality.LOW))
    world.advance(4.9)
    assert wanted(world) == []
    world.advance(0.2)
    assert wanted(world) == [Quality.LOW]
    (event,) = world.heard(QualityWanted)
    assert event.codecs == (("vp8", Quality.LOW),)
    bob.peer.set_track_settings(camera.sid, TrackSettings(quality=Quality.HIGH))
    assert wanted(world) == [Quality.LOW, Quality.HIGH]


def test_dynacast_follows_the_most_demanding_subscriber() -> None:
    world, _, bob, camera = pair()
    carol = world.join("carol")
    carol.negotiate()
    bob.peer.set_track_settings(camera.sid, TrackSettings(quality=Quality.LOW))
    world.advance(10)
    assert wanted(world) == []
    carol.peer.unsubscribe([camera.sid])
    world.advance(5.1)
    assert wanted(world) == [Quality.LOW]
    bob.peer.set_track_settings(camera.sid, TrackSettings(disabled=True))
    world.advance(5.1)
    assert wanted(world) == [Quality.LOW, Quality.OFF]


def test_a_track_that_nobody_can_watch_is_switched_off_after_ten_seconds() -> None:
    world = World()
    alice = world.join("alice")
    alice.publish_camera()
    alice.publish_microphone()
    world.advance(9.9)
    assert wanted(world) == []
    world.advance(0.2)
    assert wanted(world) == [Quality.OFF]  # of the camera; audio is never switched off


def test_streams_of_an_old_simulcast_group_are_chosen_among() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.peer.announce(PublicationSpec("cam", TrackKind.VIDEO, layers=LAYERS))
    text = alice.client.offer(Media("video", "5", track="cam", ssrc=100))
    alice.peer.handle_offer(text + "a=ssrc-group:SIM 100 200 300\r\n")
    bob.settle()
    assert bob.leg_of(camera).target == (2, 3)
    bob.peer.set_track_settings(camera.sid, TrackSettings(quality=Quality.LOW))
    assert bob.leg_of(camera).target == (0, 3)


def test_layers_inside_the_first_of_three_negotiated_streams_can_be_chosen() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.publish_camera(codec="vp9")
    bob.settle()
    assert camera.track is not None
    world.engine.handle_stream_changed(camera.track, 0, True, "vp9")
    assert bob.leg_of(camera).target == (2, 3)


def test_a_stream_per_layer_is_simulcast_whatever_the_codec() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.publish_camera(codec="vp9", one_stream_per_layer=True)
    bob.settle()
    assert camera.track is not None
    world.engine.handle_stream_changed(camera.track, 0, True, "vp9")
    assert bob.leg_of(camera).target == (0, 3)


def test_a_subscriber_without_room_for_another_section_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sfu.slots.MAX_SECTIONS", 3)
    world = World()
    alice = world.join("alice")
    world.join("bob")
    for number in range(3):
        alice.publish_microphone(f"mic{number}")
    assert [event.code for event in world.heard(SubscriptionFailed)] == ["unknown"]
    assert world.engine.refusals["section_limit"] == 1
