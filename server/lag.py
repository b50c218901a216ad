"""How late the event loop runs: a heartbeat on the loop, counted into a histogram.

In: the loop and the bounds. Out: cumulative counts and the sum of delays. Must not: allocate per beat.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence

BEAT = 0.1  # seconds between heartbeats: a stall of 100 ms is seen, at no measurable cost


class LoopLag:
    """A heartbeat that measures its own delay."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` are the histogram's upper edges in seconds, ascending."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
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
        self.observe(max(0.0, now - due))
        self._handle = loop.call_at(now + BEAT, self._beat, loop, now + BEAT)

    def observe(self, delay: float) -> None:
        """Counts one delay in seconds."""
        self._counts[bisect_left(self._bounds, delay)] += 1
        self._sum += delay

    def cumulative(self) -> tuple[int, ...]:
        """Counts at or below each bound, then of all."""
        total = 0
        result = []
        for count in self._counts:
            total += count
            result.append(total)
        return tuple(result)

    @property
    def sum(self) -> float:
        """All delays added up, seconds."""
        return self._sum
