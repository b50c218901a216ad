"""A call that uses everything there is: what was done is on record once, nothing is missing, nothing twice.

From that log alone, without the server: who was where from when to when, who could receive what, who read of whom.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from livekit import rtc

from common.clock import SystemClock
from common.redact import Redacted
from compliance.envelope import Record, decode, format_time
from compliance.events import KINDS
from crypto.tokens import SigningKeys, issue
from server.config import DEV_KEY, DEV_SECRET
from tests.interop.conftest import Server, start_server, stop_server, until
from tests.interop.test_audit_reading import conclave, lines
from tests.support.http_clients import WhepClient, WhipClient
from tests.support.logs import read_published

pytestmark = pytest.mark.timeout(180)
ROOM = "quarterly figures"
# Kinds for which there is no act yet, or none that a call leads to.
NOT_YET = {
    "configuration_applied",
    "token_revoked",
    "subject_erased",
    "entry_corrected",
    "custom_recorded",
}
# Every act of the script below with its entries, as docs/compliance/audit.md tells them.
EXPECTED: dict[str, dict[tuple[str, str], int]] = {
    "the server starts and stops": {
        ("server_started", "system"): 1, ("key_used", "system"): 2, ("server_stopped", "system"): 1},
    "the development page makes a token": {("token_issued", "system"): 1},
    "the tenant's software makes two rooms": {("room_created", "api"): 2},
    "Alice, Bob and a guest join, each gets a token to come back with": {
        ("admission_granted", "participant"): 3, ("token_issued", "system"): 3},
    "an encoder and a player come and go": {
        ("admission_granted", "participant"): 2, ("participant_left", "system"): 2,
        ("track_published", "participant"): 2, ("track_unpublished", "system"): 2},
    "Alice publishes sound and a picture": {("track_published", "participant"): 2},
    "Alice says who may receive them": {("subscription_permission_changed", "participant"): 1},
    "Alice changes name, metadata, attributes, which her next tokens say": {
        ("participant_updated", "participant"): 3, ("token_issued", "system"): 3},
    "somebody governs": {
        ("track_muted", "api"): 1, ("participant_updated", "api"): 1,
        ("subscriptions_updated", "api"): 1, ("room_changed", "api"): 1},
    "Bob, whose rights changed, gets a token that says so": {("token_issued", "system"): 1},
    "Bob is removed": {("participant_removed", "api"): 1, ("participant_left", "system"): 1},
    "Alice takes the picture back": {("track_unpublished", "system"): 1},
    "a forged token, and one too many in a small room": {
        ("token_refused", "system"): 1, ("admission_refused", "participant"): 1},
    "Alice reads her receipts": {("log_read", "participant"): 1},
    "an auditor reads about Alice, about Bob, the first entry, and exports": {
        ("log_read", "auditor"): 3, ("log_exported", "auditor"): 1},
    "a privacy officer opens what is sealed about Alice": {("vault_read", "operator"): 1},
    "both rooms are ended, with Alice and the guest in them": {
        ("room_ended", "api"): 2, ("participant_left", "system"): 2, ("track_unpublished", "system"): 1},
}  # fmt: skip


@dataclass
class Scene:
    """A server on which it happens."""

    server: Server
    http: httpx.AsyncClient
    marks: dict[str, str] = field(default_factory=dict)  # times, and sids, by what they are of

    def mark(self, name: str) -> None:
        self.marks[name] = format_time(int(SystemClock().wall() * 1_000_000))

    def bearer(self, identity: str, **claims: object) -> dict[str, str]:
        now = SystemClock().wall()
        keys = SigningKeys({DEV_KEY: Redacted(DEV_SECRET)})
        body = {"sub": identity, **claims}
        token = issue(body, keys, issuer=DEV_KEY, expires_at=now + 600, now=now)
        return {"Authorization": f"Bearer {token}"}

    def participant(self, identity: str, room: str = ROOM) -> str:
        video = {"room": room, "roomJoin": True, "canUpdateOwnMetadata": True}
        return self.bearer(identity, video=video)["Authorization"].removeprefix("Bearer ")

    async def call(self, method: str, **body: object) -> dict[str, Any]:
        """Of the tenant's software, to the server's API."""
        video = {"room": body.get("room", body.get("name")), "roomAdmin": True, "roomCreate": True}
        response = await self.http.post(
            f"/twirp/livekit.RoomService/{method}", json=body, headers=self.bearer("", video=video)
        )
        assert response.status_code == 200, (method, response.text)
        answer: dict[str, Any] = response.json()
        return answer

    async def read(self, path: str, role: str = "auditor", **query: str) -> Any:
        headers = self.bearer("ada", conclave={"roles": [role]})
        given = {"purpose": "access_request", **query}
        response = await self.http.get(f"/v1/{path}", params=given, headers=headers)
        assert response.status_code == 200, response.text
        return response.json() if "export" not in path else response.text


async def perform(scene: Scene) -> None:
    """The script."""
    await recorded(scene, 3)
    assert (
        await scene.http.get("/api/meeting", params={"room": ROOM, "name": "Page"})
    ).status_code == 200
    scene.marks["room"] = (await scene.call("CreateRoom", name=ROOM))["sid"]
    async with contextlib.AsyncExitStack() as stack:
        alice, bob = [await joined(stack, scene, name) for name in ("alice", "bob")]
        async with encoder_and_player(scene):
            await publish_and_change(scene, alice, bob)
            await govern(scene, alice, bob)
        await knock_in_vain(stack, scene)
        await look(scene)
        await scene.call("DeleteRoom", room=ROOM)


async def joined(
    stack: contextlib.AsyncExitStack, scene: Scene, name: str, room: str = ROOM
) -> rtc.Room:
    made = rtc.Room()
    await made.connect(scene.server.ws, scene.participant(name, room))
    stack.push_async_callback(made.disconnect)
    return made


@contextlib.asynccontextmanager
async def encoder_and_player(scene: Scene) -> AsyncIterator[None]:
    whip = WhipClient(scene.server.url, scene.participant("encoder"))
    whep = WhepClient(scene.server.url, scene.participant("player"))
    async with whip, whep:
        await whep.arrived.get()
        yield
        assert [await whep.delete(), await whip.delete()] == [200, 200]


async def publish_and_change(scene: Scene, alice: rtc.Room, bob: rtc.Room) -> None:
    me = alice.local_participant
    heard: asyncio.Queue[str] = asyncio.Queue()
    bob.on("track_subscribed", lambda _track, one, _who: heard.put_nowait(one.sid))
    camera = rtc.LocalVideoTrack.create_video_track("picture", rtc.VideoSource(320, 180))
    microphone = rtc.LocalAudioTrack.create_audio_track("sound", rtc.AudioSource(48_000, 1))
    scene.mark("before the picture")
    for name, track in (("picture", camera), ("sound", microphone)):
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA
            if name == "picture"
            else rtc.TrackSource.SOURCE_MICROPHONE
        )
        scene.marks[name] = (await me.publish_track(track, options)).sid
    missing = {scene.marks["picture"], scene.marks["sound"]}
    while missing:
        missing.discard(await heard.get())
    scene.mark("before the rule")
    rule = rtc.ParticipantTrackPermission(participant_identity="bob", allow_all=True)
    me.set_track_subscription_permissions(
        allow_all_participants=False, participant_permissions=[rule]
    )
    await me.set_name("Alice Jones")
    await me.set_metadata("of alice")
    await me.set_attributes({"mood": "good"})
    microphone.mute()  # her own affair
    await me.publish_data("content", topic="talk")


async def govern(scene: Scene, alice: rtc.Room, bob: rtc.Room) -> None:
    picture, whose = scene.marks["picture"], {"room": ROOM, "identity": "bob"}
    await scene.call(
        "MutePublishedTrack", room=ROOM, identity="alice", track_sid=picture, muted=True
    )
    permission = {"canSubscribe": True, "canPublish": False, "canPublishData": True}
    await scene.call("UpdateParticipant", **whose, permission=permission)
    await scene.call("UpdateSubscriptions", **whose, track_sids=[picture], subscribe=False)
    await scene.call("UpdateRoomMetadata", room=ROOM, metadata="agenda")
    await scene.call("SendData", room=ROOM, data="Y29udGVudA==", kind="RELIABLE")
    gone = asyncio.Event()
    bob.on("disconnected", lambda *_: gone.set())
    scene.mark("before bob goes")
    await scene.call("RemoveParticipant", **whose)
    await gone.wait()
    scene.mark("after bob went")
    await alice.local_participant.unpublish_track(picture)


async def knock_in_vain(stack: contextlib.AsyncExitStack, scene: Scene) -> None:
    forged = scene.participant("eve") + "x"
    refused = await scene.http.get("/rtc/validate", params={"access_token": forged})
    assert refused.status_code == 401
    await scene.call("CreateRoom", name="small", max_participants=1)
    await joined(stack, scene, "guest", "small")
    assert await refused_encoder(scene) == 503
    await scene.call("DeleteRoom", room="small")


async def refused_encoder(scene: Scene) -> int:
    """The status with which one too many is sent away."""
    whip = WhipClient(scene.server.url, scene.participant("late", "small"))
    whip.prepare()
    await whip.connection.setLocalDescription(await whip.connection.createOffer())
    status = (await whip.post(whip.connection.localDescription.sdp)).status_code
    await whip.connection.close()
    await whip.http.aclose()
    return status


async def recorded(scene: Scene, size: int) -> None:
    """Waits until a checkpoint covers that many entries."""

    async def covers() -> bool:
        headers = scene.bearer("ada", conclave={"roles": ["auditor"]})
        response = await scene.http.get("/v1/audit/checkpoint", headers=headers)
        return response.status_code == 200 and int(response.json()["size"]) >= size

    await until(covers, f"{size} entries in the log", 60)


async def look(scene: Scene) -> None:
    """Three readings of Alice's data in three roles, one of Bob's, one of everybody's."""

    await recorded(scene, 41)
    admission = {"identity": "alice", "kind": "admission_granted"}
    [found] = (await scene.read("audit/entries", **admission))["entries"]
    scene.marks["admission of alice"] = str(found["index"])
    scene.marks["alice"] = found["entry"]["on"]["subject"]
    await scene.read(f"audit/entries/{found['index']}/private", "privacy_officer")
    headers = {"Authorization": f"Bearer {scene.participant('alice')}"}
    assert (await scene.http.get("/v1/receipts", headers=headers)).json()["receipts"]
    await scene.read(
        "audit/entries", identity="bob", kind="participant_removed", purpose="complaint"
    )
    await scene.read(
        "audit/export", room=scene.marks["room"], kind="room_created", purpose="statistics"
    )
    await scene.read("audit/entries/0", purpose="curiosity")


@dataclass(frozen=True)
class Told:
    """What the log of the stopped server says."""

    data: Path
    records: list[Record]
    marks: dict[str, str]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    data = tmp_path_factory.mktemp("trace")
    server = start_server(data)

    async def run() -> dict[str, str]:
        async with (
            asyncio.timeout(120),
            httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http,
        ):
            scene = Scene(server, http)
            await perform(scene)
            return scene.marks

    try:
        marks = asyncio.run(run())
    finally:
        stop_server(server)
    return Told(data, [decode(entry) for entry in read_published(data / "audit/log")], marks)


def test_every_act_is_on_record_exactly_once(told: Told) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for entries in EXPECTED.values():
        expected.update(entries)
    found = Counter((each.event.kind, each.event.actor.role.value) for each in told.records)
    assert found == expected
    assert {kind for kind, _ in expected} == set(KINDS) - NOT_YET - {"act_abandoned"}
    assert [each.sequence for each in told.records] == list(range(1, len(told.records) + 1))
    times = [each.time for each in told.records]
    assert times == sorted(times)
    conclave("audit", "verify", "--data", str(told.data))


def test_from_the_log_alone_it_is_told_who_was_there_and_who_could_receive_what(told: Told) -> None:
    marks = told.marks
    [account] = lines(conclave("audit", "room", marks["room"], "--data", str(told.data), "--json"))
    people = {each["peer"]: each for each in account["participants"]}
    assert len(people) == 4
    alice, bob, encoder, player = people.values()
    assert alice["subject"] == marks["alice"]
    assert marks["before bob goes"] < bob["to"] < marks["after bob went"]
    assert bob["seconds"] >= 0
    assert all(
        each["vault"].startswith("v_") and each["from"] < each["to"] for each in people.values()
    )
    tracks = {each["track"]: each for each in account["tracks"]}
    assert len(tracks) == 4
    picture = tracks[marks["picture"]]
    assert (picture["peer"], picture["purpose"], picture["medium"]) == (
        alice["peer"],
        "camera",
        "video",
    )
    viewers = {each["peer"]: each["spans"] for each in picture["viewers"]}
    # Bob was named by the rule and saw it until he was removed, the player until the rule came.
    assert "subscribe" not in encoder["rights"]
    assert set(viewers) == {bob["peer"], player["peer"]}
    [span] = viewers[bob["peer"]]
    assert (span["from"], span["to"]) == (picture["from"], bob["to"])
    [span] = viewers[player["peer"]]
    assert span["from"] == picture["from"]
    assert marks["before the rule"] < span["to"] < marks["before bob goes"]
    words = conclave("audit", "room", marks["room"], "--data", str(told.data))
    assert all(sid in words for sid in (*people, *tracks))
    assert not {"alice", "bob", "Alice Jones", ROOM} & set(words.replace("\n", " ").split(" "))


def test_whoever_asks_who_saw_her_data_is_told_of_her_readers_and_no_others(told: Told) -> None:
    """Three roles read about Alice; the readings of Bob's entry, of rooms and of the start are not hers."""
    where = ("--subject", told.marks["alice"], "--data", str(told.data), "--json")
    found = lines(conclave("audit", "accesses", *where))
    assert [(each["kind"], each["role"], each["purpose"]) for each in found] == [
        ("log_read", "auditor", "access_request"),
        ("vault_read", "operator", "access_request"),
        ("log_read", "participant", "receipts"),
    ]
    assert all(each["certain"] for each in found)
    assert {each["shown"] for each in found} == {int(told.marks["admission of alice"])}
    assert [each["time"] for each in found] == sorted(each["time"] for each in found)
    text = json.dumps(found)
    others = {each.event.on.subject for each in told.records} - {told.marks["alice"]}
    assert not [subject for subject in others if subject and subject in text]
