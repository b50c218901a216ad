"""Dynacast of one track: the highest quality that anybody wants, raised at once, lowered after a while.

In come the wishes of subscribers one by one, out goes each change through `tell`. Costs nothing per subscriber.
"""

from collections.abc import Callable

from sfu.limits import QUALITY_LOWER_DELAY, QUALITY_UNWATCHED_DELAY
from sfu.model import Quality

RISING = (Quality.OFF, Quality.LOW, Quality.MEDIUM, Quality.HIGH)


class Dynacast:
    """Counts wishes per quality and remembers what its publisher was told."""

    def __init__(
        self,
        *,
        schedule: Callable[[float], None],
        cancel: Callable[[], None],
        tell: Callable[[Quality], None],
    ) -> None:
        """`schedule(delay)` asks for `handle_timeout` then; publishers start by sending everything (HIGH)."""
        self._schedule = schedule
        self._cancel = cancel
        self._tell = tell
        self._wishes = dict.fromkeys(RISING[1:], 0)
        self._lowering: Quality | None = None
        self._watched = False
        self.told = Quality.HIGH

    def start(self) -> None:
        """The track is published; nobody has subscribed yet."""
        if not self._watched:
            self._lower_later(QUALITY_UNWATCHED_DELAY)

    def change(self, before: Quality, after: Quality) -> None:
        """One subscriber's wish changed; `OFF` stands for none."""
        if before is not Quality.OFF:
            self._wishes[before] -= 1
        if after is not Quality.OFF:
            self._wishes[after] += 1
            self._watched = True
        self._decide()

    def handle_timeout(self) -> None:
        """The delay is over: tells what is wanted now."""
        self._lowering = None
        wanted = self.wanted
        if wanted is not self.told:
            self.told = wanted
            self._tell(wanted)

    @property
    def wanted(self) -> Quality:
        """The highest quality that somebody wants now."""
        return next((one for one in reversed(RISING[1:]) if self._wishes[one]), Quality.OFF)

    def _decide(self) -> None:
        wanted = self.wanted
        if RISING.index(wanted) >= RISING.index(self.told):
            self._lowering = None
            self._cancel()
            if wanted is not self.told:
                self.told = wanted
                self._tell(wanted)
        elif self._lowering is not wanted:
            self._lower_later(QUALITY_LOWER_DELAY)

    def _lower_later(self, delay: float) -> None:
        self._lowering = self.wanted
        self._schedule(delay)
