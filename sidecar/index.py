"""Where entries are by what they say: an SQLite file beside the log, made from it and thrown away at any doubt.

In: published entries in order; filters. Out: indexes of entries that may fit, in either order, a bounded amount of
work at a time. Must not: be believed. Whoever answers reads the entries from the log and compares. Nothing is ever
synced: what a crash leaves is checked, and made again if it is not what it should be. One thread at a time.

    postings  term -> entries that it finds; a term is a field of the filter with a value
    times     entry -> microseconds since the epoch
    blocks    256 entries -> earliest and latest of their times, so that far away blocks are not looked at
"""

from __future__ import annotations

import heapq
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby, islice
from operator import neg
from pathlib import Path
from typing import Final

from common.errors import RemoteError
from compliance.canonical import parse_object
from compliance.published import PublishedLog
from compliance.questions import Filter, Term, terms_of, time_of
from crypto.merkle import leaf_hash

VERSION: Final = 1  # of the tables; another one is thrown away
NAME: Final = "entries.sqlite"
BLOCK: Final = 256  # entries
BATCH: Final = 512  # entries taken at a time: ten milliseconds
MAX_TERMS: Final = 16_384  # remembered with their numbers; 2 MiB
SCAN: Final = 8192  # candidates looked at for one answer: some twenty milliseconds
CHUNK: Final = 512  # of them compared at a time
_SIDES: Final = ("", "-wal", "-shm", "-journal")  # files that SQLite keeps
_ALL: Final = (
    "SELECT entry FROM times WHERE entry >= ? AND entry < ? ORDER BY entry LIMIT ?",
    "SELECT entry FROM times WHERE entry >= ? AND entry < ? ORDER BY entry DESC LIMIT ?",
)
_BY_TERM: Final = (
    "SELECT entry FROM postings WHERE term = ? AND entry >= ? AND entry < ? ORDER BY entry LIMIT ?",
    "SELECT entry FROM postings WHERE term = ? AND entry >= ? AND entry < ?"
    " ORDER BY entry DESC LIMIT ?",
)
_TABLES: Final = """
CREATE TABLE meta (version INTEGER, size INTEGER, last BLOB);
CREATE TABLE terms (number INTEGER PRIMARY KEY, field TEXT, value TEXT, UNIQUE (field, value));
CREATE TABLE postings (term INTEGER, entry INTEGER, PRIMARY KEY (term, entry)) WITHOUT ROWID;
CREATE TABLE times (entry INTEGER PRIMARY KEY, time INTEGER);
CREATE TABLE blocks (block INTEGER PRIMARY KEY, low INTEGER, high INTEGER);
"""


class IndexDamagedError(Exception):
    """What is on disk is no index of this log; it has to be made again."""


# Troubles of the machine, not of the file: they pass, and a new index would have them as well.
_TROUBLES: Final = (
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_CANTOPEN",
    "SQLITE_NOMEM",
    "SQLITE_READONLY",
)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the index has to be made again."""
    return not str(getattr(error, "sqlite_errorname", "")).startswith(_TROUBLES)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the index found: entries, and where to go on."""

    entries: list[int]
    next: int  # oldest first: from here on; newest first: below here
    more: bool


class Index:
    """The index of one log."""

    def __init__(self, folder: Path, log: PublishedLog) -> None:
        """Nothing is opened yet."""
        self._folder = folder
        self._path = folder / NAME
        self._log = log
        self._terms: dict[Term, int] = {}
        self._database: sqlite3.Connection | None = None
        self.size = 0  # entries that it knows

    def open(self, size: int) -> bool:
        """Takes what the last run left, if it belongs to the log of `size`; whether anything was usable.

        Raises OSError, sqlite3.Error if there cannot be an index.
        """
        try:
            self._connect()
            self._check(size)
        except (sqlite3.Error, IndexDamagedError, RemoteError, TypeError):
            self.rebuild()
            return False
        return True

    def rebuild(self) -> None:
        """Begins with nothing. Raises OSError, sqlite3.Error."""
        self.close()
        for side in _SIDES:
            (self._folder / f"{NAME}{side}").unlink(missing_ok=True)
        self._connect()

    def close(self) -> None:
        """Gives the file back."""
        if self._database is not None:
            self._database.close()
            self._database = None
        self._terms = {}
        self.size = 0

    def advance(self, size: int, limit: int = BATCH) -> None:
        """Takes up to `limit` more entries of the log of `size`. Raises sqlite3.Error, RemoteError."""
        end = min(size, self.size + limit)
        if end <= self.size:
            return
        database = self._opened()
        postings: list[tuple[int, int]] = []
        times: list[tuple[int, int]] = []
        last = b""
        try:
            for index, entry in self._log.entries(self.size, end, size):
                document = parse_object(entry)
                times.append((index, time_of(document)))
                postings += [(self._number(term), index) for term in terms_of(document)]
                last = entry
            postings.sort()  # neighbours in the tree are written together
            database.executemany("INSERT INTO postings VALUES (?, ?)", postings)
            database.executemany("INSERT INTO times VALUES (?, ?)", times)
            database.executemany(
                "INSERT INTO blocks VALUES (?, ?, ?) ON CONFLICT (block) DO UPDATE"
                " SET low = min(low, excluded.low), high = max(high, excluded.high)",
                _summaries(times),
            )
            database.execute("UPDATE meta SET size = ?, last = ?", (end, leaf_hash(last)))
            database.execute("COMMIT")
        except BaseException:
            self._terms = {}  # numbers that were given out may be gone
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        self.size = end

    def find(
        self, wanted: Filter, start: int | None, end: int, *, newest_first: bool, limit: int
    ) -> Candidates:
        """Entries below `end` that may fit, from `start` on or below it. Raises sqlite3.Error."""
        low, high = 0, min(end, self.size)
        if newest_first:
            high = high if start is None else min(start, high)
        else:
            low = min(start or 0, high)
        exhausted = Candidates([], 0 if newest_first else max(high, start or 0), more=False)
        if wanted.has_times:
            low, high = self._within(wanted, low, high)
        first, rest = (wanted.terms[0], wanted.terms[1:]) if wanted.terms else (None, ())
        candidates = self._candidates(first, low, high, newest_first)
        kept: list[int] = []
        scanned = 0
        while chunk := list(islice(candidates, CHUNK)):
            fitting = self._fitting(chunk, rest, wanted)
            for entry in chunk:
                if entry in fitting:
                    if len(kept) == limit:
                        return Candidates(kept, entry + 1 if newest_first else entry, more=True)
                    kept.append(entry)
            scanned += len(chunk)
            if scanned >= SCAN:
                return Candidates(kept, chunk[-1] if newest_first else chunk[-1] + 1, more=True)
        return Candidates(kept, exhausted.next, more=False)

    def _connect(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._database = database
        # Alone with the file and never synced: it is quick, and a loss costs a new start of the index only.
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=OFF"):
            database.execute(f"PRAGMA {pragma}")
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            database.executescript(f"BEGIN; {_TABLES} COMMIT;")
            database.execute("INSERT INTO meta VALUES (?, 0, ?)", (VERSION, b""))

    def _check(self, size: int) -> None:
        """That the tables are whole, and were made from the log that is there."""
        database = self._opened()
        if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise IndexDamagedError
        rows = database.execute("SELECT version, size, last FROM meta").fetchall()
        if len(rows) != 1 or rows[0][0] != VERSION or not 0 <= rows[0][1] <= size:
            raise IndexDamagedError
        known, last = rows[0][1:]
        (counted,) = database.execute("SELECT count(*) FROM times").fetchone()
        if counted != known:
            raise IndexDamagedError
        if known and leaf_hash(self._log.entry(known - 1, size)) != last:
            raise IndexDamagedError
        self.size = known

    def _number(self, term: Term) -> int:
        """The number of a term, given out if it has none. Opens the transaction at the first."""
        database = self._opened()
        if not database.in_transaction:
            database.execute("BEGIN")
        number = self._terms.get(term)
        if number is None:
            database.execute("INSERT OR IGNORE INTO terms (field, value) VALUES (?, ?)", term)
            number = self._numbers(term[0], term[1:])[0]
            if len(self._terms) >= MAX_TERMS:
                self._terms = {}
            self._terms[term] = number
        return number

    def _numbers(self, field: str, values: Sequence[str]) -> list[int]:
        query = (
            "SELECT number FROM terms WHERE field = ? AND value IN (SELECT value FROM json_each(?))"
        )
        rows = self._opened().execute(query, (field, json.dumps(values)))
        return [number for (number,) in rows]

    def _within(self, wanted: Filter, low: int, high: int) -> tuple[int, int]:
        """The part of [low, high) outside of which no entry has a time that fits."""
        first, last = (
            self._opened()
            .execute(
                "SELECT min(block), max(block) FROM blocks"
                " WHERE block BETWEEN ? AND ? AND low < ? AND high >= ?",
                (low // BLOCK, high // BLOCK, wanted.until, wanted.since),
            )
            .fetchone()
        )
        if first is None:
            return low, low
        return max(low, first * BLOCK), min(high, (last + 1) * BLOCK)

    def _candidates(
        self, first: tuple[str, tuple[str, ...]] | None, low: int, high: int, newest_first: bool
    ) -> Iterator[int]:
        """Entries in [low, high) that the first of the filter's fields finds; all if it has none."""
        if first is None:
            yield from self._rows(_ALL[newest_first], (low, high, SCAN))
            return
        query = _BY_TERM[newest_first]
        rows = [self._rows(query, (term, low, high, SCAN)) for term in self._numbers(*first)]
        merged = heapq.merge(*rows, key=neg if newest_first else None)
        yield from (entry for entry, _ in groupby(merged))

    def _rows(self, query: str, values: tuple[int, ...]) -> Iterator[int]:
        with closing(self._opened().execute(query, values)) as cursor:
            yield from chain.from_iterable(cursor)

    def _fitting(
        self, chunk: list[int], terms: Sequence[tuple[str, tuple[str, ...]]], wanted: Filter
    ) -> set[int]:
        """Which of some entries fit all other fields."""
        fitting = set(chunk)
        for field, values in terms:
            numbers = json.dumps(self._numbers(field, values))
            query = (
                "SELECT entry FROM postings WHERE term IN (SELECT value FROM json_each(?))"
                " AND entry IN (SELECT value FROM json_each(?))"
            )
            rows = self._opened().execute(query, (numbers, json.dumps(sorted(fitting))))
            fitting = set(chain.from_iterable(rows))
        if wanted.has_times:
            query = (
                "SELECT entry FROM times WHERE time >= ? AND time < ?"
                " AND entry IN (SELECT value FROM json_each(?))"
            )
            values_ = (wanted.since, wanted.until, json.dumps(sorted(fitting)))
            fitting = set(chain.from_iterable(self._opened().execute(query, values_)))
        return fitting

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.OperationalError("the index is not open")
        return self._database


def _summaries(times: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    for block, members in groupby(times, lambda row: row[0] // BLOCK):
        moments = [time for _, time in members]
        yield block, min(moments), max(moments)
