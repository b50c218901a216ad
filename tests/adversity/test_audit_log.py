"""The sidecar is killed again and again while events are recorded: nothing confirmed is lost or told twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from common.clock import SystemClock
from compliance.auditor import Auditor
from compliance.envelope import Source, decode
from compliance.events import CustomRecorded
from compliance.trail import FailMode, Limits
from sidecar.main import DAMAGED, STOPPED
from sidecar.settings import SidecarConfig, embedded
from tests.architecture.test_shape import ROOT
from tests.support.audit import SYSTEM
from tests.support.logs import read_published

KILLS = int(os.environ.get("CONCLAVE_KILLS", "20"))  # `make soak` asks for more
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120 + 6 * KILLS)]

CALLERS = 8  # record events at the same time
EVENTS_BETWEEN_KILLS = (1, 40, 333)  # confirmed ones; taken in turn
EVENT = CustomRecorded(actor=SYSTEM, name="x")


@dataclass
class Machine:
    """A sidecar process that can be started, killed and stopped."""

    config: SidecarConfig
    process: subprocess.Popen[bytes] | None = None
    confirmed: dict[int, int] = field(default_factory=dict)  # sequence number to index

    def start(self) -> None:
        command = [sys.executable, "-m", "sidecar", str(self.config.socket.parent.parent)]
        with (self.config.socket.parent.parent / "sidecar.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log)

    def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(30)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(embedded(tmp_path))
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


async def keep_recording(auditor: Auditor, machine: Machine, stop: asyncio.Event) -> None:
    while not stop.is_set():
        receipt = await auditor.record(EVENT)
        assert receipt.sequence not in machine.confirmed
        if receipt.index is not None:
            machine.confirmed[receipt.sequence] = receipt.index


async def confirms(machine: Machine, events: int) -> None:
    """Waits until that many further events are confirmed."""
    enough = len(machine.confirmed) + events
    while len(machine.confirmed) < enough:  # noqa: ASYNC110 - counts, not an event
        await asyncio.sleep(0.002)


async def test_nothing_confirmed_is_lost_when_the_sidecar_is_killed(machine: Machine) -> None:
    auditor = Auditor(
        Source("pop-1", "eu", "server", "5f3a"),
        FailMode.REFUSE,
        socket=str(machine.config.socket),
        clock=SystemClock(),
        limits=Limits(timeout=60.0),
    )
    await auditor.start()
    stop = asyncio.Event()
    callers = [asyncio.create_task(keep_recording(auditor, machine, stop)) for _ in range(CALLERS)]
    for number in range(KILLS):
        machine.start()
        await confirms(machine, EVENTS_BETWEEN_KILLS[number % 3])
        assert machine.end(signal.SIGKILL) == -signal.SIGKILL
    machine.start()
    await confirms(machine, 1)  # from then on it ends in order when it is told to
    stop.set()
    await asyncio.gather(*callers)
    await auditor.close()
    assert machine.end(signal.SIGTERM) == STOPPED
    entries = [decode(entry) for entry in read_published(machine.config.log)]
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert len(machine.confirmed) > KILLS * 100
    for sequence, index in machine.confirmed.items():
        assert entries[index].sequence == sequence


async def test_a_log_that_was_rolled_back_ends_the_start_with_a_code_of_its_own(
    machine: Machine,
) -> None:
    auditor = Auditor(
        Source("pop-1", "eu", "server", "5f3a"),
        FailMode.REFUSE,
        socket=str(machine.config.socket),
        clock=SystemClock(),
        limits=Limits(timeout=60.0),
    )
    machine.start()
    await auditor.start()
    for _ in range(10):
        await auditor.record(EVENT)
    await auditor.close()
    assert machine.end(signal.SIGTERM) == STOPPED
    for segment in (machine.config.log / "wal").iterdir():
        os.truncate(segment, 16)
    machine.start()
    assert machine.process is not None
    assert await asyncio.to_thread(machine.process.wait, 30) == DAMAGED
    told = (machine.config.socket.parent.parent / "sidecar.log").read_text()
    assert "the log holds 0 entries, but 10 were signed for" in told
