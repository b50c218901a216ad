"""Timers of all rooms in one heap: in go (key, time, action), what is due is run. Reads no clock."""

import heapq
from collections.abc import Callable, Hashable
from itertools import count

Action = Callable[[], None]


class Timers:
    """One timer per key; arming a key again moves it. Cancelled entries are skipped when they surface."""

    def __init__(self) -> None:
        """Starts empty."""
        self._heap: list[tuple[float, int, Hashable]] = []
        self._armed: dict[Hashable, tuple[float, int, Action]] = {}
        self._order = count()

    def arm(self, key: Hashable, at: float, action: Action) -> None:
        """Runs `action` once at `at` (seconds, monotonic)."""
        number = next(self._order)
        self._armed[key] = (at, number, action)
        heapq.heappush(self._heap, (at, number, key))
        self._compact()

    def disarm(self, key: Hashable) -> None:
        """Forgets the timer of `key`, if any."""
        self._armed.pop(key, None)

    def armed(self, key: Hashable) -> bool:
        """Whether a timer of `key` waits."""
        return key in self._armed

    def next_timeout(self) -> float | None:
        """When the next action is due, or None."""
        self._skip_stale()
        return self._heap[0][0] if self._heap else None

    def handle_timeout(self, now: float) -> None:
        """Runs everything due at `now`, oldest first; what actions arm meanwhile runs at a later call."""
        due: list[tuple[Hashable, int]] = []
        while self._heap and self._heap[0][0] <= now:
            _, number, key = heapq.heappop(self._heap)
            due.append((key, number))
        for key, number in due:
            entry = self._armed.get(key)
            if entry is not None and entry[1] == number:
                del self._armed[key]
                entry[2]()

    def _skip_stale(self) -> None:
        while self._heap and not self._is_live(self._heap[0]):
            heapq.heappop(self._heap)

    def _is_live(self, entry: tuple[float, int, Hashable]) -> bool:
        armed = self._armed.get(entry[2])
        return armed is not None and armed[1] == entry[1]

    def _compact(self) -> None:
        """Keeps the heap within a small multiple of the live timers."""
        if len(self._heap) > 64 + 4 * len(self._armed):
            self._heap = [entry for entry in self._heap if self._is_live(entry)]
            heapq.heapify(self._heap)
