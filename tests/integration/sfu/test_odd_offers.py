"""Offers in orders and sizes that no browser of today writes: answered section by section, in bounded time."""

import re

import pytest

from common.clock import SystemClock
from common.errors import RemoteError
from sfu import Publication
from sfu.limits import MAX_SECTIONS
from sfu.model import PublicationSpec, TrackKind
from sfu.negotiation.parse import parse
from sfu.negotiation.sdp import Session
from tests.support.descriptions import Media
from tests.support.world import Member, World

MANY = 100
SECONDS = (
    2.0  # for an offer of a hundred sections on a busy machine; it takes some ten milliseconds
)
SECTIONS = re.compile(r"(?=^m=)", re.MULTILINE)


def reordered(text: str, *order: int) -> str:
    """The offer with its sections in another order, and the bundle as well."""
    head, *sections = SECTIONS.split(text)
    chosen = [sections[index] for index in order]
    mids = [found[1] for one in chosen if (found := re.search(r"^a=mid:(\S+)", one, re.M))]
    bundle = "a=group:BUNDLE " + " ".join(mids)
    return re.sub(r"^a=group:BUNDLE .*(?=\r)", bundle, head, flags=re.M) + "".join(chosen)


def rejected(text: str, mid: str) -> str:
    """The offer with one section ended: port 0 and outside of the bundle."""
    head, *sections = SECTIONS.split(text)
    head = re.sub(rf"(a=group:BUNDLE.*?) {mid}\b", r"\1", head)
    ended = [
        re.sub(r"^(m=\w+) \d+", r"\1 0", one) if f"a=mid:{mid}\r\n" in one else one
        for one in sections
    ]
    return head + "".join(ended)


def answered(member: Member, text: str) -> Session:
    return parse(member.peer.handle_offer(text).sdp)


def announced(member: Member) -> tuple[Publication, Publication]:
    camera = member.peer.announce(PublicationSpec("cam", TrackKind.VIDEO))
    microphone = member.peer.announce(PublicationSpec("mic", TrackKind.AUDIO))
    return camera, microphone


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (2, 0, 1), (1, 2, 0)])
def test_sections_may_come_in_any_order(order: tuple[int, ...], single: bool) -> None:
    world = World()
    alice = world.join("alice", single=single, connect=False)
    camera, microphone = announced(alice)
    media = (Media("audio", "a", track="mic"), Media("video", "v", track="cam"))
    text = reordered(alice.client.offer(*media, data="d"), *order)
    answer = answered(alice, text)
    assert [one.mid for one in answer.sections] == [one.mid for one in parse(text).sections]
    assert answer.bundle == parse(text).bundle
    assert (camera.published, camera.mid) == (True, "v")
    assert (microphone.published, microphone.mid) == (True, "a")
    data = answer.section("d")
    assert data is not None
    assert data.sctp_port == 5000
    # Transport facts stand in each, candidates in the first that lives.
    assert [bool(one.candidates) for one in answer.sections] == [True, False, False]


@pytest.mark.parametrize("ended", ["1", "2", "3"])
def test_sections_that_ended_stay_where_they_are(ended: str) -> None:
    world = World()
    alice = world.join("alice", connect=False)
    camera = alice.peer.announce(PublicationSpec("cam", TrackKind.VIDEO))
    kinds = ("audio", "video", "audio", "video")
    media = [Media(kind, str(mid), "inactive") for mid, kind in enumerate(kinds)]
    media.append(Media("video", "4", track="cam"))
    answer = answered(alice, rejected(alice.client.offer(*media), ended))
    assert [one.mid for one in answer.sections] == ["0", "1", "2", "3", "4"]
    assert [one.mid for one in answer.sections if one.rejected] == [ended]
    assert ended not in answer.bundle
    assert camera.published


def test_the_place_of_a_section_that_ended_is_used_again_for_another_kind() -> None:
    """RFC 9429 section 5.2.2: a new section takes the place of one with port 0, under a new mid."""
    world = World()
    alice = world.join("alice", connect=False)
    camera, microphone = announced(alice)
    first = (Media("video", "0", track="cam"), Media("audio", "1", track="mic"))
    answered(alice, alice.client.offer(*first))
    ended = answered(alice, rejected(alice.client.offer(*first), "0"))
    assert ended.sections[0].rejected
    assert not camera.published
    assert microphone.published
    again = alice.peer.announce(PublicationSpec("mic2", TrackKind.AUDIO))
    second = (Media("audio", "2", track="mic2"), Media("audio", "1", track="mic"))
    reused = answered(alice, alice.client.offer(*second))
    assert [(one.kind, one.mid, one.rejected) for one in reused.sections] == [
        ("audio", "2", False),
        ("audio", "1", False),
    ]
    assert (again.published, again.mid) == (True, "2")
    assert microphone.published


@pytest.mark.parametrize("single", [True, False])
def test_a_hundred_sections_are_answered_in_bounded_time(single: bool) -> None:
    world = World()
    alice = world.join("alice", single=single, connect=False)
    kinds = ("audio", "video")
    media = [Media(kinds[n % 2], str(n), "recvonly") for n in range(MANY)]
    text = alice.client.offer(*media)
    clock = SystemClock()
    started = clock.now()
    answer = answered(alice, text)
    assert clock.now() - started < SECONDS
    assert len(answer.sections) == len(answer.bundle) == MANY


@pytest.mark.parametrize("single", [True, False])
def test_an_offer_beyond_the_bound_is_refused_and_changes_nothing(single: bool) -> None:
    world = World()
    alice = world.join("alice", single=single)
    camera = alice.publish_camera()
    media = [Media("audio", str(n), "recvonly") for n in range(MAX_SECTIONS + 1)]
    with pytest.raises(RemoteError) as refused:
        alice.peer.handle_offer(alice.client.offer(*media))
    assert refused.value.code == "sdp_limits"
    assert camera.published


def test_of_a_storm_of_offers_the_last_one_counts() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.publish_camera()
    world.advance(1)
    bob.negotiate()
    before = len(world.plane.tracks)
    for _ in range(100):
        alice.sections[-1] = Media("video", camera.mid, "inactive")
        alice.offer()
        alice.peer.announce(PublicationSpec("cam", TrackKind.VIDEO))
        alice.sections[-1] = Media("video", camera.mid, track="cam")
        alice.offer()
    world.advance(1)
    live = list(alice.peer.publisher.publications.values())
    assert len(live) == 1
    assert live[0].published
    assert len(world.plane.tracks) == before
    bob.negotiate()
    assert len(bob.legs()) == 1


def test_offers_of_both_sides_that_cross_are_both_answered() -> None:
    """Two connections, so there is no glare: each side answers the other's offer and keeps its own."""
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.publish_camera()
    world.advance(1)
    ours = bob.peer.create_offer()
    microphone = bob.publish_microphone()
    assert microphone.published
    bob.peer.handle_answer(bob.client.answer(ours.sdp))
    assert len(bob.legs()) == 1
    assert microphone.published
    world.advance(1)
    assert len(alice.peer.subscriber.subscriptions) == 1


def test_an_offer_that_crosses_a_request_for_sections_is_answered_and_asked_again() -> None:
    """One connection: only the client offers; its offer of now cannot have the sections that we want since."""
    world = World()
    bob = world.join("bob", single=True)
    bob.sections = [one for one in bob.sections if one.kind != "video"]
    bob.offer()
    alice = world.join("alice", single=True)
    alice.publish_camera()
    world.advance(0.5)
    microphone = bob.publish_microphone()  # its offer crosses our request
    assert microphone.published
    assert bob.legs() == []
    bob.sections.append(Media("video", "90", "recvonly"))
    bob.offer()
    assert len(bob.legs()) == 1
    assert microphone.published
