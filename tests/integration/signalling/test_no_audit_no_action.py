"""No audit, no action, on every wire: what cannot be put on record is refused by name, and nothing has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import websockets
from livekit.protocol import models, rtc

from common.errors import RemoteError
from common.ids import Identity, RoomName
from compliance.events import (
    ActAbandoned,
    AdmissionGranted,
    AdmissionRefused,
    ParticipantRemoved,
    ParticipantUpdated,
    RoomChanged,
    RoomCreated,
    RoomEnded,
    SubscriptionsUpdated,
    TokenRefused,
    TrackMuted,
    TrackPublished,
)
from compliance.words import Role
from sfu.model import PeerSpec, RoomOptions
from signalling import acts
from signalling.grants import Grants
from signalling.ports import Person
from tests.support.http_call import HttpCall, code_of, publish, published, watch
from tests.support.rooms_double import PeerDouble
from tests.support.signal_server import SignalServer, serving
from tests.support.stage import KEY, ROOM
from tests.support.trail import pseudonym_of

pytestmark = pytest.mark.anyio

CODES = ["audit_unavailable", "audit_timeout", "audit_refused"]
ADMIN = {"roomAdmin": True, "roomCreate": True, "room": ROOM, "roomJoin": False}


async def refused(connecting: Any) -> httpx.Headers:
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with connecting:
            pass
    response = caught.value.response
    return httpx.Headers({"status": str(response.status_code), **dict(response.headers)})


# -- joining ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
async def test_nobody_joins_who_is_not_on_record(code: str) -> None:
    async with serving() as server:
        server.trail.refusal = code
        answer = await refused(server.connect("alice"))
        assert (answer["status"], answer["conclave-code"]) == ("503", code)
        assert answer["retry-after"] == "1"
        assert server.rooms.rooms == {}
        assert server.signalling.hub.refusals == {code: 1}


async def test_a_participant_waits_outside_until_it_is_on_record() -> None:
    async with serving() as server:
        server.trail.holding = True
        joining = asyncio.create_task(_join(server, "alice"))
        await server.trail.when_held()
        assert server.rooms.rooms == {}
        server.trail.release()
        await server.trail.when_held()
        assert server.rooms.rooms[ROOM].peers == {}
        server.trail.holding = False
        server.trail.release()
        await joining
        assert server.trail.kinds[:2] == ["room_created", "admission_granted"]
        granted = server.trail.only(AdmissionGranted)
        assert granted.actor.key == KEY
        assert granted.rights == ("publish", "subscribe", "publish_data")
        assert granted.on.subject == pseudonym_of(Person(Identity("alice")))
        assert server.trail.sealed[0].facts == {"identity": "alice", "room": ROOM}


async def test_however_many_come_at_once_one_room_is_created_and_recorded() -> None:
    async with serving() as server:
        server.trail.holding = True
        joining = [asyncio.create_task(_join(server, name)) for name in ("alice", "bob", "carol")]
        await server.trail.when_held()
        server.trail.holding = False
        server.trail.release()
        await asyncio.gather(*joining)
        created = server.trail.only(RoomCreated)
        assert {granted.on.room for granted in server.trail.of(AdmissionGranted)} == {
            created.on.room
        }
        assert "unrecorded_room" not in server.signalling.hub.refusals


async def test_a_client_that_is_gone_when_it_is_on_record_leaves_nothing_open() -> None:
    async with serving() as server:
        await _join(server, "alice")
        server.trail.events.clear()
        server.trail.holding = True
        act = acts.room_created(server.rooms.reserve_room(), Grants(issuer=KEY, expires_at=0.0))
        joining = asyncio.create_task(server.signalling.hub.ledger.record(act))
        await server.trail.when_held()
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        server.trail.release()
        assert server.trail.only(ActAbandoned).sequence == 1
        assert server.trail.only(ActAbandoned).why.reason == "caller_gone"


async def test_a_join_into_a_room_that_ends_meanwhile_finds_a_new_one() -> None:
    async with serving() as server:
        server.rooms.create_room(ROOM, RoomOptions())
        server.trail.holding = True
        joining = asyncio.create_task(_join(server, "alice"))
        await server.trail.when_held()
        server.rooms.delete_room(ROOM)
        server.trail.holding = False
        server.trail.release()
        await joining
        first, second = server.trail.of(AdmissionGranted)
        assert server.trail.only(ActAbandoned).why.reason == "room_ended"
        assert second.on.room == server.trail.only(RoomCreated).on.room != first.on.room


async def test_a_server_that_drains_lets_nobody_in_and_says_so_in_the_log() -> None:
    async with serving() as server:
        server.rooms.draining = True
        answer = await refused(server.connect("alice"))
        assert answer["conclave-code"] == "draining"
        assert server.trail.only(AdmissionRefused).why.reason == "draining"
        assert server.trail.kinds == ["admission_refused"]


class Gate:
    """A policy that says no."""

    async def admit(self, room: RoomName, spec: PeerSpec) -> PeerSpec:
        raise RemoteError("consent_missing", "no consent was given")


async def test_a_refusal_is_on_record_with_its_reason_before_it_is_heard() -> None:
    async with serving(gate=Gate()) as server:
        answer = await refused(server.connect("alice"))
        assert (answer["status"], answer["conclave-code"]) == ("403", "consent_missing")
        event = server.trail.only(AdmissionRefused)
        assert (event.why.reason, event.actor.key) == ("consent_missing", KEY)
        assert event.on.subject == pseudonym_of(Person(Identity("alice")))


async def test_a_refusal_that_cannot_be_recorded_is_told_as_that() -> None:
    async with serving(gate=Gate()) as server:
        server.trail.refusal = "audit_timeout"
        answer = await refused(server.connect("alice"))
        assert answer["conclave-code"] == "audit_timeout"


async def test_tokens_that_open_no_door_are_noted_by_their_hash() -> None:
    async with serving() as server, httpx.AsyncClient(trust_env=False) as client:
        server.trail.refusal = (
            "audit_unavailable"  # strangers are refused whether the log is there or not
        )
        answer = await refused(server.connect(token="no.token.atall"))
        assert answer["status"] == "401"
        await client.get(f"{server.http}/rtc/validate?access_token=no.token.atall")
        await client.post(
            f"{server.http}/twirp/livekit.RoomService/ListRooms",
            headers={"Authorization": "Bearer no.token.atall"},
        )
        await client.post(
            f"{server.http}/whip/v1", headers={"Authorization": "Bearer no.token.atall"}
        )
        await refused(server.connect(token=server.token("alice", video={"roomJoin": False})))
        events = server.trail.of(TokenRefused)
        assert [event.why.reason for event in events] == ["token_malformed"] * 4 + [
            "join_not_granted"
        ]
        assert len({event.token for event in events[:4]}) == 1
        assert all("no.token" not in event.token for event in events)


# -- the server API ------------------------------------------------------------------------------------


async def call(server: SignalServer, method: str, **message: Any) -> httpx.Response:
    token = server.token("", video=ADMIN)
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(
            f"{server.http}/twirp/livekit.RoomService/{method}",
            json=message,
            headers={"Authorization": f"Bearer {token}"},
        )


def alice(server: SignalServer) -> PeerDouble:
    (peer,) = server.rooms.rooms[ROOM].peers.values()
    return peer


ACTS: dict[str, tuple[dict[str, Any], type, Callable[[SignalServer], object]]] = {
    "MutePublishedTrack": ({"track_sid": "?", "muted": True}, TrackMuted,
                           lambda server: [track.muted for track in alice(server).publications.values()]),
    "RemoveParticipant": ({}, ParticipantRemoved, lambda server: len(server.rooms.rooms[ROOM].peers)),
    "UpdateParticipant": ({"name": "Alice B.", "permission": {"can_subscribe": True}}, ParticipantUpdated,
                          lambda server: (alice(server).name, alice(server).permissions)),
    "UpdateSubscriptions": ({"track_sids": ["TR_x"], "subscribe": True}, SubscriptionsUpdated,
                            lambda server: set(alice(server).subscribed_tracks)),
    "UpdateRoomMetadata": ({"metadata": "m"}, RoomChanged, lambda server: server.rooms.rooms[ROOM].metadata),
    "CreateRoom": ({"name": ROOM, "metadata": "m"}, RoomChanged,
                   lambda server: server.rooms.rooms[ROOM].metadata),
    "DeleteRoom": ({}, RoomEnded, lambda server: set(server.rooms.rooms)),
}  # fmt: skip


@pytest.mark.parametrize("method", ACTS)
async def test_what_governs_others_is_on_record_before_it_happens_and_refused_otherwise(
    method: str,
) -> None:
    body, kind, state = ACTS[method]
    async with serving() as server, server.connect("alice") as client:
        await client.expect("join")
        await client.send(add_track=rtc.AddTrackRequest(cid="m", type=models.TrackType.AUDIO))
        sid = (await client.expect("track_published")).track.sid
        given = {"room": ROOM, "identity": "alice", **body}
        if "track_sid" in given:
            given["track_sid"] = sid
        before = state(server)

        server.trail.refusal = "audit_unavailable"
        answer = await call(server, method, **given)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.json()["meta"] == {"reason": "audit_unavailable"}
        assert state(server) == before

        server.trail.refusal = ""
        server.trail.holding = True
        calling = asyncio.create_task(call(server, method, **given))
        await server.trail.when_held()
        assert state(server) == before
        server.trail.holding = False
        server.trail.release()
        answer = await calling
        assert answer.status_code == 200, answer.text
        event = server.trail.only(kind)
        assert (event.actor.role, event.actor.key) == (Role.API, KEY)
        assert event.on.room
        if method != "DeleteRoom":
            assert state(server) != before


async def test_a_moderator_has_a_name_of_its_own_in_the_log() -> None:
    async with serving() as server, server.connect("alice") as client:
        await client.expect("join")
        token = server.token("mod", video={"roomAdmin": True})
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(
                f"{server.http}/twirp/livekit.RoomService/RemoveParticipant",
                json={"room": ROOM, "identity": "alice"},
                headers={"Authorization": f"Bearer {token}"},
            )
        assert answer.status_code == 200
        event = server.trail.only(ParticipantRemoved)
        assert event.actor.role is Role.MODERATOR
        assert event.actor.subject == pseudonym_of(Person(Identity("mod")))
        assert event.on.subject == pseudonym_of(Person(Identity("alice")))


async def test_a_call_about_somebody_who_leaves_meanwhile_is_abandoned() -> None:
    async with serving() as server, server.connect("alice") as client:
        await client.expect("join")
        server.trail.holding = True
        calling = asyncio.create_task(
            call(server, "RemoveParticipant", room=ROOM, identity="alice")
        )
        await server.trail.when_held()
        server.rooms.delete_room(ROOM)
        server.trail.holding = False
        server.trail.release()
        answer = await calling
        assert answer.json()["code"] == "not_found"
        assert server.trail.only(ActAbandoned).why.reason == "not_found"


async def test_a_call_never_reaches_another_room_of_the_same_name() -> None:
    async with serving() as server, server.connect("alice") as client:
        await client.expect("join")
        server.trail.holding = True
        calling = asyncio.create_task(call(server, "UpdateRoomMetadata", room=ROOM, metadata="m"))
        await server.trail.when_held()
        server.rooms.delete_room(ROOM)
        other = server.rooms.create_room(ROOM, RoomOptions())
        server.trail.holding = False
        server.trail.release()
        answer = await calling
        assert (answer.status_code, answer.json()["code"]) == (409, "aborted")
        assert other.metadata == ""
        assert server.trail.only(ActAbandoned).why.reason == "aborted"


async def test_a_room_that_ends_while_its_deletion_is_recorded_ends_once_in_the_log() -> None:
    async with serving() as server, server.connect("alice") as client:
        await client.expect("join")
        server.trail.holding = True
        calling = asyncio.create_task(call(server, "DeleteRoom", room=ROOM))
        await server.trail.when_held()
        server.rooms.delete_room(ROOM)
        server.rooms.flush()
        server.trail.holding = False
        server.trail.release()
        assert (await calling).status_code == 200
        assert server.trail.only(RoomEnded).participants == 1


# -- WHIP and WHEP -------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
async def test_an_encoder_is_refused_with_a_problem(code: str) -> None:
    node = HttpCall()
    node.trail.refusal = code
    response = await publish(node)
    assert code_of(response) == (503, code)
    assert response.headers["retry-after"]
    assert not node.world.engine.rooms


async def test_tracks_of_an_encoder_are_on_record_before_they_are_there() -> None:
    node = HttpCall()
    location, _ = await published(node)
    kinds = node.trail.kinds
    assert kinds == ["room_created", "admission_granted", "track_published", "track_published"]
    assert {event.purpose for event in node.trail.of(TrackPublished)} == {"camera", "microphone"}
    await node.http.delete(location, headers=node.bearer())
    node.world.advance(3600)
    assert node.trail.kinds[len(kinds) :] == [
        "track_unpublished",
        "track_unpublished",
        "participant_left",
        "room_ended",
    ]


async def test_an_encoder_whose_tracks_cannot_be_recorded_has_never_sent() -> None:
    node = HttpCall()
    await published(node)
    node.trail.events.clear()
    node.trail.holding = True
    posting = asyncio.create_task(publish(node, headers=node.bearer("second")))
    await node.trail.when_held()
    node.trail.release()
    await node.trail.when_held()
    node.trail.refusal = "audit_timeout"
    node.trail.holding = False
    node.trail.release()
    assert code_of(await posting) == (503, "audit_timeout")
    assert "second" not in node.world.room.peers
    assert node.trail.kinds == ["admission_granted", "participant_left"]


async def test_a_viewer_is_on_record_and_refused_otherwise() -> None:
    node = HttpCall()
    await published(node)
    node.trail.refusal = "audit_unavailable"
    assert code_of(await watch(node)) == (503, "audit_unavailable")
    node.trail.refusal = ""
    node.trail.events.clear()
    assert (await watch(node)).status_code == 201
    granted = node.trail.only(AdmissionGranted)
    assert granted.rights == ("subscribe", "hidden")
    assert granted.on.subject == pseudonym_of(Person(Identity("viewer")))


async def test_a_viewer_of_nothing_is_refused_on_record() -> None:
    node = HttpCall()
    assert code_of(await watch(node)) == (409, "not_live")
    assert node.trail.only(AdmissionRefused).why.reason == "not_live"
    assert node.trail.only(AdmissionRefused).on.room == ""


# -- helpers -------------------------------------------------------------------------------------------


async def _join(server: SignalServer, identity: str) -> None:
    async with server.connect(identity) as client:
        await client.expect("join")
