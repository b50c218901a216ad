"""A server's end of the metrics socket, with sidecars that take, hang, die and come back."""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.snapshots import Snapshot
from server.telemetry.push import Pusher
from sidecar.metrics import Metrics
from sidecar.nodes import Nodes
from sidecar.snapshots import Snapshots
from tests.support.exposition import parsed

pytestmark = pytest.mark.anyio
BULK = [((f"reason_{number}",), 1) for number in range(5_000)]  # a frame larger than a socket holds


class Source:
    """Stands where the observer is: what it says, and what it is told."""

    def __init__(self) -> None:
        self.pushed = 0
        self.dropped: Counter[str] = Counter()

    def snapshot(self) -> Snapshot:
        return Snapshot("a", {"conclave_rooms": [((), 7)], "conclave_drops_total": BULK})


class Sidecar:
    """The receiving end alone."""

    def __init__(self, path: Path, *, users: frozenset[int]) -> None:
        self.nodes = Nodes(SystemClock())
        self.metrics = Metrics(self.nodes)
        self.intake = Snapshots(self.nodes, path, users=users, metrics=self.metrics)

    def refused(self, reason: str) -> float:
        page = parsed(self.metrics.exposition()[0].decode())
        return page.total("conclave_snapshot_refusals_total", reason=reason)


async def happens(check: Callable[[], bool], again: Callable[[], Awaitable[None]]) -> None:
    """Tries `again` until `check` holds."""
    async with asyncio.timeout(20):
        while not check():
            await again()
            await asyncio.sleep(0.01)


async def nothing() -> None:
    """Just waits."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.sock"


def pusher(source: Source, path: Path) -> Pusher:
    return Pusher(source, str(path))  # type: ignore[arg-type]


async def test_snapshots_arrive_and_a_sidecar_that_comes_back_is_found(path: Path) -> None:
    source = Source()
    pushing = pusher(source, path)
    await pushing.push()
    assert source.dropped == {"unreachable": 1}
    for _ in range(2):
        sidecar = Sidecar(path, users=frozenset({os.getuid()}))
        await sidecar.intake.start()
        await happens(lambda one=sidecar: one.nodes.is_fresh("a"), pushing.push)  # type: ignore[misc]
        await sidecar.intake.stop()
    assert source.pushed >= 2
    await pushing.stop()


async def test_a_sidecar_that_hangs_costs_one_frame_and_the_rest_is_counted(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        source = Source()
        pushing = pusher(source, path)
        await happens(lambda: source.dropped["busy"] >= 3, pushing.push)
        before = source.pushed
        await pushing.push()
        assert source.pushed == before, "nothing is queued behind a frame that nobody reads"
        await pushing.stop()


async def test_strangers_and_nonsense_are_refused_and_counted(path: Path) -> None:
    sidecar = Sidecar(path, users=frozenset({os.getuid() + 1}))
    await sidecar.intake.start()
    reader, writer = await asyncio.open_unix_connection(path)
    assert await reader.read() == b""
    writer.close()
    await happens(lambda: sidecar.refused("peer_refused") == 1, nothing)
    await sidecar.intake.stop()

    sidecar = Sidecar(path, users=frozenset({os.getuid()}))
    await sidecar.intake.start()
    for frame, reason in (
        (b"\xff\xff\xff\xff", "frame_too_long"),
        (b"\x00\x00\x00\x02{}", "protocol_version"),
        (b"\x00\x00\x00\x01{", "snapshot_malformed"),
    ):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(frame)
        assert await reader.read() == b""
        writer.close()
        assert sidecar.refused(reason) == 1
    await sidecar.intake.stop()
