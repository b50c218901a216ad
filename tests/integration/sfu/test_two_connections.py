"""Subscribing where the server offers on a connection of its own."""

import pytest

from common.errors import RemoteError
from sfu.events import ConnectionFailed, OfferNeeded, SubscriptionFailed, TrackSubscribed
from sfu.model import LeaveReason, PeerState, Permissions
from sfu.negotiation import extensions
from sfu.negotiation.parse import parse
from tests.support.world import World


def test_the_first_offer_carries_the_data_channels_even_with_nothing_to_receive() -> None:
    world = World()
    alice = world.join("alice", connect=False)
    world.advance(0.01)
    assert [event.peer for event in world.heard(OfferNeeded)] == [alice.peer]
    offer = parse(alice.peer.create_offer().sdp)
    assert [section.kind for section in offer.sections] == ["application"]
    (transport,) = world.plane.transports.values()
    assert [tuple(channel) for channel in transport.channels] == [
        ("_reliable", True, None),
        ("_lossy", False, 0),
        ("_data_track", False, 0),
    ]


def test_existing_tracks_are_in_the_first_offer() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera()
    bob = world.join("bob", connect=False)
    offer = bob.negotiate()
    video = offer.sections[1]
    assert video.direction == "sendonly"
    assert video.msids == ((f"{alice.peer.sid}|{camera.sid}", camera.sid),)
    assert len(video.ssrcs) == 2
    assert extensions.DEPENDENCY_DESCRIPTOR in {one.uri for one in video.extensions}
    assert offer.ice_lite
    assert video.transport.setup == "actpass"


def test_a_leg_starts_with_the_answer_and_carries_what_was_agreed() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.publish_camera()
    assert bob.legs() == []
    assert bob.settle() == 1
    leg = bob.leg_of(camera)
    assert leg.spec.payloads == ((96, 96, 97, False),)
    assert leg.spec.cname == alice.peer.sid
    assert leg.spec.extensions[0] == (1, extensions.MID)
    assert leg.target == (2, 3)
    assert list(bob.peer.subscribed_tracks) == [camera.sid]
    assert len(world.heard(TrackSubscribed)) == 0  # forgotten by settle
    remote = world.plane.transports[leg.spec.transport].remote
    assert remote is not None
    assert not remote.dtls_client
    assert remote.sctp == (5000, 65_535)


def test_the_publisher_hears_once_of_its_first_real_subscriber() -> None:
    world = World()
    alice = world.join("alice")
    hidden = world.join("hidden", permissions=Permissions(hidden=True))
    bob, carol = world.join("bob"), world.join("carol")
    camera = alice.publish_camera()
    world.forget()
    hidden.negotiate()
    assert world.heard(TrackSubscribed) == []
    bob.negotiate()
    carol.negotiate()
    assert [event.publication for event in world.heard(TrackSubscribed)] == [camera]
    assert world.heard(TrackSubscribed)[0].peer is alice.peer


def test_a_burst_of_tracks_makes_one_offer() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    world.advance(1)
    world.forget()
    alice.publish_camera()
    alice.publish_microphone()
    assert world.heard(OfferNeeded) == []
    world.advance(0.011)
    assert len([one for one in world.heard(OfferNeeded) if one.peer is bob.peer]) == 1
    assert len(bob.negotiate().sections) == 3


def test_a_further_offer_waits_150_ms() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    world.advance(1)
    alice.publish_camera()
    world.advance(0.011)
    bob.negotiate()
    alice.publish_microphone()
    world.forget()
    world.advance(0.1)
    assert world.heard(OfferNeeded) == []
    world.advance(0.06)
    assert len(world.heard(OfferNeeded)) == 1


def test_what_changes_during_a_round_makes_the_next_one() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.publish_camera()
    first = bob.peer.create_offer()
    microphone = alice.publish_microphone()
    world.forget()
    world.advance(1)
    assert world.heard(OfferNeeded) == []
    bob.peer.handle_answer(bob.client.answer(first.sdp))
    assert list(bob.peer.subscribed_tracks) == [camera.sid]
    world.advance(0.2)
    assert len(world.heard(OfferNeeded)) == 1
    bob.negotiate()
    assert set(bob.peer.subscribed_tracks) == {camera.sid, microphone.sid}


def test_an_offer_without_answer_fails_after_15_seconds() -> None:
    world = World()
    bob = world.join("bob", connect=False)
    bob.peer.create_offer()
    world.advance(14.9)
    assert world.heard(ConnectionFailed) == []
    world.advance(0.2)
    assert [event.code for event in world.heard(ConnectionFailed)] == ["negotiation_timeout"]
    assert bob.peer.failed
    world.advance(5)
    assert bob.peer.state is PeerState.DISCONNECTED


def test_an_unexpected_answer_is_ignored_and_counted() -> None:
    world = World()
    bob = world.join("bob")
    assert bob.last_offer is not None
    bob.peer.handle_answer(bob.client.answer(bob.last_offer.sdp))
    assert world.engine.refusals["answer_unexpected"] == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("a=mid:1", "a=mid:9"), "sdp_malformed"),
        (("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "sdp_profile"),
        (("sha-256", "md5"), "sdp_no_fingerprint"),
        (("v=0", "w=0"), "sdp_malformed"),
    ],
)
def test_a_refused_answer_changes_nothing_and_a_good_one_may_follow(
    change: tuple[str, str], code: str
) -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.publish_camera()
    offer = bob.peer.create_offer()
    answer = bob.client.answer(offer.sdp)
    assert change[0] in answer
    with pytest.raises(RemoteError) as caught:
        bob.peer.handle_answer(answer.replace(*change))
    assert caught.value.code == code
    assert bob.legs() == []
    bob.peer.handle_answer(answer)
    assert list(bob.peer.subscribed_tracks) == [camera.sid]


def test_another_certificate_in_the_middle_is_refused() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.publish_camera()
    bob.client.fingerprint = ":".join(["CD"] * 32)
    offer = bob.peer.create_offer()
    with pytest.raises(RemoteError) as caught:
        bob.peer.handle_answer(bob.client.answer(offer.sdp))
    assert caught.value.code == "sdp_fingerprint_changed"


def test_a_subscriber_without_the_codec_is_told_and_the_wish_survives() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.publish_camera(codec="av1", rids="")
    world.forget()
    bob.negotiate(codecs=("VP8", "rtx"))
    (failed,) = world.heard(SubscriptionFailed)
    assert (failed.peer, failed.track, failed.code) == (
        bob.peer,
        camera.sid,
        "codec_unsupported",
    )
    assert bob.legs() == []
    assert camera.track is not None
    world.engine.handle_stream_changed(camera.track, 0, True, "vp8")
    assert bob.settle() >= 1
    assert list(bob.peer.subscribed_tracks) == [camera.sid]


def test_a_refused_section_is_not_used_again() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.publish_camera()
    bob.negotiate(refuse="1")
    alice.publish_camera("cam2")
    world.advance(1)
    offer = bob.negotiate()
    assert [(one.mid, one.port) for one in offer.sections] == [("0", 9), ("1", 0), ("2", 9)]
    assert offer.bundle == ("0", "2")
    assert len(bob.legs()) == 1


def test_a_freed_section_is_reused_only_after_it_was_inactive_for_both() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    first = alice.publish_camera("one")
    bob.settle()
    ssrc = bob.leg_of(first).spec.ssrc
    bob.peer.unsubscribe([first.sid])
    assert bob.legs() == []
    second = alice.publish_camera("two")
    world.advance(1)
    offer = bob.negotiate()
    assert [one.direction for one in offer.sections[1:]] == ["inactive", "sendonly"]
    bob.settle()
    bob.peer.unsubscribe([second.sid])
    bob.settle()
    bob.peer.subscribe([first.sid])
    world.advance(1)
    offer = bob.negotiate()
    assert [one.direction for one in offer.sections[1:]] == ["sendonly", "inactive"]
    assert bob.leg_of(first).spec.mid == "1"
    assert bob.leg_of(first).spec.ssrc != ssrc


def test_a_section_freed_before_it_was_ever_offered_is_free_at_once() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    first = alice.publish_camera("one")
    bob.peer.unsubscribe([first.sid])
    alice.publish_camera("two")
    world.advance(1)
    assert len(bob.negotiate().sections) == 2


def test_safari_gets_a_new_section_for_every_track() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", browser="Safari")
    first = alice.publish_camera("one")
    bob.settle()
    bob.peer.unsubscribe([first.sid])
    bob.settle()
    bob.peer.subscribe([first.sid])
    world.advance(1)
    assert [one.direction for one in bob.negotiate().sections[1:]] == ["inactive", "sendonly"]


def test_a_track_that_ends_while_offered_gets_no_leg() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.publish_camera()
    offer = bob.peer.create_offer()
    alice.peer.unpublish(camera.sid)
    bob.peer.handle_answer(bob.client.answer(offer.sdp))
    assert bob.legs() == []
    world.forget()
    world.advance(1)
    assert len(world.heard(OfferNeeded)) >= 1
    assert bob.negotiate().sections[1].direction == "inactive"


def test_red_is_offered_to_those_who_take_it_and_stripped_for_others() -> None:
    world = World()
    alice = world.join("alice")
    chrome, firefox = world.join("chrome"), world.join("firefox", browser="Firefox")
    microphone = alice.publish_microphone()
    for member in (chrome, firefox):
        member.negotiate()
    assert set(chrome.leg_of(microphone).spec.payloads) == {
        (63, 63, None, False),
        (111, 111, None, False),
    }
    assert set(firefox.leg_of(microphone).spec.payloads) == {
        (63, 111, None, True),
        (111, 111, None, False),
    }


def test_stereo_is_announced_in_the_offer() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.publish_microphone(stereo=True)
    audio = bob.negotiate().sections[1]
    opus = next(codec for codec in audio.codecs if codec.name == "opus")
    assert "sprop-stereo=1" in opus.parameters


def test_a_hundred_tracks_are_received_on_a_hundred_sections() -> None:
    world = World()
    bob = world.join("bob")
    for number in range(50):
        member = world.join(f"p{number}", auto=False)
        member.publish_camera()
        member.publish_microphone()
    world.advance(1)
    offer = bob.negotiate()
    assert len(offer.sections) == 101
    assert len(bob.legs()) == 100
    ssrcs = [ssrc for section in offer.sections for ssrc, _ in section.ssrcs]
    assert len(set(ssrcs)) == len(ssrcs) == 150


def test_a_resume_restarts_ice_with_the_next_offer_and_voids_the_old_one() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.publish_camera()
    lost = bob.peer.create_offer()
    bob.peer.restart_ice()
    transport = bob.peer.connections[-1].transport
    assert world.plane.transports[transport].restarts == 1
    bob.peer.handle_answer(bob.client.answer(lost.sdp))
    assert world.engine.refusals["answer_unexpected"] == 1
    world.forget()
    world.advance(0.2)
    assert len(world.heard(OfferNeeded)) == 1
    bob.client = bob.client.restarted()
    offer = bob.negotiate()
    assert offer.sections[1].transport.ufrag == world.plane.transports[transport].ufrag
    assert list(bob.peer.subscribed_tracks) == [camera.sid]
    remote = world.plane.transports[transport].remote
    assert remote is not None
    assert remote.ufrag.endswith("2")


def test_a_lost_offer_does_not_fail_a_resumed_connection() -> None:
    world = World()
    bob = world.join("bob")
    bob.peer.create_offer()
    world.advance(10)
    bob.peer.restart_ice()
    world.advance(10)
    assert world.heard(ConnectionFailed) == []


def test_who_may_not_subscribe_has_no_subscriber_connection_until_allowed() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera()
    bob = world.join("bob", permissions=Permissions(can_subscribe=False))
    assert not bob.peer.subscriber_primary
    assert bob.peer.state is PeerState.ACTIVE
    assert len(bob.peer.connections) == 1
    with pytest.raises(RemoteError) as caught:
        bob.peer.create_offer()
    assert caught.value.code == "no_subscriber_connection"
    bob.peer.update(permissions=Permissions())
    bob.settle()
    assert list(bob.peer.subscribed_tracks) == [camera.sid]
    bob.peer.update(permissions=Permissions(can_subscribe=False))
    assert bob.legs() == []


def test_leaving_takes_transports_tracks_and_legs_along() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.publish_camera()
    bob.publish_microphone()
    alice.settle()
    bob.settle()
    alice.peer.leave(LeaveReason.CLIENT_INITIATED)
    assert bob.legs() == []
    assert all(one.spec.kind == "audio" for one in world.plane.tracks.values())
    bob.peer.leave(LeaveReason.CLIENT_INITIATED)
    assert world.plane.transports == {}
    assert world.plane.tracks == {}
    assert world.plane.legs == {}
