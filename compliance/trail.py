"""The only door through which events become evidence: numbered, written, confirmed, or refused by name. Sans-IO.

In: events, what the connection and the spool report, and the time. Out: effects for `compliance.auditor` to carry
out, each ticket settled exactly once. Must not: forget an event that has a number, for a gap in a sequence is an
alarm; let anybody wait without bound; or touch media, which never asks here.

An event gets its number when it is first handed over. One that was handed over but not confirmed in time is in
doubt: its act is refused, the entry is still delivered, and an `act_abandoned` entry follows it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from common.errors import RemoteError
from compliance.envelope import Record, Source, decode, encode
from compliance.events import ActAbandoned, Actor, Event, Why
from compliance.words import Role

MAX_WAITING: Final = 8192  # tickets without a number; a second's worth of the busiest node
MAX_NOTES: Final = (
    65_536  # of them without anybody waiting: every peer and track of a full node ends once
)
MAX_WINDOW: Final = 4096  # entries handed over and not confirmed; 2 MiB of memory
NEARLY_EMPTY: Final = 1024  # entries in a spool that a connected sidecar takes within a moment
DISK_RETRY: Final = 1.0  # seconds until a failed spool is tried again


class FailMode(StrEnum):
    """What happens to acts while the sidecar cannot be reached."""

    REFUSE = "refuse"  # they are refused
    SPOOL = "spool"  # they are written to a bounded queue on disk, and go on


class AuditError(RemoteError):
    """The event is not durable, so the act must not happen: audit_unavailable, audit_timeout, audit_refused."""


UNAVAILABLE: Final = "audit_unavailable"  # it was not handed over
TIMEOUT: Final = "audit_timeout"  # it was, but is not confirmed
REFUSED: Final = "audit_refused"  # the log does not take it, and never will
GAP: Final = "sequence_gap"  # the log's words for why it does not take an entry:
MALFORMED: Final = "entry_malformed"
_FINAL: Final = frozenset({GAP, MALFORMED})  # whoever sends it again hears the same
_WHY: Final = {
    UNAVAILABLE: "the audit log cannot be reached",
    TIMEOUT: "the audit log did not confirm in time",
    REFUSED: "the audit log does not take the entry",
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """The event is durable. `index` is its place in the log, None while it waits in the spool or if not known."""

    sequence: int
    index: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of a ticket: a receipt, or the code of a refusal."""

    ticket: int
    receipt: Receipt | None
    code: str = ""

    def result(self) -> Receipt:
        """The receipt. Raises AuditError."""
        if self.receipt is None:
            raise AuditError(self.code, _WHY[self.code])
        return self.receipt


@dataclass(frozen=True, slots=True)
class Send:
    """Hand entries to the sidecar, in this order."""

    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Drop the connection and make another."""


@dataclass(frozen=True, slots=True)
class Store:
    """Append entries to the spool, then report `handle_stored` or `handle_store_failed`."""

    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """Read entries from the spool, then report `handle_loaded`."""

    skip: int
    limit: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """Move the oldest entry of the spool out of the way: the log does not take it."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Remove the oldest entries from the spool."""

    count: int


Effect = Send | Reconnect | Store | Load | SetAside | Discard | Settled


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds."""

    timeout: float = 2.0  # after which an act is refused
    spool_after: float = 0.25  # after which the spool takes over, in that mode


DEFAULT_LIMITS: Final = Limits()


@dataclass(slots=True)
class _Waiting:
    ticket: int  # 0: nobody waits
    event: Event
    time: int  # microseconds since the epoch
    since: float
    deadline: float


@dataclass(slots=True)
class _Handed:
    ticket: int  # 0: nobody waits any more
    sequence: int
    entry: bytes
    time: int
    since: float
    deadline: float
    is_substitute: bool = False


class Trail:
    """One source's events on their way."""

    def __init__(
        self, source: Source, mode: FailMode, *, limits: Limits = DEFAULT_LIMITS, spooled: int = 0
    ) -> None:
        """`spooled` entries wait in the spool from earlier runs; they are delivered first."""
        self._source = source
        self._mode = mode
        self._limits = limits
        self._waiting: deque[_Waiting] = deque()
        self._window: deque[_Handed] = deque()
        self._effects: list[Effect] = []
        self._open: set[int] = set()  # tickets
        self._deadlines: deque[tuple[float, int]] = deque()  # of tickets, settled ones among them
        self._sequence = 0
        self._ticket = 0
        self._last_time = 0
        self._connected = False
        self._sent = 0  # of the window, on this connection
        self._spooled = spooled
        self._spooled_since: float | None = (
            None  # of the oldest that was there when it was last empty
        )
        self._replayed = 0  # of the spool, on this connection
        self._loading = False
        self._generation = 0  # of the connection, so that a late load is recognised
        self._spooling = False  # new events go to the spool
        self._closing = False
        self._renewals = 0  # of the source, because the log had lost it
        self._storing = 0  # of the window, being stored
        self._disk_retry = -math.inf  # when the spool may be tried again

    @property
    def backlog(self) -> int:
        """Events that are not in the log yet."""
        return self.undelivered + self._spooled

    @property
    def undelivered(self) -> int:
        """Events that neither the log nor the spool has."""
        return len(self._waiting) + len(self._window)

    @property
    def spooled(self) -> int:
        """Events that only the spool has."""
        return self._spooled

    def lag(self, now: float) -> float:
        """Seconds since the oldest event that is not in the log yet; of an earlier run's, since this one began."""
        since = [queue[0].since for queue in (self._window, self._waiting) if queue]
        if self._spooled:
            self._spooled_since = now if self._spooled_since is None else self._spooled_since
            since.append(self._spooled_since)
        return max(0.0, now - min(since, default=now))

    def drain(self) -> list[Effect]:
        """Effects to carry out now, in order."""
        effects, self._effects = self._effects, []
        return effects

    def submit(self, event: Event, *, now: float, wall: float) -> int:
        """Takes an event and returns its ticket; `wall` in seconds since the epoch. Raises AuditError."""
        if len(self._waiting) >= MAX_WAITING:
            raise AuditError(UNAVAILABLE, _WHY[UNAVAILABLE])
        self._ticket += 1
        self._last_time = max(self._last_time, int(wall * 1_000_000))
        deadline = now + self._limits.timeout
        self._waiting.append(_Waiting(self._ticket, event, self._last_time, now, deadline))
        self._open.add(self._ticket)
        self._deadlines.append((deadline, self._ticket))
        self._pump(now)
        return self._ticket

    def note(self, event: Event, *, now: float, wall: float) -> None:
        """Takes an event that has happened already: nobody waits, and it is delivered however long that takes.

        Raises AuditError when too many wait; then it is lost, which must not stay unsaid.
        """
        if len(self._waiting) >= MAX_NOTES:
            raise AuditError(UNAVAILABLE, _WHY[UNAVAILABLE])
        self._last_time = max(self._last_time, int(wall * 1_000_000))
        self._waiting.append(_Waiting(0, event, self._last_time, now, math.inf))
        self._pump(now)

    def handle_closing(self, *, now: float) -> None:
        """The process ends: what is not in the log yet goes to the spool, whatever the mode."""
        self._closing = True
        self._begin_spooling(now)

    def handle_connected(self, *, now: float) -> None:
        """A connection is open; nothing was sent on it."""
        self._connected = True
        self._resume(now)

    def handle_disconnected(self, *, now: float) -> None:
        """The connection is gone; what was not confirmed will be sent again."""
        self._connected = False
        self._resume(now)

    def handle_acked(self, indexes: list[int | None], *, now: float) -> None:
        """The oldest entries sent on this connection are durable. Raises RemoteError `frame_malformed`."""
        if len(indexes) > self._replayed + self._sent:
            raise RemoteError("frame_malformed", "more was confirmed than was sent")
        replayed = min(len(indexes), self._replayed)
        if replayed:
            self._replayed -= replayed
            self._spooled -= replayed
            if not self._spooled:
                self._spooled_since = None
            self._effects.append(Discard(replayed))
        for index in indexes[replayed:]:
            handed = self._window.popleft()
            self._sent -= 1
            self._settle(handed.ticket, Receipt(handed.sequence, index))
        self._pump(now)

    def handle_refused(self, code: str) -> bool:
        """The log does not take the oldest entry sent on this connection, which ends with that.

        Whether sending again makes sense at once: what the log will never take is out of the way then.
        """
        if code not in _FINAL:
            return False
        if self._replayed:
            self._replayed -= 1
            self._spooled -= 1
            self._effects.append(SetAside())
            return True
        if not self._sent:
            return False
        if code == GAP:
            self._begin_anew()
            return True
        return self._substitute(self._window[0], code)

    def handle_loaded(self, entries: list[bytes], generation: int, *, now: float) -> None:
        """The spool was read, or could not be; `generation` is what it was when `Load` was drained."""
        self._loading = False
        if not entries:
            self._disk_retry = now + DISK_RETRY
        if generation == self._generation and self._connected and entries:
            self._replayed += len(entries)
            self._effects.append(Send(tuple(entries)))
        self._pump(now)

    @property
    def generation(self) -> int:
        """Counts connections."""
        return self._generation

    def handle_stored(self, *, now: float) -> None:
        """The spool has taken what the last `Store` said."""
        if not self._spooled and self._window:
            self._spooled_since = self._window[0].since
        for _ in range(self._storing):
            handed = self._window.popleft()
            self._settle(handed.ticket, Receipt(handed.sequence, None))
        self._spooled += self._storing
        self._storing = 0
        self._pump(now)

    def handle_store_failed(self, *, now: float, wall: float) -> None:
        """The spool has taken nothing: those who wait are refused, their entries stay in memory."""
        for handed in list(self._window)[: self._storing]:
            self._doubt(handed, UNAVAILABLE, now, wall)
        self._storing = 0
        self._disk_retry = now + DISK_RETRY
        self._pump(now)

    def handle_timeout(self, *, now: float, wall: float) -> None:
        """Time has passed."""
        if self._spool_at() <= now:
            self._begin_spooling(now)
        self._expire(now, wall)
        self._pump(now)

    def next_deadline(self) -> float:
        """When `handle_timeout` has something to do; infinity if never."""
        deadlines = [self._first_deadline(), self._spool_at()]
        if self._disk_retry > -math.inf and (self._spooling or self._spooled):
            deadlines.append(self._disk_retry)
        return min(deadlines)

    # -- what happens with waiting events -----------------------------------------------------------

    def _pump(self, now: float) -> None:
        """Moves events as far as they can go."""
        if now >= self._disk_retry:
            self._disk_retry = -math.inf
        nearly_empty = self._spooled <= NEARLY_EMPTY and not self._closing
        if self._connected and not self._storing and nearly_empty:
            self._spooling = False  # what comes now waits the moment until the spool is empty
        direct = self._connected and not self._spooled and not self._spooling
        if direct or self._spooling:
            self._number()
        if direct and self._sent < len(self._window):
            entries = tuple(handed.entry for handed in list(self._window)[self._sent :])
            self._sent = len(self._window)
            self._effects.append(Send(entries))
        if self._disk_retry == -math.inf:
            self._store()
            self._load()

    def _number(self) -> None:
        while self._waiting and len(self._window) < MAX_WINDOW:
            waiting = self._waiting.popleft()
            self._sequence += 1
            where = self._source
            record = Record(
                where.name, self._sequence, waiting.time, where.pop, where.region, waiting.event
            )
            handed = _Handed(
                waiting.ticket,
                self._sequence,
                encode(record),
                waiting.time,
                waiting.since,
                waiting.deadline,
            )
            self._window.append(handed)

    def _substitute(self, handed: _Handed, code: str) -> bool:
        """The act of an entry that the log will never take is refused; its number goes to one that says so."""
        if handed.is_substitute:
            return False  # the log takes nothing of ours: acts are refused when their time is over
        self._settle(handed.ticket, None, REFUSED)
        handed.ticket = 0
        handed.is_substitute = True
        event = ActAbandoned(
            actor=Actor(Role.SYSTEM), sequence=handed.sequence, why=Why(reason=code)
        )
        where = self._source
        record = Record(where.name, handed.sequence, handed.time, where.pop, where.region, event)
        handed.entry = encode(record)
        return True

    def _begin_anew(self) -> None:
        """The log has lost what came before. What is not confirmed becomes the beginning of another source."""
        self._renewals += 1
        first = self._source.incarnation.partition(".")[0]
        self._source = replace(self._source, incarnation=f"{first}.{self._renewals}")
        for sequence, handed in enumerate(self._window, start=1):
            record = replace(decode(handed.entry), source=self._source.name, sequence=sequence)
            handed.sequence, handed.entry = sequence, encode(record)
        self._sequence = len(self._window)

    def _store(self) -> None:
        if self._spooling and self._window and not self._storing:
            self._storing = len(self._window)
            self._effects.append(Store(tuple(handed.entry for handed in self._window)))

    def _load(self) -> None:
        room = min(self._spooled, MAX_WINDOW) - self._replayed
        if self._connected and room > 0 and not self._loading:
            self._loading = True
            self._effects.append(Load(self._replayed, room))

    def _begin_spooling(self, now: float) -> None:
        self._spooling = True
        if self._sent:
            self._effects.append(Reconnect())  # so that late confirmations are not miscounted
            self.handle_disconnected(now=now)
        self._number()
        self._store()

    def _resume(self, now: float) -> None:
        self._generation += 1
        self._sent = self._replayed = 0
        self._pump(now)

    def _first_deadline(self) -> float:
        """When the first who waits has waited for long enough; notes, of which there may be many, do not wait."""
        while self._deadlines and self._deadlines[0][1] not in self._open:
            self._deadlines.popleft()
        return self._deadlines[0][0] if self._deadlines else math.inf

    def _expire(self, now: float, wall: float) -> None:
        if self._first_deadline() > now:
            return
        expired = [each for each in self._waiting if each.deadline <= now]
        if expired:
            self._waiting = deque(each for each in self._waiting if each.deadline > now)
        for each in expired:
            self._settle(each.ticket, None, UNAVAILABLE)
        for handed in self._window:
            if handed.deadline <= now:
                self._doubt(handed, TIMEOUT, now, wall)

    def _doubt(self, handed: _Handed, code: str, now: float, wall: float) -> None:
        """Refuses the act of an entry that will be in the log, and has the log say so."""
        if not handed.ticket:
            return
        self._settle(handed.ticket, None, code)
        handed.ticket = 0
        self._last_time = max(self._last_time, int(wall * 1_000_000))
        event = ActAbandoned(
            actor=Actor(Role.SYSTEM), sequence=handed.sequence, why=Why(reason=code)
        )
        self._waiting.append(_Waiting(0, event, self._last_time, now, math.inf))

    def _settle(self, ticket: int, receipt: Receipt | None, code: str = "") -> None:
        if ticket:
            self._open.discard(ticket)
            self._effects.append(Settled(ticket, receipt, code))

    def _spool_at(self) -> float:
        """When the spool takes over, because the oldest event that is not durable has waited for long enough."""
        if self._mode is not FailMode.SPOOL or self._spooling:
            return math.inf
        ages = [queue[0].since for queue in (self._window, self._waiting) if queue]
        return max(min(ages, default=math.inf) + self._limits.spool_after, self._disk_retry)
