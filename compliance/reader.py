"""Asks the sidecar about the log, over its Unix socket; one question at a time, on a connection of its own.

In: questions. Out: answers, or RemoteErrors: the sidecar's own, or `audit_unavailable`. Must not: share the
connection on which events are recorded, or keep a connection whose answers were not read to their end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from common.errors import RemoteError
from compliance.questions import Answer, Found, Question
from compliance.trail import AuditError
from compliance.wire import Frame, FrameReader, FrameType, hello, prove

PATIENCE: Final = 30.0  # seconds for one answer; the sidecar needs some milliseconds
MAX_WAITING: Final = 64  # questions in line
READ_SIZE: Final = 64 * 1024  # bytes


class LogReader:
    """What the rest of the server calls."""

    def __init__(self, socket: str) -> None:
        """`socket` is the sidecar's; it is opened when something is asked."""
        self._socket = socket
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._frames = FrameReader()
        self._pending: deque[Frame] = deque()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, question: Question) -> Answer:
        """A page. Raises RemoteError: audit_unavailable, or why the sidecar refuses."""
        frames = await self._converse(Frame(FrameType.ASK, question.encode()), FrameType.ANSWERED)
        found = tuple(Found.decode(frame.body) for frame in frames[:-1])
        return Answer.decode(found, frames[-1].body)

    async def receipt(self, index: int) -> str:
        """The receipt of an entry (C2SP tlog-proof), "" while no checkpoint covers it. Raises AuditError."""
        frames = await self._converse(prove(index), FrameType.PROOF)
        return frames[-1].body.decode()

    async def close(self) -> None:
        """Ends the connection."""
        self._drop()

    async def _converse(self, question: Frame, end: FrameType) -> list[Frame]:
        """The frames of an answer, the last of which has the type `end`."""
        if self._waiting >= MAX_WAITING:
            raise RemoteError("query_overloaded", "too many questions are waiting")
        self._waiting += 1
        complete = False
        try:
            async with asyncio.timeout(PATIENCE), self._turn:
                try:
                    frames = await self._ask(question, end)
                    complete = True
                finally:
                    if (
                        not complete
                    ):  # what is left of the answer must not be taken for the next one
                        self._drop()
        except (OSError, EOFError, TimeoutError) as error:
            raise AuditError("audit_unavailable", "the audit log cannot be reached") from error
        finally:
            self._waiting -= 1
        return frames

    async def _ask(self, question: Frame, end: FrameType) -> list[Frame]:
        if self._streams is None or self._streams[0].at_eof():
            self._drop()
            self._streams = await asyncio.open_unix_connection(self._socket)
            self._streams[1].write(hello().encode())
        reader, writer = self._streams
        writer.write(question.encode())
        answer: list[Frame] = []
        while not answer or answer[-1].type is not end:
            while not self._pending:
                data = await reader.read(READ_SIZE)
                if not data:
                    raise EOFError
                self._pending += self._frames.feed(data)
            frame = self._pending.popleft()
            if frame.type is FrameType.REFUSED:
                raise RemoteError(frame.body.decode("ascii", "replace"), "the audit log refuses")
            answer.append(frame)
        return answer

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None
        self._frames = FrameReader()
        self._pending.clear()
