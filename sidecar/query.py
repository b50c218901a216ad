"""Answers questions about the log on a thread of its own, so that neither intake nor checkpoints wait for it.

In: questions, the word that a checkpoint was published. Out: answers whose entries were read from the log. Must
not: believe the index, leave an entry out without saying so, or work without bound for one question.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from common.errors import RemoteError
from compliance.published import PublishedLog
from compliance.questions import Answer, Found, Question
from sidecar.index import BATCH, Candidates, Index, is_damage
from sidecar.metrics import Metrics

MAX_PAGE_BYTES: Final = 1024 * 1024  # of an answer's entries; 2,500 of the usual size
MAX_WAITING: Final = 64  # questions in line; each takes some ten milliseconds
MAX_CATCH_UP: Final = 4096  # entries that a question waits for; what arrives in half a second
log = logging.getLogger(__name__)
T = TypeVar("T")


class Library:
    """The log and its index, for readers."""

    def __init__(self, log_folder: Path, index_folder: Path, metrics: Metrics) -> None:
        """Nothing is read before `start`."""
        self._log = PublishedLog(log_folder)
        self._index = Index(index_folder, self._log)
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, "library")
        self._published = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._waiting = 0
        self._size = 0
        metrics.watch(
            "conclave_audit_index_lag",
            lambda: max(0, self._size - self._index.size),
        )

    async def start(self) -> None:
        """Opens the index and keeps it up with the log."""
        opening = asyncio.ensure_future(self._try(self._open))
        await asyncio.sleep(0)  # first in line on the thread, before any question
        self._task = asyncio.create_task(self._keep_up(opening))

    async def stop(self) -> None:
        """Ends; the next start goes on from here."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._on_thread(self._index.close)
        self._thread.shutdown()

    def handle_published(self) -> None:
        """There is another checkpoint."""
        self._published.set()

    async def answer(self, question: Question) -> Answer:
        """The page. Raises RemoteError: query_overloaded, index_behind, index_damaged, log_unreadable, ..."""
        if self._waiting >= MAX_WAITING:
            self._metrics.queried.labels("query_overloaded").inc()
            raise RemoteError("query_overloaded", "too many questions are waiting")
        self._waiting += 1
        try:
            answer = await self._on_thread(lambda: self._answer(question))
        except RemoteError as error:
            self._metrics.queried.labels(error.code).inc()
            raise
        finally:
            self._waiting -= 1
        self._metrics.queried.labels("answered").inc()
        return answer

    # -- on the loop --------------------------------------------------------------------------------

    async def _keep_up(self, opening: asyncio.Future[bool]) -> None:
        await opening
        self._published.set()
        while True:
            await self._published.wait()
            self._published.clear()
            while await self._try(self._advance):
                pass

    async def _try(self, work: Callable[[], bool]) -> bool:
        """Whether there is more to do; an index that cannot be made now is tried at the next checkpoint."""
        try:
            return await self._on_thread(work)
        except RemoteError as error:
            log.error("the index of the log waits: %s", error.code)
        except (OSError, sqlite3.Error) as error:
            log.error("the index of the log waits: %s", type(error).__name__)
        return False

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # -- on the thread ------------------------------------------------------------------------------

    def _open(self) -> bool:
        self._look()
        if not self._index.open(self._size):
            self._metrics.rebuilt.inc()
        return True

    def _look(self) -> str:
        """The latest checkpoint."""
        note = self._log.note()
        self._size = self._log.size_of(note)
        return note

    def _advance(self, limit: int = BATCH) -> bool:
        self._look()
        try:
            self._index.advance(self._size, limit)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._rebuild()
        return self._index.size < self._size

    def _rebuild(self) -> None:
        """Begins the index anew; the next checkpoint sets it going."""
        log.warning("the index of the log is damaged and made again")
        self._metrics.rebuilt.inc()
        try:
            self._index.rebuild()
        except (OSError, sqlite3.Error) as error:
            log.error("the index of the log cannot be made: %s", type(error).__name__)

    def _answer(self, question: Question) -> Answer:
        note = self._look()
        size = self._size if question.size is None else question.size
        if size > self._size:
            raise RemoteError("size_unknown", "the log is not as long as that")
        if question.limit == 0:
            candidates = Candidates([], question.start or 0, more=False)
        elif question.filter.is_empty:
            candidates = _range(question, size)
        else:
            candidates = self._find(question, size)
        found: list[Found] = []
        volume = 0
        for position, index in enumerate(candidates.entries):
            entry = self._log.entry(index, size)
            if not question.filter.matches(entry):
                self._rebuild()
                raise RemoteError("index_damaged", "the index was wrong and is made again")
            if found and volume + len(entry) > MAX_PAGE_BYTES:
                begin = candidates.entries[position] + question.newest_first
                candidates = replace(candidates, next=begin, more=True)
                break
            volume += len(entry)
            path = self._log.path(index, size) if question.prove else ()
            found.append(Found(index, entry, path))
        return Answer(
            found=tuple(found),
            next=candidates.next,
            more=candidates.more,
            checkpoint=note,
            size=size,
            key=self._log.key(),
        )

    def _find(self, question: Question, size: int) -> Candidates:
        try:
            if size > self._index.size:
                self._index.advance(self._size, MAX_CATCH_UP)
            if size > self._index.size:
                raise RemoteError("index_behind", "the index of the log is being made; try again")
            return self._index.find(
                question.filter,
                question.start,
                size,
                newest_first=question.newest_first,
                limit=question.limit,
            )
        except (sqlite3.Error, TypeError) as error:  # a damaged file yields values of any type
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise RemoteError(
                    "index_behind", "the index cannot be kept up; see the log"
                ) from error
            self._rebuild()
            raise RemoteError("index_damaged", "the index was wrong and is made again") from error


def _range(question: Question, size: int) -> Candidates:
    """All entries, in either order: no index is needed."""
    if question.newest_first:
        high = size if question.start is None else min(question.start, size)
        low = max(0, high - question.limit)
        return Candidates(list(range(high - 1, low - 1, -1)), low, more=low > 0)
    low = question.start or 0
    high = min(size, low + question.limit)
    return Candidates(list(range(low, high)), max(low, high), more=high < size)
