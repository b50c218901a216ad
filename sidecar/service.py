"""Couples what arrives with the two threads of the store: one commits groups, the other publishes checkpoints.

In: arrivals with the connection that waits. Out: confirmations, refusals, receipts, checkpoints. Must not: confirm
before the entry is durable, or queue without bound. While a group is being synced the next one gathers, so that
the cost of a sync is shared by all who wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from common.clock import Clock
from sidecar.metrics import Metrics
from sidecar.settings import CHECKPOINT_SECONDS
from sidecar.store import Arrival, Committed, Keeper, Writer

MAX_QUEUED: Final = 8192  # arrivals not committed; readers wait beyond it
MAX_GROUP: Final = 4096  # entries of one group: 2 MiB, some ten milliseconds
MAX_UNPUBLISHED: Final = (
    65_536  # entries; beyond it nothing is committed until the tree has caught up
)
CHECKPOINT_ENTRIES: Final = 1000  # a checkpoint is due after as many, or after `CHECKPOINT_SECONDS`
RETRY_SECONDS: Final = 1.0  # after the disk refused a checkpoint
log = logging.getLogger(__name__)
T = TypeVar("T")


class Connection(Protocol):
    """Who waits for an answer."""

    @property
    def number(self) -> int:
        """Tells connections apart."""

    def acked(self, indexes: list[int | None]) -> None:
        """The oldest unanswered entries are durable."""

    def refused(self, code: str) -> None:
        """The oldest unanswered entry was not stored; the connection ends."""


class Service:
    """The running log."""

    def __init__(
        self,
        writer: Writer,
        keeper: Keeper,
        *,
        clock: Clock,
        metrics: Metrics,
        interval: float = CHECKPOINT_SECONDS,
    ) -> None:
        """`interval` is the longest time in seconds between an entry and its checkpoint."""
        self._writer = writer
        self._keeper = keeper
        self._clock = clock
        self._metrics = metrics
        self._interval = interval
        self._threads = {half: ThreadPoolExecutor(1, half) for half in ("writer", "keeper")}
        self._queue: deque[tuple[Arrival, Connection]] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._committed: list[Arrival] = []  # not handed to the keeper
        self._unpublished = 0
        self._caught_up = asyncio.Event()
        self._caught_up.set()
        self._something = asyncio.Event()
        self._enough = asyncio.Event()
        self._stopping = False
        self._drained = False  # nothing more will be committed
        self.on_published: list[Callable[[], None]] = []
        metrics.watch("conclave_audit_size", lambda: self._writer.end)
        self._waiting_since: float | None = None  # when the oldest entry without a checkpoint came
        metrics.watch("conclave_audit_unpublished", lambda: self._unpublished)
        metrics.watch("conclave_audit_checkpoint_age_seconds", self._checkpoint_age)

    async def put(self, arrival: Arrival, connection: Connection) -> None:
        """Takes an arrival; waits while too many are queued."""
        await self._room.wait()
        self._queue.append((arrival, connection))
        self._arrived.set()
        if len(self._queue) >= MAX_QUEUED:
            self._room.clear()

    async def run(self) -> None:
        """Works until `stop`. Raises JournalBroken, Inconsistent, TileError: then the process must end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._commit_groups())
            group.create_task(self._publish_checkpoints())

    def stop(self) -> None:
        """Lets `run` end once all that arrived is published."""
        self._stopping = True
        self._arrived.set()
        self._caught_up.set()

    async def close(self) -> None:
        """Saves what makes the next start quick, and ends the threads."""
        await self._on("keeper", self._keeper.save_sources)
        await self._on("writer", self._writer.close)
        for thread in self._threads.values():
            thread.shutdown()

    async def receipt(self, index: int) -> str:
        """The receipt of an entry, "" while no checkpoint covers it. Raises OSError, TileError."""
        return await self._on("keeper", lambda: self._keeper.receipt(index))

    async def growth(self, old: int) -> tuple[str, list[bytes]]:
        """The published checkpoint and the proof that it extends the one of `old` entries."""
        return await self._on("keeper", lambda: (self._keeper.note, self._keeper.consistency(old)))

    @property
    def published(self) -> int:
        """Entries that the published checkpoint covers."""
        return self._keeper.published.size

    def now(self) -> float:
        """Monotonic seconds, as everything here is timed."""
        return self._clock.now()

    def _checkpoint_age(self) -> float:
        since = self._waiting_since
        return 0.0 if since is None else self._clock.now() - since

    async def _commit_groups(self) -> None:
        while True:
            await self._arrived.wait()
            await self._caught_up.wait()
            started = self._clock.now()
            group = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_GROUP))]
            if not group:
                if self._stopping:
                    break
                self._arrived.clear()
                continue
            self._room.set()
            arrivals = [arrival for arrival, _ in group]
            committed = await self._on("writer", lambda: self._writer.commit(arrivals))  # noqa: B023
            self._answer(group, committed)
            self._metrics.entries.inc(len(committed.fresh))
            self._metrics.durable.observe(self._clock.now() - started)
            self._hand_over(committed.fresh)
        self._drained = True
        self._something.set()
        self._enough.set()

    def _answer(self, group: list[tuple[Arrival, Connection]], committed: Committed) -> None:
        indexes: defaultdict[Connection, list[int | None]] = defaultdict(list)
        refusals: dict[Connection, str] = {}
        for (_, connection), outcome in zip(group, committed.outcomes, strict=True):
            if isinstance(outcome, str):
                refusals.setdefault(connection, outcome)  # the first is about its oldest entry
            else:
                indexes[connection].append(outcome)
        for connection, confirmed in indexes.items():
            connection.acked(confirmed)
        for connection, code in refusals.items():
            self._metrics.refused.labels(code).inc()
            connection.refused(code)

    def _hand_over(self, fresh: list[Arrival]) -> None:
        if not fresh:
            return
        self._committed += fresh
        if self._waiting_since is None:
            self._waiting_since = self._clock.now()
        self._unpublished += len(fresh)
        self._something.set()
        if self._unpublished >= CHECKPOINT_ENTRIES:
            self._enough.set()
        if self._unpublished >= MAX_UNPUBLISHED:
            self._caught_up.clear()

    async def _publish_checkpoints(self) -> None:
        while not self._drained or self._unpublished:
            await self._something.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._enough.wait()
            if not self._drained:
                self._something.clear()
                self._enough.clear()
            taken, self._committed = self._committed, []
            taken_at = self._clock.now()
            try:
                await self._on("keeper", lambda: self._publish(taken))  # noqa: B023
                await self._forget()
            except OSError as error:
                log.error("no checkpoint can be published: %s", error.strerror)
                self._metrics.failures.inc()
                if self._drained:  # the journal keeps what the next start will publish
                    return
                self._something.set()
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._unpublished = len(self._committed)
            self._waiting_since = taken_at if self._committed else None
            self._caught_up.set()
            for listener in self.on_published:
                listener()

    def _publish(self, taken: list[Arrival]) -> None:
        self._keeper.absorb(taken)
        taken.clear()
        self._keeper.publish()

    async def _forget(self) -> None:
        """Lets go of journal segments whose entries are durable in the tree."""
        below = self._keeper.durable
        if self._writer.has_old(below):
            await self._on("keeper", self._keeper.save_sources)
            await self._on("writer", lambda: self._writer.retire(below))

    async def _on(self, half: str, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads[half], work)
