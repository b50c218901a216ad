"""The socket itself: formats, limits, closing, resuming; and HTTP around it."""

import asyncio
import base64
import gzip
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from livekit.protocol import models, rtc

from common.errors import RemoteError
from common.ids import RoomName
from sfu.model import LeaveReason, PeerSpec, PeerState, Permissions
from signalling.limits import MAX_SIGNAL_MESSAGE, Rate
from tests.integration.signalling.test_joining_by_websocket import js_join, wrapped
from tests.support.signal_server import PATIENCE, SignalServer, serving
from tests.support.stage import ROOM

pytestmark = pytest.mark.anyio


def activate(server: SignalServer, identity: str) -> Any:
    peer = next(p for p in server.rooms.rooms[ROOM].peers.values() if p.identity == identity)
    peer.activate()
    server.rooms.flush()
    return peer


async def test_a_client_that_speaks_json_is_answered_in_json() -> None:
    async with serving() as server, server.connect("alice") as alice:
        await alice.expect("join")
        await alice.socket.send(json.dumps({"pingReq": {"timestamp": "5"}}))
        async with asyncio.timeout(PATIENCE):
            while not isinstance(frame := await alice.socket.recv(), str):
                pass
        assert json.loads(frame)["pongResp"]["lastPingTimestamp"] == "5"


async def test_browsers_get_their_frames_deflated_and_others_do_not() -> None:
    async with serving() as server:
        for compression, expected in (("deflate", True), (None, False)):
            async with server.connect("alice", compression=compression) as alice:
                response = alice.socket.response
                assert response is not None
                offered = "permessage-deflate" in response.headers.get(
                    "Sec-WebSocket-Extensions", ""
                )
                assert offered is expected
                assert (await alice.receive()).WhichOneof("message") == "join"


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_a_message_beyond_two_mebibytes_closes_with_1009(compression: Any) -> None:
    async with serving() as server, server.connect("alice", compression=compression) as alice:
        await alice.expect("join")
        await alice.socket.send(bytes(MAX_SIGNAL_MESSAGE + 1))
        assert await alice.close_code() == 1009


async def test_garbage_closes_the_socket_with_a_code_that_makes_clients_resume() -> None:
    async with serving() as server, server.connect("alice") as alice:
        await alice.expect("join")
        await alice.socket.send(b"\xff\xff\xff")
        assert await alice.close_code() == 1007


async def test_a_request_line_of_sixteen_kibibytes_is_read() -> None:
    async with serving() as server:
        query = {"protocol": "17", "padding": "x" * 16_000}
        async with server.connect("alice", query=query) as alice:
            assert (await alice.receive()).WhichOneof("message") == "join"


async def test_a_join_request_that_unpacks_to_too_much_is_refused() -> None:
    bomb = rtc.WrappedJoinRequest(
        compression=rtc.WrappedJoinRequest.Compression.GZIP,
        join_request=gzip.compress(bytes(2_000_000)),
    )
    text = base64.urlsafe_b64encode(bomb.SerializeToString()).decode()
    async with serving() as server:
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with server.connect("alice", path="/rtc/v1", query={"join_request": text}):
                pass
        assert caught.value.response.status_code == 400
        assert server.signalling.hub.refusals == {"join_request_too_long": 1}


@pytest.mark.parametrize("single", [False, True])
async def test_a_client_resumes_on_a_new_socket(single: bool) -> None:
    path = "/rtc/v1" if single else "/rtc"
    first: Any = {"join_request": wrapped(js_join())} if single else {"sdk": "js", "protocol": "17"}
    async with serving() as server:
        async with server.connect("alice", path=path, query=first) as alice:
            sid = (await alice.expect("join")).participant.sid
            peer = activate(server, "alice")
        again: Any = (
            {"join_request": wrapped(js_join(reconnect=True, participant_sid=sid))}
            if single
            else {**first, "reconnect": "1", "sid": sid, "reconnect_reason": "1"}
        )
        async with server.connect("alice", path=path, query=again) as alice:
            message = await alice.receive()
            assert message.WhichOneof("message") == "reconnect"
            kinds = []
            while "refresh_token" not in kinds:
                kinds.append((await alice.receive()).WhichOneof("message"))
            assert kinds[0] == "update"
            if not single:
                assert (await alice.receive()).WhichOneof("message") == "offer"
        assert peer.state is PeerState.ACTIVE


@pytest.mark.parametrize("sid", ["PA_unknown", ""])
async def test_a_resume_of_nobody_is_sent_to_join_anew(sid: str) -> None:
    async with serving() as server:
        query = {"protocol": "17", "reconnect": "1", "sid": sid}
        async with server.connect("alice", query=query) as alice:
            message = await alice.receive()
            assert message.WhichOneof("message") == "leave"
            assert message.leave.action == rtc.LeaveRequest.Action.RECONNECT
            assert message.leave.reason == models.DisconnectReason.STATE_MISMATCH
            assert await alice.close_code() == 1000
        assert not server.rooms.rooms
        assert server.signalling.hub.refusals == {"resume_unknown": 1}


@pytest.mark.parametrize(
    ("reason", "wire"),
    [
        (LeaveReason.PARTICIPANT_REMOVED, models.DisconnectReason.PARTICIPANT_REMOVED),
        (LeaveReason.ROOM_DELETED, models.DisconnectReason.ROOM_DELETED),
        (LeaveReason.DUPLICATE_IDENTITY, models.DisconnectReason.DUPLICATE_IDENTITY),
    ],
)
async def test_who_was_sent_away_and_did_not_hear_it_is_told_when_it_resumes(
    reason: LeaveReason, wire: models.DisconnectReason.ValueType
) -> None:
    async with serving() as server:
        query = {"sdk": "js", "protocol": "17"}
        async with server.connect("alice", query=query) as alice:
            sid = (await alice.expect("join")).participant.sid
            peer = activate(server, "alice")
        peer.leave(reason)
        server.rooms.flush()
        again = {**query, "reconnect": "1", "sid": sid}
        async with server.connect("alice", query=again) as alice:
            leave = await alice.expect("leave")
            assert (leave.reason, leave.action) == (wire, rtc.LeaveRequest.Action.DISCONNECT)


async def test_a_replaced_client_cannot_take_its_place_back() -> None:
    async with serving() as server, server.connect("alice") as older:
        old_sid = (await older.expect("join")).participant.sid
        async with server.connect("alice") as newer:
            await newer.expect("join")
            peer = activate(server, "alice")
            query = {"protocol": "17", "reconnect": "1", "sid": old_sid}
            async with server.connect("alice", query=query) as stale:
                assert (await stale.receive()).WhichOneof("message") == "leave"
            assert peer.state is PeerState.ACTIVE
            await newer.send(ping=1)
            await newer.expect("pong")


async def test_a_failed_connection_cannot_be_resumed() -> None:
    async with serving() as server:
        async with server.connect("alice") as alice:
            sid = (await alice.expect("join")).participant.sid
            activate(server, "alice").fail()
            server.rooms.flush()
            assert (await alice.expect("leave")).action == rtc.LeaveRequest.Action.RECONNECT
            assert await alice.close_code() == 1000
        query = {"protocol": "17", "reconnect": "1", "sid": sid}
        async with server.connect("alice", query=query) as alice:
            assert (await alice.receive()).WhichOneof("message") == "leave"


async def test_a_client_that_vanishes_before_it_is_connected_is_removed() -> None:
    async with serving() as server, server.connect("bob") as bob:
        await bob.expect("join")
        activate(server, "bob")
        async with server.connect("alice") as alice:
            await alice.expect("join")
            alice.socket.transport.abort()
        while True:
            update = await bob.expect("update")
            info = update.participants[0]
            if info.identity == "alice":
                break
        assert info.state == models.ParticipantInfo.State.DISCONNECTED
        assert info.disconnect_reason == models.DisconnectReason.SIGNAL_CLOSE


async def test_shutdown_is_told_before_the_socket_closes() -> None:
    async with serving() as server, server.connect("alice") as alice:
        await alice.expect("join")
        server.signalling.shut_down()
        leave = await alice.expect("leave")
        assert leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
        assert await alice.close_code() == 1000


async def test_joins_of_one_address_have_a_rate() -> None:
    async with serving(join_rate=Rate(0.0, 2.0)) as server:
        for _ in range(2):
            async with server.connect("alice") as alice:
                await alice.expect("join")
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with server.connect("alice"):
                pass
        assert caught.value.response.status_code == 503
        assert caught.value.response.headers["Retry-After"]
        assert server.signalling.hub.refusals == {"join_rate_exceeded": 1}


@pytest.mark.parametrize(("reason", "status"), [("draining", 503), ("room_full", 500)])
async def test_rooms_that_take_nobody_refuse_before_the_upgrade(reason: str, status: int) -> None:
    async with serving() as server:
        if reason == "draining":
            server.rooms.draining = True
            token = server.token("alice")
        else:
            token = server.token("alice", roomConfig={"maxParticipants": 1})
        async with httpx.AsyncClient(trust_env=False) as client:
            if reason == "room_full":
                async with server.connect(token=token) as alice:
                    await alice.expect("join")
                    other = server.token("bob")
                    url = f"{server.http}/rtc/validate?access_token={other}"
                    assert (await client.get(url)).status_code == 500
                    with pytest.raises(websockets.InvalidStatus) as caught:
                        async with server.connect("bob"):
                            pass
            else:
                with pytest.raises(websockets.InvalidStatus) as caught:
                    async with server.connect(token=token):
                        pass
        assert caught.value.response.status_code == status


class Gate:
    """A policy that lets nobody publish and some not in."""

    async def admit(self, room: RoomName, spec: PeerSpec) -> PeerSpec:
        if spec.identity == "mallory":
            raise RemoteError("consent_missing", "no consent was given")
        return PeerSpec(identity=spec.identity, permissions=Permissions(can_publish=False))


async def test_a_gate_has_the_last_word() -> None:
    async with serving(gate=Gate()) as server:
        async with server.connect("alice") as alice:
            join = await alice.expect("join")
            assert not join.participant.permission.can_publish
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with server.connect("mallory"):
                pass
        assert caught.value.response.status_code == 403
        assert server.signalling.hub.refusals == {"consent_missing": 1}


async def test_health_answers_get_and_head_with_cors() -> None:
    async with serving() as server, httpx.AsyncClient(trust_env=False) as client:
        headers = {"Origin": "https://a.example"}
        for method in ("GET", "HEAD"):
            response = await client.request(method, server.http, headers=headers)
            assert response.status_code == 200
            assert response.headers["access-control-allow-origin"] == "https://a.example"
            assert response.headers["server"] == "Conclave"
        assert (await client.get(server.http)).text == "OK"
    async with (
        serving(is_healthy=lambda: False) as server,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        assert (await client.get(server.http)).status_code == 406


async def test_preflights_allow_what_was_asked_for() -> None:
    async with serving() as server, httpx.AsyncClient(trust_env=False) as client:
        response = await client.options(
            f"{server.http}/twirp/livekit.RoomService/ListRooms",
            headers={
                "Origin": "https://a.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,x-custom",
            },
        )
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == "https://a.example"
        assert response.headers["access-control-allow-headers"] == "authorization,x-custom"
        assert response.headers["access-control-max-age"] == "86400"
        assert "PATCH" in response.headers["access-control-allow-methods"]


@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1", "/rtc/validate", "/rtc/v1/validate"])
async def test_no_rtc_path_ever_answers_a_bare_404(path: str) -> None:
    async with serving() as server, httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"{server.http}{path}")
        assert response.status_code in (401, 426)


async def test_unknown_paths_are_404_and_sockets_there_are_refused() -> None:
    async with serving() as server, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{server.http}/settings/regions")).status_code == 404
        with pytest.raises(websockets.InvalidStatus):
            async with server.connect("alice", path="/nowhere"):
                pass


async def test_the_page_is_served_with_a_policy_and_nothing_outside_its_folder(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "index.html").write_text("<title>meet</title>")
    (folder / "app.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    async with serving(static_dir=folder) as server, httpx.AsyncClient(trust_env=False) as client:
        front = await client.get(server.http, headers={"Accept": "text/html"})
        assert front.text == "<title>meet</title>"
        assert (await client.get(server.http)).text == "OK"
        script = await client.get(f"{server.http}/app.js")
        for response in (front, script):
            policy = response.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "http" not in policy
            assert response.headers["x-content-type-options"] == "nosniff"
        assert script.headers["content-type"].startswith("text/javascript")
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/none.js"):
            assert (await client.get(f"{server.http}{path}")).status_code == 404


async def test_no_token_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving() as server, httpx.AsyncClient(trust_env=False) as client:
            token = server.token("alice")
            async with server.connect(token=token) as alice:
                await alice.expect("join")
            await client.get(f"{server.http}/rtc/validate", headers={"Authorization": "Bearer x"})
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]
    assert not [line for line in ours if token in line or "access_token" in line]
