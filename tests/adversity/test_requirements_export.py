"""A reader of an export that stalls: the server holds a page, not the log; nothing is lost; others read on."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from common.clock import SystemClock
from compliance.auditor import Auditor
from compliance.envelope import Source
from compliance.events import Actor, CustomRecorded
from compliance.trail import FailMode, Limits
from compliance.words import Role
from tests.interop.conftest import Server, start_server, stop_server, until
from tests.interop.test_audit_reading import conclave
from tests.support.exposition import read

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
ENTRIES = 5_000  # some twenty-five megabytes of OCSF, far beyond what sockets hold
EXTRA = {f"field_{number}": "x" * 120 for number in range(30)}
PAGE = 256  # entries that the server asks for at a time
GROWTH = (
    16 * 1024 * 1024
)  # bytes that the server may take for it; what the kernel holds is not its own
RECEIVE_BUFFER = 4096  # bytes
QUIET = 5  # looks in a row at which not one more page was read: the export stands still


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = start_server(tmp_path)
    yield running
    stop_server(running)


async def fill(server: Server) -> None:
    """Another source records a lot."""
    auditor = Auditor(
        Source("pop-1", "eu", "other", "1"), FailMode.REFUSE, clock=SystemClock(),
        socket=str(server.data / "audit/intake.sock"), limits=Limits(timeout=60.0),
    )  # fmt: skip
    await auditor.start()
    event = CustomRecorded(actor=Actor(Role.SYSTEM), name="bulk", extra=EXTRA)
    for _ in range(ENTRIES // 500):
        await asyncio.gather(*(auditor.record(event) for _ in range(500)))
    await auditor.close()


def pages(server: Server) -> int:
    """Pages that the sidecar has answered."""
    return int(read(server.audit).total("conclave_audit_queries_total", outcome="answered"))


def resident(server: Server) -> int:
    """Bytes of memory that the server has."""
    pages_held = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages_held * os.sysconf("SC_PAGE_SIZE")


class Slow:
    """A reader that takes what fits into a small buffer, and the rest when it is told to."""

    def __init__(self, server: Server) -> None:
        place = urlsplit(server.url)
        assert place.hostname
        assert place.port
        self.connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.connect((place.hostname, place.port))
        self.connection.sock = self.socket

    def begin(self, token: str, query: dict[str, str]) -> http.client.HTTPResponse:
        """An export of which the head is read and nothing else."""
        headers = {"Authorization": f"Bearer {token}"}
        path = f"/v1/audit/export?{urlencode(query)}"
        self.connection.request("GET", path, headers=headers)
        return self.connection.getresponse()

    def finish(self, export: http.client.HTTPResponse) -> bytes:
        """The rest of it."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        with export:
            text = export.read()
        self.connection.close()
        self.socket.close()
        return text


async def test_an_export_waits_for_its_reader_and_loses_nothing(server: Server) -> None:
    command = ("token", "create", "--role", "auditor", "--identity", "ada")
    token = (await asyncio.to_thread(conclave, *command)).strip()
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, headers=headers) as reader:

        async def size() -> int:
            answer = await reader.get("/v1/audit/checkpoint")
            found = int(answer.json()["size"]) if answer.status_code == 200 else 0
            return found if found > filled * ENTRIES else 0

        filled = 0
        await until(size, "the log", 60)
        await fill(server)
        filled = 1
        await until(size, "all entries signed for", 60)
        before, held = await asyncio.to_thread(pages, server), resident(server)
        query = {"purpose": "siem", "format": "ocsf"}
        slow = Slow(server)
        export = await asyncio.to_thread(slow.begin, token, query)
        assert export.status == 200
        counts: list[int] = []

        async def stands_still() -> bool:
            counts.append(await asyncio.to_thread(pages, server))
            return counts[-1] > before and counts[-QUIET:] == [counts[-1]] * QUIET

        await until(stands_still, "an export that waits for its reader", 60)
        assert counts[-1] - before < ENTRIES / PAGE / 2, "it waits long before the end"
        assert resident(server) - held < GROWTH
        page = await reader.get("/v1/audit/entries", params={"purpose": "review", "limit": "5"})
        assert len(page.json()["entries"]) == 5, "others go on"
        text = await asyncio.to_thread(slow.finish, export)
    told = [json.loads(line)["unmapped"] for line in text.splitlines()]
    assert [each["index"] for each in told] == list(range(len(told)))
    found = [each for each in told if each["source"].startswith("pop-1/other/")]
    assert [each["sequence"] for each in found] == list(range(1, ENTRIES + 1))
    assert all(each["extra.field_29"] == EXTRA["field_29"] for each in found)
