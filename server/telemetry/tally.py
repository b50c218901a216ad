"""A histogram that counts in this process: bounds of a metric of the contract, one exemplar for each bucket.

In: values, perhaps with a room's pseudonym. Out: `Buckets`. Must not: allocate for a value without an exemplar.
"""

from __future__ import annotations

from bisect import bisect_left

from common.contract import METRICS
from common.snapshots import Buckets, Exemplar


class Tally:
    """Counts values."""

    def __init__(self, metric: str) -> None:
        """`metric` names a histogram of the contract."""
        self._bounds = METRICS[metric].buckets
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}

    def observe(self, value: float) -> None:
        """Counts a value in the metric's unit."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def observe_in(self, room: str, value: float, wall: float) -> None:
        """Counts a value; the room's pseudonym replaces the one that the bucket had."""
        bucket = bisect_left(self._bounds, value)
        self._counts[bucket] += 1
        self._sum += value
        self._exemplars[bucket] = Exemplar(bucket, value, room, wall)

    def buckets(self) -> Buckets:
        """Everything so far."""
        return Buckets(tuple(self._counts), self._sum, tuple(self._exemplars.values()))
