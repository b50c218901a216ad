import asyncio
import os
from random import Random  # noqa: TID251 - seeded

import anyio
import pytest

from common.clock import SystemClock
from common.ids import RoomName
from sfu.dataplane import DataPlaneListener
from sfu.driver import Driver
from sfu.engine import Engine
from sfu.events import RoomEnded, RoomStarted, SfuEvent
from sfu.model import RoomOptions
from sfu.negotiation.sdp import Fingerprint
from tests.support.recording_plane import RecordingPlane


class WakingPlane(RecordingPlane):
    """A recording data plane with an eventfd, as the native one has."""

    def __init__(self) -> None:
        super().__init__()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.batches: list[bool] = []
        self.drained = 0

    def fileno(self) -> int:
        return self._fd

    def wake(self) -> None:
        os.eventfd_write(self._fd, 1)

    def drain(self, listener: DataPlaneListener) -> bool:
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            pass
        self.drained += 1
        listener.handle_transport_closed(0, "unknown")  # type: ignore[arg-type]
        return self.batches.pop(0) if self.batches else False

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_the_loop_drains_flushes_once_per_turn_and_wakes_timers() -> None:
    plane, clock = WakingPlane(), SystemClock()
    engine = Engine(
        plane=plane,
        clock=clock,
        choose=Random(3).randrange,  # noqa: S311 - ids of a test
        fingerprint=Fingerprint("sha-256", bytes(32)),
    )
    events: list[SfuEvent] = []
    ended = anyio.Event()

    def hear(event: SfuEvent) -> None:
        events.append(event)
        if isinstance(event, RoomEnded):
            ended.set()

    engine.listen(hear)
    driver = Driver(engine, plane, clock, asyncio.get_running_loop())
    driver.start()
    engine.create_room(RoomName("a"), RoomOptions(empty_timeout=0))
    engine.create_room(RoomName("b"), RoomOptions(empty_timeout=60))
    assert events == []  # nothing is delivered inside the call
    with anyio.fail_after(5):
        await ended.wait()
    assert sum(isinstance(event, RoomStarted) for event in events) == 2
    assert plane.flushes <= 4
    plane.batches = [True, True, False]
    plane.wake()
    with anyio.fail_after(5):
        while plane.drained < 3:
            await anyio.lowlevel.checkpoint()
    driver.stop()
    plane.close()
