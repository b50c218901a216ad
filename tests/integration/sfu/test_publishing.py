"""From announcement and offer to a published track, and to its end."""

import pytest

from common.errors import RemoteError
from sfu.events import PeerUpdated, TrackPublished, TrackUnpublished
from sfu.model import (
    LayerSpec,
    Permissions,
    PublicationSpec,
    Quality,
    TrackKind,
    TrackSource,
)
from sfu.negotiation import extensions
from sfu.negotiation.parse import parse
from tests.support.descriptions import Media
from tests.support.world import LAYERS, World


@pytest.mark.parametrize("single", [False, True])
def test_a_simulcast_camera_is_published_with_its_streams_from_low_to_high(single: bool) -> None:
    world = World()
    alice = world.join("alice", single=single)
    camera = alice.publish_camera(rids="f;h;q")
    assert camera.published
    assert camera.sid.startswith("TR_VC")
    assert camera.mime_type == "video/vp8"
    assert camera.rids == ("q", "h", "f")
    assert camera.layers == LAYERS
    spec = alice.track_of(camera).spec
    assert spec.mid == camera.mid
    assert [stream.rid for stream in spec.streams] == ["q", "h", "f"]
    vp8 = next(codec for codec in spec.codecs if codec.codec == "vp8")
    assert vp8 == (96, "vp8", 90_000, 97, True)
    assert [event.publication for event in world.heard(TrackPublished)] == [camera]


def test_the_answer_maps_the_clients_sections_in_single_mode() -> None:
    world = World()
    alice = world.join("alice", single=True)
    camera = alice.publish_camera()
    assert alice.last_answer is not None
    assert alice.last_answer.mid_to_track == {camera.mid: camera.sid}


def test_extension_ids_of_the_client_reach_the_data_plane() -> None:
    world = World()
    alice = world.join("alice")
    alice.publish_camera()
    transport = alice.peer.connections[0].transport
    assert (4, extensions.MID) in world.plane.transports[transport].extensions
    assert (10, extensions.RID) in world.plane.transports[transport].extensions


def test_paused_streams_are_published_too_and_stay_when_offered_again() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera(rids="q;h;f")
    before = alice.track_of(camera).spec
    alice.sections[-1] = Media("video", camera.mid, track="cam", rids="q;~h;~f")
    alice.offer()
    assert camera.published
    assert alice.track_of(camera).spec == before
    assert alice.track_of(camera).replaced == 0


def test_a_microphone_is_published_with_red_unless_disabled() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    microphone = alice.publish_microphone()
    assert microphone.sid.startswith("TR_AM")
    assert microphone.mime_type == "audio/opus"
    assert "red" in [codec.codec for codec in alice.track_of(microphone).spec.codecs]
    plain = bob.publish_microphone(disable_red=True)
    assert "red" not in [codec.codec for codec in bob.track_of(plain).spec.codecs]


def test_an_announcement_after_the_offer_finds_its_section() -> None:
    world = World()
    alice = world.join("alice")
    alice.offer(Media("video", "5", track="cam", rids="q;h;f"))
    assert world.plane.tracks == {}
    camera = alice.peer.announce(PublicationSpec("cam", TrackKind.VIDEO, layers=LAYERS))
    assert camera.published
    assert camera.mid == "5"
    assert len(world.plane.tracks) == 1


def test_a_simulcast_codec_cid_names_the_section() -> None:
    world = World()
    alice = world.join("alice")
    spec = PublicationSpec("other", TrackKind.VIDEO, codecs=(("video/VP9", "cam"), ("vp8", "")))
    camera = alice.peer.announce(spec)
    alice.offer(Media("video", "5", track="cam"))
    assert camera.published
    assert camera.mime_type == "video/vp9"
    assert camera.sdp_cid == ""


def test_a_rewritten_track_id_is_matched_by_kind_and_remembered() -> None:
    world = World()
    alice = world.join("alice")
    microphone = alice.peer.announce(PublicationSpec("mic", TrackKind.AUDIO))
    camera = alice.peer.announce(PublicationSpec("cam", TrackKind.VIDEO))
    alice.offer(
        Media("video", "0", track="{rewritten-1}"), Media("audio", "1", track="{rewritten-2}")
    )
    assert (camera.mid, camera.sdp_cid) == ("0", "{rewritten-1}")
    assert (microphone.mid, microphone.sdp_cid) == ("1", "{rewritten-2}")
    alice.offer()
    assert camera.published


def test_an_exact_match_wins_over_the_order_of_announcements() -> None:
    world = World()
    alice = world.join("alice")
    first = alice.peer.announce(PublicationSpec("one", TrackKind.VIDEO))
    second = alice.peer.announce(PublicationSpec("two", TrackKind.VIDEO))
    alice.offer(Media("video", "0", track="two"))
    assert second.mid == "0"
    assert not first.published
    alice.offer(Media("video", "1", track="one"))
    assert first.mid == "1"


def test_a_track_id_only_in_ssrc_lines_is_found() -> None:
    world = World()
    alice = world.join("alice")
    alice.offer()
    camera = alice.peer.announce(PublicationSpec("cam", TrackKind.VIDEO))
    alice.peer.announce(PublicationSpec("mic", TrackKind.AUDIO))
    text = alice.client.offer(Media("video", "5", ssrc=100))
    text += "a=ssrc:100 msid:stream cam\r\n"
    alice.peer.handle_offer(text)
    assert camera.sdp_cid == ""
    assert alice.track_of(camera).spec.streams == ((None, 100, 101),)


def test_an_old_simulcast_group_becomes_streams() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.peer.announce(PublicationSpec("cam", TrackKind.VIDEO))
    text = alice.client.offer(Media("video", "5", track="cam", ssrc=100))
    text += (
        "a=ssrc-group:FID 200 201\r\na=ssrc-group:FID 300 301\r\na=ssrc-group:SIM 100 200 300\r\n"
    )
    alice.peer.handle_offer(text)
    streams = alice.track_of(camera).spec.streams
    assert streams == ((None, 100, 101), (None, 200, 201), (None, 300, 301))


def test_two_backup_codecs_need_one_section_only() -> None:
    world = World()
    alice = world.join("alice")
    spec = PublicationSpec("cam", TrackKind.VIDEO, codecs=(("vp9", "cam"), ("vp8", "cam-backup")))
    camera = alice.peer.announce(spec)
    alice.offer(Media("video", "0", track="cam"))
    answer = alice.offer(Media("video", "1", track="cam-backup"))
    assert camera.mid == "0"
    assert [one.direction for one in parse(answer.sdp).sections] == ["recvonly", "inactive"]
    assert len(world.plane.tracks) == 1


def test_an_unknown_codec_becomes_vp8() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.peer.announce(
        PublicationSpec("cam", TrackKind.VIDEO, codecs=(("video/THEORA", "cam"),))
    )
    assert camera.spec.codecs == (("vp8", "cam"),)


def test_a_codec_that_differs_from_the_negotiated_one_is_told() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera(codec="vp9")
    assert camera.track is not None
    world.forget()
    world.engine.handle_stream_changed(camera.track, 0, True, "vp8")
    assert camera.mime_type == "video/vp8"
    assert world.heard(PeerUpdated)


@pytest.mark.parametrize("how", ["inactive", "recvonly", "ended", "gone", "other"])
def test_a_section_that_stops_sending_unpublishes_its_track(how: str) -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera()
    section = alice.sections.pop()
    if how in ("inactive", "recvonly"):
        alice.offer(Media("video", section.mid, how, track="cam"))
    elif how == "other":
        alice.offer(Media("video", section.mid, track="another"))
    elif how == "ended":
        text = alice.client.offer(section).replace("m=video 9", "m=video 0")
        alice.peer.handle_offer(text)
    else:
        alice.offer(Media("audio", "77", "recvonly"))
    assert [event.publication for event in world.heard(TrackUnpublished)] == [camera]
    assert not world.heard(TrackUnpublished)[0].by_server
    assert world.plane.tracks == {}
    assert not alice.peer.is_publisher
    assert camera.sid not in alice.peer.publications


def test_the_same_cid_can_be_published_again_after_its_end() -> None:
    world = World()
    alice = world.join("alice")
    first = alice.publish_camera()
    with pytest.raises(RemoteError) as caught:
        alice.peer.announce(PublicationSpec("cam", TrackKind.VIDEO))
    assert caught.value.code == "queued"
    section = alice.sections.pop()
    alice.offer(Media("video", section.mid, "inactive"))
    again = alice.publish_camera()
    assert again.published
    assert again.sid != first.sid


@pytest.mark.parametrize(
    ("permissions", "source", "allowed"),
    [
        (Permissions(can_publish=False), TrackSource.CAMERA, False),
        (
            Permissions(can_publish_sources=frozenset({TrackSource.MICROPHONE})),
            TrackSource.CAMERA,
            False,
        ),
        (
            Permissions(can_publish_sources=frozenset({TrackSource.CAMERA})),
            TrackSource.CAMERA,
            True,
        ),
    ],
)
def test_permissions_decide_about_sources(
    permissions: Permissions, source: TrackSource, allowed: bool
) -> None:
    world = World()
    alice = world.join("alice", permissions=permissions)
    spec = PublicationSpec("cam", TrackKind.VIDEO, source=source)
    if allowed:
        assert alice.peer.announce(spec).sid in alice.peer.publications
        return
    with pytest.raises(RemoteError) as caught:
        alice.peer.announce(spec)
    assert caught.value.code == "not_allowed"
    assert alice.peer.publications == {}


def test_media_without_permission_is_answered_inactive() -> None:
    world = World()
    alice = world.join("alice", permissions=Permissions(can_publish=False))
    answer = parse(alice.offer(Media("video", "0", track="cam")).sdp)
    assert answer.sections[0].direction == "inactive"


def test_a_twenty_first_pending_track_is_refused() -> None:
    world = World()
    alice = world.join("alice")
    for number in range(20):
        alice.peer.announce(PublicationSpec(f"cid{number}", TrackKind.AUDIO))
    with pytest.raises(RemoteError) as caught:
        alice.peer.announce(PublicationSpec("one more", TrackKind.AUDIO))
    assert caught.value.code == "limit_exceeded"


def test_mute_closes_the_gate_and_unmute_asks_for_key_frames() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera()
    version = alice.peer.version
    alice.peer.set_muted(camera.sid, True)
    assert not alice.track_of(camera).open
    assert alice.peer.version == version + 1
    alice.peer.set_muted(camera.sid, True)
    assert alice.peer.version == version + 1
    alice.peer.set_muted(camera.sid, False)
    assert alice.track_of(camera).open
    assert world.plane.keyframes == [(camera.track, stream) for stream in range(3)]


def test_a_track_announced_muted_starts_with_a_closed_gate() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera(muted=True)
    assert not alice.track_of(camera).open


def test_muting_an_unknown_track_is_not_found() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = bob.publish_camera()
    with pytest.raises(RemoteError) as caught:
        alice.peer.set_muted(camera.sid, True)
    assert caught.value.code == "not_found"


def test_new_facts_keep_what_the_track_is_matched_by() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera()
    alice.peer.update_publication(
        camera.sid,
        PublicationSpec(
            "hijack", TrackKind.AUDIO, width=640, height=360, layers=(LayerSpec(Quality.HIGH),)
        ),
    )
    assert (camera.spec.cid, camera.spec.kind) == ("cam", TrackKind.VIDEO)
    assert camera.spec.width == 640
    assert [layer.quality for layer in camera.layers] == [Quality.HIGH]


def test_the_server_can_end_a_track() -> None:
    world = World()
    alice = world.join("alice")
    camera = alice.publish_camera()
    alice.peer.unpublish(camera.sid)
    assert world.heard(TrackUnpublished)[0].by_server
    assert world.plane.tracks == {}


def test_losing_a_permission_ends_the_tracks_it_covered() -> None:
    world = World()
    alice = world.join("alice")
    camera, microphone = alice.publish_camera(), alice.publish_microphone()
    alice.peer.update(
        permissions=Permissions(can_publish_sources=frozenset({TrackSource.MICROPHONE}))
    )
    assert [event.publication for event in world.heard(TrackUnpublished)] == [camera]
    assert list(alice.peer.publications) == [microphone.sid]


def test_a_screen_share_says_so_to_the_data_plane() -> None:
    world = World()
    alice = world.join("alice")
    spec = PublicationSpec("scr", TrackKind.VIDEO, source=TrackSource.SCREEN_SHARE)
    screen = alice.peer.announce(spec)
    alice.offer(Media("video", "9", track="scr"))
    assert screen.sid.startswith("TR_VS")
    assert alice.track_of(screen).spec.screen


def test_a_forty_ninth_track_is_refused() -> None:
    world = World()
    alice = world.join("alice")
    for number in range(48):
        alice.publish_microphone(f"mic{number}")
    with pytest.raises(RemoteError) as caught:
        alice.publish_microphone("one more")
    assert caught.value.code == "limit_exceeded"
    assert len(world.plane.tracks) == 48


def test_sealed_audio_is_not_taken_as_red() -> None:
    world = World()
    alice = world.join("alice")
    microphone = alice.publish_microphone(encryption=1)  # type: ignore[arg-type]
    assert "red" not in [one.codec for one in alice.track_of(microphone).spec.codecs]
    assert microphone.spec.encryption == 1
