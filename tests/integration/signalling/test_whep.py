"""WHEP (draft-ietf-wish-whep, April 2026), section by section, over HTTP and real rooms."""

from typing import Any

import pytest

from common.ids import Identity
from sfu.events import PeerLeft, SectionsNeeded
from sfu.model import LeaveReason, PeerState
from sfu.negotiation.parse import parse, parse_fragment
from signalling.limits import Rate
from tests.support.descriptions import Media
from tests.support.http_call import (
    FRAGMENT,
    RECEIVING,
    RELAY,
    SDP,
    WHEP,
    WHIP,
    HttpCall,
    code_of,
    fragment,
    publish,
    watch,
)

pytestmark = pytest.mark.anyio


def viewer(call: HttpCall) -> Any:
    (found,) = [one for one in call.world.room.peers.values() if one.identity.startswith("viewer#")]
    return found


def shown(call: HttpCall) -> list[str | None]:
    """The tracks in the viewer's sections."""
    return [view.track for _, view in sorted(viewer(call).views.items())]


async def watching() -> tuple[HttpCall, Any]:
    """An encoder, a viewer, and the response to the viewer."""
    call = HttpCall()
    await publish(call)
    response = await watch(call)
    assert response.status_code == 201
    return call, response


def tracks_of(call: HttpCall) -> dict[str, str]:
    return {one.spec.kind.value: sid for sid, one in call.peer().publications.items()}


# -- 4.1, 4.2: HTTP usage, discoverability ---------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_4_1_4_2_an_endpoint_says_what_it_is_and_has_no_content(method: str) -> None:
    call = HttpCall()
    for path in (WHEP, f"{WHEP}/room"):
        response = await call.http.request(method, path)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"] == SDP


async def test_4_1_a_session_has_no_content() -> None:
    call, response = await watching()
    location = response.headers["location"]
    probed = await call.http.get(location, headers=call.bearer("viewer"))
    assert (probed.status_code, probed.content) == (204, b"")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_4_1_other_methods_are_refused(method: str) -> None:
    call = HttpCall()
    response = await call.http.request(method, WHEP, headers=call.bearer())
    assert code_of(response) == (405, "method_not_allowed")
    assert call.refusals == {"whep_method_not_allowed": 1}


# -- 4.3.1: the server accepts the offer -----------------------------------------------------------


async def test_4_3_1_an_offer_is_answered_with_what_the_room_shows() -> None:
    call, response = await watching()
    assert response.headers["content-type"] == SDP
    assert response.headers["location"] == f"/whep/session/{viewer(call).sid}"
    tracks = tracks_of(call)
    assert shown(call) == [tracks["audio"], tracks["video"]]
    assert len(call.world.plane.legs) == 2


async def test_a_viewer_is_hidden_and_publishes_nothing() -> None:
    call, _ = await watching()
    permissions = viewer(call).permissions
    assert permissions.hidden
    assert not permissions.can_publish
    assert not permissions.can_publish_data
    assert viewer(call).state is PeerState.JOINED


async def test_viewers_with_the_same_token_do_not_replace_each_other() -> None:
    call, _ = await watching()
    assert (await watch(call)).status_code == 201
    assert len(call.world.room.peers) == 3
    assert not call.world.heard(PeerLeft)


async def test_a_chosen_participant_is_watched_and_nobody_else() -> None:
    call = HttpCall()
    await publish(call)
    bob = call.world.join("bob")
    camera = bob.publish_camera()
    response = await watch(call, path=f"{WHEP}?participant=bob")
    assert response.status_code == 201
    assert shown(call) == [None, camera.sid]
    voice = bob.publish_microphone()
    call.world.engine.flush()
    assert shown(call) == [voice.sid, camera.sid]


async def test_a_chosen_participant_that_comes_back_is_watched_again() -> None:
    call = HttpCall()
    bob = call.world.join("bob")
    bob.publish_camera()
    await watch(call, path=f"{WHEP}?participant=bob")
    bob.peer.leave(LeaveReason.CLIENT_INITIATED)
    call.world.engine.flush()
    assert shown(call) == [None, None]
    call.world.join("carol").publish_camera()
    again = call.world.join("bob").publish_camera()
    call.world.engine.flush()
    assert shown(call) == [None, again.sid]


async def test_an_encoder_that_starts_over_is_shown_without_another_offer() -> None:
    call, _ = await watching()
    await publish(call)
    call.world.advance(20.0)
    tracks = tracks_of(call)
    assert shown(call) == [tracks["audio"], tracks["video"]]
    assert not call.world.heard(SectionsNeeded)


# -- 4.3.2: the server sends an offer of its own ---------------------------------------------------


async def counter_offer() -> tuple[HttpCall, Any]:
    call = HttpCall()
    await publish(call)
    response = await call.post(WHEP, b"", headers=call.bearer("viewer"), media_type="")
    return call, response


async def answered(call: HttpCall, response: Any, sdp: str = "") -> Any:
    headers = {"Content-Type": SDP, **call.bearer("viewer")}
    answer = sdp or call.sdp.answer(response.text)
    return await call.http.patch(response.headers["location"], content=answer, headers=headers)


@pytest.mark.parametrize("media_type", ["", SDP])
async def test_4_3_2_without_an_offer_ours_is_sent_until_a_time_that_is_told(
    media_type: str,
) -> None:
    call = HttpCall()
    await publish(call)
    response = await call.post(WHEP, b"", headers=call.bearer("viewer"), media_type=media_type)
    assert response.status_code == 406
    kind, _, until = response.headers["content-type"].partition("; valid-until=")
    assert kind == SDP
    assert until.endswith('GMT"')
    assert response.headers["location"] == f"/whep/session/{viewer(call).sid}"
    offer = parse(response.text)
    assert [one.direction for one in offer.sections] == ["sendonly", "sendonly"]


async def test_4_3_2_an_answer_completes_the_session() -> None:
    call, response = await counter_offer()
    done = await answered(call, response)
    assert (done.status_code, done.content) == (204, b"")
    tracks = tracks_of(call)
    assert shown(call) == [tracks["audio"], tracks["video"]]


async def test_4_3_2_a_malformed_answer_is_refused_and_may_be_repaired() -> None:
    call, response = await counter_offer()
    assert code_of(await answered(call, response, "nonsense")) == (400, "sdp_malformed")
    assert (await answered(call, response)).status_code == 204
    assert code_of(await answered(call, response)) == (409, "answer_unexpected")


async def test_4_3_2_an_answer_that_comes_too_late_is_refused() -> None:
    call, response = await counter_offer()
    call.world.clock.advance(31.0)
    assert code_of(await answered(call, response)) == (410, "offer_expired")
    assert code_of(await answered(call, response)) == (404, "session_unknown")


async def test_4_3_2_an_answer_to_no_offer_is_refused() -> None:
    call, response = await watching()
    late = await answered(call, response, call.sdp.offer(*RECEIVING))
    assert code_of(late) == (409, "answer_unexpected")


# -- 4.3.4, 4.3.5: errors, directions --------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "media_type", "code"),
    [
        (b"nonsense", SDP, (400, "sdp_malformed")),
        (b"nonsense", "text/plain", (415, "content_type")),
        (b"nonsense", "", (413, "body_too_long")),
        (b"v=0\r\n", SDP, (422, "nothing_offered")),
    ],
)
async def test_4_3_4_what_is_no_offer_is_refused(
    body: bytes, media_type: str, code: tuple[int, str]
) -> None:
    call = HttpCall()
    await publish(call)
    headers = call.bearer("viewer")
    assert code_of(await call.post(WHEP, body, headers=headers, media_type=media_type)) == code
    assert len(call.world.room.peers) == 1


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
async def test_4_3_5_sections_that_do_not_receive_are_refused(direction: str) -> None:
    call = HttpCall()
    await publish(call)
    response = await watch(call, Media("video", "0", direction, track="own"))
    assert code_of(response) == (422, "sdp_direction")


@pytest.mark.parametrize("direction", ["recvonly", "sendrecv"])
async def test_4_3_5_answers_are_sendonly_whatever_is_live(direction: str) -> None:
    call = HttpCall()
    call.world.join("alice")
    response = await watch(call, Media("audio", "0", direction), Media("video", "1", direction))
    assert {one.direction for one in parse(response.text).sections} == {"sendonly"}


async def test_a_viewer_that_decodes_nothing_of_what_is_live_is_told() -> None:
    call = HttpCall()
    await publish(call, Media("video", "1", track="cam", only=("H264",)))
    response = await watch(call, Media("video", "0", "recvonly", only=("VP9",)))
    assert code_of(response) == (422, "codec_unsupported")
    assert len(call.world.room.peers) == 1


# -- 4.3.8, 4.4: session management, termination ---------------------------------------------------


@pytest.mark.parametrize("path", [WHEP, f"{WHEP}/room", f"{WHEP}?participant=bob"])
async def test_4_3_8_without_anybody_to_watch_players_are_asked_to_try_again(path: str) -> None:
    call = HttpCall()
    if "participant" in path:
        await publish(call)
    response = await watch(call, path=path)
    assert code_of(response) == (409, "not_live")
    assert int(response.headers["retry-after"]) > 0
    assert "viewer" not in str(list(call.world.engine.rooms))


async def test_4_3_8_the_session_ends_with_its_consent() -> None:
    call, response = await watching()
    (connection,) = viewer(call).connections
    call.world.engine.handle_transport_closed(connection.transport, "consent_expired")
    assert [one.reason for one in call.world.heard(PeerLeft)] == [LeaveReason.CONNECTION_TIMEOUT]
    gone = await call.http.get(response.headers["location"], headers=call.bearer("viewer"))
    assert code_of(gone) == (404, "session_unknown")


async def test_4_4_delete_ends_the_session() -> None:
    call, response = await watching()
    headers = {**call.bearer("viewer"), "If-Match": '"whatever"'}
    deleted = await call.http.delete(response.headers["location"], headers=headers)
    assert deleted.status_code == 200
    assert list(call.world.room.peers) == [Identity("encoder")]
    assert not call.world.plane.legs


async def test_4_4_options_tell_what_post_takes() -> None:
    call = HttpCall()
    for path in (WHEP, f"{WHEP}/room"):
        response = await call.http.options(path)
        assert (response.status_code, response.headers["accept-post"]) == (200, SDP)
    asks = {"Origin": "https://player.example", "Access-Control-Request-Method": "POST"}
    response = await call.http.options(WHEP, headers=asks)
    assert (response.status_code, response.headers["accept-post"]) == (200, SDP)


# -- 4.5: ICE --------------------------------------------------------------------------------------


async def test_4_5_1_entity_tags_guard_patches() -> None:
    call, response = await watching()
    location, tag = response.headers["location"], response.headers["etag"]
    assert tag == f'"{viewer(call).ice_session}"'
    for match, code in (
        (None, (428, "precondition_required")),
        ('"x"', (412, "precondition_failed")),
    ):
        refused = await call.patch(location, fragment(), match=match, identity="viewer")
        assert code_of(refused) == code
    malformed = await call.patch(location, "nonsense", match=tag, identity="viewer")
    assert code_of(malformed) == (400, "sdp_malformed")


async def test_4_5_2_candidates_are_taken_without_content() -> None:
    call, response = await watching()
    location, tag = response.headers["location"], response.headers["etag"]
    taken = await call.patch(location, fragment(candidates=2), match=tag, identity="viewer")
    assert (taken.status_code, taken.content) == (204, b"")
    assert "etag" not in taken.headers
    assert parse(response.text).sections[0].end_of_candidates


@pytest.mark.parametrize("ours", [False, True])
async def test_4_5_3_new_credentials_restart_ice_whoever_made_the_offer(ours: bool) -> None:
    if ours:
        call, response = await counter_offer()
        await answered(call, response)
    else:
        call, response = await watching()
    location, tag = response.headers["location"], response.headers["etag"]
    body = fragment(call.sdp.restarted())
    restarted = await call.patch(location, body, match="*", identity="viewer")
    assert restarted.status_code == 200
    assert restarted.headers["content-type"] == FRAGMENT
    assert restarted.headers["etag"] != tag
    (section,) = parse_fragment(restarted.text).sections
    assert f'"{section.transport.ufrag}"' == restarted.headers["etag"]
    assert section.candidates
    assert "a=ice-lite\r\n" in restarted.text


# -- 4.6: constraints ------------------------------------------------------------------------------


async def test_4_6_1_media_shares_one_bundle_and_rtcp_has_no_port_of_its_own() -> None:
    _, response = await watching()
    answer = parse(response.text)
    assert answer.bundle == ("0", "1")
    assert all(one.rtcp_mux and one.rtcp_mux_only for one in answer.sections)


async def test_4_6_1_sections_outside_of_the_bundle_are_refused() -> None:
    call = HttpCall()
    await publish(call)
    offer = call.sdp.offer(*RECEIVING).replace("BUNDLE 0 1", "BUNDLE 0")
    response = await call.post(WHEP, offer, headers=call.bearer("viewer"))
    assert code_of(response) == (422, "sdp_not_bundled")


async def test_4_6_2_all_sections_belong_to_one_mediastream() -> None:
    _, response = await watching()
    assert len({stream for one in parse(response.text).sections for stream, _ in one.msids}) == 1


# -- 4.7 to 4.9: load, servers, authentication -----------------------------------------------------


async def test_4_7_a_node_that_goes_down_sends_players_elsewhere() -> None:
    call, _ = await watching()
    call.world.engine.draining = True
    response = await watch(call)
    assert code_of(response) == (503, "draining")
    assert int(response.headers["retry-after"]) > 0


async def test_4_7_too_many_posts_of_one_address_have_to_wait() -> None:
    call = HttpCall(join_rate=Rate(0.1, 1))
    await publish(call)
    assert (await watch(call)).status_code == 201
    assert code_of(await watch(call)) == (429, "join_rate_exceeded")


async def test_4_8_servers_are_linked() -> None:
    call = HttpCall(ice_servers=lambda _peer: [RELAY])
    await publish(call)
    links = (await watch(call)).headers.get_list("link")
    assert [link for link in links if 'rel="ice-server"' in link] != []


@pytest.mark.parametrize(
    ("claims", "path", "code"),
    [
        ({"life": -600.0}, WHEP, (401, "token_expired")),
        ({"video": {"canSubscribe": False}}, WHEP, (403, "subscribe_not_granted")),
        ({"video": {"roomJoin": False}}, WHEP, (403, "join_not_granted")),
        ({}, f"{WHEP}/elsewhere", (403, "room_not_granted")),
    ],
)
async def test_4_9_a_token_has_to_allow_it(
    claims: dict[str, Any], path: str, code: tuple[int, str]
) -> None:
    call = HttpCall()
    await publish(call)
    response = await watch(call, path=path, headers=call.bearer("viewer", **claims))
    assert code_of(response) == code


async def test_4_9_a_session_obeys_only_its_own_token_and_protocol() -> None:
    call, response = await watching()
    location = response.headers["location"]
    for headers, code in (
        ({}, (401, "token_missing")),
        (call.bearer("mallory"), (403, "session_of_another")),
    ):
        assert code_of(await call.http.delete(location, headers=headers)) == code
    other = await call.http.delete(f"{WHIP}/{viewer(call).sid}", headers=call.bearer("viewer"))
    assert code_of(other) == (404, "session_unknown")
