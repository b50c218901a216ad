"""A real server and its sidecar: a meeting, then the log read through the command line, receipts, exports."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.probe.session import join
from tests.interop.conftest import ROOT, Server, start_server, stop_server, until
from verifier.cli import main as verifier

pytestmark = pytest.mark.timeout(180)
ROOM = "quarterly figures"


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which Alice and Bob have met, and Bob has left."""
    running = start_server(tmp_path_factory.mktemp("met"))
    asyncio.run(meet(running))
    yield running
    stop_server(running)


async def meet(server: Server) -> None:
    async with join(server.url, server.token("alice.jones", ROOM)):
        async with join(server.url, server.token("bob.smith", ROOM)):
            pass


def conclave(*arguments: str, code: int = 0) -> str:
    """What a command writes to standard output."""
    done = subprocess.run(
        [ROOT / ".venv/bin/conclave", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


async def left(server: Server, identity: str) -> list[dict[str, Any]]:
    """What the log says about somebody who has left."""

    async def look() -> list[dict[str, Any]]:
        output = await asyncio.to_thread(
            conclave, "audit", "tail", "--url", server.url, "--purpose", "test", "--no-follow",
            "--lines", "50", "--json", "--identity", identity,
            "--kind", "admission_granted", "--kind", "participant_left",
        )  # fmt: skip
        found = lines(output)
        return found if len(found) == 2 else []

    found: list[dict[str, Any]] = await until(look, f"{identity}'s leave in the log")
    return found


@pytest.mark.anyio
async def test_tail_shows_who_came_and_left_and_that_it_was_read(met: Server) -> None:
    granted, gone = await left(met, "bob.smith")
    assert [each["entry"]["kind"] for each in (granted, gone)] == [
        "admission_granted",
        "participant_left",
    ]
    assert granted["entry"]["on"]["peer"] == gone["entry"]["on"]["peer"]
    output = conclave(
        "audit", "tail", "--url", met.url, "--purpose", "test", "--no-follow", "--json",
        "--kind", "log_read", "--lines", "100",
    )  # fmt: skip
    reads = lines(output)
    assert granted["entry"]["on"]["subject"] in {
        each["entry"].get("on", {}).get("subject") for each in reads
    }
    assert "bob" not in output


@pytest.mark.anyio
async def test_tail_follows(met: Server) -> None:
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
                async with join(met.url, met.token("carol.brown", "another room")):
                    await asyncio.wait({reading}, timeout=3)
        assert json.loads(await reading)["entry"]["kind"] == "admission_granted"
    finally:
        following.terminate()
        await following.wait()


@pytest.mark.anyio
async def test_show_proves_an_entry_and_export_proves_the_log(met: Server, tmp_path: Path) -> None:
    granted, _ = await left(met, "bob.smith")
    key = met.data / "audit/log/key.pub"
    where = ("--url", met.url, "--purpose", "court")
    shown = conclave("audit", "show", str(granted["index"]), *where, "--key", str(key))
    assert "proven: among the first" in shown
    assert "NOT PROVEN" not in shown
    out = tmp_path / "export.jsonl"
    conclave("audit", "export", *where, "--out", str(out))
    assert verifier(["export", str(out), "--key", str(key)]) in (0, 3)
    assert len(out.read_text().splitlines()) > granted["index"]
    refused = subprocess.run(
        [ROOT / ".venv/bin/conclave", "audit", "tail", "--data", str(met.data)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "on record who reads" in refused.stderr


@pytest.mark.anyio
async def test_a_participant_proves_later_that_it_was_there(met: Server, tmp_path: Path) -> None:
    await left(met, "bob.smith")
    headers = {"Authorization": f"Bearer {met.token('bob.smith', ROOM)}"}
    async with httpx.AsyncClient(base_url=met.url, trust_env=False) as http:
        document = (await http.get("/v1/receipts", headers=headers)).json()
        assert [each["entry"]["kind"] for each in document["receipts"]] == [
            "admission_granted", "participant_left",
        ]  # fmt: skip
        for each in document["receipts"]:
            (tmp_path / "receipt").write_text(each["receipt"])
            assert verifier(["receipt", str(tmp_path / "receipt"), "--key", document["key"]]) == 0
        foreign = {"Authorization": f"Bearer {met.token('bob.smith', 'another room')}"}
        assert (await http.get("/v1/receipts", headers=foreign)).json()["receipts"] == []
        refused = await http.get("/v1/audit/entries?purpose=test", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "auditor_required")


@pytest.mark.anyio
async def test_what_is_sealed_opens_for_a_privacy_officer_alone(met: Server) -> None:
    granted, _ = await left(met, "bob.smith")
    token = conclave("token", "create", "--role", "privacy_officer", "--identity", "grace").strip()
    path = f"/v1/audit/entries/{granted['index']}/private"
    async with httpx.AsyncClient(base_url=met.url, trust_env=False) as http:
        response = await http.get(
            path, params={"purpose": "access_request"}, headers={"Authorization": f"Bearer {token}"}
        )
    assert response.json()["facts"]["identity"] == "bob.smith"
    assert response.json()["facts"]["room"] == ROOM


@pytest.mark.anyio
async def test_a_stopped_servers_log_is_read_from_its_folder(tmp_path: Path) -> None:
    server = start_server(tmp_path)
    await asyncio.to_thread(stop_server, server)
    found = lines(conclave("audit", "tail", "--data", str(tmp_path), "--json"))
    assert found[0]["entry"]["kind"] == "server_started"
    assert found[-1]["entry"]["kind"] == "server_stopped"
    conclave("audit", "show", "0", "--data", str(tmp_path))
