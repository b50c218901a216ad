"""Answers that take a while: exports of one tree of the log, and the log as it grows.

In: a filter, a place to begin. Out: streamed responses. Must not: hold more than a page, keep more streams open
than is said here, or end an export that is not complete as if it were.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from common.clock import Clock
from common.errors import RemoteError
from compliance.exports import Format, json_line, last_line, line_of
from compliance.questions import MAX_PAGE, Filter, Question
from crypto.tokens import LEEWAY
from signalling.v1.ports import Log

MAX_EXPORTS: Final = 4  # at a time; each keeps the log's reader busy
MAX_FOLLOWERS: Final = 16  # at a time; each asks twice a second
FOLLOW_INTERVAL: Final = 0.5  # seconds; a checkpoint comes each second
FOLLOW_LIFE: Final = 3600.0  # seconds; then the reader comes back, and is put on record again
SIGN_OF_LIFE: Final = (
    15.0  # seconds without an entry after which an empty line says that all is well
)
JSON_LINES: Final = "application/jsonl"
MEDIA_TYPES: Final[Mapping[Format, str]] = {
    Format.JSON_LINES: JSON_LINES,
    Format.OCSF: JSON_LINES,
    Format.CEF: "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Export:
    """What is to be exported: the fitting entries of one tree."""

    filter: Filter
    first: int
    size: int
    checkpoint: str
    format: Format

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole log, so that the entries themselves lead to the root."""
        return self.filter.is_empty and self.first == 0 and self.size > 0


class Exports:
    """All that are running."""

    def __init__(self, log: Log) -> None:
        """Pages come from `log`."""
        self._log = log
        self._running = 0

    async def prepare(self, meant: Filter, first: int, form: Format) -> Export:
        """Takes a place and fixes the tree. Raises RemoteError: too_many_readers, ..."""
        if self._running >= MAX_EXPORTS:
            raise RemoteError("too_many_readers", "too many exports are running")
        self._running += 1
        try:
            # The first page as well, so that whatever stands against it is told in time.
            answer = await self._log.ask(Question(meant, first, limit=1))
        except BaseException:
            self.give_up()
            raise
        return Export(meant, first, answer.size, answer.checkpoint, form)

    def give_up(self) -> None:
        """Frees the place of an export that is not streamed."""
        self._running -= 1

    def stream(self, export: Export, headers: Mapping[str, str], media_type: str) -> Response:
        """The response; its end frees the place."""
        return _Held(self._lines(export), self.give_up, headers, media_type)

    async def _lines(self, export: Export) -> AsyncIterator[str]:
        start, more = export.first, export.size > export.first
        prove = export.format is Format.JSON_LINES and not export.is_whole
        while more:
            answer = await self._log.ask(
                Question(export.filter, start, limit=MAX_PAGE, prove=prove, size=export.size)
            )
            yield "".join(
                line_of(each.index, each.entry, export.format, each.path if prove else None) + "\n"
                for each in answer.found
            )
            start, more = answer.next, answer.more
        if export.format is Format.JSON_LINES:
            yield last_line(export.checkpoint, export.size, whole=export.is_whole) + "\n"


class Followers:
    """All who look on while the log grows."""

    def __init__(self, log: Log, clock: Clock) -> None:
        """Entries come from `log`."""
        self._log = log
        self._clock = clock
        self._count = 0

    def enter(self) -> None:
        """Takes a place. Raises RemoteError `too_many_readers`."""
        if self._count >= MAX_FOLLOWERS:
            raise RemoteError("too_many_readers", "too many follow the log already")
        self._count += 1

    def leave(self) -> None:
        """Frees a place."""
        self._count -= 1

    def stream(
        self, meant: Filter, start: int, expires_at: float, headers: Mapping[str, str]
    ) -> Response:
        """The response; its end frees the place."""
        end = min(expires_at + LEEWAY, self._clock.wall() + FOLLOW_LIFE)
        return _Held(self._lines(meant, start, end), self.leave, headers, JSON_LINES)

    async def _lines(self, meant: Filter, start: int, end: float) -> AsyncIterator[str]:
        yield "\n"  # the headers are on their way at once
        silent_since = self._clock.now()
        while self._clock.wall() < end:
            answer = await self._log.ask(Question(meant, start, limit=MAX_PAGE))
            start = answer.next
            if answer.found:
                silent_since = self._clock.now()
                yield "".join(json_line(each.index, each.entry) + "\n" for each in answer.found)
            elif self._clock.now() - silent_since > SIGN_OF_LIFE:
                silent_since = self._clock.now()
                yield "\n"
            if not answer.more:
                await asyncio.sleep(FOLLOW_INTERVAL)


class _Held(StreamingResponse):
    """A stream that holds a place until it has ended, however that was."""

    def __init__(
        self,
        lines: AsyncIterator[str],
        release: Callable[[], None],
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(lines, headers=dict(headers), media_type=media_type)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streams."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()
