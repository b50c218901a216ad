"""Ties engine and data plane to an asyncio loop: drains when woken, wakes timers, flushes once per turn.

The only asyncio of the sfu. It decides nothing.
"""

import asyncio
from typing import Protocol

from common.clock import Clock
from sfu.dataplane import DataPlaneListener
from sfu.engine import Engine


class Drainable(Protocol):
    """The data plane's way up."""

    def fileno(self) -> int:
        """Readable while events wait."""

    def drain(self, listener: DataPlaneListener) -> bool:
        """Hands events over; whether more may wait."""


class Driver:
    """Runs an engine on a loop, from `start` to `stop`."""

    def __init__(
        self, engine: Engine, plane: Drainable, clock: Clock, loop: asyncio.AbstractEventLoop
    ) -> None:
        """`clock` must be the engine's."""
        self._engine = engine
        self._plane = plane
        self._clock = clock
        self._loop = loop
        self._flush: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None

    def start(self) -> None:
        """Listens from now on."""
        self._loop.add_reader(self._plane.fileno(), self._readable)
        self._engine.on_pending(self._wake)
        self._wake()

    def stop(self) -> None:
        """Delivers what waits and listens no more; the data plane may be closed after."""
        self._engine.on_pending(lambda: None)
        self._loop.remove_reader(self._plane.fileno())
        for handle in (self._flush, self._timer):
            if handle is not None:
                handle.cancel()
        self._engine.flush()

    def _readable(self) -> None:
        if self._plane.drain(self._engine):
            self._loop.call_soon(self._readable)
        self._wake()

    def _wake(self) -> None:
        if self._flush is None:
            self._flush = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Once per loop turn: events out, commands down, the next timer set."""
        self._flush = None
        try:
            self._engine.flush()
        finally:
            self._set_timer()

    def _set_timer(self) -> None:
        due = self._engine.next_timeout()
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._due = due
        if due is not None:
            delay = max(0.0, due - self._clock.now())
            self._timer = self._loop.call_later(delay, self._timeout)

    def _timeout(self) -> None:
        self._timer = None
        self._due = None
        self._engine.handle_timeout(self._clock.now())
        self._wake()
