"""A call with a name, a phone number, an address and secrets: none of it is stored or said anywhere, in any form.

The one exception is what a privacy officer opens on purpose, which shows at the same time that the search finds
things.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import os
import signal
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from livekit import rtc

from common.clock import SystemClock
from common.redact import Redacted
from crypto.tokens import SigningKeys, issue
from tests.interop.conftest import Server, serve, stop_server, until
from tests.support.canaries import Sighting, forms, search
from tests.support.http_clients import WhipClient

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

SECRET = "cAnArY-sEcReT-0123456789-abcdefghijklmnop"
SAID = {
    "identity": "zelda.fitzwilliam@canary.example",
    "name": "Zelda Fitzwilliam-Ørsted",
    "phone": "+49 1577 4455667",
    "digits": "4915774455667",
    "street": "17 Canary Wharf Lane, Kiel",
    "room": "kiel merger talks (canary)",
    "room metadata": "budget-canary-oboe",
    "message": "the canary sings at midnight",
    "topic": "topic-of-the-canary",
    "new name": "Zelda Canary-Married",
    "track": "canary-webcam-of-zelda",
    "browser": "CanaryBrowser/77.31",
    "address": "127.77.31.9",
    "second identity": "bruno.canary-encoder",
    "stranger": "uninvited-canary-stranger",
    "sentence": "because zelda called the canary line",
    "API secret": SECRET,
}
# Who may hold what, with the reason. Everything else is a finding.
ALLOWED = {
    ("data/vault.key", "master key"): "the file is that key; nothing else is in it",
    ("data/audit/signing.key", "signing key"): "the file is that key; nothing else is in it",
}
CONFIG = """
data = "{data}"
[http]
port = 0
[media]
addresses = ["127.0.0.1"]
port = 0
[log]
level = "debug"
[audit]
sidecar = "child"
port = 0
timeout = 1.0
[keys.production]
secret_file = "{secret}"
"""


# -- the search itself -------------------------------------------------------------------------------

VALUE = "Zelda Fitzwilliam-Ørsted"
PLANTED: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda v: v.encode(),
    "in capitals": lambda v: v.upper().encode(),
    "in small letters": lambda v: v.lower().encode(),
    "UTF-16 little endian": lambda v: v.encode("utf-16-le"),
    "UTF-16 big endian": lambda v: v.encode("utf-16-be"),
    "base64": lambda v: base64.b64encode(v.encode()),
    "base64 after one byte": lambda v: base64.b64encode(b"x" + v.encode() + b"yz"),
    "base64 after two bytes": lambda v: base64.b64encode(b"xy" + v.encode() + b"z"),
    "base64url": lambda v: base64.urlsafe_b64encode(b"\xfb\xff" + v.encode()),
    "hexadecimal": lambda v: v.encode().hex().encode(),
    "HEXADECIMAL": lambda v: v.encode().hex().upper().encode(),
    "percent": lambda v: quote(v, safe="").encode(),
    "percent with plus": lambda v: quote(v).replace("%20", "+").encode(),
    "percent everywhere": lambda v: "".join(f"%{b:02x}" for b in v.encode()).encode(),
    "JSON": lambda v: json.dumps({"x": v}).encode(),
    "JSON escapes": lambda v: "".join(f"\\u{ord(c):04x}" for c in v).encode(),
    "backwards": lambda v: v[::-1].encode(),
    "gzip": lambda v: gzip.compress(b"before " + v.encode() + b" after"),
    "gzip that is cut off": lambda v: gzip.compress(v.encode() + os.urandom(4000))[:-2000],
    "zlib": lambda v: zlib.compress(v.encode()),
    "zlib, quickly": lambda v: zlib.compress(v.encode(), 1),
    "deflate": lambda v: zlib.compress(v.encode())[2:-4],
    "base64 in gzip": lambda v: gzip.compress(base64.b64encode(v.encode())),
    "gzip in zlib": lambda v: zlib.compress(gzip.compress(v.encode())),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_search_finds_what_is_planted(name: str) -> None:
    planted = PLANTED[name](VALUE)
    around = (
        (b"", b"") if name == "deflate" else (b"\x00noise\xff" * 7, b"more\x1f\x8b\x08\x78\x9c")
    )
    found = search({"name": VALUE}, {"file": around[0] + planted + around[1]})
    assert found, name
    assert {(each.place, each.value) for each in found} == {("file", "name")}


def test_the_search_finds_nothing_where_nothing_is() -> None:
    values = {**SAID, "name": VALUE}
    assert search(values, {"noise": os.urandom(200_000), "text": b"nobody was here" * 1000}) == []


def test_what_would_turn_up_by_chance_is_no_canary() -> None:
    with pytest.raises(ValueError, match="by chance"):
        list(forms("Bob"))


# -- the call ----------------------------------------------------------------------------------------


@dataclass
class Traces:
    """Everything that was stored or said."""

    places: dict[str, bytes] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=lambda: dict(SAID))

    def folder(self, label: str, root: Path) -> None:
        """All files below a folder, and what they are called."""
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        for path in paths:
            with contextlib.suppress(FileNotFoundError):  # renamed or removed meanwhile
                self.places[f"{label}/{path.relative_to(root)}"] = path.read_bytes()
        self.places[f"{label}: names"] = "\n".join(map(str, paths)).encode()

    def file(self, label: str, path: Path) -> None:
        """One file."""
        self.places[label] = path.read_bytes()

    def rest(self, label: str, descriptor: int) -> None:
        """What is in a pipe whose writers are gone."""
        with open(descriptor, "rb") as pipe:
            self.places[label] = pipe.read()

    def answer(self, label: str, response: httpx.Response, status: int = 200) -> httpx.Response:
        """What an auditor or a scraper gets."""
        assert response.status_code == status, (label, response.text)
        heads = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
        self.places[f"answer: {label}"] = heads.encode() + b"\n\n" + response.content
        return response

    def token(self, label: str, token: str) -> str:
        """A token is a secret, claims and signature."""
        _, claims, signature = token.split(".")
        self.values |= {f"claims of {label}": claims, f"signature of {label}": signature}
        return token


@dataclass
class Scene:
    """A server with a configuration and secrets outside of its data folder."""

    server: Server
    traces: Traces
    sidecar: str  # URL
    data: Path

    def token(
        self, label: str, identity: str, video: Mapping[str, object], **claims: object
    ) -> str:
        now = SystemClock().wall()
        keys = SigningKeys({"production": Redacted(SECRET)})
        body = {"sub": identity, "video": dict(video), **claims}
        return self.traces.token(
            label, issue(body, keys, issuer="production", expires_at=now + 3600, now=now)
        )

    def reader(self, role: str) -> dict[str, str]:
        token = self.token(role, "ada", {}, conclave={"roles": [role]})
        return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Scene]:
    outside = folder / "outside"
    data = folder / "data"
    outside.mkdir()
    (outside / "secret").write_text(SECRET)
    config = CONFIG.format(data=data, secret=outside / "secret")
    server = await asyncio.to_thread(serve, outside, config)
    try:
        yield Scene(server, Traces(), server.audit, data)
    finally:
        await asyncio.to_thread(stop_server, server)


async def join_and_talk(scene: Scene) -> None:
    """Two SDK participants: names, metadata, attributes, data, chat, a rename; the room gets metadata."""
    grants = {"room": SAID["room"], "roomJoin": True, "canUpdateOwnMetadata": True}
    zelda = scene.token(
        "zelda", SAID["identity"], grants, name=SAID["name"],
        metadata=json.dumps({"phone": SAID["phone"], "street": SAID["street"]}),
        attributes={"digits": SAID["digits"]},
    )  # fmt: skip
    ada = scene.token("listener", "listening-canary-person", grants)
    scene.traces.values["listener"] = "listening-canary-person"
    speaking, hearing = rtc.Room(), rtc.Room()
    heard: asyncio.Queue[str] = asyncio.Queue()
    hearing.on("data_received", lambda packet: heard.put_nowait(packet.data.decode()))
    await hearing.connect(scene.server.ws, ada)
    await speaking.connect(scene.server.ws, zelda)
    async with asyncio.timeout(60):
        video = rtc.VideoSource(320, 180)
        track = rtc.LocalVideoTrack.create_video_track(SAID["track"], video)
        await speaking.local_participant.publish_track(track, rtc.TrackPublishOptions())
        await speaking.local_participant.set_name(SAID["new name"])
        await speaking.local_participant.set_metadata(SAID["room metadata"] + " of zelda")
        while heard.empty():
            await speaking.local_participant.publish_data(SAID["message"], topic=SAID["topic"])
            await asyncio.sleep(0.2)
        assert await heard.get() == SAID["message"]
    await govern(scene)
    await speaking.disconnect()
    await hearing.disconnect()


async def govern(scene: Scene) -> None:
    """The tenant's software changes the room and the participant, and throws a track's owner out."""
    admin = scene.token("admin", "canary-tenant-software",
                        {"room": SAID["room"], "roomAdmin": True, "roomCreate": True})  # fmt: skip
    headers = {"Authorization": f"Bearer {admin}", "User-Agent": SAID["browser"]}
    transport = httpx.AsyncHTTPTransport(local_address=SAID["address"])
    who = {"room": SAID["room"], "identity": SAID["identity"]}
    async with httpx.AsyncClient(
        base_url=scene.server.url, transport=transport, headers=headers
    ) as http:
        for method, body in {
            "UpdateRoomMetadata": {"room": SAID["room"], "metadata": SAID["room metadata"]},
            "UpdateParticipant": {**who, "metadata": SAID["phone"]},
            "SendData": {"room": SAID["room"], "topic": SAID["topic"],
                         "data": base64.b64encode(SAID["message"].encode()).decode()},
            "RemoveParticipant": who,
        }.items():  # fmt: skip
            response = await http.post(f"/twirp/livekit.RoomService/{method}", json=body)
            assert response.status_code == 200, (method, response.text)


async def knock_in_vain(scene: Scene) -> None:
    """What is refused leaves no more behind than what is not."""
    stranger = quote(SAID["stranger"])
    headers = {"User-Agent": SAID["browser"], "Referer": f"https://{SAID['stranger']}/"}
    transport = httpx.AsyncHTTPTransport(local_address=SAID["address"])
    foreign = SigningKeys({"production": Redacted(SAID["stranger"] * 2)})
    now = SystemClock().wall()
    forged = issue({"sub": SAID["stranger"], "video": {"room": SAID["room"], "roomJoin": True}},
                   foreign, issuer="production", expires_at=now + 60, now=now)  # fmt: skip
    scene.traces.token("forged", forged)
    bearer = {"Authorization": f"Bearer {forged}"}
    zelda = scene.token("nosy", SAID["identity"], {"room": SAID["room"], "roomJoin": True})
    nosy = {"Authorization": f"Bearer {zelda}"}
    async with httpx.AsyncClient(
        base_url=scene.server.url, transport=transport, headers=headers
    ) as http:
        for path in (f"/rtc/validate?access_token={forged}", f"/{stranger}", f"/meet/{stranger}",
                     f"/rtc?access_token={forged}&name={stranger}", f"/whip/v1/{stranger}"):  # fmt: skip
            await http.get(path)
        for path in ("/whip/v1", "/whep/v1"):
            head = {**bearer, "Content-Type": "application/sdp"}
            refused = await http.post(path, content=f"v=0 {SAID['stranger']}", headers=head)
            assert refused.status_code == 401
        call = {"room": SAID["stranger"], "identity": SAID["stranger"]}
        await http.post("/twirp/livekit.RoomService/RemoveParticipant", json=call, headers=bearer)
        await http.post("/twirp/livekit.RoomService/RemoveParticipant", json=call, headers=nosy)
        refused = await http.get("/v1/audit/entries?purpose=nosy", headers=nosy)
        assert refused.status_code == 403


async def read_all(scene: Scene) -> None:
    """What an auditor and a scraper are shown, also of questions that name somebody."""
    traces, auditor = scene.traces, scene.reader("auditor")
    async with httpx.AsyncClient(base_url=scene.server.url, trust_env=False, timeout=30) as http:

        async def found() -> bool:
            body = {"identity": SAID["identity"], "purpose": "test", "kind": "participant_left"}
            answer = await http.post("/v1/audit/search", json=body, headers=auditor)
            return answer.status_code == 200 and bool(answer.json()["entries"])

        await until(found, "the leave in the log")
        for label, query in {
            "entries": {"limit": "256"},
            "by identity": {"identity": SAID["identity"]},
        }.items():
            given = {"purpose": "review", **query}
            page = traces.answer(
                label, await http.get("/v1/audit/entries", params=given, headers=auditor)
            )
            assert page.json()["entries"]
        for form in ("jsonl", "ocsf", "cef"):
            given = {"purpose": "review", "format": form}
            traces.answer(form, await http.get("/v1/audit/export", params=given, headers=auditor))
        traces.answer("checkpoint", await http.get("/v1/audit/checkpoint", headers=auditor))
        traces.answer("description", await http.get("/v1/openapi.json"))
        for label, given in {
            "a sentence as purpose": {"purpose": SAID["sentence"]},
            "an unknown person": {"purpose": "x", "identity": SAID["stranger"]},
            "an unknown room": {"purpose": "x", "room": SAID["stranger"]},
            "an unknown field": {"purpose": "x", SAID["stranger"]: SAID["sentence"]},
        }.items():
            refused = await http.get("/v1/audit/entries", params=given, headers=auditor)
            traces.answer(label, refused, refused.status_code)
            assert refused.status_code in (400, 404)
        traces.answer("sidecar metrics", await http.get(f"{scene.sidecar}/metrics"))
        traces.answer("sidecar checkpoint", await http.get(f"{scene.sidecar}/checkpoint"))
        mine = scene.token("again", SAID["identity"], {"room": SAID["room"], "roomJoin": True})
        receipts = await http.get("/v1/receipts", headers={"Authorization": f"Bearer {mine}"})
        assert len(traces.answer("receipts", receipts).json()["receipts"]) >= 2


async def open_what_is_sealed(scene: Scene) -> bytes:
    """The one answer that names somebody."""
    officer, auditor = scene.reader("privacy_officer"), scene.reader("auditor")
    given = {"purpose": "review", "kind": "admission_granted", "identity": SAID["identity"]}
    async with httpx.AsyncClient(base_url=scene.server.url, trust_env=False) as http:
        page = await http.get("/v1/audit/entries", params=given, headers=auditor)
        index = page.json()["entries"][0]["index"]
        path = f"/v1/audit/entries/{index}/private"
        answer = await http.get(path, params={"purpose": "access_request"}, headers=officer)
        return answer.content


def children(process: int) -> list[int]:
    """Of a process."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(each) for each in listed.split()]


async def meet_while_the_sidecar_is_frozen(scene: Scene) -> None:
    """Entries wait in the spool; it is looked at while it holds them."""
    (sidecar,) = children(scene.server.process.pid)
    os.kill(sidecar, signal.SIGSTOP)
    try:
        video = {"room": SAID["room"], "roomJoin": True}
        encoder = scene.token("encoder", SAID["second identity"], video, name=SAID["new name"])

        async def gets_in() -> bool:
            client = WhipClient(scene.server.url, encoder)
            try:
                async with client:
                    scene.traces.values["ICE password"] = _ice_password(client)
                    return True
            except AssertionError:  # refused until the server has noticed that the log is silent
                await client.http.aclose()
                await client.connection.close()
                return False

        await until(gets_in, "a join that waits in the spool", 60)
        scene.traces.folder("data while the sidecar is frozen", scene.data)
        spooled = [
            content for place, content in scene.traces.places.items() if "/audit/spool/" in place
        ]
        assert any(b"admission_granted" in content for content in spooled)
    finally:
        os.kill(sidecar, signal.SIGCONT)


def _ice_password(client: WhipClient) -> str:
    sdp = client.connection.remoteDescription.sdp
    return str(sdp.split("a=ice-pwd:")[1].split()[0])


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def test_nothing_of_a_call_is_stored_or_said(tmp_path: Path) -> None:
    async with staged(tmp_path) as scene:
        await join_and_talk(scene)
        await knock_in_vain(scene)
        await read_all(scene)
        opened = await open_what_is_sealed(scene)
        await meet_while_the_sidecar_is_frozen(scene)
        traces = scene.traces
        traces.folder("data while it runs", scene.data)
        for process in (scene.server.process.pid, *children(scene.server.process.pid)):
            traces.file(f"command line of {process}", Path(f"/proc/{process}/cmdline"))
        assert scene.server.process.stdout is not None
        said = os.dup(scene.server.process.stdout.fileno())  # stays open when the server is gone
    traces.rest("standard output", said)
    traces.file("log", tmp_path / "outside/server.log")
    traces.folder("data", scene.data)
    for name, file in (("master key", "vault.key"), ("signing key", "audit/signing.key")):
        traces.values[name] = (scene.data / file).read_text().strip()

    assert b"admission_granted" in traces.places["answer: entries"]
    assert any("/audit/index/" in place for place in traces.places)
    assert any("/vault/subjects/" in place for place in traces.places)
    assert b"sidecar_ready" in traces.places["log"]
    findings = [each for each in search(traces.values, traces.places) if not _allowed(each)]
    assert findings == []
    seen = {each.value for each in search(traces.values, {"opened": opened})}
    assert {"identity", "name", "room"} <= seen


def _allowed(sighting: Sighting) -> bool:
    name, _, file = sighting.place.partition("/")
    place = f"data/{file}" if name.startswith("data") else sighting.place
    return (place, sighting.value) in ALLOWED
