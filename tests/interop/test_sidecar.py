"""The sidecar as the server's child: back after a crash, gone with the server, left down when it must be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from pathlib import Path

import pytest

from compliance.envelope import decode
from tests.interop.conftest import Server, launch, stop_server, until
from tests.support.logs import read_published

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


class Node:
    """A development server with its child."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.server: Server = launch(data, "dev", "--port", "0", "--data", str(data))

    @property
    def log(self) -> list[dict[str, object]]:
        """What it logged, as far as it is JSON."""
        lines = (self.data / "server.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def logged(self, event: str) -> list[dict[str, object]]:
        return [line for line in self.log if line["event"] == event]

    async def child(self, start: int = 1) -> int:
        """The process id of the child, once that start of it is ready."""

        async def ready() -> int:
            lines = [line for line in self.logged("sidecar_ready") if line["start"] == start]
            return int(str(lines[0]["pid"])) if lines else 0

        return int(await until(ready, f"start {start} of the sidecar"))

    def stop(self) -> int:
        stop_server(self.server)
        return int(self.server.process.returncode)

    @property
    def kinds(self) -> list[str]:
        entries = read_published(self.data / "audit" / "log")
        return [decode(entry).event.kind for entry in entries]


def is_gone(pid: int) -> bool:
    """Ended, whether anybody has asked for its exit code or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def gone(pid: int) -> None:
    await until(lambda: asyncio.to_thread(is_gone, pid), f"the end of process {pid}")


async def test_a_killed_child_is_back_and_the_log_is_whole(tmp_path: Path) -> None:
    node = await asyncio.to_thread(Node, tmp_path)
    try:
        first = await node.child()
        os.kill(first, signal.SIGKILL)
        second = await node.child(start=2)
        assert second != first
        assert node.logged("sidecar_ended")[0]["code"] == -signal.SIGKILL
    finally:
        code = await asyncio.to_thread(node.stop)
    assert code == 0
    await gone(second)
    assert node.kinds == ["server_started", "key_used", "key_used", "server_stopped"]


async def test_metrics_are_where_they_were_said_to_be_also_after_a_crash(tmp_path: Path) -> None:
    node = await asyncio.to_thread(Node, tmp_path)
    url = f"{node.server.audit}/metrics"

    def read() -> str:
        with urllib.request.urlopen(url, timeout=20) as page:
            return str(page.read().decode())

    try:  # connections wait in the server's own socket while there is no child
        assert "conclave_audit_size" in await asyncio.to_thread(read)
        os.kill(await node.child(), signal.SIGKILL)
        assert "conclave_audit_size" in await asyncio.to_thread(read)
    finally:
        await asyncio.to_thread(node.stop)


async def test_the_child_ends_in_order_when_the_server_is_killed(tmp_path: Path) -> None:
    node = await asyncio.to_thread(Node, tmp_path)
    child = await node.child()

    async def begun() -> bool:
        return len(node.kinds) == 3

    await until(begun, "the first events reach the log")
    node.server.process.kill()
    await asyncio.to_thread(node.server.process.wait)
    assert node.server.process.stdout is not None
    node.server.process.stdout.close()
    await gone(child)
    assert node.kinds == ["server_started", "key_used", "key_used"]
    again = await asyncio.to_thread(Node, tmp_path)
    await again.child()
    assert await asyncio.to_thread(again.stop) == 0
    assert node.kinds[3:] == ["server_started", "key_used", "key_used", "server_stopped"]


async def test_a_store_that_is_not_what_was_signed_stays_closed_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    node = await asyncio.to_thread(Node, tmp_path)
    await node.child()
    assert await asyncio.to_thread(node.stop) == 0
    signed = tmp_path / "audit/state/signed"
    note = signed.read_text()
    signed.write_text(note.replace("\n4\n", "\n400\n"))  # as if the log had been longer

    node = await asyncio.to_thread(Node, tmp_path)
    try:

        async def said() -> bool:
            return bool(node.logged("sidecar_down"))

        await until(said, "the word that the sidecar stays down")
        assert node.logged("sidecar_down")[0]["code"] == 3
        assert node.logged("sidecar_down")[0]["level"] == "critical"
        assert not node.logged("sidecar_ready")
    finally:
        assert await asyncio.to_thread(node.stop) == 0

    signed.write_text(note)
    node = await asyncio.to_thread(Node, tmp_path)
    await node.child()
    assert await asyncio.to_thread(node.stop) == 0
    whole = ["server_started", "key_used", "key_used", "server_stopped"]
    assert node.kinds == whole * 3  # what the run without a log had to say came from its spool
