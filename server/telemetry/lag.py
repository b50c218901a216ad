"""How late the event loop runs: a heartbeat on the loop, counted into a histogram.

In: the loop. Out: a tally of delays. Must not: allocate per beat.
"""

from __future__ import annotations

import asyncio

from server.telemetry.tally import Tally

BEAT = 0.1  # seconds between heartbeats: a stall of 100 ms is seen, at no measurable cost


class LoopLag:
    """A heartbeat that measures its own delay."""

    def __init__(self) -> None:
        """Does not beat yet."""
        self.tally = Tally("conclave_event_loop_lag_seconds")
        self._handle: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts beating."""
        self._handle = loop.call_at(loop.time() + BEAT, self._beat, loop, loop.time() + BEAT)

    def stop(self) -> None:
        """Stops beating; idempotent."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _beat(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self.tally.observe(max(0.0, now - due))
        self._handle = loop.call_at(now + BEAT, self._beat, loop, now + BEAT)
