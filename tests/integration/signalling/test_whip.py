"""RFC 9725, section by section, over HTTP and real rooms."""

import json
import re
from typing import Any

import pytest

from common.errors import RemoteError
from common.ids import Identity, RoomName
from sfu.events import PeerLeft, TrackPublished
from sfu.model import (
    LeaveReason,
    PeerKind,
    PeerSpec,
    PeerState,
    Quality,
    RoomOptions,
    TrackKind,
    TrackSource,
)
from sfu.negotiation.parse import parse, parse_fragment
from signalling.limits import MAX_FRAGMENT, MAX_OFFER, Rate
from tests.support.descriptions import Client, Media
from tests.support.http_call import (
    CAMERA,
    FRAGMENT,
    MICROPHONE,
    RELAY,
    SDP,
    HttpCall,
    fragment,
)

pytestmark = pytest.mark.anyio
PATH = "/whip/v1"


def code_of(response: Any) -> tuple[int, str]:
    """Status and stable code of a problem, whose form is checked."""
    assert response.headers["content-type"] == "application/problem+json"
    body = json.loads(response.content)
    assert body["status"] == response.status_code
    assert body["detail"]
    return response.status_code, body["code"]


async def publish(call: HttpCall, *media: Media, **options: Any) -> Any:
    return await call.post(PATH, call.sdp.offer(*(media or (MICROPHONE, CAMERA))), **options)


async def published(call: HttpCall, *media: Media) -> tuple[str, str]:
    """A session's URL and entity-tag."""
    response = await publish(call, *media)
    assert response.status_code == 201
    return response.headers["location"], response.headers["etag"]


# -- 4.1: HTTP usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_4_1_reading_an_endpoint_or_a_session_succeeds_without_content(method: str) -> None:
    call = HttpCall()
    location, _ = await published(call)
    for path in (PATH, location):
        response = await call.http.request(method, path, headers=call.bearer())
        assert (response.status_code, response.content) == (204, b"")


async def test_4_1_errors_are_problem_details_with_a_stable_code() -> None:
    call = HttpCall()
    response = await call.post(PATH, "v=0\r\nnonsense")
    assert code_of(response) == (400, "sdp_malformed")
    assert json.loads(response.content)["title"] == "Bad Request"
    assert call.refusals["whip_sdp_malformed"] == 1


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_4_1_other_methods_are_refused_with_those_that_exist(method: str) -> None:
    call = HttpCall()
    response = await call.http.request(method, PATH, headers=call.bearer())
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
    assert response.headers["location"] == f"{PATH}/{call.peer().sid}"
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
    assert code_of(await call.post(PATH, body)) == (status, code)
    assert not call.world.engine.rooms
    assert call.refusals == {f"whip_{code}": 1}


async def test_4_2_a_body_that_does_not_say_its_length_is_cut_off_at_the_bound() -> None:
    call = HttpCall()

    async def endless() -> Any:
        for _ in range(MAX_OFFER // 1000 + 2):
            yield b"a" * 1000

    headers = {"Content-Type": SDP, **call.bearer()}
    response = await call.http.post(PATH, content=endless(), headers=headers)
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
    response = await call.http.options(PATH)
    assert (response.status_code, response.headers["accept-post"]) == (200, SDP)


async def test_4_2_a_preflight_allows_the_request_and_tells_what_post_takes() -> None:
    call = HttpCall()
    asks = {
        "Origin": "https://studio.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,if-match",
    }
    for path in (PATH, f"{PATH}/PA_x"):
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


# -- 4.3.1: PATCH ------------------------------------------------------------------------------------


async def test_4_3_1_the_first_entity_tag_is_strong_and_names_the_ice_session() -> None:
    call = HttpCall()
    _, tag = await published(call)
    assert re.fullmatch(r'"[\x21\x23-\x7e]+"', tag)
    assert tag == f'"{call.peer().ice_session}"'


async def test_4_3_1_a_patch_without_entity_tag_is_refused() -> None:
    call = HttpCall()
    location, _ = await published(call)
    assert code_of(await call.patch(location, fragment())) == (428, "precondition_required")
    assert call.refusals["whip_precondition_required"] == 1


@pytest.mark.parametrize("match", ['"other"', "W/{tag}", "", "nonsense", '"a", "b"', "{bare}"])
async def test_4_3_1_a_patch_for_another_ice_session_is_refused(match: str) -> None:
    call = HttpCall()
    location, tag = await published(call)
    match = match.format(tag=tag, bare=tag.strip('"'))
    response = await call.patch(location, fragment(call.sdp.restarted()), match=match)
    assert code_of(response) == (412, "precondition_failed")
    assert f'"{call.peer().ice_session}"' == tag


async def test_4_3_1_a_tag_may_be_one_of_several() -> None:
    call = HttpCall()
    location, tag = await published(call)
    assert (await call.patch(location, fragment(), match=f'"x", {tag}')).status_code == 204


@pytest.mark.parametrize("media_type", ["application/sdp", "text/plain"])
async def test_4_3_1_a_patch_of_another_content_type_is_refused(media_type: str) -> None:
    call = HttpCall()
    location, tag = await published(call)
    response = await call.patch(location, fragment(), match=tag, **{"Content-Type": media_type})
    assert code_of(response) == (415, "content_type")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", (400, "sdp_malformed")),
        ("hello", (400, "sdp_malformed")),
        ("m=audio 9 X 0\r\na=end-of-candidates", (400, "sdp_malformed")),  # no mid
        ("a=ice-ufrag:abcd\r\n", (400, "sdp_malformed")),  # no password
        ("a=ice-ufrag:a\r\na=ice-pwd:b\r\n", (400, "sdp_malformed")),  # too short
        ("a=x\r\n" * (MAX_FRAGMENT // 5 + 1), (413, "body_too_long")),
    ],
)
async def test_4_3_1_a_malformed_fragment_is_refused_and_changes_nothing(
    body: str, code: tuple[int, str]
) -> None:
    call = HttpCall()
    location, tag = await published(call)
    assert code_of(await call.patch(location, body, match="*")) == code
    assert f'"{call.peer().ice_session}"' == tag


async def test_4_3_1_delete_ignores_entity_tags() -> None:
    call = HttpCall()
    location, _ = await published(call)
    headers = {**call.bearer(), "If-Match": '"of yesterday"'}
    assert (await call.http.delete(location, headers=headers)).status_code == 200


# -- 4.3.2: trickle ICE --------------------------------------------------------------------------------


async def test_4_3_2_the_answer_has_all_candidates_of_the_server() -> None:
    call = HttpCall()
    response = await publish(call)
    first = parse(response.text).sections[0]
    assert len(first.candidates) == 1
    assert "192.0.2.1 7882 typ host" in first.candidates[0]
    assert first.end_of_candidates


@pytest.mark.parametrize("credentials", [False, True])
async def test_4_3_2_candidates_are_taken_without_content_and_without_entity_tag(
    credentials: bool,
) -> None:
    call = HttpCall()
    location, tag = await published(call)
    body = fragment(call.sdp if credentials else None, candidates=3)
    response = await call.patch(location, body, match=tag)
    assert (response.status_code, response.content) == (204, b"")
    assert "etag" not in response.headers


async def test_4_3_2_a_candidate_that_cannot_be_used_is_discarded_in_silence() -> None:
    call = HttpCall()
    location, tag = await published(call)
    odd = "a=candidate:1 1 tcp 1 abcd.local 9 typ host tcptype active\r\na=candidate:?\r\n"
    response = await call.patch(location, fragment() + odd, match=tag)
    assert response.status_code == 204


# -- 4.3.3: ICE restarts --------------------------------------------------------------------------------


@pytest.mark.parametrize("match", ["*", '"*"', "tag"])
async def test_4_3_3_new_credentials_restart_ice(match: str) -> None:
    """The star is what the RFC demands; new credentials are a restart under any tag that matches."""
    call = HttpCall()
    location, tag = await published(call)
    restarted = call.sdp.restarted()
    response = await call.patch(
        location, fragment(restarted), match=tag if match == "tag" else match
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == FRAGMENT
    ours = parse_fragment(response.text)
    assert ours.bundle == ("0", "1")
    (section,) = ours.sections
    (connection,) = call.peer().connections
    transport = call.world.plane.transports[connection.transport]
    assert (section.mid, section.transport.ufrag, section.transport.pwd) == (
        "0",
        transport.ufrag,
        transport.pwd,
    )
    assert len(section.candidates) == 1
    assert response.headers["etag"] == f'"{transport.ufrag}"' != tag
    assert transport.restarts == 1
    assert transport.remote is not None
    assert transport.remote.ufrag == restarted.ufrag


async def test_4_3_3_the_fragment_is_ice_lite_as_the_answer_was() -> None:
    call = HttpCall()
    created = await publish(call)
    response = await call.patch(
        created.headers["location"], fragment(call.sdp.restarted()), match="*"
    )
    for text in (created.text, response.text):
        assert "a=ice-lite\r\n" in text
        assert "a=ice-options" not in text
        assert "a=ice-pacing" not in text


async def test_4_3_3_after_a_restart_only_the_new_entity_tag_matches() -> None:
    call = HttpCall()
    location, old = await published(call)
    restarted = call.sdp.restarted()
    new = (await call.patch(location, fragment(restarted), match="*")).headers["etag"]
    late = await call.patch(location, fragment(call.sdp), match=old)
    assert code_of(late) == (412, "precondition_failed")
    assert (await call.patch(location, fragment(restarted), match=new)).status_code == 204


async def test_4_3_3_a_restart_that_cannot_be_satisfied_leaves_the_session_alone() -> None:
    call = HttpCall()
    location, tag = await published(call)
    half = Client(ufrag=call.sdp.ufrag, pwd="another-password-of-length")
    response = await call.patch(location, fragment(half), match="*")
    assert code_of(response) == (400, "sdp_malformed")
    assert call.peer().state is PeerState.JOINED
    assert (await call.patch(location, fragment(), match=tag)).status_code == 204


# -- 4.4: constraints ------------------------------------------------------------------------------------


async def test_4_4_1_media_shares_one_bundle_and_rtcp_has_no_port_of_its_own() -> None:
    response = await publish(HttpCall())
    answer = parse(response.text)
    assert answer.bundle == ("0", "1")
    assert all(one.rtcp_mux and one.rtcp_mux_only for one in answer.sections)


async def test_4_4_1_sections_outside_of_the_bundle_are_refused() -> None:
    call = HttpCall()
    offer = call.sdp.offer(MICROPHONE, CAMERA).replace("BUNDLE 0 1", "BUNDLE 0")
    assert code_of(await call.post(PATH, offer)) == (422, "sdp_not_bundled")


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
    assert code_of(await call.post(PATH, other)) == (422, "too_many_streams")


async def test_4_4_3_no_part_of_an_offer_is_taken_if_another_cannot_be() -> None:
    call = HttpCall()
    offer = call.sdp.offer(MICROPHONE, Media("video", "1", track="cam", only=("H264",)))
    high = re.sub(r"profile-level-id=4\w+", "profile-level-id=640c1f", offer)
    assert code_of(await call.post(PATH, high)) == (422, "codec_unsupported")
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


# -- 4.5: load ---------------------------------------------------------------------------------------------


async def test_4_5_a_node_that_goes_down_sends_encoders_elsewhere() -> None:
    call = HttpCall()
    location, _ = await published(call)
    call.world.engine.draining = True
    response = await publish(call, headers=call.bearer("second"))
    assert code_of(response) == (503, "draining")
    assert int(response.headers["retry-after"]) > 0
    assert (await call.http.delete(location, headers=call.bearer())).status_code == 200


async def test_4_5_too_many_posts_of_one_address_have_to_wait() -> None:
    call = HttpCall(join_rate=Rate(0.1, 1))
    await publish(call)
    response = await publish(call)
    assert code_of(response) == (429, "join_rate_exceeded")
    assert int(response.headers["retry-after"]) > 0


async def test_4_5_a_full_room_is_unavailable() -> None:
    call = HttpCall(room_defaults=RoomOptions(max_participants=1))
    await publish(call)
    response = await publish(call, headers=call.bearer("second"))
    assert code_of(response) == (503, "room_full")


# -- 4.6: STUN and TURN ----------------------------------------------------------------------------------


async def test_4_6_servers_are_linked_with_their_credentials() -> None:
    call = HttpCall(ice_servers=lambda _peer: [RELAY])
    response = await publish(call)
    secrets = 'username="user"; credential="pass\\"word"; credential-type="password"'
    assert response.headers.get_list("link") == [
        f'<stun:stun.example:3478>; rel="ice-server"; {secrets}',
        f'<turn:turn.example?transport="udp">; rel="ice-server"; {secrets}',
    ]


async def test_4_6_without_servers_there_is_no_link_and_options_never_have_one() -> None:
    assert "link" not in (await publish(HttpCall())).headers
    call = HttpCall(ice_servers=lambda _peer: [RELAY])
    assert "link" not in (await call.http.options(PATH)).headers


# -- 4.7: authentication ---------------------------------------------------------------------------------


async def test_4_7_without_a_token_the_scheme_is_named() -> None:
    call = HttpCall()
    response = await publish(call, headers={})
    assert code_of(response) == (401, "token_missing")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"life": -600.0}, (401, "token_expired")),
        ({"video": {"roomJoin": False}}, (403, "join_not_granted")),
        ({"video": {"canPublish": False}}, (403, "publish_not_granted")),
        ({"video": {"canPublishSources": ["microphone"]}}, (403, "not_allowed")),
        ({"video": {"room": ""}}, (400, "room_missing")),
        ({"roomPreset": "big"}, (400, "room_preset_unknown")),
    ],
)
async def test_4_7_a_token_has_to_allow_it(claims: dict[str, Any], code: tuple[int, str]) -> None:
    call = HttpCall()
    assert code_of(await publish(call, headers=call.bearer(**claims))) == code
    assert not call.world.engine.rooms


async def test_4_7_1_a_token_may_be_part_of_the_url() -> None:
    call = HttpCall()
    response = await call.post(
        f"{PATH}?access_token={call.token()}", call.sdp.offer(MICROPHONE), headers={}
    )
    assert response.status_code == 201


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_4_7_a_session_obeys_only_its_own_token(method: str) -> None:
    call = HttpCall()
    location, _ = await published(call)
    for headers, code in (
        ({}, (401, "token_missing")),
        (call.bearer("mallory"), (403, "session_of_another")),
        (call.bearer(room="elsewhere"), (403, "session_of_another")),
        ({"Authorization": "Bearer nonsense"}, (401, "token_malformed")),
    ):
        assert code_of(await call.http.request(method, location, headers=headers)) == code
    assert call.peer().state is PeerState.JOINED


async def test_4_7_strangers_cannot_tell_sessions_that_exist_from_others() -> None:
    call = HttpCall()
    response = await call.http.delete(f"{PATH}/PA_nobody")
    assert code_of(response) == (401, "token_missing")


async def test_4_7_the_token_that_opened_a_session_may_end_it_after_its_own_end() -> None:
    call = HttpCall()
    headers = call.bearer(life=30.0)
    location = (await publish(call, headers=headers)).headers["location"]
    call.world.clock.advance(3600.0)
    late = call.bearer(life=-600.0)
    assert code_of(await call.http.delete(location, headers=late)) == (401, "token_expired")
    assert (await call.http.delete(location, headers=headers)).status_code == 200


async def test_4_7_a_gate_may_refuse_by_its_own_word() -> None:
    class Gate:
        async def admit(self, room: RoomName, spec: PeerSpec) -> PeerSpec:
            raise RemoteError("consent_missing", "nobody consented")

    call = HttpCall(gate=Gate())
    assert code_of(await publish(call)) == (403, "consent_missing")
    assert not call.world.engine.rooms


async def test_a_second_session_of_an_identity_replaces_the_first() -> None:
    call = HttpCall()
    first, _ = await published(call)
    second, _ = await published(call)
    assert first != second
    assert call.peer().sid == second.rpartition("/")[2]
    assert [one.reason for one in call.world.heard(PeerLeft)] == [LeaveReason.DUPLICATE_IDENTITY]


async def test_an_offer_that_is_refused_does_not_replace_a_running_session() -> None:
    call = HttpCall()
    location, _ = await published(call)
    assert (await call.post(PATH, "nonsense")).status_code == 400
    assert (await call.http.get(location, headers=call.bearer())).status_code == 204


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
