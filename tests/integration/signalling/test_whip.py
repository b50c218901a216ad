"""RFC 9725, section by section, over HTTP and real rooms."""

import json
import re
from typing import Any

import pytest

from common.ids import Identity
from sfu.events import PeerLeft, TrackPublished
from sfu.model import (
    LeaveReason,
    PeerKind,
    PeerState,
    Quality,
    TrackKind,
    TrackSource,
)
from sfu.negotiation.parse import parse
from signalling.limits import MAX_OFFER
from tests.support.descriptions import Media
from tests.support.http_call import (
    CAMERA,
    MICROPHONE,
    SDP,
    WHIP,
    HttpCall,
    code_of,
    publish,
    published,
)

pytestmark = pytest.mark.anyio


# -- 4.1: HTTP usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_4_1_reading_an_endpoint_or_a_session_succeeds_without_content(method: str) -> None:
    call = HttpCall()
    location, _ = await published(call)
    for path in (WHIP, location):
        response = await call.http.request(method, path, headers=call.bearer())
        assert (response.status_code, response.content) == (204, b"")


async def test_4_1_errors_are_problem_details_with_a_stable_code() -> None:
    call = HttpCall()
    response = await call.post(WHIP, "v=0\r\nnonsense")
    assert code_of(response) == (400, "sdp_malformed")
    assert json.loads(response.content)["title"] == "Bad Request"
    assert call.refusals["whip_sdp_malformed"] == 1


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_4_1_other_methods_are_refused_with_those_that_exist(method: str) -> None:
    call = HttpCall()
    response = await call.http.request(method, WHIP, headers=call.bearer())
    assert code_of(response) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST, GET, HEAD, OPTIONS"
    location, _ = await published(call)
    response = await call.http.request("POST", location, headers=call.bearer())
    assert response.headers["allow"] == "PATCH, DELETE, GET, HEAD, OPTIONS"
    assert call.refusals["whip_method_not_allowed"] == 2


# -- 4.2: ingest session set-up -----------------------------------------------------------------------


async def test_4_2_a_post_with_an_offer_is_answered_by_a_new_session_and_an_answer() -> None:
    call = HttpCall()
    response = await publish(call)
    assert response.status_code == 201
    assert response.headers["content-type"] == SDP
    assert response.headers["location"] == f"{WHIP}/{call.peer().sid}"
    answer = parse(response.text)
    assert [(one.mid, one.kind, one.direction) for one in answer.sections] == [
        ("0", "audio", "recvonly"),
        ("1", "video", "recvonly"),
    ]


async def test_4_2_every_section_is_published_at_once_as_camera_and_microphone() -> None:
    call = HttpCall()
    await publish(call)
    tracks = call.peer().publications.values()
    assert {(one.spec.kind, one.spec.source, one.published) for one in tracks} == {
        (TrackKind.AUDIO, TrackSource.MICROPHONE, True),
        (TrackKind.VIDEO, TrackSource.CAMERA, True),
    }
    assert len(call.world.heard(TrackPublished)) == 2
    assert call.peer().state is PeerState.JOINED


async def test_4_2_the_participant_is_what_its_token_says() -> None:
    call = HttpCall()
    headers = call.bearer("studio", kind="ingress", name="Studio 1", metadata="m")
    await publish(call, headers=headers)
    peer = call.peer("studio")
    assert (peer.kind, peer.name, peer.metadata) == (PeerKind.INGRESS, "Studio 1", "m")
    assert not peer.permissions.can_subscribe


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/json"])
async def test_4_2_another_content_type_is_refused(media_type: str) -> None:
    call = HttpCall()
    response = await publish(call, media_type=media_type)
    assert code_of(response) == (415, "content_type")
    assert not call.world.engine.rooms


async def test_4_2_parameters_of_the_content_type_are_no_reason_to_refuse() -> None:
    assert (
        await publish(HttpCall(), media_type="Application/SDP; charset=utf-8")
    ).status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "sdp_malformed"),
        (b"hello", 400, "sdp_malformed"),
        (b"v=0\r\n\xff", 400, "sdp_malformed"),
        (b"v=0\r\n" + b"a=x\r\n" * (MAX_OFFER // 5), 413, "body_too_long"),
        (b"v=0\r\na=" + b"x" * 10_000, 400, "sdp_limits"),
        (b"v=0\r\ns=-\r\n", 422, "nothing_offered"),
    ],
)
async def test_4_2_a_malformed_offer_is_refused(body: bytes, status: int, code: str) -> None:
    call = HttpCall()
    assert code_of(await call.post(WHIP, body)) == (status, code)
    assert not call.world.engine.rooms
    assert call.refusals == {f"whip_{code}": 1}


async def test_4_2_a_body_that_does_not_say_its_length_is_cut_off_at_the_bound() -> None:
    call = HttpCall()

    async def endless() -> Any:
        for _ in range(MAX_OFFER // 1000 + 2):
            yield b"a" * 1000

    headers = {"Content-Type": SDP, **call.bearer()}
    response = await call.http.post(WHIP, content=endless(), headers=headers)
    assert code_of(response) == (413, "body_too_long")


@pytest.mark.parametrize("direction", ["recvonly", "inactive"])
async def test_4_2_sections_that_do_not_send_are_refused(direction: str) -> None:
    call = HttpCall()
    media = Media("video", "1", direction, track="cam")
    assert code_of(await publish(call, MICROPHONE, media)) == (422, "sdp_direction")


async def test_4_2_sendrecv_is_taken_and_answered_recvonly() -> None:
    response = await publish(HttpCall(), Media("audio", "0", "sendrecv", track="mic"))
    assert [one.direction for one in parse(response.text).sections] == ["recvonly"]


async def test_4_2_delete_ends_the_session_and_frees_the_media_server() -> None:
    call = HttpCall()
    location, _ = await published(call)
    peer = call.peer()
    assert (await call.http.delete(location, headers=call.bearer())).status_code == 200
    assert peer.state is PeerState.DISCONNECTED
    assert not call.world.plane.transports
    assert not call.world.plane.tracks
    assert [one.reason for one in call.world.heard(PeerLeft)] == [LeaveReason.CLIENT_INITIATED]
    response = await call.http.delete(location, headers=call.bearer())
    assert code_of(response) == (404, "session_unknown")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("consent_expired", LeaveReason.CONNECTION_TIMEOUT),
        ("handshake_failed", LeaveReason.CONNECTION_TIMEOUT),
        ("fingerprint_mismatch", LeaveReason.CONNECTION_TIMEOUT),
        ("peer_closed", LeaveReason.CLIENT_INITIATED),
    ],
)
async def test_4_2_the_session_ends_with_its_consent_or_dtls(
    code: str, reason: LeaveReason
) -> None:
    call = HttpCall()
    location, _ = await published(call)
    (connection,) = call.peer().connections
    call.world.engine.handle_transport_connected(connection.transport, "AES")
    assert call.peer().state is PeerState.ACTIVE
    call.world.engine.handle_transport_closed(connection.transport, code)
    assert [one.reason for one in call.world.heard(PeerLeft)] == [reason]
    response = await call.http.get(location, headers=call.bearer())
    assert code_of(response) == (404, "session_unknown")


async def test_4_2_whoever_never_connects_is_removed() -> None:
    call = HttpCall()
    await publish(call)
    call.world.advance(61.0)
    assert [one.reason for one in call.world.heard(PeerLeft)] == [LeaveReason.JOIN_FAILURE]


async def test_4_2_options_tell_what_post_takes() -> None:
    call = HttpCall()
    response = await call.http.options(WHIP)
    assert (response.status_code, response.headers["accept-post"]) == (200, SDP)


async def test_4_2_a_preflight_allows_the_request_and_tells_what_post_takes() -> None:
    call = HttpCall()
    asks = {
        "Origin": "https://studio.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,if-match",
    }
    for path in (WHIP, f"{WHIP}/PA_x"):
        response = await call.http.options(path, headers=asks)
        assert (response.status_code, response.headers["accept-post"]) == (200, SDP)
        assert response.headers["access-control-allow-origin"] == "https://studio.example"
        assert {"POST", "PATCH", "DELETE"} <= set(
            response.headers["access-control-allow-methods"].split(", ")
        )
        assert "if-match" in response.headers["access-control-allow-headers"]


async def test_4_2_scripts_may_read_the_headers_of_the_answer() -> None:
    call = HttpCall()
    headers = {"Origin": "https://studio.example", **call.bearer()}
    response = await publish(call, headers=headers)
    assert response.headers["access-control-allow-origin"] == "https://studio.example"
    assert response.headers["access-control-expose-headers"] == "*"


# -- 4.4: constraints ------------------------------------------------------------------------------------


async def test_4_4_1_media_shares_one_bundle_and_rtcp_has_no_port_of_its_own() -> None:
    response = await publish(HttpCall())
    answer = parse(response.text)
    assert answer.bundle == ("0", "1")
    assert all(one.rtcp_mux and one.rtcp_mux_only for one in answer.sections)


async def test_4_4_1_sections_outside_of_the_bundle_are_refused() -> None:
    call = HttpCall()
    offer = call.sdp.offer(MICROPHONE, CAMERA).replace("BUNDLE 0 1", "BUNDLE 0")
    assert code_of(await call.post(WHIP, offer)) == (422, "sdp_not_bundled")


async def test_4_4_2_two_tracks_of_a_kind_are_refused() -> None:
    call = HttpCall()
    response = await publish(call, CAMERA, Media("video", "2", track="screen"))
    assert code_of(response) == (422, "too_many_tracks")
    assert not call.world.engine.rooms


async def test_4_4_2_tracks_of_two_mediastreams_are_refused() -> None:
    call = HttpCall()
    offer = call.sdp.offer(MICROPHONE, CAMERA)
    other = re.sub(r"^a=msid:\S+ cam", "a=msid:elsewhere cam", offer, flags=re.MULTILINE)
    assert other != offer
    assert code_of(await call.post(WHIP, other)) == (422, "too_many_streams")


async def test_4_4_3_no_part_of_an_offer_is_taken_if_another_cannot_be() -> None:
    call = HttpCall()
    offer = call.sdp.offer(MICROPHONE, Media("video", "1", track="cam", only=("H264",)))
    high = re.sub(r"profile-level-id=4\w+", "profile-level-id=640c1f", offer)
    assert code_of(await call.post(WHIP, high)) == (422, "codec_unsupported")
    assert not call.world.engine.rooms


async def test_4_4_3_media_without_dtls_is_refused() -> None:
    call = HttpCall()
    response = await publish(call, Media("audio", "0", track="mic", profile="RTP/SAVPF"))
    assert code_of(response) == (422, "sdp_profile")


@pytest.mark.parametrize(
    ("offered", "answered", "client"),
    [("actpass", "passive", False), ("active", "passive", False), ("passive", "active", True)],
)
async def test_4_4_4_every_dtls_role_is_answered_by_its_counterpart(
    offered: str, answered: str, client: bool
) -> None:
    call = HttpCall()
    call.sdp.setup = offered
    response = await publish(call)
    assert {one.transport.setup for one in parse(response.text).sections} == {answered}
    (transport,) = call.world.plane.transports.values()
    assert transport.remote is not None
    assert transport.remote.dtls_client is client


async def test_4_4_5_the_media_server_is_ice_lite() -> None:
    assert parse((await publish(HttpCall())).text).ice_lite


# -- 4.8: simulcast ---------------------------------------------------------------------------------------


async def test_4_8_simulcast_is_negotiated_and_its_layers_are_known() -> None:
    call = HttpCall()
    response = await publish(call, Media("video", "1", track="cam", rids="q;h;f"))
    (section,) = parse(response.text).sections
    assert [stream[0].rid for stream in section.simulcast_recv] == ["q", "h", "f"]
    (track,) = call.peer().publications.values()
    assert track.rids == ("q", "h", "f")
    assert [layer.quality for layer in track.layers] == [
        Quality.LOW,
        Quality.MEDIUM,
        Quality.HIGH,
    ]


async def test_others_subscribe_to_what_an_encoder_publishes_and_it_to_nothing() -> None:
    call = HttpCall()
    other = call.world.join("alice")
    other.publish_camera()
    await publish(call)
    call.world.advance(1.0)
    assert {
        one.publication.peer.identity for one in other.peer.subscriber.subscriptions.values()
    } == {Identity("encoder")}
    assert not call.peer().subscriber.subscriptions
