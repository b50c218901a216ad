"""The only file that reads time. Everything else takes a `Clock`, or `now` as an argument."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of time."""

    def now(self) -> float:
        """Monotonic seconds; only differences mean something."""

    def wall(self) -> float:
        """Seconds since the Unix epoch, UTC."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        return time.time()


class ManualClock:
    """A clock that moves when it is told to; for tests and simulations."""

    def __init__(self, now: float = 1000.0, wall: float = 1_700_000_000.0) -> None:
        """Starts at the given readings, both in seconds."""
        self._now = now
        self._wall = wall

    def now(self) -> float:
        """Monotonic seconds."""
        return self._now

    def wall(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Moves both readings forward."""
        self._now += seconds
        self._wall += seconds
