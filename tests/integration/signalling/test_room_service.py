"""RoomService, called with the server SDK over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from livekit import api
from livekit.api.twirp_client import ServerError
from livekit.protocol import models
from livekit.protocol import room as messages

from common.ids import RoomName, TrackSid
from sfu.model import PublicationSpec, TrackKind
from tests.support.rooms_double import PeerDouble
from tests.support.signal_server import SignalServer, serving
from tests.support.stage import KEY, ROOM, SECRET

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def administered(**options: Any) -> AsyncIterator[tuple[SignalServer, api.LiveKitAPI]]:
    async with (
        serving(**options) as server,
        api.LiveKitAPI(server.http, KEY, SECRET) as client,
    ):
        yield server, client


@asynccontextmanager
async def with_alice(
    **options: Any,
) -> AsyncIterator[tuple[SignalServer, api.LiveKitAPI, Any, PeerDouble]]:
    async with (
        administered(**options) as (server, client),
        server.connect("alice") as alice,
    ):
        await alice.expect("join")
        peer = next(iter(server.rooms.rooms[ROOM].peers.values()))
        peer.activate()
        server.rooms.flush()
        yield server, client, alice, peer


def identity(name: str = "alice") -> messages.RoomParticipantIdentity:
    return messages.RoomParticipantIdentity(room=ROOM, identity=name)


async def refused(call: Any) -> tuple[str, int, str]:
    with pytest.raises(ServerError) as caught:
        await call
    return caught.value.code, caught.value.status, caught.value.message


async def test_creating_a_room_is_idempotent_and_updates_what_is_said() -> None:
    async with administered() as (_, client):
        first = await client.room.create_room(
            messages.CreateRoomRequest(name="r", empty_timeout=10, metadata="m")
        )
        again = await client.room.create_room(
            messages.CreateRoomRequest(name="r", max_participants=5)
        )
        assert first.sid == again.sid
        assert first.sid.startswith("RM_")
        assert (again.empty_timeout, again.max_participants, again.metadata) == (10, 5, "m")
        assert again.departure_timeout == 20


async def test_rooms_are_listed_deleted_and_their_name_is_free_again() -> None:
    async with administered() as (_, client):
        for name in ("one", "two"):
            await client.room.create_room(messages.CreateRoomRequest(name=name))
        listed = await client.room.list_rooms(messages.ListRoomsRequest())
        assert {room.name for room in listed.rooms} == {"one", "two"}
        some = await client.room.list_rooms(messages.ListRoomsRequest(names=["two", "three"]))
        (old,) = some.rooms
        await client.room.delete_room(messages.DeleteRoomRequest(room="two"))
        assert len((await client.room.list_rooms(messages.ListRoomsRequest())).rooms) == 1
        new = await client.room.create_room(messages.CreateRoomRequest(name="two"))
        assert new.sid != old.sid


async def test_deleting_a_room_ends_everybody_in_it() -> None:
    async with with_alice() as (_, client, alice, _peer):
        await client.room.delete_room(messages.DeleteRoomRequest(room=ROOM))
        leave = await alice.expect("leave")
        assert leave.reason == models.DisconnectReason.ROOM_DELETED
        assert await alice.close_code() == 1000


async def test_participants_are_listed_with_hidden_ones_and_found_by_identity() -> None:
    async with with_alice() as (server, client, _alice, _peer):
        token = server.token("ghost", video={"hidden": True})
        async with server.connect(token=token) as ghost:
            await ghost.expect("join")
            listed = await client.room.list_participants(
                messages.ListParticipantsRequest(room=ROOM)
            )
            assert {each.identity for each in listed.participants} == {"alice", "ghost"}
        found = await client.room.get_participant(identity())
        assert found.state == models.ParticipantInfo.State.ACTIVE
        empty = await client.room.list_participants(messages.ListParticipantsRequest(room="none"))
        assert list(empty.participants) == []


async def test_a_removed_participant_is_told_to_stay_away() -> None:
    async with with_alice() as (_, client, alice, _peer):
        await client.room.remove_participant(identity())
        leave = await alice.expect("leave")
        assert leave.reason == models.DisconnectReason.PARTICIPANT_REMOVED
        assert leave.action == 0
        assert (await refused(client.room.remove_participant(identity())))[0] == "not_found"


async def test_a_muted_track_comes_back_muted_and_its_owner_mutes_at_the_source() -> None:
    async with with_alice() as (server, client, alice, peer):
        track = peer.announce(PublicationSpec("mic", TrackKind.AUDIO)).sid
        peer.publish(track, "audio/opus")
        server.rooms.flush()
        request = messages.MuteRoomTrackRequest(
            room=ROOM, identity="alice", track_sid=track, muted=True
        )
        response = await client.room.mute_published_track(request)
        assert response.track.muted
        told = await alice.expect("mute")
        assert (told.sid, told.muted) == (track, True)
        request.muted = False
        code, status, _ = await refused(client.room.mute_published_track(request))
        assert (code, status) == ("failed_precondition", 412)
        request.muted, request.track_sid = True, "TR_none"
        assert (await refused(client.room.mute_published_track(request)))[0] == "not_found"


async def test_remote_unmute_can_be_enabled() -> None:
    async with with_alice(remote_unmute=True) as (_, client, _alice, peer):
        track = peer.announce(PublicationSpec("mic", TrackKind.AUDIO, muted=True)).sid
        request = messages.MuteRoomTrackRequest(room=ROOM, identity="alice", track_sid=track)
        assert not (await client.room.mute_published_track(request)).track.muted


async def test_participants_are_updated_and_permissions_replaced() -> None:
    async with with_alice() as (_, client, alice, peer):
        response = await client.room.update_participant(
            messages.UpdateParticipantRequest(
                room=ROOM,
                identity="alice",
                name="Alice",
                attributes={"k": "v"},
                permission=models.ParticipantPermission(can_subscribe=True),
            )
        )
        assert (response.name, response.attributes["k"]) == ("Alice", "v")
        assert not peer.permissions.can_publish
        update = await alice.expect("update")
        while not update.participants[0].name:
            update = await alice.expect("update")
        assert not update.participants[0].permission.can_publish
        await alice.expect("refresh_token")


async def test_an_absent_participant_is_not_found() -> None:
    async with administered() as (_, client):
        request = messages.UpdateParticipantRequest(room=ROOM, identity="nobody")
        code, status, _ = await refused(client.room.update_participant(request))
        assert (code, status) == ("not_found", 404)
        get = await refused(client.room.get_participant(identity("nobody")))
        assert get[2] == "participant does not exist"


async def test_facts_have_limits() -> None:
    async with with_alice() as (_, client, _alice, _peer):
        request = messages.UpdateParticipantRequest(room=ROOM, identity="alice", name="n" * 300)
        assert (await refused(client.room.update_participant(request)))[0] == "invalid_argument"
        metadata = messages.UpdateRoomMetadataRequest(room=ROOM, metadata="m" * 600_000)
        assert (await refused(client.room.update_room_metadata(metadata)))[0] == "invalid_argument"
        room = messages.CreateRoomRequest(name="n" * 300)
        assert (await refused(client.room.create_room(room)))[0] == "invalid_argument"
        preset = messages.CreateRoomRequest(name="n", room_preset="x")
        assert (await refused(client.room.create_room(preset)))[0] == "invalid_argument"


async def test_subscriptions_are_changed_for_a_participant() -> None:
    async with with_alice() as (_, client, _alice, peer):
        request = messages.UpdateSubscriptionsRequest(
            room=ROOM, identity="alice", track_sids=["TR_a"], subscribe=True
        )
        await client.room.update_subscriptions(request)
        assert peer.subscribed_tracks == {TrackSid("TR_a")}
        request.subscribe = False
        await client.room.update_subscriptions(request)
        assert peer.subscribed_tracks == set()


async def test_data_are_sent_once_per_nonce() -> None:
    async with with_alice() as (server, client, _alice, peer):
        peer.open_channel("_lossy")
        server.rooms.flush()
        request = messages.SendDataRequest(
            room=ROOM, data=b"hi", kind=models.DataPacket.Kind.LOSSY, topic="t"
        )
        await client.room.send_data(request)  # the SDK adds its nonce to the request
        assert len(request.nonce) == 16
        token = server.token("admin", video={"roomAdmin": True})
        await post(server, "SendData", request.SerializeToString(), token=token)
        ((sid, label, data),) = server.rooms.sent
        packet = models.DataPacket.FromString(data)
        assert (sid, label) == (peer.sid, "_lossy")
        assert (packet.user.payload, packet.user.topic) == (b"hi", "t")
        assert packet.participant_identity == ""


async def test_a_nonce_of_the_wrong_length_is_refused() -> None:
    async with with_alice() as (server, _client, _alice, _peer):
        token = server.token("admin", video={"roomAdmin": True})
        body = messages.SendDataRequest(room=ROOM, nonce=b"short").SerializeToString()
        response = await post(server, "SendData", body, token=token)
        assert (response.status_code, response.json()["code"]) == (400, "invalid_argument")


async def test_room_metadata_reach_everybody() -> None:
    async with with_alice() as (_, client, alice, _peer):
        request = messages.UpdateRoomMetadataRequest(room=ROOM, metadata="agenda")
        assert (await client.room.update_room_metadata(request)).metadata == "agenda"
        update = await alice.expect("room_update")
        while update.room.metadata != "agenda":
            update = await alice.expect("room_update")


async def post(
    server: SignalServer,
    method: str,
    body: bytes | str = b"",
    *,
    token: str = "",
    content_type: str = "application/protobuf",
    service: str = "livekit.RoomService",
    prefix: str = "/twirp",
) -> httpx.Response:
    headers = {"Content-Type": content_type, "Origin": "http://testhost.com"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"{server.http}{prefix}/{service}/{method}"
        return await client.post(url, content=body, headers=headers)


@pytest.mark.parametrize(
    ("method", "grant"),
    [
        ("CreateRoom", "roomCreate"),
        ("DeleteRoom", "roomCreate"),
        ("ListRooms", "roomList"),
        ("ListParticipants", "roomAdmin"),
        ("GetParticipant", "roomAdmin"),
        ("RemoveParticipant", "roomAdmin"),
        ("MutePublishedTrack", "roomAdmin"),
        ("UpdateParticipant", "roomAdmin"),
        ("UpdateSubscriptions", "roomAdmin"),
        ("SendData", "roomAdmin"),
        ("UpdateRoomMetadata", "roomAdmin"),
    ],
)
async def test_every_call_needs_its_grant(method: str, grant: str) -> None:
    others = {"roomCreate": True, "roomList": True, "roomAdmin": True, grant: False}
    async with serving() as server:
        body = '{"room": "room", "name": "room", "muted": true}'
        token = server.token("admin", video=others)
        response = await post(server, method, body, token=token, content_type="application/json")
        assert response.status_code == 401
        assert response.json() == {"code": "unauthenticated", "msg": "permissions denied"}
        elsewhere = server.token("admin", room="other", video={"roomAdmin": True})
        refused_too = await post(
            server, method, body, token=elsewhere, content_type="application/json"
        )
        assert refused_too.status_code == 401
        assert (await post(server, method, body)).status_code == 401


async def test_json_takes_either_case_and_answers_snake_case_with_defaults() -> None:
    async with serving() as server:
        token = server.token("admin", video={"roomCreate": True, "roomList": True})
        for field in ("emptyTimeout", "empty_timeout"):
            response = await post(
                server,
                "CreateRoom",
                f'{{"name": "r", "{field}": 7, "fromTheFuture": [1]}}',
                token=token,
                content_type="application/json;charset=UTF-8",
            )
            assert response.headers["content-type"].startswith("application/json")
            room = response.json()
            assert room["empty_timeout"] == 7
            assert room["num_participants"] == 0
            assert room["active_recording"] is False


async def test_a_double_slash_and_a_foreign_origin_are_fine_even_on_errors() -> None:
    async with serving() as server:
        token = server.token("admin", video={"roomList": True})
        response = await post(server, "ListRooms", token=token, prefix="//twirp")
        assert response.status_code == 200
        junk = await post(server, "ListRooms", token="junk")
        assert junk.status_code == 401
        for each in (response, junk):
            assert each.headers["access-control-allow-origin"] == "http://testhost.com"
        assert server.signalling.hub.refusals["twirp_unauthenticated"] == 1


@pytest.mark.parametrize(
    ("service", "method", "code", "status"),
    [
        ("livekit.RoomService", "Nonsense", "bad_route", 404),
        ("livekit.Nonsense", "ListRooms", "bad_route", 404),
        ("livekit.SIP", "CreateSIPParticipant", "unimplemented", 501),
        ("livekit.Ingress", "ListIngress", "unimplemented", 501),
        ("livekit.RoomService", "MoveParticipant", "unimplemented", 501),
        ("livekit.RoomService", "CreateRoom/x", "bad_route", 404),
    ],
)
async def test_what_is_not_there_says_so(service: str, method: str, code: str, status: int) -> None:
    async with serving() as server:
        token = server.token("admin", video={"roomAdmin": True})
        response = await post(server, method, token=token, service=service)
        assert (response.json()["code"], response.status_code) == (code, status)


async def test_requests_that_are_no_calls_are_refused_as_twirp_has_it() -> None:
    async with serving() as server:
        token = server.token("admin", video={"roomList": True})
        async with httpx.AsyncClient(trust_env=False) as client:
            got = await client.get(f"{server.http}/twirp/livekit.RoomService/ListRooms")
        assert (got.status_code, got.json()["code"]) == (404, "bad_route")
        text = await post(server, "ListRooms", token=token, content_type="text/plain")
        assert text.json()["code"] == "bad_route"
        for body, kind in ((b"\xff\xff", "protobuf"), (b"[" * 9_999, "json"), (b"{", "json")):
            response = await post(
                server, "ListRooms", body, token=token, content_type=f"application/{kind}"
            )
            assert (response.status_code, response.json()["code"]) == (400, "malformed")


async def test_bodies_beyond_ten_mebibytes_are_too_large() -> None:
    async with serving() as server:
        token = server.token("admin", video={"roomList": True})
        response = await post(server, "ListRooms", bytes(10 * 1024 * 1024 + 1), token=token)
        assert response.status_code == 413
        assert response.headers["access-control-allow-origin"] == "http://testhost.com"


async def test_a_room_of_the_api_can_be_joined_where_joining_creates_none() -> None:
    async with administered(auto_create=False) as (server, client):
        async with httpx.AsyncClient(trust_env=False) as http:
            params = {"access_token": server.token("alice")}
            response = await http.get(f"{server.http}/rtc/validate", params=params)
        assert response.status_code == 404
        assert "requested room does not exist" in response.text
        await client.room.create_room(messages.CreateRoomRequest(name=ROOM))
        async with server.connect("alice") as alice:
            assert (await alice.receive()).WhichOneof("message") == "join"
        assert RoomName(ROOM) in server.rooms.rooms
