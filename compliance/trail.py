"""The only door through which events become evidence: numbered, written, confirmed, or refused by name. Sans-IO.

In: events, what the connection and the spool report, and the time. Out: effects for `compliance.auditor` to carry
out, each ticket settled exactly once. Must not: forget an event that has a number, for a gap in a sequence is an
alarm; let anybody wait without bound; or touch media, which never asks here.

An event gets its number when it is first handed over. One that was handed over but not confirmed in time is in
doubt: its act is refused, the entry is still delivered, and an `act_abandoned` entry follows it. After a broken
connection what is not confirmed is handed over again; the log knows it by its number.

Where acts are refused while the log is away, what is only noted goes to the spool all the same. Notes then
overtake acts that wait, and an act that was handed over before the connection broke lies between them on disk: it
is *pledged*, and settled by the log or its deadline as if it had stayed in memory.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from common.errors import RemoteError
from compliance.envelope import Record, Source, decode, encode
from compliance.errands import Discard, Errand, Load, Reconnect, Send, SetAside, Store
from compliance.events import ActAbandoned, Actor, Event, Why
from compliance.queue import Queue, Waiting
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

    REFUSE = "refuse"  # they are refused; what is only noted goes to that queue, if there is one
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


Effect = Errand | Settled


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds."""

    timeout: float = 2.0  # after which an act is refused
    spool_after: float = 0.25  # after which the spool takes what it may


DEFAULT_LIMITS: Final = Limits()


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
        self,
        source: Source,
        mode: FailMode,
        *,
        limits: Limits = DEFAULT_LIMITS,
        spooled: int | None = None,
    ) -> None:
        """`spooled` entries of earlier runs are in the spool, and delivered first; None: there is no spool."""
        self._source = source
        self._mode = mode
        self._limits = limits
        self._queue = Queue()
        self._window: deque[_Handed] = deque()
        self._effects: list[Effect] = []
        self._open: set[int] = set()  # tickets
        self._deadlines: deque[tuple[float, int]] = deque()  # of tickets, settled ones among them
        self._sequence = 0
        self._ticket = 0
        self._last_time = 0
        self._numbered_time = 0  # of the last event that got a number
        self._connected = False
        self._sent = 0  # of the window, on this connection
        self._has_spool = spooled is not None
        self._spooled = spooled or 0
        self._unspooled = 0  # entries that have left the spool
        self._pledged: deque[tuple[int, _Handed]] = deque()  # with their places in the spool
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
        return len(self._queue) + len(self._window)

    @property
    def spooled(self) -> int:
        """Events that only the spool has."""
        return self._spooled

    def lag(self, now: float) -> float:
        """Seconds since the oldest event that is not in the log yet; of an earlier run's, since this one began."""
        since = [self._oldest(notes_only=False)]
        if self._spooled:
            self._spooled_since = now if self._spooled_since is None else self._spooled_since
            since.append(self._spooled_since)
        return max(0.0, now - min(now, *since))

    def drain(self) -> list[Effect]:
        """Effects to carry out now, in order."""
        effects, self._effects = self._effects, []
        return effects

    def submit(self, event: Event, *, now: float, wall: float) -> int:
        """Takes an event and returns its ticket; `wall` in seconds since the epoch. Raises AuditError."""
        if self._queue.acts >= MAX_WAITING:
            raise AuditError(UNAVAILABLE, _WHY[UNAVAILABLE])
        self._ticket += 1
        self._last_time = max(self._last_time, int(wall * 1_000_000))
        deadline = now + self._limits.timeout
        self._queue.add(Waiting(self._ticket, event, self._last_time, now, deadline))
        self._open.add(self._ticket)
        self._deadlines.append((deadline, self._ticket))
        self._pump(now)
        return self._ticket

    def note(self, event: Event, *, now: float, wall: float) -> None:
        """Takes an event that has happened already: nobody waits, and it is delivered however long that takes.

        Raises AuditError when too many wait; then it is lost, which must not stay unsaid.
        """
        if self._queue.notes >= MAX_NOTES:
            raise AuditError(UNAVAILABLE, _WHY[UNAVAILABLE])
        self._add_note(event, now, wall)
        self._pump(now)

    def handle_closing(self, *, now: float, wall: float) -> None:
        """The process ends: what is not in the log yet goes to the spool, but for acts where they are refused."""
        self._closing = True
        if self._mode is FailMode.REFUSE:
            self._refuse_acts(now, wall, until=math.inf)
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
            self._unspool(indexes[:replayed])
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
            self._unspool([None], REFUSED)
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
            if self._mode is FailMode.SPOOL:
                self._settle(handed.ticket, Receipt(handed.sequence, None))
            elif handed.ticket:
                self._pledged.append((self._unspooled + self._spooled, handed))
            self._spooled += 1
        self._storing = 0
        self._pump(now)

    def handle_store_failed(self, *, now: float, wall: float) -> None:
        """The spool has taken nothing: those who wait for it are refused, the entries stay in memory."""
        if self._mode is FailMode.SPOOL:
            for handed in list(self._window)[: self._storing]:
                self._doubt(handed, UNAVAILABLE, now, wall)
        self._storing = 0
        self._disk_retry = now + DISK_RETRY
        self._pump(now)

    def handle_timeout(self, *, now: float, wall: float) -> None:
        """Time has passed."""
        if self._spool_at() <= now:
            self._begin_spooling(now)
        if self._first_deadline() <= now:
            self._refuse_acts(now, wall, until=now)
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
        notes_only = self._spooling and self._mode is FailMode.REFUSE
        while len(self._window) < MAX_WINDOW:
            waiting = self._queue.take(notes_only=notes_only)
            if waiting is None:
                break
            self._sequence += 1
            waiting.time = self._numbered_time = max(waiting.time, self._numbered_time)
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

    def _refuse_acts(self, now: float, wall: float, *, until: float) -> None:
        """Refuses the acts whose time is over at `until`."""
        for waiting in self._queue.expire(until):
            self._settle(waiting.ticket, None, UNAVAILABLE)
        pledged = [handed for _, handed in self._pledged]
        for handed in (*self._window, *pledged):
            if handed.deadline <= until:
                self._doubt(handed, TIMEOUT, now, wall)

    def _doubt(self, handed: _Handed, code: str, now: float, wall: float) -> None:
        """Refuses the act of an entry that will be in the log, and has the log say so."""
        if not handed.ticket:
            return
        self._settle(handed.ticket, None, code)
        handed.ticket = 0
        event = ActAbandoned(
            actor=Actor(Role.SYSTEM), sequence=handed.sequence, why=Why(reason=code)
        )
        self._add_note(event, now, wall)

    def _add_note(self, event: Event, now: float, wall: float) -> None:
        self._last_time = max(self._last_time, int(wall * 1_000_000))
        self._queue.add(Waiting(0, event, self._last_time, now, math.inf))

    def _settle(self, ticket: int, receipt: Receipt | None, code: str = "") -> None:
        if ticket:
            self._open.discard(ticket)
            self._effects.append(Settled(ticket, receipt, code))

    def _unspool(self, indexes: list[int | None], code: str = "") -> None:
        """The oldest entries leave the spool: the log has them, or never will."""
        for index in indexes:
            if self._pledged and self._pledged[0][0] == self._unspooled:
                handed = self._pledged.popleft()[1]
                receipt = None if code else Receipt(handed.sequence, index)
                self._settle(handed.ticket, receipt, code)
            self._unspooled += 1
            self._spooled -= 1
        if not self._spooled:
            self._spooled_since = None

    def _spool_at(self) -> float:
        """When the spool takes over, because the oldest event that it may take has waited for long enough."""
        if not self._has_spool or self._spooling:
            return math.inf
        patience, refuses = self._limits.spool_after, self._mode is FailMode.REFUSE
        if refuses and self._connected:  # acts need this connection: a slow log is given time
            patience = self._limits.timeout
        return max(self._oldest(notes_only=refuses) + patience, self._disk_retry)

    def _oldest(self, *, notes_only: bool) -> float:
        """Since when the oldest event that is not durable has waited; all that have a number count."""
        since = self._queue.oldest(notes_only=notes_only)
        return min(since, self._window[0].since) if self._window else since
