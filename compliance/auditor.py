"""Carries the trail's effects out: a Unix socket to the sidecar, a thread for the spool, futures for waiters.

In: events, the socket's path, a clock. Out: receipts, or AuditError. Must not: decide anything or block the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from common.clock import Clock
from common.errors import ConclaveError, LocalError, RemoteError
from compliance.envelope import Source
from compliance.errands import Discard, Load, Reconnect, Send, SetAside, Store
from compliance.events import Event
from compliance.spool import Spool
from compliance.trail import (
    DEFAULT_LIMITS,
    AuditError,
    FailMode,
    Limits,
    Receipt,
    Settled,
    Trail,
)
from compliance.wire import (
    UNKNOWN_INDEX,
    Frame,
    FrameReader,
    FrameType,
    hello,
    parse_acked,
    prove,
)

FIRST_BACKOFF: Final = 0.05  # seconds between attempts to connect, doubled up to
LAST_BACKOFF: Final = 0.25  # well within the time-out of an act, which then still gets its answer
READ_SIZE: Final = 64 * 1024  # bytes
MAX_PROOFS: Final = 64  # receipts asked for and not answered
log = logging.getLogger(__name__)
T = TypeVar("T")


class Auditor:
    """What the rest of the server calls: `await auditor.record(event)` before the act takes effect."""

    def __init__(
        self,
        source: Source,
        mode: FailMode,
        *,
        socket: str,
        clock: Clock,
        spool: Spool | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """`spool` is needed for mode SPOOL; without one, what is noted while the log is away has only memory."""
        if mode is FailMode.SPOOL and spool is None:
            raise LocalError("spool_missing", "the mode `spool` needs a spool")
        spooled = None if spool is None else len(spool)
        self._trail = Trail(source, mode, limits=limits, spooled=spooled)
        self._socket = socket
        self._clock = clock
        self._spool = spool
        self._disk = ThreadPoolExecutor(1, "spool")
        self._jobs: set[asyncio.Task[None]] = set()
        self._futures: dict[int, asyncio.Future[Receipt]] = {}
        self._proofs: deque[asyncio.Future[str]] = deque()
        self._writer: asyncio.StreamWriter | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._link: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._mended = False  # what the log refused on this connection is out of the way
        self.counts: Counter[str] = Counter()  # recorded, spooled, and refusals by code

    @property
    def backlog(self) -> int:
        """Events that are not in the log yet."""
        return self._trail.backlog

    @property
    def spooled(self) -> int:
        """Of these, events that only the spool has."""
        return self._trail.spooled

    @property
    def lag(self) -> float:
        """Seconds since the oldest event that is not in the log yet."""
        return self._trail.lag(self._clock.now())

    async def start(self) -> None:
        """Begins to connect; events are accepted at once."""
        self._link = asyncio.create_task(self._keep_connected())
        self._carry_out()

    async def record(self, event: Event) -> Receipt:
        """Returns when the event is durable. Raises AuditError; then the act must not take effect."""
        try:
            ticket = self._trail.submit(event, now=self._clock.now(), wall=self._clock.wall())
        except AuditError as error:
            self.counts[error.code] += 1
            raise
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._futures[ticket] = future
        self._carry_out()
        return await future

    def note(self, event: Event) -> None:
        """Records what has happened already, in order with everything else; nobody waits for it."""
        try:
            self._trail.note(event, now=self._clock.now(), wall=self._clock.wall())
        except AuditError:
            self.counts["lost"] += 1
            log.error("an event of kind %s is lost: too many wait for the audit log", event.kind)
            return
        self._carry_out()

    async def prove(self, index: int) -> str:
        """The receipt for an entry (C2SP tlog-proof), "" while no checkpoint covers it.

        Raises AuditError `audit_unavailable`.
        """
        if self._writer is None or len(self._proofs) >= MAX_PROOFS:
            raise AuditError("audit_unavailable", "the audit log cannot be reached")
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._proofs.append(future)
        self._writer.write(prove(index).encode())
        return await future

    async def close(self, patience: float = 2.0) -> None:
        """Delivers what it can within `patience` seconds, leaves the rest in the spool, then stops."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._trail.backlog:
                    self._idle.clear()
                    await self._idle.wait()
        if self._link is not None:
            self._link.cancel()
            await asyncio.gather(self._link, return_exceptions=True)
        if self._spool is not None and self._trail.undelivered:
            self._trail.handle_closing(now=self._clock.now(), wall=self._clock.wall())
            self._carry_out()
        if self._timer is not None:
            self._timer.cancel()
        while self._jobs:
            await asyncio.gather(*self._jobs)
        if self._spool is not None:
            await self._on_disk(self._spool.close)
        self._disk.shutdown()
        for waiting in self._futures.values():
            waiting.cancel()
        for asked in self._proofs:
            asked.cancel()

    # -- the connection -----------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._socket)
            except OSError:
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, LAST_BACKOFF)
                continue
            try:
                if await self._serve(reader, writer):
                    backoff = FIRST_BACKOFF
            except (OSError, RemoteError) as error:
                log.warning("the audit log's connection failed: %s", _name(error))
            finally:
                self._disconnected(writer)
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            await asyncio.sleep(backoff)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Until the connection ends; whether anything was confirmed on it."""
        confirmed = self._mended = False
        frames = FrameReader()
        writer.write(hello().encode())
        self._writer = writer
        self._trail.handle_connected(now=self._clock.now())
        self._carry_out()
        while data := await reader.read(READ_SIZE):
            for frame in frames.feed(data):
                self._handle(frame)
                confirmed = confirmed or frame.type is FrameType.ACKED
            self._carry_out()
        return confirmed or self._mended

    def _handle(self, frame: Frame) -> None:
        if frame.type is FrameType.ACKED:
            indexes = [None if i == UNKNOWN_INDEX else i for i in parse_acked(frame.body)]
            self._trail.handle_acked(indexes, now=self._clock.now())
        elif frame.type is FrameType.REFUSED:
            code = frame.body.decode("ascii", "replace")
            self.counts[f"log_{code}"] += 1
            log.error("the audit log does not take an entry: %s", code)
            self._mended = self._trail.handle_refused(code)
        elif frame.type is FrameType.PROOF and self._proofs:
            future = self._proofs.popleft()
            if not future.done():
                future.set_result(frame.body.decode("utf-8", "replace"))
        else:
            raise RemoteError("frame_malformed", "a frame came unasked")

    def _disconnected(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        if self._writer is writer:
            self._writer = None
        while self._proofs:
            future = self._proofs.popleft()
            if not future.done():
                future.set_exception(
                    AuditError("audit_unavailable", "the audit log's connection ended")
                )
        self._trail.handle_disconnected(now=self._clock.now())
        self._carry_out()

    # -- effects ------------------------------------------------------------------------------------

    def _carry_out(self) -> None:
        for effect in self._trail.drain():
            if isinstance(effect, Settled):
                self._settle(effect)
            elif isinstance(effect, Send | Reconnect):
                self._transmit(effect)
            else:
                self._spawn(effect)
        self._arm()
        if not self._trail.backlog:
            self._idle.set()

    def _transmit(self, effect: Send | Reconnect) -> None:
        if self._writer is None:
            return
        if isinstance(effect, Send):
            frames = (Frame(FrameType.EVENT, entry).encode() for entry in effect.entries)
            self._writer.write(b"".join(frames))
        else:
            self._writer.close()
            self._writer = None

    def _settle(self, settled: Settled) -> None:
        if settled.receipt is None:
            self.counts[settled.code] += 1
        else:
            self.counts["recorded" if settled.receipt.index is not None else "spooled"] += 1
        future = self._futures.pop(settled.ticket)
        if future.done():
            return
        try:
            future.set_result(settled.result())
        except AuditError as error:
            future.set_exception(error)

    def _arm(self) -> None:
        """Sets the timer to the trail's next deadline; a timer that is early costs nothing."""
        deadline = self._trail.next_deadline()
        if deadline >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        delay = max(0.0, deadline - self._clock.now())
        self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._trail.handle_timeout(now=self._clock.now(), wall=self._clock.wall())
        self._carry_out()

    # -- the spool ----------------------------------------------------------------------------------

    def _spawn(self, effect: Store | Load | SetAside | Discard) -> None:
        """Jobs reach the one thread in the order in which they were spawned."""
        if isinstance(effect, Store):
            task = asyncio.create_task(self._store(list(effect.entries)))
        elif isinstance(effect, Load):
            job = self._load(effect.skip, effect.limit, self._trail.generation)
            task = asyncio.create_task(job)
        elif isinstance(effect, SetAside):
            task = asyncio.create_task(self._set_aside())
        else:
            task = asyncio.create_task(self._discard(effect.count))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _store(self, entries: list[bytes]) -> None:
        try:
            await self._on_disk(lambda: self._open_spool().append(entries))
        except (OSError, ConclaveError) as error:
            self.counts["spool_failed"] += 1
            log.error("the spool takes no entries: %s", _name(error))
            self._trail.handle_store_failed(now=self._clock.now(), wall=self._clock.wall())
        else:
            self._trail.handle_stored(now=self._clock.now())
        self._carry_out()

    async def _load(self, skip: int, limit: int, generation: int) -> None:
        try:
            entries = await self._on_disk(lambda: self._open_spool().load(skip, limit))
        except OSError as error:
            log.error("the spool cannot be read: %s", _name(error))
            entries = []
        self._trail.handle_loaded(entries, generation, now=self._clock.now())
        self._carry_out()

    async def _set_aside(self) -> None:
        try:
            kept = await self._on_disk(lambda: self._open_spool().set_aside())
        except (
            OSError,
            ValueError,
        ) as error:  # it is sent again after a restart, and refused again
            log.error("an entry that the log refuses stays in the spool: %s", _name(error))
            return
        self.counts["set_aside" if kept else "lost"] += 1

    async def _discard(self, count: int) -> None:
        try:
            await self._on_disk(lambda: self._open_spool().discard(count))
        except OSError as error:  # they are sent again after a restart, and recognised
            log.error("the spool cannot be emptied: %s", _name(error))

    def _open_spool(self) -> Spool:
        if self._spool is None:
            raise LocalError("spool_missing", "there is no spool")
        return self._spool

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


def _name(error: Exception) -> str:
    return error.code if isinstance(error, ConclaveError) else type(error).__name__
