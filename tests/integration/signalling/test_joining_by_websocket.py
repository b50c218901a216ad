"""Clients of several kinds join over real sockets."""

import base64
import gzip
from typing import Any

import httpx
import pytest
import websockets
from livekit.protocol import models, rtc

from tests.support.signal_server import SignalServer, serving

pytestmark = pytest.mark.anyio


def wrapped(request: rtc.JoinRequest, *, compress: bool = True) -> str:
    data = request.SerializeToString()
    message = rtc.WrappedJoinRequest(
        compression=rtc.WrappedJoinRequest.Compression.GZIP if compress else 0,  # type: ignore[arg-type]
        join_request=gzip.compress(data) if compress else data,
    )
    return base64.urlsafe_b64encode(message.SerializeToString()).decode()


def js_join(**fields: Any) -> rtc.JoinRequest:
    return rtc.JoinRequest(
        client_info=models.ClientInfo(
            sdk=models.ClientInfo.SDK.JS, version="2.23.0", protocol=17, client_protocol=2
        ),
        connection_settings=rtc.ConnectionSettings(auto_subscribe=True, adaptive_stream=True),
        **fields,
    )


async def test_v0_javascript_client_gets_join_then_offer_and_an_answer_to_its_own() -> None:
    query = {"auto_subscribe": "1", "sdk": "js", "version": "2.23.0", "protocol": "17"}
    async with serving() as server, server.connect("alice", query=query) as client:
        first = await client.receive()
        assert first.WhichOneof("message") == "join"
        assert first.join.participant.sid.startswith("PA_")
        assert first.join.room.sid.startswith("RM_")
        assert first.join.subscriber_primary
        assert first.join.server_info.version == "1.13.5"
        assert first.join.server_info.protocol == 17
        assert first.join.ping_interval > 0
        offer = await client.expect("offer")
        assert (offer.type, offer.id) == ("offer", 1)
        await client.send(answer=rtc.SessionDescription(type="answer", sdp="v=0", id=1))
        await client.send(offer=rtc.SessionDescription(type="offer", sdp="v=0 mine", id=1))
        answer = await client.expect("answer")
        assert (answer.type, answer.id) == ("answer", 1)


@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1"])
async def test_v1_javascript_client_gets_the_answer_to_the_offer_it_brought(path: str) -> None:
    offer = rtc.SessionDescription(type="offer", sdp="v=0 first", id=1)
    query = {"join_request": wrapped(js_join(publisher_offer=offer))}
    async with serving() as server, server.connect("alice", path=path, query=query) as client:
        first = await client.receive()
        assert first.WhichOneof("message") == "join"
        assert not first.join.subscriber_primary
        answer = await client.expect("answer")
        assert answer.id == 1
        assert answer.mid_to_track_id == {"3": "TR_mapped"}


async def test_python_like_client_joins_with_a_bearer_header_and_without_compression() -> None:
    request = rtc.JoinRequest(
        client_info=models.ClientInfo(sdk=models.ClientInfo.SDK.PYTHON, protocol=18),
        connection_settings=rtc.ConnectionSettings(auto_subscribe=True),
        publisher_offer=rtc.SessionDescription(type="offer", sdp="v=0", id=0),
    )
    text = wrapped(request, compress=False).rstrip("=")
    async with serving() as server:
        url = f"ws://127.0.0.1:{server.port}/rtc/v1?join_request={text}"
        headers = {"Authorization": f"Bearer {server.token('py')}"}
        async with websockets.connect(
            url, additional_headers=headers, compression=None, proxy=None
        ) as socket:
            first = rtc.SignalResponse.FromString(await socket.recv())  # type: ignore[arg-type]
            assert first.join.participant.identity == "py"
            kinds = []
            while "answer" not in kinds:
                message = rtc.SignalResponse.FromString(await socket.recv())  # type: ignore[arg-type]
                kinds.append(message.WhichOneof("message"))
            assert message.answer.id == 0


async def test_go_like_client_joins_with_a_double_slash_and_empty_query_segments() -> None:
    async with serving() as server:
        url = (
            f"ws://127.0.0.1:{server.port}//rtc?&join_request=&&protocol=17&sdk=go&auto_subscribe=0"
        )
        headers = {"Authorization": f"Bearer {server.token('go')}"}
        async with websockets.connect(url, additional_headers=headers, proxy=None) as socket:
            first = rtc.SignalResponse.FromString(await socket.recv())  # type: ignore[arg-type]
            assert first.join.participant.identity == "go"
            assert not server.rooms.rooms or not _peer(server, "go").spec.auto_subscribe


def _peer(server: SignalServer, identity: str) -> Any:
    room = next(iter(server.rooms.rooms.values()))
    return next(peer for name, peer in room.peers.items() if name == identity)


@pytest.mark.parametrize(
    ("path", "query", "status", "text"),
    [
        ("/rtc", "access_token=nonsense", 401, "malformed"),
        ("/rtc", "", 401, "no token"),
        ("/rtc/v1", "", 401, "no token"),
    ],
)
async def test_refusals_come_before_the_upgrade(
    path: str, query: str, status: int, text: str
) -> None:
    async with serving() as server:
        url = f"ws://127.0.0.1:{server.port}{path}?{query}"
        with pytest.raises(websockets.InvalidStatus) as caught:
            await websockets.connect(url, proxy=None)
        response = caught.value.response
        assert response.status_code == status
        assert text in response.body.decode()
        async with httpx.AsyncClient(trust_env=False) as client:
            validate = await client.get(
                f"{server.http}{path}/validate?{query}", headers={"Origin": "https://a.example"}
            )
        assert validate.status_code == status
        assert validate.headers["access-control-allow-origin"] == "https://a.example"
        assert text in validate.text
        assert server.signalling.hub.refusals.total() == 2


async def test_validate_says_success_for_what_would_be_let_in() -> None:
    async with serving() as server, httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(
            f"{server.http}/rtc/validate", params={"access_token": server.token("alice")}
        )
        assert (response.status_code, response.text) == (200, "success")
        assert response.headers["access-control-allow-origin"] == "*"


async def test_two_clients_see_each_other_and_one_leaves() -> None:
    async with serving() as server, server.connect("alice") as alice:
        await alice.expect("join")
        _peer(server, "alice").activate()
        server.rooms.flush()
        async with server.connect("bob") as bob:
            joined = await bob.expect("join")
            assert [each.identity for each in joined.other_participants] == ["alice"]
            _peer(server, "bob").activate()
            server.rooms.flush()
            while True:
                update = await alice.expect("update")
                if update.participants[0].identity == "bob":
                    break
            assert update.participants[0].state == models.ParticipantInfo.State.ACTIVE
            await bob.send(leave=rtc.LeaveRequest())
            assert await bob.close_code() == 1000
        gone = await alice.expect("update")
        assert gone.participants[0].identity == "bob"
        assert gone.participants[0].state == models.ParticipantInfo.State.DISCONNECTED
