"""Thins out what strangers can cause: some of each kind are told one by one, the rest as a number.

In: kinds of refusals with the time. Out: whether this one is told, and how many before it were not. Must not:
forget a number, or let kinds grow without bound.
"""

from __future__ import annotations

from typing import Final

from signalling.limits import REFUSAL_RATE
from signalling.rates import TokenBucket

Kind = tuple[str, str]  # what was refused, with which code
MAX_KINDS: Final = 256  # our codes are fewer; a policy's own words beyond it share one
_OTHERS: Final = "other"


class Floods:
    """Counters of what was not told."""

    def __init__(self) -> None:
        """Nothing was refused."""
        self._buckets: dict[Kind, TokenBucket] = {}
        self._untold: dict[Kind, int] = {}

    def admit(self, kind: Kind, now: float) -> int | None:
        """How many of that kind went untold before this one, which is to be told; None if it is not."""
        bucket = self._buckets.get(kind)
        if bucket is None:
            if len(self._buckets) >= MAX_KINDS:
                kind = (kind[0], _OTHERS)
            bucket = self._buckets.setdefault(kind, TokenBucket(REFUSAL_RATE, now))
        if bucket.take(now):
            return self._untold.pop(kind, 0)
        self._untold[kind] = self._untold.get(kind, 0) + 1
        return None

    def take(self) -> list[tuple[Kind, int]]:
        """What went untold so far; it counts as told now."""
        untold, self._untold = self._untold, {}
        return list(untold.items())
