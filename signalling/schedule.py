"""Deadlines by key, in memory. In: keys with their time. Out: keys that are due. Must not: wait."""

import heapq
from collections.abc import Callable, Hashable


class Schedule:
    """At most one deadline per key; times are monotonic seconds."""

    def __init__(self, on_earlier: Callable[[], None]) -> None:
        """`on_earlier` is called when the first deadline has moved forward in time."""
        self._times: dict[Hashable, float] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._count = 0  # breaks ties: keys need no order
        self._on_earlier = on_earlier

    def put(self, key: Hashable, when: float) -> None:
        """Sets the deadline of `key`, instead of an earlier or later one."""
        first = self.next()
        self._times[key] = when
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, key))
        if first is None or when < first:
            self._on_earlier()

    def put_if_absent(self, key: Hashable, when: float) -> None:
        """Sets the deadline of `key` unless it has one."""
        if key not in self._times:
            self.put(key, when)

    def remove(self, key: Hashable) -> None:
        """Forgets the deadline of `key`, if there is one."""
        self._times.pop(key, None)

    def next(self) -> float | None:
        """The first deadline."""
        while self._heap and self._times.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[Hashable]:
        """Removes and returns the keys whose time has come, earliest first."""
        due = []
        while (when := self.next()) is not None and when <= now:
            key = heapq.heappop(self._heap)[2]
            del self._times[key]
            due.append(key)
        return due

    def __len__(self) -> int:
        return len(self._times)
