"""A sidecar in a process of its own, and callers that record events as fast or as often as they are told.

In: a folder, a rate. Out: how many events became durable and how long each waited. Measures; decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common.clock import Clock, SystemClock
from compliance.auditor import Auditor
from compliance.envelope import Source
from compliance.events import Actor, AdmissionGranted, Event, Private, Target
from compliance.trail import AuditError, FailMode
from compliance.words import Pseudonym, Role, VaultRef
from sidecar.settings import embedded

CONNECT_SECONDS = 30.0
ROOT = Path(__file__).parent.parent.parent


@dataclass(slots=True)
class Figures:
    """What one run found."""

    events: int = 0
    refused: int = 0
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)  # seconds until durable, one per event

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    def quantile(self, share: float) -> float:
        """Milliseconds within which that share of events was durable."""
        ordered = sorted(self.waits) or [0.0]
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A process that runs."""

    socket: str
    pid: int

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def admission(number: int) -> Event:
    """The largest of the frequent events."""
    return AdmissionGranted(
        actor=Actor(Role.PARTICIPANT, Pseudonym(f"p_{number:032x}"), "key-1"),
        on=Target("RM_abcdefghijkl", f"PA_{number:012d}", "", Pseudonym(f"p_{number:032x}")),
        rights=("publish", "publish_data", "subscribe"),
        private=Private("cd" * 32, VaultRef(f"v_{number:032x}")),
    )


@contextlib.contextmanager
def sidecar(data: Path) -> Iterator[Sidecar]:
    """A running sidecar."""
    process = subprocess.Popen([sys.executable, "-m", "sidecar", str(data)], cwd=ROOT)
    try:
        yield Sidecar(str(embedded(data).socket), process.pid)
    finally:
        process.terminate()
        process.wait()


@contextlib.asynccontextmanager
async def auditor(socket: str, clock: Clock) -> AsyncIterator[Auditor]:
    """A source that is connected: its first event is durable."""
    made = Auditor(Source("pop-1", "eu", "bench", "1"), FailMode.REFUSE, socket=socket, clock=clock)
    await made.start()
    async with asyncio.timeout(CONNECT_SECONDS):
        while True:
            with contextlib.suppress(Exception):
                await made.record(admission(0))
                break
    try:
        yield made
    finally:
        await made.close()


async def flood(made: Auditor, *, seconds: float, callers: int) -> Figures:
    """As fast as so many callers can, each waiting for its last event."""
    clock = SystemClock()
    figures = Figures()
    started = clock.now()

    async def call(number: int) -> None:
        while (before := clock.now()) - started < seconds:
            await made.record(admission(number))
            figures.waits.append(clock.now() - before)
            figures.events += 1

    await asyncio.gather(*(call(number) for number in range(callers)))
    figures.seconds = clock.now() - started
    return figures


async def trickle(made: Auditor, *, rate: float, stop: asyncio.Event) -> Figures:
    """So many events a second until told to stop, in ticks of ten milliseconds."""
    clock = SystemClock()
    figures = Figures()
    started = clock.now()
    running: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        before = clock.now()
        try:
            await made.record(admission(number))
        except AuditError:
            figures.refused += 1
            return
        figures.waits.append(clock.now() - before)
        figures.events += 1

    number = 0
    while not stop.is_set():
        due = int((clock.now() - started) * rate)
        for number in range(number, due):  # noqa: B020 - continues where the last tick ended
            task = asyncio.create_task(one(number))
            running.add(task)
            task.add_done_callback(running.discard)
        number = max(number, due)
        await asyncio.sleep(0.01)
    await asyncio.gather(*running)
    figures.seconds = clock.now() - started
    return figures
