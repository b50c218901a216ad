"""When to negotiate again: bursts of changes become one round, one round runs at a time, none runs for ever.

A round starts with our offer (or our request for one) and ends with the client's reply.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from sfu.context import Context
from sfu.limits import NEGOTIATION_TIMEOUT, OFFER_DELAY_FIRST, OFFER_DELAY_NEXT


class Renegotiation:
    """Rounds of one connection."""

    def __init__(
        self,
        context: Context,
        key: Hashable,
        *,
        due: Callable[[], None],
        expired: Callable[[], None],
    ) -> None:
        """`due` is called when a round should start, `expired` when one got no reply."""
        self._context = context
        self._delay_key = ("negotiate", key)
        self._round_key = ("negotiation", key)
        self._due = due
        self._expired = expired
        self._last = float("-inf")
        self._again = False
        self.running = False

    def request(self) -> None:
        """Something changed that the client must hear of."""
        if self.running:
            self._again = True
        elif not self._context.timers.armed(self._delay_key):
            now = self._context.clock.now()
            recent = now - self._last < OFFER_DELAY_NEXT
            delay = OFFER_DELAY_NEXT if recent else OFFER_DELAY_FIRST
            self._context.timers.arm(self._delay_key, now + delay, self._due)

    def begin(self) -> None:
        """A round starts; it covers everything requested so far."""
        now = self._context.clock.now()
        self._context.timers.disarm(self._delay_key)
        self._context.timers.arm(self._round_key, now + NEGOTIATION_TIMEOUT, self._expire)
        self._last = now
        self._again = False
        self.running = True

    def finish(self) -> None:
        """The reply is here; what changed meanwhile makes the next round."""
        self._context.timers.disarm(self._round_key)
        self.running = False
        if self._again:
            self._again = False
            self.request()

    def abandon(self) -> None:
        """The round is void (its signalling was lost)."""
        self._again = False
        self.finish()

    def close(self) -> None:
        """No more rounds."""
        self._context.timers.disarm(self._delay_key)
        self._context.timers.disarm(self._round_key)
        self.running = False

    def _expire(self) -> None:
        self.running = False
        self._expired()
