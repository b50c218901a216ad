"""RFC 9725 sections 4.5 to 4.7: load, STUN and TURN servers, who may do what."""

from typing import Any

import pytest

from common.errors import RemoteError
from common.ids import RoomName
from sfu.events import PeerLeft
from sfu.model import (
    LeaveReason,
    PeerSpec,
    PeerState,
    RoomOptions,
)
from signalling.limits import Rate
from tests.support.http_call import (
    MICROPHONE,
    RELAY,
    WHIP,
    HttpCall,
    code_of,
    publish,
    published,
)

pytestmark = pytest.mark.anyio


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
    assert "link" not in (await call.http.options(WHIP)).headers


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
        f"{WHIP}?access_token={call.token()}", call.sdp.offer(MICROPHONE), headers={}
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
    response = await call.http.delete(f"{WHIP}/PA_nobody")
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
    assert (await call.post(WHIP, "nonsense")).status_code == 400
    assert (await call.http.get(location, headers=call.bearer())).status_code == 204
