"""A real server and its sidecar: a meeting, then the log read through the command line, receipts, exports."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from livekit import rtc

from common.clock import SystemClock
from common.redact import Redacted
from crypto.tokens import SigningKeys, issue
from server.config import DEV_KEY, DEV_SECRET
from server.probe.session import join
from tests.interop.conftest import ROOT, Server, start_server, stop_server, until
from verifier.cli import main as verifier

pytestmark = pytest.mark.timeout(180)
ROOM = "quarterly figures"


@dataclass(frozen=True)
class Met:
    """A server on which Alice and Bob have met, and what the log says about Bob."""

    server: Server
    granted: dict[str, Any]
    left: dict[str, Any]

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def data(self) -> Path:
        return self.server.data


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Met]:
    running = start_server(tmp_path_factory.mktemp("met"))
    yield Met(running, *asyncio.run(meet(running)))
    stop_server(running)


async def meet(server: Server) -> list[dict[str, Any]]:
    """Bob's admission and leave, once they are in the log."""
    async with join(server.url, server.token("alice.jones", ROOM)):
        async with join(server.url, server.token("bob.smith", ROOM)):
            pass
    query = {
        "purpose": "test", "identity": "bob.smith", "kind": ["admission_granted", "participant_left"],
    }  # fmt: skip
    token = conclave("token", "create", "--role", "auditor", "--identity", "ada").strip()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:

        async def look() -> list[dict[str, Any]]:
            headers = {"Authorization": f"Bearer {token}"}
            response = await http.get("/v1/audit/entries", params=query, headers=headers)
            found: list[dict[str, Any]] = response.json().get("entries", [])
            return found if len(found) == 2 else []

        entries: list[dict[str, Any]] = await until(look, "Bob's leave in the log")
        return entries


def conclave(*arguments: str, code: int = 0) -> str:
    """What a command writes to standard output, or to standard error if it fails."""
    done = subprocess.run(
        [ROOT / ".venv/bin/conclave", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_tail_shows_who_came_and_left_and_that_it_was_read(met: Met) -> None:
    output = conclave(
        "audit", "tail", "--url", met.url, "--purpose", "test", "--no-follow", "--json",
        "--identity", "bob.smith", "--lines", "100",
    )  # fmt: skip
    shown = [each["entry"]["kind"] for each in lines(output)]
    assert shown.index("admission_granted") < shown.index("participant_left")
    assert shown.index("participant_left") < shown.index("log_read")
    assert met.granted["entry"]["on"]["peer"] == met.left["entry"]["on"]["peer"]
    assert "bob" not in output


@pytest.mark.anyio
async def test_tail_follows(met: Met) -> None:
    following = await asyncio.create_subprocess_exec(
        ROOT / ".venv/bin/conclave", "audit", "tail", "--url", met.url, "--purpose", "test",
        "--lines", "0", "--json", "--kind", "admission_granted",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert following.stdout is not None
    try:
        reading = asyncio.create_task(following.stdout.readline())
        async with asyncio.timeout(60):
            while not reading.done():
                async with join(met.url, met.server.token("carol.brown", "another room")):
                    await asyncio.wait({reading}, timeout=3)
        assert json.loads(await reading)["entry"]["kind"] == "admission_granted"
    finally:
        following.terminate()
        await following.wait()


@pytest.mark.anyio
async def test_show_proves_an_entry_and_export_proves_the_log(met: Met, tmp_path: Path) -> None:
    key = met.data / "audit/log/key.pub"
    where = ("--url", met.url, "--purpose", "court")
    shown = conclave("audit", "show", str(met.granted["index"]), *where, "--key", str(key))
    assert "proven: among the first" in shown
    assert "NOT PROVEN" not in shown
    out = tmp_path / "export.jsonl"
    conclave("audit", "export", *where, "--out", str(out))
    assert verifier(["export", str(out), "--key", str(key)]) in (0, 3)
    assert len(out.read_text().splitlines()) > met.granted["index"]
    refused = conclave("audit", "tail", "--data", str(met.data), code=1)
    assert "on record who reads" in refused


@pytest.mark.anyio
async def test_a_participant_proves_later_that_it_was_there(met: Met, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {met.server.token('bob.smith', ROOM)}"}
    async with httpx.AsyncClient(base_url=met.url, trust_env=False) as http:
        document = (await http.get("/v1/receipts", headers=headers)).json()
        assert [each["entry"]["kind"] for each in document["receipts"]] == [
            "admission_granted", "participant_left",
        ]  # fmt: skip
        for each in document["receipts"]:
            (tmp_path / "receipt").write_text(each["receipt"])
            assert verifier(["receipt", str(tmp_path / "receipt"), "--key", document["key"]]) == 0
        foreign = {"Authorization": f"Bearer {met.server.token('bob.smith', 'another room')}"}
        assert (await http.get("/v1/receipts", headers=foreign)).json()["receipts"] == []
        refused = await http.get("/v1/audit/entries?purpose=test", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "auditor_required")


@pytest.mark.anyio
async def test_a_participant_who_wants_it_is_sent_its_receipt(met: Met, tmp_path: Path) -> None:
    now = SystemClock().wall()
    claims = {
        "sub": "dora.white", "conclave": {"receipts": True}, "video": {"room": ROOM, "roomJoin": True},
    }  # fmt: skip
    keys = SigningKeys({DEV_KEY: Redacted(DEV_SECRET)})
    token = issue(claims, keys, issuer=DEV_KEY, expires_at=now + 60, now=now)
    room = rtc.Room()
    arrived: asyncio.Queue[rtc.DataPacket] = asyncio.Queue()
    room.on("data_received", arrived.put_nowait)
    await room.connect(met.server.ws, token)
    try:
        async with asyncio.timeout(60):
            packet = await arrived.get()
    finally:
        await room.disconnect()
    assert packet.topic == "conclave.receipt"
    document = json.loads(packet.data)
    (tmp_path / "receipt").write_text(document["receipt"])
    key = str(met.data / "audit/log/key.pub")
    assert verifier(["receipt", str(tmp_path / "receipt"), "--key", key]) == 0


@pytest.mark.anyio
async def test_what_is_sealed_opens_for_a_privacy_officer_alone(met: Met) -> None:
    token = conclave("token", "create", "--role", "privacy_officer", "--identity", "grace").strip()
    path = f"/v1/audit/entries/{met.granted['index']}/private"
    async with httpx.AsyncClient(base_url=met.url, trust_env=False) as http:
        response = await http.get(
            path, params={"purpose": "access_request"}, headers={"Authorization": f"Bearer {token}"}
        )
    assert response.json()["facts"]["identity"] == "bob.smith"
    assert response.json()["facts"]["room"] == ROOM


@pytest.mark.anyio
async def test_a_stopped_servers_log_is_read_from_its_folder(tmp_path: Path) -> None:
    server = start_server(tmp_path)
    checkpoint = tmp_path / "audit/log/checkpoint"

    async def written() -> bool:
        return checkpoint.exists() and int(checkpoint.read_text().splitlines()[1]) > 0

    await until(written, "the first checkpoint with entries")
    await asyncio.to_thread(stop_server, server)
    found = lines(conclave("audit", "tail", "--data", str(tmp_path), "--json"))
    assert found[0]["entry"]["kind"] == "server_started"
    assert found[-1]["entry"]["kind"] == "server_stopped"
