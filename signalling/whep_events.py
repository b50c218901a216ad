"""Server-sent events of a viewer: a bounded queue per stream, read by one long request at a time.

In: events by name. Out: frames of `text/event-stream`. Must not: know what the events mean.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from common.errors import RemoteError

EVENTS: Final = ("active", "inactive", "layers", "reconnect", "viewercount")
MAX_STREAMS: Final = 4  # of one session: a player needs one, and a second while it reconnects
MAX_EVENTS: Final = 64  # that wait for a reader: what is older than that, newer ones have overtaken
# Seconds between looks at the layers, whose bit rates are measured that often; tells proxies we are alive.
PULSE: Final = 5.0
COMMENT: Final = b":\n\n"
MEDIA_TYPE: Final = "text/event-stream"


def parse_events(body: bytes) -> frozenset[str]:
    """The names that a stream shall have: all, if there is no body.

    Raises RemoteError: wish_malformed, event_unknown.
    """
    if not body.strip():
        return frozenset(EVENTS)
    try:
        names = json.loads(body)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RemoteError("wish_malformed", "the body is no JSON array of names")
    if not set(names) <= set(EVENTS):
        raise RemoteError("event_unknown", f"the events are {', '.join(EVENTS)}")
    return frozenset(names)


class EventStream:
    """What waits for one reader."""

    def __init__(self, wanted: frozenset[str], on_drop: Callable[[], None]) -> None:
        """`wanted` are names of events; `on_drop` hears of each that nobody came for in time."""
        self._wanted = wanted
        self._on_drop = on_drop
        self._waiting: deque[bytes] = deque()
        self._told: dict[str, object] = {}
        self._wake = asyncio.Event()
        self._reader = 0
        self._over = False

    def push(self, name: str, data: object, *, once: bool = False) -> None:
        """Queues an event if it is wanted; with `once`, only if it says something new."""
        if self._over or name not in self._wanted or (once and self._told.get(name) == data):
            return
        self._told[name] = data
        text = json.dumps(data, separators=(",", ":"))
        self._waiting.append(f"event: {name}\ndata: {text}\n\n".encode())
        if len(self._waiting) > MAX_EVENTS:
            self._waiting.popleft()
            self._on_drop()
        self._wake.set()

    def end(self) -> None:
        """What is queued is still delivered."""
        self._over = True
        self._wake.set()

    async def frames(self, pulse: Callable[[], None]) -> AsyncIterator[bytes]:
        """Delivers until the end, or until another reader comes; `pulse` is called every few seconds."""
        self._reader += 1
        reader = self._reader
        self._wake.set()
        yield COMMENT
        while True:
            while self._waiting and reader == self._reader:
                yield self._waiting.popleft()
            if self._over or reader != self._reader:
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(PULSE):
                    await self._wake.wait()
            except TimeoutError:
                pulse()
                yield COMMENT
