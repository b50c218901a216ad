"""Viewers that negotiate once: their sections stay while tracks come and go."""

import pytest

from common.ids import Identity
from sfu import Peer
from sfu.events import OfferNeeded, SectionsNeeded, SubscriptionFailed
from sfu.model import Description, LeaveReason, PeerSpec, Permissions, RoomOptions, View
from sfu.negotiation.parse import parse
from tests.support.descriptions import Client, Media
from tests.support.outcomes import refusal_of
from tests.support.world import ROOM, World

RECEIVING = (Media("audio", "0", "recvonly"), Media("video", "1", "recvonly"))


class Watching:
    """A viewer and its client."""

    def __init__(self, world: World, name: str = "eye", *, can_publish: bool = False) -> None:
        self.world = world
        self.sdp = Client(ufrag=f"uf{name}")
        spec = PeerSpec(
            identity=Identity(name),
            permissions=Permissions(hidden=True, can_publish=can_publish),
            single_connection=True,
            renegotiates=False,
        )
        self.peer: Peer = world.engine.join(ROOM, spec, RoomOptions())

    def offer(self, *media: Media) -> Description:
        return self.peer.handle_offer(self.sdp.offer(*(media or RECEIVING)))

    @property
    def shown(self) -> dict[int, str | None]:
        return {index: view.track for index, view in self.peer.views.items()}


def test_sections_send_from_the_start_and_name_their_ssrcs() -> None:
    world = World()
    answer = parse(Watching(world).offer().sdp)
    assert [one.direction for one in answer.sections] == ["sendonly", "sendonly"]
    audio, video = answer.sections
    assert (len(audio.ssrcs), audio.ssrc_groups) == (1, ())
    (group,) = video.ssrc_groups
    assert (group.semantics, group.ssrcs) == ("FID", tuple(ssrc for ssrc, _ in video.ssrcs))
    assert len({ssrc for one in answer.sections for ssrc, _ in one.ssrcs}) == 3
    streams = {stream for one in answer.sections for stream, _ in one.msids}
    assert streams == {world.room.sid}
    assert len({track for one in answer.sections for _, track in one.msids}) == 2
    assert all("stereo=1" in one.codecs[0].parameters for one in answer.sections[:1])


def test_sendrecv_of_somebody_who_may_not_publish_is_received_only() -> None:
    watching = Watching(World())
    answer = parse(watching.offer(Media("video", "0", "sendrecv", track="own")).sdp)
    assert answer.sections[0].direction == "sendonly"
    assert not watching.peer.publications


def test_what_is_published_is_shown_at_once() -> None:
    world = World()
    alice = world.join("alice")
    camera, microphone = alice.publish_camera(), alice.publish_microphone()
    watching = Watching(world)
    answer = watching.offer()
    assert answer.mid_to_track == {"0": microphone.sid, "1": camera.sid}
    assert watching.shown == {0: microphone.sid, 1: camera.sid}
    assert {leg.spec.mid for leg in world.plane.legs.values()} == {"0", "1"}


def test_a_later_track_is_shown_without_another_negotiation() -> None:
    world = World()
    watching = Watching(world)
    watching.offer()
    assert watching.peer.views == {0: View("audio", None), 1: View("video", None)}
    camera = world.join("alice").publish_camera()
    assert watching.shown == {0: None, 1: camera.sid}
    world.advance(60.0)
    eye = watching.peer
    assert not [one for one in world.heard(SectionsNeeded) if one.peer is eye]
    assert not [one for one in world.heard(OfferNeeded) if one.peer is eye]


def test_every_track_of_a_section_has_the_ssrcs_that_its_description_names() -> None:
    world = World()
    watching = Watching(world)
    (group,) = parse(watching.offer().sdp).sections[1].ssrc_groups
    for _ in range(3):
        alice = world.join("alice")
        camera = alice.publish_camera()
        (leg,) = world.plane.legs.values()
        assert (leg.spec.ssrc, leg.spec.rtx_ssrc) == group.ssrcs
        assert watching.shown[1] == camera.sid
        alice.peer.unpublish(camera.sid)
        assert watching.shown[1] is None
        assert not world.plane.legs


def test_a_track_without_room_takes_the_place_of_one_that_ends() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    first, second = alice.publish_camera(), bob.publish_camera()
    watching = Watching(world)
    watching.offer()
    assert watching.shown[1] == first.sid
    alice.peer.unpublish(first.sid)
    assert watching.shown[1] == second.sid


def test_whoever_is_seen_is_heard() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.publish_microphone()
    camera, voice = bob.publish_camera(), bob.publish_microphone()
    watching = Watching(world)
    watching.offer()
    assert watching.shown == {0: voice.sid, 1: camera.sid}


def test_a_track_goes_to_the_section_that_decodes_it() -> None:
    world = World()
    camera = world.join("alice").publish_camera()
    mime = camera.codec.upper()
    other = "AV1" if mime != "AV1" else "VP9"
    watching = Watching(world)
    watching.offer(
        Media("video", "0", "recvonly", only=(other,)),
        Media("video", "1", "recvonly", only=(mime,)),
    )
    assert watching.shown == {0: None, 1: camera.sid}


def test_a_track_that_nobody_there_decodes_is_refused_by_name() -> None:
    world = World()
    world.join("alice").publish_camera()
    watching = Watching(world)
    watching.offer(Media("video", "0", "recvonly", only=("AV1",)))
    failed = [one.code for one in world.heard(SubscriptionFailed) if one.peer is watching.peer]
    assert failed == ["codec_unsupported"]
    assert watching.shown == {0: None}


def test_an_offer_of_ours_has_every_codec_and_no_data() -> None:
    world = World()
    offer = parse(Watching(world).peer.create_offer().sdp)
    assert [(one.kind, one.direction) for one in offer.sections] == [
        ("audio", "sendonly"),
        ("video", "sendonly"),
    ]
    assert {codec.name for codec in offer.sections[1].codecs} >= {"VP8", "VP9", "H264", "AV1"}
    assert "red" not in {codec.name for codec in offer.sections[0].codecs}
    assert all(one.rtcp_mux_only for one in offer.sections)
    assert offer.sections[0].candidates
    assert [len(one.ssrcs) for one in offer.sections] == [1, 2]


@pytest.mark.parametrize("early", [True, False])
def test_an_answer_to_ours_shows_what_is_published(early: bool) -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera() if early else None
    watching = Watching(world)
    offer = watching.peer.create_offer()
    assert watching.peer.views == {}
    watching.peer.handle_answer(watching.sdp.answer(offer.sdp))
    camera = camera or alice.publish_camera()
    assert watching.shown == {0: None, 1: camera.sid}
    (connection,) = watching.peer.connections
    remote = world.plane.transports[connection.transport].remote
    assert remote is not None
    assert not remote.dtls_client


def test_ice_of_our_offer_restarts_by_the_viewers_fragment() -> None:
    world = World()
    watching = Watching(world)
    offer = watching.peer.create_offer()
    watching.peer.handle_answer(watching.sdp.answer(offer.sdp))
    before = watching.peer.ice_session
    again = watching.sdp.restarted()
    text = f"a=ice-ufrag:{again.ufrag}\r\na=ice-pwd:{again.pwd}\r\n"
    ours = watching.peer.handle_fragment(text)
    assert ours is not None
    assert watching.peer.ice_session != before
    (connection,) = watching.peer.connections
    assert world.plane.transports[connection.transport].restarts == 1
    assert watching.peer.handle_fragment(text) is None


def test_an_answer_that_nothing_waits_for_is_refused() -> None:
    watching = Watching(World())
    answer = watching.sdp.answer(watching.peer.create_offer().sdp)
    watching.peer.handle_answer(answer)
    assert refusal_of(watching.peer.handle_answer, answer) == "answer_unexpected"


def test_an_encoder_is_shown_nothing() -> None:
    world = World()
    world.join("alice").publish_camera()
    encoder = Watching(world, "encoder", can_publish=True)
    encoder.offer(Media("video", "0", "sendrecv", track="own"))
    assert encoder.peer.views == {}
    assert not world.plane.legs


def test_a_viewer_that_leaves_frees_everything() -> None:
    world = World()
    world.join("alice").publish_camera()
    watching = Watching(world)
    watching.offer()
    transports = len(world.plane.transports)
    watching.peer.leave(LeaveReason.CLIENT_INITIATED)
    assert len(world.plane.transports) == transports - 1
    assert not world.plane.legs
