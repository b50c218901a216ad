"""Token buckets. In: a key and `now`. Out: whether one more is allowed. Must not: read a clock or sleep."""

from collections import OrderedDict
from collections.abc import Hashable

from signalling.limits import MAX_ADDRESSES, Rate


class TokenBucket:
    """Allows `rate.burst` at once and `rate.per_second` over time."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        """Starts full."""
        self._rate = rate
        self._tokens = rate.burst
        self._at = now

    def take(self, now: float) -> bool:
        """Takes one token if there is one."""
        elapsed = max(0.0, now - self._at)
        self._at = max(now, self._at)
        self._tokens = min(self._rate.burst, self._tokens + elapsed * self._rate.per_second)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class KeyedBuckets:
    """One bucket per key, for a bounded number of keys."""

    def __init__(self, rate: Rate, capacity: int = MAX_ADDRESSES) -> None:
        """The least recently used key is forgotten beyond `capacity`."""
        self._rate = rate
        self._capacity = capacity
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def take(self, key: Hashable, now: float) -> bool:
        """Takes one token of `key`'s bucket if there is one."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, now)
            if len(self._buckets) > self._capacity:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket.take(now)

    def __len__(self) -> int:
        return len(self._buckets)
